"""Shadows (copies of callbacks): their rows, and comparisons with the first attempts."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ringback.core.accounts.account import EVERY
from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.callbacks.rendering import render
from ringback.core.callbacks.retry import RetryLater, RetryNow
from ringback.core.errors import PageNotFound
from ringback.core.http.http_exchange import (
    AttemptResult,
    ReceiverResponseRecord,
    RequestTimings,
    SentRequestRecord,
)
from ringback.core.http.outcome import (
    AttemptFailure,
    DeliveredOutcome,
    NoAnswerOutcome,
    Outcome,
    RefusedOutcome,
)
from ringback.core.policy.source_policy import Source
from ringback.core.shadows.shadow import (
    SHADOW_BYTES,
    ShadowCallback,
    ShadowQueryParameter,
    ShadowRule,
    copy_of,
)
from ringback.core.shadows.shadow_report import EXCERPT, AnswerComparison, ComparableResult
from ringback.core.sources.body_encoding import BodyEncoding
from ringback.core.sources.source_definition import BUILT_IN
from ringback.ports import (
    CallbackFilter,
    ComparedShadow,
    PageWindow,
    ShadowCallbackFilter,
    Store,
    Transaction,
)
from tests.fakes import NOW
from tests.stores.asking import claim, ended, keep, left_open, opened, settle
from tests.stores.records import (
    ODD_INSTANT,
    ODD_URL,
    OUR_LANE,
    OURS,
    SECOND,
    THEIRS,
    account,
    callback,
    request_of,
    shadow,
)
from tests.stores.test_settlements import RESPONSES

ALL = ShadowCallbackFilter()
GOOD = AttemptResult(
    DeliveredOutcome(200), RequestTimings(4.0), ReceiverResponseRecord(200, (), b"ok")
)
LANES = {OURS: OUR_LANE, THEIRS: OUR_LANE._replace(account_sid=THEIRS)}


def settled(
    opened: ShadowCallback, outcome: Outcome, response: ReceiverResponseRecord | None = None
) -> ShadowCallback:
    exchange = AttemptResult(outcome, RequestTimings(7.0), response)
    return opened.settled(exchange, request_of(opened), started=opened.attempt.date_started)


async def keep_first(
    store: Store, *numbers: int, of: str = OURS, ending: AttemptResult = GOOD
) -> None:
    """Add callbacks whose first attempts ended like this."""
    await keep(store, *(callback(number, of) for number in numbers))
    claims = await claim(store, lane=LANES[of])
    later = RetryLater(NOW + timedelta(days=1), 1)
    await settle(store, *(ended(one, later, result=ending) for one in claims))


async def open_(store: Store, *shadows: ShadowCallback) -> None:
    await store.transact(lambda tx: tx.shadows.open(shadows))


async def settle_(store: Store, *shadows: ShadowCallback) -> None:
    await store.transact(lambda tx: tx.shadows.settle(shadows))


async def page(
    store: Store, window: PageWindow, which: ShadowCallbackFilter = ALL, account_sid: str = OURS
) -> list[ComparedShadow]:
    return await store.transact(lambda tx: tx.shadows.page(account_sid, which, window))


async def rows(store: Store, which: ShadowCallbackFilter = ALL) -> list[ShadowCallback]:
    return [one.shadow for one in await page(store, PageWindow(99), which)]


async def comparison(store: Store) -> AnswerComparison:
    """Return the only comparison, after checking that both ways to read it agree."""
    (listed,) = await page(store, PageWindow(9))
    (compared,) = await store.transact(lambda tx: tx.shadows.comparisons(OURS, PageWindow(9)))
    assert listed.comparison == compared
    return compared


# ---- rows ----------------------------------------------------------------------------------------


async def test_a_row_is_open_until_it_is_settled(store: Store) -> None:
    await keep_first(store, 1, 2)
    await open_(store, shadow(1), shadow(2))
    assert await rows(store) == [shadow(2), shadow(1)]
    copy = settled(shadow(1), RefusedOutcome(503))
    await settle_(store, copy)
    assert await rows(store) == [shadow(2), copy]
    assert await left_open(store, "shadows") == [shadow(2)]


@pytest.mark.parametrize("response", RESPONSES)
async def test_a_receivers_response_is_read_back(
    store: Store, response: ReceiverResponseRecord | None
) -> None:
    await keep_first(store, 1)
    await open_(store, shadow(1))
    copy = settled(shadow(1), RefusedOutcome(503), response)
    await settle_(store, copy)
    assert await rows(store) == [copy]


async def test_everything_else_of_a_copy_is_read_back_including_credentials(store: Store) -> None:
    await keep_first(store, 1)
    opened = shadow(1)._replace(
        url=replace(ODD_URL, warnings=()),
        attempt=shadow(1).attempt._replace(date_started=ODD_INSTANT),
    )
    await open_(store, opened)
    exchange = AttemptResult(
        NoAnswerOutcome(AttemptFailure.TLS, "no\x00 TLS"),
        RequestTimings(9.5, 1.25, 2.5, 3.0, 4.0),
        None,
        "192.0.2.1",
        "http://proxy.example:3128",
    )
    request = request_of(opened, "POST /\xe4 HTTP/1.1\r\nA: b")
    copy = opened.settled(exchange, request, started=ODD_INSTANT + SECOND)
    await settle_(store, copy)
    assert await rows(store) == [copy]


@pytest.mark.parametrize("length", [1, 4000], ids=["short", "long"])
async def test_the_request_of_a_get_is_read_back_with_all_parameters(
    store: Store, length: int
) -> None:
    told = callback(1)._replace(method=HttpMethod.GET, body=f"A={'x' * length}")
    await keep(store, told)
    (one,) = await claim(store)
    await settle(store, ended(one, RetryNow(), result=GOOD))
    rule = ShadowRule(Source.TWILIO, ShadowQueryParameter("shadow=1"))
    copy = copy_of(told, rule, random_bytes=bytes(SHADOW_BYTES), now=NOW)
    opened = ShadowCallback.opened(copy, of=told)
    await open_(store, opened)
    request = render(copy, account=one.account, at=NOW).recorded()
    settled = opened.settled(GOOD, request, started=NOW)
    await settle_(store, settled)
    assert await rows(store) == [settled]


async def test_a_body_in_another_encoding_than_that_of_the_callback_is_read_back(
    store: Store,
) -> None:
    told = callback(1)._replace(method=HttpMethod.POST, body="A=1")
    await keep(store, told)
    (one,) = await claim(store)
    await settle(store, ended(one, RetryNow(), result=GOOD))
    rule = ShadowRule("acme", ShadowQueryParameter("shadow=1"))
    acme = replace(BUILT_IN[Source.KORE], body_encoding=BodyEncoding.JSON)
    sources = {**BUILT_IN, "acme": acme}
    copy = copy_of(told, rule, random_bytes=bytes(SHADOW_BYTES), now=NOW, sources=sources)
    opened = ShadowCallback.opened(copy, of=told)
    await open_(store, opened)
    assert await rows(store) == [opened]
    request = render(copy, account=one.account, at=NOW, sources=sources).recorded()
    assert (request.body, opened.body) == ('{"A":"1"}', '{"A":"1"}')
    settled = opened.settled(GOOD, request, started=NOW)
    await settle_(store, settled)
    assert await rows(store) == [settled]


async def test_the_request_of_a_copy_of_a_shared_body_is_read_back(tmp_path: Path) -> None:
    path, told = tmp_path / "ringback.db", callback(1)._replace(method=HttpMethod.GET, body="A=1")
    async with opened(path) as store:
        await store.transact(lambda tx: tx.accounts.add(account(), []))
        await keep(store, told)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO bodies (id, body) VALUES (7, 'A=1')")
        connection.execute("UPDATE callbacks SET body_id = 7, body = NULL")
    async with opened(path) as store:
        opened_ = shadow(1)
        await open_(store, opened_)
        url = opened_.url.with_parameters("A=1").wire
        request = SentRequestRecord("GET", url, "GET /path HTTP/1.1", "")
        copy = opened_.settled(GOOD, request, started=NOW)
        await settle_(store, copy)
        assert await rows(store) == [copy]


async def test_opening_and_settling_may_share_a_transaction(store: Store) -> None:
    await keep_first(store, 1, 2)
    copy = settled(shadow(1), DeliveredOutcome(200))
    await open_(store, shadow(1))

    def work(tx: Transaction) -> None:
        tx.shadows.settle([copy])
        tx.shadows.open([shadow(2)])

    await store.transact(work)
    assert await left_open(store, "shadows") == [shadow(2)]
    assert await rows(store) == [shadow(2), copy]


async def test_the_search_for_copies_examines_a_limited_number(store: Store) -> None:
    await keep_first(store, *range(1, 10))
    for number in range(1, 10):
        await open_(
            store, shadow(number, source=Source.KORE if number in (2, 7) else Source.TWILIO)
        )
    which, after, found, stops = (
        ShadowCallbackFilter(source=Source.KORE),
        None,
        list[ShadowCallback](),
        0,
    )
    while True:
        window = PageWindow(4, after=after, examining=3)
        some = await store.transact(lambda tx, window=window: tx.shadows.page(OURS, which, window))
        found += [one.shadow for one in some]
        if some.stopped_at is None:
            break
        after, stops = some.stopped_at, stops + 1
    assert [one.attempt.callback_sid for one in found] == [callback(7).sid, callback(2).sid]
    assert stops == 3


async def test_a_copy_changes_nothing_about_its_callback(store: Store) -> None:
    await keep_first(store, 1)

    async def all_of_it() -> object:
        return await store.transact(
            lambda tx: (
                tx.callbacks.page(OURS, CallbackFilter(), PageWindow(9)),
                tx.callbacks.attempts(callback(1).sid),
                tx.callbacks.waiting(),
                tx.callbacks.unfinished(),
                tx.callbacks.left_open(),
            )
        )

    before = await all_of_it()
    await open_(store, shadow(1))
    assert await all_of_it() == before
    await settle_(store, settled(shadow(1), RefusedOutcome(410)))
    assert await all_of_it() == before


# ---- lists ---------------------------------------------------------------------------------------


async def test_a_list_can_be_filtered_by_source_callback_or_time(store: Store) -> None:
    await keep_first(store, 1, 2, 3)
    from_kore = shadow(2, source=Source.KORE)
    await open_(store, shadow(1), from_kore, shadow(3))
    assert await rows(store, ShadowCallbackFilter(source=Source.KORE)) == [from_kore]
    assert await rows(store, ShadowCallbackFilter(callback_sid=callback(3).sid)) == [shadow(3)]
    since = ShadowCallbackFilter(since=NOW + 2 * SECOND)
    assert await rows(store, since) == [shadow(3), from_kore]


async def test_a_list_is_paged(store: Store) -> None:
    await keep_first(store, *range(5))
    await open_(store, *map(shadow, range(5)))
    middle = shadow(2).sid
    assert [one.shadow for one in await page(store, PageWindow(2))] == [shadow(4), shadow(3)]
    after = await page(store, PageWindow(9, after=middle))
    assert [one.sid for one in after] == [shadow(1).sid, shadow(0).sid]
    before = await page(store, PageWindow(9, before=middle))
    assert [one.shadow for one in before] == [shadow(4), shadow(3)]
    compared = await store.transact(
        lambda tx: tx.shadows.comparisons(OURS, PageWindow(1, after=middle))
    )
    assert [one.shadow_sid for one in compared] == [shadow(1).sid]


async def test_an_account_sees_its_own_copies_and_the_operator_sees_all(store: Store) -> None:
    await keep_first(store, 1)
    await keep_first(store, 2, of=THEIRS)
    await open_(store, shadow(1), shadow(2, THEIRS))
    assert await rows(store) == [shadow(1)]
    everyones = await page(store, PageWindow(9), account_sid=EVERY)
    assert [one.shadow for one in everyones] == [shadow(2, THEIRS), shadow(1)]
    with pytest.raises(PageNotFound):
        await page(store, PageWindow(9, after=shadow(2).sid))


# ---- comparing -----------------------------------------------------------------------------------


async def test_a_copy_is_compared_with_the_first_attempt_of_its_callback(store: Store) -> None:
    await keep_first(store, 1)
    await open_(store, shadow(1))
    response = ReceiverResponseRecord(401, (), b"bad signature")
    await settle_(store, settled(shadow(1), RefusedOutcome(401), response))
    assert await comparison(store) == AnswerComparison(
        shadow(1).sid,
        callback(1).sid,
        callback(1).account_sid,
        callback(1).url.shown,
        NOW + SECOND,
        (Source.KORE, Source.TWILIO),
        ComparableResult("delivered", 200, None, 4.0),
        ComparableResult("refused", 401, None, 7.0),
        is_same_body=False,
        excerpts=(b"ok", b"bad signature"),
    )


async def test_later_attempts_are_not_compared(store: Store) -> None:
    await keep_first(store, 1, ending=AttemptResult(RefusedOutcome(503)))
    (again,) = await claim(store, NOW + timedelta(days=2))
    await settle(store, ended(again, RetryNow(), result=GOOD))
    await open_(store, shadow(1))
    assert (await comparison(store)).first == ComparableResult("refused", 503)


@pytest.mark.parametrize(
    ("first", "copy", "is_same"),
    [
        (b"ok", b"ok", True),
        (b"", b"", True),
        (b"ok", b"OK", False),
        (b"x" * 65536, b"x" * 65535 + b"y", False),
        (b"ok", None, None),
        (None, b"ok", None),
    ],
)
async def test_bodies_are_compared_if_there_are_two(
    store: Store, first: bytes | None, copy: bytes | None, is_same: bool | None
) -> None:
    await keep_first(store, 1, ending=GOOD._replace(response=_answering(first)))
    await open_(store, shadow(1))
    await settle_(store, settled(shadow(1), DeliveredOutcome(200), _answering(copy)))
    found = await comparison(store)
    assert found.is_same_body is is_same
    assert found.excerpts == (first and first[:EXCERPT], copy and copy[:EXCERPT])


def _answering(body: bytes | None) -> ReceiverResponseRecord | None:
    return None if body is None else ReceiverResponseRecord(200, (), body)
