"""Tracks the steps of opening a connection: the current step, and the time that each took."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from enum import Enum, auto

from ringback.core.http.http_exchange import RequestTimings


class ConnectStep(Enum):
    """A step of opening a connection: name look-up, connecting, TLS."""

    LOOK_UP = auto()
    CONNECT = auto()
    """Connecting to one address after the other, including the exchange with a proxy."""
    PROXY = auto()
    """The part of CONNECT in which the proxy connects to the receiver."""
    TLS = auto()


class ConnectTimer:
    """Measures how long each step of opening a connection takes; the stopwatch counts seconds.

    Time spent waiting for a free place (a connection or look-up slot of this process) does not
    count: the timeout and the timings are paused meanwhile.
    """

    limit: asyncio.Timeout
    """The timeout for opening the connection, all steps together."""

    def __init__(self, stopwatch: Callable[[], float]) -> None:
        self.at = ConnectStep.LOOK_UP
        self.waited = 0.0
        """Seconds spent waiting for free places, by the event loop's clock."""
        self.held_up = 0.0
        """Seconds spent waiting for free places, by the stopwatch."""
        self._stopwatch = stopwatch
        self._took: dict[ConnectStep, float] = {}

    @property
    def until(self) -> float:
        """The time at which the timeout ends, by the event loop's clock."""
        when = self.limit.when()
        return asyncio.get_running_loop().time() if when is None else when

    @contextmanager
    def waiting(self) -> Generator[None]:
        """Pause the timeout and the timings while the block waits for a free place."""
        loop = asyncio.get_running_loop()
        began, by_stopwatch, until = loop.time(), self._stopwatch(), self.until
        self.limit.reschedule(None)
        try:
            yield
        finally:
            waited = loop.time() - began
            self.waited += waited
            self.held_up += self._stopwatch() - by_stopwatch
            self.limit.reschedule(until + waited)

    @contextmanager
    def taking(self, step: ConnectStep) -> Generator[None]:
        """Set the current step, and record how long the block takes, even if it raises."""
        self.at = step
        began, held_up = self._stopwatch(), self.held_up
        try:
            yield
        finally:
            waited = self.held_up - held_up
            self._took[step] = (self._stopwatch() - began - waited) * 1000

    def timings(self, *, total: float, first_byte: float | None = None) -> RequestTimings:
        """Return the timings of the whole request in milliseconds; None for steps not taken."""
        took = self._took.get
        return RequestTimings(
            total,
            took(ConnectStep.LOOK_UP),
            took(ConnectStep.CONNECT),
            took(ConnectStep.TLS),
            first_byte,
        )
