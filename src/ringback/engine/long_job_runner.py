"""Runs jobs whose work takes long and waits in between, such as the move of many URLs.

Each running job of these kinds has a task of its own in this process, which begins again where the
job is, whenever the process was stopped. The work saves how far it is, and refuses to go on in a
transaction in which the job does not run any more, or another process has it: so nothing is done
twice.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ringback.core.errors import ConfigurationError, StoreUnavailable
from ringback.core.job import Job, JobKind, JobStopped
from ringback.engine.store_loop import StoreLoop
from ringback.ports import Clock, Transaction

_TRIES: Final = 3
"""How often the work of a job is tried if it fails with an unexpected error."""
_LATELY: Final = timedelta(hours=1)
"""After this time without a failure, the tries count from the beginning."""
_PAUSE: Final = timedelta(seconds=1)
"""How long such a job waits before it is tried again."""

_log = logging.getLogger(__name__)

LongWork = Callable[[Job, Clock], Awaitable[str | None]]
"""Does all work of a job; returns why it failed, or None. The clock is the one to wait by."""


@dataclass(eq=False)
class JobClock:
    """Implements `ports.Clock` for the work of a job, and knows until when it sleeps."""

    clock: Clock
    until: datetime | None = None
    """When the work goes on; None while it does something."""

    def now(self) -> datetime:
        """Return the current time."""
        return self.clock.now()

    async def sleep_until(self, instant: datetime) -> None:
        """Sleep until this time."""
        self.until = instant
        try:
            await self.clock.sleep_until(instant)
        finally:
            self.until = None

    @property
    def is_still(self) -> bool:
        """True while the work sleeps, and the time it waits for has not come."""
        return self.until is not None and self.until > self.clock.now()


@dataclass(eq=False, kw_only=True)
class LongJobRunner(StoreLoop):
    """The loop that begins the tasks of running jobs, and ends those of jobs that were stopped."""

    kinds: Collection[JobKind]
    work: LongWork
    is_shared: bool = False
    """True if other processes may have jobs, so that this one has to claim its own."""

    def __post_init__(self) -> None:
        """Begin without tasks."""
        super().__post_init__()
        self._tasks = dict[str, tuple[asyncio.Task[None], JobClock]]()
        """The tasks of the jobs that run here, by the jobs' SIDs."""
        self._not_before = dict[str, datetime]()
        """When a job that failed is tried again."""
        self._failures = dict[str, tuple[int, datetime]]()
        """How often the work of a job has failed lately, and when it did last."""

    @property
    def is_still(self) -> bool:
        """True while nothing is due: all jobs wait for a time that has not come."""
        return super().is_still and all(clock.is_still for _, clock in self._tasks.values())

    async def run(self) -> None:
        """Run jobs until cancelled; then their tasks end, too."""
        try:
            await super().run()
        finally:
            await self._end(list(self._tasks))

    async def step(self) -> int:
        """Begin the tasks of jobs that have none, and return 0: nothing is left to do at once."""
        claim = self.store.transact if self.is_shared else self.store.read
        claimed = await claim(lambda tx: tx.jobs.claim())
        running = {one.sid: one for one in claimed if one.kind in self.kinds}
        await self._end([sid for sid in self._tasks if sid not in running])
        self._failures = {sid: failed for sid, failed in self._failures.items() if sid in running}
        self._not_before = {sid: at for sid, at in self._not_before.items() if sid in running}
        now = self.clock.now()
        for sid, job in running.items():
            if sid not in self._tasks and self._not_before.get(sid, now) <= now:
                self._not_before.pop(sid, None)
                clock = JobClock(self.clock)
                self._tasks[sid] = asyncio.create_task(self._work_on(job, clock)), clock
        return 0

    async def _step_or_wait(self) -> None:
        if not self.gate.is_open:
            await self._end(list(self._tasks))
        await super()._step_or_wait()

    async def _first_due(self) -> datetime | None:
        waits = [clock.until for _, clock in self._tasks.values() if clock.until is not None]
        return min([*waits, *self._not_before.values()], default=None)

    async def _end(self, sids: Collection[str]) -> None:
        tasks = [self._tasks.pop(sid)[0] for sid in sids]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work_on(self, job: Job, clock: JobClock) -> None:
        try:
            await self._try(job, clock)
        except (JobStopped, StoreUnavailable):
            self._not_before[job.sid] = self.clock.now() + _PAUSE
        finally:
            # If the task was cancelled, the job may have another one already.
            if self._tasks.get(job.sid, (None,))[0] is asyncio.current_task():
                del self._tasks[job.sid]
                self.wake()

    async def _try(self, job: Job, clock: JobClock) -> None:
        try:
            why = await self.work(job, clock)
        except (JobStopped, StoreUnavailable):
            raise
        except ConfigurationError as refused:
            why = str(refused)
        except Exception as failure:  # noqa: BLE001 (the job has to end with the reason)
            now = self.clock.now()
            earlier, last = self._failures.get(job.sid, (0, now))
            tries = 1 if now - last > _LATELY else earlier + 1
            told = "the job %s failed (%d of %d tries)"
            _log.error(told, job.sid, tries, _TRIES, exc_info=failure)
            if tries < _TRIES:
                self._failures[job.sid] = tries, now
                self._not_before[job.sid] = now + _PAUSE
                return
            why = f"{type(failure).__name__}: {failure}"
        if why is not None:
            _log.warning("the job %s failed: %s", job.sid, why)
        await self.store.transact(lambda tx: self._save_end(tx, job, why))

    def _save_end(self, tx: Transaction, job: Job, why: str | None) -> None:
        mine = next((one for one in tx.jobs.claim() if one.sid == job.sid), None)
        if mine is not None:
            now = self.clock.now()
            tx.jobs.save(mine.completed(now) if why is None else mine.failed(why, now))
