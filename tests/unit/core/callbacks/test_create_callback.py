from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import (
    CallbackRecord,
    CallbackStatus,
    DeliveryProgress,
    StreamBatch,
)
from ringback.core.callbacks.create_callback import (
    CALLBACK_BYTES,
    TEST_CALLBACK_BYTES,
    compose,
    compose_stream,
    compose_test,
    repeat,
)
from ringback.core.events.kore_test_event import write_test_event
from ringback.core.events.payload import parameters_of
from ringback.core.form_encoding import decode, encode
from ringback.core.policy.source_policy import NOTICE, Phase, PhaseHold, Policy, Source
from ringback.core.sources.body_encoding import BodyEncoding
from ringback.core.sources.source_definition import BUILT_IN, Sources
from ringback.core.streams.stream_retries import STREAM_RETRIES
from ringback.core.supersim.sim import SimStatus
from tests.fakes import ACCOUNT_SID, NOW, SIM_SID, a_callback, an_event
from tests.streams import a_batch_of, a_sink, a_subscription, an_event_of

RANDOM_BYTES = bytes(range(32))
BEFORE = datetime(2024, 10, 15, tzinfo=UTC)
AFTER = datetime(2024, 11, 2, tzinfo=UTC)


def of_an_event(url: str, *, now: datetime = BEFORE, policy: Policy = NOTICE) -> CallbackRecord:
    return compose(
        encode(parameters_of(an_event(sim_status=SimStatus.INACTIVE))),
        account_sid=ACCOUNT_SID,
        to=CallbackUrl.parse(url),
        method=HttpMethod.POST,
        policy=policy,
        random_bytes=RANDOM_BYTES,
        now=now,
    )


def test_an_event_becomes_a_callback_that_is_due_at_once() -> None:
    assert of_an_event("http://a.example/p?x=1#cbs=kore&foo") == CallbackRecord(
        sid="CB01928d797400060708090a0b0c0d0e0f",
        account_sid=ACCOUNT_SID,
        url=CallbackUrl.parse("http://a.example/p?x=1#cbs=kore&foo"),
        method=HttpMethod.POST,
        body=(
            "ApiVersion=v1&SimUniqueName=my_super_sim&SimSid=HSab3f06be8f5d32caecb91e8a306c6c08"
            "&SimStatus=inactive&AccountSid=AC3ba717b1d236e6c4a835e46130267eb4"
        ),
        source=Source.KORE,
        source_asked=Source.KORE,
        source_reason="the URL asks for it: #cbs=kore",
        idempotency_token="RQ01928d797400161718191a1b1c1d1e1f",
        date_created=BEFORE,
        progress=DeliveryProgress(date_updated=BEFORE, status=CallbackStatus.SCHEDULED, due=BEFORE),
        event="sim",
        sim_sid="HSab3f06be8f5d32caecb91e8a306c6c08",
    )


ACME_SOURCES: Sources = {
    **BUILT_IN,
    "acme": replace(BUILT_IN[Source.KORE], body_encoding=BodyEncoding.JSON),
}
ACME_POLICY = Policy((Phase("all", None, "acme", frozenset({"acme"})),))


@pytest.mark.parametrize("method", HttpMethod)
def test_a_source_chooses_the_encoding_of_the_body_but_a_query_is_a_form(
    method: HttpMethod,
) -> None:
    form = f"SimSid={SIM_SID}&SimStatus=active&Note=%C3%A9+%26"
    callback = compose(
        form,
        account_sid=ACCOUNT_SID,
        to=CallbackUrl.parse("https://a.example/"),
        method=method,
        policy=ACME_POLICY,
        sources=ACME_SOURCES,
        random_bytes=RANDOM_BYTES,
        now=BEFORE,
    )
    as_json = f'{{"SimSid":"{SIM_SID}","SimStatus":"active","Note":"é &"}}'
    assert callback.body == (form if method is HttpMethod.GET else as_json)
    assert callback.parameters == decode(form)
    assert (callback.event, callback.sim_sid) == ("sim", SIM_SID)


def test_a_replay_from_another_source_is_encoded_anew() -> None:
    as_json, form = '{"Tag":["b","a"],"Note":"é"}', "Tag=b&Tag=a&Note=%C3%A9"
    more = {"random_bytes": RANDOM_BYTES, "now": BEFORE, "sources": ACME_SOURCES}
    from_kore = a_callback(source=Source.KORE, body=form)
    from_acme = from_kore._replace(source="acme", body=as_json)
    assert repeat(from_kore, source="acme", **more).body == as_json
    assert repeat(from_acme, source=Source.TWILIO, **more).body == form
    get = from_kore._replace(method=HttpMethod.GET)
    assert repeat(get, source="acme", **more).body == form


