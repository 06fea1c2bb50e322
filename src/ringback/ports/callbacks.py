"""Interfaces of the tables for callbacks, attempts, batches of new callbacks, and long answers."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol

from ringback.core.accounts.account import Account
from ringback.core.callbacks.callback import (
    Attempt,
    CallbackRecord,
    CallbackStatus,
    DeliveryProgress,
    settle,
)
from ringback.core.callbacks.undelivered_groups import UndeliveredCallback
from ringback.core.destinations.destination_events import DestinationEvent
from ringback.core.destinations.destination_state import DestinationState
from ringback.core.http.http_exchange import AttemptResult, OutgoingRequest
from ringback.core.http.outcome import AttemptFailure, failure_of
from ringback.core.policy.source_policy import SourceName
from ringback.core.policy.urls_in_use import UrlDeliveryTotals
from ringback.ports.record_tables import PageWindow, RecordPage

BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
"""The first instant."""


@dataclass(frozen=True, slots=True)
class CallbackFilter:
    """A filter for lists of callbacks; a field that is None matches all callbacks."""

    statuses: frozenset[CallbackStatus] | None = None
    source: SourceName | None = None
    idempotency_token: str | None = None
    destination: str | None = None
    since: datetime | None = None
    """List callbacks that were created at this instant or later."""
    until: datetime | None = None
    """List callbacks that were created before this instant."""
    url_prefix: str | None = None
    """List callbacks whose URL, as records show it, begins with this text."""
    event: str | None = None
    """List callbacks that report this kind of event."""
    sim_sid: str | None = None
    """List callbacks that are about the SIM with this SID."""
    text: str | None = None
    """List callbacks with this text in URL, body, token or SIDs, in either letter case.

    In a body, the text is found as it is, and decoded. Only A to Z are sure to have two cases. The
    bodies of batches are not searched, since they are composed of events.
    """
    stream_sid: str | None = None
    """List batches and test events of the stream with this SID: a subscription or a sink."""


class ListedCallback(NamedTuple):
    """A callback in a list, with the outcome of its last attempt."""

    callback: CallbackRecord
    last_attempt: Attempt | None
    """The last attempt that has ended; None before the first one has."""
    waits_because: str | None = None
    """Why it waits although it is due, in words; None if it does not have to."""

    @property
    def sid(self) -> str:
        """The callback's SID."""
        return self.callback.sid


class Lane(NamedTuple):
    """A queue of one account's callbacks to one destination.

    Lanes take turns, so that no account and no slow receiver delays the others.
    """

    account_sid: str
    destination: str
    """Scheme, host and port, followed by a path pattern if it is only a part of the destination."""


def lane_of(callback: CallbackRecord) -> Lane:
    """Return the lane that a callback waits in."""
    return Lane(callback.account_sid, callback.destination)


class StateChange(NamedTuple):
    """What an attempt, or a person, has made of a lane's destination, and the events about that."""

    lane: Lane
    state: DestinationState
    events: tuple[DestinationEvent, ...] = ()


class LaneQuota(NamedTuple):
    """The number of callbacks to claim from a lane."""

    lane: Lane
    limit: int
    since: datetime = BEGINNING
    """No callback that waits in the lane is known to be due earlier; a store may skip such ones."""


class DeliveryClaim(NamedTuple):
    """A callback that is about to be sent; its attempt is saved, but has no result yet."""

    callback: CallbackRecord
    """The callback to send; its `progress` is that of the attempt under way."""
    account: Account
    lane: Lane
    """The lane that the callback waited in, or would have waited in."""
    fresh: bool = False
    """True if the request must use a new connection, since the last one turned out closed."""
    row_id: int = 0
    """The number by which the store finds the callback's rows."""
    is_new: bool = False
    """True if the commit that added the callback claimed it, too."""
    run: int = 0
    """The number of the claim, if several processes share the store.

    Once another process has taken the callback over, it has another number, and the store ignores
    the results of this claim.
    """
    lease: int = 0
    """The number of the lease under which it was claimed: see `Cluster.lease_on`."""
    due: datetime | None = None
    """Since when it waited for this attempt; None if it did not wait in the store, or long ago."""

    @property
    def progress(self) -> DeliveryProgress:
        """The progress of the attempt under way."""
        return self.callback.progress

    @property
    def attempt(self) -> Attempt:
        """The attempt, still without a result."""
        callback, progress = self.callback, self.progress
        return Attempt(
            callback.sid, callback.account_sid, progress.attempt_count, progress.date_updated
        )


