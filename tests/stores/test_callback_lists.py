"""Filtered lists of callbacks, newest or oldest first."""

import pytest

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.callbacks.callback import UNDELIVERED, CallbackStatus, DeliveryProgress
from ringback.core.policy.source_policy import Source
from ringback.ports import CallbackFilter, PageWindow, Store
from tests.fakes import NOW
from tests.stores.asking import callbacks_on, keep, numbers_of, oldest_of
from tests.stores.records import SECOND, THEIRS, callback
from tests.wireless_fakes import WIRELESS_SIM_SID as ANOTHER_SIM

ELSEWHERE = "https://else.example/"
SCHEDULED, DELIVERED = CallbackStatus.SCHEDULED, CallbackStatus.DELIVERED
FAILED, DISCARDED = CallbackStatus.FAILED, CallbackStatus.DISCARDED
FILTERS = [
    pytest.param(CallbackFilter(), [5, 4, 3, 2, 1, 0], id="all"),
    pytest.param(CallbackFilter(statuses=frozenset({FAILED})), [2], id="status"),
    pytest.param(CallbackFilter(statuses=frozenset({SCHEDULED})), [5, 4, 3, 0], id="scheduled"),
    pytest.param(CallbackFilter(statuses=UNDELIVERED), [2, 1], id="undelivered"),
    pytest.param(CallbackFilter(statuses=frozenset({DELIVERED})), [], id="none such"),
    pytest.param(CallbackFilter(statuses=frozenset()), [], id="no status at all"),
    pytest.param(CallbackFilter(source=Source.TWILIO), [3, 1], id="source"),
    pytest.param(CallbackFilter(idempotency_token="token 0"), [0], id="token"),
    pytest.param(CallbackFilter(destination="https://else.example:443"), [4, 1], id="destination"),
    pytest.param(CallbackFilter(url_prefix="https://else.ex"), [4, 1], id="prefix of the URL"),
    pytest.param(CallbackFilter(url_prefix="lse.example"), [], id="not the URL's beginning"),
    pytest.param(CallbackFilter(event="sms"), [5, 3], id="event"),
    pytest.param(CallbackFilter(event="command"), [], id="no such event"),
    pytest.param(CallbackFilter(sim_sid=ANOTHER_SIM), [4, 3, 1], id="SIM"),
    pytest.param(CallbackFilter(event="sms", sim_sid=ANOTHER_SIM), [3], id="event and SIM"),
    pytest.param(CallbackFilter(UNDELIVERED, sim_sid=ANOTHER_SIM), [1], id="undelivered, of a SIM"),
    pytest.param(
        CallbackFilter(frozenset({SCHEDULED}), event="sms"), [5, 3], id="scheduled, of an event"
    ),
    pytest.param(CallbackFilter(text="ELSE.example"), [4, 1], id="text in the URL"),
    pytest.param(CallbackFilter(text="Token 3"), [3], id="text in the token"),
    pytest.param(CallbackFilter(text=callback(2).sid.lower()), [2], id="text in the SID"),
    pytest.param(CallbackFilter(text=ANOTHER_SIM[2:20]), [4, 3, 1], id="text in the SIM's SID"),
    pytest.param(CallbackFilter(text="command=gate 4 o"), [5], id="decoded text in the body"),
    pytest.param(CallbackFilter(text="gate+4"), [5], id="text in the body as it is stored"),
    pytest.param(CallbackFilter(text="50 % &"), [5], id="escaped text in the body"),
    pytest.param(CallbackFilter(text='a "b'), [4], id="text in JSON"),
    pytest.param(CallbackFilter(UNDELIVERED, text="else"), [1], id="undelivered, with a text"),
    pytest.param(CallbackFilter(text="secret"), [], id="no such text"),
    pytest.param(CallbackFilter(text="%"), [5], id="no pattern"),
    pytest.param(CallbackFilter(since=NOW), [5, 4], id="since an instant"),
    pytest.param(CallbackFilter(until=NOW), [3, 2, 1, 0], id="until an instant"),
    pytest.param(CallbackFilter(since=NOW - SECOND, until=NOW), [3, 2], id="between two instants"),
    pytest.param(
        CallbackFilter(
            UNDELIVERED,
            Source.TWILIO,
            "token 1",
            "https://else.example:443",
            NOW - 9 * SECOND,
            NOW,
            ELSEWHERE,
            "ip",
            ANOTHER_SIM,
            "else",
        ),
        [1],
        id="all at once",
    ),
]


