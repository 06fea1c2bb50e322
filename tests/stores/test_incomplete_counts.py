"""Counts that a killed process has not written are shown as incomplete, on every store."""

from datetime import timedelta

from ringback.core.callback_counts import CountGap
from ringback.delivery.minute_counters import CounterWriter, MinuteCounters
from ringback.ports import SoleProcess, Store
from tests.fakes import FakeClock
from tests.stores.records import OURS, callback

MINUTE = timedelta(minutes=1)


def writer_of(store: Store, clock: FakeClock) -> tuple[MinuteCounters, CounterWriter]:
    counters = MinuteCounters()
    return counters, CounterWriter(counters, store=store, clock=clock, cluster=SoleProcess())


async def gaps(store: Store, clock: FakeClock) -> list[CountGap]:
    now = clock.now()
    return await store.read(lambda tx: tx.counters.gaps(now - 60 * MINUTE, now + MINUTE, now=now))


async def test_counts_of_a_killed_process_are_incomplete(store: Store) -> None:
    clock = FakeClock()
    counters, writer = writer_of(store, clock)
    began = clock.now().replace(second=0, microsecond=0)
    one = callback(1, OURS, created=clock.now())
    await store.transact(lambda tx: tx.callbacks.add(one))
    counters.accepted(one)
    await writer.write()
    # Killed: nothing writes any more. The next process writes and stops.
    clock.advance(4 * MINUTE)
    late, other = writer_of(store, clock)
    late.accepted(one._replace(date_created=clock.now()))
    await other.write()
    await other.stop()
    assert await gaps(store, clock) == [CountGap(began - MINUTE, began + 2 * MINUTE)]


async def test_counts_of_a_stopped_process_are_complete(store: Store) -> None:
    clock = FakeClock()
    counters, writer = writer_of(store, clock)
    one = callback(1, OURS, created=clock.now())
    await store.transact(lambda tx: tx.callbacks.add(one))
    counters.accepted(one)
    await writer.write()
    await writer.stop()
    clock.advance(4 * MINUTE)
    assert await gaps(store, clock) == []
