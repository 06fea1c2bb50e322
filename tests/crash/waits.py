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
_SOON: Final = 10.0
"""For how long most faults may delay what comes after them, in seconds."""
_LEASE: Final = 15.0
"""Seconds. A process that is frozen for a time that is much shorter loses nothing."""
_AFTER_LEASE: Final = 16 + 3 + 2
"""Seconds until the longest request, a look at the leases, and the new owner's work have ended."""
_CALM: Final = "none lately"


class Fault(NamedTuple):
    """A fault of some kind, and when it began."""

    kind: str
    at: float
    of: str = ""
    """The process that it happened to."""
    seconds: float = 0
    """For how long it went on."""

    @property
    def lasts_until(self) -> float:
        """Until when it may delay what comes after it."""
        if self.kind == "freezes" and self.seconds > _LEASE - 4:
            return self.at + max(self.seconds, _LEASE) + _AFTER_LEASE
        return self.at + self.seconds + _SOON


class Span(NamedTuple):
    """From one moment to another."""

    began: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    def cause(self, faults: Sequence[Fault]) -> str:
        """Return the gravest kind of fault within the span, or shortly before it.

        What happens to an API process delays no callback that it has accepted.
        """
        near = {
            fault.kind
            for fault in faults
            if self.began <= fault.lasts_until and fault.at <= self.ended
            if not fault.of.startswith("api")
        }
        return min(near, key=GRAVEST_FIRST.index, default=_CALM)

    def seconds_outside(self, others: Sequence["Span"]) -> float:
        """Return how much of it is in none of these others, of which no two overlap."""
        shared = (min(self.ended, one.ended) - max(self.began, one.began) for one in others)
        return self.seconds - sum(max(seconds, 0) for seconds in shared)


def to_first_requests(evidence: Evidence) -> list[Span]:
    """Return how long the callbacks waited that were due at once and had no order key.

    The wait begins when the client has the answer. Before that nothing is promised, and an API
    process may have been frozen between two steps.
    """
    spans = list[Span]()
    for record, arrivals in evidence.with_arrivals():
        if arrivals and evidence.asked[record.key].is_due_at_once:
            first = min(arrival.at for arrival in arrivals)
            began = evidence.answered_at.get(record.key, record.created_us / 1e6)
            spans.append(Span(min(began, first), first))
    return spans


def end_to_end(evidence: Evidence) -> list[float]:
    """Return the seconds from a client's first try to the first request, for the same callbacks."""
    return [
        min(arrival.at for arrival in arrivals) - evidence.asked[record.key].at
        for record, arrivals in evidence.with_arrivals()
        if arrivals and evidence.asked[record.key].is_due_at_once
    ]


def silences(evidence: Evidence, until: float = inf) -> list[Span]:
    """Return the times between requests, of which the first came before `until`."""
    times = sorted(arrival.at for arrival in evidence.arrivals)
    return [Span(*pair) for pair in pairwise(times) if pair[0] < until]


def longest(
    spans: Sequence[Span], faults: Sequence[Fault], outside: Sequence[Span] = ()
) -> dict[str, float]:
    """Return the longest of the spans that each kind of fault caused, as far as it is outside."""
    found = dict[str, float]()
    for span in spans:
        # Short ones are many, and say nothing.
        if span.seconds > 0.01:
            kind = span.cause(faults)
            found[kind] = max(found.get(kind, 0), span.seconds_outside(outside))
    return found


def table(
    evidence: Evidence,
    faults: Sequence[Fault],
    until: float = inf,
    without_workers: Sequence[Span] = (),
) -> str:
    """Return the figures as lines of text.

    `until` is when the clients stopped. The times without any worker are shown apart, because
    nothing can be sent then, however soon the next one finds its work.
    """
    spans, counts = to_first_requests(evidence), Counter(fault.kind for fault in faults)
    columns = {
        "longest wait": longest(spans, faults),
        "with a worker": longest(spans, faults, without_workers),
        "nothing arrived": longest(silences(evidence, until), faults),
    }
    lines = [f"{'after':<26}{'number':>8}" + "".join(f"{name:>18}" for name in columns)]
    for kind in sorted({*counts, *columns["longest wait"], *columns["nothing arrived"]}):
        # Without a figure, each wait near it is charged to a graver fault.
        some = (
            f"{f'{each[kind]:.2f} s' if kind in each else '-':>18}" for each in columns.values()
        )
        lines.append(f"{kind:<26}{counts[kind]:>8}" + "".join(some))
    lines.append(_quantiles("accepted to first request", [span.seconds for span in spans]))
    lines.append(_quantiles("first try of the client to first request", end_to_end(evidence)))
    return "\n".join(lines)


def _quantiles(what: str, seconds: Sequence[float]) -> str:
    p50, p95, most = (quantile(seconds, share) for share in (0.5, 0.95, 1))
    figures = f"p50 {p50:.3f} s, p95 {p95:.3f} s, longest {most:.2f} s"
    return f"{what}, {len(seconds):,} callbacks: {figures}"
