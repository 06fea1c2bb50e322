"""Callbacks that are claimed for an attempt, and claims that are put back."""

from dataclasses import replace
from datetime import timedelta

import pytest

from ringback.core.callbacks.callback import (
    Attempt,
    CallbackStatus,
    DeliveryProgress,
    begin,
    put_back,
)
from ringback.core.callbacks.retry import Decision, GiveUp, NoRetryNeeded, RetryNow
from ringback.core.retry_schedule import PERSISTENT
from ringback.ports import DeliveryClaim, Lane, Settlement, Store
from tests.fakes import NOW, a_callback
from tests.stores.asking import (
    attempts_of,
    claim,
    ended,
    found,
    keep,
    left_open,
    numbers_of,
    same,
    settle,
)
from tests.stores.records import (
    HOST,
    ODD_INSTANT,
    OUR_LANE,
    OURS,
    SECOND,
    THEIR_LANE,
    THEIRS,
    account,
    callback,
)


async def test_a_claim_takes_due_callbacks_only(store: Store) -> None:
    later = callback(2, due=NOW + timedelta(microseconds=1))
    await keep(
        store, callback(1), later, callback(3).having(DeliveryProgress(NOW, CallbackStatus.FAILED))
    )
    assert numbers_of(await claim(store)) == [1]


async def test_a_claim_takes_only_from_its_own_lane(store: Store) -> None:
    await keep(
        store,
        callback(0, url=f"{HOST}/another/path"),
        callback(1, url="http://127.0.0.1:9001/path"),
        callback(2, THEIRS),
        callback(3, url="https://127.0.0.1:9000/path"),
        callback(4),
    )
    assert numbers_of(await claim(store, lane=OUR_LANE)) == [0, 4]
    assert numbers_of(await claim(store, lane=THEIR_LANE)) == [2]
    assert numbers_of(await claim(store, lane=Lane(OURS, "http://127.0.0.1:9001"))) == [1]


@pytest.mark.parametrize(
    ("url", "destination"),
    [
        ("http://A.Example", "http://a.example:80"),
        ("HTTPS://a.example:443/", "https://a.example:443"),
        ("http://user:secret@a.example:8080/", "http://a.example:8080"),
        ("http://[::1]/", "http://[::1]:80"),
    ],
)
async def test_a_lane_is_the_same_however_its_urls_are_spelled(
    store: Store, url: str, destination: str
) -> None:
    await keep(store, callback(1, url=url))
    assert numbers_of(await claim(store, lane=Lane(OURS, destination))) == [1]


async def test_a_claim_opens_an_attempt_and_takes_the_callback_out_of_the_queue(
    store: Store,
) -> None:
    await keep(store, callback(1))
    (taken,) = await claim(store, ODD_INSTANT)
    under_way = DeliveryProgress(
        date_updated=ODD_INSTANT,
        attempt_count=1,
        due=None,
        round_attempts=1,
        round_began=ODD_INSTANT,
    )
    opened = Attempt(callback(1).sid, OURS, 1, ODD_INSTANT, result="open")
    expected = DeliveryClaim(callback(1).having(under_way), account(), OUR_LANE)
    assert same(taken) == expected._replace(due=callback(1).progress.due)
    assert taken.attempt == opened
    assert await found(store, 1) == callback(1).having(under_way)
    assert await attempts_of(store, 1) == [opened]


async def test_a_claim_has_the_account_in_its_current_state(store: Store) -> None:
    await keep(store, callback(1, THEIRS))
    rotated = replace(account(THEIRS), auth_token="new", schedule=PERSISTENT)
    await store.transact(lambda tx: tx.accounts.save(rotated))
    (taken,) = await claim(store, lane=THEIR_LANE)
    assert taken.account == rotated


async def test_a_callback_in_progress_is_never_claimed_again(store: Store) -> None:
    await keep(store, callback(1))
    await claim(store)
    assert await claim(store, NOW + timedelta(days=365)) == []


@pytest.mark.parametrize("decision", [NoRetryNeeded(), GiveUp("enough")])
async def test_an_ended_callback_is_never_claimed_again(store: Store, decision: Decision) -> None:
    await keep(store, callback(1))
    (taken,) = await claim(store)
    await settle(store, ended(taken, decision))
    assert await claim(store, NOW + timedelta(days=365)) == []


