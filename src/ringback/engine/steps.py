"""The steps of opening a connection: which one it is at, and how long each took."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from enum import Enum, auto

from ringback.core.callback import Timings


class Step(Enum):
    """What a connection waits for on its way to be one."""

    LOOK_UP = auto()
    ROOM = auto()
    CONNECT = auto()
    """To all addresses that are tried, and for all that a proxy does in turn."""
    PROXY = auto()
    """A part of CONNECT."""
    TLS = auto()


class Steps:
    """How far one connection has come; the stopwatch counts seconds."""

    def __init__(self, stopwatch: Callable[[], float]) -> None:
        self.at = Step.LOOK_UP
        self._stopwatch = stopwatch
        self._took: dict[Step, float] = {}

    @contextmanager
    def taking(self, step: Step) -> Generator[None]:
        """Be at this step, and note how long it took, however it ends."""
        self.at = step
        began = self._stopwatch()
        try:
            yield
        finally:
            self._took[step] = (self._stopwatch() - began) * 1000

    def timings(self, *, total: float, first_byte: float | None = None) -> Timings:
        """Return how long everything took; all times are in milliseconds."""
        took = self._took.get
        return Timings(total, took(Step.LOOK_UP), took(Step.CONNECT), took(Step.TLS), first_byte)
