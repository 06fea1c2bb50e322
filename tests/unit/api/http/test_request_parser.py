"""Parsing requests: valid and invalid ones, split into parts at any place."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.api.http.request_head import MAX_HEADERS, MalformedRequest, RequestHead, parse_head
from ringback.api.http.request_parser import MAX_HEAD, RequestParser
from tests.smuggling import CHUNKED, FIRST, HOST, READ, REFUSED_BODIES, REFUSED_HEADS, SECOND


@dataclass
class Read:
    """The result of parsing some bytes."""

    requests: list[tuple[RequestHead, bytes]] = field(default_factory=list)
    refused: int | None = None


def read(pieces: Iterable[bytes]) -> Read:
    """Feed these parts, and take everything as soon as it is available."""
    parser, result = RequestParser(), Read()
    head, body = None, b""
    try:
        for piece in pieces:
            parser.feed(piece)
            while True:
                if head is None:
                    head, body = parser.next_head(), b""
                if head is None:
                    break
                body += parser.take_body()
                if not parser.is_body_complete:
                    break
                result.requests.append((head, body))
                head = None
    except MalformedRequest as problem:
        result.refused = problem.status
    return result


def one_by_one(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


@pytest.mark.parametrize("bytes_", REFUSED_HEADS.values(), ids=REFUSED_HEADS)
def test_an_ambiguous_head_is_refused(bytes_: bytes) -> None:
    for pieces in ([bytes_ + SECOND], one_by_one(bytes_ + SECOND)):
        assert read(pieces) == Read(refused=400)


@pytest.mark.parametrize("bytes_", REFUSED_BODIES.values(), ids=REFUSED_BODIES)
def test_an_ambiguous_body_is_refused(bytes_: bytes) -> None:
    for pieces in ([bytes_ + SECOND], one_by_one(bytes_ + SECOND)):
        assert read(pieces) == Read(refused=400)


@pytest.mark.parametrize(("bytes_", "body"), READ.values(), ids=READ)
def test_a_request_ends_where_the_next_one_begins(bytes_: bytes, body: bytes) -> None:
    for pieces in ([bytes_ + SECOND], one_by_one(bytes_ + SECOND)):
        result = read(pieces)
        (first, read_body), (second, _) = result.requests
        assert (first.path, read_body, second.path) == (b"/first", body, b"/second")
        assert result.refused is None


def test_names_are_in_lower_case_values_trimmed_and_their_order_is_kept() -> None:
    head = read([FIRST + b"HOST: a\r\nX-B:  1 \t\r\nx-a:2\r\nX-B:\r\n\r\n"]).requests[0][0]
    assert head.headers == ((b"host", b"a"), (b"x-b", b"1"), (b"x-a", b"2"), (b"x-b", b""))


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", b"/", b""),
        (b"/a%2Fb?c=d?e", b"/a%2Fb", b"c=d?e"),
        (b"/?", b"/", b""),
        (b"//a/b", b"//a/b", b""),
        (b"http://a", b"/", b""),
        (b"HTTPS://A?b", b"/", b"b"),
        (b"http://a/b?c", b"/b", b"c"),
    ],
)
def test_a_target_is_a_path_and_a_query(target: bytes, path: bytes, query: bytes) -> None:
    head = read([b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n"]).requests[0][0]
    assert (head.path, head.query) == (path, query)


def test_the_server_itself_can_be_asked_for_its_options() -> None:
    head = read([b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"]).requests[0][0]
    assert (head.method, head.path) == ("OPTIONS", b"*")


@pytest.mark.parametrize(("size", "is_remembered"), [(1024, True), (1025, False)])
def test_a_short_head_that_comes_again_is_not_parsed_again(size: int, is_remembered: bool) -> None:
    start = b"GET / HTTP/1.1\r\nHost: a\r\nX: "
    heads = [parse_head(b"%b%b\r\n\r\n" % (start, b"x" * (size - len(start) - 4))) for _ in "12"]
    assert heads[0] == heads[1]
    assert (heads[0] is heads[1]) == is_remembered


@pytest.mark.parametrize(
    ("version", "connection", "keeps_alive"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: close\r\n", False),
        (b"1.1", b"Connection: Keep-Alive, CLOSE\r\n", False),
        (b"1.1", b"Connection: a\r\nConnection: close\r\n", False),
        (b"1.1", b"Connection: closed\r\n", True),
        (b"1.0", b"", False),
        (b"1.0", b"Connection: keep-alive\r\n", True),
    ],
)
def test_the_headers_decide_if_another_request_follows(
    version: bytes, connection: bytes, keeps_alive: bool
) -> None:
    head = read([b"GET / HTTP/" + version + b"\r\n" + HOST + connection + b"\r\n"]).requests[0][0]
    assert head.keeps_alive is keeps_alive


def test_http_1_0_needs_no_host() -> None:
    assert read([b"GET / HTTP/1.0\r\n\r\n"]).requests[0][0].version == "1.0"


# ---- limits --------------------------------------------------------------------------------------


def head_of(length: int) -> bytes:
    start = FIRST + HOST + b"X: "
    return start + b"a" * (length - len(start) - 4) + b"\r\n\r\n"


def test_a_head_may_have_64_kib_and_not_a_byte_more() -> None:
    assert len(read([head_of(MAX_HEAD)]).requests) == 1
    assert read([head_of(MAX_HEAD + 1)]) == Read(refused=431)


def test_an_impossible_head_is_refused_before_its_end() -> None:
    pieces = [FIRST + HOST, *[b"X: " + b"a" * 1000 + b"\r\n"] * 200]
    parser = RequestParser()
    for number, piece in enumerate(pieces):
        parser.feed(piece)
        if parser.held >= MAX_HEAD:
            with pytest.raises(MalformedRequest) as refused:
                parser.next_head()
            assert refused.value.status == 431
            assert number < len(pieces) - 1
            return
        assert parser.next_head() is None


def test_an_endless_target_is_too_long_itself() -> None:
    assert read([b"GET /", *[b"a" * 4096] * 20]) == Read(refused=414)
    assert read([b"GET /" + b"a" * MAX_HEAD + b" HTTP/1.1\r\n" + HOST + b"\r\n"]).refused == 414


def test_many_headers_are_refused() -> None:
    within = FIRST + HOST + b"X: a\r\n" * (MAX_HEADERS - 1) + b"\r\n"
    assert len(read([within]).requests) == 1
    assert read([FIRST + HOST + b"X: a\r\n" * MAX_HEADERS + b"\r\n"]) == Read(refused=431)


def test_endless_trailers_are_refused() -> None:
    assert read([FIRST + HOST + CHUNKED + b"\r\n0\r\n", *[b"X: a\r\n"] * 3000]).refused == 431


# ---- compared with another parser ----------------------------------------------------------------


class Llhttp:
    """The result of llhttp for the same bytes."""

    def __init__(self, data: bytes) -> None:
        self.requests = list[tuple[bytes, list[tuple[bytes, bytes]], bytes]]()
        self._parser = httptools.HttpRequestParser(self)
        self.is_refused = False
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.is_refused = True

    def on_message_begin(self) -> None:
        self._url, self._body, self._in_head = b"", b"", True
        self._headers = list[tuple[bytes, bytes]]()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            self._headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self._in_head = False

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self.requests.append((self._url, self._headers, self._body))


CASES = [
    *REFUSED_HEADS.values(),
    *REFUSED_BODIES.values(),
    *(bytes_ for bytes_, _ in READ.values()),
]
PARTS = [
    *(b"Content-Length: ", b"Transfer-Encoding: chunked\r\n", b"\r\n", b"\n", b"\r", b" ", b"\t"),
    *(b":", b"0", b"5", b"1\r\na\r\n", b"0\r\n\r\n", b"\0", b"\x0b", b";", b",", b"\xff", SECOND),
    *(b"Host: a\r\n", b"HTTP/1.1", b"GET /", b"chunked", b"X: y\r\n", b"hello"),
]


@given(
    st.sampled_from(CASES),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 3), st.sampled_from(PARTS)), max_size=4),
    st.integers(1, 40),
)
def test_another_parser_reads_valid_requests_alike_however_they_are_split(
    case: bytes, changes: list[tuple[float, int, bytes]], size: int
) -> None:
    data = case + SECOND
    for place, removed, added in changes:
        at = round(place * len(data))
        data = data[:at] + added + data[at + removed :]
    whole = read([data])
    assert read([data[at : at + size] for at in range(0, len(data), size)]) == whole
    theirs = Llhttp(data)
    if theirs.is_refused and len(theirs.requests) < len(whole.requests):
        # After an upgrade request or a `Connection: close` it reads no further, and it refuses some
        # of what RFC 9112 allows.
        whole.requests = whole.requests[: len(theirs.requests)]
    for (head, body), (url, headers, their_body) in zip(
        whole.requests, theirs.requests, strict=False
    ):
        assert url.endswith(head.path + (b"?" + head.query if head.query else b"")) or b"//" in url
        assert (list(head.headers), body) == (headers, their_body)
