"""Is this commit slower than another one? `make bench ARGS="--against COMMIT"`.

The benchmarks of this commit measure both alternately, each with its own dependencies, so that a
disturbance of the machine affects both. Load, receiver and reference are the same. The other
commit's own `benchmarks` are used only to build parts of it: `filling` and `drain`.

Each pair of runs gives one ratio for each figure. The median of 15 pairs decides. If 15 pairs can't
decide on which side of its bound a figure's median is, they continue, up to 60 pairs.
"""

import math
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from benchmarks.figures import REFERENCE, Figure, from_json
from benchmarks.processes import BenchmarkFailed

PAIRS: Final = 15
MOST_PAIRS: Final = 60
IDS: Final = ("T1", "T2", "T3", "T4", "T5", "T7", "T10")
"""The benchmarks that decide if a commit is slower."""
COMPARABLE: Final = (*IDS, "T8", "T11", "T13", "T14")
"""The benchmarks that can measure another commit."""
_MOST_CPU: Final = 1.03
_MOST_LATENCY: Final = 1.10
_BY_CPU: Final = frozenset({"T1", "T2", "T3", "T5"})
_BY_LATENCY: Final = frozenset({"T4", "T5", "T10"})
_GOALS: Final[Mapping[str, Mapping[str, float]]] = {
    "7042b8b9": {
        "T1 stored backlog, unpinned, CPU µs": 0.45,
        "T2 end to end, one by one, unpinned: settled, CPU µs": 0.30,
        "T3 end to end, batches of 50, unpinned: settled, CPU µs": 0.35,
    },
    "cf319710": {"T14 from start to first answer": 0.60},
}
"""For commits before a redesign: the largest ratio of each measure that the redesign improves."""
_ROOT: Final = Path(__file__).parents[1]


Runner = Callable[[Sequence[str]], list[Figure]]
"""Runs the benchmarks with these ids, and returns their figures."""


class Measure(NamedTuple):
    """A quantity that is compared: the value of a figure, or its CPU time."""

    id: str
    name: str
    what: str

    def __str__(self) -> str:
        return f"{self.id} {self.name}" + (f", {self.what}" if self.what == "CPU µs" else "")


@dataclass(slots=True)
class Comparison:
    """The ratios of one measure, this commit's to the other's, one for each pair of runs."""

    bound: float | None
    """The largest median that is not slower; None for a measure that doesn't decide."""
    ratios: list[float] = field(default_factory=list[float])

    @property
    def median(self) -> float:
        return median(self.ratios)

    @property
    def certain(self) -> tuple[float, float]:
        """Return two ratios between which the true median is, with a confidence of 95 %."""
        ordered, count = sorted(self.ratios), len(self.ratios)
        # The number of ratios below the median has a binomial distribution, taken here as normal.
        below = max(0, math.floor((count - 1.96 * math.sqrt(count)) / 2))
        return ordered[below], ordered[count - 1 - below]

    @property
    def is_open(self) -> bool:
        """Return True if more pairs could still move the median to the other side of its bound."""
        low, high = self.certain
        return self.bound is not None and low <= self.bound < high

    @property
    def is_slower(self) -> bool:
        return self.bound is not None and self.median > self.bound


def compare(commit: str, ids: Sequence[str], *, pairs: int = PAIRS) -> bool:
    """Compare this working tree with a commit, print the result, and return True if it is slower.

    Raises BenchmarkFailed if the commit can't be checked out, or can't be measured.
    """
    goals = _goals_against(commit)
    with _worktree(commit) as folder:
        return compare_sides(
            _measure, lambda ids: _measure(ids, "--product", folder), ids, pairs=pairs, goals=goals
        )


