"""Draws pictures as SVG: no script, no inline style; colours come from the style sheet's classes.

Each picture has a text that says the same.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from markupsafe import Markup

from ringback.console import formats

_HALF: Final = 34.0
"""The height of the histogram above and below its line."""


def svg(inner: Sequence[Markup], *, label: str, height: int, width: int | None = None) -> Markup:
    """Return a picture with a text for those who don't see it.

    Without `width`, it is as wide as its place.
    """
    if width is None:
        head = Markup('<svg class="wide" height="{}" role="img" aria-label="{}">').format(
            height, label
        )
    else:
        head = Markup(
            '<svg width="{0}" height="{1}" viewBox="0 0 {0} {1}" role="img" aria-label="{2}">'
        ).format(width, height, label)
    return head + Markup("").join(inner) + Markup("</svg>")


def box(look: str, x: float, y: float, width: float, height: float, *, wide: bool = True) -> Markup:
    """Return a rectangle; with `wide`, `x` and `width` are in percent of the picture."""
    unit = "%" if wide else ""
    return Markup(
        '<rect class="{}" x="{:.2f}{}" y="{:.1f}" width="{:.2f}{}" height="{:.1f}"/>'
    ).format(look, x, unit, y, max(width, 0), unit, max(height, 0))


def words(
    text: str, x: float, y: float, *, look: str = "", anchor: str = "start", shift: int = 0
) -> Markup:
    """Return a text at `x` percent of the width."""
    return Markup(
        '<text class="{}" x="{:.2f}%" y="{:.0f}" dx="{}" text-anchor="{}">{}</text>'
    ).format(look, x, y, shift, anchor, text)


class SourceCounts(NamedTuple):
    """What one source sent in a span of time."""

    delivered: int = 0
    other: int = 0
    """Those that were not delivered, or not yet."""

    @property
    def all(self) -> int:
        """All of them."""
        return self.delivered + self.other


class HistogramBar(NamedTuple):
    """A span of time, and what was created in it."""

    began: datetime
    first: SourceCounts
    second: SourceCounts


def histogram(bars: Sequence[HistogramBar], *, names: tuple[str, str], span: str) -> Markup:
    """Return callbacks by time: the first source above the line, the second one below it.

    Filled is delivered, outlined is not. `span` is the length of a bar in words.
    """
    most = max((max(one.first.all, one.second.all) for one in bars), default=0)
    inner = [box("f-edge", 0, _HALF, 100, 1)]
    width = 100 / max(len(bars), 1)
    for place, bar in enumerate(bars):
        x, wide = place * width, width * 0.88
        for counts, look, up in ((bar.first, "f-twilio", True), (bar.second, "f-kore", False)):
            if not counts.all:
                continue
            full = counts.delivered / most * _HALF
            rest = counts.other / most * _HALF
            if counts.delivered:
                inner.append(box(look, x, _HALF - full if up else _HALF + 2, wide, full))
            if counts.other:
                y = _HALF - full - rest if up else _HALF + 2 + full
                inner.append(box("o-bad", x, y + 0.75, wide, max(rest - 1.5, 0.5)))
    if bars:
        edges = ((0, 0, "start"), (len(bars) // 2, 50, "middle"), (len(bars) - 1, 100, "end"))
        inner += [
            words(formats.clock_time(bars[at].began)[:5], x, 86, look="t-muted", anchor=anchor)
            for at, x, anchor in edges
        ]
    first = SourceCounts(sum(b.first.delivered for b in bars), sum(b.first.other for b in bars))
    second = SourceCounts(sum(b.second.delivered for b in bars), sum(b.second.other for b in bars))
    label = (
        f"Callbacks created in each {span}: {first.all} from {names[0]} above the line,"
        f" {first.other} of them not delivered; {second.all} from {names[1]} below it,"
        f" {second.other} of them not delivered."
    )
    return svg(inner, label=label, height=88)


def swatch(look: str, *, size: int = 10) -> Markup:
    """Return a small square for a legend."""
    return Markup(
        '<svg width="{0}" height="{0}" aria-hidden="true"><rect class="{1}" width="{0}"'
        ' height="{0}"/></svg>'
    ).format(size, look)


def stacked(parts: Sequence[tuple[str, int]], *, label: str, height: int = 20) -> Markup:
    """Return one bar of several parts, each with its look and its number."""
    total, x = sum(number for _, number in parts) or 1, 0.0
    inner = list[Markup]()
    for look, number in parts:
        wide = number / total * 100
        if number:
            inner.append(box(look, x, 1, max(wide - 0.4, 0.2), height - 2))
        x += wide
    return svg(inner, label=label, height=height)


class TimedStep(NamedTuple):
    """A step of an attempt, and how long it took."""

    name: str
    look: str
    milliseconds: float


def timing_bar(steps: Sequence[TimedStep], *, scale: float, label: str) -> Markup:
    """Return the steps of an attempt, one after the other; the whole width is `scale` ms."""
    x, inner = 0.0, [box("f-track", 0, 0, 100, 10)]
    for step in steps:
        wide = step.milliseconds / scale * 100
        inner.append(box(step.look, x, 1, max(wide, 0.4), 8))
        x += wide
    return svg(inner, label=label, height=10)


def sparkline(bars: Sequence[tuple[int, int]], *, label: str) -> Markup:
    """Return deliveries above a line and failures below it, for each part of the last hour."""
    most = max((max(pair) for pair in bars), default=0) or 1
    step = 112 / max(len(bars), 1)
    inner = [box("f-line", 0, 13.6, 112, 1, wide=False)]
    for place, (delivered, failed) in enumerate(bars):
        x = place * step
        if delivered:
            high = max(delivered / most * 12.5, 1)
            inner.append(box("f-muted", x, 13.6 - high, step - 1, high, wide=False))
        if failed:
            inner.append(box("f-bad", x, 14.6, step - 1, max(failed / most * 7.4, 1), wide=False))
    return svg(inner, label=label, height=22, width=112)
