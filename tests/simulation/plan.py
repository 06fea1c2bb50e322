"""What a seed stands for: how big the world is, who lives in it, and what goes wrong.

Each kind of fault is in some worlds and not in others, so that one kind can't hide another. Bounds
are small as often as not: what takes a thousand callbacks in life then takes three.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import Final

from ringback.core.schedule import FAITHFUL, PERSISTENT, Schedule
from tests.simulation.scheduler import Order

FAULTS_LAST: Final = 45.0
"""Seconds; afterwards nothing goes wrong any more."""

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


@dataclass(frozen=True, slots=True)
class Stop:
    """An orderly stop."""

    at: float
    within: float
    away: float
    """How long until the next start."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is decided beforehand."""

    seed: int
    order: Order
    tick: float
    stalls: float
    bounds: Bounds
    schedule: Schedule
    account_schedules: tuple[Schedule | None, ...]
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
    outages: tuple[tuple[float, float], ...]
    """From when to when no commit succeeds."""
    failing_commits: float
    """The share of commits that fail outside of outages."""
    commit_seconds: float
    fair_to: tuple[int, ...] = ()
    """Accounts whose callbacks to the first destination nobody may delay."""


FAULTS: Final = (
    "receivers",
    "names",
    "crashes",
    "deaths",
    "stops",
    "jumps",
    "outages",
    "commits",
    "stalls",
    "people",
    "guard",
)

_CHARACTERS: Final = (
    "healthy",
    "healthy",
    "slow",
    "flaky",
    "torn",
    "overloaded",
    "gone",
    "hanging",
    "refusing",
    "unreachable",
    "closing",
    "leaving",
    "odd",
    "mixed",
)
_NAMES: Final = ("quick", "slow", "failing", "hanging", "changing", "several")
_HOSTILE_NAMES: Final = ("private", "rebound", "literal")
_FRAGMENTS: Final = (
    ("rc", ("0", "1", "2", "5")),
    ("rp", ("4xx", "5xx", "ct", "rt", "all", "5xx,ct", "4xx,rt")),
    ("tt", ("100", "1000", "3000", "15000")),
    ("ct", ("100", "1000", "5000")),
    ("rt", ("100", "1000", "4000", "15000")),
    ("cbs", ("twilio", "kore")),
    ("sni", ("y", "n")),
    ("e", ("nowhere",)),
)
_SCHEDULES: Final = ("faithful", "persistent", "1s,2s,5s", "500ms,30s", "1s", "2s,2s,2s,2s,2s,2s")


def plan_of(seed: int) -> Plan:
    """Return the plan of a seed; one in eight is about fairness."""
    random = Random(f"plan {seed}")
    return _fair_plan(seed, random) if seed % 8 == 7 else _plan(seed, random)


def _plan(seed: int, random: Random) -> Plan:
    faults = frozenset(fault for fault in FAULTS if random.random() < 0.5)
    accounts = random.choice((1, 1, 2, 3))
    places = _places(random, faults)
    return Plan(
        seed=seed,
        order=random.choice(tuple(Order)),
        tick=random.choice((0.0, 0.00001, 0.0005)),
        stalls=random.choice((0.001, 0.01)) if "stalls" in faults else 0.0,
        bounds=_bounds(random),
        schedule=_schedule(random),
        account_schedules=tuple(
            _schedule(random) if random.random() < 0.3 else None for _ in range(accounts)
        ),
        places=places,
        requests=_requests(random, accounts=accounts, places=len(places)),
        replays=_times(random, 3) if "people" in faults else (),
        discards=_times(random, 3) if "people" in faults else (),
        stops=_stops(random) if "stops" in faults else (),
        crashes=_crashes(random) if "crashes" in faults else (),
        deaths=_deaths(random) if "deaths" in faults else (),
        jumps=_jumps(random) if "jumps" in faults else (),
        outages=_outages(random) if "outages" in faults else (),
        failing_commits=random.choice((0.02, 0.2)) if "commits" in faults else 0.0,
        commit_seconds=random.choice((0.0005, 0.004, 0.1)),
    )


def _fair_plan(seed: int, random: Random) -> Plan:
    """Return a world in which some flood destinations that hang, and others must not notice.

    Where only one destination hangs, not even its own account's others notice.
    """
    has_one_flood = random.random() < 0.5
    calm = replace(
        _plan(seed, random),
        stalls=0.0,
        bounds=replace(_LARGE, per_destination=random.choice((2, 8, 64))),
        schedule=Schedule.parse("1s,2s,5s"),
        account_schedules=(None, None, None),
        places=tuple(
            Place(f"r{number}.example", 80, "http", (f"93.184.{number}.1",), character, "quick")
            for number, character in enumerate(
                ("healthy", *random.choices(("hanging", "unreachable", "slow"), k=3))
            )
        ),
        replays=(),
        discards=(),
        stops=(),
        crashes=(),
        deaths=(),
        jumps=(),
        outages=(),
        failing_commits=0.0,
        commit_seconds=random.choice((0.0005, 0.004)),
        fair_to=(0, 2) if has_one_flood else (2,),
    )
    floods = ((0, 1),) if has_one_flood else ((0, 1), (1, 2), (1, 3))
    flooding = [
        Request(random.uniform(0, 5), tuple(_plain(random, account, place) for _ in range(20)))
        for account, place in floods
    ]
    others = [
        Request(random.uniform(0, FAULTS_LAST), (_plain(random, account, 0),))
        for account in (0, 0, 0, 2, 2, 2)
    ]
    requests = sorted([*flooding, *others], key=lambda request: request.at)
    return replace(calm, requests=tuple(requests))