def _measure(ids: Sequence[str], *options: str | Path) -> list[Figure]:
    """Run these benchmarks once; return the figures of those that succeeded."""
    how = ("--quick", "--rounds", "1", "--json", "--only", ",".join(ids), *options)
    ended = _run(sys.executable, "-m", "benchmarks", *how, folder=_ROOT)
    try:
        figures = from_json(ended.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        figures = []
    if not figures:
        raise BenchmarkFailed(f"no figures with {' '.join(map(str, options))}: {_said(ended)}")
    print(*(line for line in ended.stdout.splitlines() if " has no figure" in line), sep="\n")
    return figures


def compare_sides(
    ours: Runner,
    theirs: Runner,
    ids: Sequence[str],
    *,
    pairs: int = PAIRS,
    most: int = MOST_PAIRS,
    goals: Mapping[str, float] | None = None,
) -> bool:
    """Run both sides' benchmarks alternately, print a comparison, return True if ours is slower.

    Prints the comparison also before continuing with undecided figures, and when interrupted.
    """
    comparisons = Comparisons(goals or {})
    try:
        for number in range(max(pairs, most)):
            going_on = ids if number < pairs else comparisons.undecided(ids)
            if not going_on:
                break
            if number == pairs:
                print(f"\n{comparisons}\n", flush=True)
            if number % 2:
                mine, other = ours(going_on), theirs(going_on)
            else:
                other, mine = theirs(going_on), ours(going_on)
            comparisons.add(mine, other)
            print(f"pair {number + 1}: {', '.join(going_on)}", flush=True)
    finally:
        print(f"\n{comparisons}")
    return comparisons.is_slower


@dataclass(slots=True)
class Comparisons:
    """The comparisons made up to now, and the figures that can't be compared."""

    goals: Mapping[str, float] = field(default_factory=dict[str, float])
    """The bounds of measures, by name, that are not the usual ones."""
    found: dict[Measure, Comparison] = field(default_factory=dict[Measure, Comparison])
    left_out: dict[str, str] = field(default_factory=dict[str, str])

    def add(self, ours: Sequence[Figure], theirs: Sequence[Figure]) -> None:
        """Add the figures of a pair of runs."""
        others = {(figure.id, figure.name): figure for figure in theirs if figure.id != REFERENCE}
        for figure in ours:
            if figure.id == REFERENCE:
                continue
            other = others.pop((figure.id, figure.name), None)
            if other is None:
                self.left_out[f"{figure.id} {figure.name}"] = "the other commit has no such figure"
                continue
            for measure, usual, ratio in _ratios(figure, other):
                if math.isfinite(ratio):
                    bound = self.goals.get(str(measure), usual)
                    self.found.setdefault(measure, Comparison(bound)).ratios.append(ratio)
        for id_, name in others:
            self.left_out[f"{id_} {name}"] = "only the other commit has this figure"

    def undecided(self, ids: Sequence[str]) -> list[str]:
        """Return the ids of the benchmarks with a measure that more pairs could still decide."""
        still_open = {measure.id for measure, one in self.found.items() if one.is_open}
        return [id_ for id_ in ids if id_ in still_open]

    @property
    def is_slower(self) -> bool:
        """Return True if the median of a measure is beyond its bound."""
        return any(comparison.is_slower for comparison in self.found.values())

    def __str__(self) -> str:
        out = (f"left out: {name}: {why}" for name, why in sorted(self.left_out.items()))
        return "\n".join([_table(self.found), "", *out])


def _ratios(figure: Figure, other: Figure) -> Iterator[tuple[Measure, float | None, float]]:
    """Yield each measure of a figure: its usual bound, and its ratio to the other commit's."""
    is_latency = figure.id in _BY_LATENCY and figure.name.endswith("p50")
    bound = _MOST_LATENCY if is_latency else None
    if figure.id == "T7" and figure.unit in ("MB", "% of a core"):
        bound = _MOST_CPU
    yield Measure(figure.id, figure.name, figure.unit), bound, _ratio(figure.value, other.value)
    if figure.cpu_us is not None and other.cpu_us is not None:
        bound = _MOST_CPU if figure.id in _BY_CPU else None
        measure = Measure(figure.id, figure.name, "CPU µs")
        yield measure, bound, _ratio(figure.cpu_us, other.cpu_us)


def _ratio(ours: float, theirs: float) -> float:
    return ours / theirs if theirs else math.nan


def _table(found: Mapping[Measure, Comparison]) -> str:
    """Return a table with a line for each measure: median, spread, bound, verdict."""
    lines = [f"{'median':>7} {'95 % certain':>14} {'least to most':>14} {'pairs':>5}  may be  what"]
    for measure, comparison in found.items():
        low, high = comparison.certain
        least, most = min(comparison.ratios), max(comparison.ratios)
        bound = "-" if comparison.bound is None else f"{comparison.bound:.2f}"
        verdict = "  TOO SLOW" if comparison.is_slower else ""
        lines.append(
            f"{comparison.median:>7.3f} {f'{low:.2f} to {high:.2f}':>14}"
            f" {f'{least:.2f} to {most:.2f}':>14} {len(comparison.ratios):>5}  {bound:>6}"
            f"  {measure}{verdict}"
        )
    return "\n".join(lines)


def _goals_against(commit: str) -> Mapping[str, float]:
    full = _output("git", "rev-parse", f"{commit}^{{commit}}", folder=_ROOT).strip()
    return next((goals for begins, goals in _GOALS.items() if full.startswith(begins)), {})


@contextmanager
def _worktree(commit: str) -> Iterator[Path]:
    """Check the commit out into a folder of its own, and install its dependencies there."""
    with tempfile.TemporaryDirectory(prefix="ringback-against-") as folder:
        place = Path(folder) / "ringback"
        _output("git", "worktree", "add", "--detach", place, commit, folder=_ROOT)
        try:
            # Use the same interpreter, not whichever one `python3` is.
            python = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
            _output("make", "install-dev", f"PYTHON={python}", folder=place)
            yield place
        finally:
            _output("git", "worktree", "remove", "--force", place, folder=_ROOT)


def _output(*command: str | Path, folder: Path) -> str:
    """Return a command's standard output.

    Raises BenchmarkFailed with the command's error output if it fails.
    """
    ended = _run(*command, folder=folder)
    if ended.returncode:
        raise BenchmarkFailed(f"`{' '.join(map(str, command))}` failed: {_said(ended)}")
    return ended.stdout


def _run(*command: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def _said(ended: subprocess.CompletedProcess[str]) -> str:
    return (ended.stdout + ended.stderr).strip()[-2000:]
