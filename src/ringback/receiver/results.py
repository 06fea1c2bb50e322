"""The result of a delivery: Accepted, Duplicate or Rejected; and the answer to it."""

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Self

from ringback.receiver.callback import Callback
from ringback.receiver.dedupe.dedupe_store import DedupeClaimRequest, DedupeStore, DedupeUnavailable
from ringback.receiver.verification.verdict import Rejected


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer for the sender, whatever server it goes out by."""

    status: int
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Accepted:
    """A callback to work on, now.

    Use it as a context manager around the work: what ends well is done, and what raises is given
    back, so that the sender's next delivery gets another try. Both can also be said by hand.
    """

    callback: Callback
    seen: DedupeStore | None = field(default=None, repr=False)
    visit: DedupeClaimRequest | None = field(default=None, repr=False)

    def done(self) -> bool:
        """Write down that the work is done; its deliveries are duplicates from now on.

        Returns False where the lease ended and another delivery has taken the work over. Raises
        DedupeUnavailable.
        """
        if self.seen is None or self.visit is None:
            return True
        return self.seen.done(self.visit)

    def release(self) -> None:
        """Give the work back, undone. Raises DedupeUnavailable."""
        if self.seen is not None and self.visit is not None:
            self.seen.release(self.visit)

    def __enter__(self) -> Self:
        """Begin the work."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """End the work, well or not."""
        if kind is None:
            self.done()
            return
        # Its lease ends by itself, and what the work raised says more.
        with suppress(DedupeUnavailable):
            self.release()

    async def __aenter__(self) -> Self:
        """Begin the work."""
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """End the work, well or not, without holding up the event loop."""
        from asyncio import to_thread  # noqa: PLC0415 (there is a loop, so it is there)

        await to_thread(self.__exit__, kind)

    def answer(self) -> Answer:
        """Return the answer for when the work is done."""
        return _DONE


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A delivery of a callback whose work is done, or is being done by somebody else."""

    callback: Callback
    busy_for: timedelta | None = None
    """How long the other's lease has still to go; None where the work is done."""

    def answer(self) -> Answer:
        """Return what to answer: 200 where the work is done.

        While it is under way that is a 503: a 200 would be the sender's last word on a callback
        whose work may still fail.
        """
        if self.busy_for is None:
            return _DONE
        wait = max(1, math.ceil(self.busy_for.total_seconds()))
        return Answer(503, "under way", {"Retry-After": str(wait)})


Result = Accepted | Duplicate | Rejected

_DONE: Final = Answer(200, "ok")


def answer_to(rejected: Rejected) -> Answer:
    """Return what to answer: the reason in a word. The explanation is for the receiver's log."""
    return Answer(rejected.status, rejected.reason)
