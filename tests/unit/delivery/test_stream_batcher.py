"""Batches of event streams: what is in them, in which order, and what a restart makes of them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import timedelta
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from ringback.core.callbacks.callback import discard
from ringback.core.http.http_exchange import AttemptResult, OutgoingRequest
from ringback.core.http.outcome import RefusedOutcome
from ringback.core.policy.source_policy import Source
from ringback.core.streams.stream_event import StreamEvent
from ringback.ports import CallbackFilter, PageWindow, SendingPause, Store, Transaction
from tests.fakes import ACCOUNT_SID, NOW, FakeClock, SeededRandomness, an_account
from tests.memory_store import MemoryStore
from tests.stores.asking import new_file, opened
from tests.streams import (
    ENDED,
    STARTED,
    UPDATED,
    a_sink,
    a_subscription,
    add_stream,
    an_event_of,
    events_in,
    sim_sid,
)
from tests.unit.delivery.parts import DELIVERED, Bench, FunctionTransport, all_has_run, running

SECOND = timedelta(seconds=1)
TYPES = (STARTED, UPDATED, ENDED)
TOKEN_HEADERS = {Source.TWILIO: "I-Twilio-Idempotency-Token", Source.KORE: "Kore-Idempotency-Token"}


class Receiver:
    """Answers requests as told, and remembers them."""

    def __init__(self) -> None:
        self.requests = list[OutgoingRequest]()
        self.answers = list[AttemptResult]()
        """The next answers; afterwards, everything is delivered."""
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, request: OutgoingRequest) -> AttemptResult:
        self.requests.append(request)
        await self.gate.wait()
        return self.answers.pop(0) if self.answers else DELIVERED

    async def has_got(self, count: int) -> None:
        """Wait until there are so many requests."""
        async with asyncio.timeout(30):
            while len(self.requests) < count:
                await quiet()

    @property
    def batches(self) -> list[list[str]]:
        """The last digit of each event's SID, by request."""
        return [
            [data["event_sid"].lstrip("EZ0") for data in events_in(one.body.decode())]
            for one in self.requests
        ]


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
        return
    (tmp_path / "ringback.db").write_bytes(new_file())
    async with opened(tmp_path / "ringback.db") as in_file:
        yield in_file


def publish(bench: Bench, *events: StreamEvent, to: int = 1) -> Callable[[Transaction], None]:
    subscription = a_subscription(to)
    sims = {event.sim_sid for event in events}

    def work(tx: Transaction) -> None:
        for event in events:
            tx.streams.events.add(event, [subscription.sid])
        sim_sid = sims.pop() if len(sims) == 1 else None
        bench.delivery.queue.expect_events(tx, {subscription.sid: "http://a.example:80"}, sim_sid)

    return work


async def begin(store: Store, source: Source, *, has_batches: bool = False) -> None:
    def work(tx: Transaction) -> None:
        tx.accounts.add(an_account(), [])
        add_stream(tx, a_sink(1, source, has_batches=has_batches), a_subscription(1, source))

    await store.transact(work)


def bench_with(store: Store, receiver: Receiver, *, seed: int = 0) -> Bench:
    return Bench(store, FunctionTransport(receiver), random_source=SeededRandomness(seed))


async def quiet() -> None:
    """Wait until nothing more happens by itself; a commit takes a few milliseconds."""
    for _ in range(20):
        await all_has_run()
        await asyncio.sleep(0.01)


async def test_a_batch_from_kore_has_one_type_and_waits_a_second_for_more(store: Store) -> None:
    await begin(store, Source.KORE)
    receiver = Receiver()
    bench = bench_with(store, receiver)
    async with running(bench.delivery.run):
        await store.transact(publish(bench, an_event_of(1, 1), an_event_of(2, 2, ENDED)))
        await quiet()
        assert receiver.batches == []
        assert await bench.delivery.next_due() == NOW + SECOND
        await store.transact(publish(bench, an_event_of(3, 3)))
        bench.clock.advance(SECOND)
        await quiet()
    assert sorted(receiver.batches) == [["1", "3"], ["2"]]
    (one,) = [it for it in receiver.requests if len(json.loads(it.body)) == 2]
    assert dict(one.headers)["Content-Type"] == "application/json"
    assert "Kore-Signature" in dict(one.headers)


