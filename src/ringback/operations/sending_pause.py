"""Pauses and resumes all servers that use a store, and describes what waits meanwhile."""

from datetime import datetime
from typing import Final, NamedTuple

from ringback.core.audit import Actor, audit_entry
from ringback.ports import ALL_SHARDS, SendingPause, Transaction

BY_AN_OPERATOR: Final = "an operator has paused it"
"""The reason of a pause for which none was given."""


class PauseStatus(NamedTuple):
    """Whether servers are paused, and what would be sent if they were resumed now."""

    pause: SendingPause | None
    callbacks_waiting: int
    """The number of callbacks that have not ended, due now or later."""
    callbacks_due: int
    """The number of waiting callbacks that are due."""
    oldest_due: datetime | None
    """When the callback that has waited longest came due; None if none is due."""
    tasks_due: int
    """The number of steps of SIMs, Commands and profiles that are due."""

    @classmethod
    def of(cls, tx: Transaction, now: datetime) -> "PauseStatus":
        """Read the state at the time `now`."""
        (due,) = tx.callbacks.due_before([now])
        return cls(
            tx.pause.get(),
            sum(tx.callbacks.unfinished().values()),
            due,
            tx.callbacks.oldest_due(ALL_SHARDS, now),
            tx.tasks.count_due(now),
        )

    def record(self) -> dict[str, object]:
        """Return the state as the fields of a JSON object, with instants as they are."""
        pause, fields = self.pause, self._asdict()
        del fields["pause"]
        return {
            "is_paused": pause is not None,
            "paused_since": pause and pause.since,
            "reason": pause and pause.reason,
            **fields,
        }


def begin_pause(tx: Transaction, reason: str, now: datetime, actor: Actor) -> SendingPause:
    """Begin a pause, unless there is one already, and return the pause that is in force."""
    before, pause = tx.pause.get(), tx.pause.begin(SendingPause(now, reason))
    if before is None:
        _record(tx, "PauseServer", now, actor, after=pause._asdict())
    return pause


def end_pause(tx: Transaction, now: datetime, actor: Actor) -> SendingPause | None:
    """End the pause, and return it; None if there was none."""
    ended = tx.pause.end()
    if ended is not None:
        _record(tx, "ResumeServer", now, actor, before=ended._asdict())
    return ended


def _record(
    tx: Transaction, action: str, now: datetime, actor: Actor, **change: dict[str, object]
) -> None:
    entry = audit_entry(actor, now, action, "server", account_sid=None, **change)
    if entry is not None:
        tx.audit.add(entry)
