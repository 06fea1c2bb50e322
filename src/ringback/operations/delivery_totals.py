"""Counts the callbacks of a period, in several short transactions."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from ringback.core.accounts.account import EVERY
from ringback.core.policy.urls_in_use import RECENT, UrlDeliveryTotals
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
        # In a thread, since there may be very many URLs, and others are sent meanwhile.
        await asyncio.to_thread(_add, summed, found)
    return await asyncio.to_thread(sorted, summed.values(), key=_in_order)


def _add(summed: dict[_What, UrlDeliveryTotals], found: Sequence[UrlDeliveryTotals]) -> None:
    for totals in found:
        what = totals[:4]
        summed[what] = totals.with_more(summed[what]) if what in summed else totals


async def count_recent(store: Store, now: datetime) -> list[UrlDeliveryTotals]:
    """Return the totals of the callbacks in the time of `RECENT`; raises StoreUnavailable."""
    return await totals_of(store, since=now - RECENT, until=now)


def _in_order(totals: UrlDeliveryTotals) -> tuple[str, str, str, str]:
    return totals.account_sid, totals.url, totals.source, totals.source_asked or ""
