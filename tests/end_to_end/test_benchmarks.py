"""The benchmarks produce figures: the parts that they build by hand still fit the server.

Ratios decide if a commit is slower than another; the two sides in these tests are made up.
"""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from itertools import repeat

import pytest

from benchmarks.against import MOST_PAIRS, PAIRS, compare_sides
from benchmarks.figures import Figure, from_json, from_table, table, to_json


@pytest.mark.parametrize("benchmark", ["T1", "T2"])
async def test_a_benchmark_has_figures(benchmark: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks", "--quick", "--only", benchmark),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert b" 0 benchmarks without figures" in said
    assert process.returncode == 0


FIGURES = [
    Figure("T1", "stored backlog, one core", 12_345.0, "callbacks/s", 0.33, cpu_us=80.5),
    Figure("T7", "idle: CPU", 0.25, "% of a core"),
]


def test_figures_come_back_from_json() -> None:
    assert from_json(to_json(FIGURES)) == FIGURES


def test_the_figures_of_a_commit_that_prints_no_json_are_read_off_its_table() -> None:
    printed = f"T1: 9.0 s\n\n{table(FIGURES)}\n\nnotes, and more notes"

    read = [(f.id, f.name, f.value, f.unit, f.cpu_us) for f in from_table(printed)]

    assert read == [(f.id, f.name, f.value, f.unit, f.cpu_us) for f in FIGURES]


class Side:
    """Returns given figures, and records the ids it was asked for."""

    def __init__(self, cpu: Iterator[float], *more: Figure) -> None:
        self._cpu = cpu
        self._more = more
        self.asked = list[tuple[str, ...]]()

    def __call__(self, ids: Sequence[str]) -> list[Figure]:
        self.asked.append(tuple(ids))
        t2 = Figure("T2", "one by one", 1.0, "callbacks/s", cpu_us=next(self._cpu))
        return [t2, *self._more]


@pytest.mark.parametrize(("ours", "is_slower"), [(102.0, False), (104.0, True)])
def test_three_percent_more_cpu_is_slower(ours: float, *, is_slower: bool) -> None:
    assert compare_sides(Side(repeat(ours)), Side(repeat(100.0)), ["T2"]) is is_slower


def test_more_pairs_run_if_the_ratios_are_on_both_sides_of_the_bound(
    capsys: pytest.CaptureFixture[str],
) -> None:
    wavering = Side(iter([100.0, 110.0] * MOST_PAIRS))

    compare_sides(wavering, Side(repeat(100.0)), ["T2"])

    assert len(wavering.asked) == MOST_PAIRS
    told, *rest = capsys.readouterr().out.split("\n median")[1:]
    assert f"pair {PAIRS + 1}" in told, "prints the comparison before the additional pairs"
    assert len(rest) == 1


def test_decided_benchmarks_are_not_run_again() -> None:
    wavering = Side(iter([100.0, 110.0] * MOST_PAIRS), Figure("T7", "idle: memory", 60.0, "MB"))
    steady = Side(repeat(100.0), Figure("T7", "idle: memory", 60.0, "MB"))

    compare_sides(wavering, steady, ["T2", "T7"])

    assert wavering.asked[0] == ("T2", "T7")
    assert wavering.asked[-1] == ("T2",)


def test_a_figure_whose_workload_changed_is_named_and_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    small, large = (
        Figure("T7", "idle: memory", megabytes, "MB", workload=workload)
        for megabytes, workload in ((60.0, "no callbacks"), (600.0, "a million"))
    )

    is_slower = compare_sides(Side(repeat(1.0), large), Side(repeat(1.0), small), ["T2", "T7"])

    assert not is_slower
    said = capsys.readouterr().out
    assert "left out: T7 idle: memory: its workload is 'a million' here" in said


def test_a_figure_that_only_one_commit_has_is_named_and_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    only = Figure("T4", "accept to received: p50", 1.0, "ms")

    compare_sides(Side(repeat(1.0), only), Side(repeat(1.0)), ["T2", "T4"])

    assert "left out: T4 accept to received: p50: the other commit does not measure it" in (
        capsys.readouterr().out
    )
