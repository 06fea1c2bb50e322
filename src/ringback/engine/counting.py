"""Counts the callbacks of the last week, a bounded number in each piece of work.

A store does one piece at a time: one that has many callbacks goes on with all else in between.
"""

from collections import Counter
from datetime import datetime, timedelta
from typing import Final

from ringback.core.outlook import WEEK, Sent
from ringback.core.source import SourceName
from ringback.ports import Store

_FIRST: Final = timedelta(hours=1)
_SHORTEST: Final = timedelta(minutes=1)


async def count_last_week(store: Store, now: datetime, *, piece: int = 10_000) -> list[Sent]:
    """Return how many callbacks were created within the week before this instant, by URL.

    `piece` is about how many are looked at in one transaction. Raises StoreUnavailable.
    """
    counted = Counter[tuple[str, str, SourceName, SourceName | None]]()
    until, span = now, _FIRST
    while until > now - WEEK:
        since = max(until - span, now - WEEK)
        rows = await _count_between(store, since, until)
        for row in rows:
            counted[row[:4]] += row.callbacks
        of_span = sum(row.callbacks for row in rows)
        span = max(_SHORTEST, min(span * 2, span * piece / max(of_span, 1)))
        until = since
    return [Sent(*what, callbacks) for what, callbacks in counted.items()]


async def _count_between(store: Store, since: datetime, until: datetime) -> list[Sent]:
    totals = await store.transact(lambda tx: tx.callbacks.totals(since=since, until=until))
    return [Sent.of(*row) for row in totals]
