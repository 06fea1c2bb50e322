"""The notice's example has the headers and the body that the notice shows."""

from ringback.core.callbacks.notice_example import (
    MADE_UP_AUTH_TOKEN,
    MADE_UP_WEBHOOK_SECRET,
    compare_notice_example,
)
from ringback.core.callbacks.request_comparison import ComparedRequest
from ringback.core.policy.source_policy import Source
from ringback.core.sources.signature import sign_as_kore, sign_as_twilio
from tests.fakes import TOKENS

BODY = (
    "ApiVersion=v1&SimUniqueName=my_super_sim&SimSid=HSab3f06be8f5d32caecb91e8a306c6c08"
    "&SimStatus=inactive&AccountSid=AC3ba717b1d236e6c4a835e46130267eb4"
)


# The notice has other values of Content-Length, which don't fit the bodies that it shows.


def headers_of(request: ComparedRequest) -> dict[str, str | None]:
    return {header.name: header.value for header in request.headers}


def test_the_requests_are_those_of_the_notice() -> None:
    both = compare_notice_example()
    assert [both.first.source, both.second.source] == list(Source)
    for request in (both.first, both.second):
        assert request.line == "POST /path?foo=bar HTTP/1.1"
        assert request.body == BODY
        assert (request.callback_sid, request.date_sent) == (None, None)
    url = "http://your-callback-url.com/path?foo=bar"
    form = [tuple(pair.split("=")) for pair in BODY.split("&")]
    assert headers_of(both.first) == {
        "Host": "your-callback-url.com",
        "User-Agent": "TwilioProxy/1.1",
        "Content-Length": str(len(BODY)),
        "Accept": "*/*",
        "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
        "I-Twilio-Idempotency-Token": TOKENS[Source.TWILIO],
        "X-Home-Region": "us1",
        "X-Twilio-Signature": sign_as_twilio(
            url, [(name, value) for name, value in form], auth_token=MADE_UP_AUTH_TOKEN
        ),
        "Accept-Encoding": "gzip",
    }
    assert headers_of(both.second) == {
        "Host": "your-callback-url.com",
        "User-Agent": "KoreProxy/1.1",
        "Content-Length": str(len(BODY)),
        "Accept": "*/*",
        "Accept-Encoding": "gzip, deflate",
        "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
        "Date": "2024-07-03T14:40:58Z",
        "Kore-Idempotency-Token": TOKENS[Source.KORE],
        "Kore-Signature": sign_as_kore(
            "POST", url.partition("?")[0], BODY.encode(), secret=MADE_UP_WEBHOOK_SECRET
        ),
    }


def test_no_step_shows_a_secret() -> None:
    both = compare_notice_example()
    for request in (both.first, both.second):
        assert request.recipe is not None
        assert "made-up" not in str(request.recipe)
