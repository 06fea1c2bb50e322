"""Finds out which moved URLs have been called since they moved."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from ringback.core.policy.urls_in_use import RECENT
from ringback.migration.edit_status import EditState, EditWithState
from ringback.migration.redaction import shown
from ringback.migration.url_source import UrlDeliveryHistory, UrlLocation
from ringback.ports import UrlDeliveryTotals


class CallsSinceMove(NamedTuple):
    """The callbacks to a moved URL since it moved."""

    callbacks: int = 0
    """The number of callbacks that were created for the URL in its new form."""
    delivered: int = 0
    """The number of these that were delivered."""
    last_delivered: datetime | None = None
    """When the newest of the delivered callbacks was created; None if there is none."""


async def calls_since_move(
    found: Mapping[UrlLocation, EditWithState],
    moved_at: Mapping[UrlLocation, datetime],
    deliveries: UrlDeliveryHistory,
    *,
    now: datetime,
) -> dict[UrlLocation, CallsSinceMove]:
    """Return the callbacks to each URL that is moved now, by its place.

    `moved_at` is when each URL began to move. Only the callbacks in the time of `RECENT` count, so
    that the time for reading them is limited.
    """
    moved = {
        place: moved_at[place]
        for place, each in found.items()
        if each.state is EditState.MOVED and place in moved_at
    }
    if not moved:
        return {}
    since = max(min(moved.values()), now - RECENT)
    called = _by_url(await deliveries.totals(since=since, until=now))
    return {
        place: _since(began, called.get((place.account_sid, shown(found[place].edit.new))))
        for place, began in moved.items()
    }


def _by_url(totals: Iterable[UrlDeliveryTotals]) -> dict[tuple[str | None, str], UrlDeliveryTotals]:
    found = dict[tuple[str | None, str], UrlDeliveryTotals]()
    for each in totals:
        url = each.account_sid, each.url
        found[url] = each.with_more(found[url]) if url in found else each
    return found


def _since(began: datetime, totals: UrlDeliveryTotals | None) -> CallsSinceMove:
    # An earlier move that was undone had the same new form. A portal's times are whole seconds.
    if totals is None or (totals.last is not None and totals.last < began.replace(microsecond=0)):
        return CallsSinceMove()
    return CallsSinceMove(totals.callbacks, totals.delivered, totals.last_delivered)