async def test_an_event_waits_a_second_at_most_also_if_its_sim_was_busy(store: Store) -> None:
    await begin(store, Source.KORE)
    receiver = Receiver()
    bench = bench_with(store, receiver)
    events = an_event_of(1), an_event_of(2, type_=UPDATED), an_event_of(3, type_=ENDED)
    async with running(bench.delivery.run):
        await store.transact(publish(bench, *events))
        await quiet()
        bench.clock.advance(SECOND)
        await quiet()
    assert receiver.batches == [["1"], ["2"], ["3"]]


async def test_a_full_batch_does_not_wait(store: Store) -> None:
    await begin(store, Source.KORE)
    receiver = Receiver()
    bench = bench_with(store, receiver)
    async with running(bench.delivery.run):
        await store.transact(publish(bench, *(an_event_of(n, n) for n in range(1, 52))))
        await quiet()
        assert list(map(len, receiver.batches)) == [50]
        bench.clock.advance(SECOND)
        await quiet()
    assert list(map(len, receiver.batches)) == [50, 1]


async def test_twilio_sends_one_event_in_a_request(store: Store) -> None:
    await begin(store, Source.TWILIO)
    receiver = Receiver()
    bench = bench_with(store, receiver)
    async with running(bench.delivery.run):
        await store.transact(publish(bench, an_event_of(1, 1), an_event_of(2, 2)))
        await quiet()
    assert sorted(receiver.batches) == [["1"], ["2"]]
    url = receiver.requests[0].url
    assert url.wire.startswith("http://a.example/events?bodySHA256=")


async def test_twilio_sends_batches_if_the_sink_wants_them(store: Store) -> None:
    await begin(store, Source.TWILIO, has_batches=True)
    receiver = Receiver()
    bench = bench_with(store, receiver)
    events = [an_event_of(1), an_event_of(2, type_=UPDATED), an_event_of(3, type_=ENDED)]
    async with running(bench.delivery.run):
        await store.transact(publish(bench, *events))
        await quiet()
    assert receiver.batches == [["1", "2", "3"]]


async def test_a_batch_with_batch_events_stays_below_64_kb(store: Store) -> None:
    await begin(store, Source.TWILIO, has_batches=True)
    receiver = Receiver()
    bench = bench_with(store, receiver)
    events = [an_event_of(n, n, sim_unique_name="x" * 3000) for n in range(1, 41)]
    async with running(bench.delivery.run):
        await store.transact(publish(bench, *events))
        await quiet()
    assert sum(map(len, receiver.batches)) == 40
    assert all(len(one.body) <= 64_000 for one in receiver.requests)
    assert len(receiver.requests) == 3


async def test_events_of_a_sim_keep_their_order_and_others_pass(store: Store) -> None:
    await begin(store, Source.TWILIO)
    receiver = Receiver()
    receiver.gate.clear()
    bench = bench_with(store, receiver)
    async with running(bench.delivery.run):
        events = an_event_of(1), an_event_of(2, type_=UPDATED), an_event_of(3, 2)
        await store.transact(publish(bench, *events))
        await quiet()
        assert sorted(receiver.batches) == [["1"], ["3"]]
        receiver.gate.set()
        await quiet()
    assert receiver.batches[2] == ["2"]


