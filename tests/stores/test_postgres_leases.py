"""Processes that share a PostgreSQL database: who owns which shards, and what that allows."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from ringback.core.callbacks.callback import CallbackStatus, DeliveryProgress, begin
from ringback.core.callbacks.retry import NoRetryNeeded, RetryNow
from ringback.core.callbacks.shards import SHARDS, Role, shard_of
from ringback.core.destinations.destination_state import WELL, DestinationState
from ringback.core.http.http_exchange import AttemptResult, ReceiverResponseRecord
from ringback.core.http.outcome import UnknownOutcome
from ringback.core.job import Job, JobPiece
from ringback.engine.job_runner import PIECE, JobRunner
from ringback.operations.jobs import BulkReplay, do_piece
from ringback.ports import CallbackFilter, LeaseChange, News, PageWindow, Store, Transaction
from ringback.stores.postgres import cluster, leases, life_lock
from ringback.stores.postgres.lease_sessions import LeaseSession
from ringback.stores.postgres.store import PostgresOptions, PostgresStore
from tests.fakes import NOW, VAULT, FakeClock, SeededRandomness, a_context
from tests.stores.asking import (
    attempts_of,
    claim,
    ended,
    found,
    keep,
    lose_leases,
    numbers_of,
    settle,
)
from tests.stores.postgres_bench import PostgresBench
from tests.stores.records import HOST, OUR_LANE, OURS, SECOND, account, callback, job, shadow, task
from tests.stores.test_leases import OF_EACH_SHARD
from tests.streams import a_sink, a_subscription, add_stream

LONG = timedelta(hours=1)


class Processes:
    """Opens stores of one database, as several processes do, and closes them at the end."""

    def __init__(self, bench: PostgresBench, stack: AsyncExitStack) -> None:
        self.bench = bench
        self._stack = stack

    async def begin(self, **options: Any) -> PostgresStore:
        # Requests of earlier owners have ended long ago, even if the clock is set back.
        given = {"lease": LONG, "open_for": -LONG, **options}
        store = PostgresStore.open(self.bench.dsn, VAULT, PostgresOptions(**given))
        self._stack.push_async_callback(store.close)
        return store


@pytest.fixture
async def processes(postgres_bench: PostgresBench) -> AsyncIterator[Processes]:
    await postgres_bench.leave()
    async with AsyncExitStack() as stack:
        yield Processes(postgres_bench, stack)
    await postgres_bench.end()


@pytest.fixture
async def first(processes: Processes) -> PostgresStore:
    """A process that owns all shards, and has an account."""
    store = await processes.begin()
    await store.cluster.renew()
    await store.transact(lambda tx: tx.accounts.add(account(), []))
    return store


def owned(store: PostgresStore) -> frozenset[int]:
    return frozenset(store.cluster._epochs)


def may_send(store: PostgresStore, destination: str) -> bool:
    """Return True if a request may begin that was claimed under the present lease."""
    lease = store.cluster._epochs.get(shard_of(destination), 0)
    return store.cluster.may_send(destination, lease)


async def take_over(old: PostgresStore, new: PostgresStore) -> LeaseChange:
    """End the leases of one process, and have another one take its shards."""
    await old.cluster._ask(
        lambda connection: connection.execute(
            "UPDATE workers SET lease_until = '-infinity' WHERE worker = $1", [old.cluster.worker]
        )
    )
    return await new.cluster.renew()


# ---- shards --------------------------------------------------------------------------------------


async def test_the_first_process_owns_all_shards(first: PostgresStore) -> None:
    assert len(owned(first)) == SHARDS
    lease = first.cluster.lease_on("http://a.example:80")
    assert lease is not None
    assert first.cluster.may_send("http://a.example:80", lease)
    assert not first.cluster.may_send("http://a.example:80", lease - 1)


async def test_each_process_gets_its_equal_share(
    first: PostgresStore, processes: Processes
) -> None:
    others = [await processes.begin() for _ in range(2)]
    for _ in range(3):
        for store in (first, *others):
            await store.cluster.renew()
    counts = [len(owned(store)) for store in (first, *others)]
    assert sum(counts) == SHARDS
    assert max(counts) == 86
    assert not owned(first) & owned(others[0])


async def test_processes_are_unbalanced_until_each_has_its_share(
    first: PostgresStore, processes: Processes
) -> None:
    second = await processes.begin()
    told = [
        (await store.cluster.renew()).is_unbalanced
        for store in (second, first, first, second, first, second)
    ]
    assert told == [True, True, False, False, False, False]
    await second.cluster.leave()
    told = [(await first.cluster.renew()).is_unbalanced for _ in range(2)]
    assert told == [False, False]
    # 256 can't be divided by 3.
    for store in [others := [await processes.begin(), await processes.begin()], [first]] * 3:
        for one in store:
            await one.cluster.renew()
    assert sorted(len(owned(store)) for store in (first, *others)) == [84, 86, 86]
    assert [(await store.cluster.renew()).is_unbalanced for store in (first, *others)] == [
        False
    ] * 3


async def test_a_shard_with_an_open_attempt_is_given_back_only_after_it(
    first: PostgresStore, processes: Processes
) -> None:
    numbers = range(200)
    await keep(first, *(callback(n, url=f"http://h{n}.example/") for n in numbers))
    lanes = [f"http://h{n}.example:80" for n in numbers]
    claims = [await claim(first, lane=OUR_LANE._replace(destination=lane)) for lane in lanes]
    second = await processes.begin()
    await second.cluster.renew()
    busy = {shard_of(lane) for lane in lanes}
    await first.cluster.renew()
    assert busy <= owned(first)
    surplus = [lane for lane in lanes if first.cluster.lease_on(lane) is None]
    assert surplus
    assert all(may_send(first, lane) for lane in surplus)
    await settle(first, *(ended(one, NoRetryNeeded()) for (one,) in claims))
    for _ in range(2):
        await first.cluster.renew()
    change = await second.cluster.renew()
    assert len(owned(first)) == len(owned(second)) == SHARDS // 2
    assert change.gained


async def test_nothing_is_sent_in_a_shard_while_it_is_given_back(
    first: PostgresStore, processes: Processes
) -> None:
    second = await processes.begin()
    await second.cluster.renew()
    await first.cluster.renew()
    hosts = [f"http://h{number}.example:80" for number in range(200)]
    leaving = [host for host in hosts if first.cluster.lease_on(host) is None]
    assert leaving
    assert all(may_send(first, host) for host in leaving), "attempts under way may go on"
    assert not (await second.cluster.renew()).gained, "others must not have them yet"
    giving_back = asyncio.create_task(first.cluster.renew())
    await asyncio.sleep(0)
    assert not any(may_send(first, host) for host in leaving)
    await giving_back
    assert {shard_of(host) for host in leaving} <= (await second.cluster.renew()).gained


async def test_a_process_for_requests_only_owns_no_shards(processes: Processes) -> None:
    api, worker = await processes.begin(role=Role.API), await processes.begin(role=Role.WORKER)
    assert await api.cluster.renew() == LeaseChange()
    await worker.cluster.renew()
    assert (len(owned(api)), len(owned(worker))) == (0, SHARDS)


async def test_a_process_that_leaves_gives_its_shards_back_at_once(
    first: PostgresStore, processes: Processes
) -> None:
    second = await processes.begin()
    await first.cluster.leave()
    assert not may_send(first, "http://a.example:80")
    assert len((await second.cluster.renew()).gained) == SHARDS


async def test_a_process_whose_lease_ended_has_lost_all_shards_and_begins_anew(
    first: PostgresStore,
) -> None:
    before = first.cluster.worker
    await lose_leases(first)
    assert first.cluster.lease_on("http://a.example:80") is None
    assert first.cluster.worker != before
    assert len((await first.cluster.renew()).gained) == SHARDS


async def test_a_request_may_not_begin_in_the_last_second_of_the_lease(
    processes: Processes,
) -> None:
    store = await processes.begin(lease=timedelta(seconds=1.5))
    await store.cluster.renew()
    assert may_send(store, "http://a.example:80")
    store.cluster._until -= 500
    assert not may_send(store, "http://a.example:80")


async def test_a_late_renewal_does_not_come_between_another_process_and_its_shards(
    first: PostgresStore, processes: Processes
) -> None:
    second = await processes.begin()
    change = await take_over(first, second)
    assert len(change.gained) == SHARDS
    assert len((await first.cluster.renew()).lost) == SHARDS
    assert owned(first) == frozenset()


async def test_the_processes_are_listed(first: PostgresStore, processes: Processes) -> None:
    await processes.begin(name="second", role=Role.API)
    one, other = await first.cluster.members()
    assert (one.role, len(one.shards), one.is_alive) == (Role.ALL, SHARDS, True)
    assert (other.name, other.role, other.shards) == ("second", Role.API, frozenset())


async def dies_at_once(store: PostgresStore) -> None:
    """Free the lock of a process as the kernel does when it is killed."""
    life = store.cluster._own.life
    assert life is not None
    os.close(life._descriptor)
    store.cluster._own.life = None


async def test_a_dead_process_of_this_machine_loses_its_shards_at_once(
    first: PostgresStore, processes: Processes
) -> None:
    await keep(first, callback(1), callback(2))
    (under_way,) = await claim(first, limit=1)
    second = await processes.begin(open_for=LONG)
    assert not await second.cluster.end_dead(), "it is only slow, or stopped"
    assert not (await second.cluster.renew()).gained
    await dies_at_once(first)
    assert await second.cluster.end_dead()
    assert len((await second.cluster.renew()).gained) == SHARDS
    assert not await second.cluster.end_dead()
    assert [one.role for one in await second.cluster.members()] == [Role.ALL]
    (left_open,) = await second.transact(lambda tx: tx.callbacks.left_open())
    assert left_open.callback.sid == under_way.callback.sid, "nobody waits for its request"


@pytest.mark.parametrize("how", ["it is known dead", "its lease has ended", "it has left"])
async def test_all_others_learn_at_once_that_a_process_has_left_shards(
    how: str, first: PostgresStore, processes: Processes
) -> None:
    second, third = await processes.begin(), await processes.begin(role=Role.WORKER)
    api = await processes.begin(role=Role.API)
    for _ in range(3):
        for store in (first, second, third):
            await store.cluster.renew()
    assert [await one.cluster.end_dead() for one in (first, second, third)] == [False] * 3
    match how:
        case "it is known dead":
            await dies_at_once(first)
        case "its lease has ended":
            end = "UPDATE workers SET lease_until = '-infinity' WHERE worker = %s"
            processes.bench.connection.execute(end, [first.cluster.worker])
        case _:
            await first.cluster.leave()
    for store in (second, third):
        # The first one takes only its share.
        assert await store.cluster.end_dead()
        assert not await api.cluster.end_dead()
        assert (await store.cluster.renew()).gained
    assert [await one.cluster.end_dead() for one in (second, third)] == [False] * 2
    assert len(owned(second)) == len(owned(third)) == SHARDS // 2


async def has_moved_shards(first: PostgresStore, processes: Processes, how: str) -> PostgresStore:
    """Return a process that has shards which the first one had before, and has nothing there."""
    second = await processes.begin(open_for=LONG)
    if how == "a process started":
        for store in (second, first, first):
            await store.cluster.renew()
    else:
        await first.cluster.leave()
    assert (await second.cluster.renew()).gained
    return second


@pytest.mark.parametrize("how", ["a process started", "a process stopped"])
async def test_after_a_known_death_nobody_waits_for_owners_who_had_nothing_under_way(
    how: str, processes: Processes
) -> None:
    first = await processes.begin(open_for=LONG)
    await first.cluster.renew()
    await first.transact(lambda tx: tx.accounts.add(account(), []))
    second = await has_moved_shards(first, processes, how)
    shard = min(owned(second))
    await keep(second, callback(1, url=OF_EACH_SHARD[shard]))
    (under_way,) = await claim(second, lane=OUR_LANE._replace(destination=OF_EACH_SHARD[shard]))
    third = await processes.begin()
    await dies_at_once(second)
    assert await third.cluster.end_dead()
    assert shard in (await third.cluster.renew()).gained
    (left_open,) = await third.transact(lambda tx: tx.callbacks.left_open())
    assert left_open.callback.sid == under_way.callback.sid


async def test_what_is_under_way_when_a_process_leaves_is_left_to_end(processes: Processes) -> None:
    first = await processes.begin(open_for=LONG)
    await first.cluster.renew()
    await first.transact(lambda tx: tx.accounts.add(account(), []))
    await keep(first, callback(1))
    (under_way,) = await claim(first)
    second = await processes.begin()
    await first.cluster.leave()
    assert (await second.cluster.renew()).still_open == {HOST: 1}
    assert await second.transact(lambda tx: tx.callbacks.left_open()) == []
    await settle(first, ended(under_way, NoRetryNeeded()))
    assert (await found(second, 1)).status is CallbackStatus.DELIVERED


@pytest.mark.parametrize("place", ["another machine", "another boot", "another user"])
async def test_a_process_of_another_place_is_not_taken_for_dead(
    place: str, first: PostgresStore, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = await processes.begin()
    life = first.cluster._own.life
    assert life is not None
    match place:
        case "another machine":
            life_lock.remove_life_lock(life.name)
        case "another boot":
            monkeypatch.setattr(life_lock, "_this_boot", lambda: b"another")
        case _:
            monkeypatch.setattr(os, "geteuid", lambda: 12345)
    await dies_at_once(first)
    assert not await second.cluster.end_dead()
    assert not (await second.cluster.renew()).gained
    monkeypatch.undo()
    life_lock.remove_life_lock(life.name)


async def test_a_process_that_leaves_removes_its_lock(processes: Processes) -> None:
    store = await processes.begin()
    life = store.cluster._own.life
    assert life is not None
    path = life_lock._path(life.name)
    assert path.stat().st_mode & 0o777 == 0o600
    await store.cluster.leave()
    assert not path.exists()


async def test_living_processes_are_listed_first(
    first: PostgresStore, processes: Processes
) -> None:
    second = await processes.begin(name="second")
    await first.cluster._ask(
        lambda connection: connection.execute(
            "UPDATE workers SET lease_until = '-infinity' WHERE worker = $1", [first.cluster.worker]
        )
    )
    told = [(one.name, one.is_alive) for one in await second.cluster.members()]
    assert told == [("second", True), ("ringback", False)]


async def test_one_process_at_a_time_holds_something(
    first: PostgresStore, processes: Processes
) -> None:
    second = await processes.begin()
    assert await first.cluster.hold("policy")
    assert await first.cluster.hold("policy")
    assert not await second.cluster.hold("policy")
    assert await second.cluster.hold("something else")
    await take_over(first, second)
    assert not await first.cluster.hold("policy")
    assert await second.cluster.hold("policy")


async def test_each_process_makes_ids_that_no_other_makes(
    first: PostgresStore, processes: Processes
) -> None:
    second = await processes.begin()
    numbers = {store.cluster._own.number for store in (first, second)}
    assert len(numbers) == 2


# ---- callbacks -----------------------------------------------------------------------------------


async def test_nothing_is_claimed_from_lanes_of_another_process(
    first: PostgresStore, processes: Processes
) -> None:
    await keep(first, callback(1))
    second = await processes.begin()
    assert await claim(second) == []
    assert await second.transact(lambda tx: tx.callbacks.waiting()) == []
    await take_over(first, second)
    assert await claim(first) == []
    assert numbers_of(await claim(second)) == [1]


async def test_of_two_processes_that_claim_at_once_one_gets_each_callback(
    first: PostgresStore, processes: Processes
) -> None:
    await keep(first, *map(callback, range(20)))
    second = await processes.begin()
    await take_over(first, second)
    taken = await asyncio.gather(*(claim(store, limit=5) for store in (first, second) * 5))
    assert sorted(numbers_of([one for some in taken for one in some])) == [*range(20)]


async def test_a_result_that_comes_after_a_takeover_changes_nothing(
    first: PostgresStore, processes: Processes
) -> None:
    await keep(first, callback(1), callback(2))
    late, in_time = await claim(first)
    await settle(first, ended(in_time, NoRetryNeeded()))
    second = await processes.begin()
    await take_over(first, second)
    (open_,) = await second.transact(lambda tx: tx.callbacks.left_open())
    assert (open_.callback, open_.row_id) == (late.callback, late.row_id)
    unknown = ended(open_, RetryNow(), result=AttemptResult(UnknownOutcome()))
    assert await second.transact(lambda tx: tx.callbacks.settle([unknown]).outdated) == []
    (again,) = await claim(second)
    before = await everything_about(second, 1)
    long = ReceiverResponseRecord(200, (), bytes(9000))
    result = ended(late, NoRetryNeeded(), response=long)
    assert await first.transact(lambda tx: tx.callbacks.settle([result]).outdated) == [result]
    await first.transact(lambda tx: tx.callbacks.put_back([late], NOW))
    assert await everything_about(second, 1) == before
    assert again.attempt.number == 2
    await settle(second, ended(again, NoRetryNeeded()))
    assert (await found(second, 1)).status is CallbackStatus.DELIVERED


async def test_a_result_is_saved_if_nobody_has_found_the_attempt_yet(
    first: PostgresStore, processes: Processes
) -> None:
    await keep(first, callback(1))
    (late,) = await claim(first)
    second = await processes.begin()
    await take_over(first, second)
    await settle(first, ended(late, NoRetryNeeded()))
    assert (await found(second, 1)).status is CallbackStatus.DELIVERED
    assert await second.transact(lambda tx: tx.callbacks.left_open()) == []


@pytest.mark.parametrize("locked", ["shard_leases", "workers"])
async def test_a_takeover_that_finds_a_row_locked_comes_with_the_next_renewal(
    locked: str, first: PostgresStore, processes: Processes
) -> None:
    await keep(first, callback(1))
    (under_way,) = await claim(first)
    second = await processes.begin()
    end_lease = "UPDATE workers SET lease_until = '-infinity' WHERE worker = %s"
    processes.bench.connection.execute(end_lease, [first.cluster.worker])
    ours = "worker = (SELECT worker FROM shard_leases WHERE shard = %s)"
    place = "shard = %s" if locked == "shard_leases" else ours
    with psycopg.connect(processes.bench.dsn.text) as third:
        third.execute(f"SELECT FROM {locked} WHERE {place} FOR SHARE".encode(), [shard_of(HOST)])
        gained = (await second.cluster.renew()).gained
        assert len(gained) == (SHARDS - 1 if locked == "shard_leases" else 0)
        assert shard_of(HOST) not in gained
        assert await second.transact(lambda tx: tx.callbacks.left_open()) == []
    assert shard_of(HOST) in (await second.cluster.renew()).gained
    (left_open,) = await second.transact(lambda tx: tx.callbacks.left_open())
    assert (left_open.callback, left_open.run) == (under_way.callback, under_way.run)
    await settle(second, ended(left_open, RetryNow(), result=AttemptResult(UnknownOutcome())))
    assert numbers_of(await claim(second)) == [1]
    assert [each.result for each in await attempts_of(second, 1)][:1] == ["unknown"]


async def test_an_attempt_is_left_open_only_once_its_request_must_have_ended(
    first: PostgresStore, processes: Processes
) -> None:
    second = await processes.begin(open_for=LONG)
    await keep(first, callback(1), callback(2))
    await claim(first, limit=1)
    await take_over(first, second)
    assert await second.transact(lambda tx: tx.callbacks.left_open()) == []
    assert numbers_of(await claim(second)) == [2]
    processes.bench.connection.execute("UPDATE shard_leases SET open_until = clock_timestamp()")
    assert len(await second.transact(lambda tx: tx.callbacks.left_open())) == 1


async def test_a_process_that_has_lost_a_shard_saves_no_state_of_its_destinations(
    first: PostgresStore, processes: Processes
) -> None:
    await keep(first, callback(1))
    ours, theirs = DestinationState(opened=NOW), DestinationState(disabled=NOW)
    await first.transact(lambda tx: tx.destinations.save_state(OUR_LANE, ours))
    second = await processes.begin()
    await take_over(first, second)
    found_there = await second.read(lambda tx: tx.destinations.states({shard_of(HOST)}))
    assert found_there == [(OUR_LANE, ours)]
    await second.transact(lambda tx: tx.destinations.save_state(OUR_LANE, theirs))
    for state in (ours, WELL):
        await first.transact(lambda tx, state=state: tx.destinations.save_state(OUR_LANE, state))
    assert await second.read(lambda tx: tx.destinations.state_of(OUR_LANE)) == theirs


async def test_each_process_saves_the_states_in_its_own_shards(
    first: PostgresStore, processes: Processes
) -> None:
    second = await processes.begin()
    for _ in range(3):
        for store in (first, second):
            await store.cluster.renew()
    own = owned(first)
    assert 0 < len(own) < SHARDS
    lanes = {shard: OUR_LANE._replace(destination=url) for shard, url in OF_EACH_SHARD.items()}

    def save(tx: Transaction) -> None:
        for lane in lanes.values():
            tx.destinations.save_state(lane, DestinationState(opened=NOW))

    await first.transact(save)
    saved = await first.read(lambda tx: tx.destinations.states())
    assert {lane for lane, _ in saved} == {lanes[shard] for shard in own}


async def test_own_attempts_are_not_left_open(first: PostgresStore) -> None:
    await keep(first, callback(1))
    await claim(first)
    assert await first.transact(lambda tx: tx.callbacks.left_open()) == []


async def test_a_callback_sent_at_once_waits_for_the_owner_if_the_shard_was_lost(
    first: PostgresStore, processes: Processes
) -> None:
    second = await processes.begin()
    await take_over(first, second)
    under_way = begin(callback(1).progress, NOW, total_timeout=15 * SECOND)
    sent = callback(1).having(under_way)
    row_id = await first.transact(lambda tx: tx.callbacks.add(sent))
    assert (await found(second, 1)).progress == DeliveryProgress(NOW, due=NOW)
    (taken,) = await claim(second)
    assert taken.attempt.number == 1
    result = ended(taken._replace(row_id=row_id, run=row_id), NoRetryNeeded())
    assert await first.transact(lambda tx: tx.callbacks.settle([result]).outdated) == [result]


async def test_a_callback_sent_at_once_does_not_wait_if_the_shard_was_just_gained(
    first: PostgresStore, processes: Processes
) -> None:
    second = await processes.begin()
    await take_over(first, second)
    under_way = begin(callback(1).progress, NOW, total_timeout=15 * SECOND)
    has_begun, goes_on = threading.Event(), threading.Event()

    def add(tx: Any) -> None:
        tx.accounts.all()  # from here on, the transaction sees nothing newer
        has_begun.set()
        goes_on.wait(10)
        tx.callbacks.add(callback(1).having(under_way))

    adding = asyncio.ensure_future(first.transact(add))
    await asyncio.to_thread(has_begun.wait)
    await second.cluster.leave()
    await first.cluster.renew()
    await first.cluster.renew()
    assert may_send(first, callback(1).url.destination)
    goes_on.set()
    await adding
    assert await claim(first) == []


async def test_a_key_that_another_process_has_just_used_is_found(
    first: PostgresStore, processes: Processes
) -> None:
    second = await processes.begin()

    def add(tx: Any, number: int) -> str:
        known = tx.callbacks.with_key(OURS, "key")
        if known is None:
            tx.callbacks.add(callback(number, key="key"))
        return known.sid if known else callback(number).sid

    # Each process has looked for the key before the other one commits.
    both = [
        store.transact(lambda tx, n=n: add(tx, n), is_quick=is_quick)
        for n, (store, is_quick) in enumerate(
            [(first, True), (second, True), (first, False), (second, False)]
        )
    ]
    assert len(set(await asyncio.gather(*both))) == 1


async def test_an_account_that_another_process_changed_is_current(
    first: PostgresStore, processes: Processes
) -> None:
    second = await processes.begin()
    await keep(second, callback(1))
    changed = replace(account(), name="renamed")
    await second.transact(lambda tx: tx.accounts.save(changed))
    (taken,) = await claim(first)
    assert taken.account.name == "renamed"


async def test_a_stream_that_another_process_changed_is_current(
    first: PostgresStore, processes: Processes
) -> None:
    second = await processes.begin()
    await first.transact(
        lambda tx: add_stream(tx, a_sink(account_sid=OURS), a_subscription(account_sid=OURS))
    )

    async def kept() -> list[str]:
        return await first.transact(
            lambda tx: [
                *(str(one.is_enabled) for one in tx.streams.subscriptions.of_account(OURS)),
                *tx.streams.sinks.destinations(OURS).values(),
            ]
        )

    assert await kept() == ["True", "http://a.example:80"]
    off = replace(a_subscription(account_sid=OURS), is_enabled=False)
    moved = a_sink(account_sid=OURS, url="http://b.example/e")
    await second.transact(lambda tx: tx.streams.subscriptions.save(off))
    await second.transact(lambda tx: tx.streams.sinks.save(moved))
    assert await kept() == ["False", "http://b.example:80"]


def count_up(tx: Any) -> None:
    one = tx.accounts.get(OURS)
    tx.accounts.save(replace(one, revision=one.revision + 1))


async def counted(store: PostgresStore) -> int:
    one = await store.read(lambda tx: tx.accounts.get(OURS))
    assert one is not None
    return one.revision


async def test_no_account_is_changed_twice_at_once(
    first: PostgresStore, processes: Processes
) -> None:
    second = await processes.begin()

    await asyncio.gather(*(store.transact(count_up) for store in (first, second) * 10))
    assert await counted(first) == 20


async def test_a_process_frozen_within_its_work_holds_up_others_only_for_seconds(
    first: PostgresStore, processes: Processes
) -> None:
    second = await processes.begin()
    freezes, has_frozen, ends = True, threading.Event(), threading.Event()

    def count_and_freeze(tx: Any) -> None:
        nonlocal freezes
        count_up(tx)
        if freezes:
            tx.callbacks.unfinished()  # a question, so that the change is in the database
            freezes = False
            has_frozen.set()
            ends.wait(25)

    frozen = asyncio.ensure_future(first.transact(count_and_freeze))
    await asyncio.to_thread(has_frozen.wait)
    async with asyncio.timeout(15):
        await second.transact(count_up)
    ends.set()
    await frozen
    assert await counted(first) == 2


# ---- tasks and shadows ---------------------------------------------------------------------------


async def test_a_task_belongs_to_the_process_that_claimed_it(
    first: PostgresStore, processes: Processes
) -> None:
    second = await processes.begin()
    await keep(first, task(1))
    due = task(1).due

    async def claimed(store: Store) -> list[Any]:
        return await store.transact(lambda tx: tx.tasks.claim(due, limit=9))

    assert await claimed(first) == [task(1)]
    assert await claimed(first) == [task(1)]
    assert await claimed(second) == []
    assert await second.transact(lambda tx: tx.tasks.next_due()) is None
    assert not await second.transact(lambda tx: tx.tasks.take(task(1)))
    await take_over(first, second)
    assert await second.transact(lambda tx: tx.tasks.next_due()) == due
    assert await claimed(second) == [task(1)]
    assert not await first.transact(lambda tx: tx.tasks.take(task(1)))
    assert await second.transact(lambda tx: tx.tasks.take(task(1)))


async def test_a_job_belongs_to_the_process_that_claimed_it(
    first: PostgresStore, processes: Processes
) -> None:
    second = await processes.begin()
    await keep(first, job(1))

    async def claimed(store: Store) -> list[Job]:
        return await store.transact(lambda tx: tx.jobs.claim())

    assert await claimed(first) == [job(1)]
    await keep(second, job(2))
    assert await claimed(second) == [job(2)]
    assert await claimed(first) == [job(1)]
    await take_over(first, second)
    await asyncio.sleep(1.1)  # a process that has jobs looks for others once a second
    assert await claimed(second) == [job(1), job(2)]
    assert await claimed(first) == []


async def test_a_replay_goes_on_where_the_process_was_that_died(
    first: PostgresStore, processes: Processes
) -> None:
    second = await processes.begin()
    failed = [
        callback(number).having(
            callback(number).progress._replace(status=CallbackStatus.FAILED, due=None)
        )
        for number in range(2 * PIECE + 50)
    ]
    which = CallbackFilter(statuses=frozenset(CallbackStatus), until=NOW + LONG)
    replay = BulkReplay(which=which, is_from_other_source=True)
    await keep(
        first, *failed, replace(job(1), parameters=replay.parameters(), date_created=NOW + LONG)
    )
    contexts = [a_context(random_source=SeededRandomness(seed)) for seed in (1, 2)]
    runners = [
        JobRunner(store=store, do_piece=do_piece, context=lambda c=one: c, clock=FakeClock())
        for store, one in zip((first, second), contexts, strict=True)
    ]
    assert await runners[0].step()
    assert not await runners[1].step()
    await take_over(first, second)
    steps = [await runners[1].step() for _ in range(4)]
    assert steps == [True, True, False, False]
    assert not await runners[0].step()
    ended_job = await second.transact(lambda tx: tx.jobs.get(job(1).sid))
    assert ended_job is not None
    assert ended_job.counts == {"replayed": len(failed)}
    page = await second.transact(
        lambda tx: tx.callbacks.page(OURS, CallbackFilter(), PageWindow(9999))
    )
    assert sorted(one.replay_of for one in page if one.replay_of) == sorted(
        one.sid for one in failed
    )


async def test_two_processes_with_jobs_are_not_in_each_others_way(
    first: PostgresStore, processes: Processes
) -> None:
    second = await processes.begin()
    begun, ends = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    for number, process in enumerate((first, second)):
        await keep(process, job(number))
        await process.transact(lambda tx: tx.jobs.claim())
    runs = list[int]()

    def slow(tx: Transaction) -> None:
        runs.append(1)
        (mine,) = tx.jobs.claim()
        loop.call_soon_threadsafe(begun.set)
        ends.wait(5)
        tx.jobs.save(mine.after(JobPiece({"done": 1}, 1, is_last=False), NOW))

    def quick(tx: Transaction) -> None:
        runs.append(2)
        (mine,) = tx.jobs.claim()
        tx.jobs.save(mine.after(JobPiece({"done": 1}, 1, is_last=False), NOW))

    first_ends = asyncio.ensure_future(first.transact(slow))
    await begun.wait()
    await second.transact(quick)
    ends.set()
    await first_ends
    assert runs == [1, 2]


async def test_a_copy_is_left_open_only_by_a_process_that_died(
    first: PostgresStore, processes: Processes
) -> None:
    second = await processes.begin()
    await keep(first, callback(1))
    await first.transact(lambda tx: tx.shadows.open([shadow(1)]))
    assert await second.transact(lambda tx: tx.shadows.left_open()) == []
    await take_over(first, second)
    assert await second.transact(lambda tx: tx.shadows.left_open()) == [shadow(1)]


# ---- announcements -------------------------------------------------------------------------------


async def test_an_announcement_reaches_the_others_but_not_oneself(
    first: PostgresStore, processes: Processes
) -> None:
    second = await processes.begin()
    heard, own = asyncio.Queue[News](), asyncio.Queue[News]()
    second.cluster.listen(heard.put_nowait)
    first.cluster.listen(own.put_nowait)
    await asyncio.to_thread(second.cluster.hears.wait, 10)
    await asyncio.to_thread(first.cluster.hears.wait, 10)
    first.cluster.announce(News(frozenset({0, 255})))
    first.cluster.announce(News(frozenset({7}), has_tasks=True))
    assert await heard.get() == News(frozenset({0, 7, 255}), has_tasks=True)
    second.cluster.announce(News(has_changes=True))
    assert await own.get() == News(has_changes=True)
    assert own.empty()
    assert heard.empty()


async def test_only_an_announcement_soon_after_another_one_waits(
    first: PostgresStore, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    second, heard = await processes.begin(), asyncio.Queue[News]()
    second.cluster.listen(heard.put_nowait)
    await asyncio.to_thread(second.cluster.hears.wait, 10)
    monkeypatch.setattr(cluster, "_NOTICE_EVERY", LONG.total_seconds())
    first.cluster.announce(News(frozenset({1})))
    async with asyncio.timeout(10):
        assert await heard.get() == News(frozenset({1}))
    first.cluster.announce(News(frozenset({2})))
    await first.cluster.members()  # in the thread that would have sent it
    assert heard.empty()
    assert first.cluster._news == News(frozenset({2}))


async def test_without_notifications_nothing_is_announced(processes: Processes) -> None:
    store = await processes.begin(has_notifications=False)
    store.cluster.listen(lambda news: None)
    store.cluster.announce(News(frozenset({1})))
    assert store.cluster._listener is None


async def everything_about(store: Store, number: int) -> object:
    return await found(store, number), await attempts_of(store, number)


# ---- sessions ------------------------------------------------------------------------------------


async def _in_session(store: PostgresStore) -> LeaseSession:
    """Let the process have a session, and name it."""
    store.cluster.listen(lambda _: None)
    async with asyncio.timeout(10):
        while store.cluster._sessions.newest is None:  # noqa: ASYNC110 (a thread sets it)
            await asyncio.sleep(0.01)
    await store.cluster.renew()
    session = store.cluster._sessions.newest
    assert session is not None
    return session


async def _end_session(bench: PostgresBench, session: LeaseSession) -> None:
    """End a session, as the server does after the death of its process."""
    bench.connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
        " AND (classid::bigint << 32) | objid::bigint = %s",
        [session.key],
    )
    async with asyncio.timeout(10):
        while bench.connection.execute(  # noqa: ASYNC110 (the server tells nobody)
            "SELECT FROM pg_locks WHERE locktype = 'advisory'"
            " AND (classid::bigint << 32) | objid::bigint = %s",
            [session.key],
        ).rowcount:
            await asyncio.sleep(0.01)


async def _gone(store: PostgresStore) -> Sequence[leases.GoneSession]:
    own = store.cluster._own
    return (await store.cluster._ask(lambda connection: leases.end_dead(connection, own))).gone


async def _dead_elsewhere(
    first: PostgresStore, processes: Processes
) -> tuple[PostgresStore, leases.GoneSession]:
    """End the session of a process for good; return another process, and what that one sees."""
    session = await _in_session(first)
    second = await processes.begin()
    first.cluster._is_closed.set()
    await _end_session(processes.bench, session)
    (gone,) = await _gone(second)
    return second, gone


async def _end_gone(store: PostgresStore, gone: leases.GoneSession) -> None:
    own = store.cluster._own
    await store.cluster._ask(lambda connection: leases.end_gone(connection, own, gone))


async def _until_freed(store: PostgresStore) -> bool:
    """Look as processes do for three seconds; return True if shards could be taken."""
    loop = asyncio.get_running_loop()
    until = loop.time() + 3
    while loop.time() < until:
        await store.cluster.end_dead()
        if (await store.cluster.renew()).gained:
            return True
        await asyncio.sleep(0.1)
    return False


async def test_a_process_whose_session_has_ended_loses_its_shards_within_seconds(
    first: PostgresStore, processes: Processes
) -> None:
    session = await _in_session(first)
    lane = callback(1).url.destination
    second = await processes.begin(open_for=LONG)
    assert await _gone(second) == []
    assert may_send(first, lane)
    first.cluster._is_closed.set()  # so that it does not begin another session
    await _end_session(processes.bench, session)
    assert await _until_freed(second)
    assert not may_send(first, lane), "only others have noticed"
    first.cluster._is_closed.clear()
    assert await _gone(second) == []


async def test_requests_under_way_of_a_process_whose_session_has_ended_keep_their_places(
    first: PostgresStore, processes: Processes
) -> None:
    session = await _in_session(first)
    await keep(first, callback(1))
    assert numbers_of(await claim(first)) == [1]
    second = await processes.begin(open_for=LONG)
    first.cluster._is_closed.set()
    await _end_session(processes.bench, session)
    (gone,) = await _gone(second)
    await _end_gone(second, gone)
    change = await second.cluster.renew()
    assert change.still_open == {callback(1).url.destination: 1}
    assert await second.transact(lambda tx: tx.callbacks.left_open()) == []
    first.cluster._is_closed.clear()


async def test_a_process_that_lives_goes_on_with_another_session(
    first: PostgresStore, processes: Processes
) -> None:
    before, own = await _in_session(first), owned(first)
    await _end_session(processes.bench, before)
    second = await processes.begin(role=Role.API)  # so that it gets no shards as its share
    until = asyncio.get_running_loop().time() + 3
    while asyncio.get_running_loop().time() < until:
        if await first.cluster.end_dead():
            await first.cluster.renew()
        await second.cluster.end_dead()
        await asyncio.sleep(0.2)
    assert first.cluster._sessions.newest not in (None, before)
    assert owned(first) == own
    assert may_send(first, callback(1).url.destination)


async def test_another_server_knows_nothing_of_a_session(
    first: PostgresStore, processes: Processes
) -> None:
    second, gone = await _dead_elsewhere(first, processes)
    processes.bench.connection.execute(
        "UPDATE workers SET session_server = session_server - interval '1 us'"
    )
    assert await _gone(second) == []
    await _end_gone(second, gone)
    assert not (await second.cluster.renew()).gained
    first.cluster._is_closed.clear()


async def test_a_process_that_has_named_another_session_meanwhile_keeps_its_shards(
    first: PostgresStore, processes: Processes
) -> None:
    before = await _in_session(first)
    second = await processes.begin()
    await _end_session(processes.bench, before)
    (gone,) = await _gone(second)
    async with asyncio.timeout(10):
        while first.cluster._sessions.newest in (None, before):  # noqa: ASYNC110 (as above)
            await asyncio.sleep(0.01)
    await first.cluster.renew()
    await _end_gone(second, gone)
    assert not (await second.cluster.renew()).gained


async def test_a_shard_that_is_locked_is_freed_later(
    first: PostgresStore, processes: Processes
) -> None:
    second, gone = await _dead_elsewhere(first, processes)
    with processes.bench.connection.transaction():
        processes.bench.connection.execute("SELECT FROM shard_leases WHERE shard = 7 FOR SHARE")
        await _end_gone(second, gone)
        await second.cluster.renew()
        assert owned(second) == frozenset(range(SHARDS)) - {7}
    assert await _gone(second) == [gone]
    await _end_gone(second, gone)
    await second.cluster.renew()
    assert len(owned(second)) == SHARDS
    assert await _gone(second) == []
    first.cluster._is_closed.clear()


async def test_a_session_that_a_pooler_has_exchanged_does_not_count(processes: Processes) -> None:
    with processes.bench.dsn.connect() as one, processes.bench.dsn.connect() as other:
        session = leases.begin_session(one)
        assert leases.is_in_session(one, session)
        assert not leases.is_in_session(other, session)
