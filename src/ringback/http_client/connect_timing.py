"""The steps of opening a connection: which one it is at, and how long each took."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from enum import Enum, auto

from ringback.core.http.http_exchange import RequestTimings


class ConnectStep(Enum):
    """The step that a new connection is at."""

    LOOK_UP = auto()
    CONNECT = auto()
    """To all addresses that are tried, and for all that a proxy does in turn."""
    PROXY = auto()
    """A part of CONNECT."""
    TLS = auto()


class ConnectTimer:
    """How far one connection has come; the stopwatch counts seconds.

    Waiting for a turn of ours is no step, and takes no time: limits and timings go on after it.
    """

    limit: asyncio.Timeout
    """The timeout of the whole."""

    def __init__(self, stopwatch: Callable[[], float]) -> None:
        self.at = ConnectStep.LOOK_UP
        self.waited = 0.0
        """How long it waited for turns of ours, in seconds of the loop's clock."""
        self.held_up = 0.0
        """The same by the stopwatch."""
        self._stopwatch = stopwatch
        self._took: dict[ConnectStep, float] = {}

    @property
    def until(self) -> float:
        """When its time is up, by the loop's clock."""
        when = self.limit.when()
        return asyncio.get_running_loop().time() if when is None else when

    @contextmanager
    def waiting(self) -> Generator[None]:
        """Wait for a turn of ours: it has as much time left afterwards as it had before."""
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
        """Be at this step, and note how long it took, however it ends."""
        self.at = step
        began, held_up = self._stopwatch(), self.held_up
        try:
            yield
        finally:
            waited = self.held_up - held_up
            self._took[step] = (self._stopwatch() - began - waited) * 1000

    def timings(self, *, total: float, first_byte: float | None = None) -> RequestTimings:
        """Return how long everything took; all times are in milliseconds."""
        took = self._took.get
        return RequestTimings(
            total,
            took(ConnectStep.LOOK_UP),
            took(ConnectStep.CONNECT),
            took(ConnectStep.TLS),
            first_byte,
        )
