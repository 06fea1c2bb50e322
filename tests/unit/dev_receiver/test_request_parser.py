import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.dev_receiver.request_parser import (
    MAX_BODY,
    MAX_HEAD,
    CompleteRequest,
    ListenRequestParser,
    UnparsableRequest,
)
from ringback.receiver.verification import ReceivedRequest

POST = b"POST /p?x=1 HTTP/1.1\r\nHost: a\r\nkore-SIGNATURE:\r\nContent-Length: 3\r\n\r\na=1"
REQUEST = ReceivedRequest(
    "POST", "/p?x=1", (("Host", "a"), ("kore-SIGNATURE", ""), ("Content-Length", "3")), b"a=1"
)


def read(*pieces: bytes) -> list[CompleteRequest | UnparsableRequest]:
    reader = ListenRequestParser()
    return [arrived for piece in pieces for arrived in reader.feed(piece)]


def refusals(*pieces: bytes) -> list[int]:
    return [came.status for came in read(*pieces) if isinstance(came, UnparsableRequest)]


def test_a_request_keeps_its_order_and_letter_case() -> None:
    assert read(POST) == [CompleteRequest(REQUEST, keeps_alive=True)]


def test_it_does_not_matter_how_a_request_is_split() -> None:
    assert (
        read(*(bytes([byte]) for byte in POST * 2))
        == [CompleteRequest(REQUEST, keeps_alive=True)] * 2
    )


def test_requests_that_arrive_together_are_returned_in_order() -> None:
    assert len(read(POST * 3)) == 3


def test_a_chunked_body_is_joined_and_the_trailer_is_not_a_header() -> None:
    head = b"POST /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    [arrived] = read(head + b"1\r\na\r\n2\r\n=1\r\n0\r\nTrailer: x\r\n\r\n")
    assert isinstance(arrived, CompleteRequest)
    assert arrived.request.body == b"a=1"
    assert arrived.request.headers == (("Transfer-Encoding", "chunked"),)


def test_a_connection_that_the_client_will_close_is_not_kept_alive() -> None:
    [arrived] = read(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert isinstance(arrived, CompleteRequest)
    assert not arrived.keeps_alive


def test_an_offered_protocol_upgrade_is_ignored() -> None:
    came = read(b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", b"PRI *")
    assert came == [
        CompleteRequest(
            ReceivedRequest("GET", "/", (("Connection", "Upgrade"), ("Upgrade", "h2c"))),
            keeps_alive=False,
        )
    ]


def test_a_sender_that_expects_100_continue_gets_it() -> None:
    reader = ListenRequestParser()
    reader.feed(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
    assert reader.expects_continue
    reader.feed(b"a")
    assert not reader.expects_continue


@pytest.mark.parametrize(
    "data", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nX: \x1b[2J\r\n\r\n", b"\x16\x03\x01\x02\x00"]
)
def test_input_that_is_not_http_is_refused_with_400(data: bytes) -> None:
    assert refusals(data) == [400]


def test_after_an_invalid_request_nothing_more_is_read() -> None:
    assert refusals(b"nonsense\r\n\r\n", b"nonsense\r\n\r\n") == [400]


def test_a_request_before_an_invalid_one_still_counts() -> None:
    assert [type(came) for came in read(POST + b"nonsense")] == [CompleteRequest, UnparsableRequest]


def test_headers_may_be_long_but_not_longer_than_the_limit() -> None:
    assert refusals(b"GET / HTTP/1.1\r\nX: " + b"x" * (MAX_HEAD - 100) + b"\r\n\r\n") == []
    assert refusals(b"GET / HTTP/1.1\r\nX: " + b"x" * MAX_HEAD + b"\r\n\r\n") == [431]


def test_endless_headers_are_refused_too() -> None:
    assert refusals(b"GET / HTTP/1.1\r\nX: ", *[b"x" * 1024] * 80) == [431]
    assert refusals(b"GET /", *[b"x" * 1024] * 80) == [431]


def test_a_long_body_is_refused_before_it_arrives() -> None:
    length = str(MAX_BODY + 1).encode()
    assert refusals(b"POST / HTTP/1.1\r\nContent-Length: " + length + b"\r\n\r\n") == [413]


def test_a_body_as_long_as_the_limit_is_read() -> None:
    head = b"POST / HTTP/1.1\r\nContent-Length: " + str(MAX_BODY).encode() + b"\r\n\r\n"
    assert refusals(head, b"x" * MAX_BODY) == []


def test_endless_chunks_are_refused_too() -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert refusals(head, *[chunk] * 17) == [413]


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_any_bytes_are_read_or_refused(pieces: list[bytes]) -> None:
    read(*pieces)
    read(POST[:40], *pieces)
