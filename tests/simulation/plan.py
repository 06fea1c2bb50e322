"""The description of a world: how big it is, who uses it, and what goes wrong."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from ringback.core.accounts.account import EVERY
from ringback.core.destinations.destination_pattern import ALL, DestinationPattern
from ringback.core.destinations.destination_settings import DestinationValues
from ringback.core.destinations.effective_settings import DestinationRule, SettingsOwner
from ringback.core.retry_schedule import RetrySchedule
from tests.simulation.scheduler import Order

FAULTS_LAST: Final = 45.0
"""Seconds until the faults end, unless a plan says otherwise."""
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


UNPROTECTED: Final = DestinationRule(
    SettingsOwner.OPERATOR,
    EVERY,
    DestinationPattern.parse(ALL),
    DestinationValues({"breaker": False, "hold": timedelta(0)}),
    is_in_file=True,
)
"""A rule for all destinations: nothing stops the callbacks to those that fail."""
Spans = tuple[tuple[float, float], ...]
"""Periods, each from one time to another."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits on sizes and numbers in a world."""

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
    """A destination: its address, and its behaviour while faults happen."""

    host: str
    port: int
    scheme: str
    addresses: tuple[str, ...]
    character: str
    names: str
    """How lookups of its name behave."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A callback that a customer creates."""

    account: int
    place: int
    path: str
    fragment: str
    method: str
    body: str
    delay: float | None
    """Seconds until its `deliver_at`; None if it has none."""
    order_key: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One call of the API."""

    at: float
    callbacks: tuple[Asked, ...]
    key: str | None = None
    is_refused: bool = False
    """True if the API finds out only at the end of its work that it must refuse."""
    is_big: bool = False
    """True if it is ingested in parts, as a large batch."""


@dataclass(frozen=True, slots=True)
class Stop:
    """An orderly stop of the process."""

    at: float
    within: float
    away: float
    """Seconds until the next start."""


@dataclass(frozen=True, slots=True)
class Lack:
    """A period in which the machine has none left of something that a connection needs."""

    begins: float
    ends: float
    error: int
    """The `errno` of the error that this causes."""
    share: float
    """The share of calls that fail because of it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All decisions about a world, made beforehand."""

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
    """When somebody replays callbacks."""
    discards: tuple[float, ...]
    stops: tuple[Stop, ...]
    crashes: tuple[int, ...]
    """The number of steps after which each of the first processes dies."""
    deaths: tuple[tuple[str, int], ...]
    """The checkpoint at which each of the first processes dies, and on which pass."""
    jumps: tuple[tuple[float, timedelta], ...]
    """When the wall clock is set, and by how much."""
    outages: Spans
    """Periods in which no commit succeeds."""
    failing_commits: float
    """The share of commits that fail outside of outages."""
    commit_seconds: float
    names_hang: Spans = ()
    """Periods in which lookups that begin are never answered."""
    lacks: tuple[Lack, ...] = ()
    full_disk: Spans = ()
    """Periods in which nothing can be written."""
    freezes: Spans = ()
    """Periods in which the process is stopped, as by SIGSTOP."""
    history: int = 0
    """How many old, ended callbacks there are."""
    faults_last: float = FAULTS_LAST
    fair_to: tuple[int, ...] = ()
    """Accounts whose callbacks to the first destination nobody may delay."""
    rules: tuple[DestinationRule, ...] = (UNPROTECTED,)
    """What is set for destinations."""
    calm: "Plan | None" = None
    """The same world without the accounts that make trouble, for comparison."""

    @property
    def is_large(self) -> bool:
        """Return True if the world has many destinations or a long history."""
        return self.history > 0 or len(self.places) > _FEW

    @property
    def has_many(self) -> bool:
        """Return True if there are too many callbacks to check all of them again and again."""
        return self.history > 0 or sum(len(one.callbacks) for one in self.requests) > _FEW

    def lack_at(self, now: float) -> Lack | None:
        """Return the shortage at this time, or None."""
        return next((lack for lack in self.lacks if lack.begins <= now < lack.ends), None)


def is_within(spans: Iterable[tuple[float, float]], now: float) -> bool:
    """Return True if a time is in one of these periods."""
    return any(begins <= now < ends for begins, ends in spans)


def stopped_at_most_in(plan: Plan) -> timedelta:
    """Return how long callbacks wait behind an open breaker or a hold before they are given up."""
    return sum(plan.schedule.waits, timedelta(0))
