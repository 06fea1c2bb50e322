"""What a plan and its way back achieve: by the policy, another source may send all the same."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.policy.dated_changes import policy_changes
from ringback.core.policy.source_policy import Policy, SourceName
from ringback.migration.url_source import UrlEdit


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
    ahead = policy_changes(policy, after=at)
    for edit in edits:
        url, account_sid = CallbackUrl.parse(edit.old, sources=None), edit.place.account_sid or ""
        choices = [
            (since, policy.choose(url.source, at=since, account_sid=account_sid, url=url.wire))
            for since in (at, *(change.at for change in ahead))
        ]
        _, now = choices[0]
        if now.source == to:
            staying[now.reason] += 1
            continue
        returning += 1
        ends += [since for since, choice in choices if choice.source == to][:1]
    return RollbackPreview(returning, staying, min(ends, default=None))


def in_vain(
    edits: Sequence[UrlEdit], to: SourceName, policy: Policy, *, at: datetime
) -> Counter[str]:
    """Return how many edits don't lead to the new source at this instant, by the reason."""
    found = Counter[str]()
    for edit in edits:
        url, account_sid = CallbackUrl.parse(edit.new, sources=None), edit.place.account_sid or ""
        choice = policy.choose(url.source, at=at, account_sid=account_sid, url=url.wire)
        if choice.source != to:
            found[choice.reason] += 1
    return found
