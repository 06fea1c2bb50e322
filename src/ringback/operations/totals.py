"""How the callbacks of a time went, read in pieces: nobody's commit waits for all of it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from ringback.ports import Store, Totals

_PIECE: Final = timedelta(minutes=10)
_MOST_PIECES: Final = 1000

_What = tuple[str, str, str, str | None]


async def totals_of(
    store: Store, *, since: datetime, until: datetime, account_sid: str | None = None
) -> list[Totals]:
    """Return how those created in this time went, in the order of account, URL and sources.

    What happens while it is read may count in either form. See `ports.Callbacks.totals`.
    """
    summed = dict[_What, Totals]()
    for start, end in _pieces(since, until):
        piece = await store.transact(
            lambda tx, start=start, end=end: tx.callbacks.totals(
                since=start, until=end, account_sid=account_sid
            )
        )
        for totals in piece:
            what = (totals.account_sid, totals.url, totals.source, totals.source_asked)
            summed[what] = _sum(summed[what], totals) if what in summed else totals
    return sorted(summed.values(), key=_in_order)


def _pieces(since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    length = max(_PIECE, (until - since) / _MOST_PIECES)
    while since < until:
        end = since + min(length, until - since)
        yield since, end
        since = end


def _sum(one: Totals, other: Totals) -> Totals:
    return one._replace(
        delivered=one.delivered + other.delivered,
        undelivered=one.undelivered + other.undelivered,
        retried=one.retried + other.retried,
        waiting=one.waiting + other.waiting,
    )


def _in_order(totals: Totals) -> tuple[str, str, str, str]:
    return totals.account_sid, totals.url, totals.source, totals.source_asked or ""
