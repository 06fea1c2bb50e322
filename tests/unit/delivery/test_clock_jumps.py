"""A clock that jumps a century ahead and back: retries come as if it had not jumped."""

from datetime import datetime, timedelta

import pytest

from ringback.core.callbacks.callback import DeliveryProgress
from ringback.core.retry_schedule import LONGEST_WAIT, PERSISTENT, RetrySchedule
from ringback.ports import Store
from tests.fakes import ACCOUNT_SID, NOW, RecordingTransport, a_callback, an_account
from tests.unit.delivery.parts import (
    HOST,
    NOT_CONNECTED,
    REFUSED,
    Bench,
    SteadyRandomness,
    a_store,
    all_has_run,
    callback_in,
    results_in,
    running,
    sid,
)

SECOND = timedelta(seconds=1)
CENTURY = timedelta(days=36525)
URL = f"{HOST}#rc=0"


async def due_of(store: Store) -> datetime:
    due = (await callback_in(store)).progress.due
    assert due is not None
    return due


@pytest.mark.parametrize(
    "own", [None, RetrySchedule.parse("30d")], ids=["server's", "account's own"]
)
async def test_a_retry_planned_by_the_wrong_clock_waits_as_long_from_now(
    own: RetrySchedule | None,
) -> None:
    store = await a_store(a_callback(url=URL), account=an_account(schedule=own))
    bench = Bench(store, RecordingTransport([NOT_CONNECTED]), schedule=PERSISTENT)
    bench.clock.set(NOW + CENTURY)
    await bench.settle()
    planned = await due_of(store)
    assert planned > NOW + CENTURY
    right = Bench(store, RecordingTransport(), schedule=PERSISTENT)
    await right.delivery.recover()
    longest = max(*((own or PERSISTENT).waits), LONGEST_WAIT)
    due = await due_of(store)
    assert due == NOW + (planned - NOW - CENTURY)
    assert due <= NOW + longest * 1.2
    async with running(right.delivery.run):
        right.clock.set(due)
        await right.steps.reach("settled")
        await all_has_run()
    assert await results_in(store) == ["unreachable", "delivered"]


async def test_it_is_found_by_the_minutes_sweep_of_the_same_process(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = await a_store(a_callback(url=URL))
    bench = Bench(store, RecordingTransport([REFUSED]), schedule=PERSISTENT)
    bench.clock.set(NOW + CENTURY)
    async with running(bench.delivery.run):
        await bench.steps.reach("settled")
        await all_has_run()
        # The clock is right again, and the loop is woken.
        bench.clock.set(NOW)
        await bench.take(a_callback(sid=sid(2), url=f"{HOST}:81", due=NOW + SECOND))
        await all_has_run()
        due = await due_of(store)
        assert due == NOW + timedelta(seconds=4), "5 s minus a fifth"
        bench.clock.set(due)
        await bench.steps.reach("settled", 3)
    assert "the clock was set back: 1 callbacks now start their wait" in caplog.text


async def test_a_callback_scheduled_by_its_customer_stays() -> None:
    far = NOW + CENTURY
    store = await a_store(a_callback(due=far))
    await Bench(store, RecordingTransport()).delivery.recover()
    assert (await callback_in(store)).progress.due == far


async def test_more_callbacks_than_one_sweep_reads_are_all_found() -> None:
    later = NOW + CENTURY
    callbacks = [a_callback(sid=sid(n), url=URL) for n in range(600)]
    store = await a_store(*callbacks)
    retried = DeliveryProgress(later - SECOND, attempt_count=1, due=later)
    for one in callbacks:
        await store.transact(lambda tx, one=one: tx.callbacks.change(one.having(retried)))
    await Bench(store, RecordingTransport()).delivery.recover()
    found = await store.transact(
        lambda tx: [tx.callbacks.get(ACCOUNT_SID, sid(n)) for n in range(600)]
    )
    assert {one and one.progress.due for one in found} == {NOW + SECOND}


async def test_a_clock_without_jumps_changes_nothing() -> None:
    waiting = a_callback(url=URL, attempt_count=1, due=NOW + 9 * SECOND, updated=NOW)
    store = await a_store(waiting)
    bench = Bench(store, RecordingTransport(), random_source=SteadyRandomness())
    await bench.delivery.recover()
    assert await callback_in(store) == waiting


async def test_a_callback_that_was_due_at_once_is_due_now() -> None:
    ahead = NOW + CENTURY
    store = await a_store(a_callback(now=ahead, due=ahead))
    right = Bench(store, RecordingTransport())
    await right.delivery.recover()
    assert await due_of(store) == NOW
    await right.settle()
    assert await results_in(store) == ["delivered"]
