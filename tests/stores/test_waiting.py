"""Callbacks that are left open or waiting, and their numbers."""

from collections.abc import Callable
from datetime import datetime, timedelta

from ringback.core.callbacks.callback import CallbackStatus, DeliveryProgress
from ringback.core.callbacks.retry import GiveUp, NoRetryNeeded
from ringback.core.callbacks.shards import shard_of
from ringback.core.http.http_exchange import AttemptResult
from ringback.core.http.outcome import UnknownOutcome
from ringback.ports import Lane, LaneDue, Store, Transaction
from tests.fakes import NOW, next_due_in
from tests.stores.asking import claim, ended, keep, left_open, numbers_of, settle
from tests.stores.records import (
    ODD_INSTANT,
    OUR_LANE,
    OURS,
    SECOND,
    THEIR_LANE,
    THEIRS,
    account,
    callback,
)

HERE, ELSEWHERE = "https://here.example/", "https://else.example/"


async def test_an_attempt_in_progress_is_open_until_it_is_settled(store: Store) -> None:
    await keep(store, callback(1), callback(2, THEIRS), callback(3))
    (first, third) = await claim(store)
    (second,) = await claim(store, lane=THEIR_LANE)
    await settle(store, ended(first, GiveUp("no"), result=AttemptResult(UnknownOutcome())))
    assert {(one.callback.sid, one.attempt, one.account) for one in await left_open(store)} == {
        (second.callback.sid, second.attempt, account(THEIRS)),
        (third.callback.sid, third.attempt, account()),
    }


async def test_an_open_attempt_has_its_callbacks_progress(store: Store) -> None:
    await keep(store, callback(1))
    (taken,) = await claim(store, ODD_INSTANT)
    (found,) = await left_open(store)
    assert found.progress == taken.progress


async def test_without_attempts_in_progress_nothing_is_open(store: Store) -> None:
    await keep(store, callback(1))
    assert await left_open(store) == []


async def test_the_next_of_a_lane_is_due_at_the_earliest_instant(store: Store) -> None:
    await keep(store, callback(1, due=ODD_INSTANT), callback(2, due=NOW + SECOND))
    await keep(store, callback(3, THEIRS), callback(4, url=ELSEWHERE))
    assert await store.transact(lambda tx: next_due_in(tx, OUR_LANE)) == NOW + SECOND


async def test_without_waiting_callbacks_nothing_is_due_next(store: Store) -> None:
    await keep(store, callback(1), callback(2, THEIRS))
    await claim(store)
    assert await store.transact(lambda tx: next_due_in(tx, OUR_LANE)) is None


async def test_waiting_lanes_are_listed_once_with_their_earliest_instant(store: Store) -> None:
    await keep(
        store,
        callback(1, due=NOW + 2 * SECOND),
        callback(2, due=NOW + SECOND),
        callback(3, THEIRS, due=ODD_INSTANT),
        callback(4, url=ELSEWHERE),
        callback(5).having(DeliveryProgress(NOW, CallbackStatus.FAILED)),
        callback(6, url="http://under-way.example"),
    )
    await claim(store, lane=Lane(OURS, "http://under-way.example:80"))
    waiting = await store.transact(lambda tx: tx.callbacks.waiting())
    assert sorted(waiting) == [
        LaneDue(OUR_LANE, NOW + SECOND),
        LaneDue(Lane(OURS, "https://else.example:443"), NOW),
        LaneDue(THEIR_LANE, ODD_INSTANT),
    ]


async def test_waiting_lanes_are_listed_in_parts(store: Store) -> None:
    await keep(
        store, callback(1), callback(2, url=ELSEWHERE), callback(3, THEIRS), callback(4, THEIRS)
    )
    whole = await store.transact(lambda tx: tx.callbacks.waiting())
    first = await store.transact(lambda tx: tx.callbacks.waiting(limit=2))
    rest = await store.transact(lambda tx: tx.callbacks.waiting(after=first[-1].lane, limit=2))
    assert first + rest == whole
    assert len(rest) == 1


