"""The worlds with too much load or too few resources are those that their seeds call for."""

import pytest

from tests.simulation.isolation import worse
from tests.simulation.plan import Plan
from tests.simulation.seeds import plan_of

_USUAL = {"acknowledged": [0.01] * 40, "sent": [0.2] * 40}


def test_others_may_wait_twice_as_long_and_two_of_sixty_any_time() -> None:
    waits = {"acknowledged": [0.02] * 58 + [9.0] * 2, "sent": [0.4] * 60}

    assert not worse(waits, _USUAL)


@pytest.mark.parametrize("what", ["acknowledged", "sent"])
def test_requests_that_take_more_than_twice_as_long_are_reported(what: str) -> None:
    waits = _USUAL | {what: [0.5] * 3 + [0.001] * 37}

    assert worse(waits, _USUAL).startswith(f"95 of 100 are {what} within 0.5")


def test_waits_for_new_and_for_kept_connections_are_not_compared() -> None:
    assert not worse({"sent": [0.04] * 40}, {"sent": [0.005] * 40})


def test_two_worlds_in_a_thousand_have_many_destinations_and_two_a_long_history() -> None:
    large = {seed: plan_of(seed) for seed in range(1_000) if plan_of(seed).is_large}

    assert {seed: (len(plan.places), plan.history) for seed, plan in large.items()} == {
        125: (10_001, 0),
        375: (101, 1_000_000),
        625: (10_001, 0),
        875: (101, 1_000_000),
    }


def test_each_shortage_is_in_many_worlds() -> None:
    plans = [plan_of(seed) for seed in range(200)]

    def count(kind: str) -> int:
        return sum(1 for plan in plans if getattr(plan, kind))

    kinds = ("names_hang", "lacks", "full_disk", "freezes")
    assert all(count(kind) > 20 for kind in kinds)
    assert sum(map(_leaps, plans)) > 20


def _leaps(plan: Plan) -> bool:
    return any(abs(by.days) > 10_000 for _, by in plan.jumps)
