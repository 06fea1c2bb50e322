"""Callbacks with the same order key are claimed one after the other, in the order of their adds."""

from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from ringback.core.callbacks.callback import CallbackRecord, begin, discard, plan_anew, replay
from ringback.core.callbacks.retry import Decision, GiveUp, NoRetryNeeded, RetryLater, RetryNow
from ringback.core.callbacks.shards import shard_of
from ringback.ports import (
    DeliveryClaim,
    Lane,
    LaneDue,
    PageWindow,
    SettledAttempts,
    Store,
    Transaction,
)
from ringback.stores.sql.callback_rows import BLOCKED
from ringback.stores.sql.callbacks import SqlCallbacks
from ringback.stores.sql.field_columns import from_us
from ringback.stores.sql.order_heads import OrderedRow
from ringback.stores.sqlite.store import SqliteStore
from tests.fakes import NOW, next_due_in
from tests.stores.asking import callbacks_on, claim, ended, found, keep, numbers_of
from tests.stores.records import HOST, OUR_LANE, OURS, SECOND, THEIR_LANE, THEIRS, callback

LATER = NOW + timedelta(days=1)


def ordered(
    number: int, key: str = "SIM", account_sid: str = OURS, *, due: datetime = NOW, url: str = HOST
) -> CallbackRecord:
    return callback(number, account_sid, due=due, url=url)._replace(order_key=key)


async def claimed(store: Store, now: datetime = LATER, *, lane: Lane = OUR_LANE) -> list[int]:
    """Claim all that can be claimed, and return the numbers of the callbacks."""
    return numbers_of(await claim(store, now, lane=lane))


async def save(store: Store, *claims: DeliveryClaim, decision: Decision) -> SettledAttempts:
    settlements = [ended(one, decision) for one in claims]
    return await store.transact(lambda tx: tx.callbacks.settle(settlements))


async def deliver(store: Store) -> tuple[list[int], list[LaneDue]]:
    """Claim all that can be claimed, and deliver it; return the numbers, and whose turn it is."""
    claims = await claim(store, LATER)
    return numbers_of(claims), [*(await save(store, *claims, decision=NoRetryNeeded())).turns]


async def replayed(store: Store, number: int, now: datetime = NOW) -> LaneDue | None:
    one = await found(store, number)
    again = one.having(replay(one.progress, now))
    return await store.transact(lambda tx: tx.callbacks.change(again))


async def discarded(store: Store, number: int) -> LaneDue | None:
    one = await found(store, number)
    gone = one.having(discard(one.progress, "enough", NOW))
    return await store.transact(lambda tx: tx.callbacks.change(gone))


async def test_one_callback_of_a_key_is_claimed_at_a_time(store: Store) -> None:
    await keep(store, *(ordered(number) for number in (3, 1, 2)))
    assert await deliver(store) == ([3], [LaneDue(OUR_LANE, NOW)])
    assert await deliver(store) == ([1], [LaneDue(OUR_LANE, NOW)])
    assert await deliver(store) == ([2], [])
    assert await deliver(store) == ([], [])


async def test_nothing_else_is_claimed_before_the_first_has_ended(store: Store) -> None:
    await keep(store, ordered(1), ordered(2))
    assert await claimed(store) == [1]
    assert await claimed(store) == []


async def test_other_keys_accounts_and_destinations_wait_for_none_of_it(store: Store) -> None:
    other = "http://127.0.0.1:9001"
    await keep(store, ordered(1), ordered(2), ordered(3, "other"), callback(4))
    await keep(store, ordered(5, account_sid=THEIRS), ordered(6, url=other))
    assert sorted(await claimed(store)) == [1, 3, 4]
    assert await claimed(store, lane=THEIR_LANE) == [5]
    assert await claimed(store, lane=Lane(OURS, other)) == [6]


