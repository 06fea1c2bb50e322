"""Interfaces of the tables for destinations: what is set for them, and what has become of them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from ringback.core.destinations.destination_settings import NOTHING, DestinationValues
from ringback.core.destinations.destination_state import DestinationState
from ringback.core.destinations.effective_settings import SettingsOwner
from ringback.ports.callbacks import Lane


class DestinationPause(NamedTuple):
    """That nothing is sent to destinations."""

    since: datetime
    until: datetime | None = None
    """When the pause ends by itself; None if only a person ends it."""
    reason: str = ""

    def is_over(self, now: datetime) -> bool:
        """Return True if the pause has ended by itself."""
        return self.until is not None and self.until <= now


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDestinationSettings:
    """What an account, or the operator, has set at run time for the destinations of a pattern."""

    sid: str
    owner: SettingsOwner
    account_sid: str
    """The account whose callbacks it is about; EVERY for all, if the operator set it."""
    pattern: str
    """The pattern's text; see `DestinationPattern`."""
    given: DestinationValues = NOTHING
    pause: DestinationPause | None = None
    resumed: datetime | None = None
    """When it was last resumed: what had been disabled before then, or opened, begins anew."""
    date_updated: datetime
    revision: int = 0
    """The number of the change that made it what it is; the store gives it."""
    unopened: str | None = field(default=None, repr=False)
    """What is stored of its secret values, if they can't be decrypted; they are not in `given`."""

    @property
    def is_empty(self) -> bool:
        """True if nothing is set any more: it is kept for a while, so that others notice that."""
        return self.given.is_empty and self.pause is None and self.unopened is None


class LanePlace(NamedTuple):
    """The place of a callback that waits in a lane; a later one has a higher place."""

    due: datetime
    row_id: int


class WaitingCallback(NamedTuple):
    """A callback that waits in a lane."""

    sid: str
    place: LanePlace


class WaitingTotals(NamedTuple):
    """How many callbacks wait in a lane, and since when the first of them is due."""

    number: int
    has_more: bool
    """True if there are more: not all were counted."""
    oldest_due: datetime | None
    """When the first of them is due, which may be later than now; None if none waits."""


class Destinations(Protocol):
    """The tables of what is set for destinations, and of the states of lanes."""

    def revision(self) -> int:
        """Return the number of the last change of what is set."""
        ...

    def changed_since(self, revision: int) -> list[StoredDestinationSettings]:
        """Return the settings that were changed after this revision, in that order."""
        ...

    def find(
        self, owner: SettingsOwner, account_sid: str, pattern: str
    ) -> StoredDestinationSettings | None:
        """Return the settings for exactly this pattern; None if there never were any."""
        ...

    def save(self, settings: StoredDestinationSettings) -> StoredDestinationSettings:
        """Save what is set, in place of what was; return it with its revision.

        Two transactions that do this at the same time come one after the other.
        """
        ...

    def number_set(self, owner: SettingsOwner, account_sid: str) -> int:
        """Return for how many patterns something is set."""
        ...

    def forget_empty(self, before: datetime, *, limit: int) -> int:
        """Delete at most `limit` records that have been empty since before this instant."""
        ...

    def forget_states(self, used_since: datetime, *, limit: int) -> int:
        """Delete at most `limit` states of lanes in which nothing waits, nor was sent since then.

        The states of disabled destinations are kept. Returns how many were deleted.
        """
        ...

    def state_of(self, lane: Lane) -> DestinationState | None:
        """Return the stored state of a lane; None if there is nothing to remember of it."""
        ...

    def states(self, shards: Collection[int] | None = None) -> list[tuple[Lane, DestinationState]]:
        """Return all stored states, or those of the lanes in these shards."""
        ...

    def save_state(self, lane: Lane, state: DestinationState) -> None:
        """Save the state of a lane, in place of what was; a plain state is not kept.

        Saves nothing if another process owns the lane's shard by now.
        """
        ...

    def lanes(
        self,
        account_sid: str,
        *,
        after: Lane | None,
        used_since: datetime,
        limit: int,
        examining: int,
    ) -> tuple[list[Lane], Lane | None]:
        """Return at most `limit` lanes of an account, or of all for EVERY, in a fixed order.

        Lanes that had no callback since `used_since` are left out, unless callbacks wait in them or
        they have a state. At most `examining` lanes are looked at. Also returns the last lane that
        was looked at, from which the next page goes on; None at the end.
        """
        ...

    def has_lane(self, lane: Lane) -> bool:
        """Return True if a callback was ever sent in this lane."""
        ...

    def waiting_totals(self, lane: Lane, *, limit: int) -> WaitingTotals:
        """Count the callbacks that wait in a lane, up to `limit`."""
        ...

    def waiting_in(
        self, lane: Lane, *, due_by: datetime, after: LanePlace | None, limit: int
    ) -> Sequence[WaitingCallback]:
        """Return the callbacks that wait in a lane and are due by this instant, in their order.

        At most `limit` are returned, beginning after the place `after`. Those with an attempt under
        way are left out, and those that wait for another one of their order key.
        """
        ...
