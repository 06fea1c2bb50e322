"""A step of a canary: which edits it moves, and how its deliveries are watched."""

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
"""The first round that is tried again comes 5 s after the one that failed."""


@dataclass(frozen=True, slots=True)
class CanarySettings:
    """In what shares a plan is moved, and how each of them is watched."""

    shares: tuple[int, ...]
    """In percent, growing; all others follow as the last step."""
    soak: timedelta
    deliveries: UrlDeliveryHistory

    @property
    def pause(self) -> timedelta:
        """How long to wait between two looks."""
        return min(max(self.soak / _LOOKS, _SHORTEST_PAUSE), _LONGEST_PAUSE)

    async def before(self, began: datetime) -> Sequence[UrlDeliveryTotals]:
        """Return how deliveries went before a step that began then."""
        return await self.deliveries.totals(since=began - max(self.soak, _BEFORE), until=began)

    async def look(
        self,
        edits: Sequence[UrlEdit],
        before: Sequence[UrlDeliveryTotals],
        *,
        began: datetime,
        now: datetime,
    ) -> CanaryResult:
        """Return how a step delivers since it began.

        The newest callbacks are left out: what is about to be tried again hasn't failed yet.
        """
        until = max(began, now - min(_SETTLES, self.soak / _LOOKS))
        after = await self.deliveries.totals(since=began, until=until)
        return compare_deliveries(edits, before, after)


def read_shares(text: str) -> tuple[int, ...]:
    """Return the shares that `10,50` says.

    Raises ValueError for what doesn't grow, or is no share.

    >>> read_shares("10,50")
    (10, 50)
    """
    if not all(
        share.isascii() and share.isdigit() and len(share) <= 3 for share in text.split(",")
    ):
        raise ValueError(f"{text!r} must be shares in percent, like 10 or 10,50")
    shares = tuple(map(int, text.split(",")))
    if sorted(set(shares)) != list(shares) or not 1 <= shares[0] <= shares[-1] < ALL:
        raise ValueError(f"{text!r} must be shares from 1 to 99 percent that grow, like 10,50")
    return shares


def up_to(share: int, edits: Sequence[UrlEdit]) -> set[UrlLocation]:
    """Return the places that have moved after a step: this share of all, in percent.

    All places of a receiver move together, and the same edits come first each time.
    """
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
