"""HTTP requests as text: how tools print the request line, the headers and the body's end."""

import pytest

from ringback.captures import CapturedRequest, UnreadableCapture
from ringback.captures.http_text_parser import read
from tests.golden.test_notice import ACTIVATED_BODY, ACTIVATED_HEADERS, ACTIVATED_LINE, headers_of


def refusal_of(text: str) -> str:
    with pytest.raises(UnreadableCapture) as refused:
        read(text)
    return str(refused.value)


def noted(capture: CapturedRequest) -> list[str]:
    return [note.partition(",")[0] for note in capture.notes]


def test_a_request_line_may_lack_its_version() -> None:
    request = read("GET /p?x=1\nHost: a\n").request
    assert (request.method, request.target, request.headers) == ("GET", "/p?x=1", (("Host", "a"),))


def test_header_names_and_values_stay_unchanged_except_surrounding_white_space() -> None:
    headers = read("GET / HTTP/1.1\nkore-Signature:\nX:  a: b \t\nX: c\n").request.headers
    assert headers == (("kore-Signature", ""), ("X", "a: b"), ("X", "c"))


def test_a_target_with_a_host_is_a_url() -> None:
    capture = read("POST http://a.example:81/p?x=1#y HTTP/1.1\n\nz=2")
    assert capture.url == "http://a.example:81/p?x=1"
    assert capture.request.target == "/p?x=1"
    assert capture.request.headers == (("Host", "a.example:81"),)


def test_a_url_within_a_query_is_not_the_requests_url() -> None:
    assert read("GET /p?to=http://b/ HTTP/1.1\nHost: a").url is None


def test_pseudo_headers_replace_the_request_line() -> None:
    capture = read(":authority: a.example\n:method: POST\n:path: /p\n:scheme: https\nx: y\n\nz=2")
    assert capture.url == "https://a.example/p"
    assert (capture.request.method, capture.request.target) == ("POST", "/p")
    assert capture.request.headers == (("Host", "a.example"), ("x", "y"))


def test_an_empty_line_within_the_body_is_part_of_it() -> None:
    assert read("POST / HTTP/1.1\r\nA: b\r\n\r\nx\r\n\r\ny").request.body == b"x\r\n\r\ny"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_without_a_length_one_line_break_at_the_end_is_removed(end: str) -> None:
    capture = read(f"POST / HTTP/1.1\nA: b\n\nx=1{end}")
    assert capture.request.body == b"x=1"
    assert noted(capture) == ["the line break at the end of the body was left out"]


def test_empty_lines_after_a_get_are_ignored_without_a_note() -> None:
    capture = read("GET / HTTP/1.1\r\nA: b\r\n\r\n\r\n")
    assert (capture.request.body, capture.notes) == (b"", ())


def test_bytes_that_are_not_utf_8_are_read_back_unchanged() -> None:
    text = b"POST / HTTP/1.1\n\nx=\xff\xc3\xa9".decode("utf-8", "surrogateescape")
    assert read(text).request.body == b"x=\xff\xc3\xa9"


def test_headers_and_a_body_without_a_request_line_are_a_post_to_an_unknown_target() -> None:
    capture = read("Host: a\n\nx=1")
    assert (capture.request.method, capture.request.target) == ("POST", "")
    assert noted(capture) == ["there is no request line"]


def test_headers_alone_are_refused() -> None:
    assert "no request line and no body" in refusal_of("Host: a\n")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("POST / HTTP/1.1\nHost: a\nx=1&y=2", "line 3 of the request is 'x=1&y=2'"),
        ("Host: a\n folded", "line 2 of the request is ' folded'"),
        (f"Host: a\n{'x' * 50}", f"line 2 of the request is '{'x' * 40}'…, which is not a header"),
    ],
)
def test_an_invalid_header_line_is_named(text: str, line: str) -> None:
    assert line in refusal_of(text)


def test_a_chunked_body_is_refused_unless_it_was_joined() -> None:
    head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert "is chunked" in refusal_of(f"{head}3\r\nx=1\r\n0\r\n\r\n")
    assert read(f"{head}x=1").request.body == b"x=1"


# ---- output of curl -v -------------------------------------------------------------------------


def test_a_body_that_curl_does_not_show_is_reported_as_missing() -> None:
    shown = (
        "> POST /p HTTP/1.1\r\n> Content-Length: 3\r\n> \r\n* upload sent\n< HTTP/1.1 200 OK\n<\nok"
    )
    capture = read(shown)
    assert capture.request.body == b""
    assert noted(capture) == ["the Content-Length is 3"]


def test_a_request_that_is_quoted_as_a_whole_has_its_body_quoted_too() -> None:
    assert read("> POST /p HTTP/1.1\n> Content-Length: 3\n>\n> x=1\n").request.body == b"x=1"


# ---- as KORE's notice prints it ------------------------------------------------------------------

TITLED = f"""\
{ACTIVATED_LINE}

REQUEST CONTENT:
{ACTIVATED_BODY.decode()}

HEADERS:
{ACTIVATED_HEADERS}"""


@pytest.mark.parametrize("end", ["", "\n\n"])
@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
def test_the_notices_own_sample_is_read(line_break: str, end: str) -> None:
    capture = read((TITLED + end).replace("\n", line_break))
    assert f"{capture.request.method} {capture.request.target}" == ACTIVATED_LINE
    assert capture.request.body == ACTIVATED_BODY
    assert list(capture.request.headers) == headers_of(ACTIVATED_HEADERS)
    # The notice says 161.
    assert noted(capture) == ["the Content-Length is 161"]


def test_text_after_the_notices_headers_is_ignored() -> None:
    capture = read(f"{TITLED}\nAs you can see: both are alike.\n")
    assert list(capture.request.headers) == headers_of(ACTIVATED_HEADERS)
    assert noted(capture)[0] == "the text after the headers was left out"


def test_titles_and_the_request_line_are_each_optional() -> None:
    assert read("HEADERS:\nA: b\n\nREQUEST CONTENT:\nx=1\n").request.body == b"x=1"
    assert read("GET /p?x=1\n\nHEADERS:\nA: b\n").request.headers == (("A", "b"),)
