"""The tables of callbacks and their attempts, and what takes new ones in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from ringback.core.accounts.account import Account
from ringback.core.callbacks.callback import (
    Attempt,
    CallbackStatus,
    DeliveryState,
    OutgoingCallback,
)
from ringback.core.policy.source_policy import SourceName
from ringback.ports.records import PageRequest, RecordPage


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
    """The instant of creation from which on they are left out."""


class Lane(NamedTuple):
    """What waits in one line: the callbacks of one account to one destination."""

    account_sid: str
    destination: str


def lane_of(callback: OutgoingCallback) -> Lane:
    """Return the lane that a callback waits in."""
    return Lane(callback.account_sid, callback.url.destination)


class Claim(NamedTuple):
    """A callback taken for one attempt, whose open row is durable with it."""

    callback: OutgoingCallback
    """What to tell, and to whom; its own progress is that of before the claim."""
    progress: DeliveryState
    account: Account
    fresh: bool = False
    """Whether its request is to leave by a new connection: the last one was stale."""

    @property
    def attempt(self) -> Attempt:
        """The attempt's open row."""
        callback, progress = self.callback, self.progress
        return Attempt(
            callback.sid, callback.account_sid, progress.attempt_count, progress.date_updated
        )


class Settlement(NamedTuple):
    """How an attempt ended, and what becomes of its callback."""

    callback: OutgoingCallback
    attempt: Attempt | None
    """The row with its ending; None where its request has not left, so that there is no row."""
    progress: DeliveryState
    """Of the callback from now on; where it is under way, its next attempt begins."""


class LaneDue(NamedTuple):
    """What waits in a lane that is not claimed."""

    lane: Lane
    next_due: datetime


class DeliveryTotals(NamedTuple):
    """How the callbacks of one account to one URL went that asked for one source and had one."""

    account_sid: str
    url: str
    """As records show it: with its fragment, without its credentials."""
    source: SourceName
    source_asked: SourceName | None
    delivered: int
    undelivered: int
    """Failed or discarded."""
    retried: int
    """Not ended yet, after an attempt that failed."""
    waiting: int
    """Not ended yet, and no attempt has failed."""

    @property
    def callbacks(self) -> int:
        """How many there are, whatever became of them."""
        return self.delivered + self.undelivered + self.retried + self.waiting


class Callbacks(Protocol):
    """Callbacks and their attempts."""

    def add(self, callback: OutgoingCallback) -> None:
        """Keep a new callback; where it is under way, its first attempt's row is opened with it."""
        ...

    def get(self, account_sid: str, sid: str) -> OutgoingCallback | None:
        """Return a callback of this account, or None."""
        ...

    def find(self, sid: str) -> OutgoingCallback | None:
        """Return a callback of any account, or None."""
        ...

    def with_key(self, account_sid: str, idempotency_key: str) -> OutgoingCallback | None:
        """Return the callback of this account that was made with this key, or None."""
        ...

    def page(
        self, account_sid: str, which: CallbackFilter, window: PageRequest
    ) -> RecordPage[OutgoingCallback]:
        """Return one page, newest first.

        Raises PageNotFound where the account has no such record as the window begins at.
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
    ) -> RecordPage[OutgoingCallback]:
        """Return callbacks in the order of their creation, from the one after this SID on.

        `examining` is as that of a Window.
        """
        ...

    def attempts(self, callback_sid: str) -> list[Attempt]:
        """Return all attempts of a callback, in the order in which they were made."""
        ...

    def change(self, callback: OutgoingCallback) -> None:
        """Keep the progress of a callback that has no attempt under way."""
        ...

    def claim(self, lane: Lane, now: datetime, *, limit: int) -> list[Claim]:
        """Take callbacks of a lane that are due, the longest due first; open their attempts."""
        ...

    def settle(self, settlements: Sequence[Settlement]) -> None:
        """Write how attempts ended, or that they were none, and what becomes of their callbacks."""
        ...

    def put_back(self, claims: Sequence[Claim], now: datetime) -> None:
        """Undo claims whose requests have not left: no attempt was made, and they are due now."""
        ...

    def left_open(self) -> list[Claim]:
        """Return the attempts that nobody is making any more: a dead worker's."""
        ...

    def next_due(self, lane: Lane) -> datetime | None:
        """Return when the next callback of a lane is due, or None where none is."""
        ...

    def waiting(self, *, after: Lane | None = None, limit: int | None = None) -> list[LaneDue]:
        """Return lanes in which something waits, each with the instant at which it is due.

        In their order, from the one after this lane on; so many at the most.
        """
        ...

    def changed_after(self, instant: datetime, *, limit: int) -> list[OutgoingCallback]:
        """Return callbacks that wait, and were written after this instant: retries, above all.

        What its customer has put off, and waits as it was created, is not among them.
        """
        ...

    def unfinished(self) -> dict[str, int]:
        """Return how many callbacks of each account have not ended."""
        ...

    def due_before(self, instants: Sequence[datetime]) -> list[int]:
        """Return for each instant how many callbacks wait that are due before it."""
        ...

    def date_of(self, nth: int, *, since: datetime) -> datetime | None:
        """Return when the callback was created that follows so many others; None where none does.

        They are in the order of their SIDs, from those of the millisecond of `since` on.
        """
        ...

    def totals(
        self, *, since: datetime, until: datetime, account_sid: str | None = None
    ) -> list[DeliveryTotals]:
        """Return how those created in this time went, in the order of account, URL and sources.

        Test events and replays from the other source are left out. It goes by the time in their
        SIDs: what was made before SIDs were dated is not found.
        """
        ...


class CallbackBatches(Protocol):
    """Big batches of new callbacks, durable as a whole before they are callbacks one by one."""

    def add(self, callbacks: Sequence[str]) -> range:
        """Keep a batch, each callback as the text of `core.callback_text`; return their numbers.

        They grow from batch to batch.
        """
        ...

    def all(self) -> dict[int, str]:
        """Return the callbacks of all batches by their numbers, in the order of these."""
        ...

    def remove(self, numbers: Sequence[int]) -> None:
        """Forget those with these numbers: they have been added to the callbacks."""
        ...


class StoredResponseBytes(NamedTuple):
    """How many bytes are kept of the answers to an account's callbacks, apart from attempts."""

    account_sid: str
    bytes: int


class StoredResponses(Protocol):
    """What is kept of answers beyond the first part, which stands with their attempts."""

    def bytes_of(self, account_sid: str) -> int:
        """Return how many bytes are kept for an account; for EVERY, in all."""
        ...

    def largest(self, *, limit: int) -> list[StoredResponseBytes]:
        """Return the accounts for which most is kept, the first of them first."""
        ...
