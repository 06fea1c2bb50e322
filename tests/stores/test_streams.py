"""Event streams: events are stored once, wait for each subscriber, and stay as long as needed."""

from dataclasses import replace
from datetime import timedelta

import pytest

from ringback.core.accounts.account import EVERY
from ringback.core.callbacks.callback import CallbackRecord, StreamBatch
from ringback.core.callbacks.retry import NoRetryNeeded, RetryNow
from ringback.core.errors import NotFound
from ringback.core.policy.source_policy import Source
from ringback.core.streams.batch_plan import PendingEvent
from ringback.core.streams.event_references import (
    EventReference,
    body_of_references,
    write_references,
)
from ringback.core.streams.sink import SinkStatus
from ringback.core.streams.stream_event import StreamEvent
from ringback.core.streams.stream_retries import STREAM_RETRIES
from ringback.ports import PageWindow, Store, StreamEventFilter, Transaction
from tests.fakes import NOW
from tests.stores.asking import claim, ended, settle
from tests.stores.records import OUR_LANE, OURS, SECOND, THEIRS, callback
from tests.streams import (
    ENDED,
    STARTED,
    UPDATED,
    a_sink,
    a_subscription,
    add_stream,
    an_event_of,
    sim_sid,
)

DAY = timedelta(days=1)
ODD = 'ü\N{GRINNING FACE}"\\'


def ours(number: int, sim: int = 1, **more: object) -> StreamEvent:
    return replace(an_event_of(number, sim, **more), account_sid=OURS)  # pyright: ignore[reportArgumentType] (keywords of the builder)


async def add(store: Store, *events: StreamEvent, to: tuple[int, ...] = (1,)) -> None:
    def work(tx: Transaction) -> None:
        for event in events:
            tx.streams.events.add(event, [a_subscription(one).sid for one in to])

    await store.transact(work)


async def pending(store: Store, of: int = 1, limit: int = 99) -> list[PendingEvent]:
    sid = a_subscription(of).sid
    return list(await store.read(lambda tx: tx.streams.events.pending(sid, limit=limit)))


def batch_of(
    tx: Transaction, number: int, events: list[int], source: Source = Source.KORE
) -> CallbackRecord:
    references = write_references([EventReference(one, 2) for one in events])
    made = callback(number)
    return made._replace(
        url=made.url.of_stream(STREAM_RETRIES[source].connection),
        source=source,
        source_asked=None,
        body=body_of_references(references, source, tx.streams.events.numbered),
        event="connection",
        stream=StreamBatch(a_subscription(1).sid, references),
    )


async def make_batch(store: Store, number: int, events: list[int], **how: Source) -> CallbackRecord:
    def work(tx: Transaction) -> CallbackRecord:
        batch = batch_of(tx, number, events, **how)
        tx.callbacks.add(batch)
        tx.streams.events.take(a_subscription(1).sid, events)
        return batch

    return await store.transact(work)


async def test_sinks_and_subscriptions_are_kept_as_they_are(store: Store) -> None:
    sink = replace(
        a_sink(1, url="https://u:p@a.example/e?x=1#rc=3&odd", has_batches=True),
        configuration={"Odd": [1, {"x": None}], "batchEvents": True},
        description=ODD,
        status=SinkStatus.VALIDATING,
        test_id="x",
        test_sid="CB1",
        created_by="SK1",
    )
    subscription = replace(
        a_subscription(1, types={STARTED: 1, ENDED: 2}),
        is_enabled=False,
        notes=(ODD,),
        product_group="Connectivity",
    )
    await store.transact(lambda tx: add_stream(tx, sink, subscription))
    assert await store.read(lambda tx: tx.streams.sinks.get(sink.sid)) == sink
    found = await store.read(lambda tx: tx.streams.subscriptions.get(subscription.sid))
    assert found == subscription
    changed = replace(sink, status=SinkStatus.ACTIVE, description="")
    await store.transact(lambda tx: tx.streams.sinks.save(changed))
    assert await store.read(lambda tx: tx.streams.sinks.get(sink.sid)) == changed
    await store.transact(lambda tx: tx.streams.sinks.remove(sink.sid))
    assert await store.read(lambda tx: tx.streams.sinks.get(sink.sid)) is None


async def test_subscriptions_are_found_by_account_and_sink(store: Store) -> None:
    def work(tx: Transaction) -> None:
        for number, owner in ((1, OURS), (2, THEIRS), (3, OURS)):
            add_stream(
                tx, a_sink(number, account_sid=owner), a_subscription(number, account_sid=owner)
            )

    await store.transact(work)
    own = await store.read(lambda tx: tx.streams.subscriptions.of_account(OURS))
    assert [one.sid for one in own] == [a_subscription(1).sid, a_subscription(3).sid]
    every = await store.read(lambda tx: tx.streams.subscriptions.of_account(EVERY))
    assert len(every) == 3
    which = {"account_sid": OURS, "sink_sid": a_sink(3).sid}
    found = await store.read(lambda tx: tx.streams.subscriptions.first(which))
    assert found is not None
    assert found.sid == a_subscription(3).sid
    to = await store.read(lambda tx: tx.streams.sinks.destinations(OURS))
    assert to == {one.sid: one.url.destination for one in (a_sink(1), a_sink(3))}