class Settlement(NamedTuple):
    """The result of an attempt, and the new progress of its callback."""

    claim: DeliveryClaim
    progress: DeliveryProgress
    """The callback's new progress; it is under way if the next attempt begins at once."""
    result: AttemptResult | None = None
    """How the attempt ended; None if nothing was sent, which deletes the attempt."""
    started: datetime = BEGINNING
    request: OutgoingRequest | None = None
    """The request that was sent; None if it could not be rendered, or is not known any more."""
    change: StateChange | None = None
    """What the attempt has made of its destination; None if that has nothing to be stored."""

    @property
    def attempt(self) -> Attempt | None:
        """The attempt with its result; None if nothing was sent."""
        if self.result is None:
            return None
        recorded = self.request and self.request.recorded()
        return settle(
            self.claim.attempt,
            self.result,
            recorded,
            started=self.started,
            is_stream=self.claim.callback.stream is not None,
        )

    def next_claim(self, account: Account) -> DeliveryClaim:
        """Return the claim for the next attempt of the round, which is under way.

        If a kept connection turned out to be closed, this attempt opens a new one.
        """
        claim, result = self.claim, self.result
        fresh = result is not None and failure_of(result.outcome) == AttemptFailure.STALE.label
        callback = claim.callback.having(self.progress)
        return claim._replace(callback=callback, account=account, fresh=fresh, is_new=False)


class LaneClaims(NamedTuple):
    """What was claimed from a lane, and when its next callback is due."""

    claims: list[DeliveryClaim]
    next_due: datetime | None
    """When the next callback is due at the earliest; None if none waits."""


class LaneDue(NamedTuple):
    """A lane with waiting callbacks, and the time when the first of them is due."""

    lane: Lane
    next_due: datetime


class SettledAttempts(NamedTuple):
    """What has become of the settlements of attempts."""

    outdated: Sequence[Settlement]
    """Those that were not saved: another process has taken their callbacks over."""
    turns: Sequence[LaneDue]
    """The lanes in which it is a callback's turn now, since one of its order key has ended."""


