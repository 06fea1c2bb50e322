"""The results of receiving a delivery (Accepted, Duplicate, Rejected), and the HTTP answers."""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Self, TypeVar

from ringback.receiver.callback import Callback
from ringback.receiver.dedupe.dedupe_store import (
    AsyncDedupeStore,
    DedupeClaimRequest,
    DedupeStore,
    DedupeUnavailable,
    asynchronous,
    blocking,
)
from ringback.receiver.dedupe.lease_renewal import LeaseRenewal
from ringback.receiver.verification.verdict import Rejected

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """The HTTP answer to send to the sender; independent of the web framework."""

    status: int
    text: str = ""
    """The body of the HTTP answer."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Accepted:
    """A verified, new callback whose work this process has claimed and should do now.

    Use it as a context manager around the work, with `async with` in an event loop. Meanwhile, the
    lease is renewed. If the work succeeds, `done` is called; if it raises, `release` is called, so
    that the sender's next delivery gets another try. You can also call the methods yourself.
    """

    callback: Callback
    seen: DedupeStore | AsyncDedupeStore | None = field(default=None, repr=False)
    visit: DedupeClaimRequest | None = field(default=None, repr=False)
    renewal: LeaseRenewal | None = field(default=None, repr=False)

    def done(self) -> bool:
        """Record that the work is done; further deliveries of the callback are duplicates.

        Returns False if the lease has ended and another delivery has claimed the work meanwhile.
        Raises DedupeUnavailable if the store can't be reached, and TypeError if it is asynchronous.
        """
        if self.seen is None or self.visit is None:
            return True
        return blocking(self.seen).done(self.visit)

    def release(self) -> None:
        """Give up the claim without doing the work, so that the next delivery can try it.

        Raises DedupeUnavailable if the store can't be reached, and TypeError if it is asynchronous.
        """
        if self.seen is not None and self.visit is not None:
            blocking(self.seen).release(self.visit)

    async def done_async(self) -> bool:
        """Do the same as `done` in an event loop, with any store."""
        if self.seen is None or self.visit is None:
            return True
        if (store := asynchronous(self.seen)) is not None:
            return await store.done(self.visit)
        return await _in_thread(self.done)

    async def release_async(self) -> None:
        """Do the same as `release` in an event loop, with any store."""
        if self.seen is None or self.visit is None:
            return
        if (store := asynchronous(self.seen)) is not None:
            await store.release(self.visit)
        else:
            await _in_thread(self.release)

    def __enter__(self) -> Self:
        """Return this Accepted; the `with` block does the work.

        Raises TypeError if the store is asynchronous.
        """
        if self.seen is not None:
            blocking(self.seen)
        return self._begin()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Call `done` if the work succeeded, or `release` if it raised."""
        self._end()
        if kind is None:
            self.done()
            return
        # If the release fails, the lease ends by itself; the work's own error is more useful.
        with suppress(DedupeUnavailable):
            self.release()

    async def __aenter__(self) -> Self:
        """Return this Accepted; the `async with` block does the work."""
        return self._begin()

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Call `done` or `release` as `__exit__` does, without blocking the event loop."""
        self._end()
        if kind is None:
            await self.done_async()
            return
        with suppress(DedupeUnavailable):
            await self.release_async()

    def _begin(self) -> Self:
        if self.renewal is not None and self.visit is not None:
            self.renewal.begin(self.visit)
        return self

    def _end(self) -> None:
        if self.renewal is not None and self.visit is not None:
            self.renewal.end(self.visit)

    def answer(self) -> Answer:
        """Return the answer to send once the work is done: 200."""
        return _DONE


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A delivery of a callback whose work is already done, or is under way for another delivery."""

    callback: Callback
    busy_for: timedelta | None = None
    """Time until the other delivery's lease ends; None if the work is done."""

    def answer(self) -> Answer:
        """Return the answer to send: 200 if the work is done, 503 while it is under way.

        While the work is under way, a 200 would be too early: the sender would never retry,
        although the work may still fail.
        """
        if self.busy_for is None:
            return _DONE
        wait = max(1, math.ceil(self.busy_for.total_seconds()))
        return Answer(503, "under way", {"Retry-After": str(wait)})


Result = Accepted | Duplicate | Rejected

_DONE: Final = Answer(200, "ok")


def answer_to(rejected: Rejected) -> Answer:
    """Return the answer to a rejected request: its status, with the reason's name as the body.

    The explanation is left out: it is meant for the receiver's log.
    """
    return Answer(rejected.status, rejected.reason)


async def _in_thread(do: Callable[[], T]) -> T:
    from asyncio import to_thread  # noqa: PLC0415 (synchronous receivers need no asyncio)

    return await to_thread(do)