async def keep_different_callbacks(store: Store) -> None:
    """Add six callbacks of OURS that differ in filtered fields, and a similar one of THEIRS."""
    ages = (3, 2, 1, 1, 0, 0)
    ours = [
        callback(number)._replace(date_created=NOW - age * SECOND)
        for number, age in enumerate(ages)
    ]
    else_url = CallbackUrl.parse(ELSEWHERE)
    ours[1] = (
        ours[1]
        ._replace(url=else_url, source=Source.TWILIO, event="ip", sim_sid=ANOTHER_SIM)
        .having(DeliveryProgress(NOW, DISCARDED))
    )
    ours[2] = ours[2].having(DeliveryProgress(NOW, FAILED))
    ours[3] = ours[3]._replace(source=Source.TWILIO, event="sms", sim_sid=ANOTHER_SIM)
    ours[4] = ours[4]._replace(url=else_url, sim_sid=ANOTHER_SIM)
    ours[4] = ours[4]._replace(body='{"Note":"a \\"b\\""}')
    ours[5] = ours[5]._replace(event="sms", body="Command=gate+4+open&Note=50+%25+%26+more")
    theirs = ours[1]._replace(sid=callback(6).sid, account_sid=THEIRS)
    await keep(store, *ours, theirs)


@pytest.mark.parametrize(("which", "numbers"), FILTERS)
async def test_a_page_has_the_callbacks_that_match_the_filter(
    store: Store, which: CallbackFilter, numbers: list[int]
) -> None:
    await keep_different_callbacks(store)
    assert numbers_of(await callbacks_on(store, PageWindow(9), which)) == numbers


@pytest.mark.parametrize(("which", "numbers"), FILTERS)
async def test_the_oldest_callbacks_are_those_that_match_the_filter_in_reverse_order(
    store: Store, which: CallbackFilter, numbers: list[int]
) -> None:
    await keep_different_callbacks(store)
    oldest = await oldest_of(store, which)
    assert numbers_of(oldest) == numbers[::-1]


async def test_the_oldest_callbacks_come_in_the_order_of_their_creation(store: Store) -> None:
    await keep(store, callback(5), callback(1, THEIRS), callback(3), callback(9), callback(2))
    assert numbers_of(await oldest_of(store, limit=3)) == [5, 3, 9]


async def test_the_next_oldest_are_those_after_the_last_one(store: Store) -> None:
    await keep(store, *map(callback, (5, 3, 9, 2)))
    assert numbers_of(await oldest_of(store, after=callback(3).sid, limit=9)) == [9, 2]
    assert await oldest_of(store, after=callback(2).sid) == []


async def test_a_callback_that_left_the_filter_still_marks_the_place(store: Store) -> None:
    failed = DeliveryProgress(NOW, FAILED)
    await keep(store, *(callback(number).having(failed) for number in range(4)))
    which = CallbackFilter(UNDELIVERED)
    (first, second) = await oldest_of(store, which, limit=2)
    for one in (first, second):
        again = one.having(DeliveryProgress(NOW, due=NOW))
        await store.transact(lambda tx, again=again: tx.callbacks.change(again))
    assert numbers_of(await oldest_of(store, which, after=second.sid)) == [2, 3]


@pytest.mark.parametrize("after", [callback(9).sid, callback(1).sid, ""])
async def test_a_mark_that_is_not_the_accounts_own_begins_with_the_oldest(
    store: Store, after: str
) -> None:
    await keep(store, callback(0), callback(1, THEIRS), callback(2))
    assert numbers_of(await oldest_of(store, after=after)) == [0, 2]
