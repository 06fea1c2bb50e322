"""`python -m tests.simulation`: run any number of seeds, or show what happens in one."""

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from itertools import islice

from tests.simulation.cluster import mutants as cluster_mutants
from tests.simulation.cluster.world import ClusterResult
from tests.simulation.cluster.world import run as run_cluster
from tests.simulation.mutants import MUTANTS
from tests.simulation.runner import Verdict, judge, judge_all, judge_cluster
from tests.simulation.world import Result, run

_SHOWN = 20


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="run only this seed, and print its trace")
    parser.add_argument("--seeds", type=int, default=10_000, metavar="COUNT")
    parser.add_argument("--from", type=int, default=0, dest="first", metavar="SEED")
    parser.add_argument(
        "--workers", action="store_true", help="simulate several processes over one store"
    )
    mutants = MUTANTS | cluster_mutants.MUTANTS
    parser.add_argument(
        "--mutant", choices=sorted(mutants), help="run this broken engine; needs --seed"
    )
    asked = parser.parse_args()
    if asked.seed is not None:
        with nullcontext() if asked.mutant is None else mutants[asked.mutant].applied():
            return _show(asked.seed, run_cluster if asked.workers else run)
    return _run_many(asked.first, asked.seeds, judge_cluster if asked.workers else judge)


def _show(seed: int, run: Callable[[int], Result]) -> int:
    result = run(seed)
    print(*result.trace.lines(), sep="\n")
    print(f"\nseed {seed}: {result.steps} steps, {result.requests} requests,", end=" ")
    print(f"{result.virtual_seconds:.0f} virtual seconds, trace {result.trace.digest()}")
    if isinstance(result, ClusterResult):
        print(_twice(result.late, result.unended))
    if result.violated is not None:
        print(f"\nviolated: {result.violated}")
    return 0 if result.violated is None else 1


def _twice(late: int, unended: int) -> str:
    return (
        f"requests beside another one for the same callback: {late} of processes frozen before"
        f" the first byte, {unended} after requests that frozen processes did not end"
    )


def _run_many(first: int, count: int, judge: Callable[[int], Verdict]) -> int:
    began, steps, requests, virtual = time.perf_counter(), 0, 0, 0.0
    late = unended = 0
    failing = dict[int, str]()
    for verdict in judge_all(range(first, first + count), judge):
        steps += verdict.steps
        requests += verdict.requests
        virtual += verdict.virtual_seconds
        late += verdict.late
        unended += verdict.unended
        if verdict.violated is not None:
            failing[verdict.seed] = verdict.violated
            if len(failing) <= _SHOWN:
                print(f"seed {verdict.seed}: {verdict.violated}", flush=True)
    took = time.perf_counter() - began
    print(f"{count} seeds in {took:.1f} s ({count / took:.0f} a second): {steps} steps,", end=" ")
    print(f"{requests} requests, {virtual / 3600:.0f} virtual hours, {len(failing)} failing")
    if judge is judge_cluster:
        print(_twice(late, unended))
    if failing:
        some = " ".join(map(str, islice(sorted(failing), _SHOWN)))
        print(f"failing: {some}{' …' if len(failing) > _SHOWN else ''}; show one with --seed SEED")
    return 1 if failing else 0


if __name__ == "__main__":
    sys.exit(main())
