"""Event streams of both sources over HTTP: how they are, their events and their batches."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from starlette.types import ASGIApp

from ringback.api.app import create_app
from ringback.core.callbacks.callback import CallbackStatus, DeliveryProgress
from ringback.core.policy.source_policy import Source
from ringback.core.streams.sink import StreamSettings
from ringback.ports import Store, Transaction
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, NOW, FakeClock, a_callback, an_api_key
from tests.streams import (
    ARN,
    ENDED,
    UPDATED,
    a_sink,
    a_subscription,
    add_batch,
    add_stream,
    an_event_of,
    events_in,
    sim_sid,
)
from tests.unit.api.caller import Caller
from tests.unit.api.world import THEIRS, dependencies_on

STREAMS = "/portal/v1/streams"
EVENTS = f"{STREAMS}/events"
CALLBACKS = "/portal/v1/callbacks"
TWILIO, KORE = Source
HOUR = timedelta(hours=1)
FAILED = DeliveryProgress(NOW, CallbackStatus.FAILED, "refused", 1)
OPERATORS = an_api_key("SK" + "3" * 32, None, "operator's")
OURS, RULE = a_sink(), a_subscription()
OUR_LAKE, LAKES_RULE = a_sink(2, arn=ARN), a_subscription(2)
AT_TWILIO, SUBSCRIPTION = a_sink(3, TWILIO), a_subscription(3, TWILIO, types={ENDED: 1})
THEIR_SINK = a_sink(4, account_sid=THEIRS)


def fill(tx: Transaction) -> None:
    add_stream(tx, OURS, RULE)
    add_stream(tx, AT_TWILIO, SUBSCRIPTION)
    add_stream(tx, THEIR_SINK, a_subscription(4, account_sid=THEIRS))
    tx.accounts.keys.add(OPERATORS)


def add_events(tx: Transaction) -> None:
    """Add three events about two SIMs, an hour after each other."""
    for number, sim, type_ in ((1, 1, UPDATED), (2, 2, ENDED), (3, 1, ENDED)):
        event = an_event_of(number, sim, type_, at=NOW + number * HOUR)
        tx.streams.events.add(event, [RULE.sid, SUBSCRIPTION.sid][: 2 if type_ is ENDED else 1])


@pytest.fixture(autouse=True)
async def filled(store: Store) -> None:
    await store.transact(fill)


@pytest.fixture
def other(app: ASGIApp) -> Caller:
    return Caller(app, credentials=(THEIRS, AUTH_TOKEN))


@pytest.fixture
def operator(app: ASGIApp) -> Caller:
    return Caller(app, credentials=(OPERATORS.sid, "operator's"))


async def streams(caller: Caller, query: str = "") -> list[dict[str, Any]]:
    answer = await caller.get(f"{STREAMS}{query}")
    assert answer.status == 200, answer.body
    return answer.json["streams"]


async def events(caller: Caller, query: str = "") -> list[str]:
    answer = await caller.get(f"{EVENTS}{query}")
    assert answer.status == 200, answer.body
    return [one["sid"] for one in answer.json["events"]]


# ---- streams -------------------------------------------------------------------------------------


async def test_a_stream_says_what_waits_and_what_was_sent_last(
    caller: Caller, store: Store
) -> None:
    await store.transact(add_events)
    batch = await store.transact(lambda tx: add_batch(tx, OURS, RULE, progress=FAILED))
    await store.transact(lambda tx: tx.streams.events.add(an_event_of(4), [RULE.sid]))
    at_twilio, ours = await streams(caller)
    (rule,) = ours["subscriptions"]
    assert (ours["sid"], ours["source"], ours["type"], ours["to"]) == (
        *(OURS.sid, "kore", "webhook", "http://a.example/events"),
    )
    assert (rule["sid"], rule["waiting"], rule["waiting_has_more"]) == (RULE.sid, 1, False)
    assert rule["last_batch"] == {
        "sid": batch.sid,
        "status": "failed",
        "date_created": "2024-07-03T14:40:58Z",
    }
    (subscription,) = at_twilio["subscriptions"]
    assert subscription["event_types"] == [{"type": ENDED.value, "schema_version": 1}]
    assert (subscription["waiting"], subscription["last_batch"]) == (2, None)


async def test_a_stream_says_why_it_gets_nothing(
    caller: Caller, store: Store, clock: FakeClock
) -> None:
    silent = [one["subscriptions"][0]["silent_because"] for one in await streams(caller)]
    assert silent == [None, None]
    await store.transact(lambda tx: tx.streams.subscriptions.save(replace(RULE, is_enabled=False)))
    clock.set(NOW.replace(year=2025))
    silent = [one["subscriptions"][0]["silent_because"] for one in await streams(caller)]
    assert silent == [
        "its types are discontinued at twilio since 2024-11-02 (phase 'after' of the policy)",
        "it is disabled",
    ]


async def test_a_stream_says_from_when_on_it_gets_nothing(
    caller: Caller, store: Store, clock: FakeClock
) -> None:
    async def silent_from() -> list[str | None]:
        return [one["subscriptions"][0]["silent_from"] for one in await streams(caller)]

    assert await silent_from() == ["2024-11-02T00:00:00Z", None]
    await store.transact(lambda tx: tx.streams.subscriptions.save(replace(RULE, is_enabled=False)))
    assert await silent_from() == ["2024-11-02T00:00:00Z", None]
    clock.set(NOW.replace(year=2025))
    assert await silent_from() == [None, None]


async def test_streams_can_be_those_of_one_source(caller: Caller, store: Store) -> None:
    await store.transact(lambda tx: tx.streams.sinks.add(OUR_LAKE))
    assert [one["to"] for one in await streams(caller, "?Source=kore")] == [
        ARN,
        "http://a.example/events",
    ]
    assert [one["sid"] for one in await streams(caller, "?Source=twilio")] == [AT_TWILIO.sid]
    assert (await streams(caller, "?Source=kore"))[0]["subscriptions"] == []


async def test_an_account_sees_its_own_streams_and_the_operator_all(
    other: Caller, operator: Caller
) -> None:
    assert [one["sid"] for one in await streams(other)] == [THEIR_SINK.sid]
    assert [one["account_sid"] for one in await streams(operator)] == [
        *(THEIRS, ACCOUNT_SID, ACCOUNT_SID)
    ]


# ---- events --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", [3, 2, 1]),
        (f"?SimSid={sim_sid(1)}", [3, 1]),
        (f"?Type={ENDED}", [3, 2]),
        ("?Since=2024-07-03T16:40:58Z", [3, 2]),
        ("?Until=2024-07-03T16:40:58Z", [1]),
        (f"?SimSid={sim_sid(1)}&Type={ENDED}&Since=2024-07-03T16:00:00Z", [3]),
        ("?PageSize=2", [3, 2]),
    ],
)
async def test_events_are_listed_by_sim_type_and_time(
    caller: Caller, store: Store, query: str, numbers: list[int]
) -> None:
    await store.transact(add_events)
    assert await events(caller, query) == [an_event_of(number).sid for number in numbers]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "SimSid=DE1",
            "SimSid='DE1': SimSid must be the SID of a Super SIM: HS and 32 hexadecimal",
        ),
        ("Type=odd", "Type='odd': Type must be one of com.twilio.iot.supersim.connection."),
        ("Since=yesterday", "Since='yesterday': it must be a date and time like"),
    ],
)
async def test_a_wrong_filter_of_events_says_why(caller: Caller, query: str, message: str) -> None:
    answer = await caller.get(f"{EVENTS}?{query}")
    assert (answer.status, answer.json["message"][: len(message)]) == (400, message)


async def test_an_event_is_shown_as_each_source_writes_it(caller: Caller, store: Store) -> None:
    await store.transact(add_events)
    shown = (await caller.get(f"{EVENTS}/{an_event_of(2).sid}")).json
    written = {source: json.loads(text) for source, text in shown["written"].items()}
    assert list(written["twilio"])[:3] == ["specversion", "type", "source"]
    assert list(written["kore"])[:3] == ["data", "id", "time"]
    assert written["twilio"]["data"] == written["kore"]["data"]
    assert (shown["sim_sid"], shown["date_created"]) == (sim_sid(2), "2024-07-03T16:40:58Z")


async def test_an_event_has_the_prefix_of_the_settings(store: Store) -> None:
    parts, settings = dependencies_on(store), StreamSettings(has_kore_prefix=True)
    make = parts.context
    app = create_app(replace(parts, context=lambda: replace(make(), streams=settings)))
    caller = Caller(app, credentials=(ACCOUNT_SID, AUTH_TOKEN))
    await store.transact(add_events)
    written = (await caller.get(f"{EVENTS}/{an_event_of(2).sid}")).json["written"]
    assert json.loads(written["kore"])["type"] == ENDED.with_kore_prefix
    assert json.loads(written["twilio"])["type"] == ENDED


async def test_an_event_has_its_batches_with_their_replays(caller: Caller, store: Store) -> None:
    await store.transact(add_events)
    first = await store.transact(lambda tx: add_batch(tx, OURS, RULE, progress=FAILED))
    second = await store.transact(lambda tx: add_batch(tx, AT_TWILIO, SUBSCRIPTION, 2))
    again = await caller.post(f"{CALLBACKS}/{first.sid}/replay", {"AsOtherSource": "yes"})
    of = {
        number: (await caller.get(f"{EVENTS}/{an_event_of(number).sid}/batches")).json
        for number in (1, 2)
    }
    assert {one["sid"] for one in of[1]["batches"]} == {first.sid, again.json["sid"]}
    assert {one["sid"] for one in of[2]["batches"]} == {first.sid, second.sid, again.json["sid"]}
    assert of[1]["has_more"] is False


async def test_events_of_others_are_unknown(other: Caller, store: Store, operator: Caller) -> None:
    await store.transact(add_events)
    assert await events(other) == []
    for path in (f"{EVENTS}/{an_event_of(1).sid}", f"{EVENTS}/{an_event_of(1).sid}/batches"):
        answer = await other.get(path)
        assert (answer.status, answer.json["code"]) == (404, 20404)
    assert len(await events(operator)) == 3


# ---- batches, which are callbacks ----------------------------------------------------------------


async def test_a_batch_is_shown_with_its_events(caller: Caller, store: Store) -> None:
    await store.transact(add_events)
    batch = await store.transact(lambda tx: add_batch(tx, OURS, RULE))
    shown = (await caller.get(f"{CALLBACKS}/{batch.sid}")).json
    assert (shown["stream_sid"], shown["parameters"], shown["is_test"]) == (RULE.sid, {}, False)
    assert [(one["id"], one["type"], one["sim_sid"]) for one in shown["events"]] == [
        (an_event_of(1).sid, UPDATED, sim_sid(1)),
        (an_event_of(2).sid, ENDED, sim_sid(2)),
        (an_event_of(3).sid, ENDED, sim_sid(1)),
    ]
    assert events_in(shown["body"])[0]["event_sid"] == an_event_of(1).sid


async def test_a_record_of_a_kinesis_stream_is_shown_with_its_event(
    caller: Caller, store: Store
) -> None:
    await store.transact(lambda tx: add_stream(tx, OUR_LAKE, LAKES_RULE))
    await store.transact(lambda tx: tx.streams.events.add(an_event_of(1), [LAKES_RULE.sid]))
    batch = await store.transact(lambda tx: add_batch(tx, OUR_LAKE, LAKES_RULE))
    shown = (await caller.get(f"{CALLBACKS}/{batch.sid}")).json
    assert [one["id"] for one in shown["events"]] == [an_event_of(1).sid]
    answer = await caller.get(f"{CALLBACKS}/{batch.sid}/comparison")
    assert (answer.status, answer.json["message"]) == (
        409,
        f"{batch.sid} goes to a Kinesis stream; a record there has neither headers nor a signature"
        " to compare",
    )


async def test_callbacks_are_filtered_by_stream(caller: Caller, store: Store) -> None:
    await store.transact(add_events)
    batch = await store.transact(lambda tx: add_batch(tx, OURS, RULE))
    await store.transact(lambda tx: add_batch(tx, AT_TWILIO, SUBSCRIPTION, 2))
    await store.transact(lambda tx: tx.callbacks.add(a_callback()))

    async def found(query: str) -> list[str]:
        return [one["sid"] for one in (await caller.get(f"{CALLBACKS}?{query}")).json["callbacks"]]

    assert await found(f"Stream={RULE.sid}") == [batch.sid]
    assert len(await found("Event=connection")) == 2
    assert await found(f"Stream={OURS.sid}") == []
    assert await found(f"Text={an_event_of(1).sid}") == []
    wrong = await caller.get(f"{CALLBACKS}?Stream=HS1")
    assert wrong.json["message"].startswith(
        "Stream='HS1': Stream must be the SID of a subscription"
    )


async def test_a_batch_has_its_source_from_its_stream(caller: Caller, store: Store) -> None:
    await store.transact(add_events)
    batch = await store.transact(lambda tx: add_batch(tx, OURS, RULE, progress=FAILED))
    found = (await caller.get(f"{CALLBACKS}/{batch.sid}/explanation")).json
    assert (found["decides"], found["policy_version"], found["steps_are_known"]) == (
        *("stream", None, True),
    )
    assert found["retries"] == "up to 3 more attempts, after about 2 s, 10 s and 50 s"
    again = await caller.post(f"{CALLBACKS}/{batch.sid}/replay", {"AsOtherSource": "yes"})
    found = (await caller.get(f"{CALLBACKS}/{again.json['sid']}/explanation")).json
    assert found["decides"] == "replay"
    assert found["retries"].startswith("for 4 hours, after random waits")


async def test_a_batch_is_compared_with_the_same_events_from_the_other_source(
    caller: Caller, store: Store
) -> None:
    await store.transact(add_events)
    batch = await store.transact(lambda tx: add_batch(tx, OURS, RULE))
    found = (await caller.get(f"{CALLBACKS}/{batch.sid}/comparison")).json
    first, second = found["first"], found["second"]
    assert (first["source"], second["source"], second["callback_sid"]) == (
        *("twilio", "kore", batch.sid),
    )
    assert second["body"] == batch.body
    assert first["body"].startswith('[{"specversion"')
    assert "?bodySHA256=" in first["request_line"]
    assert found["summary"].endswith("; the body has the same events, written in another way.")
    assert found["parameters"] == []


async def test_a_test_event_of_a_stream_is_only_that_of_its_source(
    caller: Caller, store: Store
) -> None:
    path = f"/portal/v1/streams/destinations/{OURS.sid}/test"
    sid = (await caller.post(path, {})).json["sid"]
    explained = (await caller.get(f"{CALLBACKS}/{sid}/explanation")).json
    assert (explained["decides"], explained["schedule"]) == ("stream", "faithful")
    compared = await caller.get(f"{CALLBACKS}/{sid}/comparison")
    assert compared.json["message"] == (
        f"{sid} is a test event, which comes from kore alone; compare it with another callback"
    )
    failed = DeliveryProgress(NOW, CallbackStatus.FAILED, "refused", 1)

    def fail(tx: Transaction) -> None:
        test = tx.callbacks.find(sid)
        assert test is not None
        tx.callbacks.change(test.having(failed))

    await store.transact(fail)
    replayed = await caller.post(f"{CALLBACKS}/{sid}/replay", {"AsOtherSource": "yes"})
    assert (replayed.status, replayed.json["message"]) == (
        409,
        f"{sid} is a test event, which only kore sends; replay it from kore, or create a new one",
    )
