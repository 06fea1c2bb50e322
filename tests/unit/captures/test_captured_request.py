"""Captured requests of every format: their URLs, and bodies of the right length."""

import pytest

from ringback.captures.captured_request import CapturedRequest, CaptureFormat, fitted
from ringback.receiver.verification import ReceivedRequest


def capture(
    *headers: tuple[str, str], url: str | None = None, target: str = "/p?x=1"
) -> CapturedRequest:
    return CapturedRequest(CaptureFormat.RAW, ReceivedRequest("POST", target, headers), url)


def test_a_public_host_is_first_assumed_to_use_https() -> None:
    assert capture(("Host", "a.example")).urls() == [
        "https://a.example/p?x=1",
        "http://a.example/p?x=1",
    ]


@pytest.mark.parametrize("host", ["localhost:9000", "127.0.0.1:9000", "127.8.8.8", "[::1]:9000"])
def test_a_loopback_host_is_first_assumed_to_use_http(host: str) -> None:
    assert capture(("host", host)).urls()[0] == f"http://{host}/p?x=1"


def test_scheme_and_host_from_a_proxys_headers_are_tried_too() -> None:
    forwarded = (("X-Forwarded-Proto", "http, https"), ("X-Forwarded-Host", "a.example, b"))
    assert capture(("Host", "tunnel.example"), *forwarded).urls() == [
        "http://tunnel.example/p?x=1",
        "https://tunnel.example/p?x=1",
        "http://a.example/p?x=1",
        "https://a.example/p?x=1",
    ]


def test_the_url_of_the_capture_comes_first_and_says_which_scheme_is_likely() -> None:
    got = capture(("Host", "a.example"), url="http://127.0.0.1:9000/p?x=1").urls()
    assert got == [
        "http://127.0.0.1:9000/p?x=1",
        "http://a.example/p?x=1",
        "https://a.example/p?x=1",
    ]


def test_without_target_or_host_there_is_no_url() -> None:
    assert capture(("Host", "a.example"), target="").urls() == []
    assert capture(("Accept", "*/*")).urls() == []


def test_line_breaks_after_the_content_length_are_removed() -> None:
    body, notes = fitted(b"x=1\r\n\n", (("content-length", "3"),))
    assert body == b"x=1"
    assert notes == ("the line break after the body was left out, as its Content-Length says",)


@pytest.mark.parametrize("body", [b"x=1\n", b"x=1"])
def test_counted_line_breaks_stay_and_missing_ones_are_not_added(body: bytes) -> None:
    assert fitted(body, (("Content-Length", str(len(body))),)) == (body, ())


@pytest.mark.parametrize(
    ("length", "how"), [("9", "cut off"), ("2", "more than one request"), ("0", "more than one")]
)
def test_a_wrong_length_is_reported_and_ignored(length: str, how: str) -> None:
    body, [note] = fitted(b"x=1", (("Content-Length", length),))
    assert body == b"x=1"
    assert note.startswith(f"the Content-Length is {length}, but the body has 3 bytes")
    assert how in note


def test_a_body_of_one_byte_is_counted_in_the_singular() -> None:
    _, [note] = fitted(b"x", (("Content-Length", "9"),))
    assert "but the body has 1 byte: has it been cut off?" in note


@pytest.mark.parametrize("given", [(), ("3", "4"), ("x",), ("-1",), ("٣",), ("9" * 5000,)])
def test_an_invalid_length_is_ignored(given: tuple[str, ...]) -> None:
    headers = tuple(("Content-Length", value) for value in given)
    assert fitted(b"x=1\n", headers) == (b"x=1\n", ())
