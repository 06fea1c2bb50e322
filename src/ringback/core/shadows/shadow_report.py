"""Compares the answers to the first attempt of a callback and to its copy.

Two answers are the same if their results, statuses and bodies are; a body is compared as far as it
was read.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from typing import Final, NamedTuple

from ringback.core.policy.source_policy import SourceName

EXCERPT: Final = 300
"""How many bytes of a body an excerpt has."""

_SIGNATURE: Final = (401, 403)
_TIMEOUTS: Final = ("connect_timeout", "read_timeout", "total_timeout")


class ComparableResult(NamedTuple):
    """The part of a request's result that is compared."""

    result: str
    """As in its row: `delivered`, `refused`, `unreachable`, `unknown` or `open`."""
    status_code: int | None = None
    failure: str | None = None
    """Why no answer came."""
    milliseconds: float | None = None

    def __str__(self) -> str:
        """The status, or what happened instead of an answer."""
        return str(self.status_code or self.failure or self.result)

    @property
    def is_good(self) -> bool:
        """Whether the receiver took it."""
        return self.result == "delivered"

    @property
    def is_known(self) -> bool:
        """Whether it has ended, and how."""
        return self.result not in ("open", "unknown")


class AnswerComparison(NamedTuple):
    """A callback's first attempt beside its copy."""

    shadow_sid: str
    callback_sid: str
    url: str
    """Of the callback, as records show it."""
    date_started: datetime
    """When the copy was sent."""
    sources: tuple[SourceName, SourceName]
    """Of the callback, and of the copy."""
    first: ComparableResult
    copy: ComparableResult
    is_same_body: bool | None = None
    """None if one of them was not answered."""
    excerpts: tuple[bytes | None, bytes | None] = (None, None)
    """The beginnings of both bodies."""

    @property
    def is_known(self) -> bool:
        """Whether both have ended, and how."""
        return self.first.is_known and self.copy.is_known

    @property
    def is_same(self) -> bool:
        """Whether both were answered alike; meaningful only if `is_known`."""
        return str(self.first) == str(self.copy) and self.is_same_body is not False

    @property
    def kind(self) -> "AnswerDifferenceGroup":
        """What kind of pair it is."""
        alike = str(self.first) == str(self.copy)
        return AnswerDifferenceGroup(
            str(self.first), str(self.copy), self.sources, alike and not self.is_same
        )


class AnswerDifferenceGroup(NamedTuple):
    """A kind of pair: both answers, and the sources of both requests."""

    first: str
    copy: str
    sources: tuple[SourceName, SourceName]
    has_other_body: bool = False
    """Whether the answers differ only in their bodies."""


def meaning_of(pair: AnswerComparison) -> str:
    """Return what a pair tells about the receiver.

    >>> first, copy = ComparableResult("delivered", 200), ComparableResult("refused", 401)
    >>> sources = ("twilio", "kore")
    >>> meaning_of(AnswerComparison("CC1", "CB1", "http://a", datetime.max, sources, first, copy))
    "the receiver refuses kore's signature"
    """
    callback, copy = pair.sources
    if not pair.is_known:
        return "how one of them ended is not known"
    if pair.is_same:
        return "both were answered alike"
    if pair.kind.has_other_body:
        return "both were answered alike, but for the body"
    if pair.first.is_good:
        return _meaning_for(pair.copy, copy)
    if not pair.copy.is_good:
        return "both failed, each in its own way"
    if pair.first.status_code in _SIGNATURE:
        return f"the receiver refuses {callback}'s signature, and accepts {copy}'s"
    return f"the receiver took the copy from {copy}, which came later"


def _meaning_for(copy: ComparableResult, source: SourceName) -> str:
    """Return what the result of a copy means if the callback itself was accepted."""
    if copy.failure is not None:
        return _meaning_of_failure(copy.failure, source)
    status = copy.status_code or 0
    if copy.is_good:
        return "the receiver takes both, and says so by another status"
    if status in _SIGNATURE:
        return f"the receiver refuses {source}'s signature"
    if status in (404, 405, 410):
        return "the receiver has nothing where the copy goes"
    if status == 429:
        return "the receiver takes no more requests just now"
    if status >= 500:
        return f"the receiver fails at a request from {source}"
    if status >= 400:
        return f"the receiver can't use a request from {source}, or its mark"
    return "the receiver points elsewhere; redirects are not followed"


def _meaning_of_failure(failure: str, source: SourceName) -> str:
    if failure == "guard":
        return "the settings let no callback go where the copy goes"
    if failure == "secret":
        return f"what signs for {source} is gone; nothing was sent"
    if failure == "source":
        return f"there is no source {source} in the settings any more; nothing was sent"
    if failure in _TIMEOUTS:
        return f"the receiver doesn't answer a request from {source} in time"
    return f"no answer came to a request from {source}; does a firewall know its addresses?"


class LatencyPercentiles(NamedTuple):
    """The median and the 95th percentile of the times of requests, in milliseconds."""

    p50: float
    p95: float


def percentiles(times: Sequence[float]) -> LatencyPercentiles | None:
    """Return the percentiles of these times by nearest rank; None without any.

    >>> percentiles([4.0, 1.0, 2.0, 3.0])
    LatencyPercentiles(p50=2.0, p95=4.0)
    """
    if not times:
        return None
    in_order = sorted(times)
    p50, p95 = (in_order[ceil(share * len(in_order)) - 1] for share in (0.5, 0.95))
    return LatencyPercentiles(p50, p95)


@dataclass(slots=True)
class UrlShadowSummary:
    """How the callbacks to one URL and their copies compare."""

    url: str
    same: int = 0
    unknown: int = 0
    """Pairs in which one request has not ended, or nobody knows how."""
    differing: Counter[AnswerDifferenceGroup] = field(
        default_factory=Counter[AnswerDifferenceGroup]
    )
    examples: dict[AnswerDifferenceGroup, AnswerComparison] = field(
        default_factory=dict[AnswerDifferenceGroup, AnswerComparison]
    )
    """The pair of each kind that was added first."""
    times_of_first: list[float] = field(default_factory=list[float])
    times_of_copy: list[float] = field(default_factory=list[float])

    @property
    def pairs(self) -> int:
        """How many there are."""
        return self.same + self.unknown + self.differing.total()

    def add(self, pair: AnswerComparison) -> None:
        """Count one more."""
        if not pair.is_known:
            self.unknown += 1
            return
        if pair.is_same:
            self.same += 1
        else:
            self.differing[pair.kind] += 1
            self.examples.setdefault(pair.kind, pair)
        for times, answer in ((self.times_of_first, pair.first), (self.times_of_copy, pair.copy)):
            if answer.milliseconds is not None:
                times.append(answer.milliseconds)


@dataclass(slots=True)
class ShadowReport:
    """How callbacks and their copies compare, URL by URL."""

    of_url: dict[str, UrlShadowSummary] = field(default_factory=dict[str, UrlShadowSummary])

    def add(self, pair: AnswerComparison) -> None:
        """Count one more."""
        known = self.of_url.get(pair.url)
        if known is None:
            self.of_url[pair.url] = known = UrlShadowSummary(pair.url)
        known.add(pair)

    @property
    def urls(self) -> list[UrlShadowSummary]:
        """The URLs, those with most differences first."""
        return sorted(self.of_url.values(), key=lambda one: (-one.differing.total(), one.url))
