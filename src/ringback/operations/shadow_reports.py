"""Compares the answers to callbacks with the answers to their shadow copies."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from ringback.core.shadows.shadow_report import AnswerComparison, ShadowReport
from ringback.ports import PageWindow, Store, Transaction

CHUNK: Final = 500
"""How many pairs of callback and copy one transaction reads; more would delay callbacks."""


async def report_on(store: Store, account_sid: str, *, since: datetime | None) -> ShadowReport:
    """Return a report that compares an account's shadow copies with their callbacks.

    Only copies that were started at `since` or later count; if that is None, all copies count.
    """
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
