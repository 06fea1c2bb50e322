"""The counts of minutes in memory, and how they are written, summed up and deleted."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from ringback.core.callback_counts import CallbackCounts, CountedMinute, CountSpan
from ringback.core.callbacks.callback import begin, delivered, discard, replay
from ringback.core.http.http_exchange import AttemptResult, RequestTimings
from ringback.core.http.outcome import DeliveredOutcome
from ringback.core.policy.source_policy import Source
from ringback.delivery import minute_counters
from ringback.delivery.minute_counters import ROWS, CounterWriter, MinuteCounters
from ringback.ports import DeliveryClaim, Settlement, SoleProcess, Store, lane_of
from tests.counted_rows import counts_stored
from tests.counting_store import CountingStore
from tests.fakes import ACCOUNT_SID, FakeClock, a_callback, an_account
from tests.memory_store import MemoryStore
from tests.unit.delivery.parts import LANE, PausedStore, all_has_run, running

AT = CountSpan.HOUR.begin_of(FakeClock().now())
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
CALLBACK = a_callback(url="http://a.example", now=AT + 59 * SECOND)
UNDER_WAY = CALLBACK.having(begin(CALLBACK.progress, AT, total_timeout=15 * SECOND))
END = delivered(UNDER_WAY.progress, AT + 61 * SECOND)
SETTLED = Settlement(
    DeliveryClaim(UNDER_WAY, an_account(), lane_of(UNDER_WAY)),
    END,
    AttemptResult(DeliveredOutcome(200), RequestTimings(12.3)),
    AT + 60 * SECOND,
)
KEY = (ACCOUNT_SID, LANE.destination, Source.KORE)


@pytest.fixture
def counters() -> MinuteCounters:
    return MinuteCounters()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(AT + 119.999 * SECOND)


def writer_of(
    counters: MinuteCounters, store: Store, clock: FakeClock, cluster: SoleProcess | None = None
) -> CounterWriter:
    return CounterWriter(counters, store=store, clock=clock, cluster=cluster or SoleProcess())


async def accepted_in(store: Store) -> list[int]:
    """Return how many callbacks each stored minute has accepted."""
    return [counts.accepted for counts in (await store.read(counts_stored)).values()]


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not is_so():  # noqa: ASYNC110 (no event tells)
            await asyncio.sleep(0.001)


# ---- in memory -----------------------------------------------------------------------------------


def test_each_event_counts_in_its_own_minute(counters: MinuteCounters) -> None:
    counters.accepted(CALLBACK)
    counters.settled(SETTLED)
    counters.replayed(CALLBACK, replay(END, AT + 62 * SECOND))
    expected = CallbackCounts(replayed=1)
    expected.attempt_ended(1, AttemptResult(DeliveredOutcome(200), RequestTimings(12.3)))
    expected.ended(END.status, (END.date_updated - CALLBACK.date_created).total_seconds())
    assert counters.take() == [
        CountedMinute(AT, *KEY, CallbackCounts(accepted=1)),
        CountedMinute(AT + MINUTE, *KEY, expected),
    ]
    assert counters.take() == []


def test_an_attempt_that_was_put_back_does_not_count(counters: MinuteCounters) -> None:
    counters.settled(SETTLED._replace(result=None, progress=CALLBACK.progress))
    assert counters.take() == []


def test_an_attempt_that_another_follows_is_no_end(counters: MinuteCounters) -> None:
    counters.settled(SETTLED._replace(progress=CALLBACK.progress))
    (minute,) = counters.take()
    assert (minute.counts.attempts, minute.counts.delivered) == (1, 0)


def test_an_end_in_a_later_minute_than_its_attempt_counts_there(counters: MinuteCounters) -> None:
    later = END._replace(date_updated=AT + 2 * MINUTE)
    counters.settled(SETTLED._replace(progress=later))
    counted = [(one.began, one.counts.attempts, one.counts.delivered) for one in counters.take()]
    assert counted == [(AT + MINUTE, 1, 0), (AT + 2 * MINUTE, 0, 1)]


def test_a_callback_can_end_without_an_attempt(counters: MinuteCounters) -> None:
    counters.discarded(CALLBACK, discard(CALLBACK.progress, "why", AT + 3 * MINUTE))
    (minute,) = counters.take()
    assert (minute.began, minute.counts.discarded) == (AT + 3 * MINUTE, 1)


def test_each_account_destination_and_source_is_counted_by_itself(counters: MinuteCounters) -> None:
    other = CALLBACK._replace(account_sid="AC" + "e" * 32)
    elsewhere = a_callback(url="http://b.example", now=AT)
    twilio = CALLBACK._replace(source=Source.TWILIO)
    for one in (CALLBACK, other, elsewhere, twilio, CALLBACK):
        counters.accepted(one)
    assert [one.counts.accepted for one in counters.take()] == [2, 1, 1, 1]


def test_the_minute_that_is_not_over_stays(counters: MinuteCounters) -> None:
    for seconds in (0, 60, 120):
        counters.accepted(CALLBACK._replace(date_created=AT + seconds * SECOND))
    assert [one.began for one in counters.take(before=AT + 2 * MINUTE)] == [AT, AT + MINUTE]
    assert counters.has_counts.is_set()
    # The last event before `take` was in this minute; a further one still counts in it.
    counters.accepted(CALLBACK._replace(date_created=AT + 121 * SECOND))
    assert [one.counts.accepted for one in counters.take()] == [2]
    assert not counters.has_counts.is_set()


def test_too_many_counts_are_noticed(
    counters: MinuteCounters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counters, "_free", 3)
    for number in range(3):
        assert not counters.is_full.is_set()
        counters.accepted(a_callback(url=f"http://{number}.example"))
    assert counters.is_full.is_set()
    counters.take()
    assert not counters.is_full.is_set()


# ---- writing -------------------------------------------------------------------------------------


async def test_a_minute_is_written_soon_after_its_end(
    counters: MinuteCounters, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minute_counters, "_WRITTEN_AFTER", 0.0)
    store = CountingStore(MemoryStore())
    async with running(writer_of(counters, store, clock).run):
        await all_has_run()
        # Without callbacks, nothing is asked of the database.
        assert store.asked == 0
        counters.accepted(CALLBACK)
        await all_has_run()
        clock.advance(SECOND)
        # The first one notes that there are counts.
        await until(lambda: store.transactions >= 2)
    assert await accepted_in(store) == [1]


async def test_too_many_counts_are_written_at_once(
    counters: MinuteCounters, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, store = FakeClock(AT), CountingStore(MemoryStore())
    monkeypatch.setattr(counters, "_free", 2)
    async with running(writer_of(counters, store, clock).run):
        for number in range(2):
            counters.accepted(a_callback(url=f"http://{number}.example", now=AT))
        await until(lambda: store.transactions)
    assert await accepted_in(store) == [1, 1]


async def test_many_counts_are_written_in_several_commits(
    counters: MinuteCounters, clock: FakeClock
) -> None:
    store = CountingStore(MemoryStore())
    for number in range(ROWS + 1):
        counters.accepted(a_callback(url=f"http://{number}.example", now=AT))
    await writer_of(counters, store, clock).write()
    assert store.transactions == 2
    assert sum(await accepted_in(store)) == ROWS + 1


async def test_what_comes_late_is_added_to_its_minute(
    counters: MinuteCounters, clock: FakeClock
) -> None:
    store = MemoryStore()
    writer = writer_of(counters, store, clock)
    for _ in range(2):
        counters.accepted(CALLBACK)
        await writer.write()
    assert await accepted_in(store) == [2]


async def test_after_an_outage_everything_is_written_once(
    counters: MinuteCounters, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minute_counters, "_WRITTEN_AFTER", 0.0)
    store = CountingStore(MemoryStore())
    store.is_away = True
    async with running(writer_of(counters, store, clock).run):
        counters.accepted(CALLBACK)
        await until(lambda: store.asked >= 2)
        counters.accepted(CALLBACK)
        store.is_away = False
        async with asyncio.timeout(5):
            # The second one may be written later than the first.
            while await accepted_in(store) != [2]:  # noqa: ASYNC110 (there is no event)
                await asyncio.sleep(0.001)
    assert await accepted_in(store) == [2]


async def test_a_caller_that_goes_away_makes_nothing_count_twice(
    counters: MinuteCounters, clock: FakeClock
) -> None:
    memory = MemoryStore()
    store = PausedStore(memory)
    store.may_tell.clear()
    writer = writer_of(counters, store, clock)
    counters.accepted(CALLBACK)
    writing = asyncio.create_task(writer.write_all())
    await all_has_run()
    assert await accepted_in(memory) == [1]
    writing.cancel()
    stopping = asyncio.create_task(writer.stop())
    await all_has_run()
    store.may_tell.set()
    await stopping
    assert await accepted_in(memory) == [1]


async def test_the_stop_writes_all_or_says_what_is_lost(
    counters: MinuteCounters, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    store = CountingStore(MemoryStore())
    writer = writer_of(counters, store, clock)
    counters.accepted(CALLBACK._replace(date_created=clock.now()))
    await writer.stop()
    assert (await accepted_in(store), caplog.messages) == ([1], [])
    counters.accepted(CALLBACK)
    store.is_away = True
    await writer.stop()
    assert caplog.messages == ["the disk is full; the counts of the last minutes are lost: 1"]


async def test_counts_that_cannot_be_stored_do_not_stop_the_others(
    counters: MinuteCounters, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    store = CountingStore(MemoryStore())
    writer = writer_of(counters, store, clock)
    counters.accepted(CALLBACK)

    def fail() -> None:
        store.when_asked = lambda: None
        raise ValueError("this row can't be stored")

    store.when_asked = fail
    await writer.write()
    assert "1 counts can't be stored, and are lost" in caplog.messages
    # All later minutes are written, but these counts are missing for ever.
    clock.advance(5 * MINUTE)
    (gap,) = await store.read(
        lambda tx: tx.counters.gaps(AT - 60 * MINUTE, clock.now(), now=clock.now())
    )
    assert gap.overlaps(AT, AT + MINUTE)
    counters.accepted(CALLBACK)
    await writer.write()
    assert await accepted_in(store) == [1]


# ---- summing up ----------------------------------------------------------------------------------


class _Duty(SoleProcess):
    """A cluster in which another process may have the lease."""

    def __init__(self) -> None:
        super().__init__()
        self.is_ours = True
        self.asked = list[str]()

    async def hold(self, what: str) -> bool:
        self.asked.append(what)
        return self.is_ours


def spans_in(store: MemoryStore) -> list[tuple[CountSpan, int]]:
    """Return the span of each stored row, and how many callbacks it has accepted."""
    rows = store.tables.counters.rows.values()
    return sorted((row.span, row.counted.counts.accepted) for row in rows)


async def test_old_minutes_are_summed_up_and_deleted_by_the_process_that_has_the_lease(
    counters: MinuteCounters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minute_counters, "_PAUSE", 0.0)
    clock, store, duty = FakeClock(AT), MemoryStore(), _Duty()
    writer = writer_of(counters, store, clock, duty)

    async def keep_few() -> list[tuple[CountSpan, int]]:
        await writer._keep_few()
        return spans_in(store)

    for minute in range(60):
        counters.accepted(CALLBACK._replace(date_created=AT + minute * MINUTE))
    await writer.write_all()
    minutes = [(CountSpan.MINUTE, 1)] * 60
    assert await keep_few() == minutes
    clock.set(AT + 179 * MINUTE)
    assert await keep_few() == minutes
    duty.is_ours = False
    clock.set(AT + 180 * MINUTE)
    assert await keep_few() == minutes
    duty.is_ours = True
    assert await keep_few() == [(CountSpan.HOUR, 60), *minutes]
    # Once an hour is enough.
    asked = len(duty.asked)
    await keep_few()
    assert (len(duty.asked), set(duty.asked)) == (asked, {"counters"})
    clock.set(AT + timedelta(days=4))
    assert await keep_few() == [(CountSpan.DAY, 60), (CountSpan.HOUR, 60), *minutes]
    clock.set(AT + timedelta(days=9))
    assert await keep_few() == [(CountSpan.DAY, 60), (CountSpan.HOUR, 60)]
    clock.set(AT + timedelta(days=401))
    assert await keep_few() == [(CountSpan.DAY, 60)]
    clock.set(AT + timedelta(days=3660))
    assert await keep_few() == []


async def test_a_failure_to_sum_up_does_not_stop_the_server(
    counters: MinuteCounters,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(minute_counters, "_WRITTEN_AFTER", 0.0)
    store = CountingStore(MemoryStore())

    def fail() -> None:
        # The note, the counts, and the note's end are written.
        if store.transactions >= 3:
            raise ValueError("a row can't be read")

    store.when_asked = fail
    async with running(writer_of(counters, store, clock).run) as task:
        counters.accepted(CALLBACK)
        await until(lambda: caplog.messages)
        assert not task.done()
    assert caplog.messages == [
        "old counts can't be summed up or deleted; the next try is in a minute"
    ]
