"""What a benchmark prints: figures, their ratios to the reference of the same run, and targets."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Final

_HEADINGS: Final = ("", "what", "figure", "unit", "ratio", "target", "met", "CPU µs")
_RIGHT: Final = frozenset({2, 4, 7})
_NOTHING: Final = "-"
REFERENCE: Final = "-"
"""The id of the reference's line: ratios of rates compare with it."""


@dataclass(frozen=True, slots=True)
class Target:
    """A bound for a figure, or for its ratio to the reference."""

    bound: float
    is_floor: bool
    is_of_ratio: bool = False

    def is_met_by(self, figure: "Figure") -> bool:
        value = figure.ratio if self.is_of_ratio else figure.value
        if value is None or math.isnan(value):
            return False
        return value >= self.bound if self.is_floor else value <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.is_floor else '≤'} {self.bound:,g}{'x' if self.is_of_ratio else ''}"


def at_least(bound: float) -> Target:
    return Target(bound, is_floor=True)


def at_most(bound: float) -> Target:
    return Target(bound, is_floor=False)


def ratio_at_least(bound: float) -> Target:
    return Target(bound, is_floor=True, is_of_ratio=True)


def ratio_at_most(bound: float) -> Target:
    return Target(bound, is_floor=False, is_of_ratio=True)


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    id: str
    name: str
    value: float
    unit: str
    ratio: float | None = None
    """The ratio to the reference, where higher is more: a rate half as fast has the ratio 0.5."""
    target: Target | None = None
    cpu_us: float | None = None
    """CPU time that one callback cost the measured process, over all its threads."""
    note: str = ""

    def cells(self) -> tuple[str, ...]:
        met = _NOTHING if self.target is None else "yes" if self.target.is_met_by(self) else "NO"
        return (
            self.id,
            self.name,
            _shown(self.value),
            self.unit,
            _NOTHING if self.ratio is None else f"{self.ratio:.2f}x",
            str(self.target or _NOTHING),
            met,
            _NOTHING if self.cpu_us is None else f"{self.cpu_us:,.1f}",
        )


def cpu_multiple(
    id_: str, name: str, costs: Sequence[tuple[float, float]], target: Target
) -> Figure:
    """Return the CPU of a callback as a multiple of the reference's, measured just before it.

    >>> cpu_multiple("T1", "drain", [(60.0, 30.0), (66.0, 22.0), (50.0, 25.0)], at_most(1.5)).value
    2.0
    """
    multiples = [ours / reference for ours, reference in costs]
    spread = f"{min(multiples):.2f} to {max(multiples):.2f}"
    return Figure(
        *(id_, f"{name}: CPU, times the reference's", median(multiples), "x"),
        target=target,
        note=f"{spread}, in {len(multiples)} rounds",
    )


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a table, with their notes below it."""
    rows = [_HEADINGS, *(figure.cells() for figure in figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    notes = [f"{figure.id}, {figure.name}: {figure.note}" for figure in figures if figure.note]
    return "\n".join([*lines, "", *notes] if notes else lines)


def to_json(figures: Sequence[Figure]) -> str:
    """Return the figures as one line of JSON, without their targets."""
    return json.dumps([{**asdict(figure), "target": None} for figure in figures])


def from_json(line: str) -> list[Figure]:
    """Return the figures of a line that `to_json` made."""
    return [Figure(**fields) for fields in json.loads(line)]


def cost(figures: Sequence[Figure]) -> str:
    """Return a text with the CPU time that a callback costs, by benchmark."""
    lines = [f"  {f.cpu_us:>9,.1f}  {f.id} {f.name}" for f in figures if f.cpu_us is not None]
    return "\n".join(["CPU µs for each callback, in the measured process:", *lines])


def quantile(samples: Sequence[float], share: float) -> float:
    """Return the smallest sample such that at least this share of the samples is not larger.

    >>> quantile([3.0, 1.0, 2.0, 4.0], 0.5)
    2.0
    """
    if not samples:
        return math.nan
    return sorted(samples)[max(0, math.ceil(len(samples) * share) - 1)]


def p50(samples: Sequence[float]) -> float:
    return quantile(samples, 0.5)


def p95(samples: Sequence[float]) -> float:
    return quantile(samples, 0.95)


def p99(samples: Sequence[float]) -> float:
    return quantile(samples, 0.99)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.rjust(width) if index in _RIGHT else cell.ljust(width)
        for index, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:,.2f}"
