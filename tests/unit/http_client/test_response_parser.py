"""Parsing answers from parts: their content, if they are complete, and if another may follow."""

import pytest

from ringback.http_client.response_parser import MAX_BODY, MAX_HEAD, ResponseParser
from tests.receivers import OK


def fed(*parts: bytes) -> ResponseParser:
    parser = ResponseParser()
    for part in parts:
        parser.feed(memoryview(part))
    return parser


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


HELLO = b"HTTP/1.1 422 No\r\nX: \xe9\r\nx:\r\nContent-Length: 5\r\n\r\nhello"


@pytest.mark.parametrize("parts", [[HELLO], byte_by_byte(HELLO)], ids=["whole", "in bytes"])
def test_an_answer_is_read_as_it_arrived(parts: list[bytes]) -> None:
    parser = fed(*parts)
    response = parser.response()
    assert parser.is_complete
    assert parser.keeps_alive
    assert (response.status, response.body, response.is_cut) == (422, b"hello", False)
    assert response.headers == (("X", "é"), ("x", ""), ("Content-Length", "5"))


def test_nothing_is_available_before_the_head_is() -> None:
    parser = fed()
    assert not parser.has_begun
    parser.feed(memoryview(b"HTTP/1.1 200 OK\r\nX: y\r\n"))
    assert parser.has_begun
    assert parser.so_far() is None
    parser.feed(memoryview(b"Content-Length: 9\r\n\r\nha"))
    so_far = parser.so_far()
    assert so_far is not None
    assert (so_far.status, so_far.body, so_far.is_cut) == (200, b"ha", True)


def test_trailers_are_not_headers() -> None:
    parser = fed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: x\r\n\r\n")
    assert parser.is_complete
    assert parser.response().headers == (("Transfer-Encoding", "chunked"),)


def test_interim_answers_are_dropped() -> None:
    parser = fed(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    assert not parser.is_complete
    parser.feed(memoryview(OK))
    assert parser.response().headers == (("Content-Length", "0"),)


@pytest.mark.parametrize(
    ("head", "is_over"),
    [
        (b"X: y", True),
        (b"Transfer-Encoding: gzip", True),
        (b"Content-Length: 9", False),
        (b"Transfer-Encoding: gzip, chunked ", False),
    ],
)
def test_the_end_of_the_connection_completes_an_answer_without_a_length(
    head: bytes, is_over: bool
) -> None:
    parser = fed(b"HTTP/1.1 200 OK\r\n", head, b"\r\n\r\n")
    parser.end()
    assert parser.is_complete is is_over


def test_an_end_before_the_head_completes_nothing() -> None:
    parser = fed(b"HTTP/1.1 200 OK\r\n")
    parser.end()
    assert not parser.is_complete


def test_a_long_body_is_truncated_and_no_request_follows() -> None:
    length = MAX_BODY + 1
    parser = fed(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length, b"x" * length)
    assert len(parser.response().body) == MAX_BODY
    assert (parser.is_cut, parser.keeps_alive) == (True, False)


def test_a_body_is_truncated_if_its_framing_is_much_longer() -> None:
    parser = fed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"1;" + b"x" * 4096 + b"\r\n.\r\n"
    count = 0
    while not parser.is_cut:
        parser.feed(memoryview(chunk))
        count += 1
    assert 16 * MAX_BODY < count * len(chunk) < 16 * MAX_BODY + 2 * len(chunk)
    assert len(parser.response().body) == count


@pytest.mark.parametrize("begun", [b"X: " + b"y" * MAX_HEAD, b"X: y\r\n" * (MAX_HEAD // 6)])
@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"])
def test_an_endless_head_is_an_error(begun: bytes, end: bytes) -> None:
    parser = fed(b"HTTP/1.1 200 OK\r\n", begun, end)
    assert parser.fault == f"the receiver's answer has headers of more than {MAX_HEAD} bytes"


def test_a_body_that_arrives_with_its_head_does_not_count_as_head() -> None:
    parser = fed(b"HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n" + b"x" * MAX_BODY)
    assert parser.fault is None


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the receiver's answer is not HTTP/1.1: "),
        (b"HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n\x81", "switch protocols"),
    ],
)
def test_an_invalid_answer_is_an_error(data: bytes, fault: str) -> None:
    parser = fed(data)
    assert parser.fault is not None
    assert fault in parser.fault
    assert not parser.keeps_alive


def test_the_first_error_stays() -> None:
    parser = fed(b"\x00", b"X: " + b"y" * MAX_HEAD)
    assert parser.fault is not None
    assert "not HTTP/1.1" in parser.fault


@pytest.mark.parametrize("surplus", [OK, b"surplus"])
def test_additional_bytes_spoil_the_connection_but_no_answer(surplus: bytes) -> None:
    parser = fed(OK + surplus)
    assert parser.fault is None
    assert (parser.is_complete, parser.keeps_alive) == (True, False)
    assert parser.response().status == 200


@pytest.mark.parametrize(
    ("head", "keeps_alive"),
    [
        (b"HTTP/1.1 200 OK\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", False),
    ],
    ids=["by hand", "Connection: close", "old and willing"],
)
def test_another_request_may_follow_if_nothing_leaves_a_doubt(
    head: bytes, keeps_alive: bool
) -> None:
    parser = fed(head + b"Content-Length: 0\r\n\r\n")
    assert parser.is_complete
    assert parser.keeps_alive is keeps_alive


def test_the_next_answer_is_independent_of_the_last() -> None:
    parser = fed(b"HTTP/1.1 500 No\r\nX: y\r\nContent-Length: 65536\r\n\r\n" + b"x" * MAX_BODY)
    parser.start_over()
    assert (parser.has_begun, parser.is_complete, parser.so_far()) == (False, False, None)
    parser.feed(memoryview(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    response = parser.response()
    assert (response.status, response.body, response.is_cut) == (200, b"ok", False)
    assert response.headers == (("Content-Length", "2"),)
