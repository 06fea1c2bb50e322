"""Lists of sinks with a filter: each page is right in every store, however few sinks match."""

from dataclasses import replace
from typing import Any

from ringback.core.policy.source_policy import Source
from ringback.core.streams.sink import SinkStatus, StreamSink
from ringback.operations.streams.sinks import list_sinks
from ringback.ports import PageWindow, RecordPage, Store, Transaction
from tests.stores.records import OURS
from tests.streams import a_sink, a_subscription

MANY = 30


def fill(tx: Transaction) -> None:
    """Add sinks, of which every tenth is in use, and every seventh is not active."""
    for number in range(1, MANY + 1):
        status = SinkStatus.INITIALIZED if number % 7 == 0 else SinkStatus.ACTIVE
        sink = a_sink(number, Source.TWILIO, account_sid=OURS)
        tx.streams.sinks.add(replace(sink, status=status))
        tx.streams.sinks.add(a_sink(100 + number, Source.KORE, account_sid=OURS))
        if number % 10 == 0:
            tx.streams.subscriptions.add(a_subscription(number, Source.TWILIO, account_sid=OURS))


async def page(store: Store, window: PageWindow, **filters: Any) -> RecordPage[StreamSink]:
    return await store.read(lambda tx: list_sinks(tx, OURS, Source.TWILIO, window, **filters))


def numbers(sinks: RecordPage[StreamSink]) -> list[int]:
    return [int(sink.sid[2:], 16) for sink in sinks]


async def test_a_filter_by_use_and_status_holds_in_both_directions(furnished: Store) -> None:
    await furnished.transact(fill)
    first = await page(furnished, PageWindow(2, examining=100), in_use=True)
    assert (numbers(first), first.stopped_at) == ([30, 20], None)
    last = await page(furnished, PageWindow(2, after=first[-1].sid, examining=100), in_use=True)
    assert (numbers(last), last.stopped_at) == ([10], None)
    back = await page(furnished, PageWindow(2, before=last[0].sid, examining=100), in_use=True)
    assert numbers(back) == [30, 20]
    odd = await page(furnished, PageWindow(9), status=SinkStatus.INITIALIZED, in_use=False)
    assert numbers(odd) == [28, 21, 14, 7]


async def test_a_page_stops_where_enough_was_examined_and_the_next_goes_on(
    furnished: Store,
) -> None:
    await furnished.transact(fill)
    window, found = PageWindow(5, examining=8), list[int]()
    while True:
        some = await page(furnished, window, status=SinkStatus.INITIALIZED)
        found += numbers(some)
        if some.stopped_at is None:
            break
        window = replace(window, after=some.stopped_at)
    assert found == [28, 21, 14, 7]
    window = replace(window, after=None, before=f"DG{1:032x}")
    back = list[int]()
    while True:
        some = await page(furnished, window, status=SinkStatus.INITIALIZED)
        back = [*numbers(some), *back]
        if some.stopped_at is None:
            break
        window = replace(window, before=some.stopped_at)
    assert back == found
