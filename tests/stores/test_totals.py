"""Delivery totals of a period, by account, URL and sources."""

from datetime import UTC, datetime, timedelta

import pytest

from ringback.core.callbacks.callback import (
    CallbackStatus,
    DeliveryProgress,
    begin,
    discard,
    put_back,
)
from ringback.core.callbacks.retry import Decision, GiveUp, NoRetryNeeded, RetryLater, RetryNow
from ringback.core.policy.source_policy import Source
from ringback.core.policy.urls_in_use import RECENT
from ringback.operations.delivery_totals import count_recent
from ringback.operations.delivery_totals import totals_of as in_pieces
from ringback.ports import Store, UrlDeliveryTotals
from tests.counting_store import CountingStore
from tests.fakes import NOW
from tests.stores.asking import claim, ended, keep, settle
from tests.stores.records import HOST, OURS, SECOND, THEIRS, callback

URL = f"{HOST}/path?foo=bar#cbs=kore"
MICROSECOND = timedelta(microseconds=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def totals_of(
    store: Store,
    *,
    since: datetime = NOW,
    until: datetime = NOW + SECOND,
    account_sid: str | None = None,
) -> list[UrlDeliveryTotals]:
    return await store.transact(
        lambda tx: tx.callbacks.totals(since=since, until=until, account_sid=account_sid)
    )


def totals(
    account_sid: str = OURS,
    *,
    url: str = URL,
    source: Source = Source.KORE,
    asked: Source | None = Source.KORE,
    delivered: int = 0,
    undelivered: int = 0,
    retried: int = 0,
    waiting: int = 0,
    last: datetime | None = NOW,
    last_delivered: datetime | None = None,
) -> UrlDeliveryTotals:
    numbers = delivered, undelivered, retried, waiting
    at = last_delivered or (last if delivered else None)
    return UrlDeliveryTotals(account_sid, url, source, asked, *numbers, last, at)


async def settle_first(store: Store, decision: Decision) -> None:
    """Make the attempt that has been due longest, and settle it with this decision."""
    (taken,) = await claim(store, limit=1)
    settlement = ended(taken, decision)
    if isinstance(decision, RetryNow):
        after = begin(settlement.progress, NOW, total_timeout=15 * SECOND)
        settlement = settlement._replace(progress=after)
    await settle(store, settlement)


async def test_without_callbacks_there_are_no_totals(store: Store) -> None:
    assert await totals_of(store) == []


@pytest.mark.parametrize(
    ("decision", "counted"),
    [
        (NoRetryNeeded(), totals(delivered=1)),
        (GiveUp("no"), totals(undelivered=1)),
        (RetryNow(), totals(retried=1)),
        (RetryLater(NOW + SECOND, 1), totals(retried=1)),
    ],
)
async def test_a_callback_counts_by_its_result(
    store: Store, decision: Decision, counted: UrlDeliveryTotals
) -> None:
    await keep(store, callback(1))
    await settle_first(store, decision)
    assert await totals_of(store) == [counted]


async def test_a_discarded_callback_is_undelivered(store: Store) -> None:
    given = callback(1)
    await keep(store, given.having(discard(given.progress, "enough", NOW)))
    assert await totals_of(store) == [totals(undelivered=1)]


async def test_a_callback_waits_until_its_first_attempt_has_ended(store: Store) -> None:
    given = callback(3)
    begun = given.having(begin(given.progress, NOW, total_timeout=SECOND))
    await keep(store, callback(1), callback(2, due=NOW + SECOND), begun)
    assert len(await claim(store)) == 1
    assert await totals_of(store) == [totals(waiting=3)]


async def test_a_callback_claimed_for_its_second_attempt_counts_as_retried(store: Store) -> None:
    await keep(store, callback(1))
    await settle_first(store, RetryLater(NOW, 1))
    assert len(await claim(store)) == 1
    assert await totals_of(store) == [totals(retried=1)]


async def test_an_attempt_that_never_left_has_not_failed(store: Store) -> None:
    await keep(store, callback(1))
    claims = await claim(store)
    await store.transact(lambda tx: tx.callbacks.put_back(claims, NOW))
    assert put_back(claims[0].progress, NOW).attempt_count == 0
    assert await totals_of(store) == [totals(waiting=1)]


async def test_totals_are_separate_by_account_url_and_sources(store: Store) -> None:
    plain, other = callback(3, url=HOST), callback(5, url=f"{HOST}/q")
    twilio = callback(6)._replace(source=Source.TWILIO)
    await keep(store, callback(1), callback(2), callback(4, THEIRS), plain, other, twilio)
    assert await totals_of(store) == [
        totals(url=HOST, asked=None, waiting=1),
        totals(waiting=2),
        totals(source=Source.TWILIO, waiting=1),
        totals(url=f"{HOST}/q", asked=None, waiting=1),
        totals(THEIRS, waiting=1),
    ]


async def test_callbacks_without_a_chosen_source_come_before_those_with_one(store: Store) -> None:
    asking = callback(1)
    await keep(store, asking, callback(2)._replace(source_asked=None))
    assert await totals_of(store) == [totals(asked=None, waiting=1), totals(waiting=1)]


async def test_the_totals_of_one_account_leave_out_those_of_others(store: Store) -> None:
    await keep(store, callback(1), callback(2, THEIRS))
    assert await totals_of(store, account_sid=THEIRS) == [totals(THEIRS, waiting=1)]


async def test_totals_show_no_credentials(store: Store) -> None:
    await keep(store, callback(1, url="http://user:pass@127.0.0.1:9000/path?foo=bar#cbs=kore"))
    assert await totals_of(store) == [totals(waiting=1)]


async def test_test_events_and_replays_from_the_other_source_do_not_count(store: Store) -> None:
    again = callback(2)._replace(replay_of=callback(1).sid)
    await keep(store, callback(1), again, callback(3)._replace(is_test=True))
    assert await totals_of(store) == [totals(waiting=1)]


async def test_a_period_includes_its_first_instant_and_not_its_last(store: Store) -> None:
    instants = (NOW - MICROSECOND, NOW, NOW + SECOND - MICROSECOND, NOW + SECOND)
    await keep(store, *(callback(n, created=instant) for n, instant in enumerate(instants)))
    assert await totals_of(store) == [totals(waiting=2, last=instants[2])]


async def test_a_period_may_end_within_a_millisecond(store: Store) -> None:
    given = callback(1, created=NOW + MICROSECOND)
    # The highest SID of this millisecond.
    await keep(store, given._replace(sid=f"{given.sid[:14]}{'f' * 20}"))
    until = NOW + 2 * MICROSECOND
    found = await totals_of(store, since=NOW + MICROSECOND, until=until)
    assert found == [totals(waiting=1, last=given.date_created)]
    assert await totals_of(store, since=until, until=until + SECOND) == []


async def test_a_period_may_be_of_any_length(store: Store) -> None:
    await keep(store, callback(1, created=NOW.replace(year=1970)))
    first, last = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    found = await totals_of(store, since=first, until=last)
    assert found == [totals(waiting=1, last=NOW.replace(year=1970))]


async def test_many_results_of_one_url_are_added_up(store: Store) -> None:
    ended = [(CallbackStatus.DELIVERED, 3), (CallbackStatus.FAILED, 2)]
    statuses = [status for status, count in ended for _ in range(count)]
    for number, status in enumerate(statuses):
        await keep(store, callback(number).having(DeliveryProgress(NOW, status, attempt_count=1)))
    assert await totals_of(store) == [totals(delivered=3, undelivered=2)]


async def test_the_newest_callback_and_the_newest_that_was_delivered_are_dated(
    store: Store,
) -> None:
    statuses = [CallbackStatus.DELIVERED, CallbackStatus.DELIVERED, CallbackStatus.FAILED]
    for number, status in enumerate(statuses):
        made = callback(number, created=NOW + number * MICROSECOND)
        await keep(store, made.having(DeliveryProgress(NOW, status, attempt_count=1)))
    last, delivered = NOW + 2 * MICROSECOND, NOW + MICROSECOND
    counted = totals(delivered=2, undelivered=1, last=last, last_delivered=delivered)
    assert await totals_of(store) == [counted]


async def test_totals_read_in_parts_equal_those_read_as_a_whole(store: Store) -> None:
    days = [NOW + timedelta(minutes=minute) for minute in range(0, 36 * 60, 131)]
    statuses = [CallbackStatus.DELIVERED, CallbackStatus.FAILED, CallbackStatus.SCHEDULED]
    for number, created in enumerate(days):
        made = callback(
            number,
            (OURS, THEIRS)[number % 2],
            created=created,
            url=(HOST, f"{HOST}#cbs=kore")[number % 3 == 0],
        )
        status, tries = statuses[number % 3], number // 3 % 2
        await keep(
            store, made.having(DeliveryProgress(NOW, status, attempt_count=tries, due=created))
        )
    for since, until in ((NOW, days[-1]), (NOW - SECOND, days[-1] + SECOND), (NOW, NOW)):
        whole = await totals_of(store, since=since, until=until)
        assert await in_pieces(store, since=since, until=until) == whole
        own = await totals_of(store, since=since, until=until, account_sid=OURS)
        assert await in_pieces(store, since=since, until=until, account_sid=OURS) == own


async def test_a_long_period_is_read_in_a_limited_number_of_parts(store: Store) -> None:
    await keep(store, callback(1), callback(2, created=NOW.replace(year=1971)))
    first, last = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert await in_pieces(store, since=first, until=last) == [totals(waiting=2)]


@pytest.mark.parametrize(("piece", "pieces"), [(1, 40), (7, 6), (39, 2), (40, 1), (10_000, 1)])
async def test_a_part_has_a_given_number_of_callbacks(
    piece: int, pieces: int, store: Store
) -> None:
    minute = timedelta(minutes=1)
    await keep(store, *(callback(n, created=NOW + n * n * minute) for n in range(40)))
    counting = CountingStore(store)
    found = await in_pieces(counting, since=NOW - 3650 * DAY, until=NOW + 2 * DAY, piece=piece)
    assert found == [totals(waiting=40, last=NOW + 39 * 39 * minute)]
    assert counting.asked == pieces


async def test_many_callbacks_of_one_instant_are_one_part(store: Store) -> None:
    await keep(store, *(callback(n) for n in range(20)), callback(20, created=NOW + MICROSECOND))
    counting = CountingStore(store)
    found = await in_pieces(counting, since=NOW - HOUR, until=NOW + HOUR, piece=3)
    assert (found, counting.asked) == ([totals(waiting=21, last=NOW + MICROSECOND)], 3)


async def test_the_callback_after_a_given_number_of_others_has_a_date(store: Store) -> None:
    instants = [NOW + n * SECOND for n in range(3)]
    await keep(store, *(callback(n, created=instant) for n, instant in enumerate(instants)))

    async def dates(since: datetime) -> list[datetime | None]:
        return await store.transact(
            lambda tx: [tx.callbacks.date_of(nth, since=since) for nth in range(4)]
        )

    assert await dates(NOW - DAY) == [*instants, None]
    assert await dates(NOW + 999 * MICROSECOND) == [*instants, None]
    assert await dates(NOW + timedelta(milliseconds=1)) == [*instants[1:], None, None]
    assert await dates(datetime(1, 1, 1, tzinfo=UTC)) == [*instants, None]


async def test_recent_callbacks_are_counted_whatever_their_result(store: Store) -> None:
    await keep(store, callback(1, created=NOW - RECENT), callback(2, created=NOW - SECOND))
    delivered = callback(3, created=NOW - DAY)
    await keep(
        store, delivered.having(DeliveryProgress(NOW, CallbackStatus.DELIVERED, attempt_count=1))
    )
    await keep(store, callback(4, created=NOW - RECENT - MICROSECOND), callback(5, created=NOW))
    assert await count_recent(store, NOW) == [
        totals(delivered=1, waiting=2, last=NOW - SECOND, last_delivered=NOW - DAY)
    ]
