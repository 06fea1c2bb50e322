"""What a world is: how big it is, who lives in it, and what goes wrong."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from ringback.core.retry_schedule import RetrySchedule
from tests.simulation.scheduler import Order

FAULTS_LAST: Final = 45.0
"""Seconds; afterwards nothing goes wrong any more, unless a plan says otherwise."""
_FEW: Final = 100

PRIVATE: Final = (
    "10.0.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "::1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "2002:a00:1::",
    "fd00::1",
)
"""Addresses that the guard refuses."""


Spans = tuple[tuple[float, float], ...]
"""From when to when."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How big everything may get."""

    at_once: int
    per_destination: int
    claimed_at_once: int
    first_window: int
    most_idle_lanes: int
    backlog: int
    names_at_once: int
    most_open: int
    kept_per_peer: int
    kept_in_all: int
    jobs_in_a_commit: int


@dataclass(frozen=True, slots=True)
class Place:
    """A destination: where it is, and what it is like while things go wrong."""

    host: str
    port: int
    scheme: str
    addresses: tuple[str, ...]
    character: str
    names: str
    """How looking its name up goes."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A callback that a customer asks for."""

    account: int
    place: int
    path: str
    fragment: str
    method: str
    body: str
    delay: float | None
    """For how long it is put off, in seconds; None where it is not."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call of the API."""

    at: float
    callbacks: tuple[Asked, ...]
    key: str | None = None
    is_refused: bool = False
    """Whether the last thing that the API finds is that it can't be done."""
    is_big: bool = False
    """Whether it is taken in as a big batch is."""


@dataclass(frozen=True, slots=True)
class Stop:
    """An orderly stop."""

    at: float
    within: float
    away: float
    """How long until the next start."""


@dataclass(frozen=True, slots=True)
class Lack:
    """For a while the machine has nothing left of what a connection takes."""

    begins: float
    ends: float
    error: int
    """The `errno` by which it says so."""
    share: float
    """Of what fails by it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is decided beforehand."""

    seed: int
    order: Order
    tick: float
    stalls: float
    bounds: Bounds
    schedule: RetrySchedule
    account_schedules: tuple[RetrySchedule | None, ...]
    places: tuple[Place, ...]
    requests: tuple[Request, ...]
    replays: tuple[float, ...]
    """When somebody has something sent again."""
    discards: tuple[float, ...]
    stops: tuple[Stop, ...]
    crashes: tuple[int, ...]
    """After how many steps each of the first processes dies."""
    deaths: tuple[tuple[str, int], ...]
    """At which checkpoint, passed how often, each of the first processes dies."""
    jumps: tuple[tuple[float, timedelta], ...]
    """When the wall's clock is set, and by how much."""
    outages: Spans
    """From when to when no commit succeeds."""
    failing_commits: float
    """The share of commits that fail outside of outages."""
    commit_seconds: float
    names_hang: Spans = ()
    """From when to when no look-up that begins is answered."""
    lacks: tuple[Lack, ...] = ()
    full_disk: Spans = ()
    """From when to when nothing can be written."""
    freezes: Spans = ()
    """From when to when the process is stopped, as by SIGSTOP."""
    history: int = 0
    """How many callbacks have ended long ago."""
    faults_last: float = FAULTS_LAST
    fair_to: tuple[int, ...] = ()
    """Accounts whose callbacks to the first destination nobody may delay."""
    calm: "Plan | None" = None
    """The same without those who make trouble, to compare with."""

    @property
    def is_large(self) -> bool:
        """Whether it has many destinations, or a long history."""
        return self.history > 0 or len(self.places) > _FEW

    @property
    def has_many(self) -> bool:
        """Whether there are too many callbacks for all to be looked at again and again."""
        return self.history > 0 or sum(len(one.callbacks) for one in self.requests) > _FEW

    def lack_at(self, now: float) -> Lack | None:
        """Return what there is nothing left of at this time."""
        return next((lack for lack in self.lacks if lack.begins <= now < lack.ends), None)


def is_within(spans: Iterable[tuple[float, float]], now: float) -> bool:
    """Whether a time lies in one of these spans."""
    return any(begins <= now < ends for begins, ends in spans)
