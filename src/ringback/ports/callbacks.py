"""The tables of callbacks, their attempts, batches of new callbacks, and kept answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from ringback.core.accounts.account import Account
from ringback.core.callbacks.callback import (
    Attempt,
    CallbackRecord,
    CallbackStatus,
    DeliveryProgress,
)
from ringback.core.policy.policy_impact import UrlDeliveryTotals
from ringback.core.policy.source_policy import SourceName
from ringback.ports.record_tables import PageWindow, RecordPage


@dataclass(frozen=True, slots=True)
class CallbackFilter:
    """Which callbacks to list; None stands for all."""

    statuses: frozenset[CallbackStatus] | None = None
    source: SourceName | None = None
    idempotency_token: str | None = None
    destination: str | None = None
    since: datetime | None = None
    """The first instant of creation."""
    until: datetime | None = None
    """The instant of creation from which on callbacks are left out."""


class Lane(NamedTuple):
    """A queue: the callbacks of one account to one destination.

    Lanes take turns, so that no account and no slow receiver holds up the others.
    """

    account_sid: str
    destination: str


def lane_of(callback: CallbackRecord) -> Lane:
    """Return the lane that a callback waits in."""
    return Lane(callback.account_sid, callback.url.destination)


class DeliveryClaim(NamedTuple):
    """A callback taken for one attempt, whose open row is durable with it."""

    callback: CallbackRecord
    """What to send, and where to; its own progress is the one before the claim."""
    progress: DeliveryProgress
    account: Account
    fresh: bool = False
    """Whether its request must use a new connection, since the last one was stale."""

    @property
    def attempt(self) -> Attempt:
        """The attempt's open row."""
        callback, progress = self.callback, self.progress
        return Attempt(
            callback.sid, callback.account_sid, progress.attempt_count, progress.date_updated
        )


class Settlement(NamedTuple):
    """How an attempt ended, and the resulting progress of its callback."""

    callback: CallbackRecord
    attempt: Attempt | None
    """The row with its ending; None if the request was never sent, so that there is no row."""
    progress: DeliveryProgress
    """The callback's progress from now on; if it is under way, its next attempt begins."""


class LaneDue(NamedTuple):
    """A lane in which callbacks wait that nobody has claimed."""

    lane: Lane
    next_due: datetime


class Callbacks(Protocol):
    """Callbacks and their attempts."""

    def add(self, callback: CallbackRecord) -> None:
        """Save a new callback; if it is under way, its first attempt's row is opened with it."""
        ...

    def get(self, account_sid: str, sid: str) -> CallbackRecord | None:
        """Return a callback of this account, or None."""
        ...

    def find(self, sid: str) -> CallbackRecord | None:
        """Return a callback of any account, or None."""
        ...

    def with_key(self, account_sid: str, idempotency_key: str) -> CallbackRecord | None:
        """Return the callback of this account that was created with this key, or None."""
        ...

    def page(
        self, account_sid: str, which: CallbackFilter, window: PageWindow
    ) -> RecordPage[CallbackRecord]:
        """Return one page, newest first.

        Raises PageNotFound if the account has no record with the SID that the page begins at.
        """
        ...

    def oldest(
        self,
        account_sid: str,
        which: CallbackFilter,
        *,
        after: str | None,
        limit: int,
        examining: int | None = None,
    ) -> RecordPage[CallbackRecord]:
        """Return callbacks in the order of their creation, beginning after the one with this SID.

        `examining` means the same as in a PageWindow.
        """
        ...

    def attempts(self, callback_sid: str) -> list[Attempt]:
        """Return all attempts of a callback, in the order in which they were made."""
        ...

    def change(self, callback: CallbackRecord) -> None:
        """Save the progress of a callback that has no attempt under way."""
        ...

    def claim(self, lane: Lane, now: datetime, *, limit: int) -> list[DeliveryClaim]:
        """Claim due callbacks of a lane, the longest due first, and open their attempts' rows."""
        ...

    def settle(self, settlements: Sequence[Settlement]) -> None:
        """Save how attempts ended, or that there was none, and the progress of their callbacks."""
        ...

    def put_back(self, claims: Sequence[DeliveryClaim], now: datetime) -> None:
        """Undo claims whose requests were not sent: no attempt was made, and they are due now."""
        ...

    def left_open(self) -> list[DeliveryClaim]:
        """Return the open attempts after a start: their process has died."""
        ...

    def next_due(self, lane: Lane) -> datetime | None:
        """Return when the next callback of a lane is due, or None if none waits."""
        ...

    def waiting(self, *, after: Lane | None = None, limit: int | None = None) -> list[LaneDue]:
        """Return up to `limit` lanes in which callbacks wait, beginning after this lane.

        They are sorted by account and destination.
        """
        ...

    def changed_after(self, instant: datetime, *, limit: int) -> list[CallbackRecord]:
        """Return waiting callbacks that were written after this instant: mostly retries.

        Callbacks that have waited since their creation for a later due time are left out.
        """
        ...

    def unfinished(self) -> dict[str, int]:
        """Return the number of callbacks that have not ended, by account."""
        ...

    def due_before(self, instants: Sequence[datetime]) -> list[int]:
        """Return, for each instant, how many waiting callbacks are due before it."""
        ...

    def date_of(self, nth: int, *, since: datetime) -> datetime | None:
        """Return when the callback at this place was created, from 0; None if there is none.

        Callbacks are in the order of their SIDs, beginning with the millisecond of `since`.
        """
        ...

    def totals(
        self, *, since: datetime, until: datetime, account_sid: str | None = None
    ) -> list[UrlDeliveryTotals]:
        """Return the totals of callbacks created in this period, by account, URL and sources.

        Test events and replays from the other source are left out. Callbacks are found by the time
        in their SIDs, so those that were created before SIDs had a time are not found.
        """
        ...


class IncomingCallbackBatches(Protocol):
    """Big batches of new callbacks: saved as a whole first, and then added to the callbacks."""

    def add(self, callbacks: Sequence[str]) -> range:
        """Save a batch, each callback as `write_new` writes it; return their numbers.

        Numbers grow from batch to batch.
        """
        ...

    def all(self) -> dict[int, str]:
        """Return the callbacks of all batches by their numbers, in the order of these."""
        ...

    def remove(self, numbers: Sequence[int]) -> None:
        """Delete those with these numbers, which have been added to the callbacks."""
        ...


class StoredResponseBytes(NamedTuple):
    """How many bytes of answers to an account's callbacks are kept, apart from the attempts."""

    account_sid: str
    bytes: int


class ResponseOverflows(Protocol):
    """The rest of long answers: what does not fit into the rows of their attempts."""

    def bytes_of(self, account_sid: str) -> int:
        """Return how many bytes are kept for an account, or in all for EVERY."""
        ...

    def largest(self, *, limit: int) -> list[StoredResponseBytes]:
        """Return the accounts for which most bytes are kept, the largest first."""
        ...
