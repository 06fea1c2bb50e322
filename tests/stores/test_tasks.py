"""Scheduled tasks: in the order of due times, and at most one per resource and step."""

from datetime import datetime, timedelta

import pytest

from ringback.core.scheduled_task import ScheduledTask
from ringback.core.sids import SidKind
from ringback.core.sims.scenario import TaskKind
from ringback.ports import Store
from tests.fakes import NOW
from tests.stores.asking import keep
from tests.stores.records import ODD_INSTANT, SECOND, THEIRS, sid, task
from tests.stores.sharing import Joined, SharedStores

INSTANT = timedelta(microseconds=1)
LATE = NOW + timedelta(days=365)


async def due(store: Store, now: datetime = LATE, *, limit: int = 99) -> list[ScheduledTask]:
    return await store.transact(lambda tx: tx.tasks.claim(now, limit=limit))


async def next_due(store: Store) -> datetime | None:
    return await store.transact(lambda tx: tx.tasks.next_due())


async def take(store: Store, given: ScheduledTask) -> bool:
    return await store.transact(lambda tx: tx.tasks.take(given))


async def drop(store: Store, number: int, step: TaskKind = TaskKind.UPDATE_SIM) -> None:
    await store.transact(lambda tx: tx.tasks.drop(task(number).subject_sid, step))


@pytest.mark.parametrize("step", TaskKind)
async def test_a_task_is_read_back_unchanged(store: Store, step: TaskKind) -> None:
    odd = ScheduledTask(step, sid(SidKind.ESIM_PROFILE, 1), THEIRS, ODD_INSTANT)
    await keep(store, odd)
    assert await due(store) == [odd]
    assert type((await due(store))[0].step) is TaskKind


# ---- when


async def test_a_task_is_due_from_its_instant_on(store: Store) -> None:
    await keep(store, task(1))
    assert await due(store, NOW - INSTANT) == []
    assert await due(store, NOW) == [task(1)]


async def test_the_task_that_is_longest_due_comes_first(store: Store) -> None:
    tasks = {seconds: task(10 - seconds, due=NOW + seconds * SECOND) for seconds in (3, 1, 2)}
    await keep(store, *tasks.values())
    assert await due(store) == [tasks[1], tasks[2], tasks[3]]


async def test_tasks_that_are_due_are_counted_whoever_has_claimed_them(store: Store) -> None:
    await keep(store, *(task(number, due=NOW + number * SECOND) for number in (1, 2, 3)))
    await due(store, NOW + SECOND)
    counts = [
        await store.transact(lambda tx, now=now: tx.tasks.count_due(now))
        for now in (NOW, NOW + 2 * SECOND, LATE)
    ]
    assert counts == [0, 2, 3]


async def test_of_tasks_due_at_the_same_instant_the_first_added_comes_first(store: Store) -> None:
    tasks = [task(number) for number in (5, 1, 9, 3)]
    await keep(store, *tasks)
    assert await due(store) == tasks


async def test_no_more_due_tasks_are_returned_than_requested(store: Store) -> None:
    tasks = [task(number) for number in range(5)]
    await keep(store, *tasks)
    assert await due(store, limit=2) == tasks[:2]
    assert await due(store, limit=0) == []


async def test_reading_due_tasks_takes_none(store: Store) -> None:
    await keep(store, task(1))
    assert await due(store) == await due(store) == [task(1)]


async def test_the_next_is_due_at_the_earliest_instant(store: Store) -> None:
    assert await next_due(store) is None
    await keep(store, task(1, due=ODD_INSTANT), task(2, due=NOW + SECOND))
    assert await next_due(store) == NOW + SECOND
    assert await take(store, task(2, due=NOW + SECOND))
    assert await next_due(store) == ODD_INSTANT


# ---- one for each step


async def test_a_resource_has_a_task_for_each_of_several_steps(store: Store) -> None:
    tasks = [
        task(1, step)
        for step in (TaskKind.RENEW_PERIOD, TaskKind.UPDATE_SIM, TaskKind.ACTIVATE_SIM)
    ]
    await keep(store, *tasks)
    assert await due(store) == tasks


@pytest.mark.parametrize("ahead", [SECOND, -SECOND], ids=["put off", "brought forward"])
async def test_a_task_replaces_the_one_for_the_same_step(store: Store, ahead: timedelta) -> None:
    again = task(1, due=NOW + ahead)
    await keep(store, task(1), again)
    assert await due(store) == [again]
    assert await next_due(store) == NOW + ahead


async def test_a_task_added_again_follows_the_others_of_its_instant(store: Store) -> None:
    await keep(store, task(1), task(2), task(3), task(1))
    assert await due(store) == [task(2), task(3), task(1)]


