"""Processes that change callbacks of one order key at the same time in a PostgreSQL database.

In each test, one transaction has done its work, and has not committed it, when another one begins.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any, cast

import pytest

from ringback.core.callbacks.callback import CallbackRecord, discard, replay
from ringback.core.callbacks.retry import NoRetryNeeded, RetryNow
from ringback.core.http.http_exchange import AttemptResult
from ringback.core.http.outcome import UnknownOutcome
from ringback.ports import DeliveryClaim, LaneDue, Transaction
from ringback.runtime.system_clock import steady_milliseconds
from ringback.stores.postgres import store as store_module
from ringback.stores.postgres.callbacks import PostgresCallbacks
from ringback.stores.postgres.order_heads import PostgresOrderHeads
from ringback.stores.postgres.store import PostgresOptions, PostgresStore
from tests.fakes import NOW, VAULT
from tests.stores.asking import claim, ended, keep, numbers_of, settle
from tests.stores.postgres_bench import PostgresBench
from tests.stores.records import OUR_LANE, OURS, account, callback

Work = Callable[[Transaction], Any]
LATER = NOW + timedelta(days=1)
TURN = LaneDue(OUR_LANE, NOW)


def ordered(number: int, key: str = "SIM") -> CallbackRecord:
    return callback(number)._replace(order_key=key)


class Pair:
    """Two processes that share a database; the first one owns all shards."""

    def __init__(self, bench: PostgresBench, first: PostgresStore, second: PostgresStore) -> None:
        self.bench = bench
        self.first = first
        self.second = second

    async def overlap(
        self, work: Work, then: Work, *, quick: tuple[bool, bool] = (True, True)
    ) -> tuple[Any, Any]:
        """Do some work in the first process and, before its commit, begin other work in the second.

        The first one commits once the second one waits for it, or has ended. Returns both results.
        """
        loop, begun = asyncio.get_running_loop(), list[Any]()

        async def in_second() -> Any:
            return await self.second.transact(then, is_quick=quick[1])

        def in_first(tx: Transaction) -> Any:
            result = work(tx)
            tx.callbacks.find("none")  # this writes what is queued
            if not begun:
                begun.append(asyncio.run_coroutine_threadsafe(in_second(), loop))
                self._wait_for(begun[0].done)
            return result

        one = await self.first.transact(in_first, is_quick=quick[0])
        return one, await asyncio.wrap_future(begun[0])

    def _wait_for(self, has_ended: Callable[[], bool]) -> None:
        """Wait until somebody waits for a lock, or the other work has ended."""
        last = time.monotonic() + 10
        while time.monotonic() < last and not has_ended():
            row = self.bench.connection.execute(
                "SELECT FROM pg_locks WHERE NOT granted AND locktype <> 'relation'"
            ).fetchone()
            if row is not None:
                return
            time.sleep(0.005)
        assert has_ended()

    async def next(self) -> list[int]:
        """Claim all that can be claimed, deliver it, and return the numbers of the callbacks."""
        claims = await claim(self.first, LATER)
        await settle(self.first, *(ended(one, NoRetryNeeded()) for one in claims))
        return numbers_of(claims)

    async def rest(self) -> list[list[int]]:
        """Deliver all that is left, and return the numbers in the order of the deliveries."""
        numbers = list[list[int]]()
        while some := await self.next():
            numbers.append(some)
        assert self.bench.connection.execute("SELECT FROM order_heads").fetchall() == []
        return numbers


@pytest.fixture
async def pair(
    postgres_bench: PostgresBench, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Pair]:
    await postgres_bench.leave()
    # Nothing here may rely on the server to notice that two transactions wait for each other.
    set_timeout = "ALTER DATABASE conformance {} deadlock_timeout"
    postgres_bench.connection.execute(f"{set_timeout.format('SET')} = '1h'")
    async with AsyncExitStack() as stack:
        stack.callback(postgres_bench.connection.execute, set_timeout.format("RESET"))
        stores = list[PostgresStore]()
        # The clock of the second one is behind, and so are the ids of its rows.
        for behind in (0, 10_000):
            late = lambda behind=behind: steady_milliseconds() - behind  # noqa: E731 (a name is enough)
            monkeypatch.setattr(store_module, "steady_milliseconds", late)
            # Requests of earlier owners have ended long ago, even if the clock is set back.
            options = PostgresOptions(lease=timedelta(hours=1), open_for=-timedelta(hours=1))
            store = PostgresStore.open(postgres_bench.dsn, VAULT, options)
            stack.push_async_callback(store.close)
            stores.append(store)
            if not behind:
                await store.cluster.renew()
                await store.transact(lambda tx: tx.accounts.add(account(), []))
        pair = Pair(postgres_bench, *stores)
        await keep(pair.first, callback(99))  # the lane has a row from now on
        assert await pair.next() == [99]
        yield pair
    await postgres_bench.end()


def adding(*numbers: int) -> Work:
    def add(tx: Transaction) -> list[bool]:
        are_first = list[bool]()
        for number in numbers:
            are_first.append(tx.callbacks.take_place(ordered(number)))
            tx.callbacks.add(ordered(number))
        return are_first

    return add


def settling(*claims: DeliveryClaim) -> Work:
    settlements = [ended(one, NoRetryNeeded()) for one in claims]
    return lambda tx: tx.callbacks.settle(settlements).turns


def discarding(number: int) -> Work:
    def change(tx: Transaction) -> LaneDue | None:
        one = tx.callbacks.get(OURS, callback(number).sid)
        assert one is not None
        return tx.callbacks.change(one.having(discard(one.progress, "enough", NOW)))

    return change


def replaying(number: int) -> Work:
    def change(tx: Transaction) -> LaneDue | None:
        one = tx.callbacks.get(OURS, callback(number).sid)
        assert one is not None
        return tx.callbacks.change(one.having(replay(one.progress, NOW)))

    return change


async def sent(pair: Pair, *numbers: int) -> list[DeliveryClaim]:
    """Add callbacks with one order key, and claim the first of them."""
    await keep(pair.first, *map(ordered, numbers))
    return await claim(pair.first, LATER)


KINDS = [
    *((True, True), (False, False)),
    *(pytest.param(kinds, marks=pytest.mark.long) for kinds in [(True, False), (False, True)]),
]
"""Whether the work of each process is quick."""


@pytest.mark.parametrize("quick", KINDS)
async def test_of_two_that_add_the_one_that_commits_first_is_before(
    pair: Pair, quick: tuple[bool, bool]
) -> None:
    assert await pair.overlap(adding(1, 2), adding(3, 4), quick=quick) == (
        [True, False],
        [False, False],
    )
    ids = pair.bench.connection.execute("SELECT id FROM waiting ORDER BY order_place NULLS FIRST")
    one, two, three, four = [row_id for (row_id,) in ids]
    assert three < four < one < two, "the ids of rows have another order"
    assert await pair.rest() == [[1], [2], [3], [4]]


@pytest.mark.parametrize("quick", KINDS)
@pytest.mark.parametrize("waiting", [(), (2,)], ids=["nobody else waits", "another one waits"])
async def test_one_is_added_while_the_first_one_ends(
    pair: Pair, quick: tuple[bool, bool], waiting: tuple[int, ...]
) -> None:
    claims = await sent(pair, 1, *waiting)
    turns, are_first = await pair.overlap(settling(*claims), adding(3), quick=quick)
    assert turns == [TURN] * len(waiting)
    assert are_first == [not waiting]
    assert await pair.rest() == [[number] for number in (*waiting, 3)]


@pytest.mark.parametrize("quick", KINDS)
@pytest.mark.parametrize("waiting", [(), (2,)], ids=["nobody else waits", "another one waits"])
async def test_the_first_one_ends_while_another_is_added(
    pair: Pair, quick: tuple[bool, bool], waiting: tuple[int, ...]
) -> None:
    claims = await sent(pair, 1, *waiting)
    are_first, turns = await pair.overlap(adding(3), settling(*claims), quick=quick)
    assert are_first == [False]
    assert turns == [TURN]
    assert await pair.rest() == [[number] for number in (*waiting, 3)]


@pytest.mark.parametrize("quick", KINDS)
async def test_one_is_replayed_while_the_first_one_ends(
    pair: Pair, quick: tuple[bool, bool]
) -> None:
    claims = await sent(pair, 1, 2, 3)
    await settle(pair.first, *(ended(one, NoRetryNeeded()) for one in claims))
    claims = await claim(pair.first)
    turns, _ = await pair.overlap(settling(*claims), replaying(1), quick=quick)
    assert turns == [TURN]
    assert await pair.rest() == [[3], [1]]


@pytest.mark.parametrize("quick", KINDS)
async def test_the_first_one_ends_while_another_is_replayed(
    pair: Pair, quick: tuple[bool, bool]
) -> None:
    claims = await sent(pair, 1, 2, 3)
    await settle(pair.first, *(ended(one, NoRetryNeeded()) for one in claims))
    claims = await claim(pair.first)
    _, turns = await pair.overlap(replaying(1), settling(*claims), quick=quick)
    assert turns == [TURN]
    assert await pair.rest() == [[1], [3]]


@pytest.mark.parametrize("quick", KINDS)
async def test_the_last_one_ends_while_another_is_replayed(
    pair: Pair, quick: tuple[bool, bool]
) -> None:
    claims = await sent(pair, 1, 2)
    await settle(pair.first, *(ended(one, NoRetryNeeded()) for one in claims))
    claims = await claim(pair.first)
    _, turns = await pair.overlap(replaying(1), settling(*claims), quick=quick)
    assert turns == [TURN]
    assert await pair.rest() == [[1]]


@pytest.mark.parametrize("quick", KINDS)
@pytest.mark.parametrize("others", [(), (3,)], ids=["nobody else waits", "another one waits"])
async def test_the_next_one_is_discarded_while_the_first_one_ends(
    pair: Pair, quick: tuple[bool, bool], others: tuple[int, ...]
) -> None:
    claims = await sent(pair, 1, 2, *others)
    turns, turn = await pair.overlap(settling(*claims), discarding(2), quick=quick)
    assert turns == [TURN]
    assert turn == (TURN if others else None)
    assert await pair.rest() == [[number] for number in others]


@pytest.mark.parametrize("quick", KINDS)
@pytest.mark.parametrize("others", [(), (3,)], ids=["nobody else waits", "another one waits"])
async def test_the_first_one_ends_while_the_next_is_discarded(
    pair: Pair, quick: tuple[bool, bool], others: tuple[int, ...]
) -> None:
    claims = await sent(pair, 1, 2, *others)
    turn, turns = await pair.overlap(discarding(2), settling(*claims), quick=quick)
    assert turn is None
    assert turns == [TURN] * len(others)
    assert await pair.rest() == [[number] for number in others]


@pytest.mark.parametrize("quick", KINDS)
async def test_both_are_discarded(pair: Pair, quick: tuple[bool, bool]) -> None:
    await keep(pair.first, ordered(1), ordered(2), ordered(3))
    assert await pair.overlap(discarding(1), discarding(2), quick=quick) == (TURN, TURN)
    assert await pair.rest() == [[3]]


async def test_processes_that_wait_for_each_other_both_get_done(pair: Pair) -> None:
    tries, meeting = list[str](), threading.Barrier(2)

    def adding_both(*numbers: int) -> Work:
        keys = ("a", "b") if numbers == (1, 2) else ("b", "a")

        def add(tx: Transaction) -> None:
            tries.append(keys[0])
            tx.callbacks.add(ordered(numbers[0], keys[0]))
            if tries.count(keys[0]) == 1:
                meeting.wait(10)
            tx.callbacks.add(ordered(numbers[1], keys[1]))

        return add

    async with asyncio.timeout(20):
        await asyncio.gather(
            pair.first.transact(adding_both(1, 2), is_quick=True),
            pair.second.transact(adding_both(3, 4), is_quick=True),
        )
    assert len(tries) > 2
    rest = await pair.rest()
    assert sorted(map(sorted, rest)) == [[1, 2], [3, 4]], "one transaction is before the other"


# ---- takeovers, and servers of the version before ------------------------------------------------


async def take_over(pair: Pair) -> None:
    """Have the second process own the shards of the first one."""
    ended = "UPDATE workers SET lease_until = '-infinity' WHERE worker = %s"
    pair.bench.connection.execute(ended, [pair.first.cluster.worker])
    await pair.second.cluster.renew()


async def test_a_result_that_comes_after_a_takeover_lets_nobody_follow(pair: Pair) -> None:
    claims = await sent(pair, 1, 2)
    await take_over(pair)
    (open_,) = await pair.second.transact(lambda tx: tx.callbacks.left_open())
    unknown = ended(open_, RetryNow(), result=AttemptResult(UnknownOutcome()))
    assert (await pair.second.transact(lambda tx: tx.callbacks.settle([unknown]))).turns == []
    late = [ended(one, NoRetryNeeded()) for one in claims]
    outdated, turns = await pair.first.transact(lambda tx: tx.callbacks.settle(late))
    assert (outdated, turns) == (late, [])
    (again,) = await claim(pair.second, LATER)
    assert numbers_of([again]) == [1]
    await pair.first.transact(lambda tx: tx.callbacks.put_back(claims, NOW))
    assert await claim(pair.second, LATER) == []
    await settle(pair.second, ended(again, NoRetryNeeded()))
    assert numbers_of(await claim(pair.second, LATER)) == [2]


async def test_one_that_is_sent_at_once_waits_if_the_shard_was_lost_and_stays_first(
    pair: Pair,
) -> None:
    await take_over(pair)

    def send(tx: Transaction) -> None:
        assert tx.callbacks.take_place(ordered(1))
        begun = ordered(1).progress._replace(
            due=None, attempt_count=1, round_attempts=1, round_began=NOW
        )
        tx.callbacks.add(ordered(1).having(begun))

    await pair.first.transact(send, is_quick=True)
    await keep(pair.second, ordered(2))
    (taken,) = await claim(pair.second, LATER)
    assert numbers_of([taken]) == [1]
    assert await pair.second.transact(settling(taken)) == [TURN]


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As if both were of the version before, until `undo` is called: nobody follows."""
    monkeypatch.setattr(PostgresOrderHeads, "end", lambda self, ended: [])
    return monkeypatch


