"""Jobs: which are running, to which process they belong, and when ended ones are deleted."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from ringback.core.accounts.account import EVERY
from ringback.core.callbacks.callback import CallbackRecord, CallbackStatus
from ringback.core.job import Job, JobStatus, cancel, pause
from ringback.ports import CallbackFilter, PageWindow, RecordPage, Store, Transaction
from ringback.stores.sqlite.store import SqliteStore
from tests.fakes import NOW
from tests.stores.asking import keep, numbers_of
from tests.stores.records import OURS, SECOND, THEIRS, account, callback, job
from tests.stores.sharing import Joined, SharedStores


async def claimed(store: Store) -> list[Job]:
    return await store.transact(lambda tx: tx.jobs.claim())


async def save(store: Store, *jobs: Job) -> None:
    await store.transact(lambda tx: [tx.jobs.save(one) for one in jobs])


async def test_the_newest_job_of_each_plan_is_listed(store: Store) -> None:
    given = [(1, OURS, "a"), (2, OURS, None), (3, THEIRS, "a"), (4, OURS, "b"), (5, OURS, "a")]
    jobs = [replace(job(n, whose), plan_id=plan) for n, whose, plan in given]
    for one in jobs:
        await store.transact(lambda tx, one=one: tx.jobs.add(one))

    async def numbers(whose: str, limit: int = 9) -> list[int]:
        found = await store.read(lambda tx: tx.jobs.newest_of_plans(whose, limit=limit))
        return [jobs.index(one) + 1 for one in found]

    assert await numbers(OURS) == [5, 4]
    assert await numbers(THEIRS) == [3]
    assert await numbers(EVERY) == [5, 4, 3]
    assert await numbers(EVERY, limit=2) == [5, 4]


async def test_running_jobs_of_all_accounts_are_claimed_the_oldest_first(store: Store) -> None:
    jobs = [job(5), job(1, THEIRS), job(3)]
    await keep(store, *jobs)
    assert await claimed(store) == jobs
    assert await claimed(store) == jobs


@pytest.mark.parametrize("status", sorted(set(JobStatus) - {JobStatus.RUNNING}))
async def test_other_jobs_are_not_claimed(store: Store, status: JobStatus) -> None:
    await keep(store, replace(job(1), status=status), job(2))
    assert await claimed(store) == [job(2)]


async def test_a_job_is_claimed_again_when_it_runs_again(store: Store) -> None:
    await keep(store, job(1))
    await save(store, pause(job(1), NOW))
    assert await claimed(store) == []
    await save(store, job(1))
    assert await claimed(store) == [job(1)]


async def test_a_job_is_found_by_its_idempotency_key(store: Store) -> None:
    mine, theirs = (
        replace(job(number, whose), idempotency_key="a key")
        for number, whose in ((1, OURS), (2, THEIRS))
    )
    await keep(store, theirs, mine, job(3), job(4))
    which = {"account_sid": OURS, "idempotency_key": "a key"}
    assert await store.transact(lambda tx: tx.jobs.first(which)) == mine


async def test_the_jobs_that_ended_first_are_deleted_and_no_others(store: Store) -> None:
    ended = [cancel(job(number), NOW + number * SECOND) for number in (4, 1, 3, 2)]
    await keep(store, *ended, job(5), pause(job(6), NOW))

    async def remove(limit: int) -> int:
        before = NOW + 4 * SECOND
        return await store.transact(lambda tx: tx.jobs.remove_ended_before(before, limit=limit))

    async def left() -> list[int]:
        sids = [job(number).sid for number in range(1, 7)]
        found = await store.transact(lambda tx: [tx.jobs.get(sid) for sid in sids])
        return numbers_of([one for one in found if one is not None])

    assert await remove(2) == 2
    assert await left() == [3, 4, 5, 6]
    assert await remove(9) == 1
    assert await remove(9) == 0
    assert await left() == [4, 5, 6]


async def test_a_job_of_a_kind_that_a_newer_version_has_is_left_to_it(
    sqlite: SqliteStore, tmp_path: Path
) -> None:
    await sqlite.transact(lambda tx: tx.accounts.add(account(OURS), []))
    await keep(sqlite, job(1), job(2))
    with closing(sqlite3.connect(tmp_path / "ringback.db")) as connection, connection:
        connection.execute("UPDATE jobs SET kind = 'dance' WHERE sid = ?", [job(1).sid])
    assert await claimed(sqlite) == [job(2)]


# ---- several processes


async def _joined(shared: SharedStores) -> tuple[Joined, Joined]:
    first, second = shared.join("first"), shared.join("second")
    for process in (first, second):
        await process.cluster.renew()
    return first, second


async def test_a_job_belongs_to_the_process_that_claimed_it(shared: SharedStores) -> None:
    first, second = await _joined(shared)
    await keep(first.store, job(1))
    assert await claimed(first.store) == [job(1)]
    await keep(first.store, job(2))
    assert await claimed(second.store) == [job(2)]
    assert await claimed(first.store) == [job(1)]


async def test_the_jobs_of_a_dead_process_are_continued_by_another(shared: SharedStores) -> None:
    first, second = await _joined(shared)
    await keep(first.store, job(1))
    await claimed(first.store)
    await shared.lease_ends()
    await second.cluster.renew()
    await second.cluster.renew()
    assert await claimed(second.store) == [job(1)]
    assert await claimed(first.store) == []


# ---- the places of callbacks, at which jobs go on


async def test_a_search_for_the_oldest_goes_on_at_the_last_place(store: Store) -> None:
    failed = [
        callback(number).having(
            callback(number).progress._replace(status=CallbackStatus.FAILED, due=None)
        )
        for number in (8, 2, 5)
    ]
    await keep(store, failed[0], callback(1), *failed[1:], callback(9))
    which = CallbackFilter(statuses=frozenset({CallbackStatus.FAILED}))

    async def page(after: int | None, examining: int | None = None) -> RecordPage[CallbackRecord]:
        def work(tx: Transaction) -> RecordPage[CallbackRecord]:
            return tx.callbacks.oldest(OURS, which, after=after, limit=2, examining=examining)

        return await store.transact(work)

    first = await page(None)
    assert (numbers_of(first), first.stopped_at) == ([8, 2], None)
    second = await page(first.last_place)
    assert numbers_of(second) == [5]
    last = await page(second.last_place)
    assert (last, last.last_place) == ([], None)


async def test_the_last_place_is_that_of_the_last_callback_that_was_read(store: Store) -> None:
    await keep(store, *map(callback, (7, 1, 3)))
    which = CallbackFilter(since=NOW + SECOND)
    seen = await store.transact(
        lambda tx: tx.callbacks.oldest(OURS, which, after=None, limit=9, examining=2)
    )
    assert (seen, seen.stopped_at) == ([], callback(1).sid)
    rest = await store.transact(
        lambda tx: tx.callbacks.oldest(OURS, CallbackFilter(), after=seen.last_place, limit=9)
    )
    assert numbers_of(rest) == [3]


# ---- plans

PLAN = "a plan"


async def remove(store: Store) -> None:
    """Delete the jobs that have ended."""
    await store.transact(
        lambda tx: tx.jobs.remove_ended_before(NOW + SECOND, limit=9, have_plans=True)
    )


async def add_lines(store: Store, number: int, *lines: str, whose: str = OURS) -> None:
    await store.transact(lambda tx: tx.plans.add(whose, PLAN, number, lines))


async def test_the_lines_of_a_plan_are_read_in_order_from_any_of_them(store: Store) -> None:
    await add_lines(store, 1, "first", "second")
    await add_lines(store, 1, "of another account", whose=THEIRS)
    await add_lines(store, 3, "third é")
    assert await store.read(lambda tx: tx.plans.after(OURS, PLAN, 0)) == [
        "first",
        "second",
        "third é",
    ]
    assert await store.read(lambda tx: tx.plans.after(OURS, PLAN, 1, limit=1)) == ["second"]
    assert await store.read(lambda tx: tx.plans.last(OURS, PLAN)) == 3
    assert await store.read(lambda tx: tx.plans.last(OURS, "another")) == 0
    assert await store.read(lambda tx: tx.plans.after(OURS, "another", 0)) == []


async def test_no_line_of_a_plan_is_overwritten(store: Store) -> None:
    await add_lines(store, 1, "first")
    with pytest.raises(Exception, match=r"."):  # each store has an error of its own
        await add_lines(store, 1, "another first")
    assert await store.read(lambda tx: tx.plans.after(OURS, PLAN, 0)) == ["first"]


async def test_the_lines_of_a_plan_are_deleted_with_its_last_job(store: Store) -> None:
    old, newer = (replace(job(number), plan_id=PLAN) for number in (1, 2))
    await keep(store, cancel(old, NOW), newer, replace(cancel(job(3), NOW), plan_id="another"))
    await add_lines(store, 1, "first")
    await remove(store)
    assert await store.read(lambda tx: tx.plans.last(OURS, PLAN)) == 1
    await save(store, cancel(newer, NOW))
    await remove(store)
    assert await store.read(lambda tx: tx.plans.last(OURS, PLAN)) == 0


async def test_jobs_with_a_plan_and_others_are_deleted_apart(store: Store) -> None:
    await keep(store, cancel(job(1), NOW), cancel(replace(job(2), plan_id=PLAN), NOW))
    await remove(store)
    window = PageWindow(10)
    assert await store.read(lambda tx: tx.jobs.page(OURS, {}, window)) == [cancel(job(1), NOW)]
    await store.transact(lambda tx: tx.jobs.remove_ended_before(NOW + SECOND, limit=9))
    assert await store.read(lambda tx: tx.jobs.page(OURS, {}, window)) == []


async def test_a_job_of_the_operator_is_listed_for_the_operator_alone(store: Store) -> None:
    of_all = replace(job(1), account_sid=EVERY, plan_id=PLAN)
    await keep(store, of_all, job(2))
    window = PageWindow(10)
    assert await store.read(lambda tx: tx.jobs.page(EVERY, {}, window)) == [job(2), of_all]
    assert await store.read(lambda tx: tx.jobs.page(OURS, {}, window)) == [job(2)]
    assert await store.read(lambda tx: tx.jobs.first({"plan_id": PLAN})) == of_all
    await save(store, cancel(of_all, NOW))
    await remove(store)
    assert await store.read(lambda tx: tx.jobs.page(EVERY, {}, window)) == [job(2)]