async def test_a_task_may_be_replaced_by_one_of_another_account(store: Store) -> None:
    moved = task(1)._replace(account_sid=THEIRS)
    await keep(store, task(1), moved)
    assert await due(store) == [moved]


# ---- taking


async def test_a_task_is_taken_once(store: Store) -> None:
    await keep(store, task(1), task(2))
    assert await take(store, task(1)) is True
    assert await take(store, task(1)) is False
    assert await due(store) == [task(2)]


@pytest.mark.parametrize("ahead", [INSTANT, -INSTANT], ids=["put off", "brought forward"])
async def test_a_task_added_anew_meanwhile_is_not_taken(store: Store, ahead: timedelta) -> None:
    await keep(store, task(1))
    (seen,) = await due(store)
    again = task(1, due=NOW + ahead)
    await keep(store, again)
    assert await take(store, seen) is False
    assert await due(store) == [again]


async def test_taking_one_step_leaves_the_others(store: Store) -> None:
    await keep(store, task(1), task(1, TaskKind.RENEW_PERIOD))
    assert await take(store, task(1)) is True
    assert await due(store) == [task(1, TaskKind.RENEW_PERIOD)]


async def test_a_task_that_never_existed_is_not_taken(store: Store) -> None:
    await keep(store, task(1))
    assert await take(store, task(2)) is False
    assert await take(store, task(1, TaskKind.RENEW_PERIOD)) is False


# ---- dropping


async def test_a_dropped_task_is_gone_whenever_it_was_due(store: Store) -> None:
    await keep(store, task(1, due=ODD_INSTANT), task(1, TaskKind.RENEW_PERIOD), task(2))
    await drop(store, 1)
    assert await due(store) == [task(1, TaskKind.RENEW_PERIOD), task(2)]


async def test_dropping_a_missing_task_changes_nothing(store: Store) -> None:
    await keep(store, task(1))
    await drop(store, 2)
    await drop(store, 1, TaskKind.RENEW_PERIOD)
    assert await due(store) == [task(1)]


async def test_a_dropped_or_taken_task_may_be_added_again(store: Store) -> None:
    await keep(store, task(1), task(2))
    await drop(store, 1)
    assert await take(store, task(2))
    await keep(store, task(2), task(1))
    assert await due(store) == [task(2), task(1)]


async def test_the_due_time_of_a_resources_step_can_be_read(store: Store) -> None:
    known = task(1)
    await keep(store, known, task(2, due=LATE))

    async def due_of(number: int, step: TaskKind) -> datetime | None:
        return await store.transact(lambda tx: tx.tasks.due_of(task(number).subject_sid, step))

    assert await due_of(1, known.step) == known.due
    assert await due_of(2, known.step) == LATE
    assert await due_of(1, TaskKind.RENEW_PERIOD) is await due_of(3, known.step) is None


# ---- several processes


async def test_two_processes_get_each_task_once(shared: SharedStores) -> None:
    first, second = await _joined(shared)
    await keep(first.store, *(task(number) for number in range(6)))
    claimed = [
        await due(process.store, limit=limit)
        for process, limit in ((first, 2), (second, 3), (first, 9), (second, 9))
    ]
    numbers = [one for tasks in (claimed[0], claimed[1], claimed[2][2:]) for one in tasks]
    assert sorted(numbers) == sorted(task(number) for number in range(6))
    assert claimed[2][:2] == claimed[0], "its own tasks are given to it again"
    assert claimed[3] == claimed[1]


async def test_a_task_of_another_process_can_not_be_taken_and_is_not_due(
    shared: SharedStores,
) -> None:
    first, second = await _joined(shared)
    await keep(first.store, task(1))
    await due(first.store)
    assert await next_due(second.store) is None
    assert not await take(second.store, task(1))
    assert await take(first.store, task(1))


async def test_the_tasks_of_a_dead_process_are_done_by_another(shared: SharedStores) -> None:
    first, second = await _joined(shared)
    await keep(first.store, task(1))
    await due(first.store)
    await shared.lease_ends()
    await second.cluster.renew()
    await second.cluster.renew()
    assert await next_due(second.store) == NOW
    assert await due(second.store) == [task(1)]
    assert not await take(first.store, task(1))
    assert await take(second.store, task(1))


async def test_a_task_that_is_put_again_is_for_everybody(shared: SharedStores) -> None:
    first, second = await _joined(shared)
    await keep(first.store, task(1))
    await due(first.store)
    await keep(first.store, task(1, due=NOW + SECOND))
    assert await due(second.store) == [task(1, due=NOW + SECOND)]


async def _joined(shared: SharedStores) -> tuple[Joined, Joined]:
    first, second = shared.join("first"), shared.join("second")
    for process in (first, second):
        await process.cluster.renew()
    return first, second
