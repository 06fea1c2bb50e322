"""What the core needs from the machine and the outside world."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.http.http_exchange import AttemptResult, OutgoingRequest
from ringback.core.scheduled_task import CarrierRequest
from ringback.core.sims.scenario import CarrierResult


class Clock(Protocol):
    """The time, and waiting for it."""

    def now(self) -> datetime:
        """Return the present instant, in UTC."""
        ...

    async def sleep_until(self, instant: datetime) -> None:
        """Return at this instant, or at once if it has passed."""
        ...


class RandomSource(Protocol):
    """Random bytes, for SIDs, tokens and secrets."""

    def bytes(self, count: int) -> bytes:
        """Return this many unpredictable bytes."""
        ...


class Transport(Protocol):
    """Sends one finished request."""

    async def send(
        self,
        request: OutgoingRequest,
        *,
        limits: Timeouts,
        turn: int = 0,
        fresh: bool = False,
        anew: Callable[[], OutgoingRequest] | None = None,
    ) -> AttemptResult:
        """Send it once and return how that ended; never raises for what the receiver does.

        `turn` is the number of earlier attempts in the same round: if the URL names several egress
        routes, they take turns. A `fresh` request uses a new connection. If the request had to wait
        for a connection, `anew` makes the one that is sent instead, since its signature may cover
        the time; what it raises is raised here, and nothing is sent.
        """
        ...


class Carrier(Protocol):
    """The mobile network behind the SIM APIs."""

    async def carry_out(self, carrier_request: CarrierRequest) -> CarrierResult:
        """Take a step that is due, and return how it ended."""
        ...


class LoopWaker(Protocol):
    """Wakes a loop that waits for work."""

    def wake(self) -> None:
        """Make the loop look for work at once; does nothing while it is busy anyway."""
        ...


def no_checkpoint(name: str) -> None:
    """Do nothing at a named step; tests pass a function that waits or dies there instead."""
