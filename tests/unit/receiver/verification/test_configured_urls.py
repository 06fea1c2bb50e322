"""The URLs of a receiver: one, a template, or a function of the request; and their queries."""

import hashlib

import pytest

from ringback.core.errors import InvalidCallbackUrl
from ringback.receiver.verification import Reason, ReceivedRequest, ReceiverSecrets, Rejected
from ringback.receiver.verification.configured_urls import (
    ConfiguredReceiverUrl,
    UrlTemplateMatch,
    read_urls,
)
from ringback.receiver.verification.signature_headers import read_claim

TWILIO = ("X-Twilio-Signature", "A" * 27 + "=")
KORE = ("Kore-Signature", "0" * 64)
JSON = ("Content-Type", "application/json")
NONE = ReceiverSecrets()


def request(
    method: str = "POST", target: str = "", *headers: tuple[str, str], body: bytes = b""
) -> ReceivedRequest:
    return ReceivedRequest(method, target, headers, body)


def called(url: str, received: ReceivedRequest) -> str | Rejected:
    """Return the URL that a request is verified with."""
    claim = read_claim(received)
    assert not isinstance(claim, Rejected)
    answer = ConfiguredReceiverUrl(url, NONE).called_by(
        claim, received.method, received.target, received.body
    )
    return answer if isinstance(answer, Rejected) else str(answer.split)


def found(url: str, received: ReceivedRequest) -> tuple[str, dict[str, str]] | None:
    """Return the URL that a template matches, and the values of its placeholders."""
    _, find = read_urls(url, NONE)
    answer = find(received)
    return None if answer is None else (answer.url.text, dict(answer.values))


# ---- the query ----------------------------------------------------------------------------------


@pytest.mark.parametrize("family", [TWILIO, KORE])
@pytest.mark.parametrize("target", ["", "/p?x=1", "/elsewhere?x=1", "/p?x=%31", "/p?x=1&"])
def test_a_post_is_verified_with_the_configured_url(family: tuple[str, str], target: str) -> None:
    url = "https://user:pass@a.example:8443/p?x=1#cbs=kore"
    assert called(url, request("POST", target, family)) == "https://a.example:8443/p?x=1"


@pytest.mark.parametrize("family", [TWILIO, KORE])
@pytest.mark.parametrize("target", ["/p", "/p?x=2", "/p?x=1&y=2", "/p?y=2&x=1", "/p?x=1&x=1"])
def test_a_post_with_another_query_was_sent_to_another_url(
    family: tuple[str, str], target: str
) -> None:
    verdict = called("https://a.example/p?x=1", request("POST", target, family))
    assert isinstance(verdict, Rejected)
    assert verdict.reason is Reason.URL_DIFFERS
    query = target.partition("?")[2]
    assert verdict.explanation == (
        f"it came with the query {query!r}, but this receiver's URL has 'x=1'"
    )


@pytest.mark.parametrize("family", [TWILIO, KORE])
def test_a_get_has_its_parameters_after_the_urls_own(family: tuple[str, str]) -> None:
    url = "https://a.example/p?x=1"
    assert called(url, request("GET", "/p?x=1&SimStatus=new", family)) == (
        "https://a.example/p?x=1&SimStatus=new"
    )
    refused = called(url, request("GET", "/p?SimStatus=new&x=1", family))
    assert isinstance(refused, Rejected)
    assert refused.reason is Reason.URL_DIFFERS


@pytest.mark.parametrize("family", [TWILIO, KORE])
def test_a_get_cannot_be_verified_without_its_target(family: tuple[str, str]) -> None:
    verdict = called("https://a.example/p", request("GET", "", family))
    assert isinstance(verdict, Rejected)
    assert verdict.reason is Reason.NO_TARGET


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example/p", "https://a.example/p?bodySHA256="),
        ("https://a.example/p?", "https://a.example/p?bodySHA256="),
        ("https://a.example/p?x=1", "https://a.example/p?x=1&bodySHA256="),
    ],
)
def test_json_from_twilio_has_its_hash_after_the_query_configured_or_not(
    url: str, expected: str
) -> None:
    digest = hashlib.sha256(b"{}").hexdigest()
    target = f"/p?{expected.partition('?')[2]}{digest}"
    for told in ("", target):
        received = request("POST", told, TWILIO, JSON, body=b"{}")
        assert called(url, received) == f"{expected}{digest}"


def test_kore_adds_no_hash_and_twilio_nothing_else() -> None:
    for family, target in [(KORE, "/p?bodySHA256=0"), (TWILIO, "/p?bodySHA256=0&y=1")]:
        verdict = called("https://a.example/p", request("POST", target, family, JSON, body=b"{}"))
        assert isinstance(verdict, Rejected)
        assert verdict.reason is Reason.URL_DIFFERS


def test_a_form_from_twilio_is_verified_without_a_hash() -> None:
    received = request("POST", "", TWILIO, body=b"a=1")
    assert called("https://a.example/p", received) == "https://a.example/p"


# ---- templates ----------------------------------------------------------------------------------


def test_the_placeholders_values_make_the_url_of_a_template() -> None:
    url = "HTTPS://user:pass@{tenant}.a.example:8443/{kind}/hook?x=1#cbs=kore"
    received = request("POST", "/sims/hook?x=1", ("host", "acme-2.a.example"))
    assert found(url, received) == (
        "HTTPS://acme-2.a.example:8443/sims/hook?x=1",
        {"tenant": "acme-2", "kind": "sims"},
    )


