import pytest

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.dev_receiver.forwarder import forwarded_headers, forwarded_url
from ringback.receiver.verification import ReceivedRequest


@pytest.mark.parametrize(
    ("to", "target"),
    [
        ("http://app.example", "/path?foo=bar"),
        ("http://app.example/", "/?foo=bar"),
        ("http://app.example/hook", "/hook?foo=bar"),
        ("http://app.example/hook?x=1", "/hook?x=1&foo=bar"),
        ("http://app.example?x=1", "/path?x=1&foo=bar"),
    ],
)
def test_a_url_without_a_path_gets_the_requests_path_and_the_query_is_always_added(
    to: str, target: str
) -> None:
    request = ReceivedRequest("GET", "/path?foo=bar", ())
    assert forwarded_url(request, to=CallbackUrl.parse(to)).wire == f"http://app.example{target}"


def test_headers_stay_unchanged_except_those_of_the_connection() -> None:
    headers = (("Host", "a"), ("CONNECTION", "close"), ("kore-Signature", ""), ("Accept", "*/*"))
    assert forwarded_headers(ReceivedRequest("GET", "/", headers)) == (
        ("Host", "a"),
        ("kore-Signature", ""),
        ("Accept", "*/*"),
    )


def test_a_chunked_body_is_forwarded_with_its_length() -> None:
    request = ReceivedRequest("POST", "/", (("Transfer-Encoding", "chunked"),), b"a=1")
    assert forwarded_headers(request) == (("Content-Length", "3"),)