async def test_while_a_sim_is_busy_its_further_events_cost_no_look(store: Store) -> None:
    await begin(store, Source.TWILIO)
    receiver = Receiver()
    receiver.gate.clear()
    bench = bench_with(store, receiver)
    async with running(bench.delivery.run):
        are_looked_at = list[bool]()
        for number, sim in ((1, 1), (2, 1), (3, 1), (4, 1), (5, 2), (6, 2)):
            await store.transact(publish(bench, an_event_of(number, sim)))
            are_looked_at.append(not bench.delivery._batcher.is_still)
            await quiet()
        assert are_looked_at == [True, True, False, False, True, False]
        assert receiver.batches == [["1"], ["5"]]
        receiver.gate.set()
        await quiet()
        assert [it for it in receiver.batches if it < ["5"]] == [["1"], ["2"], ["3"], ["4"]]
        assert [it for it in receiver.batches if it > ["4"]] == [["5"], ["6"]]
        await store.transact(publish(bench, an_event_of(7)))
        await quiet()
    assert receiver.batches[-1] == ["7"]


def sids_of(numbers: Iterable[int]) -> list[str]:
    return [a_subscription(number).sid for number in numbers]


async def begin_many(store: Store, *, of: dict[str, range]) -> None:
    """Add accounts that have streams with these numbers, each to a URL that ends with its own."""

    def work(tx: Transaction) -> None:
        for account_sid, numbers in of.items():
            tx.accounts.add(an_account(sid=account_sid), [])
            for number in numbers:
                sink = a_sink(
                    number, Source.TWILIO, f"http://a.example/{number}", account_sid=account_sid
                )
                subscription = a_subscription(number, Source.TWILIO, account_sid=account_sid)
                add_stream(tx, sink, subscription)

    await store.transact(work)


def publish_to_all(
    bench: Bench, event: StreamEvent, numbers: Iterable[int]
) -> Callable[[Transaction], None]:
    sids = sids_of(numbers)

    def work(tx: Transaction) -> None:
        tx.streams.events.add(event, sids)
        bench.delivery.queue.expect_events(tx, dict.fromkeys(sids, "http://a.example:80"))

    return work


@pytest.mark.parametrize(("count", "longest"), [(8, 10.0), (10, 10.0), (10, 0.001)])
async def test_while_callbacks_are_sent_there_are_pauses_between_many_subscriptions(
    store: Store, monkeypatch: pytest.MonkeyPatch, count: int, longest: float
) -> None:
    numbers = range(1, count + 1)
    await begin_many(store, of={ACCOUNT_SID: numbers})
    receiver, slept = Receiver(), list[float]()
    receiver.gate.clear()  # so that each subscription is looked at once
    bench = bench_with(store, receiver)

    async def noted_sleep(seconds: float) -> None:
        slept.append(seconds)
        await asyncio.sleep(0)

    await store.transact(publish_to_all(bench, an_event_of(1), numbers))
    monkeypatch.setattr("ringback.delivery.stream_batcher._LONGEST_REST", longest)
    its_asyncio = SimpleNamespace(sleep=noted_sleep, get_running_loop=asyncio.get_running_loop)
    monkeypatch.setattr("ringback.delivery.stream_batcher.asyncio", its_asyncio)
    async with running(bench.delivery.run):
        await receiver.has_got(count)
        receiver.gate.set()
        rests = [seconds for seconds in slept if seconds]
    # There is a pause while more than eight are left. The first batch is sent by itself.
    assert len(rests) == max(count - 8, 0)
    assert [rest for rest in rests if rest > longest / (count - 1)] == []


async def test_an_accounts_stream_does_not_wait_for_the_many_of_another(store: Store) -> None:
    other, many = f"AC{9:032x}", range(1, 31)
    await begin_many(store, of={ACCOUNT_SID: many, other: range(31, 32)})
    receiver = Receiver()
    bench = bench_with(store, receiver)
    async with running(bench.delivery.run):
        await store.transact(publish_to_all(bench, an_event_of(1), range(1, 32)))
        await receiver.has_got(31)
        await quiet()
        await store.transact(publish_to_all(bench, an_event_of(2), range(1, 32)))
        await receiver.has_got(62)
    order = [one.url.wire.split("?")[0] for one in receiver.requests[31:]]
    # On a busy machine, the turn of eight that was under way may end first.
    assert order.index("http://a.example/31") <= 9


