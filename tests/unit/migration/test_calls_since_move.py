"""Which moved URLs have been called since they moved."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ringback.core.policy.source_policy import Source
from ringback.core.policy.urls_in_use import RECENT
from ringback.migration.calls_since_move import CallsSinceMove, calls_since_move
from ringback.migration.edit_status import EditState, EditWithState
from ringback.migration.url_source import UrlEdit, UrlLocation
from ringback.ports import UrlDeliveryTotals
from tests.fakes import NOW

HOUR = timedelta(hours=1)
OLD, NEW = "https://user:made-up@a.example/p", "https://user:made-up@a.example/p#cbs=kore"
SHOWN = "https://a.example/p#cbs=kore"
PLACE = UrlLocation("fleet HF1 SmsCommandsUrl", "AC1")


@dataclass
class Deliveries:
    """Answers with these totals, and remembers the periods that were asked for."""

    found: Sequence[UrlDeliveryTotals] = ()
    asked: list[tuple[datetime, datetime]] = field(default_factory=list[tuple[datetime, datetime]])

    async def totals(self, *, since: datetime, until: datetime) -> Sequence[UrlDeliveryTotals]:
        self.asked.append((since, until))
        return self.found


def totals(
    url: str = SHOWN,
    source: Source = Source.KORE,
    *,
    account_sid: str = "AC1",
    delivered: int = 0,
    failed: int = 0,
    last: datetime = NOW,
) -> UrlDeliveryTotals:
    delivered_at = last if delivered else None
    numbers = delivered, failed, 0, 0
    return UrlDeliveryTotals(account_sid, url, source, None, *numbers, last, delivered_at)


async def called(
    *found: UrlDeliveryTotals, state: EditState = EditState.MOVED, began: datetime = NOW - HOUR
) -> CallsSinceMove | None:
    edit = EditWithState(UrlEdit(PLACE, OLD, NEW), state, None)
    calls = await calls_since_move({PLACE: edit}, {PLACE: began}, Deliveries(found), now=NOW)
    return calls.get(PLACE)


async def test_callbacks_to_the_new_form_count_whatever_their_source() -> None:
    found = [totals(delivered=2), totals(source=Source.TWILIO, failed=3, last=NOW - HOUR)]
    assert await called(*found) == CallsSinceMove(5, 2, NOW)


async def test_callbacks_to_the_old_form_or_of_another_account_do_not_count() -> None:
    found = [totals("https://a.example/p", delivered=2), totals(account_sid="AC2", delivered=2)]
    assert await called(*found) == CallsSinceMove()


async def test_callbacks_that_were_not_delivered_have_no_last_delivery() -> None:
    assert await called(totals(failed=3)) == CallsSinceMove(3, 0, None)


async def test_callbacks_before_the_last_move_do_not_count() -> None:
    began = NOW - HOUR + timedelta(microseconds=5)
    early = totals(delivered=1, last=NOW - HOUR - timedelta(seconds=1))
    assert await called(early, began=began) == CallsSinceMove()
    # A portal's answer has whole seconds.
    assert await called(totals(delivered=1, last=NOW - HOUR), began=began) != CallsSinceMove()


async def test_only_moved_urls_are_asked_for_and_only_recent_callbacks() -> None:
    assert await called(totals(delivered=1), state=EditState.RETURNED) is None
    deliveries = Deliveries()
    moved = {PLACE: EditWithState(UrlEdit(PLACE, OLD, NEW), EditState.MOVED, None)}
    assert await calls_since_move(moved, {}, deliveries, now=NOW) == {}
    assert deliveries.asked == []
    for began in (NOW - HOUR, NOW - 100 * RECENT):
        await calls_since_move(moved, {PLACE: began}, deliveries, now=NOW)
    assert deliveries.asked == [(NOW - HOUR, NOW), (NOW - RECENT, NOW)]
