"""The whole engine in virtual time, with faults of every kind: its promises hold anyway.

`python -m tests.simulation` runs any number of seeds, and shows what happens in one.
"""

import os
import subprocess
import sys
from collections.abc import Iterable
from typing import Final

import pytest

from tests.simulation.invariants import INVARIANTS
from tests.simulation.mutants import MUTANTS
from tests.simulation.runner import Verdict, judge
from tests.simulation.seeds import plan_of
from tests.simulation.world import run

_DIGESTS: Final = (
    "from tests.simulation.world import run\n"
    "print(*(run(seed).trace.digest() for seed in range(10)), sep='\\n')"
)

SLOWEST: Final = {
    *("trusts late timers", "numbers requeued attempts", "scans the whole history"),
    *("requeues nothing", "goes on after a stop", "ignores Retry-After"),
    *("sends a replay before its turn", "forgets the rest of a batch"),
}
"""The mutants that take longest to detect, which only the long tests apply."""


def violated_in(seeds: Iterable[int]) -> list[Verdict]:
    return [one for one in map(judge, seeds) if one.violated is not None]


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_all_invariants_hold_in_some_seeds(first: int) -> None:
    small = [seed for seed in range(first, first + 10) if not plan_of(seed).is_large]

    assert violated_in(small) == []


def test_all_invariants_hold_in_a_large_world() -> None:
    assert plan_of(375).is_large
    assert violated_in([375]) == []


@pytest.mark.long
@pytest.mark.timeout(1800)  # ten seconds, or as many minutes on a busy machine
@pytest.mark.parametrize("first", range(0, 1_000, 50))
def test_all_invariants_hold_in_every_seed(first: int) -> None:
    assert violated_in(range(first, first + 50)) == []


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.long] * (name in SLOWEST)) for name in MUTANTS]
)
def test_a_broken_engine_is_detected(name: str) -> None:
    assert MUTANTS[name].is_detected_by(lambda seed: run(seed).violated)


@pytest.mark.long
@pytest.mark.parametrize("seed", [125, 375])
def test_a_scan_of_the_whole_history_is_detected_in_each_large_world(seed: int) -> None:
    with MUTANTS["scans the whole history"].applied():
        violated = run(seed).violated

    assert violated is not None
    assert violated.name == "apart"


def test_every_invariant_detects_a_broken_engine() -> None:
    assert {mutant.breaks for mutant in MUTANTS.values()} == set(INVARIANTS)


@pytest.mark.parametrize("seed", [3, 7, 86, pytest.param(375, marks=pytest.mark.long)])
def test_a_seed_replays_exactly(seed: int) -> None:
    assert run(seed).trace.lines() == run(seed).trace.lines()


def test_a_failing_seed_fails_again_at_the_same_instant() -> None:
    with MUTANTS["keeps slots"].applied():
        first, second = run(0), run(0)

    assert first.violated is not None
    assert str(first.violated) == str(second.violated)
    assert first.trace.lines() == second.trace.lines()


def test_a_seed_is_the_same_in_every_process() -> None:
    by_hash_seed = [
        subprocess.run(
            [sys.executable, "-c", _DIGESTS],
            env={
                **os.environ,
                "PYTHONHASHSEED": hash_seed,
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]

    assert by_hash_seed[0] == by_hash_seed[1]


def test_many_things_happen_in_the_seeds() -> None:
    results = [run(seed) for seed in range(30)]

    assert sum(result.requests for result in results) > 1_000
    assert sum(result.virtual_seconds for result in results) > 3_600
    events = {event for result in results for event in result.trace.kinds()}
    assert events >= {"crash", "dies", "stopped", "jump", "store fails", "replay", "discard"}
    assert events >= {"freeze", "thaw", "short"}