@pytest.mark.parametrize(
    ("url", "now", "source", "token"),
    [
        ("http://a.example/", BEFORE, Source.TWILIO, "01928d79-7400-4617-9819-1a1b1c1d1e1f"),
        ("http://a.example/", AFTER, Source.KORE, "RQ0192ea2bec00161718191a1b1c1d1e1f"),
        ("http://a.example/#cbs=kore", BEFORE, Source.KORE, "RQ01928d797400161718191a1b1c1d1e1f"),
    ],
)
def test_the_token_is_one_of_its_source(
    url: str, now: datetime, source: Source, token: str
) -> None:
    callback = of_an_event(url, now=now)
    assert (callback.source, callback.idempotency_token) == (source, token)


def test_choosing_twilio_too_late_is_recorded() -> None:
    callback = of_an_event("http://a.example/#cbs=twilio", now=AFTER)
    assert (callback.source_asked, callback.source, callback.source_reason) == (
        Source.TWILIO,
        Source.KORE,
        "the URL asks for twilio, but twilio ended on 2024-11-02",
    )


def test_both_sources_send_the_same_body() -> None:
    twilio = of_an_event("http://a.example/#cbs=twilio")
    kore = of_an_event("http://a.example/#cbs=kore")
    assert (twilio.source, kore.source) == (Source.TWILIO, Source.KORE)
    assert twilio.body == kore.body


@pytest.mark.parametrize(
    "hold",
    [
        PhaseHold("after", account_sid=ACCOUNT_SID),
        PhaseHold("after", url_prefix="http://a.example/"),
    ],
)
def test_a_hold_is_looked_up_by_account_and_by_url(hold: PhaseHold) -> None:
    callback = of_an_event("http://a.example/p", policy=replace(NOTICE, holds=(hold,)))
    assert callback.source is Source.KORE


def test_credentials_in_a_url_do_not_hide_it_from_a_hold() -> None:
    policy = replace(NOTICE, holds=(PhaseHold("after", url_prefix="http://a.example/"),))
    callback = of_an_event("http://user:hunter2@a.example/p", policy=policy)
    assert callback.source is Source.KORE
    assert "hunter2" not in callback.source_reason


def test_a_callback_needs_32_bytes() -> None:
    assert CALLBACK_BYTES == 32


def test_a_later_callback_has_the_higher_sid() -> None:
    early, late = (
        of_an_event("http://a.example/", now=now) for now in (BEFORE, BEFORE + timedelta(seconds=1))
    )
    assert early.sid < late.sid


# ---- callbacks with a customer's own content


def composed(
    *,
    due: datetime | None = None,
    key: str | None = None,
    order_key: str | None = None,
    now: datetime = BEFORE,
) -> CallbackRecord:
    return compose(
        "A=1",
        account_sid=ACCOUNT_SID,
        to=CallbackUrl.parse("http://a.example/#cbs=kore"),
        method=HttpMethod.GET,
        policy=NOTICE,
        random_bytes=RANDOM_BYTES,
        now=now,
        due=due,
        idempotency_key=key,
        order_key=order_key,
    )


def test_a_custom_body_is_sent_unchanged() -> None:
    callback = composed()
    assert (callback.body, callback.method, callback.source) == ("A=1", HttpMethod.GET, Source.KORE)


def test_without_a_time_it_is_due_at_once() -> None:
    assert composed().progress == DeliveryProgress(BEFORE, due=BEFORE)


def test_with_a_time_it_is_due_then() -> None:
    assert composed(due=AFTER).progress == DeliveryProgress(BEFORE, due=AFTER)


def test_its_source_is_that_of_the_day_of_its_creation() -> None:
    assert composed(due=AFTER).source_reason == "the URL asks for it: #cbs=kore"


@pytest.mark.parametrize("key", [None, "order 7"])
def test_it_has_the_keys_of_its_creator(key: str | None) -> None:
    assert composed(key=key).idempotency_key == key
    assert composed(order_key=key).order_key == key


# ---- test events


