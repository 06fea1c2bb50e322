"""Worlds in which one account makes trouble, and the others must not notice it.

The same world also runs without the trouble: the waits of the others may be at most twice as long
as in that run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Final

from ringback.core.retry_schedule import RetrySchedule
from tests.simulation.plan import FAULTS_LAST, Asked, Bounds, Place, Plan, Request
from tests.simulation.scheduler import Order

_MOST: Final = 2.0
"""The maximum ratio of the others' waits with trouble to their waits without it."""
_TRIFLE: Final = {"acknowledged": 0.0, "sent": 0.05}
"""Seconds that 95 of 100 may wait anyway: time to open a connection when none is kept."""
_BIG: Final = 64
"""Larger batches than this are ingested in parts, as the API does with big batches."""
_FLOODS_LAST: Final = 10.0
"""Seconds in which the account that makes trouble sends its requests."""
_OFTEN: Final = 40
"""How many requests a quiet account makes in this time; half as many more until the faults end."""

_BOUNDS: Final = Bounds(
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
_LONG: Final = 75.0
"""Seconds that include a sweep of the store for due callbacks, which runs once a minute."""
_MANY: Final = 10_000
_LONG_AGO: Final = 1_000_000
_QUIET: Final = 2
"""The account that makes no trouble. Account 1 does; in some worlds account 0 does both."""


def fair_plan(seed: int, random: Random) -> Plan:
    """Return a small world in which account 1 floods healthy or hanging receivers or names.

    If only one destination hangs, not even the other callbacks of its own account are delayed.
    """
    return random.choice((_one_hangs, _some_hang, _names_hang, _batches))(seed, random)


def large_plan(seed: int, random: Random, *, has_history: bool) -> Plan:
    """Return a world with 1,000,000 old callbacks, or with 10,000 destinations that hang."""
    return (_history if has_history else _destinations)(seed, random)


def worse(with_them: Mapping[str, Sequence[float]], calm: Mapping[str, Sequence[float]]) -> str:
    """Return a text that says what the others wait too long for; empty if they don't."""
    for what, waits in with_them.items():
        most, usual = _p95(waits), _p95(calm[what])
        if most > max(_MOST * usual, _TRIFLE[what]):
            return f"95 of 100 are {what} within {most:.6f} s, and within {usual:.6f} s otherwise"
    return ""


def _p95(waits: Sequence[float]) -> float:
    return sorted(waits)[len(waits) * 95 // 100] if waits else 0.0


def _one_hangs(seed: int, random: Random) -> Plan:
    places = _places(("healthy", _bad(random)))
    plan = _calm(seed, random, places, fair_to=(0, _QUIET))
    return _with(plan, [_flood(random, 0, [1], size=20)])


def _some_hang(seed: int, random: Random) -> Plan:
    places = _places(("healthy", *(_bad(random) for _ in range(3))))
    floods = [_flood(random, account, [at], size=20) for account, at in ((0, 1), (1, 2), (1, 3))]
    return _with(_calm(seed, random, places), floods)


def _names_hang(seed: int, random: Random) -> Plan:
    count = 40
    places = _places(("healthy", *["healthy"] * count), names="silent")
    plan = _calm(seed, random, places)
    plan = replace(plan, bounds=replace(plan.bounds, names_at_once=random.choice((4, 16))))
    return _with(plan, [_flood(random, 1, range(1, count + 1), size=count) for _ in range(2)])


def _batches(seed: int, random: Random) -> Plan:
    plan = _calm(seed, random, _places(("healthy", "healthy")))
    return _with(plan, [_flood(random, 1, [1], size=20) for _ in range(10)])


def _destinations(seed: int, random: Random) -> Plan:
    size = 500
    places = _places(("healthy", *["hanging"] * _MANY))
    plan = replace(_calm(seed, random, places, lasts=_LONG), bounds=replace(_BOUNDS, at_once=64))
    floods = [_flood(random, 1, range(at, at + size), size=size) for at in range(1, _MANY, size)]
    return _with(plan, floods)


def _history(seed: int, random: Random) -> Plan:
    count = 100
    places = _places(("healthy", *[_bad(random)] * count))
    plan = replace(_calm(seed, random, places, lasts=_LONG), history=_LONG_AGO)
    return _with(plan, [_flood(random, 1, range(1, count + 1), size=2 * count)])


def _calm(
    seed: int,
    random: Random,
    places: tuple[Place, ...],
    *,
    fair_to: tuple[int, ...] = (_QUIET,),
    lasts: float = FAULTS_LAST,
) -> Plan:
    """Return a world without faults, with only the requests of accounts that make no trouble."""
    often = [
        Request(random.uniform(0, by), (_plain(random, account, 0),))
        for account in sorted({*fair_to, _QUIET})
        for by in (*[_FLOODS_LAST] * _OFTEN, *[lasts] * (_OFTEN // 2))
    ]
    return Plan(
        seed=seed,
        order=random.choice(tuple(Order)),
        tick=random.choice((0.0, 0.00001)),
        stalls=0.0,
        bounds=replace(_BOUNDS, per_destination=random.choice((2, 8, 64))),
        schedule=RetrySchedule.parse("1s,2s,5s"),
        account_schedules=(None, None, None),
        places=places,
        requests=tuple(sorted(often, key=lambda request: request.at)),
        replays=(),
        discards=(),
        stops=(),
        crashes=(),
        deaths=(),
        jumps=(),
        outages=(),
        failing_commits=0.0,
        commit_seconds=random.choice((0.0005, 0.004)),
        faults_last=lasts,
        fair_to=fair_to,
    )


def _with(calm: Plan, floods: list[Request]) -> Plan:
    requests = sorted([*calm.requests, *floods], key=lambda request: request.at)
    return replace(calm, requests=tuple(requests), calm=calm)


def _places(characters: Sequence[str], *, names: str = "quick") -> tuple[Place, ...]:
    return tuple(
        Place(
            host=f"r{number}.example",
            port=80,
            scheme="http",
            addresses=(f"93.{184 + number // 256**2}.{number // 256 % 256}.{number % 256}",),
            character=character,
            names=names if number else "quick",
        )
        for number, character in enumerate(characters)
    )


def _bad(random: Random) -> str:
    return random.choice(("hanging", "unreachable", "slow"))


def _flood(random: Random, account: int, places: Sequence[int], *, size: int) -> Request:
    """Return a batch of callbacks to these places in turn."""
    at = random.uniform(0, _FLOODS_LAST)
    wanted = [places[number % len(places)] for number in range(size)]
    asked = tuple(_plain(random, account, place) for place in wanted)
    return Request(at, asked, is_big=size > _BIG)


def _plain(random: Random, account: int, place: int) -> Asked:
    return Asked(account, place, "/", "", "POST", f"Text={random.randrange(10**6)}", None)
