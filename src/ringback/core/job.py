"""Jobs: long actions that run in the server, piece by piece, such as the replay of many callbacks.

A job is a record that says what was asked for, how far it is, and how it ended. Each piece of its
work is one transaction, which also saves how far the job is then. So after a crash, the job goes on
with the first piece that is not done.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from ringback.core.accounts.account import one_account
from ringback.core.errors import Conflict, RingbackError


class JobKind(StrEnum):
    """The kinds of jobs."""

    REPLAY = "replay"
    """Sends callbacks again."""
    MIGRATION = "migration"
    """Moves callback URLs by a plan, or moves them back."""


IN_PIECES: Final = (JobKind.REPLAY,)
"""The kinds of jobs whose work is done in pieces, each in one transaction."""


class JobStatus(StrEnum):
    """What a job does, or how it ended."""

    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


class JobStopped(RingbackError):
    """The job does not run any more, or another process has it: its work ends where it is."""


UNFINISHED: Final = frozenset({JobStatus.RUNNING, JobStatus.PAUSED})


class JobPiece(NamedTuple):
    """A piece of a job's work that is done."""

    counts: Mapping[str, int]
    """The number of items that the piece dealt with, by what happened to them."""
    position: int | None
    """Where the next piece begins; None if this piece got no further."""
    is_last: bool
    """True if nothing is left to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A long action of an account or of the operator, and how far it is."""

    sid: str
    account_sid: str
    """The account; EVERY for the operator's action on all accounts."""
    kind: JobKind
    parameters: Mapping[str, Any]
    """What was asked for, in the form of the kind of job."""
    rate: int | None = None
    """The most items to deal with in a second; None for no limit."""
    estimate: int
    """The number of items that were found when the job was created."""
    is_exact: bool
    """False if counting them took too long, so that there may be more than `estimate`."""
    status: JobStatus = JobStatus.RUNNING
    status_reason: str | None = None
    """Why a running job waits, or why it failed; otherwise None."""
    counts: Mapping[str, int]
    """The number of items that are done, by what happened to them."""
    position: int | None = None
    """Where the next piece begins, in the form of the kind of job; None for the beginning."""
    created_by: str
    """Who created the job, in words."""
    idempotency_key: str | None = None
    date_created: datetime
    date_updated: datetime
    date_ended: datetime | None = None
    plan_id: str | None = None
    """The plan that the job carries out, if it is of that kind."""

    @property
    def owner(self) -> str | None:
        """The account; None if the action is the operator's on all accounts."""
        return one_account(self.account_sid)

    @property
    def done(self) -> int:
        """The number of items that the job has dealt with."""
        return sum(self.counts.values())

    def after(self, piece: JobPiece, now: datetime) -> "Job":
        """Return the job after a piece of its work."""
        position = self.position if piece.position is None else piece.position
        counts = dict(Counter(self.counts) + Counter(piece.counts))
        job = replace(self, counts=counts, position=position, status_reason=None, date_updated=now)
        return job.completed(now) if piece.is_last else job

    def completed(self, now: datetime) -> "Job":
        """Return the job after all of its work."""
        return replace(_ended(self, JobStatus.DONE, now), status_reason=None)

    def waiting(self, why: str, now: datetime) -> "Job":
        """Return the job while it waits for something, such as room in the queue."""
        return replace(self, status_reason=why, date_updated=now)

    def failed(self, why: str, now: datetime) -> "Job":
        """Return the job after an error that trying again did not help."""
        return replace(_ended(self, JobStatus.FAILED, now), status_reason=why)


def pause(job: Job, now: datetime) -> Job:
    """Return the job paused: nothing more of it is done until it is resumed.

    Raises Conflict if it isn't running.
    """
    _refuse_unless(job, "paused", JobStatus.RUNNING)
    return replace(job, status=JobStatus.PAUSED, status_reason=None, date_updated=now)


def resume(job: Job, now: datetime) -> Job:
    """Return the paused job running again; raises Conflict if it isn't paused."""
    _refuse_unless(job, "resumed", JobStatus.PAUSED)
    return replace(job, status=JobStatus.RUNNING, date_updated=now)


def cancel(job: Job, now: datetime) -> Job:
    """Return the job cancelled: nothing more of it is done, and what is done stays as it is.

    Raises Conflict if it has ended.
    """
    _refuse_unless(job, "cancelled", *sorted(UNFINISHED))
    return replace(_ended(job, JobStatus.CANCELLED, now), status_reason=None)


def _ended(job: Job, status: JobStatus, now: datetime) -> Job:
    return replace(job, status=status, date_ended=now, date_updated=now)


def _refuse_unless(job: Job, what: str, *statuses: JobStatus) -> None:
    if job.status not in statuses:
        allowed = " or ".join(sorted(statuses, reverse=True))
        raise Conflict(f"{job.sid} is {job.status}; only a job that is {allowed} can be {what}")