async def test_a_subscription_that_was_read_before_is_read_with_its_changes(store: Store) -> None:
    before = a_subscription(1, account_sid=OURS)
    await store.transact(lambda tx: add_stream(tx, a_sink(1, account_sid=OURS), before))
    for one in (before, replace(before, is_enabled=False), replace(before, types={ENDED: 1})):
        await store.transact(lambda tx, one=one: tx.streams.subscriptions.save(one))
        for ask in (store.read, store.transact):
            found = await ask(lambda tx: tx.streams.subscriptions.of_account(OURS))
            assert list(found) == [one]
    moved = a_sink(1, account_sid=OURS, url="http://b.example/e")

    def move_and_fail(tx: Transaction) -> None:
        tx.streams.sinks.save(moved)
        tx.streams.subscriptions.remove(before.sid)
        assert list(tx.streams.subscriptions.of_account(OURS)) == []
        assert set(tx.streams.sinks.destinations(OURS).values()) == {"http://b.example:80"}
        raise NotFound("undone")

    with pytest.raises(NotFound):
        await store.transact(move_and_fail)
    assert len(await store.transact(lambda tx: tx.streams.subscriptions.of_account(OURS))) == 1
    to = await store.transact(lambda tx: tx.streams.sinks.destinations(OURS))
    assert set(to.values()) == {"http://a.example:80"}
    await store.transact(lambda tx: tx.streams.sinks.save(moved))
    to = await store.transact(lambda tx: tx.streams.sinks.destinations(OURS))
    assert set(to.values()) == {"http://b.example:80"}

    def add_another(tx: Transaction) -> tuple[int, int]:
        add_stream(tx, a_sink(2, account_sid=OURS), a_subscription(2, account_sid=OURS))
        of_account = tx.streams.subscriptions.of_account(OURS)
        return len(of_account), len(tx.streams.sinks.destinations(OURS))

    assert await store.transact(add_another) == (2, 2)


async def test_an_event_waits_for_each_of_its_subscribers_in_order(store: Store) -> None:
    await add(store, ours(1), ours(2, 2, type_=ENDED), to=(1, 2))
    await add(store, ours(3))
    first = await pending(store)
    assert [(one.sim_sid, one.type) for one in first] == [
        (sim_sid(1), STARTED),
        (sim_sid(2), ENDED),
        (sim_sid(1), STARTED),
    ]
    assert [one.number for one in first] == sorted(one.number for one in first)
    assert first[0].size == len(ours(1).data.encode())
    assert await pending(store, 2) == first[:2]
    assert await pending(store, limit=1) == first[:1]
    await store.transact(
        lambda tx: tx.streams.events.take(a_subscription(1).sid, [first[1].number])
    )
    assert await pending(store) == [first[0], first[2]]
    assert await pending(store, 2) == first[:2]


async def test_waiting_events_are_counted_and_dropped(store: Store) -> None:
    sid = a_subscription(1).sid
    await add(store, *(ours(number) for number in range(1, 6)))
    counts = [
        await store.read(lambda tx, n=limit: tx.streams.events.count_pending(sid, limit=n))
        for limit in (3, 99)
    ]
    assert counts == [3, 5]
    dropped = [
        await store.transact(lambda tx: tx.streams.events.drop_pending(sid, limit=3))
        for _ in range(3)
    ]
    assert dropped == [3, 2, 0]
    assert await pending(store) == []


async def test_subscriptions_that_events_wait_for_are_found(store: Store) -> None:
    await store.transact(lambda tx: add_stream(tx, a_sink(1), a_subscription(1)))
    await store.transact(lambda tx: add_stream(tx, a_sink(2), a_subscription(2)))
    assert list(await store.read(lambda tx: tx.streams.events.waited_for())) == []
    await add(store, ours(1), to=(2,))
    waited_for = await store.read(lambda tx: tx.streams.events.waited_for())
    assert list(waited_for) == [a_subscription(2).sid]


@pytest.mark.parametrize("source", Source)
async def test_a_batch_is_read_with_the_bytes_it_was_made_with(
    store: Store, source: Source
) -> None:
    await add(store, ours(1, sim_unique_name=ODD), ours(2, 2, type_=UPDATED))
    numbers = [one.number for one in await pending(store)]
    made = await make_batch(store, 1, numbers, source=source)
    assert await pending(store) == []
    assert await store.read(lambda tx: tx.callbacks.find(made.sid)) == made
    (taken,) = await claim(store)
    assert (taken.callback.body, taken.callback.stream) == (made.body, made.stream)
    assert taken.callback.url == made.url
    await settle(store, ended(taken, NoRetryNeeded()))
    (read,) = await store.read(lambda tx: tx.callbacks.attempts(made.sid))
    assert read.request is None or read.request.body == made.body


