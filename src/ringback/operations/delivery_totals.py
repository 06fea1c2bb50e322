"""Counts the callbacks of a period, in several short transactions."""

from datetime import datetime, timedelta
from typing import Final

from ringback.core.accounts.account import EVERY
from ringback.core.policy.policy_impact import WEEK, UrlDeliveryTotals
from ringback.ports import Store, Transaction

_INSTANT: Final = timedelta(milliseconds=1)
"""The precision of the time in a SID."""

_What = tuple[str, str, str, str | None]


async def totals_of(
    store: Store,
    *,
    since: datetime,
    until: datetime,
    account_sid: str | None = None,
    piece: int = 10_000,
) -> list[UrlDeliveryTotals]:
    """Return the totals of callbacks created in this period, by account, URL and sources.

    About `piece` callbacks are read in one transaction. A callback that changes during the count
    may be counted with its old or its new status. Raises StoreUnavailable.
    """
    summed = dict[_What, UrlDeliveryTotals]()

    def read(tx: Transaction) -> tuple[datetime, list[UrlDeliveryTotals]]:
        next_one = tx.callbacks.date_of(piece, since=since)
        end = until if next_one is None else min(max(next_one, since + _INSTANT), until)
        return end, tx.callbacks.totals(since=since, until=end, account_sid=account_sid)

    while since < until:
        since, found = await store.read(read, asked_by=account_sid or EVERY)
        for totals in found:
            what = (totals.account_sid, totals.url, totals.source, totals.source_asked)
            summed[what] = _sum(summed[what], totals) if what in summed else totals
    return sorted(summed.values(), key=_in_order)


async def count_last_week(store: Store, now: datetime) -> list[UrlDeliveryTotals]:
    """Return the totals of the callbacks of the last week; raises StoreUnavailable."""
    return await totals_of(store, since=now - WEEK, until=now)


def _sum(one: UrlDeliveryTotals, other: UrlDeliveryTotals) -> UrlDeliveryTotals:
    return one._replace(
        delivered=one.delivered + other.delivered,
        undelivered=one.undelivered + other.undelivered,
        retried=one.retried + other.retried,
        waiting=one.waiting + other.waiting,
    )


def _in_order(totals: UrlDeliveryTotals) -> tuple[str, str, str, str]:
    return totals.account_sid, totals.url, totals.source, totals.source_asked or ""