def test_the_host_matters_only_if_it_has_a_placeholder() -> None:
    received = request("POST", "/acme/hook", ("Host", "127.0.0.1:9000"))
    assert found("https://a.example/{tenant}/hook", received) == (
        "https://a.example/acme/hook",
        {"tenant": "acme"},
    )


def test_a_template_without_a_path_is_for_the_root() -> None:
    received = request("POST", "/", ("Host", "acme.a.example:443"))
    assert found("https://{tenant}.a.example", received) == (
        "https://acme.a.example",
        {"tenant": "acme"},
    )


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("/hook/acme", "x.a.example"),
        ("/acme/hook/", "x.a.example"),
        ("/acme/more/hook", "x.a.example"),
        ("//hook", "x.a.example"),
        ("/acme/hookah", "x.a.example"),
        ("/acme/hook", "x.y.a.example"),
        ("/acme/hook", "x.aaexample"),
        ("/acme/hook", ".a.example"),
        ("/acme/hook", ""),
        ("/ac me/hook", "x.a.example"),
        ("/acmé/hook", "x.a.example"),
        ("", "x.a.example"),
    ],
)
def test_another_path_or_host_is_another_url(target: str, host: str) -> None:
    received = request("POST", target, ("Host", host))
    assert found("https://{where}.a.example/{tenant}/hook", received) is None


def test_a_placeholder_matches_text_as_it_is_written() -> None:
    received = request("POST", "/a%2Fb/hook")
    assert found("https://a.example/{tenant}/hook", received) == (
        "https://a.example/a%2Fb/hook",
        {"tenant": "a%2Fb"},
    )


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://a.example/p?tenant={tenant}", "may only be in the host or the path"),
        ("https://a.example/p#{tenant}", "may only be in the host or the path"),
        ("https://{user}@a.example/p", "may only be in the host or the path"),
        ("{scheme}://a.example/p", "is not a valid URL|callbacks go to http:// or https://"),
        ("https://{a}.example/{a}/", "two placeholders have the same name"),
        ("https://a.example/{tenant}", "there must be a / after the last placeholder"),
        ("https://a.example/{tenant}?x=1", "there must be a / after the last placeholder"),
        ("https://a.example/{tenant}x", "there must be a / after the last placeholder"),
        ("https://{a}.example/{tenant}.json", "there must be a / after the last placeholder"),
        ("https://a.{tenant}", "there must be a / after the last placeholder"),
        ("https://a.example:{port}/p", "its port must be a number"),
        ("ftp://a.example/{tenant}/", "callbacks go to http:// or https://"),
        ("https://a.example/{tenant}/#cbs=odd", "cbs must be twilio or kore"),
        ("a.example/{tenant}/", "is not a valid URL"),
    ],
)
def test_an_unusable_template_is_refused_when_it_is_given(url: str, why: str) -> None:
    with pytest.raises(InvalidCallbackUrl, match=why):
        read_urls(url, NONE)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://a.example/{tenant}/", "/acme/"),
        ("https://a.example/{a}{b}x/in", "/acmex/in"),
        ("https://{tenant}.example", "/"),
        ("https://{tenant}:8443", "/"),
        ("https://a-{tenant}/", "/"),
    ],
)
def test_a_template_with_an_unambiguous_end_is_accepted(url: str, target: str) -> None:
    hosts = {"https://{tenant}:8443": "acme", "https://a-{tenant}/": "a-acme"}
    received = request("POST", target, ("Host", hosts.get(url, "acme.example")))
    answer = found(url, received)
    assert answer is not None
    assert "acme" in answer[0]


@pytest.mark.parametrize("url", ["", "a.example", "https://", "https://a.example:0/", "https://é/"])
def test_an_unusable_url_is_refused_when_it_is_given(url: str) -> None:
    with pytest.raises(InvalidCallbackUrl):
        read_urls(url, NONE)


@pytest.mark.parametrize("braces", ["{}", "{a-b}", "{1}", "{a", "a}"])
def test_braces_without_a_name_are_literal(braces: str) -> None:
    url = f"https://a.example/{braces}"
    assert found(url, request("POST", "/elsewhere")) == (url, {})


# ---- functions ----------------------------------------------------------------------------------


def test_a_function_returns_the_url_for_the_request() -> None:
    urls = {"/a": "https://a.example/a#cbs=kore", "/b": "https://b.example/"}
    _, find = read_urls(lambda received: urls.get(received.path), NONE)
    a, b = find(request("POST", "/a?x=1")), find(request("POST", "/b"))
    assert isinstance(a, UrlTemplateMatch)
    assert isinstance(b, UrlTemplateMatch)
    assert (a.url.text, b.url.text) == ("https://a.example/a", "https://b.example/")
    assert find(request("POST", "/c")) is None
    again = find(request("POST", "/a"))
    assert isinstance(again, UrlTemplateMatch)
    assert again.url is a.url


def test_a_function_that_returns_an_invalid_url_is_reported() -> None:
    _, find = read_urls(lambda _: "a.example", NONE)
    with pytest.raises(InvalidCallbackUrl, match="is not a valid URL"):
        find(request())
