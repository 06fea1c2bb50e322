"""Runs many seeds, on all cores."""

import multiprocessing
import traceback
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tests.simulation.world import run


class Verdict(NamedTuple):
    """The result of one seed, without its trace."""

    seed: int
    violated: str | None
    steps: int
    requests: int
    virtual_seconds: float


def judge(seed: int) -> Verdict:
    """Run one seed."""
    try:
        result = run(seed)
    except Exception:  # noqa: BLE001 (the verdict has the error)
        return Verdict(seed, f"the simulation itself failed: {traceback.format_exc()}", 0, 0, 0.0)
    violated = None if result.violated is None else str(result.violated)
    return Verdict(seed, violated, result.steps, result.requests, result.virtual_seconds)


def judge_all(seeds: Iterable[int]) -> Iterator[Verdict]:
    """Run seeds on all cores; yield the verdicts as they arrive."""
    with multiprocessing.get_context("forkserver").Pool() as pool:
        yield from pool.imap_unordered(judge, seeds, chunksize=20)
