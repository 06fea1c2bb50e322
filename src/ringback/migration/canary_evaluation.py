"""Judges whether the URLs that moved deliver at least as well as before.

Laws of this file. A callback counts once its first attempt has ended; it fails where it is
undelivered, or still being tried again. Each URL is held to its own share of failures before. It
got worse where a greater share fails, and either nothing gets through any more, or chance would
bring about as much in one of a hundred cases at the most. So a receiver that was down before the
move, too, says nothing against it, and one whose callbacks fail now and then isn't blamed for one
more. One without callbacks after the move says nothing either.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import exp, lgamma
from typing import Final, NamedTuple

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.migration.url_source import UrlEdit, UrlLocation
from ringback.ports import UrlDeliveryTotals

DeliveryTarget = tuple[str | None, str]
"""An account, None where it isn't known, and where its callbacks go.

Several places may have the same URL, in any fragment, so it is without that and credentials.
"""


class DeliveryCounts(NamedTuple):
    """How many callbacks went how."""

    delivered: int = 0
    undelivered: int = 0
    retried: int = 0

    @property
    def failing(self) -> int:
        """Those that are undelivered, or tried again."""
        return self.undelivered + self.retried

    @property
    def tried(self) -> int:
        """All that were tried."""
        return self.delivered + self.failing

    @property
    def share(self) -> Fraction:
        """The share that fails; none where nothing was tried.

        >>> DeliveryCounts(delivered=3, retried=1).share
        Fraction(1, 4)
        """
        return Fraction(self.failing, self.tried) if self.tried else Fraction(0)

    def __str__(self) -> str:
        """Say it in figures.

        >>> str(DeliveryCounts(3, 1)), str(DeliveryCounts())
        ('1 of 4 fail (25.0 %)', 'none was tried')
        """
        if not self.tried:
            return "none was tried"
        return f"{self.failing} of {self.tried} fail ({float(self.share):.1%})".replace("%", " %")


_UNLIKELY: Final = 0.01
_SINGLE: Final = 10
"""Up to one receiver in ten may get worse by itself; more point to a cause that all share."""


class DeliveriesBeforeAndAfter(NamedTuple):
    """How one target delivered before it moved, and after."""

    before: DeliveryCounts
    after: DeliveryCounts

    def __str__(self) -> str:
        """Say it in figures."""
        return f"{self.after}; before: {self.before}"

    @property
    def is_worse(self) -> bool:
        """Whether a greater share fails than before, and that is no coincidence."""
        if self.after.share <= self.before.share:
            return False
        return not self.after.delivered or _by_chance(self.before, self.after) <= _UNLIKELY


@dataclass(frozen=True, slots=True)
class CanaryResult:
    """How a step of a move delivers."""

    worse: Mapping[UrlLocation, str] = field(default_factory=dict[UrlLocation, str])
    """The places whose deliveries got worse, and the figures."""
    called: int = 0
    """How many of its places had callbacks since."""

    @property
    def is_general(self) -> bool:
        """Whether too many got worse for it to be the fault of single receivers."""
        return len(self.worse) > 1 and len(self.worse) * _SINGLE > self.called


def _by_chance(before: DeliveryCounts, after: DeliveryCounts) -> float:
    """Return how probable this many failures are if nothing has changed, by Fisher's exact test.

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


def _log_choose(of: int, count: int) -> float:
    return lgamma(of + 1) - lgamma(count + 1) - lgamma(of - count + 1)


def compare_deliveries(
    edits: Sequence[UrlEdit],
    before: Sequence[UrlDeliveryTotals],
    after: Sequence[UrlDeliveryTotals],
) -> CanaryResult:
    """Compare how the targets of these edits delivered before they were made, and after.

    After the move what went there by a URL in its new form counts, for the rest hasn't moved;
    before it all the rest, which an earlier move that went back is no part of. An edit whose
    account isn't known has no deliveries. All places of a target share its figures: nobody knows
    which of them a callback was for.
    """
    forms = {
        edit.place: (edit.place.account_sid, CallbackUrl.parse(edit.new, sources=None).shown)
        for edit in edits
    }
    new = set(forms.values())
    earlier = _by_target(each for each in before if (each.account_sid, each.url) not in new)
    later = _by_target(each for each in after if (each.account_sid, each.url) in new)
    targets = {place: _target(*form) for place, form in forms.items()}
    watched = {
        place: DeliveriesBeforeAndAfter(earlier[target], later[target])
        for place, target in targets.items()
    }
    return CanaryResult(
        {place: str(each) for place, each in watched.items() if each.is_worse},
        called=sum(1 for each in watched.values() if each.after.tried),
    )


def _target(account_sid: str | None, shown: str) -> DeliveryTarget:
    return account_sid, shown.partition("#")[0]


def _by_target(many: Iterable[UrlDeliveryTotals]) -> defaultdict[DeliveryTarget, DeliveryCounts]:
    found = defaultdict[DeliveryTarget, DeliveryCounts](DeliveryCounts)
    for each in many:
        target = _target(each.account_sid, each.url)
        counts = DeliveryCounts(each.delivered, each.undelivered, each.retried)
        found[target] = DeliveryCounts(*map(sum, zip(found[target], counts, strict=True)))
    return found
