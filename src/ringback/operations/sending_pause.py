"""Describes what waits while servers send nothing, before an operator resumes them."""

from datetime import datetime
from typing import Final, NamedTuple

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
