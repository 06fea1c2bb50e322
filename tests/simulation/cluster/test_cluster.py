"""Several processes over one store, in virtual time: the promises hold despite all faults."""

from typing import Final

import pytest

from tests.simulation.cluster.mutants import MUTANTS
from tests.simulation.cluster.protected_mutants import MUTANTS as PROTECTED_MUTANTS
from tests.simulation.cluster.world import run
from tests.simulation.invariants import OF_CLUSTERS
from tests.simulation.runner import judge_cluster

SLOWEST: Final = {
    *("sends under any lease", "ignores what others have open", "claims what others have open"),
    *("never takes over", "takes outdated results for saved", "does not search after a takeover"),
    *(
        "lets the next one go after an outdated result",
        "counts its lease by a clock that can be set",
    ),
    "counts its lease from the end of the renewal",
    *("frees the shards of an ended session at once", "sends without asking its session"),
    "takes the answer of any session for that of its own",
}
"""The mutants that take longest to detect, which only the long tests apply."""


@pytest.mark.parametrize("first", range(0, 8, 4))
def test_all_invariants_hold_in_some_seeds(first: int) -> None:
    verdicts = map(judge_cluster, range(first, first + 4))

    assert [one for one in verdicts if one.violated is not None] == []


@pytest.mark.long
@pytest.mark.timeout(1800)  # half a minute, or as many minutes on a busy machine
@pytest.mark.parametrize("first", range(0, 1_000, 100))
def test_all_invariants_hold_in_every_seed(first: int) -> None:
    verdicts = list(map(judge_cluster, range(first, first + 100)))

    assert [one for one in verdicts if one.violated is not None] == []


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.long] * (name in SLOWEST)) for name in MUTANTS]
)
def test_a_broken_engine_is_detected(name: str) -> None:
    assert MUTANTS[name].is_detected_by(lambda seed: run(seed).violated)


def test_every_invariant_of_clusters_detects_a_broken_engine() -> None:
    mutants = (*MUTANTS.values(), *PROTECTED_MUTANTS.values())
    assert {mutant.breaks for mutant in mutants} >= set(OF_CLUSTERS)


@pytest.mark.parametrize("seed", [2, pytest.param(5, marks=pytest.mark.long), 7])
def test_a_seed_replays_exactly(seed: int) -> None:
    assert run(seed).trace.lines() == run(seed).trace.lines()


def test_many_things_happen_in_the_seeds() -> None:
    results = [run(seed) for seed in (0, 1, 2, 3, 4, 9, 16, 43)]

    assert sum(result.requests for result in results) > 500
    assert sum(result.outdated for result in results) > 0
    assert sum(result.late for result in results) > 0, "a frozen process has sent late"
    events = {event for result in results for event in result.trace.kinds()}
    assert events >= {"kill", "stopped", "freeze", "thaw", "jump", "slow commit", "outage"}
    assert events >= {"replay", "discard", "twice, late"}
