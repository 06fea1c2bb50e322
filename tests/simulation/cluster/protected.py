"""Worlds of several processes in which destinations are limited, protected, paused and disabled.

Some receivers are dead, overloaded or gone until the faults are over. People pause destinations and
resume them, through any process.
"""

from dataclasses import replace
from random import Random
from typing import Final

from ringback.core.accounts.account import EVERY
from ringback.core.destinations.destination_pattern import DestinationPattern
from ringback.core.destinations.destination_settings import read_values
from ringback.core.destinations.effective_settings import DestinationRule, SettingsOwner
from ringback.core.retry_schedule import RetrySchedule
from tests.simulation.cluster.plan import (
    ClusterPlan,
    PlannedPause,
    callback_to,
    choose_process,
    places_of,
    plain_plan,
)
from tests.simulation.plan import UNPROTECTED, Asked, Place, Request
from tests.simulation.seeds import choose_bounds, with_order_keys

_FAULTS: Final = ("kills", "stops", "freezes", "freezes at the last moment", "partitions")
_LASTS: Final = 90.0
_CHARACTERS: Final = ("healthy", "hanging", "refusing", "overloaded", "flaky", "gone", "mixed")
_PARTS: Final = ("/", "/app/hook", "/app/x")


def plan_of(seed: int) -> ClusterPlan:
    """Return the plan for a seed."""
    random = Random(f"protected {seed}")
    places = places_of(*(random.choice(_CHARACTERS) for _ in range(random.choice((1, 2, 4)))))
    faults = frozenset(fault for fault in _FAULTS if random.random() < 0.3)
    names = [f"worker-{number}" for number in range(random.choice((2, 2, 3)))]
    names += ["api-0"] * random.choice((0, 1))
    bounds = replace(choose_bounds(random), backlog=1_000_000, at_once=random.choice((8, 64)))
    plan = plain_plan(
        *(seed, random, places, _requests(random, len(places))),
        tuple(choose_process(random, name, faults, _LASTS) for name in names),
        bounds=bounds,
        lasts=_LASTS,
    )
    base = replace(
        plan.base,
        rules=(UNPROTECTED, *(_rule(random, place) for place in places)),
        schedule=RetrySchedule.parse(random.choice(("5s,20s,60s", "30s", "1s,2s,5s,60s,300s"))),
        account_schedules=(None, None),
        requests=with_order_keys(seed, plan.base.requests),
    )
    slow = random.choice((0.0, 0.0, 0.03))
    return replace(
        plan,
        base=base,
        pauses=tuple(_pause(random, places) for _ in range(random.choice((0, 1, 3)))),
        news_lost=random.choice((0.0, 0.5, 1.0)),
        slow_commits=slow,
    )


def _requests(random: Random, places: int) -> list[Request]:
    requests = [
        Request(random.uniform(0.0, _LASTS), (_asked(random, places),))
        for _ in range(random.choice((40, 120)))
    ]
    for _ in range(random.choice((0, 2))):
        burst = tuple(_asked(random, places) for _ in range(20))
        requests.append(Request(random.uniform(0.0, _LASTS), burst[:1] * 20))
    return requests


def _asked(random: Random, places: int) -> Asked:
    asked = callback_to(random, random.randrange(places))
    return replace(asked, account=random.randrange(2), path=random.choice(_PARTS))


def _rule(random: Random, place: Place) -> DestinationRule:
    """Return what is set for a place, or for a part of it."""
    given = dict[str, str]()
    if random.random() < 0.6:
        given |= {"rate": random.choice(("0.5", "2", "10")), "burst": random.choice("124")}
    if random.random() < 0.3:
        given |= {"total_rate": random.choice(("1", "3")), "total_burst": random.choice("13")}
    if random.random() < 0.7:
        given |= {
            "breaker": "yes",
            "breaker_least": random.choice(("2", "5")),
            "breaker_share": random.choice(("50", "70")),
            "breaker_window": random.choice(("10s", "60s")),
        }
    given["disable_on_gone"] = random.choice(("yes", "no"))
    given["hold"] = random.choice(("none", "10s"))
    part = "/app/*" if random.random() < 0.4 and "total_rate" not in given else ""
    pattern = DestinationPattern.parse(f"{place.scheme}://{place.host}:{place.port}{part}")
    values = read_values(given, {})
    return DestinationRule(SettingsOwner.OPERATOR, EVERY, pattern, values, is_in_file=True)


def _pause(random: Random, places: tuple[Place, ...]) -> PlannedPause:
    place, at = random.choice(places), random.uniform(0.0, _LASTS)
    lasts = random.choice((5.0, 20.0, 60.0))
    pattern = f"{place.scheme}://{place.host}:{place.port}"
    return PlannedPause(at, pattern, lasts, ends_by_itself=random.random() < 0.5)
