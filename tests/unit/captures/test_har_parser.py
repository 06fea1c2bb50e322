"""HAR files as browsers and proxies write them, with the parts that they leave out."""

import pytest

from ringback.captures import CapturedRequest, UnreadableCapture
from ringback.captures.har_parser import read
from ringback.receiver.events import Json

HEADERS: Json = [{"name": "Content-Length", "value": "3"}]


def har(data: Json = None, *, headers: Json = HEADERS) -> Json:
    request = {"method": "POST", "url": "https://a.example/p#f", "headers": headers}
    return {"log": {"entries": [{"request": {**request, "postData": data}}]}}


def read_one(document: Json) -> CapturedRequest:
    [capture] = read(document)
    return capture


def refusal_of(document: Json) -> str:
    with pytest.raises(UnreadableCapture) as refused:
        read(document)
    return str(refused.value)


def test_host_and_target_come_from_the_url() -> None:
    capture = read_one(har())
    assert capture.url == "https://a.example/p"
    assert capture.request.target == "/p"
    assert capture.request.values("Host") == ["a.example"]


def test_the_pseudo_headers_of_http2_are_not_headers() -> None:
    headers: Json = [{"name": ":path", "value": "/p"}, {"name": "host", "value": "h"}]
    assert read_one(har(headers=headers)).request.headers == (("host", "h"),)


@pytest.mark.parametrize(
    ("data", "body"),
    [
        ({"text": "x=1"}, b"x=1"),
        ({"text": "x=1", "params": [{"name": "other", "value": "2"}]}, b"x=1"),
        ({"text": "eD0x", "encoding": "base64"}, b"x=1"),
        ({"text": ""}, b""),
        (None, b""),
    ],
)
def test_the_text_is_the_body(data: Json, body: bytes) -> None:
    assert read_one(har(data)).request.body == body


def test_without_a_text_the_body_is_rebuilt_from_parameters_with_a_note() -> None:
    data: Json = {"text": "", "params": [{"name": "x", "value": "a b"}, {"name": "y", "value": ""}]}
    capture = read_one(har(data, headers=[]))
    assert capture.request.body == b"x=a+b&y="
    assert capture.notes == (
        "the body was rebuilt from its parameters, since the HAR file has no body text",
    )


def test_a_wrong_length_is_reported() -> None:
    assert "has 4 bytes" in read_one(har({"text": "x=12"})).notes[0]


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (har({"mimeType": "x"}), "a `postData` that lacks both `text` and `params`"),
        (
            har({"text": "€", "encoding": "base64"}),
            "says that its body is Base64, but the text is not valid Base64",
        ),
        (har({"text": "\ud800"}), r"the body has '\ud800', half of a surrogate pair"),
        (har({"params": [{"name": "x"}]}), "a parameter whose name or value is missing"),
        (har(headers=[{"name": "x"}]), "a header whose name or value is missing"),
    ],
)
def test_an_unreadable_entry_is_named(document: Json, why: str) -> None:
    assert why in refusal_of(document)
