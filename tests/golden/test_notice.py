"""The two callbacks that the notice prints, typed off by hand.

Both leave out X-Forwarded-* and Cookie: the reader's tunnel and proxy added them. The Host of the
second is that tunnel's.
"""

import pytest

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.callbacks.rendering import render
from ringback.core.http.http_exchange import OutgoingRequest
from ringback.core.policy.source_policy import Source
from ringback.core.supersim.sim import SimStatus
from tests.fakes import NOW, a_callback, an_account, an_event

DEACTIVATED_LINE = "POST /path?foo=bar"
DEACTIVATED_BODY = (
    b"ApiVersion=v1"
    b"&SimUniqueName=my_super_sim"
    b"&SimSid=HSab3f06be8f5d32caecb91e8a306c6c08"
    b"&SimStatus=inactive"
    b"&AccountSid=AC3ba717b1d236e6c4a835e46130267eb4"
)
DEACTIVATED_HEADERS = """\
Host: your-callback-url.com
User-Agent: TwilioProxy/1.1
Content-Length: 145
Accept: */*
Content-Type: application/x-www-form-urlencoded; charset=UTF-8
I-Twilio-Idempotency-Token: ba8db584-d0ca-4379-3749-a4e21471a62e
X-Home-Region: us1
X-Twilio-Signature: rh4rZXy3AfT1HCr7tZMh3/dY2Ss=
Accept-Encoding: gzip
"""

ACTIVATED_LINE = "POST /path?foo=bar"
ACTIVATED_BODY = (
    b"ApiVersion=v1"
    b"&SimUniqueName=my_super_sim"
    b"&SimSid=HSab3f06be8f5d32caecb91e8a306c6c08"
    b"&SimStatus=active"
    b"&AccountSid=AC3ba717b1d236e6c4a835e46130267eb4"
)
ACTIVATED_HEADERS = """\
Host: 0956-2003-cf-5743-1000-651f-7e56-33f7-c3b3.ngrok-free.app
User-Agent: KoreProxy/1.1
Content-Length: 161
Accept: */*
Accept-Encoding: gzip, deflate
Content-Type: application/x-www-form-urlencoded; charset=utf-8
Date: 2024-07-03T14:40:58Z
Kore-Idempotency-Token: RQa48ec9b6ef475034c35566c02b654243
Kore-Signature: 2fdbc0ab1394cc8d37b8dabb74634aa9a951021a9b161f9c7a2186dc490b18b9
"""


def headers_of(printed: str) -> list[tuple[str, str]]:
    lines = [line.partition(": ") for line in printed.splitlines()]
    return [(name, value) for name, _, value in lines]


def sent(source: Source, status: SimStatus, url: str) -> OutgoingRequest:
    callback = a_callback(
        url=url, method=HttpMethod.POST, source=source, event=an_event(sim_status=status)
    )
    return render(callback, account=an_account(), at=NOW)


DEACTIVATED = sent(Source.TWILIO, SimStatus.INACTIVE, "http://your-callback-url.com/path?foo=bar")
ACTIVATED = sent(
    Source.KORE, SimStatus.ACTIVE, "http://your-callback-url.com/path?foo=bar#cbs=kore"
)
BOTH = [
    pytest.param(
        DEACTIVATED, DEACTIVATED_LINE, DEACTIVATED_HEADERS, DEACTIVATED_BODY, id="deactivated"
    ),
    pytest.param(ACTIVATED, ACTIVATED_LINE, ACTIVATED_HEADERS, ACTIVATED_BODY, id="activated"),
]


@pytest.mark.parametrize(("request_", "line", "headers", "body"), BOTH)
def test_the_request_line_is_the_notice_s(
    request_: OutgoingRequest, line: str, headers: str, body: bytes
) -> None:
    assert request_.to_bytes().startswith(f"{line} HTTP/1.1\r\n".encode())


@pytest.mark.parametrize(("request_", "line", "headers", "body"), BOTH)
def test_the_header_names_are_the_notice_s_in_order_and_letter_case(
    request_: OutgoingRequest, line: str, headers: str, body: bytes
) -> None:
    assert [name for name, _ in request_.headers] == [name for name, _ in headers_of(headers)]


@pytest.mark.parametrize(("request_", "line", "headers", "body"), BOTH)
def test_the_body_is_the_notice_s_to_the_byte(
    request_: OutgoingRequest, line: str, headers: str, body: bytes
) -> None:
    assert request_.to_bytes().endswith(b"\r\n\r\n" + body)


# The secrets behind the printed signatures are not known. The printed lengths don't match the
# printed bodies, which have 147 and 145 bytes.
@pytest.mark.parametrize(
    ("request_", "headers", "differing"),
    [
        (DEACTIVATED, DEACTIVATED_HEADERS, {"Content-Length", "X-Twilio-Signature"}),
        (ACTIVATED, ACTIVATED_HEADERS, {"Host", "Content-Length", "Kore-Signature"}),
    ],
    ids=["deactivated", "activated"],
)
def test_the_header_values_are_the_notice_s(
    request_: OutgoingRequest, headers: str, differing: set[str]
) -> None:
    expected, actual = dict(headers_of(headers)), dict(request_.headers)
    assert {name for name in expected if expected[name] != actual[name]} == differing


@pytest.mark.parametrize(
    ("request_", "name", "form"),
    [
        (DEACTIVATED, "X-Twilio-Signature", "rh4rZXy3AfT1HCr7tZMh3/dY2Ss="),
        (
            ACTIVATED,
            "Kore-Signature",
            "2fdbc0ab1394cc8d37b8dabb74634aa9a951021a9b161f9c7a2186dc490b18b9",
        ),
    ],
    ids=["deactivated", "activated"],
)
def test_a_signature_has_the_length_of_the_notice_s(
    request_: OutgoingRequest, name: str, form: str
) -> None:
    assert len(dict(request_.headers)[name]) == len(form)


@pytest.mark.parametrize(
    ("request_", "length"),
    [(DEACTIVATED, "147"), (ACTIVATED, "145")],
    ids=["deactivated", "activated"],
)
def test_the_length_is_that_of_the_body(request_: OutgoingRequest, length: str) -> None:
    assert dict(request_.headers)["Content-Length"] == length
    assert len(request_.body) == int(length)


def test_both_callbacks_differ_only_in_the_status() -> None:
    assert DEACTIVATED.body.replace(b"=inactive", b"=active") == ACTIVATED.body
    assert DEACTIVATED.url.target == ACTIVATED.url.target
