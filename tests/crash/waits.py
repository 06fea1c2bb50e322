"""How long callbacks waited, and how long nothing was delivered, after each kind of fault.

All times are those of this machine's clock, in seconds since 1970.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from math import inf
from typing import Final, NamedTuple

from benchmarks.figures import quantile
from tests.crash.evidence import Evidence

GRAVEST_FIRST: Final = (
    "freezes",
    "kills",
    "immediate restarts",
    "standbys promoted",
    "database crashes",
    "database stops",
    "stops",
    "poolers killed",
    "times without connections",
    "connections cut",
)
"""The kinds of faults. The graver one is held to be the cause if two come together."""
_LASTS: Final = 16.0
"""For how long a fault may delay what comes after it, in seconds: a lease lasts for 15."""
_CALM: Final = "none lately"


class Fault(NamedTuple):
    """A fault of some kind, and when it began."""

    kind: str
    at: float


class Span(NamedTuple):
    """From the acceptance of a callback to its first request, or from one request to the next."""

    began: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    def cause(self, faults: Sequence[Fault]) -> str:
        """Return the gravest kind of fault within the span, or shortly before it."""
        near = {fault.kind for fault in faults if self.began - _LASTS <= fault.at <= self.ended}
        return min(near, key=GRAVEST_FIRST.index, default=_CALM)


def to_first_requests(evidence: Evidence) -> list[Span]:
    """Return how long the callbacks waited that were due at once and had no order key."""
    return [
        Span(record.created_us / 1e6, min(arrival.at for arrival in arrivals))
        for record, arrivals in evidence.with_arrivals()
        if arrivals and evidence.asked[record.key].is_due_at_once
    ]


def silences(evidence: Evidence, until: float = inf) -> list[Span]:
    """Return the times between requests, of which the first came before `until`."""
    times = sorted(arrival.at for arrival in evidence.arrivals)
    return [Span(*pair) for pair in pairwise(times) if pair[0] < until]


def longest(spans: Sequence[Span], faults: Sequence[Fault]) -> dict[str, float]:
    """Return the longest of the spans that each kind of fault caused."""
    found = dict[str, float]()
    for span in spans:
        # Short ones are many, and say nothing.
        if span.seconds > 0.01:
            kind = span.cause(faults)
            found[kind] = max(found.get(kind, 0), span.seconds)
    return found


def table(evidence: Evidence, faults: Sequence[Fault], until: float = inf) -> str:
    """Return the figures as lines of text; `until` is when the clients stopped."""
    spans, counts = to_first_requests(evidence), Counter(fault.kind for fault in faults)
    waits, gaps = longest(spans, faults), longest(silences(evidence, until), faults)
    lines = [f"{'after':<26}{'number':>8}{'longest wait':>16}{'nothing arrived':>18}"]
    for kind in sorted({*counts, *waits, *gaps}):
        # Without a figure, each wait near it is charged to a graver fault.
        wait, gap = (f"{some[kind]:.2f} s" if kind in some else "-" for some in (waits, gaps))
        lines.append(f"{kind:<26}{counts[kind]:>8}{wait:>16}{gap:>18}")
    seconds = [span.seconds for span in spans]
    p50, p95, most = (quantile(seconds, share) for share in (0.5, 0.95, 1))
    lines.append(
        f"accepted to first request, {len(spans):,} callbacks: p50 {p50:.3f} s, p95 {p95:.3f} s,"
        f" longest {most:.2f} s"
    )
    return "\n".join(lines)