@pytest.mark.parametrize("secret_id", [None, "whs_1"])
@pytest.mark.parametrize("fragment", ["", "#cbs=twilio"])
def test_a_test_event_comes_from_kore_whatever_the_url_chooses(
    fragment: str, secret_id: str | None
) -> None:
    url = CallbackUrl.parse(f"http://u:p@a.example/{fragment}")
    random_bytes = bytes(range(TEST_CALLBACK_BYTES))
    made = compose_test(
        account_sid=ACCOUNT_SID,
        to=url,
        method=HttpMethod.GET,
        secret_id=secret_id,
        random_bytes=random_bytes,
        now=AFTER,
    )
    assert made == CallbackRecord(
        sid="CB0192ea2bec00060708090a0b0c0d0e0f",
        account_sid=ACCOUNT_SID,
        url=url,
        method=HttpMethod.GET,
        body=write_test_event(random_bytes[CALLBACK_BYTES:], at=AFTER),
        source=Source.KORE,
        source_asked=url.source,
        source_reason="test events always come from kore",
        idempotency_token="RQ0192ea2bec00161718191a1b1c1d1e1f",
        date_created=AFTER,
        progress=DeliveryProgress(AFTER, due=AFTER),
        is_test=True,
        secret_id=secret_id,
        event="test_event",
    )


# ---- replays from the other source


@pytest.mark.parametrize(
    ("source", "token"),
    [
        (Source.TWILIO, "0192ea2b-ec00-4617-9819-1a1b1c1d1e1f"),
        (Source.KORE, "RQ0192ea2bec00161718191a1b1c1d1e1f"),
    ],
)
def test_a_callback_is_repeated_as_a_new_one_with_a_token_of_its_source(
    source: Source, token: str
) -> None:
    first = a_callback(
        url="http://u:p@a.example/#cbs=kore&rc=3",
        method=HttpMethod.GET,
        status=CallbackStatus.FAILED,
        status_reason="it was late",
        attempt_count=7,
        round_number=3,
        idempotency_key="order 7",
        order_key="SIM 7",
        replay_of="CB1",
    )
    assert repeat(first, source=source, random_bytes=RANDOM_BYTES, now=AFTER) == CallbackRecord(
        sid="CB0192ea2bec00060708090a0b0c0d0e0f",
        account_sid=ACCOUNT_SID,
        url=first.url,
        method=HttpMethod.GET,
        body=first.body,
        source=source,
        source_asked=Source.KORE,
        source_reason=f"chosen when {first.sid} was replayed",
        idempotency_token=token,
        date_created=AFTER,
        progress=DeliveryProgress(AFTER, due=AFTER),
        idempotency_key=None,
        replay_of=first.sid,
        event="sim",
        sim_sid=SIM_SID,
        order_key="SIM 7",
    )


def test_a_batch_comes_from_its_streams_source_whatever_the_policy() -> None:
    stream = StreamBatch("DF1", "[2:1")
    made = compose_stream(
        "[{}]",
        stream,
        account_sid=ACCOUNT_SID,
        to=CallbackUrl.parse("https://a.example/#cbs=twilio"),
        method=HttpMethod.POST,
        source=Source.KORE,
        source_reason="the stream DF1 sends from kore",
        random_bytes=RANDOM_BYTES,
        now=NOW,
        sim_sid="HS1",
    )
    assert (made.source, made.source_asked, made.event) == (Source.KORE, None, "connection")
    assert (made.body, made.stream, made.sim_sid, made.is_test) == ("[{}]", stream, "HS1", False)
    assert made.idempotency_token.startswith("RQ")
    assert made.progress.due == NOW
    other = repeat(made, source=Source.TWILIO, random_bytes=RANDOM_BYTES, now=NOW, body="[{ }]")
    assert (other.body, other.stream, other.replay_of) == ("[{ }]", stream, made.sid)


def test_the_test_event_of_a_sink_is_one() -> None:
    made = compose_stream(
        "[{}]",
        StreamBatch("DG1"),
        account_sid=ACCOUNT_SID,
        to=CallbackUrl.parse("https://a.example/"),
        method=HttpMethod.POST,
        source=Source.TWILIO,
        source_reason="the sink DG1 is one of twilio",
        random_bytes=RANDOM_BYTES,
        now=NOW,
        is_test=True,
    )
    assert (made.event, made.is_test) == ("test_event", True)


def test_a_batch_is_repeated_as_the_other_source_sends_and_retries_it() -> None:
    batch = a_batch_of([an_event_of(1)], a_sink(source=Source.TWILIO), a_subscription())
    again = repeat(
        batch, source=Source.KORE, random_bytes=RANDOM_BYTES, now=AFTER, body="[the same]"
    )
    assert (again.body, again.stream, again.replay_of) == ("[the same]", batch.stream, batch.sid)
    assert again.url.connection == STREAM_RETRIES[Source.KORE].connection
    assert batch.url.connection == STREAM_RETRIES[Source.TWILIO].connection