async def test_the_longest_due_callback_of_some_destinations_is_found(store: Store) -> None:
    await keep(store, callback(1, due=NOW), callback(2, THEIRS, due=NOW - SECOND))
    await keep(store, callback(3, url=ELSEWHERE, due=NOW - 2 * SECOND))
    here, there = shard_of(OUR_LANE.destination), shard_of(ELSEWHERE.rstrip("/") + ":443")

    async def oldest_due(*shards: int, now: datetime = NOW) -> datetime | None:
        return await store.read(lambda tx: tx.callbacks.oldest_due(shards, now))

    assert await oldest_due(here) == NOW - SECOND
    assert await oldest_due(here, there) == NOW - 2 * SECOND
    assert await oldest_due(here, now=NOW - 2 * SECOND) is None
    assert await oldest_due() is None


async def test_nothing_waits_in_an_empty_store(empty: Store) -> None:
    assert await empty.transact(lambda tx: tx.callbacks.waiting()) == []


async def test_waiting_callbacks_and_those_in_progress_are_unfinished(store: Store) -> None:
    await keep(store, *map(callback, range(3)), callback(3, THEIRS))
    (taken, _) = await claim(store, limit=2)
    await settle(store, ended(taken, NoRetryNeeded()))
    assert await store.transact(lambda tx: tx.callbacks.unfinished()) == {OURS: 2, THEIRS: 1}


async def test_an_account_without_unfinished_callbacks_is_not_listed(store: Store) -> None:
    await keep(store, callback(1).having(DeliveryProgress(NOW, CallbackStatus.FAILED)))
    assert await store.transact(lambda tx: tx.callbacks.unfinished()) == {}


async def test_callbacks_changed_after_an_instant_are_found(store: Store) -> None:
    await keep(
        store,
        *(callback(number, url=HERE) for number in (1, 2, 3)),
        callback(4, created=NOW + 9 * SECOND, due=NOW + 99 * SECOND),
        callback(5).having(DeliveryProgress(NOW + 9 * SECOND, CallbackStatus.FAILED)),
        callback(6, url=ELSEWHERE),
        callback(7, created=NOW + 4 * SECOND, due=NOW + 4 * SECOND),
    )

    def change(tx: Transaction) -> None:
        for number, seconds in ((1, 3), (2, 2), (3, 1), (6, 9)):
            one = tx.callbacks.get(OURS, callback(number).sid)
            assert one is not None
            at = NOW + seconds * SECOND
            tx.callbacks.change(one.having(DeliveryProgress(at, due=at, attempt_count=1)))

    await store.transact(change)
    await claim(store, lane=Lane(OURS, "https://else.example:443"), now=NOW + 9 * SECOND)

    def after(instant: datetime, limit: int = 9) -> Callable[[Transaction], set[int]]:
        return lambda tx: set(numbers_of(tx.callbacks.changed_after(instant, limit=limit)))

    assert await store.transact(after(NOW)) == {1, 2, 3, 7}
    assert len(await store.transact(after(NOW, 2))) == 2
    assert await store.transact(after(NOW + 2 * SECOND)) == {1, 7}
    assert await store.transact(after(NOW + 4 * SECOND)) == set()


async def test_callbacks_that_are_changed_later_are_found_until_they_are_corrected(
    store: Store,
) -> None:
    def found(tx: Transaction) -> list[int]:
        return numbers_of(tx.callbacks.changed_after(NOW, limit=9))

    def change(tx: Transaction, at: datetime) -> None:
        one = tx.callbacks.get(OURS, callback(1).sid)
        assert one is not None
        tx.callbacks.change(one.having(DeliveryProgress(at, due=at + SECOND, attempt_count=1)))

    await keep(store, callback(1))
    assert await store.transact(found) == []
    for _ in range(2):
        await store.transact(lambda tx: change(tx, NOW + SECOND))
        assert await store.transact(found) == [1]
        await store.transact(lambda tx: change(tx, NOW))
        assert await store.transact(found) == []


async def test_the_number_of_waiting_callbacks_is_counted_for_each_instant(store: Store) -> None:
    await keep(
        store,
        callback(1),
        callback(2, THEIRS, due=NOW + SECOND),
        callback(3, due=NOW + SECOND),
        callback(4).having(DeliveryProgress(NOW, CallbackStatus.FAILED)),
    )
    instants = [NOW + 9 * SECOND, NOW, NOW + timedelta(microseconds=1)]
    assert await store.transact(lambda tx: tx.callbacks.due_before(instants)) == [3, 0, 1]


async def test_nothing_is_due_in_an_empty_store(empty: Store) -> None:
    assert await empty.transact(lambda tx: tx.callbacks.due_before([NOW, ODD_INSTANT])) == [0, 0]