class Callbacks(Protocol):
    """The table of callbacks and their attempts.

    Of the callbacks in a lane with the same order key that have not ended, only one can be claimed:
    the others wait until it has ended, and then follow it one after the other.
    """

    def take_place(self, callback: CallbackRecord) -> bool:
        """Give a new callback its place among those in its lane with the same order key.

        Returns True if none is before it, so that it may be sent at once. Otherwise, it will be
        claimed once its turn comes. The same transaction must `add` the callback.
        """
        ...

    def add(self, callback: CallbackRecord) -> int:
        """Save a new callback, and return the number of its rows for a claim.

        If its first attempt is under way, the attempt is saved without a result. Raises ValueError
        if one of its order key has to end before.
        """
        ...

    def get(self, account_sid: str, sid: str) -> CallbackRecord | None:
        """Return the account's callback with this SID, or None if there is none."""
        ...

    def find(self, sid: str) -> CallbackRecord | None:
        """Return the callback of any account with this SID, or None if there is none."""
        ...

    def with_key(self, account_sid: str, idempotency_key: str) -> CallbackRecord | None:
        """Return the account's callback that was created with this idempotency key, or None."""
        ...

    def page(
        self, account_sid: str, which: CallbackFilter, window: PageWindow
    ) -> RecordPage[CallbackRecord]:
        """Return one page of an account's callbacks that match a filter, newest first.

        Raises PageNotFound if the account has no callback with the SID that the page begins at.
        """
        ...

    def oldest(
        self,
        account_sid: str,
        which: CallbackFilter,
        *,
        after: str | int | None,
        limit: int,
        examining: int | None = None,
    ) -> RecordPage[CallbackRecord]:
        """Return at most `limit` callbacks of an account that match a filter, oldest first.

        With `after`, only callbacks that follow the one with this SID, or this place, are returned;
        a place is the `last_place` of an earlier page. `examining` limits how many callbacks are
        read; see `PageWindow.examining`.
        """
        ...

    def attempts(self, callback_sid: str) -> list[Attempt]:
        """Return all attempts of a callback, oldest first."""
        ...

    def last_attempts(self, callbacks: Sequence[CallbackRecord]) -> dict[str, Attempt]:
        """Return the last attempt that ended of each callback, by the callback's SID.

        Requests and answers are left out: a list needs only the outcome and the time.
        """
        ...

    def undelivered(
        self, account_sid: str, which: CallbackFilter, window: PageWindow
    ) -> RecordPage[UndeliveredCallback]:
        """Return a page as `page` does, with what groups need, which costs less.

        `which` has statuses, only such of callbacks that have ended undelivered.
        """
        ...

    def change(self, callback: CallbackRecord) -> LaneDue | None:
        """Save the progress of a callback that has no attempt under way.

        If this ends the callback, the next one of its order key can be claimed: returns its lane,
        and when it is due. A callback that is replayed follows the one of its order key whose turn
        it is, and comes before those that were never sent.
        """
        ...

    def restore_order(self, *, limit: int) -> int:
        """Let callbacks follow those of their order key that have ended without being followed.

        Servers of the version before leave such ones, if they share the store. At most `limit` keys
        are looked at, beginning with those that follow the last ones. Returns how many were wrong.
        """
        ...

    def claim(self, quotas: Sequence[LaneQuota], now: datetime) -> list[LaneClaims]:
        """Claim due callbacks for sending, as many of each lane as its quota says.

        The callbacks of a lane that have been due for longest come first. Each gets an attempt,
        which is saved without a result. The list has an item for each quota. Nothing is claimed
        from lanes that belong to another process.
        """
        ...

    def settle(self, settlements: Sequence[Settlement]) -> SettledAttempts:
        """Save the results of attempts and the new progress of their callbacks.

        Outdated settlements are not saved, if other processes have taken their callbacks over since
        they were claimed.
        """
        ...

    def put_back(self, claims: Sequence[DeliveryClaim], now: datetime) -> None:
        """Undo claims of unsent callbacks: delete their attempts and make the callbacks due now.

        Callbacks that another process has taken over are left as they are.
        """
        ...

    def left_open(self) -> list[DeliveryClaim]:
        """Return the attempts that other processes left without a result, as claims.

        Only those in lanes of this process are returned, and only once their requests must have
        ended. If only one process can use the store, this is called only when it starts.
        """
        ...

    def waiting(
        self,
        *,
        after: Lane | None = None,
        limit: int | None = None,
        shards: Collection[int] | None = None,
        since: datetime | None = None,
    ) -> list[LaneDue]:
        """Return at most `limit` lanes with waiting callbacks, beginning after the lane `after`.

        Their order is the store's own, and always the same. Lanes of other processes are left out.
        With `shards`, only lanes in these shards are returned. With `since`, callbacks that were
        due before this instant may be left out, which can be quicker.
        """
        ...

    def changed_after(self, instant: datetime, *, limit: int) -> list[CallbackRecord]:
        """Return at most `limit` waiting callbacks that were saved after this instant.

        New callbacks that are not due yet are left out.
        """
        ...

    def unfinished(self) -> dict[str, int]:
        """Return the number of callbacks that have not ended, by account SID."""
        ...

    def due_before(self, instants: Sequence[datetime]) -> list[int]:
        """Return, for each instant, the number of waiting callbacks that are due before it."""
        ...

    def oldest_due(self, shards: Collection[int], now: datetime) -> datetime | None:
        """Return when the callback that has waited longest in these shards came due.

        Returns None if none is due.
        """
        ...

    def date_of(self, nth: int, *, since: datetime) -> datetime | None:
        """Return the creation date of the `nth` callback (from 0) since `since`, or None.

        Callbacks are counted in the order of their SIDs, from the millisecond of `since` on.
        """
        ...

    def totals(
        self, *, since: datetime, until: datetime, account_sid: str | None = None
    ) -> list[UrlDeliveryTotals]:
        """Return the totals of callbacks created in this period, by account, URL and source.

        Test events and replays from another source are left out. So are callbacks with old SIDs
        that do not contain the time of creation.
        """
        ...


class IncomingCallbackBatches(Protocol):
    """Large batches of new callbacks, saved as text before they are added to the callbacks."""

    def add(self, callbacks: Sequence[str]) -> range:
        """Save a batch of callbacks, each as text from `write_new`, and return their numbers.

        Each batch has higher numbers than earlier batches.
        """
        ...

    def all(self) -> dict[int, str]:
        """Return the texts of all saved callbacks by their numbers, in ascending order."""
        ...

    def is_empty(self) -> bool:
        """Return True if all saved callbacks have been added to the callbacks."""
        ...

    def remove(self, numbers: Sequence[int]) -> None:
        """Delete the texts with these numbers after they have been added to the callbacks."""
        ...


class StoredResponseBytes(NamedTuple):
    """The number of bytes of receivers' long answers that are stored for one account."""

    account_sid: str
    bytes: int


class ResponseOverflows(Protocol):
    """The table for the parts of receivers' long answers that attempts' rows have no room for."""

    def bytes_of(self, account_sid: str) -> int:
        """Return the bytes of answers stored here for an account, or for all if it is EVERY."""
        ...

    def largest(self, *, limit: int) -> list[StoredResponseBytes]:
        """Return the `limit` accounts with the most bytes of stored answers, the largest first."""
        ...