@pytest.mark.parametrize("decision", [RetryNow(), RetryLater(NOW + SECOND, 1)])
async def test_a_retry_stays_the_first(store: Store, decision: Decision) -> None:
    await keep(store, ordered(1), ordered(2))
    (taken,) = await claim(store)
    assert (await save(store, taken, decision=decision)).turns == []
    assert await deliver(store) == ([1], [LaneDue(OUR_LANE, NOW)])


async def test_a_callback_that_is_put_back_stays_the_first(store: Store) -> None:
    await keep(store, ordered(1), ordered(2))
    taken = await claim(store)
    await store.transact(lambda tx: tx.callbacks.put_back(taken, NOW))
    assert await claimed(store) == [1]


async def test_a_failure_ends_it_too(store: Store) -> None:
    await keep(store, ordered(1), ordered(2, due=NOW + SECOND))
    (taken,) = await claim(store)
    turns = (await save(store, taken, decision=GiveUp("enough"))).turns
    assert turns == [LaneDue(OUR_LANE, NOW + SECOND)]
    assert await claimed(store) == [2]


async def test_the_first_holds_the_others_until_it_is_due(store: Store) -> None:
    await keep(store, ordered(1, due=LATER), ordered(2))
    assert await claimed(store, NOW) == []
    assert await claimed(store, LATER) == [1]


async def test_many_keys_are_settled_together(store: Store) -> None:
    keys = [f"key {number}" for number in range(9)]
    await keep(store, *(ordered(n, key) for n, key in enumerate(keys * 3)))
    for turn in range(3):
        numbers, turns = await deliver(store)
        assert sorted(numbers) == [*range(9 * turn, 9 * turn + 9)]
        assert len(turns) == (9 if turn < 2 else 0)


# ---- what is discarded and replayed --------------------------------------------------------------


async def test_the_next_follows_a_discarded_one(store: Store) -> None:
    await keep(store, ordered(1), ordered(2))
    assert await discarded(store, 1) == LaneDue(OUR_LANE, NOW)
    assert await claimed(store) == [2]


async def test_one_that_was_discarded_while_it_waited_is_passed_over(store: Store) -> None:
    await keep(store, ordered(1), ordered(2), ordered(3))
    assert await discarded(store, 2) is None
    assert await deliver(store) == ([1], [LaneDue(OUR_LANE, NOW)])
    assert await deliver(store) == ([3], [])


async def test_all_that_wait_are_discarded_at_once(store: Store) -> None:
    await keep(store, ordered(1), ordered(2), ordered(3))

    def work(tx: Transaction) -> list[LaneDue | None]:
        waiting = [tx.callbacks.get(OURS, callback(number).sid) for number in (1, 2, 3)]
        return [
            tx.callbacks.change(one.having(discard(one.progress, "enough", NOW)))
            for one in waiting
            if one is not None
        ]

    turn = LaneDue(OUR_LANE, NOW)
    assert await store.transact(work) == [turn, turn, None]
    await keep(store, ordered(4))
    assert await claimed(store) == [4]


async def test_a_replayed_callback_comes_before_those_that_were_never_sent(store: Store) -> None:
    await keep(store, ordered(1), ordered(2), ordered(3))
    assert await deliver(store) == ([1], [LaneDue(OUR_LANE, NOW)])
    assert await replayed(store, 1, NOW + SECOND) is None
    assert await deliver(store) == ([2], [LaneDue(OUR_LANE, NOW + SECOND)])
    assert (await deliver(store))[0] == [1]
    assert (await deliver(store))[0] == [3]


async def test_older_ones_are_replayed_first(store: Store) -> None:
    await keep(store, *(ordered(number) for number in range(5)))
    for number in range(4):
        assert (await deliver(store))[0] == [number]
    for number in (2, 0, 1):
        await replayed(store, number)
    await keep(store, ordered(5))
    assert [(await deliver(store))[0] for _ in range(6)] == [[4], [0], [1], [2], [5], []]


