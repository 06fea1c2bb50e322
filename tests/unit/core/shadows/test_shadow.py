from dataclasses import replace

import pytest

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import Attempt, CallbackRecord, settle
from ringback.core.callbacks.rendering import render
from ringback.core.http.http_exchange import (
    AttemptResult,
    ReceiverResponseRecord,
    RequestTimings,
    SentRequestRecord,
)
from ringback.core.http.outcome import RefusedOutcome, UnknownOutcome
from ringback.core.policy.source_policy import Source
from ringback.core.shadows.shadow import (
    SHADOW_BYTES,
    Mark,
    ShadowCallback,
    ShadowQueryParameter,
    ShadowRule,
    ShadowTargetPath,
    ShadowTargetUrl,
    copy_of,
    rule_for,
)
from ringback.core.sources.body_encoding import BodyEncoding
from ringback.core.sources.source_definition import BUILT_IN
from tests.fakes import ACCOUNT_SID, CALLBACK_SID, NOW, a_callback, an_account
from tests.streams import a_batch_of, a_sink, a_subscription, an_event_of

MARK = ShadowQueryParameter("shadow=1")
URL = "https://user:made-up@a.example:8443/p?x=1#cbs=twilio&ct=300&odd=1"
RANDOM_BYTES = bytes(range(SHADOW_BYTES))


def rule(
    source: Source = Source.KORE,
    mark: Mark = MARK,
    *,
    account_sid: str | None = None,
    url_prefix: str | None = None,
    percent: int = 100,
) -> ShadowRule:
    return ShadowRule(source, mark, account_sid, url_prefix, percent)


def told(
    url: str = URL, method: HttpMethod = HttpMethod.POST, source: Source = Source.TWILIO
) -> CallbackRecord:
    return a_callback(url=url, method=method, source=source, idempotency_key="order 7")


def copied(callback: CallbackRecord, mark: Mark = MARK) -> CallbackRecord:
    return copy_of(callback, rule(mark=mark), random_bytes=RANDOM_BYTES, now=NOW)


# ---- copied callbacks ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("account_sid", "url_prefix", "is_covered"),
    [
        (None, None, True),
        (ACCOUNT_SID, None, True),
        ("AC" + "f" * 32, None, False),
        (None, "HTTPS://A.example:8443/p", True),
        (None, "https://a.example:8443/q", False),
        (None, "https://a.example:8443/p?x=1#cbs", False),
        ("AC" + "f" * 32, "https://a.example", False),
        (ACCOUNT_SID, "https://a.example", True),
    ],
)
def test_a_rule_covers_accounts_and_urls(
    account_sid: str | None, url_prefix: str | None, is_covered: bool
) -> None:
    one = rule(account_sid=account_sid, url_prefix=url_prefix)
    assert one.covers(told()) is is_covered
    assert (rule_for((one,), told()) is one) is is_covered


def test_callbacks_from_the_rules_own_source_are_not_copied() -> None:
    assert rule_for((rule(Source.TWILIO),), told(source=Source.TWILIO)) is None


def test_with_a_rule_for_each_source_the_other_one_is_used() -> None:
    both = (rule(Source.TWILIO), rule(Source.KORE))
    assert rule_for(both, told(source=Source.TWILIO)) is both[1]
    assert rule_for(both, told(source=Source.KORE)) is both[0]


def test_the_first_rule_that_covers_a_callback_decides_even_against_a_copy() -> None:
    left_out = next(one for one in numbered(100) if not rule(percent=1).takes(one))
    assert rule_for((rule(percent=1), rule()), left_out) is None


def test_a_test_event_is_not_copied() -> None:
    event = a_callback(source=Source.KORE, is_test=True, body="{}")
    assert rule_for((rule(Source.TWILIO),), event) is None


def test_a_batch_of_an_event_stream_is_not_copied() -> None:
    batch = a_batch_of([an_event_of(1)], a_sink(source=Source.TWILIO), a_subscription())
    assert rule_for((rule(),), batch._replace(stream=None)) == rule()
    assert rule_for((rule(),), batch) is None


def test_a_percentage_selects_about_that_share_and_always_the_same_callbacks() -> None:
    taken = [one.sid for one in numbered(2000) if rule(percent=10).takes(one)]
    assert 140 <= len(taken) <= 260
    assert taken == [one.sid for one in numbered(2000) if rule(percent=10).takes(one)]
    more = {one.sid for one in numbered(2000) if rule(percent=11).takes(one)}
    assert more > set(taken)


def numbered(count: int) -> list[CallbackRecord]:
    return [a_callback(sid=f"CB{number:032x}", source=Source.TWILIO) for number in range(count)]


