"""Settling attempts: their results, and the new progress of their callbacks."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.core.accounts.account import Account
from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.callbacks.callback import (
    UNDELIVERED,
    Attempt,
    CallbackRecord,
    CallbackStatus,
    begin,
    discard,
)
from ringback.core.callbacks.rendering import render
from ringback.core.callbacks.retry import Decision, GiveUp, NoRetryNeeded, RetryLater, RetryNow
from ringback.core.callbacks.undelivered_groups import LastAnswer, UndeliveredCallback
from ringback.core.http.http_exchange import AttemptResult, ReceiverResponseRecord, RequestTimings
from ringback.core.http.outcome import AttemptFailure, NoAnswerOutcome, RefusedOutcome
from ringback.core.policy.source_policy import Source
from ringback.core.sources.source_definition import CallbackSourceDefinition
from ringback.ports import CallbackFilter, PageWindow, Store, Transaction, lane_of
from tests.fakes import NOW, claim_from
from tests.properties.strategies import accounts, callbacks, source_definitions
from tests.stores.asking import (
    attempts_of,
    claim,
    ended,
    found,
    keep,
    left_open,
    numbers_of,
    oldest_of,
    opened,
    rendered,
    settle,
    settled_row,
)
from tests.stores.records import HOST, ODD_INSTANT, OUR_LANE, OURS, SECOND, account, callback
from tests.stores.test_group_commit import Bench

DELIVERED = CallbackStatus.DELIVERED
_UNDELIVERED = CallbackFilter(statuses=UNDELIVERED)


RESPONSES = [
    pytest.param(None, id="no answer"),
    pytest.param(ReceiverResponseRecord(204, (), b""), id="neither headers nor body"),
    pytest.param(ReceiverResponseRecord(200, (("X", ""), ("Y", "")), b"\n"), id="empty headers"),
    pytest.param(
        ReceiverResponseRecord(200, (("X-Url", "a: b: c"), ("X", "\xff\x00\r"), ("x", ":")), b": "),
        id="odd headers",
    ),
    pytest.param(
        ReceiverResponseRecord(
            503, (("Set-Cookie", "a"), ("Set-Cookie", "b")), bytes(range(256)) * 300, is_cut=True
        ),
        id="a binary body that is cut",
    ),
]


@pytest.mark.parametrize("response", RESPONSES)
async def test_a_receivers_response_is_read_back(
    store: Store, response: ReceiverResponseRecord | None
) -> None:
    await keep(store, callback(1))
    (taken,) = await claim(store)
    settlement = ended(taken, RetryNow(), response=response)
    await settle(store, settlement)
    assert await attempts_of(store, 1) == [settlement.attempt]


@pytest.mark.parametrize("source", Source)
@pytest.mark.parametrize("method", HttpMethod)
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9000",
        "http://127.0.0.1:9000?",
        "HTTP://127.0.0.1:9000/a%2Fb;c?x=1&y=@&z#rc=2",
        "http://127.0.0.1:9000/p?x=1#cbs=kore",
        "http://user:secret@127.0.0.1:9000/p",
    ],
)
async def test_a_sent_request_is_read_back(
    store: Store, url: str, method: HttpMethod, source: Source
) -> None:
    await keep(store, callback(1, url=url)._replace(method=method, source=source))
    (taken,) = await claim(store)
    settlement = ended(taken, RetryNow(), request=rendered(taken))
    await settle(store, settlement)
    assert await attempts_of(store, 1) == [settlement.attempt]


@pytest.mark.parametrize("method", HttpMethod)
@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9000", f"http://127.0.0.1:9000/{'p' * 4000}?x=1"]
)
async def test_a_sent_request_is_read_back_however_long_it_is(
    store: Store, method: HttpMethod, url: str
) -> None:
    body = "Note=" + "n" * 60_000
    await keep(store, callback(1, url=url)._replace(method=method, body=body))
    (taken,) = await claim(store)
    settlement = ended(taken, RetryNow(), request=rendered(taken))
    await settle(store, settlement)
    assert await attempts_of(store, 1) == [settlement.attempt]


_numbers = count(1)


@cache
def bench() -> Bench:
    """Return a committer on a database in memory, for all examples."""
    return Bench()


@given(
    callbacks(), accounts(), source_definitions, st.datetimes(timezones=st.just(UTC)), st.booleans()
)  # fmt: skip
def test_the_request_of_any_source_is_read_back(
    given: CallbackRecord,
    owner: Account,
    source: CallbackSourceDefinition,
    at: datetime,
    is_test: bool,
) -> None:
    made = callback(next(_numbers), url=HOST)
    made = given._replace(
        sid=made.sid, account_sid=OURS, source="acme", is_test=is_test, progress=made.progress
    )

    def work(tx: Transaction) -> list[Attempt | None]:
        tx.callbacks.add(made)
        (taken,) = claim_from(tx, lane_of(made), NOW, limit=1)
        request = render(made, account=owner, at=at, sources={"acme": source})
        settlement = ended(taken, NoRetryNeeded(), request=request)
        tx.callbacks.settle([settlement])
        return [settlement.attempt, *tx.callbacks.attempts(made.sid)]

    settled, read_back = bench().result(work)
    assert read_back == settled


async def test_a_gets_parameters_are_stored_once_however_many_attempts_there_are(
    tmp_path: Path,
) -> None:
    body, path = "Note=" + "n" * 60_000, tmp_path / "ringback.db"
    async with opened(path) as store:
        await store.transact(lambda tx: tx.accounts.add(account(), []))
        await keep(store, callback(1)._replace(method=HttpMethod.GET, body=body))
        for _ in range(6):
            (taken,) = await claim(store)
            await settle(store, ended(taken, RetryNow(), request=rendered(taken)))
    with closing(sqlite3.connect(path)) as connection:
        content = connection.serialize()
    assert content.count(b"nnn") < 2 * 20_000


@pytest.mark.parametrize("method", HttpMethod)
async def test_a_sent_test_event_is_read_back(store: Store, method: HttpMethod) -> None:
    event = callback(1, url="http://127.0.0.1:9000/p?x=1")._replace(is_test=True, body="[{}]")
    await keep(store, event._replace(method=method, source=Source.KORE))
    (taken,) = await claim(store)
    settlement = ended(taken, RetryNow(), request=rendered(taken))
    await settle(store, settlement)
    assert await attempts_of(store, 1) == [settlement.attempt]


async def test_the_record_of_a_sent_request_hides_credentials(store: Store) -> None:
    await keep(store, callback(1, url="http://user:secret@127.0.0.1:9000/p"))
    (taken,) = await claim(store)
    await settle(store, ended(taken, RetryNow(), request=rendered(taken)))
    (attempt,) = await attempts_of(store, 1)
    assert attempt.request is not None
    assert ("Authorization", "(hidden)") in attempt.request.headers
    assert attempt.request.url == "http://127.0.0.1:9000/p"


async def test_everything_else_of_a_settled_attempt_is_read_back(store: Store) -> None:
    await keep(store, callback(1))
    (taken,) = await claim(store)
    result = AttemptResult(
        NoAnswerOutcome(AttemptFailure.CLOSED, "the receiver closed it: «später»"),
        RequestTimings(total=12.345678, look_up=0.0, connect=1.5, tls=None, first_byte=1e-9),
        None,
        "[fe80::1%eth0]:65535",
        "http://proxy.example:3128",
    )
    settlement = ended(taken, RetryNow(), result=result)._replace(started=ODD_INSTANT)
    await settle(store, settlement)
    assert await attempts_of(store, 1) == [
        Attempt(
            callback_sid=callback(1).sid,
            account_sid=OURS,
            number=1,
            date_started=ODD_INSTANT,
            result="unreachable",
            status_code=None,
            error_code=11200,
            failure="closed",
            reason="the receiver closed it: «später»",
            timings=result.timings,
            local_address="[fe80::1%eth0]:65535",
            proxy="http://proxy.example:3128",
        )
    ]


@pytest.mark.parametrize(
    "decision",
    [
        NoRetryNeeded(),
        GiveUp("the receiver answered 410 Gone"),
        RetryNow(),
        RetryLater(ODD_INSTANT, 4),
    ],
)
async def test_settling_sets_the_callbacks_progress(store: Store, decision: Decision) -> None:
    await keep(store, callback(1), callback(2))
    (taken, other) = await claim(store)
    settlement = ended(taken, decision, ODD_INSTANT)
    await settle(store, settlement)
    assert await found(store, 1) == callback(1).having(settlement.progress)
    assert await found(store, 2) == callback(2).having(other.progress)


async def test_settling_can_begin_the_next_attempt(store: Store) -> None:
    await keep(store, callback(1))
    (taken,) = await claim(store)
    after = NOW + SECOND
    again = begin(taken.progress, after, total_timeout=15 * SECOND)
    first = ended(taken, RetryNow())._replace(progress=again)
    await settle(store, first)
    assert await found(store, 1) == callback(1).having(again)
    assert await attempts_of(store, 1) == [first.attempt, Attempt(callback(1).sid, OURS, 2, after)]
    assert await claim(store, NOW + timedelta(days=365)) == []


async def test_the_last_attempt_that_has_ended_is_found_for_each_callback(store: Store) -> None:
    ended_once, retried, under_way, never_sent = map(callback, (1, 2, 3, 4))
    await keep(store, ended_once, retried, under_way)
    first, second, third = await claim(store)
    later = NOW + SECOND
    once = ended(first, NoRetryNeeded())
    await settle(store, once, ended(second, RetryLater(later, 1)))
    (again,) = await claim(store, later)
    result = AttemptResult(RefusedOutcome(503), RequestTimings(1.5))
    last = ended(again, GiveUp("answered"), result=result, request=rendered(again))
    retry = begin(third.progress, later, total_timeout=15 * SECOND)
    goes_on = ended(third, RetryNow())._replace(progress=retry)
    await settle(store, last, goes_on)
    await keep(store, never_sent)

    callbacks = [await found(store, number) for number in (1, 2, 3, 4)]
    assert await store.transact(lambda tx: tx.callbacks.last_attempts(callbacks)) == {
        ended_once.sid: once.attempt,
        retried.sid: settled_row(last)._replace(request=None),
        under_way.sid: goes_on.attempt,
    }
    assert await store.transact(lambda tx: tx.callbacks.last_attempts([])) == {}


async def test_what_groups_need_is_read_of_each_undelivered_callback(store: Store) -> None:
    await keep(store, *map(callback, (1, 2, 3, 4)))
    refused, timed_out, retried, delivered = await claim(store)
    too_late = NoAnswerOutcome(AttemptFailure.READ_TIMEOUT, "no answer in 2 s")
    given_up = [
        ended(refused, GiveUp("answered"), result=AttemptResult(RefusedOutcome(503))),
        ended(timed_out, GiveUp("no"), result=AttemptResult(too_late)),
    ]
    await settle(store, *given_up, ended(retried, RetryLater(NOW + SECOND, 1)))
    await settle(store, ended(delivered, NoRetryNeeded()))
    (again,) = await claim(store, NOW + SECOND)
    last = ended(again, GiveUp("answered"), result=AttemptResult(RefusedOutcome(404)))
    await settle(store, last)
    await keep(store, callback(5))
    never_sent = await found(store, 5)
    dropped = never_sent.having(discard(never_sent.progress, "not wanted", NOW))
    await store.transact(lambda tx: tx.callbacks.change(dropped))

    def read(tx: Transaction) -> list[UndeliveredCallback]:
        first = tx.callbacks.undelivered(OURS, _UNDELIVERED, PageWindow(3))
        second = tx.callbacks.undelivered(OURS, _UNDELIVERED, PageWindow(3, after=first[-1].sid))
        return [*first, *second]

    callbacks = [await found(store, number) for number in (5, 3, 2, 1)]
    attempts = await store.transact(lambda tx: tx.callbacks.last_attempts(callbacks))
    expected = [UndeliveredCallback.of(one, attempts.get(one.sid)) for one in callbacks]
    assert await store.transact(read) == expected
    assert [one.identity.answer for one in expected] == [
        LastAnswer(),
        LastAnswer(404),
        LastAnswer(None, "read_timeout"),
        LastAnswer(503),
    ]


async def test_many_are_settled_at_once(store: Store) -> None:
    await keep(store, *map(callback, range(300)))
    claims = await claim(store, limit=300)
    await settle(store, *(ended(taken, NoRetryNeeded()) for taken in claims))
    assert await left_open(store) == []
    delivered = await oldest_of(store, CallbackFilter(frozenset({DELIVERED})), limit=999)
    assert numbers_of(delivered) == list(range(300))


async def test_attempts_are_numbered_over_all_rounds_in_the_order_they_were_made(
    store: Store,
) -> None:
    await keep(store, callback(1), callback(2))
    for number in range(1, 13):
        now = NOW + number * SECOND
        for taken in await claim(store, now):
            await settle(store, ended(taken, RetryLater(now, number), now))
    attempts = await attempts_of(store, 2)
    assert [attempt.number for attempt in attempts] == list(range(1, 13))
    assert attempts[11].date_started == NOW + 12 * SECOND


async def test_a_claim_and_its_settlement_may_share_a_transaction(store: Store) -> None:
    await keep(store, callback(1))

    def do_both(tx: Transaction) -> None:
        (taken,) = claim_from(tx, OUR_LANE, NOW, limit=1)
        tx.callbacks.settle([ended(taken, NoRetryNeeded())])

    await store.transact(do_both)
    assert (await found(store, 1)).status is DELIVERED
    assert [attempt.result for attempt in await attempts_of(store, 1)] == ["delivered"]
    assert await left_open(store) == []


async def test_a_claim_may_be_requeued_by_its_own_transaction(store: Store) -> None:
    await keep(store, callback(1))

    def do_both(tx: Transaction) -> None:
        tx.callbacks.put_back(claim_from(tx, OUR_LANE, NOW, limit=1), NOW)

    await store.transact(do_both)
    assert await found(store, 1) == callback(1)
    assert await attempts_of(store, 1) == []
