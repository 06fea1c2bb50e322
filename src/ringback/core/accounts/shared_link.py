"""Links to one callback or one destination, which can be opened without signing in, only to read.

The link has a random token, of which the store has only the hash.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

USUAL_LIFETIME: Final = timedelta(days=7)
"""How long a link can be opened, unless it says something else."""
LONGEST_LIFETIME: Final = timedelta(days=90)
"""How long a link can be opened at most."""
KEPT_AFTER_EXPIRY: Final = timedelta(days=90)
"""How long the record of a link is kept after its date of expiry."""
_SAME_VISIT: Final = timedelta(minutes=30)
"""A link that is opened again within this time is still the same visit."""
_NOTED_EVERY: Final = timedelta(minutes=1)


class LinkKind(StrEnum):
    """What a link shows."""

    CALLBACK = "callback"
    DESTINATION = "destination"


class LinkState(StrEnum):
    """Whether a link can be opened."""

    ACTIVE = "active"
    EXPIRED = "expired"
    """Its time is over."""
    ENDED = "ended"
    """It was ended before."""


@dataclass(frozen=True, slots=True)
class SharedLink:
    """A link to a callback or a destination of an account."""

    sid: str
    account_sid: str
    kind: LinkKind
    subject: str
    """The SID of the callback, or the destination."""
    note: str | None
    """What the link is for, in its creator's words."""
    token_hash: str = field(repr=False)
    created_by: str | None
    """The SID or id of the credentials that created it."""
    date_created: datetime
    date_expires: datetime
    date_ended: datetime | None = None
    """When the link was ended before its time; None if it was not."""
    date_last_used: datetime | None = None
    """When it was opened last, to the minute; None if it never was."""
    uses: int = 0
    """How many visits it has had."""

    def state_at(self, now: datetime) -> LinkState:
        """Return whether the link can be opened at this time."""
        if self.date_ended is not None:
            return LinkState.ENDED
        return LinkState.ACTIVE if now < self.date_expires else LinkState.EXPIRED

    def used(self, now: datetime) -> "SharedLink":
        """Return the link after it was opened; unchanged if that need not be noted."""
        last = self.date_last_used
        if last is not None and last <= now < last + _NOTED_EVERY:
            return self
        is_same_visit = last is not None and now < last + _SAME_VISIT
        return replace(self, date_last_used=now, uses=self.uses + (not is_same_visit))
