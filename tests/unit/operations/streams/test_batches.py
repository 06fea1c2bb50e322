"""Batches of event streams: their events, replays, and what they are left out of."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.callbacks.callback import CallbackRecord, CallbackStatus, DeliveryProgress
from ringback.core.errors import Conflict, NotFound
from ringback.core.policy.source_policy import Source
from ringback.core.streams.kinesis_stream import url_of_stream
from ringback.core.streams.sink import SinkType, StreamSink
from ringback.core.streams.stream_retries import STREAM_RETRIES
from ringback.operations.callback_destinations import destinations_of
from ringback.operations.receiver_checks import find_receiver
from ringback.operations.refused_callbacks import RefusedCallbacks, ReturnedUrl
from ringback.operations.replay import (
    from_other_source,
    from_same_source,
    replay_callback,
    replay_named,
)
from ringback.operations.streams.batches import (
    batches_with,
    body_from,
    events_of,
    fetch_event,
    last_batch,
)
from ringback.operations.streams.sinks import SinkParameters, create_sink, send_test, update_sink
from ringback.operations.streams.subscriptions import create_subscription, update_subscription
from tests.callback_queues import RecordingQueue
from tests.fakes import ACCOUNT_SID, NOW, a_callback, a_context, an_account
from tests.memory_store import MemoryStore, MemoryTransaction
from tests.streams import (
    ARN,
    ENDED,
    STARTED,
    a_sink,
    a_subscription,
    add_batch,
    add_stream,
    an_event_of,
)

TWILIO, KORE = Source
THEIRS = "AC" + "f" * 32
NOON = NOW + timedelta(hours=1)
ENDED_STATUSES = frozenset(CallbackStatus) - {CallbackStatus.SCHEDULED}
FAILED = DeliveryProgress(NOW, CallbackStatus.FAILED, "refused", 1)
SINK, RULE = a_sink(), a_subscription(types={STARTED: 2, ENDED: 1})


@pytest.fixture
def tx() -> MemoryTransaction:
    tx = MemoryTransaction()
    tx.accounts.add(an_account(), [])
    return tx


@pytest.fixture
def queue() -> RecordingQueue:
    return RecordingQueue()


def a_failed_batch(tx: MemoryTransaction, sink: StreamSink = SINK) -> CallbackRecord:
    """Return a failed batch of two events, whose schemas have different versions."""
    rule = replace(RULE, source=sink.source)
    add_stream(tx, sink, rule)
    for number, type_ in ((1, STARTED), (2, ENDED)):
        event = an_event_of(number, type_=type_, data_session_data_total=7)
        tx.streams.events.add(event, [rule.sid])
    return add_batch(tx, sink, rule, progress=FAILED)


def data_in(callback: CallbackRecord) -> list[dict[str, object]]:
    return [event["data"] for event in json.loads(callback.body)]


# ---- events --------------------------------------------------------------------------------------


def test_a_batch_has_its_events_in_their_order(tx: MemoryTransaction) -> None:
    batch = a_failed_batch(tx)
    assert [(one.event.sid, one.version) for one in events_of(tx, batch)] == [
        (an_event_of(1).sid, 2),
        (an_event_of(2).sid, 1),
    ]
    assert events_of(tx, a_callback()) == ()


def test_an_event_belongs_to_its_account(tx: MemoryTransaction) -> None:
    batch = a_failed_batch(tx)
    sid = an_event_of(1).sid
    assert fetch_event(tx, ACCOUNT_SID, sid).sid == sid
    assert batches_with(tx, ACCOUNT_SID, sid) == ([batch], False)
    for account_sid, asked in ((THEIRS, sid), (ACCOUNT_SID, "EZ1"), (ACCOUNT_SID, "EZ" + "f" * 32)):
        with pytest.raises(NotFound, match=f"there is no event {asked}; events are kept as long"):
            batches_with(tx, account_sid, asked)


def test_the_last_batch_of_a_stream_is_its_own(tx: MemoryTransaction) -> None:
    batch = a_failed_batch(tx)
    tx.callbacks.add(a_callback())
    assert last_batch(tx, ACCOUNT_SID, RULE.sid) == batch
    assert last_batch(tx, ACCOUNT_SID, a_subscription(2).sid) is None


# ---- replays -------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", Source)
def test_a_replay_from_the_other_source_has_the_same_events(
    tx: MemoryTransaction, queue: RecordingQueue, source: Source
) -> None:
    batch = a_failed_batch(tx, a_sink(source=source))
    other = KORE if source is TWILIO else TWILIO
    send_again = from_other_source(a_context(now=NOON, queue=queue))
    again = replay_callback(tx, ACCOUNT_SID, batch.sid, send_again, statuses=ENDED_STATUSES)
    assert (again.source, again.replay_of, again.stream) == (other, batch.sid, batch.stream)
    assert again.url.connection == STREAM_RETRIES[other].connection
    assert again.body != batch.body
    assert data_in(again) == data_in(batch)
    assert "data_session_data_total" in data_in(again)[0]
    assert "data_session_data_total" not in data_in(again)[1]
    assert tx.callbacks.callbacks[batch.sid].status is CallbackStatus.DISCARDED


def test_a_replay_from_its_own_source_is_the_same_batch(
    tx: MemoryTransaction, queue: RecordingQueue
) -> None:
    batch = a_failed_batch(tx)
    send_again = from_same_source(a_context(now=NOON, queue=queue))
    done = replay_named(tx, ACCOUNT_SID, [batch.sid], send_again, statuses=ENDED_STATUSES)
    assert done.replayed == 1
    again = tx.callbacks.callbacks[batch.sid]
    assert (again.status, again.body, again.progress.due) == (
        CallbackStatus.SCHEDULED,
        batch.body,
        NOON,
    )


def test_a_record_of_a_kinesis_stream_stays_one_event(tx: MemoryTransaction) -> None:
    sink = a_sink(arn=ARN)
    add_stream(tx, sink, RULE)
    tx.streams.events.add(an_event_of(1), [RULE.sid])
    batch = add_batch(tx, sink, RULE)
    assert (body_from(tx, batch, TWILIO) or "").startswith('{"specversion"')
    assert body_from(tx, batch, KORE) == batch.body


def test_only_twilio_and_kore_send_events(tx: MemoryTransaction) -> None:
    batch = a_failed_batch(tx)
    why = f"{batch.sid} is a batch of events, which only twilio and kore send, not 'acme'"
    with pytest.raises(Conflict, match=why):
        body_from(tx, batch, "acme")
    assert body_from(tx, a_callback(), "acme") is None


@pytest.mark.parametrize("source", Source)
def test_a_test_event_comes_only_from_the_source_of_its_sink(
    tx: MemoryTransaction, source: Source
) -> None:
    sink = a_sink(source=source)
    tx.streams.sinks.add(sink)
    context = a_context()
    test = send_test(tx, ACCOUNT_SID, sink.sid, source, context)
    with pytest.raises(Conflict, match=f"is a test event, which only {source} sends; send a new"):
        body_from(tx, test, KORE)
    with pytest.raises(Conflict, match=f"only {source} sends; replay it from {source}, or create"):
        from_other_source(context)(tx, test)


# ---- what batches are left out of ----------------------------------------------------------------


def test_urls_of_streams_are_no_destinations_of_callbacks(tx: MemoryTransaction) -> None:
    batch = a_failed_batch(tx)
    assert destinations_of(tx, ACCOUNT_SID) == []
    tx.callbacks.add(a_callback(url=batch.url.configured, sid="CB" + "7" * 32))
    assert [one.url.configured for one in destinations_of(tx, ACCOUNT_SID)] == [
        batch.url.configured
    ]


async def test_a_url_of_a_stream_is_no_receiver_to_check() -> None:
    store = MemoryStore()
    batch = a_failed_batch(store.tables)
    url = CallbackUrl.parse(batch.url.configured)
    assert await find_receiver(store, ACCOUNT_SID, url) is None
    store.tables.callbacks.add(a_callback(url=url.configured, sid="CB" + "7" * 32))
    assert await find_receiver(store, ACCOUNT_SID, url) is not None


def test_refused_batches_are_not_sent_again_when_urls_go_back(
    tx: MemoryTransaction, queue: RecordingQueue
) -> None:
    batch = a_failed_batch(tx)
    urls = {batch.url.shown: ReturnedUrl(batch.url.configured, NOW)}
    refused = RefusedCallbacks(account_sid=ACCOUNT_SID, source=KORE, urls=urls)
    context = a_context(now=NOON, queue=queue)
    done = refused.send_again(tx, CallbackStatus.FAILED, context, after=None, limit=9)
    assert sum(done.fates.values()) == 0


# ---- servers of earlier versions -----------------------------------------------------------------


def test_no_stream_is_created_while_servers_of_an_earlier_version_run(
    tx: MemoryTransaction, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unaware() -> Sequence[str]:
        return ["old-1", "old-2"]

    tx.streams.sinks.add(SINK)
    monkeypatch.setattr(tx.streams.events, "unaware_servers", unaware)
    why = "old-1, old-2 of an earlier version can't send events, .*; replace these processes"
    given, context = SinkParameters("new", SinkType.KINESIS, url_of_stream(ARN)), a_context()
    with pytest.raises(Conflict, match=why):
        create_sink(tx, ACCOUNT_SID, KORE, given, context)
    rule = {"description": "new", "sink_sid": SINK.sid, "types": [(ENDED, None)]}
    with pytest.raises(Conflict, match=why):
        create_subscription(tx, ACCOUNT_SID, KORE, context, **rule)


def test_what_changes_nothing_leaves_no_entry(tx: MemoryTransaction) -> None:
    add_stream(tx, SINK, RULE)
    context = a_context(now=NOON)
    update_sink(tx, ACCOUNT_SID, SINK.sid, KORE, context, description=SINK.description)
    update_subscription(tx, ACCOUNT_SID, RULE.sid, KORE, context, is_enabled=True)
    assert tx.audit.entries == {}
    assert tx.streams.sinks.get(SINK.sid) == SINK
    update_sink(tx, ACCOUNT_SID, SINK.sid, KORE, context, description="another")
    update_subscription(tx, ACCOUNT_SID, RULE.sid, KORE, context, is_enabled=False)
    actions = [entry.action for entry in tx.audit.entries.values()]
    assert actions == ["UpdateStreamDestination", "UpdateStreamingRule"]
