"""Works on jobs, such as the replay of many callbacks, a small piece of one job after the other.

A piece is one transaction, which claims the running jobs, chooses one, does a piece of it and saves
how far it is. So a job that was paused or cancelled is not continued, and no piece is done twice,
whenever a process dies or another one takes its jobs over.

Tests can stop the loop at the checkpoint `piece_done`, after the transaction of a piece.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Generic, NamedTuple, TypeVar

from ringback.core.errors import BacklogFull, StoreUnavailable
from ringback.core.job import IN_PIECES, Job, JobPiece
from ringback.engine.store_loop import StoreLoop
from ringback.ports import Transaction
from ringback.runtime.system_clock import stopwatch

C = TypeVar("C")

PIECE: Final = 100
"""The most items of a piece, which then takes a few milliseconds."""
_PIECE_BESIDE_OTHERS: Final = 8
"""The most items of a piece while several accounts send callbacks."""
_REST_BESIDE_OTHERS: Final = 3
"""How many times as long as such a piece the pause after it is."""
_PIECES_IN_A_SECOND: Final = 10
"""A job with a rate does this many pieces in a second, so that its items come evenly."""
_TRIES: Final = 3
"""How often a piece is tried if it fails with an unexpected error."""
_PAUSE: Final = timedelta(seconds=1)
"""How long such a job waits before it is tried again."""

_log = logging.getLogger(__name__)

PieceWork = Callable[[Transaction, Job, C, int], JobPiece]
"""Does the next piece of a job, of at most this many items; raises BacklogFull if it must wait."""


class _Turn(NamedTuple):
    """What a transaction found and did."""

    running: Sequence[Job] = ()
    """The running jobs, as they were before."""
    job: Job | None = None
    """The job that had its turn, as it is now; None if all have to wait."""
    wait: timedelta = timedelta(0)
    """How long after the beginning of this turn the job has its next one."""


@dataclass(eq=False, kw_only=True)
class JobRunner(StoreLoop, Generic[C]):
    """The loop that works on the running jobs; all get their turn."""

    do_piece: PieceWork[C]
    context: Callable[[], C]
    most_per_second: int | None = None
    """The most items of each job in a second, whatever its own rate is; None for no limit."""
    are_others_there: Callable[[], bool] = lambda: False
    """Returns True while several accounts send callbacks; then pieces are small, with pauses."""
    stopwatch: Callable[[], float] = stopwatch
    """Returns a time in seconds, to measure durations."""

    def __post_init__(self) -> None:
        """Begin without jobs that wait."""
        super().__post_init__()
        self._last: str | None = None
        """The SID of the job that had the last turn."""
        self._not_before = dict[str, datetime]()
        """When the next turn of a job is due, if it has to wait."""
        self._failures = dict[str, int]()
        """How often in a row the current piece of a job has failed."""

    async def _first_due(self) -> datetime | None:
        """Return when a job that waits has its next turn, or None if there is none."""
        return min(self._not_before.values(), default=None)

    async def step(self) -> bool:
        """Do a piece of the job whose turn it is; return False if all have to wait."""
        if not self.gate.is_open:
            return False
        tried, began, started = list[Job](), self.clock.now(), self.stopwatch()
        try:
            turn = await self.store.transact(lambda tx: self._take_turn(tx, tried))
        except StoreUnavailable:
            raise
        except Exception as failure:
            if not tried:
                raise
            await self._fail(tried[-1], failure)
            return True
        self._note(turn, began)
        if turn.job is None:
            return False
        self.checkpoint("piece_done")
        if self.are_others_there():
            # The callbacks of the piece are sent in this time, too.
            await asyncio.sleep(_REST_BESIDE_OTHERS * (self.stopwatch() - started))
        return True

    def _take_turn(self, tx: Transaction, tried: list[Job]) -> _Turn:
        # A store may run this again, so it changes nothing here but `tried`.
        now = self.clock.now()
        running = [one for one in tx.jobs.claim() if one.kind in IN_PIECES]
        job = self._next_of(running, now)
        if job is None:
            return _Turn(running)
        tried.append(job)
        rate = min(filter(None, (job.rate, self.most_per_second)), default=None)
        most = _PIECE_BESIDE_OTHERS if self.are_others_there() else PIECE
        limit = most if rate is None else max(1, min(most, rate // _PIECES_IN_A_SECOND))
        try:
            piece = self.do_piece(tx, job, self.context(), limit)
        except BacklogFull as full:
            why = f"waits: {full.message}"
            if job.status_reason != why:
                job = job.waiting(why, now)
                tx.jobs.save(job)
            return _Turn(running, job, timedelta(seconds=full.retry_after))
        job = job.after(piece, now)
        tx.jobs.save(job)
        count = sum(piece.counts.values())
        return _Turn(
            running, job, timedelta(0) if rate is None else timedelta(seconds=count / rate)
        )

    def _next_of(self, running: Sequence[Job], now: datetime) -> Job | None:
        """Return the job whose turn it is: the next one after the last that need not wait."""
        sids = [job.sid for job in running]
        first = sids.index(self._last) + 1 if self._last in sids else 0
        in_turn = [*running[first:], *running[:first]]
        return next((one for one in in_turn if self._not_before.get(one.sid, now) <= now), None)

    def _note(self, turn: _Turn, began: datetime) -> None:
        running, job = {one.sid for one in turn.running}, turn.job
        self._not_before = {sid: due for sid, due in self._not_before.items() if sid in running}
        self._failures = {sid: tries for sid, tries in self._failures.items() if sid in running}
        if job is None:
            return
        self._last = job.sid
        self._failures.pop(job.sid, None)
        self._not_before.pop(job.sid, None)
        if turn.wait and job.date_ended is None:
            self._not_before[job.sid] = began + turn.wait

    async def _fail(self, job: Job, failure: Exception) -> None:
        """Let a job whose piece has failed wait for another try, or end it after some tries."""
        tries = self._failures.get(job.sid, 0) + 1
        told = "a piece of the job %s failed (%d of %d tries)"
        _log.error(told, job.sid, tries, _TRIES, exc_info=failure)
        self._last = job.sid
        if tries < _TRIES:
            self._failures[job.sid] = tries
            self._not_before[job.sid] = self.clock.now() + _PAUSE
            return
        why = f"{type(failure).__name__}: {failure}"

        def end(tx: Transaction) -> None:
            mine = next((one for one in tx.jobs.claim() if one.sid == job.sid), None)
            if mine is not None:
                tx.jobs.save(mine.failed(why, self.clock.now()))

        await self.store.transact(end)
        self._failures.pop(job.sid, None)