async def test_the_callback_that_is_longest_due_is_claimed_first(store: Store) -> None:
    seconds = {1: 3, 2: 1, 3: 2, 4: 1}
    await keep(store, *(callback(n, due=NOW + s * SECOND) for n, s in seconds.items()))
    first = await claim(store, NOW + 9 * SECOND, limit=3)
    rest = await claim(store, NOW + 9 * SECOND, limit=3)
    assert numbers_of(first) == [2, 4, 3]
    assert numbers_of(rest) == [1]


async def test_a_claim_of_none_takes_none(store: Store) -> None:
    await keep(store, callback(1))
    assert await claim(store, limit=0) == []
    assert len(await claim(store)) == 1


async def test_a_claim_in_an_unknown_lane_takes_none(store: Store) -> None:
    await keep(store, callback(1))
    assert await claim(store, lane=Lane(OURS, "http://nobody.example:80")) == []


async def test_a_new_round_begins_with_its_first_claim(store: Store) -> None:
    await keep(store, a_callback(sid=callback(1).sid, account_sid=OURS, attempt_count=2))
    (taken,) = await claim(store, ODD_INSTANT)
    assert (taken.attempt.number, taken.progress.round_attempts) == (3, 1)
    assert taken.progress.round_began == ODD_INSTANT


async def test_a_callback_stored_as_in_progress_has_its_first_attempt_open(store: Store) -> None:
    under_way = begin(callback(1).progress, NOW, total_timeout=15 * SECOND)
    await keep(store, callback(1).having(under_way))
    assert await attempts_of(store, 1) == [Attempt(callback(1).sid, OURS, 1, NOW)]
    assert await claim(store, NOW + timedelta(days=365)) == []


async def test_a_callback_stored_to_wait_has_no_attempt(store: Store) -> None:
    await keep(store, callback(1))
    assert await attempts_of(store, 1) == []


# ---- claims put back


async def test_a_requeued_callback_was_never_attempted_and_is_due(store: Store) -> None:
    await keep(store, callback(1), callback(2))
    (first, _) = await claim(store)
    await store.transact(lambda tx: tx.callbacks.put_back([first], ODD_INSTANT))
    assert (await found(store, 1)).progress == DeliveryProgress(
        date_updated=ODD_INSTANT, due=ODD_INSTANT
    )
    assert await attempts_of(store, 1) == []
    assert len(await attempts_of(store, 2)) == 1


async def test_a_requeued_retry_keeps_its_round_and_the_attempts_before_it(store: Store) -> None:
    await keep(store, callback(1))
    (taken,) = await claim(store)
    again = begin(taken.progress, NOW + SECOND, total_timeout=15 * SECOND)
    first = ended(taken, RetryNow())._replace(progress=again)
    await settle(store, first)
    claimed_again = taken._replace(callback=taken.callback.having(again))
    await store.transact(lambda tx: tx.callbacks.put_back([claimed_again], ODD_INSTANT))
    assert (await found(store, 1)).progress == DeliveryProgress(
        date_updated=ODD_INSTANT,
        attempt_count=1,
        due=ODD_INSTANT,
        round_attempts=1,
        round_began=NOW,
    )
    assert await attempts_of(store, 1) == [first.attempt]


async def test_a_requeued_callback_is_claimed_with_the_same_number(store: Store) -> None:
    await keep(store, callback(1))
    claims = await claim(store)
    await store.transact(lambda tx: tx.callbacks.put_back(claims, NOW))
    (again,) = await claim(store, NOW + SECOND)
    assert (again.attempt.number, again.attempt.date_started) == (1, NOW + SECOND)


async def test_an_attempt_that_did_not_leave_is_settled_without_a_row_and_may_be_due_later(
    store: Store,
) -> None:
    await keep(store, callback(1), callback(2))
    (first, second) = await claim(store)
    later = put_back(first.progress, NOW, due=NOW + SECOND)
    await settle(store, Settlement(first, later), ended(second, NoRetryNeeded()))
    assert (await found(store, 1)).progress == DeliveryProgress(NOW, due=NOW + SECOND)
    assert await attempts_of(store, 1) == []
    assert await left_open(store) == []
    assert await claim(store) == []
    (again,) = await claim(store, NOW + SECOND)
    assert (again.callback.sid, again.attempt.number) == (first.callback.sid, 1)


async def test_requeuing_nothing_changes_nothing(store: Store) -> None:
    await keep(store, callback(1))
    await store.transact(lambda tx: tx.callbacks.put_back([], NOW))
    assert await found(store, 1) == callback(1)
