"""Measures how long each step of opening a connection takes."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from enum import Enum, auto

from ringback.core.http.http_exchange import RequestTimings


class ConnectStep(Enum):
    """A step of opening a connection: looking up the name, connecting, TLS."""

    LOOK_UP = auto()
    CONNECT = auto()
    """Connecting to one address after the other, including the exchange with a proxy."""
    PROXY = auto()
    """The part of CONNECT in which the proxy connects to the receiver."""
    TLS = auto()


class ConnectTimer:
    """Measures how long each step of opening a connection takes, by a stopwatch in seconds.

    The timeout and the measurement are paused while the process waits for a free slot, because it
    limits its connections and look-ups.
    """

    limit: asyncio.Timeout
    """The timeout for opening the connection, for all steps together."""

    def __init__(self, stopwatch: Callable[[], float]) -> None:
        self.at = ConnectStep.LOOK_UP
        self.waited = 0.0
        """Seconds spent waiting for free slots, by the event loop's clock."""
        self.held_up = 0.0
        """Seconds spent waiting for free slots, by the stopwatch."""
        self._stopwatch = stopwatch
        self._took: dict[ConnectStep, float] = {}

    @property
    def until(self) -> float:
        """The time at which the timeout ends, by the event loop's clock."""
        when = self.limit.when()
        return asyncio.get_running_loop().time() if when is None else when

    @contextmanager
    def waiting(self) -> Generator[None]:
        """Pause the timeout and the measurement while the block waits for a free slot."""
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
        """Return the timings of the whole request in milliseconds; None for a step not taken."""
        took = self._took.get
        return RequestTimings(
            total,
            took(ConnectStep.LOOK_UP),
            took(ConnectStep.CONNECT),
            took(ConnectStep.TLS),
            first_byte,
        )
