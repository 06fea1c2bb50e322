"""What a plan and its way back achieve: by the policy, another source may send all the same."""

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
    """What going back does, by the policy."""

    returning: int
    """How many will be sent from their old source again."""
    staying: Counter[str]
    """How many will still be sent from the new source, by the reason."""
    open_until: datetime | None
    """When the first of those that return would be sent from the new source again; None for
    never."""


def preview_rollback(
    edits: Sequence[UrlEdit], to: SourceName, policy: Policy, *, at: datetime
) -> RollbackPreview:
    """Return how many edits would have an effect if they were taken back at this instant."""
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
    """Return how many edits don't lead to the new source at this instant, by the reason."""
    choices = (_choice(edit.new, edit.place, policy, at) for edit in edits)
    return Counter(choice.reason for choice in choices if choice.source != to)


def _choice(text: str, place: UrlLocation, policy: Policy, at: datetime) -> CallbackSourceSelection:
    url, owner = CallbackUrl.parse(text, sources=None), place.account_sid or ""
    return policy.choose(url.source, at=at, account_sid=owner, url=url.wire)