async def test_a_test_event_of_a_sink_has_its_own_body(store: Store) -> None:
    test = callback(1)._replace(
        url=callback(1).url.of_stream(STREAM_RETRIES[Source.TWILIO].connection),
        source=Source.TWILIO,
        body='[{"type":"test"}]',
        is_test=True,
        stream=StreamBatch(a_sink(1).sid),
        event="test_event",
        sim_sid=None,
    )
    await store.transact(lambda tx: tx.callbacks.add(test))
    assert await store.read(lambda tx: tx.callbacks.find(test.sid)) == test


async def test_events_that_are_gone_are_missed(store: Store) -> None:
    with pytest.raises(LookupError, match=r"events that do not exist: \[5\]"):
        await store.read(lambda tx: tx.streams.events.numbered([5]))


async def test_batches_are_unattempted_until_their_first_attempt_has_ended(store: Store) -> None:
    await add(store, ours(1), ours(2, 2), ours(3, 3))
    first, second, third = [one.number for one in await pending(store)]
    one = await make_batch(store, 1, [first, second])
    two = await make_batch(store, 2, [third])

    async def unattempted() -> dict[str, set[str]]:
        sid = a_subscription(1).sid
        found = await store.read(lambda tx: tx.streams.events.unattempted(OUR_LANE, sid))
        return {batch: {*sims} for batch, sims in found.items()}

    both = {one.sid: {sim_sid(1), sim_sid(2)}, two.sid: {sim_sid(3)}}
    assert await unattempted() == both
    claims = await claim(store)
    assert await unattempted() == both
    await settle(store, ended(claims[0], NoRetryNeeded()))
    assert await unattempted() == {two.sid: {sim_sid(3)}}
    await settle(store, ended(claims[1], RetryNow()))
    assert await unattempted() == {}
    assert (
        await store.read(lambda tx: tx.streams.events.unattempted(OUR_LANE, a_subscription(2).sid))
        == {}
    )


async def test_events_are_listed_newest_first_by_account_and_filter(store: Store) -> None:
    theirs = replace(an_event_of(9, 9), account_sid=THEIRS)
    late = ours(3, 2, type_=ENDED, at=NOW + SECOND)
    await add(store, ours(1), theirs, ours(2, 2), late)

    async def listed(
        which: StreamEventFilter,
        owner: str = OURS,
        window: PageWindow = PageWindow(9),  # noqa: B008 (it never changes)
    ) -> list[str]:
        page = await store.read(lambda tx: tx.streams.events.page(owner, which, window))
        return [event.sid[-1] for event in page]

    assert await listed(StreamEventFilter()) == ["3", "2", "1"]
    assert await listed(StreamEventFilter(), EVERY) == ["3", "2", "9", "1"]
    assert await listed(StreamEventFilter(sim_sid=sim_sid(2))) == ["3", "2"]
    assert await listed(StreamEventFilter(type=STARTED)) == ["2", "1"]
    assert await listed(StreamEventFilter(since=NOW + SECOND)) == ["3"]
    assert await listed(StreamEventFilter(until=NOW + SECOND)) == ["2", "1"]
    window = PageWindow(1, after=late.sid)
    assert await listed(StreamEventFilter(), window=window) == ["2"]
    assert await store.read(lambda tx: tx.streams.events.get(late.sid)) == late
    assert await store.read(lambda tx: tx.streams.events.get("EZ0")) is None


async def test_old_events_go_unless_they_wait_or_are_in_a_batch(store: Store) -> None:
    await add(store, ours(1), ours(2), ours(3), ours(4, at=NOW + DAY))
    first, second, third, _ = [one.number for one in await pending(store)]
    await store.transact(lambda tx: tx.streams.events.take(a_subscription(1).sid, [first, third]))

    async def remove(limit: int = 99) -> int:
        return await store.transact(
            lambda tx: tx.streams.events.remove_before(NOW + SECOND, limit=limit)
        )

    await make_batch(store, 1, [second])
    assert await remove(1) == 1, "the first one is before the first event of all batches"
    assert await remove() == 0, "a batch has an event that is older than the third one"
    (taken,) = await claim(store)
    await settle(store, ended(taken, NoRetryNeeded()))
    assert await remove() == 0, "the batch is still there"


async def test_an_event_that_waits_does_not_go(store: Store) -> None:
    await add(store, ours(1), to=(2,))
    assert await store.transact(lambda tx: tx.streams.events.remove_before(NOW + DAY, limit=9)) == 0
