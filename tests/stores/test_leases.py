"""Leases on shards: one owner at a time, and no result of an earlier one."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeVar

from ringback.core.callbacks.callback import CallbackRecord, begin, put_back
from ringback.core.callbacks.retry import NoRetryNeeded, RetryLater
from ringback.core.callbacks.shards import SHARDS, shard_of
from ringback.core.destinations.destination_state import WELL, DestinationState
from ringback.core.http.http_exchange import AttemptResult
from ringback.core.http.outcome import UnknownOutcome
from ringback.ports import (
    ALL_SHARDS,
    Cluster,
    DeliveryClaim,
    LaneDue,
    LaneQuota,
    LeaseChange,
    News,
    Settlement,
    Store,
    Transaction,
)
from tests.fakes import NOW, FakeClock
from tests.memory_store import MemoryStore
from tests.memory_store.leases import MemoryCluster
from tests.memory_store.store import MemoryProcessStore
from tests.stores.asking import attempts_of, claim, ended, found, keep, numbers_of
from tests.stores.records import HOST, OUR_LANE, SECOND, callback
from tests.stores.sharing import Joined, SharedStores

T = TypeVar("T")
SHARD = shard_of(HOST)
OF_EACH_SHARD = {shard_of(url): url for url in (f"http://h{number}:80" for number in range(5000))}
"""A destination in each shard."""


def claimable(cluster: Cluster) -> set[int]:
    return {s for s, url in OF_EACH_SHARD.items() if cluster.lease_on(url) is not None}


def sendable(cluster: Cluster) -> set[int]:
    leases = {shard: cluster.lease_on(url) for shard, url in OF_EACH_SHARD.items()}
    urls = {s: url for s, url in OF_EACH_SHARD.items() if leases[s] is not None}
    return {s for s, url in urls.items() if cluster.may_send(url, leases[s] or 0)}


async def owner_of_all(shared: SharedStores, name: str = "first") -> Joined:
    process = shared.join(name)
    await process.cluster.renew()
    return process


async def taken_over(shared: SharedStores) -> tuple[Joined, Joined]:
    """Return a process that has lost all shards, and the one that has them now."""
    first, second = shared.join("first"), shared.join("second")
    await shared.lease_ends()
    await second.cluster.renew()
    return first, second


async def left_open(store: Store) -> list[DeliveryClaim]:
    return await store.transact(lambda tx: tx.callbacks.left_open())


async def waiting(store: Store) -> list[LaneDue]:
    return await store.transact(lambda tx: tx.callbacks.waiting())


async def settle(store: Store, *settlements: Settlement) -> Sequence[Settlement]:
    """Save results, and return those that are outdated."""
    return await store.transact(lambda tx: tx.callbacks.settle(settlements).outdated)


def unknown(one: DeliveryClaim) -> Settlement:
    return ended(one, RetryLater(NOW, 0), result=AttemptResult(UnknownOutcome()))


def begun(number: int) -> CallbackRecord:
    new = callback(number)
    return new.having(begin(new.progress, NOW, total_timeout=15 * SECOND))


# ---- who has a shard


async def test_one_destination_of_each_shard_is_known() -> None:
    assert OF_EACH_SHARD.keys() == ALL_SHARDS


async def test_without_a_lease_a_process_may_claim_nothing(shared: SharedStores) -> None:
    first = shared.join("first")
    assert claimable(first.cluster) == set()
    assert not first.cluster.may_send(HOST, 1)


async def test_the_first_process_gets_all_shards(shared: SharedStores) -> None:
    first = shared.join("first")
    assert first.cluster.is_shared
    assert await first.cluster.renew() == LeaseChange(gained=ALL_SHARDS)
    assert claimable(first.cluster) == sendable(first.cluster) == ALL_SHARDS


async def test_a_renewal_keeps_all_shards_and_their_leases(shared: SharedStores) -> None:
    first = await owner_of_all(shared)
    lease = first.cluster.lease_on(HOST)
    assert await first.cluster.renew() == LeaseChange()
    assert first.cluster.lease_on(HOST) == lease


async def test_another_process_gets_its_share_and_no_shard_has_two_owners(
    shared: SharedStores,
) -> None:
    first, second = await owner_of_all(shared), shared.join("second")
    for _ in range(4):
        for process in (first, second):
            await process.cluster.renew()
            assert not claimable(first.cluster) & claimable(second.cluster)
            assert not sendable(first.cluster) & sendable(second.cluster)
    assert len(claimable(first.cluster)) == len(claimable(second.cluster)) == SHARDS // 2


async def test_a_shard_is_not_claimed_from_before_it_is_given_back(shared: SharedStores) -> None:
    first, second = await owner_of_all(shared), shared.join("second")
    lease = first.cluster.lease_on(HOST) or 0
    await second.cluster.renew()
    assert claimable(second.cluster) == set()
    await first.cluster.renew()
    assert len(claimable(first.cluster)) == SHARDS // 2
    returned = [s for s in ALL_SHARDS if s not in claimable(first.cluster)]
    assert all(first.cluster.may_send(OF_EACH_SHARD[shard], lease) for shard in returned)
    await first.cluster.renew()
    assert not any(first.cluster.may_send(OF_EACH_SHARD[shard], lease) for shard in returned)


async def test_a_shard_with_an_attempt_under_way_is_not_given_back(shared: SharedStores) -> None:
    first, second = await owner_of_all(shared), shared.join("second")
    everywhere = [callback(n, url=url) for n, url in enumerate(OF_EACH_SHARD.values())]
    await keep(first.store, *everywhere)
    quotas = [LaneQuota(OUR_LANE._replace(destination=url), 1) for url in OF_EACH_SHARD.values()]
    claimed = await first.store.transact(lambda tx: tx.callbacks.claim(quotas, NOW))
    claims = [one for claims, _ in claimed for one in claims]
    assert len(claims) == SHARDS
    for _ in range(3):
        await second.cluster.renew()
        await first.cluster.renew()
    assert claimable(second.cluster) == set()
    await settle(first.store, *(ended(one, NoRetryNeeded()) for one in claims))
    await first.cluster.renew()
    await second.cluster.renew()
    assert len(claimable(second.cluster)) == SHARDS // 2


async def test_what_earlier_owners_have_open_keeps_no_shard(shared: SharedStores) -> None:
    first = await owner_of_all(shared)
    everywhere = [callback(n, url=url) for n, url in enumerate(OF_EACH_SHARD.values())]
    await keep(first.store, *everywhere)
    quotas = [LaneQuota(OUR_LANE._replace(destination=url), 1) for url in OF_EACH_SHARD.values()]
    await first.store.transact(lambda tx: tx.callbacks.claim(quotas, NOW))
    _, second = await taken_over(shared)
    third = shared.join("third")
    for _ in range(3):
        await third.cluster.renew()
        await second.cluster.renew()
    assert len(claimable(third.cluster)) == SHARDS // 2


async def test_a_process_that_leaves_gives_all_back_at_once(shared: SharedStores) -> None:
    first, second = await owner_of_all(shared), shared.join("second")
    await first.cluster.leave()
    assert claimable(first.cluster) == set()
    assert (await second.cluster.renew()).gained == ALL_SHARDS


async def test_a_lease_that_was_not_extended_is_lost(shared: SharedStores) -> None:
    first = await owner_of_all(shared)
    lease = first.cluster.lease_on(HOST) or 0
    await shared.lease_ends()
    assert not first.cluster.may_send(HOST, lease)
    second = shared.join("second")
    assert (await second.cluster.renew()).gained == ALL_SHARDS
    assert await first.cluster.renew() == LeaseChange(lost=ALL_SHARDS)
    assert claimable(first.cluster) == set()


async def test_a_shard_that_was_lost_has_another_lease_when_it_is_back(
    shared: SharedStores,
) -> None:
    first = await owner_of_all(shared)
    old = first.cluster.lease_on(HOST) or 0
    await shared.lease_ends()
    assert (await first.cluster.renew()).lost == ALL_SHARDS
    assert (await first.cluster.renew()).gained == ALL_SHARDS
    new = first.cluster.lease_on(HOST) or 0
    assert new > old
    assert first.cluster.may_send(HOST, new)
    assert not first.cluster.may_send(HOST, old)


async def test_announcements_reach_the_others(shared: SharedStores) -> None:
    heard = list[tuple[str, News]]()
    for name in ("first", "second", "third"):
        shared.join(name).cluster.listen(lambda news, name=name: heard.append((name, news)))
    news = News(frozenset({SHARD}), has_tasks=True)
    shared.join("second").cluster.announce(news)
    assert sorted(heard) == [("first", news), ("third", news)]


# ---- claims and results


async def test_only_the_owner_of_a_shard_sees_and_claims_its_callbacks(
    shared: SharedStores,
) -> None:
    first, second = await owner_of_all(shared), shared.join("second")
    await keep(second.store, callback(1))
    assert await waiting(second.store) == []
    assert await claim(second.store) == []
    assert await waiting(first.store) == [LaneDue(OUR_LANE, NOW)]
    assert numbers_of(await claim(first.store)) == [1]


async def test_who_has_lost_a_shard_claims_nothing_in_it(shared: SharedStores) -> None:
    first = await owner_of_all(shared)
    await keep(first.store, callback(1))
    first, second = await taken_over(shared)
    assert await claim(first.store) == []
    assert numbers_of(await claim(second.store)) == [1]


async def test_an_attempt_is_left_open_once_its_request_must_have_ended(
    shared: SharedStores,
) -> None:
    first = await owner_of_all(shared)
    await keep(first.store, callback(1))
    [claimed] = await claim(first.store)
    assert await left_open(first.store) == []
    _, second = await taken_over(shared)
    assert await left_open(second.store) == []
    await shared.requests_end(second)
    [open_] = await left_open(second.store)
    assert open_.callback == claimed.callback
    assert await left_open(first.store) == []


async def test_its_own_attempts_are_never_left_open(shared: SharedStores) -> None:
    first = await owner_of_all(shared)
    await keep(first.store, callback(1))
    _, second = await taken_over(shared)
    await claim(second.store)
    await shared.requests_end(second)
    assert await left_open(second.store) == []


async def test_attempts_of_earlier_owners_are_counted_by_destination(shared: SharedStores) -> None:
    first, second = await owner_of_all(shared), shared.join("second")
    await keep(first.store, *map(callback, range(3)))
    one, *others = await claim(first.store)
    await shared.lease_ends()
    assert (await second.cluster.renew()).still_open == {HOST: 3}
    await settle(first.store, ended(one, NoRetryNeeded()))
    assert (await second.cluster.renew()).still_open == {HOST: 2}
    await shared.requests_end(second)
    assert {one.callback.sid for one in await left_open(second.store)} == {
        one.callback.sid for one in others
    }


async def test_a_process_that_has_lost_a_shard_saves_no_state_of_its_destinations(
    shared: SharedStores,
) -> None:
    first = await owner_of_all(shared)
    ours, theirs = DestinationState(opened=NOW), DestinationState(disabled=NOW)
    await first.store.transact(lambda tx: tx.destinations.save_state(OUR_LANE, ours))
    first, second = await taken_over(shared)
    await second.store.transact(lambda tx: tx.destinations.save_state(OUR_LANE, theirs))
    for state in (ours, WELL):
        await first.store.transact(
            lambda tx, state=state: tx.destinations.save_state(OUR_LANE, state)
        )
    assert await second.store.read(lambda tx: tx.destinations.state_of(OUR_LANE)) == theirs


async def test_a_result_from_before_the_takeover_is_saved(shared: SharedStores) -> None:
    first = await owner_of_all(shared)
    await keep(first.store, callback(1))
    [claimed] = await claim(first.store)
    first, second = await taken_over(shared)
    assert await settle(first.store, ended(claimed, NoRetryNeeded())) == []
    assert (await found(second.store, 1)).status == "delivered"
    await shared.requests_end(second)
    assert await left_open(second.store) == []


async def test_a_result_is_outdated_once_another_process_has_settled_the_attempt(
    shared: SharedStores,
) -> None:
    first = await owner_of_all(shared)
    await keep(first.store, callback(1), callback(2))
    late, in_time = await claim(first.store)
    first, second = await taken_over(shared)
    await settle(first.store, ended(in_time, NoRetryNeeded()))
    await shared.requests_end(second)
    [open_] = await left_open(second.store)
    assert await settle(second.store, unknown(open_)) == []
    outdated = ended(late, NoRetryNeeded())
    assert await settle(first.store, outdated) == [outdated]
    assert [one.result for one in await attempts_of(second.store, 1)] == ["unknown"]
    assert (await found(second.store, 1)).status == "scheduled"


async def test_an_outdated_result_does_not_end_the_next_attempt(shared: SharedStores) -> None:
    first = await owner_of_all(shared)
    await keep(first.store, callback(1))
    [claimed] = await claim(first.store)
    first, second = await taken_over(shared)
    await shared.requests_end(second)
    [open_] = await left_open(second.store)
    await settle(second.store, unknown(open_))
    [again] = await claim(second.store)
    progress = put_back(claimed.progress, NOW)
    await settle(first.store, Settlement(claimed, progress))
    await first.store.transact(lambda tx: tx.callbacks.put_back([claimed], NOW))
    assert [one.result for one in await attempts_of(second.store, 1)] == ["unknown", "open"]
    assert await settle(second.store, ended(again, NoRetryNeeded())) == []


async def test_a_round_that_goes_on_keeps_its_number(shared: SharedStores) -> None:
    first = await owner_of_all(shared)
    await keep(first.store, callback(1))
    [claimed] = await claim(first.store)
    goes_on = ended(claimed, RetryLater(NOW, 0))
    next_ = begin(goes_on.progress, NOW, total_timeout=15 * SECOND)
    assert await settle(first.store, goes_on._replace(progress=next_)) == []
    again = claimed._replace(callback=claimed.callback.having(next_))
    assert await settle(first.store, ended(again, NoRetryNeeded())) == []
    assert [one.result for one in await attempts_of(first.store, 1)] == ["refused", "delivered"]


async def test_a_new_callback_waits_if_the_lease_has_ended_meanwhile(shared: SharedStores) -> None:
    await owner_of_all(shared)
    first, second = await taken_over(shared)
    new = begun(1)
    run = await first.store.transact(lambda tx: tx.callbacks.add(new))
    assert (await found(second.store, 1)).progress.due is not None
    assert await attempts_of(second.store, 1) == []
    claimed = DeliveryClaim(
        new, (await claim(second.store))[0].account, OUR_LANE, row_id=run, is_new=True, run=run
    )
    outdated = Settlement(claimed, put_back(new.progress, NOW))
    assert await settle(first.store, outdated) == [outdated]
    assert [one.result for one in await attempts_of(second.store, 1)] == ["open"]


async def test_a_new_callback_that_is_sent_at_once_can_be_taken_over(shared: SharedStores) -> None:
    first = await owner_of_all(shared)
    await keep(first.store, begun(1))
    _, second = await taken_over(shared)
    await shared.requests_end(second)
    assert numbers_of(await left_open(second.store)) == [1]


async def test_a_claim_finds_all_that_is_due_since_its_beginning(shared: SharedStores) -> None:
    first = await owner_of_all(shared)
    dues = [NOW - timedelta(minutes=number) for number in range(4)]
    await keep(first.store, *(callback(number, due=due) for number, due in enumerate(dues)))
    quotas = [LaneQuota(OUR_LANE, 9, since) for since in (dues[1], dues[3])]
    recent, all_ = [
        await first.store.transact(lambda tx, quota=quota: tx.callbacks.claim([quota], NOW))
        for quota in quotas
    ]
    assert {0, 1} <= set(numbers_of(recent[0].claims))
    assert {0, 1, 2, 3} == {*numbers_of(recent[0].claims), *numbers_of(all_[0].claims)}


# ---- only the model


class PausedLeases(MemoryProcessStore):
    """A process whose renewals take as long as a test wants."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store, "paused")
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def _change_leases(self, work: Callable[[Transaction], T]) -> T:
        result = await super()._change_leases(work)
        await self.may_answer.wait()
        return result


async def test_nothing_is_sent_to_a_shard_while_it_is_given_back() -> None:
    clock, store = FakeClock(), MemoryStore()
    paused = PausedLeases(store)
    first = MemoryCluster(paused, stopwatch=lambda: clock.now().timestamp())
    second = MemoryCluster(store.process("second"), stopwatch=lambda: clock.now().timestamp())
    for cluster in (first, second, first):
        await cluster.renew()
    kept = claimable(first)
    lease = first.lease_on(OF_EACH_SHARD[min(kept)]) or 0
    paused.may_answer.clear()
    renewing = asyncio.create_task(first.renew())
    await asyncio.sleep(0)
    sent = {shard for shard, url in OF_EACH_SHARD.items() if first.may_send(url, lease)}
    assert sent == kept
    paused.may_answer.set()
    await renewing
    assert claimable(first) == kept
