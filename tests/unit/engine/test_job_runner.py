"""The job runner: pieces of all jobs in turn, each in one transaction, whatever happens between."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.core.errors import BacklogFull, ConfigurationError
from ringback.core.job import Job, JobPiece, JobStatus, cancel, pause, resume
from ringback.engine.job_runner import PIECE, JobRunner
from ringback.ports import SendingPause, Transaction
from tests.fakes import NOW
from tests.memory_store import MemoryStore
from tests.stores.records import job
from tests.unit.delivery.parts import FailingStore, Steps, all_has_run, running
from tests.unit.engine.stored_jobs import FIRST, JobBench

T = TypeVar("T")
SECOND = timedelta(seconds=1)
SECOND_JOB, THIRD = (job(number).sid for number in (2, 3))


@dataclass
class Items:
    """The work of jobs: each has so many items, and a piece does the next ones."""

    count: int = 10
    done: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    """The jobs and items that were done, once they were durable."""
    pieces: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    """The jobs of all pieces that were begun, and their limits."""
    failing: dict[str, Exception] = field(default_factory=dict[str, Exception])
    """The errors that pieces of jobs raise."""

    def do(self, tx: Transaction, asked: Job, now: None, limit: int) -> JobPiece:
        self.pieces.append((asked.sid, limit))
        if asked.sid in self.failing:
            raise self.failing[asked.sid]
        begin = asked.position or 0
        end = min(begin + limit, self.count)
        made = [(asked.sid, number) for number in range(begin, end)]
        tx.on_commit(lambda: self.done.extend(made))
        return JobPiece({"done": len(made)}, end, is_last=end == self.count)


class WatchedStore(MemoryStore):
    """Calls a function after each transaction that fails."""

    on_failure: Callable[[], Awaitable[None]] | None = None

    async def transact(self, work: Callable[[Transaction], T], **how: bool) -> T:
        try:
            return await super().transact(work)
        except ValueError:
            if self.on_failure is not None:
                await self.on_failure()
            raise


class BrokenStore(MemoryStore):
    """Can do nothing, for a reason that has nothing to do with its callers."""

    async def transact(self, work: Callable[[Transaction], T], **how: bool) -> T:
        raise ConfigurationError("it is broken")


@dataclass
class Bench(JobBench):
    """A job runner and its dependencies."""

    items: Items = field(default_factory=Items)
    steps: Steps = field(default_factory=Steps)
    look_every: timedelta | None = None
    most_per_second: int | None = None
    are_others_there: Callable[[], bool] = lambda: False

    def __post_init__(self) -> None:
        self.runner = JobRunner(
            store=self.store,
            do_piece=self.items.do,
            context=lambda: None,
            clock=self.clock,
            look_every=self.look_every,
            most_per_second=self.most_per_second,
            are_others_there=self.are_others_there,
            checkpoint=self.steps,
        )

    async def work(self, steps: int = 99) -> int:
        """Take so many steps, or until all jobs wait; return the number of steps."""
        for number in range(steps):
            if not await self.runner.step():
                return number
        return steps


async def test_a_job_is_done_piece_by_piece_up_to_its_end() -> None:
    bench = Bench(items=Items(2 * PIECE + 1))
    await bench.add(job(1))
    assert await bench.work() == 3
    ended = await bench.job()
    assert (ended.status, ended.counts, ended.date_ended) == (
        *(JobStatus.DONE, {"done": 2 * PIECE + 1}, NOW),
    )
    assert bench.items.done == [(FIRST, number) for number in range(2 * PIECE + 1)]


async def test_all_jobs_get_their_turn() -> None:
    bench = Bench(items=Items(2 * PIECE))
    await bench.add(job(1), job(2), job(3))
    await bench.work()
    assert [sid for sid, _ in bench.items.pieces] == [FIRST, SECOND_JOB, THIRD] * 2


async def test_pieces_are_small_and_leave_most_of_the_time_while_others_send() -> None:
    there = [True]
    bench = Bench(items=Items(200), are_others_there=lambda: there[0])
    times = iter([0.0, 0.05, 1.0, 1.0])
    bench.runner.stopwatch = lambda: next(times)
    await bench.add(job(1))
    began = asyncio.get_running_loop().time()
    await bench.runner.step()
    assert asyncio.get_running_loop().time() - began >= 3 * 0.05
    there[0] = False
    await bench.runner.step()
    assert [limit for _, limit in bench.items.pieces] == [8, PIECE]


async def test_a_paused_or_cancelled_job_is_not_continued() -> None:
    bench = Bench(items=Items(9 * PIECE))
    await bench.add(job(1), job(2))
    await bench.work(4)
    await bench.move(pause, FIRST)
    await bench.move(cancel, SECOND_JOB)
    assert await bench.work() == 0
    assert [(await bench.job(one)).done for one in (FIRST, SECOND_JOB)] == [2 * PIECE] * 2
    await bench.move(resume, FIRST)
    assert await bench.work() == 7
    assert (await bench.job()).status is JobStatus.DONE


# ---- the rate


async def test_a_rate_makes_pieces_smaller_and_spreads_them() -> None:
    bench = Bench(items=Items(100))
    await bench.add(replace(job(1), rate=50))
    done = list[int]()
    for _ in range(4):
        await bench.work()
        done.append(len(bench.items.done))
        bench.clock.advance(SECOND / 10)
    assert done == [5, 10, 15, 20]
    assert await bench.runner.next_due() == NOW + 4 * SECOND / 10


async def test_a_low_rate_does_one_item_after_the_other() -> None:
    bench = Bench()
    await bench.add(replace(job(1), rate=2))
    await bench.work()
    assert (len(bench.items.done), await bench.runner.next_due()) == (1, NOW + SECOND / 2)


async def test_a_job_that_waits_delays_no_other() -> None:
    bench = Bench(items=Items(3 * PIECE))
    await bench.add(replace(job(1), rate=1), job(2))
    await bench.work()
    assert (await bench.job(SECOND_JOB)).status is JobStatus.DONE
    assert (await bench.job()).done == 1


@pytest.mark.parametrize(("rate", "limit"), [(None, 2), (100, 2), (10, 1)])
async def test_the_limit_of_the_server_is_the_highest_rate(rate: int | None, limit: int) -> None:
    bench = Bench(most_per_second=20)
    await bench.add(replace(job(1), rate=rate))
    await bench.work()
    assert bench.items.pieces == [(FIRST, limit)]


# ---- waiting


async def test_a_job_waits_for_room_and_says_so() -> None:
    bench = Bench()
    bench.items.failing[FIRST] = BacklogFull("3 callbacks are waiting", retry_after=5)
    await bench.add(job(1))
    assert await bench.work() == 1
    waiting = await bench.job()
    assert (waiting.status, waiting.status_reason) == (
        *(JobStatus.RUNNING, "waits: 3 callbacks are waiting"),
    )
    assert await bench.runner.next_due() == NOW + 5 * SECOND
    bench.items.failing.clear()
    bench.clock.advance(5 * SECOND)
    await bench.work()
    ended = await bench.job()
    assert (ended.status, ended.status_reason) == (JobStatus.DONE, None)


async def test_the_loop_sleeps_until_it_is_woken() -> None:
    bench = Bench()
    async with running(bench.runner.run):
        await all_has_run()
        assert bench.runner.is_still
        await bench.add(job(1))
        await all_has_run()
        assert bench.items.done == []
        bench.runner.wake()
        await bench.steps.reach("piece_done")
        await all_has_run()
        assert bench.runner.is_still
    assert (await bench.job()).status is JobStatus.DONE


async def test_the_loop_wakes_for_the_next_turn_of_a_job() -> None:
    bench = Bench(items=Items(2))
    await bench.add(replace(job(1), rate=1))
    async with running(bench.runner.run):
        await bench.steps.reach("piece_done")
        await all_has_run()
        assert len(bench.items.done) == 1
        bench.clock.advance(SECOND)
        await all_has_run()
    assert len(bench.items.done) == 2


async def test_jobs_of_other_processes_are_found_in_time() -> None:
    bench = Bench(look_every=SECOND)
    async with running(bench.runner.run):
        await all_has_run()
        await bench.add(job(1))
        bench.clock.advance(SECOND)
        await bench.steps.reach("piece_done")
    assert (await bench.job()).status is JobStatus.DONE


async def test_nothing_is_done_while_paused() -> None:
    bench = Bench()
    bench.runner.gate.use(SendingPause(NOW, "restored"))
    await bench.add(job(1))
    assert await bench.work() == 0
    assert bench.items.pieces == []
    bench.runner.gate.use(None)
    assert await bench.work() == 1


# ---- failures


async def test_a_job_that_fails_again_and_again_ends_and_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    bench.items.failing[FIRST] = ValueError("it broke")
    await bench.add(job(1), job(2))
    for _ in range(3):
        await bench.work()
        bench.clock.advance(SECOND)
    failed = await bench.job()
    assert (failed.status, failed.status_reason) == (JobStatus.FAILED, "ValueError: it broke")
    assert len([one for one in caplog.records if one.levelno == logging.ERROR]) == 3
    assert (await bench.job(SECOND_JOB)).status is JobStatus.DONE
    assert [sid for sid, _ in bench.items.pieces].count(FIRST) == 3


async def test_a_job_that_fails_once_is_done_nevertheless() -> None:
    bench = Bench()
    bench.items.failing[FIRST] = ValueError("it broke")
    await bench.add(job(1))
    await bench.work()
    assert await bench.runner.next_due() == NOW + SECOND
    bench.items.failing.clear()
    bench.clock.advance(SECOND)
    await bench.work()
    assert (await bench.job()).status is JobStatus.DONE


async def test_a_job_that_was_cancelled_meanwhile_does_not_fail() -> None:
    store = WatchedStore()
    bench = Bench(store)
    await bench.add(job(1))
    bench.items.failing[FIRST] = ValueError("it broke")
    for _ in range(2):
        await bench.work()
        bench.clock.advance(SECOND)
    store.on_failure = lambda: bench.move(cancel, FIRST)
    await bench.work()
    assert (await bench.job()).status is JobStatus.CANCELLED


async def test_an_outage_of_the_database_is_outlasted() -> None:
    store = FailingStore(MemoryStore())
    bench = Bench(store=store)
    await bench.add(job(1))
    store.failures_to_come = 1
    async with running(bench.runner.run):
        await store.steps.reach("failed")
        await all_has_run()
        bench.clock.advance(SECOND)
        await bench.steps.reach("piece_done")
    assert (await bench.job()).status is JobStatus.DONE


async def test_a_failure_without_a_job_is_raised() -> None:
    bench = Bench(BrokenStore())
    with pytest.raises(ConfigurationError):
        await bench.runner.step()


# ---- whatever happens

MOVES = {"pause": (JobStatus.RUNNING, pause), "resume": (JobStatus.PAUSED, resume)}


@given(st.lists(st.sampled_from(["step", "step", "step", "crash", "undone", *MOVES]), max_size=40))
def test_each_item_is_done_once_whatever_happens(events: list[str]) -> None:
    """Steps, pauses, crashes between pieces, and commits that are undone, in any order."""
    asyncio.run(_each_item_is_done_once(events))


async def _each_item_is_done_once(events: list[str]) -> None:
    items, store = Items(5 * PIECE + 7), MemoryStore()
    bench = Bench(store, items=items)
    await bench.add(job(1), job(2))
    for number, event in enumerate(events):
        sid = (FIRST, SECOND_JOB)[number % 2]
        if event == "step":
            await bench.runner.step()
        elif event == "crash":
            bench = Bench(store, items=items)
        elif event == "undone":
            # The process dies after the work, before that is durable.
            store.begin(lambda tx, b=bench: b.runner._take_turn(tx, []))
            bench = Bench(store, items=items)
        elif (await bench.job(sid)).status is MOVES[event][0]:
            await bench.move(MOVES[event][1], sid)
    for sid in (FIRST, SECOND_JOB):
        if (await bench.job(sid)).status is JobStatus.PAUSED:
            await bench.move(resume, sid)
    await bench.work()
    wanted = [(sid, number) for sid in (FIRST, SECOND_JOB) for number in range(items.count)]
    assert sorted(items.done) == wanted
    for sid in (FIRST, SECOND_JOB):
        ended = await bench.job(sid)
        assert (ended.status, ended.counts) == (JobStatus.DONE, {"done": items.count})
