"""Creates, pauses, resumes and cancels jobs, and does the pieces of a bulk replay."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Final, Self

from ringback.core.accounts.account import EVERY
from ringback.core.calendar import exact
from ringback.core.callbacks.callback import CallbackStatus
from ringback.core.errors import BacklogFull, Conflict, NotFound
from ringback.core.job import UNFINISHED, Job, JobKind, JobPiece
from ringback.operations.context import AccountOperationContext, OperationContext
from ringback.operations.replay import (
    Selection,
    everything,
    from_other_source,
    from_same_source,
    in_groups,
    replay_oldest,
)
from ringback.ports import CallbackFilter, NewCallbackQueue, PageWindow, Transaction

MOST_UNFINISHED: Final = 20
"""The most jobs of an account that are running or paused."""
REPLAYED: Final = "replayed"
"""The name in a job's counts of the callbacks that were sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkReplay:
    """The callbacks that a job replays, and how."""

    which: CallbackFilter
    """Selects the callbacks; its `until` is not after the job's creation."""
    is_from_other_source: bool = False
    most: int | None = None
    """The most callbacks to send again; None for all."""
    groups: tuple[str, ...] = ()
    """The keys of the groups of undelivered callbacks to which it is limited; empty for all."""

    @property
    def selection(self) -> Selection:
        """Selects those of the callbacks in `which` that belong to the groups."""
        return in_groups(frozenset(self.groups)) if self.groups else everything

    def parameters(self) -> dict[str, Any]:
        """Return this as the parameters of a job."""
        which = self.which
        given = {one.name: getattr(which, one.name) for one in fields(which)} | {
            "statuses": sorted(which.statuses or ()),
            "since": which.since and exact(which.since),
            "until": which.until and exact(which.until),
            "as_other_source": self.is_from_other_source,
            "most": self.most,
            "groups": list(self.groups) or None,
        }
        return {name: value for name, value in given.items() if value is not None}

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Self:
        """Return the replay that the parameters of a job describe."""
        given = dict(parameters)
        is_from_other_source, most = given.pop("as_other_source"), given.pop("most", None)
        groups = tuple(given.pop("groups", ()))
        for name in ("since", "until"):
            if name in given:
                given[name] = datetime.fromisoformat(given[name])
        given["statuses"] = frozenset(map(CallbackStatus, given["statuses"]))
        which = CallbackFilter(**given)
        return cls(which=which, is_from_other_source=is_from_other_source, most=most, groups=groups)


def record_job(
    tx: Transaction,
    context: AccountOperationContext,
    action: str,
    *,
    before: Job | None = None,
    after: Job,
) -> None:
    """Add the audit entry of a change of a job."""
    context.record(tx, action, after.sid, account_sid=after.owner, before=before, after=after)


def create_job(
    tx: Transaction, job: Job, context: AccountOperationContext, *, action: str = "CreateJob"
) -> Job:
    """Save a new job, and return it; raises Conflict if its account has too many unfinished ones.

    `action` is for the audit entry.

    If the account has a job with the same idempotency key, nothing is saved, and that one is
    returned.
    """
    if job.idempotency_key is not None:
        key = {"account_sid": job.account_sid, "idempotency_key": job.idempotency_key}
        known = tx.jobs.first(key)
        if known is not None:
            return known
    window = PageWindow(MOST_UNFINISHED)
    pages = (tx.jobs.page(job.account_sid, {"status": one}, window) for one in UNFINISHED)
    if sum(map(len, pages)) >= MOST_UNFINISHED:
        raise Conflict(
            f"{MOST_UNFINISHED} jobs of this account have not ended yet; wait until one ends, or"
            " cancel one"
        )
    tx.jobs.add(job)
    record_job(tx, context, action, after=job)
    return job


def fetch_job(tx: Transaction, account_sid: str, sid: str) -> Job:
    """Return the account's job with this SID, or any job for EVERY.

    Raises NotFound if there is none.
    """
    job = tx.jobs.get(sid)
    if job is None or account_sid not in (EVERY, job.account_sid):
        raise NotFound(f"there is no job with the SID {sid!r}")
    return job


def change_job(
    tx: Transaction,
    account_sid: str,
    sid: str,
    move: Callable[[Job, datetime], Job],
    context: OperationContext,
    *,
    action: str,
) -> Job:
    """Pause, resume or cancel a job by `move`, and return it; `action` is for the audit entry.

    Raises NotFound if the account has no such job, and Conflict if it can't be moved so.
    """
    before = fetch_job(tx, account_sid, sid)
    job = move(before, context.now)
    tx.jobs.save(job)
    record_job(tx, context, action, before=before, after=job)
    return job


def do_piece(tx: Transaction, job: Job, context: OperationContext, limit: int) -> JobPiece:
    """Do the next piece of a job, of at most `limit` items.

    Raises BacklogFull if the queue has no room for it.
    """
    match job.kind:
        case JobKind.REPLAY:
            return _replay_piece(tx, job, context, limit)
        case JobKind.MIGRATION:
            raise ValueError(f"{job.sid} is not done in pieces")


def _replay_piece(tx: Transaction, job: Job, context: OperationContext, limit: int) -> JobPiece:
    asked, replayed = BulkReplay.of(job.parameters), job.counts.get(REPLAYED, 0)
    left = limit if asked.most is None else min(limit, asked.most - replayed)
    # If this process's clock is behind, its new callbacks must not look older than the job: they
    # would be replayed, too.
    context = replace(context, now=max(context.now, job.date_created))
    replay = from_other_source if asked.is_from_other_source else from_same_source
    done = replay_oldest(
        *(tx, job.account_sid, asked.which, replay(context)),
        after=job.position,
        limit=_room_for(left, context.queue, job.account_sid),
        selection=asked.selection,
    )
    is_last = not done.has_more or replayed + done.replayed == asked.most
    return JobPiece({REPLAYED: done.replayed, **done.skipped}, done.last_place, is_last)


def _room_for(count: int, queue: NewCallbackQueue, account_sid: str) -> int:
    """Return for how many callbacks the queue has room: `count`, or else 1.

    Raises BacklogFull if it has none.
    """
    try:
        queue.make_room(account_sid, count)
    except BacklogFull:
        queue.make_room(account_sid, 1)
        return 1
    return count
