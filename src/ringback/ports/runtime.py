"""What the inside needs from the machine and from the world around it."""

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
        """Return at this instant, or at once where it has passed."""
        ...


class RandomSource(Protocol):
    """Where SIDs, tokens and secrets come from."""

    def bytes(self, count: int) -> bytes:
        """Return this many bytes that nobody can foresee."""
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

        `turn` counts the attempts of the same round before this one, from 0; where the URL names
        several ways out of this machine, they take turns. A `fresh` one leaves by a connection
        that carried no other request. Where the request had to wait for a connection, `anew` makes
        the one that leaves in its place; what it raises is raised here, and nothing leaves.
        """
        ...


class Carrier(Protocol):
    """The mobile network behind the SIM APIs."""

    async def carry_out(self, carrier_request: CarrierRequest) -> CarrierResult:
        """Take a step that is due, and return how it ended."""
        ...


class Notifier(Protocol):
    """Tells a waiting loop that there is something for it to do."""

    def wake(self) -> None:
        """Let the loop look again at once; does nothing while it is busy anyway."""
        ...


def no_checkpoint(name: str) -> None:
    """Do nothing at a named step; tests hand in something that waits or dies there."""
