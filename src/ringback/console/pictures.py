"""Draws pictures as SVG: no script, no inline style; colours come from the style sheet's classes.

Each picture has a text that says the same.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from markupsafe import Markup, escape

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
    # Not by Markup.format, which takes ten times as long: a page can have a thousand of them.
    return Markup(  # noqa: S704 (numbers, and a name that is escaped)
        f'<rect class="{escape(look)}" x="{x:.2f}{unit}" y="{y:.1f}"'
        f' width="{max(width, 0):.2f}{unit}" height="{max(height, 0):.1f}"/>'
    )


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


class SourceSpan(NamedTuple):
    """A time in which one source may do the same: how, and from when to when."""

    look: str
    """`default`, `asked` (only if a URL asks for it), or `gone`."""
    began: datetime
    ended: datetime


class HeldSpan(NamedTuple):
    """A hold on the timeline: what it keeps, and until when; None if it has no end."""

    name: str
    until: datetime | None


_ROW: Final = 30
_TOP: Final = 20
_WORDS: Final = {"default": "default", "asked": "if asked", "gone": "ended"}
_LOOKS: Final = {
    ("twilio", "default"): "f-twilio",
    ("twilio", "asked"): "f-soft-twilio",
    ("kore", "default"): "f-kore",
    ("kore", "asked"): "f-soft-kore",
}
_NARROWEST_WORDS: Final = 9
"""The width in percent below which a part of the timeline has no words in it."""


def timeline(
    rows: Sequence[tuple[str, Sequence[SourceSpan]]],
    holds: Sequence[HeldSpan],
    *,
    borders: Sequence[datetime],
    today: datetime,
    edges: tuple[datetime, datetime],
    label: str,
) -> Markup:
    """Return the phases as a picture: a row for each source, the borders, today, and the holds."""
    begin, end = edges
    whole = (end - begin).total_seconds()

    def place(at: datetime) -> float:
        return max(0.0, min(100.0, (at - begin).total_seconds() / whole * 100))

    inner = list[Markup]()
    for number, (source, spans) in enumerate(rows):
        y = _TOP + number * _ROW
        for span in spans:
            x, width = place(span.began), place(span.ended) - place(span.began)
            if width <= 0:
                continue
            look = _LOOKS.get((source, span.look), "f-line" if span.look != "gone" else "")
            if look:
                inner.append(box(look, x, y, width, 26))
            if width > _NARROWEST_WORDS:
                on = f"on-{source}" if (source, span.look) in _LOOKS else ""
                text_look = on if span.look == "default" else ("t-muted" if not look else "")
                inner.append(words(_WORDS[span.look], x, y + 17, look=text_look, shift=8))
    bottom = _TOP + len(rows) * _ROW
    for at in borders:
        x = place(at)
        inner += [
            _upright("o-edge", x, _TOP - 4, bottom),
            words(formats.short_day(at), x, bottom + 13, look="t-bold", anchor="middle"),
        ]
    x = place(today)
    anchor = "start" if x < 12 else "end" if x > 88 else "middle"
    inner += [
        _upright("o-accent", x, _TOP - 6, bottom),
        words(f"today, {formats.short_day(today)}", x, 9, look="t-accent", anchor=anchor),
    ]
    for number, hold in enumerate(holds):
        y = bottom + 28 + number * 28
        width = 100.0 if hold.until is None else place(hold.until)
        inner += [box("o-hold", 0, y, width, 22), words(hold.name, 0, y + 15, shift=8)]
        if hold.until is not None:
            said, is_far = f"until {formats.short_day(hold.until)}", width >= 80
            anchor, shift = ("end", -6) if is_far else ("start", 6)
            inner.append(words(said, width, y + 15, look="t-muted", anchor=anchor, shift=shift))
    return svg(inner, label=label, height=bottom + 20 + len(holds) * 28 + (8 if holds else 0))


def _upright(look: str, x: float, top: float, bottom: float) -> Markup:
    return Markup(
        '<line class="{0}" x1="{1:.2f}%" y1="{2:.0f}" x2="{1:.2f}%" y2="{3:.0f}"/>'
    ).format(look, x, top, bottom)


def shares(parts: Sequence[tuple[str, int]], *, label: str) -> Markup:
    """Return a bar of what each source sends, with its letter and number in it."""
    total, x = sum(number for _, number in parts) or 1, 0.0
    inner = list[Markup]()
    for source, number in parts:
        wide = number / total * 100
        if not number:
            continue
        look = _LOOKS.get((source, "default"), "f-line")
        inner.append(box(look, x, 0, wide, 22))
        if wide > 4:
            letter = formats.mark_of(source)[1]
            on = f"on-{source}" if (source, "default") in _LOOKS else ""
            inner.append(words(f"{letter} {number:,}", x, 15, look=on, shift=6))
        x += wide
    return svg(inner, label=label, height=22)


def before_and_since(before: float | None, since: float | None) -> Markup:
    """Return the share of delivered callbacks before a move (a circle) and since (a square)."""
    inner = [Markup('<line class="o-line" x1="0" x2="100%" y1="9" y2="9"/>')]
    if before is not None and since is not None:
        inner.append(
            Markup('<line class="o-edge" x1="{:.1f}%" x2="{:.1f}%" y1="9" y2="9"/>').format(
                before * 100, since * 100
            )
        )
    if before is not None:
        inner.append(
            Markup('<circle class="o-twilio" cx="{:.1f}%" cy="9" r="6.5"/>').format(before * 100)
        )
    if since is not None:
        inner.append(
            Markup(
                '<svg x="{:.1f}%" y="9" width="1" height="1"><rect class="f-kore" x="-3.5"'
                ' y="-3.5" width="7" height="7"/></svg>'
            ).format(since * 100)
        )
    said = [
        f"{part:.0%} {when}"
        for part, when in ((before, "before"), (since, "since"))
        if part is not None
    ]
    return svg(inner, label=f"Delivered: {', '.join(said) or 'nothing yet'}", height=18)
