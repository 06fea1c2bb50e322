"""Runs many seeds, on all cores."""

import multiprocessing
import traceback
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

from tests.simulation.cluster.protected import plan_of as protected_plan_of
from tests.simulation.cluster.world import ClusterResult
from tests.simulation.cluster.world import run as run_cluster
from tests.simulation.world import Result, run


class Verdict(NamedTuple):
    """The result of one seed, without its trace."""

    seed: int
    violated: str | None
    steps: int
    requests: int
    virtual_seconds: float
    late: int = 0
    """See `ClusterResult`, as for the next one."""
    unended: int = 0


def judge(seed: int) -> Verdict:
    """Run one seed of the worlds with one process at a time."""
    return _judge(run, seed)


def judge_cluster(seed: int) -> Verdict:
    """Run one seed of the worlds with several processes over one store."""
    return _judge(run_cluster, seed)


def judge_protected(seed: int) -> Verdict:
    """Run one seed of the worlds with limited, paused and protected destinations."""
    return _judge(partial(run_cluster, plan_of=protected_plan_of), seed)


def _judge(run: Callable[[int], Result], seed: int) -> Verdict:
    try:
        result = run(seed)
    except Exception:  # noqa: BLE001 (the verdict has the error)
        return Verdict(seed, f"the simulation itself failed: {traceback.format_exc()}", 0, 0, 0.0)
    violated = None if result.violated is None else str(result.violated)
    twice = (result.late, result.unended) if isinstance(result, ClusterResult) else ()
    return Verdict(seed, violated, result.steps, result.requests, result.virtual_seconds, *twice)


def judge_all(seeds: Iterable[int], judge: Callable[[int], Verdict] = judge) -> Iterator[Verdict]:
    """Run seeds on all cores; yield the verdicts as they arrive."""
    with multiprocessing.get_context("forkserver").Pool() as pool:
        yield from pool.imap_unordered(judge, seeds, chunksize=20)
