"""The plan of the world for each seed.

Each kind of fault is in some worlds and not in others, so that one kind can't hide another. Limits
are often small: three callbacks then have the effect of a thousand in reality.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Final

from ringback.core.retry_schedule import FAITHFUL, PERSISTENT, RetrySchedule
from tests.simulation.isolation import fair_plan, large_plan
from tests.simulation.plan import FAULTS_LAST, PRIVATE, Asked, Bounds, Place, Plan, Request, Stop
from tests.simulation.scheduler import Order
from tests.simulation.shortage import with_shortages

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


_ORDER_KEYS: Final = (None, "first", "first", "second")
_LARGE_EVERY: Final = 250
_FIRST_LARGE: Final = 125


def plan_of(seed: int) -> Plan:
    """Return the plan for a seed: one in eight is about fairness, one in 250 is large."""
    random = Random(f"plan {seed}")
    if seed % _LARGE_EVERY == _FIRST_LARGE:
        return large_plan(seed, random, has_history=seed // _LARGE_EVERY % 2 == 1)
    if seed % 8 == 7:
        return fair_plan(seed, random)
    return with_shortages(_plan(seed, random))


def _plan(seed: int, random: Random) -> Plan:
    faults = frozenset(fault for fault in FAULTS if random.random() < 0.5)
    accounts = random.choice((1, 1, 2, 3))
    places = choose_places(random, faults)
    return Plan(
        seed=seed,
        order=random.choice(tuple(Order)),
        tick=random.choice((0.0, 0.00001, 0.0005)),
        stalls=random.choice((0.001, 0.01)) if "stalls" in faults else 0.0,
        bounds=choose_bounds(random),
        schedule=choose_schedule(random),
        account_schedules=tuple(
            choose_schedule(random) if random.random() < 0.3 else None for _ in range(accounts)
        ),
        places=places,
        requests=with_order_keys(
            seed, choose_requests(random, accounts=accounts, places=len(places))
        ),
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


def choose_bounds(random: Random) -> Bounds:
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


def choose_schedule(random: Random) -> RetrySchedule:
    text = random.choice(_SCHEDULES)
    return {"faithful": FAITHFUL, "persistent": PERSISTENT}.get(text) or RetrySchedule.parse(text)


def choose_places(random: Random, faults: frozenset[str]) -> tuple[Place, ...]:
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
    # The first destination is healthy in every world: nothing may delay its callbacks.
    is_healthy = number == 0 or "receivers" not in faults
    return Place(
        host=random.choice(PRIVATE) if names == "literal" else f"r{number}.example",
        port=random.choice((80, 443, 8080)),
        scheme=scheme,
        addresses=addresses,
        character="healthy" if is_healthy else random.choice(_CHARACTERS),
        names=names,
    )


def choose_requests(random: Random, *, accounts: int, places: int) -> tuple[Request, ...]:
    count = random.randint(3, 14)
    times = sorted(
        random.choice((0.5, random.uniform(0, 1), random.uniform(0, 3), random.uniform(0, 40)))
        for _ in range(count)
    )
    return tuple(_request(random, at, accounts=accounts, places=places) for at in times)


def with_order_keys(seed: int, requests: Iterable[Request]) -> tuple[Request, ...]:
    """Return the same requests; in two of five worlds, most of their callbacks have an order key.

    The choice has a source of randomness of its own, so that all else is as it would be without.
    """
    random = Random(f"with order keys {seed}")
    if random.random() > 0.4:
        return tuple(requests)

    def with_keys(request: Request) -> Request:
        keyed = [replace(one, order_key=random.choice(_ORDER_KEYS)) for one in request.callbacks]
        return replace(request, callbacks=tuple(keyed))

    return tuple(map(with_keys, requests))


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
    is_refused = random.random() < 0.05
    is_big = not is_refused and random.random() < 0.2
    return Request(at, asked, key, is_refused, is_big)


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