async def test_a_replayed_callback_is_sent_at_once_if_nothing_is_before_it(store: Store) -> None:
    await keep(store, ordered(1))
    await deliver(store)
    await replayed(store, 1)
    await keep(store, ordered(2))
    assert (await deliver(store))[0] == [1]
    assert (await deliver(store))[0] == [2]


async def test_a_callback_keeps_its_place_if_its_wait_begins_again(store: Store) -> None:
    await keep(store, ordered(1), ordered(2), ordered(3))
    for number in (1, 3):
        one = await found(store, number)
        anew = one.having(plan_anew(one.progress, NOW + SECOND))
        assert await store.transact(lambda tx, anew=anew: tx.callbacks.change(anew)) is None
    assert [(await deliver(store))[0] for _ in range(3)] == [[1], [2], [3]]


async def test_one_that_was_discarded_before_it_was_sent_is_replayed_before_the_others(
    store: Store,
) -> None:
    await keep(store, ordered(1), ordered(2), ordered(3))
    await discarded(store, 3)
    await replayed(store, 3)
    assert [(await deliver(store))[0] for _ in range(3)] == [[1], [3], [2]]


@pytest.mark.parametrize("empty", ["sqlite", "postgres"], indirect=True)
async def test_one_that_is_sent_out_of_its_turn_is_not_followed(store: Store) -> None:
    """A server of the version before, which knows no order, replays so."""
    await keep(store, ordered(1), ordered(2), ordered(3))

    def let_go(tx: Transaction) -> None:
        cast("SqlCallbacks", tx.callbacks)._session.write_queued(
            "UPDATE waiting SET due_us = own_due_us, order_key = NULL, order_place = NULL,"
            " own_due_us = NULL WHERE order_place = 2"
        )

    await store.transact(let_go)
    first, second = await claim(store)
    assert numbers_of([first, second]) == [1, 2]
    assert (await save(store, second, decision=NoRetryNeeded())).turns == []
    assert await claimed(store) == []
    assert (await save(store, first, decision=NoRetryNeeded())).turns == [LaneDue(OUR_LANE, NOW)]
    assert await claimed(store) == [3]


# ---- new callbacks -------------------------------------------------------------------------------


def sent(one: CallbackRecord) -> CallbackRecord:
    """Return a new callback whose first attempt is under way."""
    return one.having(begin(one.progress, NOW, total_timeout=15 * SECOND))


async def test_a_new_callback_can_be_sent_if_none_is_before_it(store: Store) -> None:
    def send(tx: Transaction, number: int) -> bool:
        is_first = tx.callbacks.take_place(ordered(number))
        tx.callbacks.add(sent(ordered(number)) if is_first else ordered(number))
        return is_first

    assert await store.transact(lambda tx: send(tx, 1))
    assert not await store.transact(lambda tx: send(tx, 2))
    assert await store.transact(lambda tx: tx.callbacks.take_place(callback(3)))
    assert await claimed(store) == []


async def test_one_that_is_sent_at_once_is_followed(store: Store) -> None:
    def send(tx: Transaction) -> list[DeliveryClaim]:
        assert tx.callbacks.take_place(ordered(1))
        row_id = tx.callbacks.add(sent(ordered(1)))
        account = tx.accounts.get(OURS)
        assert account is not None
        begun = DeliveryClaim(sent(ordered(1)), account, OUR_LANE, row_id=row_id, run=row_id)
        return [begun._replace(is_new=True)]

    (taken,) = await store.transact(send)
    await keep(store, ordered(2))
    assert await claimed(store) == []
    turns = (await save(store, taken, decision=NoRetryNeeded())).turns
    assert turns == [LaneDue(OUR_LANE, NOW)]
    assert await claimed(store) == [2]


