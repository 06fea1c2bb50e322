"""Twilio's own RequestValidator verifies our requests, with the URL as a receiver rebuilds it."""

from urllib.parse import parse_qsl, urlparse

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.callbacks.rendering import render
from ringback.core.http.http_exchange import OutgoingRequest
from ringback.core.policy.source_policy import Source
from ringback.core.sims.sim_updated import SimUpdated
from ringback.core.supersim.sim import SimStatus
from tests.fakes import NOW, a_callback, an_account, an_event
from tests.properties.strategies import callbacks

VALIDATOR = RequestValidator("made-up-auth-token")
FAILED = an_event(
    sim_unique_name="Über & aus; 100 %",
    sim_status=SimStatus.ACTIVE,
    error_code=83004,
    error_message="It failed: try again?",
)


def rendered(url: str, method: HttpMethod, event: SimUpdated | None = None) -> OutgoingRequest:
    callback = a_callback(url=url, method=method, source=Source.TWILIO, event=event)
    return render(callback, account=an_account(), at=NOW)


def is_valid(request: OutgoingRequest, url: str, validator: RequestValidator = VALIDATOR) -> bool:
    """Return True if the validator accepts the request for this URL, with the body's form."""
    form = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
    return validator.validate(url, form, dict(request.headers)["X-Twilio-Signature"])


def called_url(request: OutgoingRequest) -> str:
    """Rebuild the URL from scheme, Host header and request line."""
    return f"{request.url.scheme}://{dict(request.headers)['Host']}{request.url.target}"


@pytest.mark.parametrize(
    "url",
    [
        "http://your-callback-url.com/path?foo=bar",
        "http://your-callback-url.com/path?foo=bar#cbs=twilio&rc=2",
        "http://your-callback-url.com/path",
        "http://your-callback-url.com/",
        "https://your-callback-url.com/path?b=2&a=1&a=1",
        "https://your-callback-url.com/p%C3%A4th/%7e?x=%20&y=a+b&z",
        "https://user:p%40ss@your-callback-url.com/path",
        "http://your-callback-url.com:80/path?foo=bar",
        "https://your-callback-url.com:443/path?foo=bar",
        "https://your-callback-url.com:80/path",
        "http://127.0.0.1:9000/path?foo=bar",
        "https://your-callback-url.com:8443/path",
    ],
)
@pytest.mark.parametrize("method", HttpMethod)
@pytest.mark.parametrize("event", [an_event(), FAILED], ids=["as asked", "failed"])
def test_the_validator_accepts_each_callback_from_twilio(
    url: str, method: HttpMethod, event: SimUpdated
) -> None:
    request = rendered(url, method, event)
    assert is_valid(request, called_url(request))


@pytest.mark.parametrize(
    ("configured", "rebuilt"),
    [
        ("https://a.example/path", "https://a.example:443/path"),
        ("https://a.example:443/path", "https://a.example/path"),
        ("http://a.example/path", "http://a.example:80/path"),
        ("http://a.example:80/path", "http://a.example/path"),
        ("http://a.example/path", "http://a.example:8080/path"),
    ],
)
def test_the_validator_accepts_an_added_port_or_a_removed_default_one(
    configured: str, rebuilt: str
) -> None:
    assert is_valid(rendered(configured, HttpMethod.POST), rebuilt)


@pytest.mark.parametrize(
    "wrong",
    [
        "http://a.example/path?foo=baz",
        "http://a.example/path?foo=bar&more=1",
        "http://a.example/path",
        "http://a.example/",
        "https://a.example/path?foo=bar",
        "http://b.example/path?foo=bar",
        "http://a.example/path?foo=bar#cbs=twilio",
    ],
)
def test_the_validator_refuses_another_url(wrong: str) -> None:
    request = rendered("http://a.example/path?foo=bar#cbs=twilio", HttpMethod.POST)
    assert is_valid(request, "http://a.example/path?foo=bar")
    assert not is_valid(request, wrong)


def test_the_validator_refuses_a_url_from_which_a_receiver_removed_an_unusual_port() -> None:
    request = rendered("http://a.example:8080/path", HttpMethod.POST)
    assert not is_valid(request, "http://a.example/path")


def test_the_validator_refuses_another_auth_token() -> None:
    request = rendered("http://a.example/path", HttpMethod.POST)
    assert not is_valid(request, "http://a.example/path", RequestValidator("another-token"))


@given(callbacks(sources=st.just(Source.TWILIO)))
@settings(max_examples=300)
def test_the_validator_accepts_any_url_that_it_does_not_change(callback: CallbackRecord) -> None:
    request = render(callback, account=an_account(), at=NOW)
    url = request.url.wire
    # It parses and rebuilds URLs, which loses an empty query and parameter (`/path?`, `/path;`) and
    # the capitals of a scheme.
    assume(urlparse(url).geturl() == url)
    # A repeated name needs a framework's form; see tests/properties/test_signature.py.
    form = callback.parameters if callback.method is HttpMethod.POST else []
    assume(len(dict(form)) == len(form))
    assert is_valid(request, url)