# ---- the copy ------------------------------------------------------------------------------------


def test_a_copy_has_its_own_sid_and_token_and_the_same_content() -> None:
    callback = told()
    copy = copied(callback)
    assert copy.sid == "CC" + "0190790aa090" + RANDOM_BYTES[6:16].hex()
    assert copy.idempotency_token == "RQ" + "0190790aa090" + RANDOM_BYTES[22:32].hex()
    assert copy.source == Source.KORE
    assert copy.source_reason == f"a shadow copy of {CALLBACK_SID}"
    assert (copy.body, copy.method) == (callback.body, callback.method)
    assert copy.idempotency_key is None


def test_a_parameter_is_added_at_the_end_of_the_query_so_that_the_body_stays_the_same() -> None:
    callback = told()
    request = render(copied(callback), account=an_account(), at=NOW)
    assert request.url.wire == "https://a.example:8443/p?x=1&shadow=1"
    assert request.body == callback.body.encode()
    assert ("Host", "a.example:8443") in request.headers
    assert "Kore-Signature" in dict(request.headers)


def test_a_parameter_comes_before_the_parameters_of_a_get() -> None:
    callback = told("http://a.example/p", HttpMethod.GET)
    request = render(copied(callback), account=an_account(), at=NOW)
    assert request.url.target == f"/p?shadow=1&{callback.body}"


def test_another_path_leaves_everything_else_of_the_url() -> None:
    url = copied(told(), ShadowTargetPath("/shadow/callbacks")).url
    assert url.wire == "https://a.example:8443/shadow/callbacks?x=1"
    assert url.credentials == "user:made-up"


@pytest.mark.parametrize("mark", [MARK, ShadowTargetPath("/q")])
def test_a_copy_keeps_the_connection_settings_of_its_url_without_warnings(mark: Mark) -> None:
    url = copied(told(), mark).url
    assert url.connection.connect_timeout_ms == 300
    assert url.warnings == ()


def test_another_url_has_its_own_credentials_and_settings() -> None:
    other = CallbackUrl.parse("http://b.example/copy#rt=200")
    url = copied(told(), ShadowTargetUrl(other)).url
    assert (url.wire, url.credentials) == ("http://b.example/copy", None)
    assert (url.connection.read_timeout_ms, url.connection.connect_timeout_ms) == (200, 5000)


@pytest.mark.parametrize(
    ("method", "body"), [(HttpMethod.POST, '{"A":"1","B":"é"}'), (HttpMethod.GET, None)]
)
def test_a_copy_has_the_encoding_of_its_source_and_its_row_a_body_only_if_it_differs(
    method: HttpMethod, body: str | None
) -> None:
    callback = told(method=method)._replace(body="A=1&B=%C3%A9")
    sources = {**BUILT_IN, "acme": replace(BUILT_IN[Source.KORE], body_encoding=BodyEncoding.JSON)}
    to_acme = ShadowRule("acme", MARK)
    copy = copy_of(callback, to_acme, random_bytes=RANDOM_BYTES, now=NOW, sources=sources)
    assert copy.body == (body or callback.body)
    assert ShadowCallback.opened(copy, of=callback).body == body


# ---- its row -------------------------------------------------------------------------------------


def test_a_row_is_open_first() -> None:
    callback = told()
    copy = copied(callback)
    row = ShadowCallback.opened(copy, of=callback)
    assert row == ShadowCallback(
        sid=copy.sid,
        source=Source.KORE,
        idempotency_token=copy.idempotency_token,
        url=copy.url,
        attempt=Attempt(CALLBACK_SID, ACCOUNT_SID, 1, NOW),
    )
    assert (row.account_sid, row.attempt.result) == (ACCOUNT_SID, "open")


def test_a_row_is_settled_with_all_details_of_the_request() -> None:
    opened = ShadowCallback.opened(copied(told()), of=told())
    response = ReceiverResponseRecord(503, (("A", "b"),), b"busy")
    timings = RequestTimings(12.5)
    exchange = AttemptResult(
        RefusedOutcome(503), timings, response, "192.0.2.1", "http://proxy:3128"
    )
    later = NOW.replace(second=59)
    request = SentRequestRecord("POST", "http://a.example/", "POST / HTTP/1.1", "A=1")
    assert opened.settled(exchange, request, started=later) == opened._replace(
        attempt=settle(opened.attempt, exchange, request, started=later)
    )


def test_a_copy_left_open_by_a_crash_is_unknown() -> None:
    opened = ShadowCallback.opened(copied(told()), of=told())
    row = opened.settled(AttemptResult(UnknownOutcome()), None, started=opened.attempt.date_started)
    assert (row.attempt.result, row.attempt.request) == ("unknown", None)
