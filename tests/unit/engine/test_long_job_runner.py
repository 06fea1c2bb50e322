"""The runner of long jobs: each has a task, which begins again after whatever happens."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from ringback.core.errors import ConfigurationError, QueryTimeout, StoreUnavailable
from ringback.core.job import Job, JobKind, JobStatus, JobStopped, cancel, pause, resume
from ringback.engine.long_job_runner import LongJobRunner
from ringback.ports import Clock, SendingPause
from ringback.runtime.sending_gate import SendingGate
from tests.fakes import NOW
from tests.memory_store import MemoryStore
from tests.stores.records import job
from tests.stores.sharing import MemoryShared
from tests.unit.delivery.parts import FailingStore, all_has_run, running
from tests.unit.engine.stored_jobs import FIRST, JobBench

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
PAUSE = SendingPause(NOW, "made up")


def a_move(number: int = 1) -> Job:
    return replace(job(number), kind=JobKind.MIGRATION)


OTHER = a_move(2).sid


@dataclass
class Work:
    """The work of jobs: it sleeps for an hour in between, unless it fails at once."""

    begun: list[str] = field(default_factory=list[str])
    """The jobs whose work was begun, each time."""
    woken: list[str] = field(default_factory=list[str])
    """The jobs whose work went on after the hour."""
    ended: list[str] = field(default_factory=list[str])
    """The jobs whose work ended, in whatever way."""
    failures: list[Exception] = field(default_factory=list[Exception])
    """The errors that the work raises after the hour, one after the other."""
    why: str | None = None
    """Why the work fails in the end."""

    async def __call__(self, asked: Job, clock: Clock) -> str | None:
        self.begun.append(asked.sid)
        try:
            await clock.sleep_until(NOW + HOUR)
            self.woken.append(asked.sid)
            if self.failures:
                raise self.failures.pop(0)
            return self.why
        finally:
            self.ended.append(asked.sid)


@dataclass
class Bench(JobBench):
    """A runner of long jobs and its dependencies."""

    work: Work = field(default_factory=Work)
    gate: SendingGate = field(default_factory=SendingGate)
    look_every: timedelta | None = SECOND
    is_shared: bool = False

    def __post_init__(self) -> None:
        self.runner = LongJobRunner(
            kinds=(JobKind.MIGRATION,),
            work=self.work,
            store=self.store,
            clock=self.clock,
            gate=self.gate,
            look_every=self.look_every,
            is_shared=self.is_shared,
        )

    async def pass_time(self, by: timedelta = SECOND) -> None:
        """Let time pass, and all do what they can."""
        await all_has_run()
        self.clock.advance(by)
        await all_has_run()


# ---- to the end


async def test_the_work_of_each_job_is_done_in_a_task_of_its_own() -> None:
    bench = Bench()
    await bench.add(a_move(1), a_move(2))
    async with running(bench.runner.run):
        await all_has_run()
        assert bench.work.begun == [FIRST, OTHER]
        assert [(await bench.job(sid)).status for sid in (FIRST, OTHER)] == [JobStatus.RUNNING] * 2
        await bench.pass_time(HOUR)
        for sid in (FIRST, OTHER):
            ended = await bench.job(sid)
            assert (ended.status, ended.status_reason) == (JobStatus.DONE, None)
            assert ended.date_ended == NOW + HOUR
    assert bench.work.begun == [FIRST, OTHER]


async def test_a_job_whose_work_says_why_it_failed_has_failed() -> None:
    bench = Bench(work=Work(why="a step was rolled back"))
    await bench.add(a_move())
    async with running(bench.runner.run):
        await bench.pass_time(HOUR)
        ended = await bench.job()
    assert (ended.status, ended.status_reason) == (JobStatus.FAILED, "a step was rolled back")
    assert bench.work.begun == [FIRST]


async def test_what_the_work_saved_meanwhile_stays() -> None:
    bench = Bench()
    await bench.add(a_move())
    async with running(bench.runner.run):
        await all_has_run()
        await bench.move(lambda one, _: replace(one, counts={"moved": 7}))
        await bench.pass_time(HOUR)
        assert (await bench.job()).counts == {"moved": 7}


async def test_jobs_of_other_kinds_are_left_to_others() -> None:
    bench = Bench()
    await bench.add(job(1), a_move(2))
    async with running(bench.runner.run):
        await bench.pass_time(HOUR)
        assert (await bench.job(FIRST)).status is JobStatus.RUNNING
    assert bench.work.begun == [OTHER]


async def test_a_job_that_was_added_is_found_at_the_next_look_or_at_once_if_woken() -> None:
    bench = Bench()
    async with running(bench.runner.run):
        await all_has_run()
        await bench.add(a_move(1))
        await all_has_run()
        assert bench.work.begun == []
        await bench.pass_time(SECOND)
        assert bench.work.begun == [FIRST]
        await bench.add(a_move(2))
        bench.runner.wake()
        await all_has_run()
        assert bench.work.begun == [FIRST, OTHER]


# ---- stopped, and continued


@pytest.mark.parametrize("stop", [pause, cancel])
async def test_the_work_of_a_job_that_was_stopped_ends(
    stop: Callable[[Job, datetime], Job],
) -> None:
    bench = Bench()
    await bench.add(a_move(1), a_move(2))
    async with running(bench.runner.run):
        await all_has_run()
        await bench.move(stop)
        stopped = await bench.job()
        await bench.pass_time(SECOND)
        assert bench.work.ended == [FIRST]
        await bench.pass_time(HOUR)
        assert bench.work.woken == [OTHER]
        assert await bench.job() == stopped


async def test_a_paused_job_begins_again_when_it_is_resumed() -> None:
    bench = Bench()
    await bench.add(a_move())
    async with running(bench.runner.run):
        await all_has_run()
        await bench.move(pause)
        await bench.pass_time(SECOND)
        await bench.move(resume)
        await bench.pass_time(SECOND)
        assert bench.work.begun == [FIRST, FIRST]
        await bench.pass_time(HOUR)
        assert (await bench.job()).status is JobStatus.DONE
    assert bench.work.woken == [FIRST]


@pytest.mark.parametrize("stop", [pause, cancel])
async def test_a_job_that_was_stopped_at_the_last_moment_is_not_saved_as_done(
    stop: Callable[[Job, datetime], Job],
) -> None:
    bench = Bench(look_every=None)
    await bench.add(a_move())
    async with running(bench.runner.run):
        await all_has_run()
        await bench.move(stop)
        stopped = await bench.job()
        await bench.pass_time(HOUR)
        assert bench.work.woken == [FIRST]
        assert await bench.job() == stopped


async def test_all_work_ends_with_the_loop() -> None:
    bench = Bench()
    await bench.add(a_move(1), a_move(2))
    async with running(bench.runner.run):
        await all_has_run()
    assert bench.work.ended == [FIRST, OTHER]
    assert (await bench.job()).status is JobStatus.RUNNING


async def test_another_process_goes_on_with_the_jobs_of_one_that_lost_its_lease() -> None:
    shared = MemoryShared()
    first, second = shared.join("first"), shared.join("second")
    benches = [Bench(one.store, is_shared=True) for one in (first, second)]
    await first.cluster.renew()
    await second.cluster.renew()
    await benches[0].add(a_move())
    async with running(benches[0].runner.run):
        await all_has_run()
        async with running(benches[1].runner.run):
            await benches[1].pass_time(SECOND)
            assert [bench.work.begun for bench in benches] == [[FIRST], []]
            await shared.lease_ends()
            for _ in range(2):  # it has lost its own, too
                await second.cluster.renew()
            await benches[1].pass_time(SECOND)
            await benches[0].pass_time(SECOND)
            assert [bench.work.begun for bench in benches] == [[FIRST], [FIRST]]
            assert benches[0].work.ended == [FIRST]
            await benches[1].pass_time(HOUR)
            assert (await benches[1].job()).status is JobStatus.DONE
    assert benches[0].work.woken == []


async def test_a_process_that_lost_its_lease_does_not_save_the_end_of_the_job() -> None:
    shared = MemoryShared()
    first, second = shared.join("first"), shared.join("second")
    await first.cluster.renew()
    await second.cluster.renew()
    bench = Bench(first.store, is_shared=True, look_every=None)
    await bench.add(a_move())
    async with running(bench.runner.run):
        await all_has_run()
        await shared.lease_ends()
        for _ in range(2):  # it has lost its own, too
            await second.cluster.renew()
        await second.store.transact(lambda tx: tx.jobs.claim())
        await bench.pass_time(HOUR)
        assert bench.work.woken == [FIRST]
        assert (await bench.job()).status is JobStatus.RUNNING


# ---- the gate


async def test_work_waits_while_the_gate_is_closed() -> None:
    bench = Bench()
    bench.gate.use(PAUSE)
    await bench.add(a_move())
    async with running(bench.runner.run):
        await bench.pass_time(HOUR)
        assert bench.work.begun == []
        assert await bench.runner.next_due() is None
        bench.gate.use(None)
        await all_has_run()
        assert bench.work.begun == [FIRST]


async def test_work_ends_when_the_gate_is_closed_and_begins_again_when_it_opens() -> None:
    bench = Bench()
    await bench.add(a_move())
    async with running(bench.runner.run):
        await all_has_run()
        bench.gate.use(PAUSE)
        await bench.pass_time(SECOND)
        assert bench.work.ended == [FIRST]
        await bench.pass_time(HOUR)
        assert bench.work.woken == []
        assert (await bench.job()).status is JobStatus.RUNNING
        bench.gate.use(None)
        await all_has_run()
        assert (await bench.job()).status is JobStatus.DONE


# ---- errors


@pytest.mark.parametrize(
    "failure",
    [StoreUnavailable("disk I/O error"), QueryTimeout("too slow"), JobStopped("another has it")],
    ids=["unavailable", "time-out", "taken over"],
)
async def test_work_that_was_interrupted_begins_again_after_a_second(failure: Exception) -> None:
    bench = Bench(work=Work(failures=[failure] * 5))
    await bench.add(a_move())
    async with running(bench.runner.run):
        await bench.pass_time(HOUR)
        for times in range(1, 6):
            assert bench.work.woken == [FIRST] * times
            await bench.pass_time(SECOND / 2)
            assert bench.work.woken == [FIRST] * times
            await bench.pass_time(SECOND / 2)
        assert (await bench.job()).status is JobStatus.DONE
    assert bench.work.begun == [FIRST] * 6


async def test_an_end_that_could_not_be_saved_is_saved_later() -> None:
    store = FailingStore(MemoryStore())
    bench = Bench(store)
    await bench.add(a_move())
    async with running(bench.runner.run):
        await all_has_run()
        store.failures_to_come = 2  # for the end of the job, and for the loop that looks for jobs
        await bench.pass_time(HOUR)
        assert (await bench.job()).status is JobStatus.RUNNING
        await bench.pass_time(SECOND)
        await bench.pass_time(SECOND)
        assert (await bench.job()).status is JobStatus.DONE


async def test_work_that_is_refused_is_not_tried_again() -> None:
    bench = Bench(work=Work(failures=[ConfigurationError("there is no such source")]))
    await bench.add(a_move())
    async with running(bench.runner.run):
        await bench.pass_time(HOUR)
        ended = await bench.job()
        assert (ended.status, ended.status_reason) == (
            *(JobStatus.FAILED, "there is no such source"),
        )
    assert bench.work.begun == [FIRST]


async def test_work_that_fails_unexpectedly_is_tried_three_times(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench(work=Work(failures=[ZeroDivisionError("division by zero")] * 3))
    await bench.add(a_move())
    with caplog.at_level(logging.ERROR):
        async with running(bench.runner.run):
            await bench.pass_time(HOUR)
            for tries in (1, 2, 3):
                assert bench.work.begun == [FIRST] * tries
                await bench.pass_time(SECOND)
            ended = await bench.job()
            assert (ended.status, ended.status_reason) == (
                *(JobStatus.FAILED, "ZeroDivisionError: division by zero"),
            )
            await bench.pass_time(HOUR)
    assert bench.work.begun == [FIRST] * 3
    assert [record.getMessage() for record in caplog.records] == [
        f"the job {FIRST} failed ({tries} of 3 tries)" for tries in (1, 2, 3)
    ]


async def test_failures_that_are_hours_apart_do_not_add_up() -> None:
    bench, begun = Bench(), list[datetime]()
    await bench.add(a_move())

    async def fail_late(_: Job, clock: Clock) -> str | None:
        begun.append(clock.now())
        if len(begun) == 5:
            return None
        await clock.sleep_until(clock.now() + 2 * HOUR)
        raise ZeroDivisionError

    bench.runner.work = fail_late
    async with running(bench.runner.run):
        for _ in range(20):
            await bench.pass_time(HOUR)
        assert (await bench.job()).status is JobStatus.DONE
    assert len(begun) == 5


async def test_one_that_fails_does_not_hold_up_another() -> None:
    bench = Bench(work=Work(failures=[ZeroDivisionError()]))
    await bench.add(a_move(1), a_move(2))
    async with running(bench.runner.run):
        await bench.pass_time(HOUR)
        assert (await bench.job(FIRST)).status is JobStatus.RUNNING
        assert (await bench.job(OTHER)).status is JobStatus.DONE


async def test_while_a_job_that_was_interrupted_goes_on_the_loop_sleeps() -> None:
    bench = Bench(work=Work(failures=[StoreUnavailable("disk I/O error")]), look_every=None)
    await bench.add(a_move())

    async def sleep_long(asked: Job, clock: Clock) -> str | None:
        if not bench.work.begun:
            return await bench.work(asked, clock)
        await clock.sleep_until(NOW + 9 * HOUR)
        return None

    bench.runner.work = sleep_long
    async with running(bench.runner.run):
        await bench.pass_time(HOUR)
        await bench.pass_time(2 * SECOND)
        assert bench.runner.is_still
        assert await bench.runner.next_due() == NOW + 9 * HOUR


# ---- a virtual clock


async def test_the_loop_is_still_while_all_work_waits_for_a_later_time() -> None:
    bench = Bench(look_every=None)
    await bench.add(a_move(1), a_move(2))
    assert not bench.runner.is_still
    async with running(bench.runner.run):
        await all_has_run()
        assert bench.runner.is_still
        assert await bench.runner.next_due() == NOW + HOUR
        bench.clock.advance(HOUR)
        assert not bench.runner.is_still
        await all_has_run()
        assert bench.runner.is_still
        assert await bench.runner.next_due() is None


async def test_the_loop_is_not_still_while_work_does_something() -> None:
    bench, may_end = Bench(look_every=None), asyncio.Event()

    async def work(_: Job, __: Clock) -> str | None:
        await may_end.wait()
        return None

    bench.runner.work = work
    await bench.add(a_move())
    async with running(bench.runner.run):
        await all_has_run()
        assert not bench.runner.is_still
        assert await bench.runner.next_due() is None
        may_end.set()
        await all_has_run()
        assert bench.runner.is_still


async def test_a_job_that_is_tried_again_later_is_due_then() -> None:
    bench = Bench(work=Work(failures=[StoreUnavailable("disk I/O error")]), look_every=None)
    await bench.add(a_move())
    async with running(bench.runner.run):
        await bench.pass_time(HOUR)
        assert bench.runner.is_still
        assert await bench.runner.next_due() == NOW + HOUR + SECOND