def _plain(random: Random, account: int, place: int) -> Asked:
    return Asked(account, place, "/", "", "POST", f"Text={random.randrange(10**6)}", None)


_LARGE: Final = Bounds(
    at_once=16,
    per_destination=64,
    claimed_at_once=256,
    first_window=16,
    most_idle_lanes=10_000,
    backlog=1_000_000,
    names_at_once=64,
    most_open=900,
    kept_per_peer=64,
    kept_in_all=512,
    jobs_in_a_commit=500,
)


def _bounds(random: Random) -> Bounds:
    return Bounds(
        at_once=random.choice((1, 2, 3, 8, 64)),
        per_destination=random.choice((1, 2, 8, 64)),
        claimed_at_once=random.choice((1, 2, 4, 256)),
        first_window=random.choice((2, 4, 16)),
        most_idle_lanes=random.choice((0, 1, 10_000)),
        backlog=random.choice((12, 1_000_000, 1_000_000)),
        names_at_once=random.choice((1, 2, 64)),
        most_open=random.choice((1, 2, 4, 900)),
        kept_per_peer=random.choice((1, 2, 64)),
        kept_in_all=random.choice((1, 2, 512)),
        jobs_in_a_commit=random.choice((1, 2, 500)),
    )


def _schedule(random: Random) -> Schedule:
    text = random.choice(_SCHEDULES)
    return {"faithful": FAITHFUL, "persistent": PERSISTENT}.get(text) or Schedule.parse(text)


def _places(random: Random, faults: frozenset[str]) -> tuple[Place, ...]:
    return tuple(_place(random, number, faults) for number in range(random.choice((2, 2, 3, 5))))


def _place(random: Random, number: int, faults: frozenset[str]) -> Place:
    names = random.choice(("quick", "several"))
    if number and "names" in faults:
        names = random.choice(_NAMES)
    if number and "guard" in faults and random.random() < 0.5:
        names = random.choice(_HOSTILE_NAMES)
    count = random.choice((2, 3)) if names in ("several", "changing") else 1
    scheme = random.choice(("http", "http", "https"))
    addresses = tuple(
        f"93.184.{number}.{one}" if random.random() < 0.8 else f"2606:2800:{number}::{one}"
        for one in range(1, count + 1)
    )
    # The first is healthy in every world: nothing may keep its callbacks waiting.
    is_healthy = number == 0 or "receivers" not in faults
    return Place(
        host=random.choice(PRIVATE) if names == "literal" else f"r{number}.example",
        port=random.choice((80, 443, 8080)),
        scheme=scheme,
        addresses=addresses,
        character="healthy" if is_healthy else random.choice(_CHARACTERS),
        names=names,
    )


def _requests(random: Random, *, accounts: int, places: int) -> tuple[Request, ...]:
    count = random.randint(3, 14)
    times = sorted(
        random.choice((0.5, random.uniform(0, 1), random.uniform(0, 3), random.uniform(0, 40)))
        for _ in range(count)
    )
    return tuple(_request(random, at, accounts=accounts, places=places) for at in times)


def _request(random: Random, at: float, *, accounts: int, places: int) -> Request:
    size = random.choice((1, 1, 1, 2, 5, 9))
    account, favourite = random.randrange(accounts), random.randrange(places)
    asked = tuple(
        Asked(
            account=account,
            place=favourite if random.random() < 0.5 else random.randrange(places),
            path=random.choice(("", "/", "/path?foo=bar")),
            fragment=_fragment(random),
            method=random.choice(("POST", "POST", "GET")),
            body=f"Text={random.randrange(10**6)}&Empty=" + "x" * random.choice((0, 0, 3000)),
            delay=random.choice((None, None, None, 0.05, 0.5, random.uniform(0, 30))),
        )
        for _ in range(size)
    )
    key = f"key-{random.randrange(3)}" if size == 1 and random.random() < 0.3 else None
    return Request(at, asked, key, is_refused=random.random() < 0.05)


def _fragment(random: Random) -> str:
    pairs = [
        f"{key}={random.choice(values)}" for key, values in _FRAGMENTS if random.random() < 0.15
    ]
    return "&".join(pairs)


def _times(random: Random, most: int) -> tuple[float, ...]:
    return tuple(sorted(random.uniform(0, FAULTS_LAST) for _ in range(random.randint(1, most))))


def _stops(random: Random) -> tuple[Stop, ...]:
    return tuple(
        Stop(at, random.choice((0.0, 0.75, 5.0, 30.0)), random.choice((0.0, 1.0, 10.0)))
        for at in _times(random, 3)
    )


def _crashes(random: Random) -> tuple[int, ...]:
    return tuple(random.randint(1, random.choice((30, 300, 1500))) for _ in range(3))


def _deaths(random: Random) -> tuple[tuple[str, int], ...]:
    names = ("claimed", "sent", "settled", "written")
    return tuple((random.choice(names), random.choice((1, 2, 5, 10))) for _ in range(2))


def _jumps(random: Random) -> tuple[tuple[float, timedelta], ...]:
    sizes = (-300.0, -20.0, -1.0, 1.0, 20.0, 300.0)
    return tuple((at, timedelta(seconds=random.choice(sizes))) for at in _times(random, 3))


def _outages(random: Random) -> tuple[tuple[float, float], ...]:
    return tuple((at, at + random.choice((0.05, 1.0, 8.0))) for at in _times(random, 2))