async def test_a_pause_while_batches_are_made_loses_none(store: Store) -> None:
    await begin_many(store, of={ACCOUNT_SID: range(1, 4)})
    receiver = Receiver()

    class PausesOnce(SeededRandomness):
        """Closes the gate while the first batch is made."""

        is_used = False

        def bytes(self, count: int) -> bytes:
            if not self.is_used:
                self.is_used = True
                bench.gate.use(SendingPause(NOW, "a look"))
            return super().bytes(count)

    bench = Bench(store, FunctionTransport(receiver), random_source=PausesOnce())
    await store.transact(publish_to_all(bench, an_event_of(1), range(1, 4)))
    async with running(bench.delivery.run):
        await quiet()
        assert receiver.batches == []
        bench.gate.use(None)
        await quiet()
        bench.clock.advance(SECOND)  # one may have been claimed already, and tries again
        await quiet()
    assert len(receiver.batches) == 3


async def test_a_failed_batch_does_not_hold_up_its_sims_after_the_first_attempt(
    store: Store,
) -> None:
    await begin(store, Source.TWILIO)
    receiver = Receiver()
    receiver.answers = [AttemptResult(RefusedOutcome(503))]
    bench = bench_with(store, receiver)
    async with running(bench.delivery.run):
        await store.transact(publish(bench, an_event_of(1), an_event_of(2, type_=UPDATED)))
        await quiet()
        assert receiver.batches == [["1"], ["2"]]
        bench.clock.advance(timedelta(minutes=10))
        await quiet()
    first, _, again = receiver.requests
    assert (again.url, again.body) == (first.url, first.body)
    token = "I-Twilio-Idempotency-Token"
    assert dict(again.headers)[token] == dict(first.headers)[token]


async def test_a_new_process_sends_what_waits_in_order_with_what_was_batched(store: Store) -> None:
    await begin(store, Source.TWILIO)
    before = bench_with(store, Receiver())
    await store.transact(publish(before, an_event_of(1), an_event_of(2, type_=UPDATED)))
    before.delivery.queue.is_closed = True  # it puts the first into a batch, and ends
    async with running(before.delivery._batcher.run):
        await quiet()
    receiver = Receiver()
    receiver.gate.clear()
    after = bench_with(store, receiver, seed=1)
    await after.delivery.recover()
    async with running(after.delivery.run):
        await quiet()
        assert receiver.batches == [["1"]]
        receiver.gate.set()
        await quiet()
    assert receiver.batches == [["1"], ["2"]]
    page = await store.read(
        lambda tx: tx.callbacks.page(ACCOUNT_SID, CallbackFilter(), PageWindow(9))
    )
    assert [one.event for one in page] == ["connection", "connection"]


async def test_events_for_a_deleted_subscription_are_dropped(store: Store) -> None:
    await begin(store, Source.TWILIO)
    receiver = Receiver()
    bench = bench_with(store, receiver)
    sid = a_subscription().sid
    await store.transact(publish(bench, an_event_of(1)))
    await store.transact(lambda tx: tx.streams.subscriptions.remove(sid))
    async with running(bench.delivery.run):
        await quiet()
    assert receiver.batches == []
    assert await store.read(lambda tx: tx.streams.events.count_pending(sid, limit=9)) == 0


