"""The interface of the stores that detect duplicate callbacks.

A receiver claims a callback for a limited time (the lease) before it does the work, renews the
lease during the work, and marks the callback as done afterwards. If the receiver is killed in
between, the lease ends, and the next delivery may try again.
"""

from dataclasses import dataclass
from datetime import timedelta
from inspect import iscoroutinefunction
from typing import Protocol, cast

from ringback.core.policy.source_policy import SourceName


@dataclass(frozen=True, slots=True)
class DedupeClaimRequest:
    """A request, by one delivery of a callback, to do the callback's work."""

    source: SourceName
    token: str
    """The idempotency token; unique only within its source."""
    owner: str
    """A random string that identifies this delivery; no other claim request has it."""
    lease: timedelta
    """How long nobody else can claim the work, unless it is renewed, done or released before."""
    keep: timedelta
    """How long the token is remembered after its last claim or `done`; at least for the lease."""
    content: str | None = None
    """A fingerprint of the callback's content; None if contents should not be compared."""
    same_event_within: timedelta = timedelta(0)
    """Within this time, a callback of the other source with the same content is the same event."""


@dataclass(frozen=True, slots=True)
class ClaimWon:
    """The claim succeeded: this delivery should do the work."""

    is_retry: bool
    """True if an earlier delivery had begun this work but not finished it."""


@dataclass(frozen=True, slots=True)
class ClaimedByOther:
    """The claim failed: another delivery is doing this work, and its lease has not ended."""

    for_another: timedelta
    """Time until the other delivery's lease ends."""


@dataclass(frozen=True, slots=True)
class WorkAlreadyDone:
    """The claim failed: this work has been done already."""


Claimed = ClaimWon | ClaimedByOther | WorkAlreadyDone


class DedupeStore(Protocol):
    """A store that detects duplicate callbacks; receivers that share it see each other's claims.

    Its methods raise DedupeUnavailable if it can't be reached.
    """

    def claim(self, visit: DedupeClaimRequest) -> Claimed:
        """Ask for the right to do a callback's work; of several simultaneous claims, one wins."""
        ...

    def renew(self, visit: DedupeClaimRequest) -> bool:
        """Let the lease begin anew, and return True if the claim was still this delivery's.

        Returns False and changes nothing if the work is done, if the claim was released or deleted,
        or if the lease has ended and another delivery has claimed the work.
        """
        ...

    def done(self, visit: DedupeClaimRequest) -> bool:
        """Record that the work is done, and return True if the claim was still this delivery's.

        Returns False and changes nothing if the claim was released or deleted, or if the lease has
        ended and another delivery has claimed the work.
        """
        ...

    def release(self, visit: DedupeClaimRequest) -> None:
        """Give up this delivery's claim, so that the next delivery may try the work at once.

        Does nothing if the claim is not this delivery's any more, or if the work is done.
        """
        ...


class AsyncDedupeStore(Protocol):
    """A `DedupeStore` for event loops: the same methods, which must be awaited."""

    async def claim(self, visit: DedupeClaimRequest) -> Claimed:
        """Ask for the right to do a callback's work; see `DedupeStore.claim`."""
        ...

    async def renew(self, visit: DedupeClaimRequest) -> bool:
        """Let the lease begin anew; see `DedupeStore.renew`."""
        ...

    async def done(self, visit: DedupeClaimRequest) -> bool:
        """Record that the work is done; see `DedupeStore.done`."""
        ...

    async def release(self, visit: DedupeClaimRequest) -> None:
        """Give up this delivery's claim to the callback's work; see `DedupeStore.release`."""
        ...


def asynchronous(store: DedupeStore | AsyncDedupeStore) -> AsyncDedupeStore | None:
    """Return the store if its methods must be awaited, or else None."""
    return cast("AsyncDedupeStore", store) if iscoroutinefunction(store.claim) else None


def blocking(store: DedupeStore | AsyncDedupeStore) -> DedupeStore:
    """Return the store; raises TypeError if it is asynchronous."""
    if asynchronous(store) is not None:
        raise TypeError(
            f"{type(store).__name__} needs an event loop: use `handle_async`, `receive_async` and"
            " `async with`, or a store such as PostgresDedupe or RedisDedupe"
        )
    return cast("DedupeStore", store)


class DedupeUnavailable(Exception):
    """The store can't be reached, so it is unknown whether the callback is a duplicate.

    Answer the delivery with a 503, so that the sender tries again.
    """
