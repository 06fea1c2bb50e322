"""Check that URLs that moved to a new source deliver at least as well as before the move.

Each URL's share of failing callbacks is compared with its share before the move. A callback counts
after its first attempt. It fails if it is undelivered or still being retried.

A URL got worse if its failing share rose, and either no callback is delivered any more, or the rise
is probably no coincidence (a probability of at most 1 %). So a receiver that was already down
doesn't count as worse. A URL without callbacks since the move is not judged: the canary asks for a
least number of callbacks, and probes the receivers that had none if too few come.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from fractions import Fraction
from math import exp, lgamma, log
from typing import Final, NamedTuple

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.migration.url_source import UrlEdit, UrlLocation
from ringback.ports import UrlDeliveryTotals

DeliveryTarget = tuple[str | None, str]
"""The key by which deliveries are counted: an account (None for any account), and a URL.

The URL has no fragment and no credentials. So URLs that differ only in their fragment are counted
together.
"""


class DeliveryCounts(NamedTuple):
    """The number of delivered, undelivered and retried callbacks."""

    delivered: int = 0
    undelivered: int = 0
    retried: int = 0

    @property
    def failing(self) -> int:
        """The number of callbacks that are undelivered or being retried."""
        return self.undelivered + self.retried

    @property
    def tried(self) -> int:
        """The number of callbacks with at least one attempt that has ended."""
        return self.delivered + self.failing

    @property
    def share(self) -> Fraction:
        """The failing share of the tried callbacks, from 0 to 1; 0 if none was tried.

        >>> DeliveryCounts(delivered=3, retried=1).share
        Fraction(1, 4)
        """
        return Fraction(self.failing, self.tried) if self.tried else Fraction(0)

    def __str__(self) -> str:
        """Return a sentence with the number and the share of failing callbacks.

        >>> str(DeliveryCounts(3, 1)), str(DeliveryCounts())
        ('1 of 4 fail (25.0 %)', 'no attempts')
        """
        if not self.tried:
            return "no attempts"
        return f"{self.failing} of {self.tried} fail ({float(self.share):.1%})".replace("%", " %")


_UNLIKELY: Final = 0.01
_ROUNDING: Final = 1e-9
"""More than the error of the sums that are compared with `_UNLIKELY`."""
_SINGLE: Final = 10
"""A step of a canary is rolled back if more than 1 in `_SINGLE` of its URLs got worse.

