"""Interfaces to the machine and the network: clock, randomness, HTTP and the mobile network."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.http.http_exchange import AttemptResult, OutgoingRequest
from ringback.core.scheduled_task import CarrierRequest
from ringback.core.sims.scenario import CarrierResult


class Clock(Protocol):
    """A clock that gives the current time and waits until a time."""

    def now(self) -> datetime:
        """Return the current time, in UTC."""
        ...

    async def sleep_until(self, instant: datetime) -> None:
        """Wait until this instant; return at once if it has passed."""
        ...


class RandomSource(Protocol):
    """A source of random bytes for SIDs, tokens and secrets."""

    def bytes(self, count: int) -> bytes:
        """Return `count` unpredictable bytes."""
        ...


class Transport(Protocol):
    """An HTTP client; each call sends one request, once."""

    def try_send(
        self,
        request: OutgoingRequest,
        *,
        limits: Timeouts,
        turn: int = 0,
        ended: Callable[[AttemptResult], None],
    ) -> bool:
        """Send a request if a kept connection is idle; otherwise send nothing, and return False.

        `ended` is called once with the result, after this has returned; it may send the next
        request. `send` explains the other arguments. True also means that the request has left.
        """
        ...

    def break_off(self) -> None:
        """Give up the requests of `try_send` that are not answered; `ended` is not called."""
        ...

    async def send(
        self,
        request: OutgoingRequest,
        *,
        limits: Timeouts,
        turn: int = 0,
        fresh: bool = False,
        anew: Callable[[], OutgoingRequest] | None = None,
        leaving: Callable[[], None] | None = None,
    ) -> AttemptResult:
        """Send a request once and return the result; a receiver's failure raises no error.

        `turn` is the number of earlier attempts in the same round; if the URL names several egress
        routes, `turn` selects one of them. A `fresh` request uses a new connection.

        If the request had to wait for a connection, `anew` makes a new request to send instead,
        since a signature may cover the time. If `anew` raises an error, nothing is sent, and the
        error is raised here.

        `leaving` is called once, right before the first byte of the request is written, and after
        `anew`; nothing is awaited in between. It isn't called if nothing can be sent. If it raises
        an error, nothing is sent, and the error is raised here.
        """
        ...


class Carrier(Protocol):
    """The mobile network behind the SIM APIs."""

    async def carry_out(self, carrier_request: CarrierRequest) -> CarrierResult:
        """Carry out the requested step, such as sending an SMS, and return its result."""
        ...


class LoopWaker(Protocol):
    """Wakes a background loop that waits for work, such as the one that carries out tasks."""

    def wake(self) -> None:
        """Make the loop look for work at once, or as soon as it is no longer busy."""
        ...


def no_checkpoint(name: str) -> None:
    """Do nothing at the step `name`; tests pass another function, which waits or stops there."""
