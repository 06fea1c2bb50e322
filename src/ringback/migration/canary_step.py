"""One step of a canary: choose the edits to make, and watch the deliveries to their URLs.

A canary moves a plan's URLs in steps, a growing share at a time. After each step it watches the
deliveries to the moved URLs for a while (the soak).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.migration.canary_evaluation import CanaryResult, compare_deliveries
from ringback.migration.filters import rank
from ringback.migration.url_source import UrlDeliveryHistory, UrlEdit, UrlLocation
from ringback.ports import UrlDeliveryTotals

ALL: Final = 100
_BEFORE: Final = timedelta(days=1)
_SHORTEST_PAUSE: Final = timedelta(seconds=1)
_LONGEST_PAUSE: Final = timedelta(minutes=1)
_LOOKS: Final = 20
_SETTLES: Final = timedelta(seconds=10)
"""How long a callback has to succeed: its first retry comes 5 s after a failed round."""


@dataclass(frozen=True, slots=True)
class CanarySettings:
    """The growing shares of URLs that a canary moves, and how long it watches after each step."""

    shares: tuple[int, ...]
    """For each step, the percentage of the plan's URLs moved by its end; a last step moves all."""
    soak: timedelta
    """How long each step's deliveries are watched before the next step."""
    deliveries: UrlDeliveryHistory
    least: int = 0
    """How many callbacks have to come in each step before it passes."""
    wait: timedelta = timedelta(0)
    """How long to wait for them after the soak; if too few come, receivers are probed."""

    @property
    def pause(self) -> timedelta:
        """The time between two checks of a step's deliveries."""
        return min(max(self.soak / _LOOKS, _SHORTEST_PAUSE), _LONGEST_PAUSE)

    @property
    def settles_after_stop(self) -> timedelta:
        """How long to wait before the first look after the process was stopped.

        What it was sending then counts as failing until it is sent again.
        """
        return min(_SETTLES, self.soak + self.wait)

    async def before(self, began: datetime) -> Sequence[UrlDeliveryTotals]:
        """Return the delivery totals before a step began: of one day, or of a longer `soak`."""
        return await self.deliveries.totals(since=began - max(self.soak, _BEFORE), until=began)

    async def look(
        self,
        edits: Sequence[UrlEdit],
        before: Sequence[UrlDeliveryTotals],
        *,
        began: datetime,
        now: datetime,
    ) -> CanaryResult:
        """Compare the deliveries since a step began with the deliveries before it.

        The newest callbacks are left out: if their first attempt failed, a retry may still succeed.
        """
        return compare_deliveries(edits, before, await self.after(began=began, now=now))

    async def after(self, *, began: datetime, now: datetime) -> Sequence[UrlDeliveryTotals]:
        """Return the delivery totals since a step began, without the newest callbacks."""
        until = max(began, now - min(_SETTLES, (self.soak + self.wait) / _LOOKS))
        return await self.deliveries.totals(since=began, until=until)


def read_shares(text: str) -> tuple[int, ...]:
    """Parse a comma-separated list of percentages.

    Raises ValueError if they aren't whole numbers from 1 to 99 in ascending order.

    >>> read_shares("10,50")
    (10, 50)
    """
    if not all(
        share.isascii() and share.isdigit() and len(share) <= 3 for share in text.split(",")
    ):
        raise ValueError(f"{text!r} must be shares in percent, like 10 or 10,50")
    shares = tuple(map(int, text.split(",")))
    if sorted(set(shares)) != list(shares) or not 1 <= shares[0] <= shares[-1] < ALL:
        raise ValueError(f"{text!r} must be shares from 1 to 99 percent, ascending, like 10,50")
    return shares


def up_to(share: int, edits: Sequence[UrlEdit]) -> set[UrlLocation]:
    """Return the places of the first URLs to move: at least `share` percent of all.

    All URLs of a receiver move together. The order of the receivers is always the same.
    """
    if share == ALL:
        return {edit.place for edit in edits}
    in_order = sorted(edits, key=_receiver)
    wanted, chosen = len(edits) * share / ALL, set[UrlLocation]()
    for _, places in groupby(in_order, key=_receiver):
        if len(chosen) >= wanted:
            break
        chosen |= {edit.place for edit in places}
    return chosen


def _receiver(edit: UrlEdit) -> tuple[float, str]:
    url = CallbackUrl.parse(edit.old, sources=None)
    return rank(url), url.wire