async def test_a_new_callback_is_not_sent_behind_another_one(store: Store) -> None:
    await keep(store, ordered(1))
    with pytest.raises(ValueError, match="before it"):
        await store.transact(lambda tx: tx.callbacks.add(sent(ordered(2))))
    await keep(store, ordered(3))
    assert (await deliver(store))[0] == [1]
    assert (await deliver(store))[0] == [3]


async def test_a_place_of_a_transaction_that_fails_is_free_again(store: Store) -> None:
    def fail(tx: Transaction) -> None:
        tx.callbacks.add(ordered(1))
        assert not tx.callbacks.take_place(ordered(2))
        raise RuntimeError

    for _ in range(2):
        with pytest.raises(RuntimeError):
            await store.transact(fail)
    await keep(store, ordered(2), ordered(1))
    assert (await deliver(store))[0] == [2]
    assert (await deliver(store))[0] == [1]


async def test_one_that_has_ended_when_it_is_added_has_no_place(store: Store) -> None:
    gone = ordered(1).having(discard(ordered(1).progress, "enough", NOW))
    await keep(store, gone, ordered(2))
    assert await claimed(store) == [2]


# ---- what is read --------------------------------------------------------------------------------


async def test_one_that_waits_for_its_turn_is_read_with_its_own_due_time(store: Store) -> None:
    second = ordered(2, due=NOW + 9 * SECOND)
    await keep(store, ordered(1), second)
    assert await found(store, 2) == second
    assert await callbacks_on(store, PageWindow(9)) == [second, ordered(1)]
    assert await store.transact(lambda tx: tx.callbacks.unfinished()) == {OURS: 2}
    await deliver(store)
    assert await found(store, 2) == second


def test_servers_of_the_version_before_can_read_when_those_are_due_that_wait_for_their_turn() -> (
    None
):
    assert from_us(BLOCKED) == datetime.max.replace(tzinfo=UTC)


async def test_a_lane_in_which_all_wait_for_their_turn_is_not_due(store: Store) -> None:
    first = "http://a.example"
    await keep(store, *(ordered(number, url=first) for number in range(3)), callback(9))
    lane = Lane(OURS, f"{first}:80")
    assert await claimed(store, lane=lane) == [0]
    assert await store.transact(lambda tx: next_due_in(tx, lane)) is None
    assert await store.transact(lambda tx: tx.callbacks.waiting()) == [LaneDue(OUR_LANE, NOW)]
    assert await store.transact(lambda tx: tx.callbacks.due_before([LATER])) == [1]
    shards = {shard_of(lane.destination)}
    assert await store.transact(lambda tx: tx.callbacks.oldest_due(shards, LATER)) is None


async def test_changes_by_a_clock_ahead_are_found_once_it_is_their_turn(store: Store) -> None:
    def ahead(tx: Transaction) -> list[int]:
        return numbers_of(tx.callbacks.changed_after(NOW, limit=9))

    await keep(store, ordered(1), ordered(2))
    two = await found(store, 2)
    wrong = two.progress._replace(date_updated=LATER, due=LATER)
    await store.transact(lambda tx: tx.callbacks.change(two.having(wrong)))
    assert await store.transact(ahead) == []
    (taken,) = await claim(store)
    assert await store.transact(ahead) == []
    await save(store, taken, decision=NoRetryNeeded())
    assert await store.transact(ahead) == [2]


async def test_heads_are_never_wrong_without_servers_of_another_version(store: Store) -> None:
    await keep(store, ordered(1), ordered(2))
    assert await store.transact(lambda tx: tx.callbacks.restore_order(limit=9)) == 0
    assert await claimed(store) == [1]


async def test_a_callback_without_a_key_has_no_place(sqlite: SqliteStore) -> None:
    def join(tx: Transaction) -> None:
        heads = cast("SqlCallbacks", tx.callbacks)._order
        with pytest.raises(ValueError, match="no order key"):
            heads.join(OrderedRow(callback(1), 1))

    await sqlite.transact(join)
