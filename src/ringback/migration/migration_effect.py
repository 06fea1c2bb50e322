"""Predict which edits of a plan, or of its rollback, really change the source of callbacks.

The policy may choose the same source for the old and the new URL: then the edit is in vain.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.policy.dated_changes import policy_changes
from ringback.core.policy.source_policy import CallbackSourceSelection, Policy, SourceName
from ringback.migration.url_source import UrlEdit, UrlLocation


@dataclass(frozen=True, slots=True)
class RollbackPreview:
    """The effect of undoing a plan's edits, as the source policy predicts it."""

    returning: int
    """The number of URLs whose callbacks will come from their old source again."""
    staying: Counter[str]
    """By reason, the number of URLs whose callbacks will still come from the new source."""
    open_until: datetime | None
    """When the policy first moves a returned URL to the new source again; None if never."""


def preview_rollback(
    edits: Sequence[UrlEdit], to: SourceName, policy: Policy, *, at: datetime
) -> RollbackPreview:
    """Predict the effect of undoing these edits at the time `at`.

    The edits moved URLs to the source `to`.
    """
    staying, ends, returning = Counter[str](), list[datetime](), 0
    dates = (at, *(change.at for change in policy_changes(policy, after=at)))
    for edit in edits:
        choices = [_choice(edit.old, edit.place, policy, since) for since in dates]
        if choices[0].source == to:
            staying[choices[0].reason] += 1
            continue
        returning += 1
        pairs = zip(dates, choices, strict=True)
        ends += [since for since, choice in pairs if choice.source == to][:1]
    return RollbackPreview(returning, staying, min(ends, default=None))


def in_vain(
    edits: Sequence[UrlEdit], to: SourceName, policy: Policy, *, at: datetime
) -> Counter[str]:
    """Count, by reason, the edits after which callbacks would not come from the source `to`."""
    choices = (_choice(edit.new, edit.place, policy, at) for edit in edits)
    return Counter(choice.reason for choice in choices if choice.source != to)


def _choice(text: str, place: UrlLocation, policy: Policy, at: datetime) -> CallbackSourceSelection:
    url, owner = CallbackUrl.parse(text, sources=None), place.account_sid or ""
    return policy.choose(url.source, at=at, account_sid=owner, url=url.wire)
