"""Lets requests leave at a limited rate: those of a lane, and those of all accounts to an origin.

A claim waits here until its request has a token for each limit; then it may be sent as soon as its
destination has a place for it. The token is taken when the request leaves, so it does not matter
how long it takes to connect. Times are those of the event loop, which nobody can set; `skip` adds
the time by which somebody has advanced a virtual clock.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from ringback.core.destinations.token_bucket import TokenBucket
from ringback.ports import DeliveryClaim

_AHEAD: Final = 0.25
"""How many seconds before its token a callback is claimed, so that it leaves in time."""
_SHORTEST: Final = 0.001
"""The shortest wait for a token, in seconds, so that rounding makes no timer ring in vain."""


class SharedRate:
    """The rate that all accounts share at an origin; those that wait for it take turns."""

    def __init__(self, rate: float, burst: int) -> None:
        self.bucket = TokenBucket(rate, burst, now=loop_seconds())
        self._waiting: deque[RequestPacer] = deque()
        self._asleep: dict[RequestPacer, None] = {}
        """The lanes that want to know when a token comes soon."""
        self._timer: asyncio.TimerHandle | None = None

    @property
    def next_in(self) -> float | None:
        """In how many seconds a token may let something go on; None if nothing waits for one."""
        return _left_of(self._timer)

    def skip(self, seconds: float) -> None:
        """Go on as if this much more time had passed."""
        self.bucket.skip(seconds)
        self.pump()

    def ask(self, pacer: "RequestPacer") -> None:
        """Queue a lane that has a request for which it needs a token."""
        if pacer not in self._waiting:
            self._waiting.append(pacer)
        self.pump()

    def tell_when_near(self, pacer: "RequestPacer") -> None:
        """Pump a lane, which has nothing to send yet, when a token is there or comes soon."""
        self._asleep[pacer] = None
        self._come_back()

    def pump(self) -> None:
        """Grant tokens to the lanes that wait, one after the other, while there are any."""
        _stop(self._timer)
        self._timer = None
        while self._waiting and self.bucket.wait(loop_seconds()) == 0:
            pacer = self._waiting.popleft()
            self.bucket.reserved += 1
            if pacer.shared is not self or not pacer.grant():
                self.bucket.give_back()
            elif pacer.is_ready:
                self._waiting.append(pacer)
        if self._asleep and self.bucket.wait(loop_seconds()) <= _AHEAD:
            awake, self._asleep = self._asleep, dict[RequestPacer, None]()
            for pacer in awake:
                pacer.pump()
        self._come_back()

    def _come_back(self) -> None:
        wait = self.bucket.wait(loop_seconds())
        if (self._waiting or self._asleep) and 0 < wait < math.inf:
            soon = wait if self._waiting else wait - _AHEAD
            self._timer = _renewed(self._timer, soon, self.pump)


class RequestPacer:
    """The claims of a lane that wait until their requests may leave, and the lane's own rate.

    `release` is called with each claim that may be sent now, and `has_room` when more callbacks may
    be claimed.
    """

    def __init__(
        self,
        own: TokenBucket | None,
        shared: SharedRate | None,
        *,
        release: Callable[[DeliveryClaim], None],
        has_room: Callable[[], None],
    ) -> None:
        self.own = own
        self.shared: SharedRate | None = shared
        self._release = release
        self._has_room = has_room
        self._waiting = deque[DeliveryClaim]()
        self._released = set[str]()
        """The SIDs of callbacks that have a token each, and have not left yet."""
        self._timer: asyncio.TimerHandle | None = None
        self._is_near = True
        """True if a token is there, or comes soon, so that callbacks may be claimed for it."""

    @property
    def room(self) -> int:
        """How many more callbacks may be claimed now; may be asked in any thread."""
        rates = [one.rate for one in self._buckets]
        most = max(1, math.ceil(min(rates, default=math.inf) * _AHEAD))
        return max(0, most - len(self._waiting)) if self._is_near else 0

    @property
    def waiting(self) -> int:
        """How many claims wait for a token."""
        return len(self._waiting)

    @property
    def next_in(self) -> float | None:
        """In how many seconds the lane's own rate may let something go on; None if never."""
        return _left_of(self._timer)

    def skip(self, seconds: float) -> None:
        """Go on as if this much more time had passed; the shared rate learns of it separately."""
        if self.own is not None:
            self.own.skip(seconds)
        self.pump()

    @property
    def is_needed(self) -> bool:
        """True if claims wait, or have been released and have not left yet."""
        return bool(self._waiting or self._released)

    @property
    def is_ready(self) -> bool:
        """True if a claim waits, and the lane's own rate would let its request leave now."""
        return bool(self._waiting) and (self.own is None or self.own.wait(loop_seconds()) == 0)

    def add(self, claim: DeliveryClaim) -> None:
        """Queue a claim, behind all others."""
        self._waiting.append(claim)
        self.pump()

    def change(self, own: TokenBucket | None, shared: SharedRate | None) -> None:
        """Use these rates from now on; what was released needs a token of each that is new."""
        if own is not self.own or shared is not self.shared:
            for one in self._buckets:
                one.reserved -= len(self._released)
            self._released.clear()
            self.own, self.shared = own, shared
        self.pump()

    def pump(self) -> None:
        """Release claims while there are tokens for them, or else come back in time."""
        if self.shared is not None and self.is_ready:
            self.shared.ask(self)
        while self.shared is None and self.is_ready:
            self.grant()
        self._plan()

    def grant(self) -> bool:
        """Release one claim, whose token of the shared rate is reserved; False if none is ready."""
        if not self.is_ready:
            return False
        if self.own is not None:
            self.own.reserved += 1
        claim = self._waiting.popleft()
        self._released.add(claim.callback.sid)
        self._release(claim)
        if self.shared is not None:
            self._plan()
        return True

    def may_leave(self, callback_sid: str) -> bool:
        """Return True if the request of a callback that was released may leave now.

        It may not if a rate has been lowered since.
        """
        return callback_sid in self._released and all(
            one.may_leave(loop_seconds()) for one in self._buckets
        )

    def left(self, callback_sid: str) -> None:
        """Take the tokens of a request that leaves now."""
        if callback_sid in self._released:
            self._released.discard(callback_sid)
            now = loop_seconds()
            for one in self._buckets:
                one.left(now)
            self._freed()

    def stayed(self, callback_sid: str) -> None:
        """Free the tokens of a callback that was released, unless its request has left."""
        if callback_sid in self._released:
            self._released.discard(callback_sid)
            for one in self._buckets:
                one.give_back()
            self._freed()

    def take_back(self) -> list[DeliveryClaim]:
        """Return the claims that wait, and remove them."""
        claims = list(self._waiting)
        self._waiting.clear()
        return claims

    @property
    def _buckets(self) -> Sequence[TokenBucket]:
        own = () if self.own is None else (self.own,)
        return own if self.shared is None else (*own, self.shared.bucket)

    def _freed(self) -> None:
        self.pump()
        if self.shared is not None:
            self.shared.pump()

    def _plan(self) -> None:
        """Say whether callbacks may be claimed for the next tokens, and come back for them."""
        _stop(self._timer)
        self._timer = None
        own, shared = 0.0 if self.own is None else self.own.wait(loop_seconds()), self.shared
        wait = own if shared is None else max(own, shared.bucket.wait(loop_seconds()))
        self._is_near = wait <= _AHEAD
        if self._is_near:
            self._has_room()
        elif shared is not None and own <= _AHEAD:
            shared.tell_when_near(self)
        if 0 < own < math.inf:
            soon = own if self._waiting or own <= _AHEAD else own - _AHEAD
            self._timer = _renewed(self._timer, soon, self.pump)


def loop_seconds() -> float:
    """Return the time of the event loop, in seconds."""
    return asyncio.get_running_loop().time()


def _left_of(timer: asyncio.TimerHandle | None) -> float | None:
    return None if timer is None else max(0.0, timer.when() - loop_seconds())


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


def _renewed(
    timer: asyncio.TimerHandle | None, seconds: float, call: Callable[[], None]
) -> asyncio.TimerHandle:
    _stop(timer)
    return asyncio.get_running_loop().call_later(max(seconds, _SHORTEST), call)
