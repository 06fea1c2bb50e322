"""What a receiver asks of a store of what it has seen: claim, work, done.

A callback is claimed before its work begins, for the length of a lease, and done when the work is.
Whoever is killed in between leaves a lease that ends, after which the next delivery may try again.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from ringback.core.policy.source_policy import Source


@dataclass(frozen=True, slots=True)
class DedupeClaimRequest:
    """One delivery of a callback, which wants to do the callback's work."""

    source: Source
    token: str
    """The idempotency token; it says nothing about the other source's, so they are kept apart."""
    owner: str
    """Who is asking: a text that no other visit has."""
    lease: timedelta
    """For how long the claim holds off others while the work is neither done nor given back."""
    keep: timedelta
    """How long the token is remembered, from its last claim or end on; never less than a lease."""
    content: str | None = None
    """A fingerprint of what the callback tells; None where that is not to be compared."""
    same_event_within: timedelta = timedelta(0)
    """Within this time, a callback of the other source with the same content is the same event."""


@dataclass(frozen=True, slots=True)
class ClaimWon:
    """The claim is this visit's: it does the work."""

    is_retry: bool
    """Whether somebody had begun this work, and did not finish it."""


@dataclass(frozen=True, slots=True)
class ClaimedByOther:
    """Somebody else is at this work, and their lease has not ended."""

    for_another: timedelta
    """How long that lease has still to go."""


@dataclass(frozen=True, slots=True)
class WorkAlreadyDone:
    """This work has been done."""


Claimed = ClaimWon | ClaimedByOther | WorkAlreadyDone


class DedupeStore(Protocol):
    """A store of what was seen. Every method raises DedupeUnavailable where it can't be asked."""

    def claim(self, visit: DedupeClaimRequest) -> Claimed:
        """Claim a callback's work, atomically: of many that ask at once, one gets it."""
        ...

    def done(self, visit: DedupeClaimRequest) -> bool:
        """Write down that the work is done.

        Returns False, and changes nothing, where the claim is not this visit's any more: its lease
        ended and another has taken the work over.
        """
        ...

    def release(self, visit: DedupeClaimRequest) -> None:
        """Give the claim back, so that the next delivery may try at once; of no effect if lost."""
        ...


class DedupeUnavailable(Exception):
    """The store of what was seen can't be asked; nothing is known of the callback.

    The delivery is answered with a 503, so that the sender tries again.
    """