@pytest.mark.parametrize("quick", KINDS)
async def test_one_that_an_old_server_discards_while_the_first_one_ends_is_passed_over(
    pair: Pair, quick: tuple[bool, bool]
) -> None:
    claims = await sent(pair, 1, 2, 3)

    def discard_as_before(tx: Transaction) -> None:
        two = callback(2)
        (row_id,) = pair.bench.connection.execute(
            "SELECT id FROM callbacks WHERE sid = %s", [two.sid]
        ).fetchone() or (0,)
        gone = ordered(2).having(discard(two.progress, "enough", NOW))
        cast("PostgresCallbacks", tx.callbacks)._change(gone, row_id)

    _, turns = await pair.overlap(discard_as_before, settling(*claims), quick=quick)
    assert turns == [TURN]
    assert await pair.rest() == [[3]]


async def test_those_that_an_old_server_leaves_waiting_are_found(
    pair: Pair, old: pytest.MonkeyPatch
) -> None:
    await keep(pair.first, *(ordered(n, key) for n, key in enumerate("abcdabcd")))
    *claims, last = await claim(pair.first, LATER)
    await settle(pair.first, *(ended(one, NoRetryNeeded()) for one in claims))
    old.undo()
    assert await pair.next() == []

    def restore(tx: Transaction) -> int:
        return tx.callbacks.restore_order(limit=2)

    assert await pair.second.transact(restore) == 0, "it does not own the shards"
    assert [await pair.first.transact(restore) for _ in range(4)] == [2, 1, 0, 0]
    assert sorted(await pair.next()) == [4, 5, 6]
    await settle(pair.first, ended(last, NoRetryNeeded()))
    assert await pair.rest() == [[7]]


async def test_a_key_that_an_old_server_has_left_without_callbacks_is_free_again(
    pair: Pair, old: pytest.MonkeyPatch
) -> None:
    claims = await sent(pair, 1)
    await settle(pair.first, *(ended(one, NoRetryNeeded()) for one in claims))
    old.undo()
    assert await pair.first.transact(adding(2)) == [False]
    assert await pair.first.transact(lambda tx: tx.callbacks.restore_order(limit=9)) == 1
    assert await pair.rest() == [[2]]


async def test_one_that_is_replayed_after_an_old_server_has_ended_it_is_the_first_again(
    pair: Pair, old: pytest.MonkeyPatch
) -> None:
    claims = await sent(pair, 1, 2)
    await settle(pair.first, *(ended(one, NoRetryNeeded()) for one in claims))
    old.undo()
    await pair.first.transact(replaying(1))
    assert await pair.first.transact(lambda tx: tx.callbacks.restore_order(limit=9)) == 0
    assert await pair.rest() == [[1], [2]]
