import pytest

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.receiver.verification import (
    ReceivedRequest,
    ReceiverSecrets,
    url_as_configured,
    url_by_host,
)
from ringback.receiver.verification.called_url import CalledUrlSpellings


def test_a_url_is_rebuilt_from_the_host_header_and_the_request_line() -> None:
    request = ReceivedRequest("GET", "/p?x=1", (("HOST", "a.example:9000"),))
    assert url_by_host(request) == "http://a.example:9000/p?x=1"


def test_a_request_without_a_host_gets_a_url_that_nobody_signs() -> None:
    assert url_by_host(ReceivedRequest("GET", "/p", ())) == "http:///p"


@pytest.mark.parametrize(
    ("configured", "url"),
    [
        ("https://a.example", "https://a.example/p?x=1&y=2"),
        ("https://a.example/", "https://a.example/p?x=1&y=2"),
        ("https://a.example/hook", "https://a.example/hook?x=1&y=2"),
        ("https://a.example/hook?x=1#cbs=kore", "https://a.example/hook?x=1&y=2"),
        ("https://user:pass@a.example:443/hook", "https://a.example:443/hook?x=1&y=2"),
    ],
)
def test_a_configured_url_takes_the_query_that_arrived(configured: str, url: str) -> None:
    request = ReceivedRequest("GET", "/p?x=1&y=2", (("Host", "127.0.0.1:9000"),))
    assert url_as_configured(CallbackUrl.parse(configured), request) == url


def test_hashes_are_remembered_for_each_method_of_callbacks_but_not_for_made_up_ones() -> None:
    secrets = ReceiverSecrets(kore_secrets=("old", "new"))
    hashes = CalledUrlSpellings.of("https://a.example", secrets).resource.kore_hashes
    for method in ("POST", "GET", "post", "\ud800"):
        before = hashes[method]
        is_kept = method in ("POST", "GET")
        assert (hashes[method] is before) == is_kept
        assert len(before) == (0 if method == "\ud800" else 4)  # with and without the path /
    assert list(hashes) == ["POST", "GET"]
