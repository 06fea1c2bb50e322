"""Compares the receiver's answers to a callback's first attempt and to its shadow copy.

Two answers are the same if their results, statuses and bodies are the same; only the part of a body
that was read is compared.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from typing import Final, NamedTuple

from ringback.core.policy.source_policy import SourceName

EXCERPT: Final = 300
"""The maximum number of bytes of an answer's body in an excerpt."""

_SIGNATURE: Final = (401, 403)
_TIMEOUTS: Final = ("connect_timeout", "read_timeout", "total_timeout", "no_time")


class ComparableResult(NamedTuple):
    """The part of an attempt's result that is compared between a callback and its copy."""

    result: str
    """The attempt's result: `delivered`, `refused`, `unreachable`, `unknown` or `open`."""
    status_code: int | None = None
    failure: str | None = None
    """The name of the failure that prevented an answer; None if an answer came."""
    milliseconds: float | None = None

    def __str__(self) -> str:
        """Return the answer's HTTP status; without an answer, the failure or the result."""
        return str(self.status_code or self.failure or self.result)

    @property
    def is_good(self) -> bool:
        """True if the receiver accepted the request."""
        return self.result == "delivered"

    @property
    def is_known(self) -> bool:
        """True if the attempt has ended, and its result is known."""
        return self.result not in ("open", "unknown")


class AnswerComparison(NamedTuple):
    """The results of a callback's first attempt and of its copy, for comparison."""

    shadow_sid: str
    callback_sid: str
    account_sid: str
    url: str
    """The callback's URL, as records show it."""
    date_started: datetime
    """When the copy was sent."""
    sources: tuple[SourceName, SourceName]
    """The source of the callback and the source of the copy."""
    first: ComparableResult
    copy: ComparableResult
    is_same_body: bool | None = None
    """True if both answers have the same body; None if one request was not answered."""
    excerpts: tuple[bytes | None, bytes | None] = (None, None)
    """The first bytes of both answers' bodies."""

    @property
    def is_known(self) -> bool:
        """True if both requests have ended with known results."""
        return self.first.is_known and self.copy.is_known

    @property
    def is_same(self) -> bool:
        """True if both requests got the same answer; meaningful only if `is_known` is true."""
        return str(self.first) == str(self.copy) and self.is_same_body is not False

    @property
    def kind(self) -> "AnswerDifferenceGroup":
        """The group of pairs with the same two answers and sources as this pair."""
        alike = str(self.first) == str(self.copy)
        return AnswerDifferenceGroup(
            str(self.first), str(self.copy), self.sources, alike and not self.is_same
        )


class AnswerDifferenceGroup(NamedTuple):
    """The two answers and the two sources by which pairs of callback and copy are grouped."""

    first: str
    copy: str
    sources: tuple[SourceName, SourceName]
    has_other_body: bool = False
    """True if the answers differ only in their bodies."""


def meaning_of(pair: AnswerComparison) -> str:
    """Return a sentence that explains how a callback's answer and its copy's answer compare.

    >>> first, copy = ComparableResult("delivered", 200), ComparableResult("refused", 401)
    >>> sids, sources = ("CC1", "CB1", "AC1"), ("twilio", "kore")
    >>> meaning_of(AnswerComparison(*sids, "http://a", datetime.max, sources, first, copy))
    "the receiver refuses kore's signature"
    """
    callback, copy = pair.sources
    if not pair.is_known:
        return "the result of the callback or of its copy is not known"
    if pair.is_same:
        return "both got the same answer"
    if pair.kind.has_other_body:
        return "both got the same answer, except for the body"
    if pair.first.is_good:
        return _meaning_for(pair.copy, copy)
    if not pair.copy.is_good:
        return "both failed, in different ways"
    if pair.first.status_code in _SIGNATURE:
        return f"the receiver refuses {callback}'s signature, and accepts {copy}'s"
    return f"the receiver accepted the copy from {copy}, which came later"


def _meaning_for(copy: ComparableResult, source: SourceName) -> str:
    """Return a phrase that explains a copy's result, if the receiver accepted the callback."""
    if copy.failure is not None:
        return _meaning_of_failure(copy.failure, source)
    status = copy.status_code or 0
    if copy.is_good:
        return "the receiver accepts both, with different statuses"
    if status in _SIGNATURE:
        return f"the receiver refuses {source}'s signature"
    if status in (404, 405, 410):
        return "the receiver has nothing at the copy's URL"
    if status == 429:
        return "the receiver limits the rate of requests (429)"
    if status >= 500:
        return f"the receiver fails (5xx) on a request from {source}"
    if status >= 400:
        return f"the receiver rejects a request from {source}, or the mark of the copy (4xx)"
    return "the receiver answers with a redirect; redirects are not followed"


def _meaning_of_failure(failure: str, source: SourceName) -> str:
    if failure == "guard":
        return "the settings do not allow callbacks to the copy's URL"
    if failure == "secret":
        return f"the secret that signs for {source} no longer exists; nothing was sent"
    if failure == "source":
        return f"the settings no longer define the source {source}; nothing was sent"
    if failure in _TIMEOUTS:
        return f"the receiver doesn't answer a request from {source} in time"
    return f"no answer came to a request from {source}; does a firewall block its addresses?"


class LatencyPercentiles(NamedTuple):
    """The median and the 95th percentile of request times, in milliseconds."""

    p50: float
    p95: float


def percentiles(times: Sequence[float]) -> LatencyPercentiles | None:
    """Return the percentiles of these times by the nearest-rank method; None if there are none.

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
    """Counts, for one URL, how often a callback and its copy got the same or different answers."""

    account_sid: str
    url: str
    same: int = 0
    unknown: int = 0
    """The number of pairs in which a request has not ended, or its result is not known."""
    differing: Counter[AnswerDifferenceGroup] = field(
        default_factory=Counter[AnswerDifferenceGroup]
    )
    examples: dict[AnswerDifferenceGroup, AnswerComparison] = field(
        default_factory=dict[AnswerDifferenceGroup, AnswerComparison]
    )
    """For each group of different answers, the first pair that was added to the group."""
    copied_from: set[SourceName] = field(default_factory=set[SourceName])
    """The sources that sent the copies."""
    times_of_first: list[float] = field(default_factory=list[float])
    times_of_copy: list[float] = field(default_factory=list[float])

    @property
    def pairs(self) -> int:
        """The number of pairs of a callback and its copy."""
        return self.same + self.unknown + self.differing.total()

    def add(self, pair: AnswerComparison) -> None:
        """Count one more pair of a callback and its copy."""
        self.copied_from.add(pair.sources[1])
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
    """A comparison of the answers to callbacks and to their copies, by URL."""

    of_url: dict[tuple[str, str], UrlShadowSummary] = field(
        default_factory=dict[tuple[str, str], UrlShadowSummary]
    )
    """The summary of each URL, by its account and its text."""

    def add(self, pair: AnswerComparison) -> None:
        """Count one more pair of a callback and its copy, in the summary of the callback's URL."""
        url = pair.account_sid, pair.url
        known = self.of_url.get(url)
        if known is None:
            self.of_url[url] = known = UrlShadowSummary(*url)
        known.add(pair)

    @property
    def urls(self) -> list[UrlShadowSummary]:
        """The summaries of all URLs, those with the most differences first."""
        return sorted(
            self.of_url.values(), key=lambda one: (-one.differing.total(), one.url, one.account_sid)
        )