These URLs then probably have a common cause.
"""


class DeliveriesBeforeAndAfter(NamedTuple):
    """The counts of the callbacks to one URL, before and after it moved."""

    before: DeliveryCounts
    after: DeliveryCounts

    def __str__(self) -> str:
        """Return a sentence with the failing callbacks after and before the move."""
        return f"{self.after}; before: {self.before}"

    @property
    def is_worse(self) -> bool:
        """True if the failing share rose, and this is probably not a coincidence."""
        if self.after.share <= self.before.share:
            return False
        return not self.after.delivered or _by_chance(self.before, self.after) <= _UNLIKELY


@dataclass(frozen=True, slots=True)
class CanaryResult:
    """The URLs of one canary step that deliver worse than before they moved."""

    worse: Mapping[UrlLocation, str] = field(default_factory=dict[UrlLocation, str])
    """The places of the URLs that got worse, each with a sentence that gives the numbers."""
    called: frozenset[UrlLocation] = frozenset()
    """The URLs with callbacks since the move."""
    callbacks: int = 0
    """The number of callbacks to them since the move."""

    @property
    def is_general(self) -> bool:
        """True if too many URLs got worse for the cause to be in single receivers."""
        return len(self.worse) > 1 and len(self.worse) * _SINGLE > len(self.called)

    @property
    def is_surely_general(self) -> bool:
        """True if too many URLs got worse, and probably not because just these had callbacks.

        While only a few URLs had callbacks, two bad receivers among them can be more than a tenth.
        """
        return self.is_general and _tail(len(self.called), len(self.worse)) <= _UNLIKELY + _ROUNDING


def _by_chance(before: DeliveryCounts, after: DeliveryCounts) -> float:
    """Return the probability of at least this many failures after the move by mere chance.

    It is computed by Fisher's exact test.

    >>> round(_by_chance(DeliveryCounts(100), DeliveryCounts(0, 1)), 4)
    0.0099
    """
    tried, failing = before.tried + after.tried, before.failing + after.failing
    most = min(failing, after.tried)
    logs = [
        _log_choose(after.tried, count)
        + _log_choose(before.tried, failing - count)
        - _log_choose(tried, failing)
        for count in range(max(after.failing, failing - before.tried), most + 1)
    ]
    return sum(map(exp, logs))


def _tail(called: int, worse: int) -> float:
    """Return the probability that at least `worse` of the called URLs are worse, if a tenth is.

    >>> round(_tail(2, 2), 6)
    0.01
    """
    share = 1 / _SINGLE
    logs = [
        _log_choose(called, count) + count * log(share) + (called - count) * log(1 - share)
        for count in range(worse, called + 1)
    ]
    return sum(map(exp, logs))


def _log_choose(of: int, count: int) -> float:
    return lgamma(of + 1) - lgamma(count + 1) - lgamma(of - count + 1)


def deliveries_of(
    edits: Sequence[UrlEdit],
    before: Sequence[UrlDeliveryTotals],
    after: Sequence[UrlDeliveryTotals],
) -> dict[UrlLocation, DeliveriesBeforeAndAfter]:
    """Return the deliveries to the URL of each edit before and after the edit was made.

    In `after`, only callbacks to the new URLs count. In `before`, callbacks to the new URLs don't
    count, since they are from an earlier move that was rolled back.
    """
    forms = _forms(edits)
    new = set(forms.values())
    earlier = _by_target(each for each in before if not _is_of(each, new))
    later = _by_target(each for each in after if _is_of(each, new))
    return {
        place: DeliveriesBeforeAndAfter(earlier[_target(*form)], later[_target(*form)])
        for place, form in forms.items()
    }


def compare_deliveries(
    edits: Sequence[UrlEdit],
    before: Sequence[UrlDeliveryTotals],
    after: Sequence[UrlDeliveryTotals],
) -> CanaryResult:
    """Compare the deliveries to the URLs of these edits before and after the edits were made.

    They are counted as in `deliveries_of`.
    """
    watched = deliveries_of(edits, before, after)
    # URLs that differ only in their fragment are counted together.
    by_target = {_target(*form): watched[place] for place, form in _forms(edits).items()}
    return CanaryResult(
        {place: str(each) for place, each in watched.items() if each.is_worse},
        called=frozenset(place for place, each in watched.items() if each.after.tried),
        callbacks=sum(each.after.tried for each in by_target.values()),
    )


def _forms(edits: Sequence[UrlEdit]) -> dict[UrlLocation, DeliveryTarget]:
    """Return the new URL of each edit, with its account."""
    return {
        edit.place: (edit.place.account_sid, CallbackUrl.parse(edit.new, sources=None).shown)
        for edit in edits
    }


def _is_of(totals: UrlDeliveryTotals, forms: Set[DeliveryTarget]) -> bool:
    return (totals.account_sid, totals.url) in forms or (None, totals.url) in forms


def _target(account_sid: str | None, shown: str) -> DeliveryTarget:
    return account_sid, shown.partition("#")[0]


def _by_target(many: Iterable[UrlDeliveryTotals]) -> defaultdict[DeliveryTarget, DeliveryCounts]:
    found = defaultdict[DeliveryTarget, DeliveryCounts](DeliveryCounts)
    for each in many:
        counts = DeliveryCounts(each.delivered, each.undelivered, each.retried)
        # A place in a file says nothing of the account.
        for owner in (each.account_sid, None):
            target = _target(owner, each.url)
            found[target] = DeliveryCounts(*map(sum, zip(found[target], counts, strict=True)))
    return found