async def test_a_batch_that_is_discarded_frees_its_sims(store: Store) -> None:
    await begin(store, Source.TWILIO)
    receiver = Receiver()
    bench = bench_with(store, receiver)
    bench.delivery.queue.is_closed = True  # batches only wait
    async with running(bench.delivery._batcher.run):
        await store.transact(publish(bench, an_event_of(1), an_event_of(2, type_=UPDATED)))
        await quiet()
        (first,) = await store.read(
            lambda tx: tx.callbacks.page(ACCOUNT_SID, CallbackFilter(), PageWindow(9))
        )
        await store.transact(
            lambda tx: bench.delivery.queue.change(
                tx, first, discard(first.progress, "not needed", NOW)
            )
        )
        await quiet()
        page = await store.read(
            lambda tx: tx.callbacks.page(ACCOUNT_SID, CallbackFilter(), PageWindow(9))
        )
    assert len(page) == 2


@pytest.mark.parametrize("source", Source)
@pytest.mark.parametrize("seed", range(12))
async def test_restarts_lose_nothing_and_first_attempts_keep_each_sims_order(
    seed: int, source: Source
) -> None:
    store, random, published = MemoryStore(), Random(seed), list[str]()
    await begin(store, source, has_batches=random.random() < 0.5)
    requests = dict[str, OutgoingRequest]()
    """The first request of each batch, by its token."""
    first_sent = list[dict[str, Any]]()
    """The data of all events, in the order of their first attempts."""

    async def answer(request: OutgoingRequest) -> AttemptResult:
        token = dict(request.headers)[TOKEN_HEADERS[source]]
        before = requests.setdefault(token, request)
        assert (request.body, request.url) == (before.body, before.url)
        if before is request:
            first_sent.extend(events_in(request.body.decode()))
        await asyncio.sleep(random.choice((0, 0, 0.002)))
        return random.choice((DELIVERED, DELIVERED, AttemptResult(RefusedOutcome(503))))

    clock = FakeClock()
    for life in range(4):
        bench = Bench(
            store,
            FunctionTransport(answer),
            random_source=SeededRandomness(100 * seed + life),
            clock=clock,
        )
        await bench.delivery.recover()
        tasks = asyncio.create_task(bench.delivery.run())
        for _ in range(random.randint(1, 6)):
            some = [
                an_event_of(len(published) + n, random.randint(1, 5), random.choice([*TYPES]))
                for n in range(1, random.randint(2, 9))
            ]
            published += [event.sid for event in some]
            await store.transact(publish(bench, *some))
            clock.advance(timedelta(seconds=random.choice((0, 1, 2))))
            for _ in range(random.randint(0, 12)):
                await asyncio.sleep(0)
        tasks.cancel()  # it dies: what it has begun has no effect any more
        await bench.delivery._loop.workers.cancel()
        # Its batcher must not go on beside the next process.
        await asyncio.wait([tasks])
    last = Bench(
        store,
        FunctionTransport(answer),
        random_source=SeededRandomness(100 * seed + 9),
        clock=clock,
    )
    await last.delivery.recover()
    async with running(last.delivery.run):
        for _ in range(100):
            clock.advance(timedelta(seconds=30))
            await all_has_run()
            await asyncio.sleep(0.001)
            waiting = await store.read(lambda tx: tx.streams.events.waited_for())
            if not waiting and not last.delivery.unfinished:
                break
    arrived = {
        data["event_sid"] for one in requests.values() for data in events_in(one.body.decode())
    }
    assert arrived == {*published}
    assert len(first_sent) == len(published), "each event is in one batch"
    for sim in range(1, 6):
        own = [one["event_sid"] for one in first_sent if one["sim_sid"] == sim_sid(sim)]
        assert own == sorted(own)


async def test_an_event_of_a_type_that_was_removed_meanwhile_is_still_sent(store: Store) -> None:
    await begin(store, Source.TWILIO)
    receiver = Receiver()
    bench = bench_with(store, receiver)
    fewer = a_subscription(1, Source.TWILIO, types={ENDED: 1})
    await store.transact(publish(bench, an_event_of(1, 1), an_event_of(2, 2, ENDED)))
    await store.transact(lambda tx: tx.streams.subscriptions.save(fewer))
    async with running(bench.delivery.run):
        await quiet()
    assert sorted(receiver.batches) == [["1"], ["2"]]
