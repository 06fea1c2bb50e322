"""The next process of a data file counts again what a killed one had not written."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from random import Random

import pytest

from ringback.core.callback_counts import CallbackCounts, CountGap, CountSpan
from ringback.core.callbacks.callback import CallbackRecord, CallbackStatus, discard, replay
from ringback.core.http.http_exchange import AttemptResult, OutgoingRequest
from ringback.core.http.outcome import AttemptFailure, NoAnswerOutcome
from ringback.core.retry_schedule import RetrySchedule
from ringback.delivery import minute_counters
from ringback.delivery.counters import DeliveryCounters
from ringback.delivery.minute_counters import CounterWriter
from ringback.ports import Settlement, SoleProcess, Store, Transaction, lane_of
from ringback.stores.sqlite.store import SqliteStore
from tests.counted_rows import counts_of_rows, counts_stored
from tests.fakes import FakeClock, claim_from
from tests.stores.records import OURS, SECOND, THEIRS, account, callback
from tests.stores.test_counts_equal_rows import History
from tests.unit.delivery.parts import Bench, FunctionTransport

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def store(sqlite: SqliteStore) -> SqliteStore:
    for sid in (OURS, THEIRS):
        await sqlite.transact(lambda tx, sid=sid: tx.accounts.add(account(sid), []))
    return sqlite


@dataclass
class KilledHistory(History):
    """A random history of processes that are killed: what they had only in memory is lost."""

    async def run(self, processes: int, steps: int) -> None:
        choices = (self.accept, self.accept, self.accept, self.discard, self.keep)
        for _ in range(processes):
            self.counters = DeliveryCounters()
            self.__post_init__()
            await self.writer.count_again()
            writing = asyncio.create_task(self.writer.run()) if self.random.random() < 0.5 else None
            async with self._process() as bench:
                for _ in range(steps):
                    await self.random.choice(choices)(bench)
                    # In all, no attempt lasts for three minutes.
                    self.clock.advance(timedelta(seconds=self.random.uniform(0, 12)))
                    await asyncio.sleep(0.01)
            if writing is not None:
                writing.cancel()
            # A commit that has begun goes on, which would not outlast a kill.
            await asyncio.sleep(0)
            async with self.writer._writing:
                pass
            self.did["lost"] += len(self.counters.by_minute.take())
            self.clock.advance(timedelta(seconds=self.random.choice((0, 5, 500, 100_000))))

    async def discard(self, bench: Bench) -> None:
        await self._change(
            bench,
            lambda one: one.status == "scheduled" and not one.progress.is_under_way,
            lambda one: discard(one.progress, "enough", self.clock.now()),
        )


@pytest.mark.parametrize("seed", range(3))
async def test_after_kills_the_counters_equal_the_rows(store: Store, seed: int) -> None:
    history = KilledHistory(store, Random(seed))
    await history.run(6, 12)
    last, counters = history, DeliveryCounters()
    writer = CounterWriter(counters.by_minute, store=store, clock=last.clock, cluster=last.cluster)
    await writer.count_again()
    await writer.write_all()
    stored, rows = await store.read(lambda tx: (counts_stored(tx), counts_of_rows(tx)))
    assert stored == rows
    assert await gaps(store, last.clock) == []
    # It would prove nothing if nothing had been lost.
    assert history.did["lost"] > 0
    assert any("unknown" in one.failures for one in stored.values())
    assert sum(one.retried for one in stored.values()) > 0
    assert sum(one.discarded for one in stored.values()) > 0


async def gaps(store: Store, clock: FakeClock) -> list[CountGap]:
    now = clock.now() + 5 * MINUTE
    return await store.read(lambda tx: tx.counters.gaps(now - 900 * MINUTE, now, now=now))


async def never_sent(_: OutgoingRequest) -> AttemptResult:
    raise AssertionError("nothing is sent here")


def later(number: int, clock: FakeClock) -> CallbackRecord:
    """Return a new callback that is not due yet."""
    return callback(number, created=clock.now(), due=clock.now() + 60 * MINUTE)


async def bench_of(store: Store, clock: FakeClock) -> tuple[Bench, CounterWriter]:
    """Return a new process, which has counted again."""
    bench = Bench(
        *(store, FunctionTransport(never_sent), RetrySchedule.parse("5s")),
        clock=clock,
        counters=DeliveryCounters(),
    )
    writer = CounterWriter(
        bench.counters.by_minute, store=store, clock=clock, cluster=SoleProcess()
    )
    await writer.count_again()
    return bench, writer


async def test_what_takes_too_long_to_count_again_stays_incomplete(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FakeClock()
    began = CountSpan.MINUTE.begin_of(clock.now())
    monkeypatch.setattr(minute_counters, "MOST_ROWS", 3)
    bench, writer = await bench_of(store, clock)
    await bench.take(*(later(number, clock) for number in range(4)))
    await writer.write()  # Only the note.
    for _ in range(2):
        _, writer = await bench_of(store, clock)
        await writer.stop()
        assert await store.read(counts_stored) == {}
        assert await gaps(store, clock) == [CountGap(began - MINUTE, began + 2 * MINUTE)]
    assert caplog.text.count("too much has happened to count all of it again") == 1


@pytest.mark.parametrize("what", ["replayed", "discarded"])
async def test_counts_that_rows_do_not_show_stay_incomplete(store: Store, what: str) -> None:
    clock = FakeClock()
    bench, writer = await bench_of(store, clock)
    one = later(1, clock)
    await bench.take(one)
    await writer.write()
    failed = one.having(discard(one.progress, "", clock.now()))
    failed = failed.having(failed.progress._replace(status=CallbackStatus.FAILED))
    await store.transact(lambda tx: bench.delivery.queue.change(tx, one, failed.progress))
    now = clock.now() + SECOND
    after = (
        replay(failed.progress, now) if what == "replayed" else discard(failed.progress, "", now)
    )
    await store.transact(lambda tx: bench.delivery.queue.change(tx, failed, after))
    _, writer = await bench_of(store, clock)
    await writer.stop()
    (counts,) = (await store.read(counts_stored)).values()
    assert counts == CallbackCounts(accepted=1)
    assert len(await gaps(store, clock)) == 1


async def test_a_start_after_a_stop_counts_nothing_again(store: Store) -> None:
    clock = FakeClock()
    bench, writer = await bench_of(store, clock)
    await bench.take(later(1, clock))
    await writer.stop()
    found = await store.transact(lambda tx: tx.counters.begin(limit=0))
    assert (found.counted, found.notes, found.lost_since) == ([], [], None)
    assert await gaps(store, clock) == []


async def test_counts_of_long_before_others_are_not_counted_again(store: Store) -> None:
    """Retention may have deleted rows since then."""
    clock = FakeClock()
    began = CountSpan.MINUTE.begin_of(clock.now())
    clock.advance(60 * MINUTE)
    bench, writer = await bench_of(store, clock)
    await bench.take(later(1, clock))
    await writer.write_all()
    await store.transact(lambda tx: tx.counters.mark(began))
    _, other = await bench_of(store, clock)
    await other.stop()
    assert await gaps(store, clock) == [CountGap(began - MINUTE, began + 2 * MINUTE)]


async def test_a_note_of_which_nothing_is_missing_goes(store: Store) -> None:
    clock = FakeClock()
    await store.transact(lambda tx: tx.counters.mark(clock.now()))
    _, writer = await bench_of(store, clock)
    running = asyncio.create_task(writer.run())
    async with asyncio.timeout(5):
        while await gaps(store, clock):  # noqa: ASYNC110 (there is no event)
            await asyncio.sleep(0.01)
    running.cancel()


async def test_attempts_of_a_callback_that_waits_since_long_ago_are_counted_again(
    store: Store,
) -> None:
    clock = FakeClock()
    bench, writer = await bench_of(store, clock)
    one = callback(1, created=clock.now(), due=clock.now() + 30 * MINUTE)
    await bench.take(one)
    await writer.write_all()
    clock.advance(30 * MINUTE)
    await store.transact(lambda tx: tx.counters.mark(CountSpan.MINUTE.begin_of(clock.now())))

    def fail(tx: Transaction) -> None:
        (taken,) = claim_from(tx, lane_of(one), clock.now(), limit=1)
        result = AttemptResult(NoAnswerOutcome(AttemptFailure.CONNECT, ""))
        waits = taken.progress._replace(due=clock.now() + 30 * MINUTE)
        tx.callbacks.settle([Settlement(taken, waits, result, clock.now())])

    await store.transact(fail)
    _, writer = await bench_of(store, clock)
    await writer.stop()
    counts = (await store.read(counts_stored)).values()
    assert [one.failures for one in counts] == [{}, {"connect": 1}]


async def test_what_is_summed_up_is_not_counted_again(store: Store) -> None:
    clock = FakeClock()
    bench, writer = await bench_of(store, clock)
    await bench.take(later(1, clock))
    await writer.write_all()
    hour = CountSpan.HOUR.begin_of(clock.now())

    def sum_up(tx: Transaction) -> None:
        for span in (CountSpan.HOUR, CountSpan.MINUTE):
            tx.counters.roll_up(span, hour + 60 * MINUTE, limit=100)
        tx.counters.remove(CountSpan.MINUTE, hour + 60 * MINUTE, limit=100)

    await store.transact(sum_up)
    clock.advance(120 * MINUTE)
    # It was killed while nothing happened, and had no counts to write.
    found = await store.transact(lambda tx: tx.counters.begin(limit=100))
    assert (found.counted, found.lost_since) == ([], None)


async def test_notes_go_with_the_counts_that_they_are_about(store: Store) -> None:
    clock = FakeClock()
    began, minute = clock.now(), CountSpan.MINUTE.begin_of(clock.now())
    await store.transact(lambda tx: tx.counters.note_lost([minute]))
    await store.transact(lambda tx: tx.counters.note_unclear(minute))
    for span in CountSpan:
        await store.transact(lambda tx, span=span: tx.counters.remove(span, began, limit=9))
    clock.advance(5 * MINUTE)
    assert await gaps(store, clock) == []
    bench, _ = await bench_of(store, clock)
    await bench.take(later(1, clock))
    await store.transact(lambda tx: tx.counters.mark(CountSpan.MINUTE.begin_of(began)))
    # If a minute were still unclear, its counts would stay incomplete.
    found = await store.transact(lambda tx: tx.counters.begin(limit=100))
    assert found.lost_since is None
