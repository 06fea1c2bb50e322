"""How the callbacks of a time went, read in pieces: nobody's commit waits for all of it."""

from datetime import datetime, timedelta
from typing import Final

from ringback.core.outlook import WEEK, Sent
from ringback.ports import Store, Totals

_SHORTEST: Final = timedelta(seconds=1)
_LONGEST: Final = timedelta(minutes=10)
_MOST_PIECES: Final = 1000

_What = tuple[str, str, str, str | None]


async def totals_of(
    store: Store,
    *,
    since: datetime,
    until: datetime,
    account_sid: str | None = None,
    piece: int = 10_000,
) -> list[Totals]:
    """Return how those created in this time went, in the order of account, URL and sources.

    `piece` is about how many are read in one transaction, where there are as many before and after
    it. What happens meanwhile may count in either form. See `ports.Callbacks.totals`.

    Raises StoreUnavailable.
    """
    summed = dict[_What, Totals]()
    span, longest = _SHORTEST, max(_LONGEST, (until - since) / _MOST_PIECES)
    while since < until:
        end = since + min(span, until - since)
        found = await store.transact(
            lambda tx, start=since, end=end: tx.callbacks.totals(
                since=start, until=end, account_sid=account_sid
            )
        )
        for totals in found:
            what = (totals.account_sid, totals.url, totals.source, totals.source_asked)
            summed[what] = _sum(summed[what], totals) if what in summed else totals
        of_span = sum(totals.callbacks for totals in found)
        span = min(max(span * min(2.0, piece / max(of_span, 1)), _SHORTEST), longest)
        since = end
    return sorted(summed.values(), key=_in_order)


async def count_last_week(store: Store, now: datetime) -> list[Sent]:
    """Return how many callbacks were created within the week before this instant, by URL.

    Raises StoreUnavailable.
    """
    found = await totals_of(store, since=now - WEEK, until=now)
    return [
        Sent(each.account_sid, each.url, each.source, each.source_asked, each.callbacks)
        for each in found
    ]


def _sum(one: Totals, other: Totals) -> Totals:
    return one._replace(
        delivered=one.delivered + other.delivered,
        undelivered=one.undelivered + other.undelivered,
        retried=one.retried + other.retried,
        waiting=one.waiting + other.waiting,
    )


def _in_order(totals: Totals) -> tuple[str, str, str, str]:
    return totals.account_sid, totals.url, totals.source, totals.source_asked or ""
