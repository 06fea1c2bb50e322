"""Compares two policies: which URLs get another source, now and at each of their dates."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from ringback.core.policy.dated_changes import policy_changes
from ringback.core.policy.policy_impact import source_at
from ringback.core.policy.source_policy import Policy, SourceName
from ringback.core.policy.urls_in_use import UrlInUse, UrlUse


class UrlUnderBoth(NamedTuple):
    """A URL to which two policies send from different sources, at one date."""

    used: UrlInUse
    before: SourceName
    after: SourceName


class PolicyDifference(NamedTuple):
    """What two policies do differently at a date."""

    at: datetime
    changes: Sequence[str]
    """The changes of the new policy on this date, in words."""
    urls: Sequence[UrlUnderBoth]


def compare_policies(
    old: Policy, new: Policy, used: Iterable[UrlInUse], *, now: datetime, most: int
) -> Iterator[PolicyDifference]:
    """Yield what `new` does differently from `old`: now, and at the next dates of either policy.

    `most` is the maximum number of such dates. Between two dates, nothing changes.
    """
    in_use = [one for one in used if one.use is not UrlUse.FORMER]
    ahead = policy_changes(new, after=now)
    dates = {change.at for change in (*ahead, *policy_changes(old, after=now))}
    for at in (now, *sorted(dates)[:most]):
        words = [str(change.kind) for change in ahead if change.at == at]
        yield PolicyDifference(at, words, list(_different(old, new, in_use, at)))


def _different(
    old: Policy, new: Policy, used: Iterable[UrlInUse], at: datetime
) -> Iterator[UrlUnderBoth]:
    for one in used:
        before, after = source_at(old, one, at), source_at(new, one, at)
        if before != after:
            yield UrlUnderBoth(one, before, after)
