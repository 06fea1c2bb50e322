"""Destinations in virtual time: limits, pauses, breakers and disabling hold despite all faults."""

from functools import partial
from typing import Final

import pytest

from tests.simulation.cluster.protected import plan_of
from tests.simulation.cluster.protected_mutants import MUTANTS
from tests.simulation.cluster.world import run
from tests.simulation.invariants import OF_CLUSTERS
from tests.simulation.runner import judge_protected

SLOWEST: Final = {"begins with a full bucket", "has a shared rate for each account"}
"""The mutants that take longest to detect, which only the long tests apply."""
_OF_DESTINATIONS: Final = {"paced", "shut", "probed", "spared"}
_run = partial(run, plan_of=plan_of)


@pytest.mark.parametrize("first", range(0, 12, 4))
def test_all_invariants_hold_in_some_seeds(first: int) -> None:
    verdicts = map(judge_protected, range(first, first + 4))

    assert [one for one in verdicts if one.violated is not None] == []


@pytest.mark.long
@pytest.mark.timeout(1800)  # a minute, or as many as ten on a busy machine
@pytest.mark.parametrize("first", range(0, 1_000, 100))
def test_all_invariants_hold_in_every_seed(first: int) -> None:
    verdicts = list(map(judge_protected, range(first, first + 100)))

    assert [one for one in verdicts if one.violated is not None] == []


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.long] * (name in SLOWEST)) for name in MUTANTS]
)
def test_a_broken_valve_is_detected(name: str) -> None:
    assert MUTANTS[name].is_detected_by(lambda seed: _run(seed).violated)


def test_every_invariant_of_destinations_detects_a_broken_valve() -> None:
    assert {mutant.breaks for mutant in MUTANTS.values()} >= _OF_DESTINATIONS
    assert set(OF_CLUSTERS) >= _OF_DESTINATIONS


@pytest.mark.parametrize("seed", [9, pytest.param(8, marks=pytest.mark.long)])
def test_a_seed_replays_exactly(seed: int) -> None:
    assert _run(seed).trace.lines() == _run(seed).trace.lines()


def test_many_things_happen_in_the_seeds() -> None:
    results = [_run(seed) for seed in (0, 8, 9, 14, 16)]
    texts = [line for result in results for line in result.trace.lines()]

    assert sum(result.requests for result in results) > 500
    events = {event for result in results for event in result.trace.kinds()}
    assert events >= {"kill", "stopped", "freeze", "paused", "resumed", "probe", "given up"}
    assert any("disabled" in text for text in texts)
