"""Compares the answers to callbacks with the answers to their shadow copies, by URL.

For each URL, the report also says how it is configured now: it may have moved since the copies.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from ringback.core.accounts.account import one_account
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.policy.policy_impact import GROUP_NAMES, UrlGrouping
from ringback.core.policy.source_policy import CallbackSourceSelection, Policy
from ringback.core.policy.urls_in_use import StoredUrl, UrlUse, wire_of
from ringback.core.shadows.shadow_report import AnswerComparison, ShadowReport, UrlShadowSummary
from ringback.operations.callback_urls import stored_urls
from ringback.ports import PageWindow, Store, Transaction

CHUNK: Final = 500
"""How many pairs of callback and copy one transaction reads; more would delay callbacks."""


class ShadowedUrl(NamedTuple):
    """A URL whose callbacks were copied, and how it is configured now."""

    summary: UrlShadowSummary
    url_now: str
    """The URL in the form that counts now; its fragment may be another one than the copies'."""
    use: UrlUse
    """`STORED`, or `REQUESTS` if the URL is stored nowhere."""
    choice: CallbackSourceSelection
    """The source that sends to the URL now."""

    @property
    def is_moved(self) -> bool:
        """True if the source that sent the copies is the one that sends the callbacks now."""
        return self.choice.source in self.summary.copied_from


class ShadowGroup(NamedTuple):
    """The numbers of the URLs of one group, and of their pairs of callback and copy."""

    name: str
    """As in `UrlGroup`."""
    urls: int = 0
    moved: int = 0
    pairs: int = 0
    differing: int = 0

    def with_more(self, one: ShadowedUrl) -> "ShadowGroup":
        """Return this group with one more URL."""
        _, urls, moved, pairs, differing = self
        summary = one.summary
        return ShadowGroup(
            self.name,
            urls + 1,
            moved + one.is_moved,
            pairs + summary.pairs,
            differing + summary.differing.total(),
        )


async def report_on(
    store: Store, account_sid: str, *, since: datetime | None, policy: Policy, date: datetime
) -> list[ShadowedUrl]:
    """Return the URLs of an account's shadow copies, those with the most differences first.

    Only copies that were started at `since` or later count; if that is None, all copies count. The
    policy at `date` says which source sends to each URL now. Raises StoreUnavailable.
    """
    urls = (await _report(store, account_sid, since)).urls
    stored = await stored_urls(store, account_sid=one_account(account_sid)) if urls else ()
    forms = dict[tuple[str, str], list[StoredUrl]]()
    for one in stored:
        forms.setdefault((one.account_sid, wire_of(one.url)), []).append(one)
    return [
        _as_now(summary, forms.get((summary.account_sid, wire_of(summary.url)), ()), policy, date)
        for summary in urls
    ]


def group_shadowed(found: Iterable[ShadowedUrl], by: UrlGrouping) -> list[ShadowGroup]:
    """Return the groups of these URLs, those with the most URLs that have not moved first."""
    groups = dict[str, ShadowGroup]()
    for one in found:
        name = GROUP_NAMES[by](one.summary.account_sid, one.summary.url, one.choice)
        groups[name] = groups.get(name, ShadowGroup(name)).with_more(one)
    return sorted(
        groups.values(), key=lambda group: (group.moved - group.urls, -group.differing, group)
    )


async def _report(store: Store, account_sid: str, since: datetime | None) -> ShadowReport:
    report = ShadowReport()
    after: str | None = None
    while True:
        pairs = await store.read(_chunk(account_sid, after), asked_by=account_sid)
        for pair in pairs:
            if since is not None and pair.date_started < since:
                return report
            report.add(pair)
        if len(pairs) < CHUNK:
            return report
        after = pairs[-1].shadow_sid


def _chunk(account_sid: str, after: str | None) -> Callable[[Transaction], list[AnswerComparison]]:
    return lambda tx: tx.shadows.comparisons(account_sid, PageWindow(CHUNK, after=after))


def _as_now(
    summary: UrlShadowSummary, forms: Sequence[StoredUrl], policy: Policy, date: datetime
) -> ShadowedUrl:
    """Return a URL as it is configured now, if it is stored in one of these forms."""
    account_sid, url = summary.account_sid, summary.url
    # The same form comes first, then the one that was changed last.
    found = max(forms, key=lambda one: (one.url == url, one.date_updated), default=None)
    if found is None:
        asked, use = CallbackUrl.read_back(url).source, UrlUse.REQUESTS
    else:
        url, asked, use = found.url, found.source_asked, UrlUse.STORED
    choice = policy.choose(asked, at=date, account_sid=account_sid, url=wire_of(url))
    return ShadowedUrl(summary, url, use, choice)
