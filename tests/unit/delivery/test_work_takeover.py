"""Several processes over one store: who sends what, and what happens to the work of the dead."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from ringback.core.callbacks.callback import CallbackRecord, replay
from ringback.core.callbacks.shards import shard_of
from ringback.core.destinations.destination_state import DestinationState
from ringback.core.errors import StoreUnavailable
from ringback.core.retry_schedule import PERSISTENT
from ringback.delivery import work_takeover
from ringback.delivery.counters import DeliveryCounters
from ringback.delivery.delivery_service import DeliveryLimits
from ringback.ports import LeaseChange, News, Store, Transaction
from tests.callback_queues import accepting_queue
from tests.fakes import NOW, FakeClock, RecordingTransport, a_callback, an_account
from tests.stores.sharing import Joined, MemoryShared
from tests.unit.delivery.parts import (
    HOST,
    LANE,
    REFUSED,
    Bench,
    GatedTransport,
    PausedStore,
    add,
    all_has_run,
    callback_in,
    callbacks_to,
    claim_of,
    results_in,
    running,
    sid,
)

SECOND = timedelta(seconds=1)
A = "a.example"
SHARD = shard_of(LANE.destination)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction] (a fixture)
    monkeypatch.setattr(work_takeover, "_RENEW_EVERY", 0.001)
    monkeypatch.setattr(work_takeover, "_RENEW_SOON", 0.001)


@dataclass
class Cluster:
    """Processes over one store, which share a clock."""

    shared: MemoryShared = field(default_factory=MemoryShared)

    async def start(self) -> None:
        """Add the account."""
        store = self.shared.join("first").store
        await store.transact(lambda tx: tx.accounts.add(an_account(), []))

    def bench(
        self,
        name: str,
        transport: Any = None,
        store: Store | None = None,
        clock: FakeClock | None = None,
        **how: Any,
    ) -> Bench:
        """Return a delivery of a process."""
        joined = self.shared.join(name)
        return Bench(
            store or joined.store,
            transport or RecordingTransport(),
            cluster=joined.cluster,
            clock=clock or self.shared.clock,
            **how,
        )

    async def claimed_by_a_dead_process(self, *callbacks: CallbackRecord) -> None:
        """Let a process claim callbacks to `HOST` and die."""
        dead = await self.owner("dead")
        await add(dead.store, *callbacks)
        assert len(await claim_of(dead.store, callbacks[0], limit=99)) == len(callbacks)

    async def owner(self, name: str) -> Joined:
        joined = self.shared.join(name)
        await joined.cluster.renew()
        return joined


@pytest.fixture
async def cluster() -> Cluster:
    made = Cluster()
    await made.start()
    return made


async def eventually(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_true():  # noqa: ASYNC110 (renewals take real time, though very little)
            await asyncio.sleep(0.001)


# ---- work of dead processes


async def test_an_open_attempt_is_settled_and_repeated_once_its_request_must_have_ended(
    cluster: Cluster,
) -> None:
    await cluster.claimed_by_a_dead_process(a_callback(url=HOST))
    await cluster.shared.lease_ends()
    bench = cluster.bench("second")
    assert await bench.delivery.recover() == 0
    async with running(bench.delivery.run):
        await asyncio.sleep(0.02)
        assert await results_in(bench.store) == ["open"]
        await cluster.shared.requests_end(cluster.shared.join("second"))
        await bench.steps.reach("settled")
    assert await results_in(bench.store) == ["unknown", "delivered"]


async def test_what_waits_for_a_dead_process_is_sent_once_its_leases_have_ended(
    cluster: Cluster,
) -> None:
    await cluster.owner("dead")
    bench = cluster.bench("second")
    await bench.delivery.recover()
    await add(bench.store, a_callback(url=HOST))
    async with running(bench.delivery.run):
        await asyncio.sleep(0.02)
        assert bench.steps.passed == []
        await cluster.shared.lease_ends()
        await bench.steps.reach("settled")
    assert await results_in(bench.store) == ["delivered"]


async def test_what_waits_in_shards_that_are_gained_during_a_takeover_is_sent(
    cluster: Cluster,
) -> None:
    await cluster.owner("dead")
    joined = cluster.shared.join("second")
    store = PausedStore(joined.store)
    bench = cluster.bench("second", store=store)
    await bench.delivery.recover()
    await add(joined.store, a_callback(url=HOST, due=NOW - 600 * SECOND))
    takeover = bench.delivery._takeover
    store.may_tell.clear()
    taking_over = asyncio.create_task(takeover._take_over())
    await all_has_run()
    await cluster.shared.lease_ends()
    for _ in range(2):  # its own lease has ended, too
        await takeover._renew()
    store.may_tell.set()
    await taking_over
    async with running(bench.delivery._loop.run):
        await all_has_run()
        assert bench.steps.passed == [], "the states of its destinations are not read yet"
        await takeover._take_over()
        await bench.steps.reach("settled")
    assert await results_in(bench.store) == ["delivered"]


async def test_open_copies_are_settled_at_the_start_and_when_shards_of_the_dead_are_gained(
    cluster: Cluster,
) -> None:
    calls = ["at the start", "in vain", "after the takeover"]
    done = list[str]()

    async def settle_copies() -> None:
        done.append(calls.pop(0))
        if done[-1] == "in vain":
            raise StoreUnavailable("gone")

    await cluster.owner("dead")
    bench = cluster.bench("second", recover_copies=settle_copies)
    await bench.delivery.recover()
    async with running(bench.delivery.run):
        await asyncio.sleep(0.02)
        assert done == ["at the start"]
        await cluster.shared.lease_ends()
        await eventually(lambda: len(done) == 3)
    assert done[1:] == ["in vain", "after the takeover"]


async def test_requests_of_a_dead_process_count_towards_the_limit_of_their_destination(
    cluster: Cluster,
) -> None:
    await cluster.claimed_by_a_dead_process(a_callback(url=HOST))
    await cluster.shared.lease_ends()
    transport = GatedTransport()
    transport.open(A)
    bench = cluster.bench("second", transport, limits=DeliveryLimits(per_destination=1))
    await add(bench.store, *callbacks_to(HOST, [2]))
    await bench.delivery.recover()
    async with running(bench.delivery.run):
        await asyncio.sleep(0.02)
        assert bench.delivery.under_way == 1
        assert transport.requests == []
        await cluster.shared.requests_end(cluster.shared.join("second"))
        await bench.steps.reach("settled", 2)
    assert len(transport.requests) == 2


async def test_places_of_requests_that_have_ended_do_not_wait_for_the_next_renewal(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_RENEW_EVERY", "_RENEW_SOON"):
        monkeypatch.setattr(work_takeover, name, 3600.0)
    await cluster.claimed_by_a_dead_process(a_callback(url=HOST))
    await cluster.shared.lease_ends()
    bench = cluster.bench("second", limits=DeliveryLimits(per_destination=1))
    takeover = bench.delivery._takeover
    await takeover._renew()
    await cluster.shared.requests_end(cluster.shared.join("second"))
    await takeover._take_over()
    async with running(bench.delivery.run):
        await bench.steps.reach("settled")
    assert await results_in(bench.store) == ["unknown", "delivered"]


async def test_the_search_after_a_takeover_is_repeated_until_it_succeeds(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cluster.owner("dead")
    bench = cluster.bench("second")
    await bench.delivery.recover()
    # It came due too long ago for the search that is once a second.
    await add(bench.store, a_callback(url=HOST, now=NOW, due=NOW.replace(year=2020)))
    await cluster.shared.lease_ends()
    due_callbacks, failures = bench.delivery._takeover.due_callbacks, [StoreUnavailable("gone")] * 2
    search = due_callbacks.sweep

    async def fail_at_first() -> None:
        if failures:
            raise failures.pop()
        await search()

    monkeypatch.setattr(due_callbacks, "sweep", fail_at_first)
    async with running(bench.delivery.run):
        await bench.steps.reach("settled")
    assert await results_in(bench.store) == ["delivered"]


class FailingCluster:
    """A cluster whose renewals fail at first."""

    def __init__(self, joined: Joined, *failures: Exception) -> None:
        self._cluster = joined.cluster
        self._failures = list(failures)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    async def renew(self) -> LeaseChange:
        if self._failures:
            raise self._failures.pop(0)
        return await self._cluster.renew()


@pytest.mark.parametrize(
    ("failure", "messages"),
    [(StoreUnavailable("no route"), []), (ValueError("odd"), ["the leases can't be renewed"])],
)
async def test_a_failed_renewal_is_repeated(
    cluster: Cluster, failure: Exception, messages: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    joined = await cluster.owner("first")
    bench = cluster.bench("first")
    failing: Any = FailingCluster(joined, failure, failure)
    bench.delivery._takeover.cluster = failing
    async with running(bench.delivery.run):
        await eventually(lambda: not failing._failures)
        await cluster.shared.lease_ends()
        lease = joined.cluster.lease_on(HOST)
        await eventually(lambda: joined.cluster.lease_on(HOST) not in (None, lease))
    assert [one for one in caplog.messages if "can't" in one] == messages * 2
    assert "lost the leases on 256 shards of destinations" in caplog.messages


class UnbalancedCluster:
    """A cluster that lacks shards for some renewals."""

    def __init__(self, joined: Joined, *, renewals: int) -> None:
        self._cluster = joined.cluster
        self.renewals_left = renewals

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    async def renew(self) -> LeaseChange:
        self.renewals_left -= 1
        change = await self._cluster.renew()
        return change._replace(is_unbalanced=self.renewals_left > 0)


async def test_renewals_follow_each_other_soon_while_shards_should_move(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_takeover, "_RENEW_EVERY", 3600)
    bench = cluster.bench("first")
    unbalanced: Any = UnbalancedCluster(cluster.shared.join("first"), renewals=4)
    bench.delivery._takeover.cluster = unbalanced
    await bench.delivery.recover()
    async with running(bench.delivery.run):
        await eventually(lambda: unbalanced.renewals_left == 0)
        await asyncio.sleep(0.02)
    assert unbalanced.renewals_left == 0


async def test_a_database_that_hangs_delays_no_renewal(cluster: Cluster) -> None:
    joined = await cluster.owner("first")
    store = PausedStore(joined.store)
    bench = cluster.bench("first", store=store)
    await bench.delivery.recover()
    lease = joined.cluster.lease_on(HOST) or 0
    store.may_begin.clear()
    async with running(bench.delivery.run):
        for _ in range(4):
            cluster.shared.clock.advance(10 * SECOND)
            await asyncio.sleep(0.02)
            assert joined.cluster.may_send(HOST, lease)


async def test_callbacks_of_all_processes_are_counted(cluster: Cluster) -> None:
    transport = GatedTransport()
    bench = cluster.bench("first", transport)
    await bench.delivery.recover()
    await add(cluster.shared.join("second").store, *callbacks_to(HOST, [1, 2]))
    async with running(bench.delivery.run):
        await eventually(lambda: bench.delivery.unfinished == 2)
        transport.open(A)
        await bench.steps.reach("settled", 2)
        await eventually(lambda: bench.delivery.unfinished == 0)


# ---- who claims and sends


async def test_nothing_is_claimed_from_lanes_of_other_processes(cluster: Cluster) -> None:
    await cluster.owner("first")
    bench = cluster.bench("second")
    await bench.delivery.recover()
    await add(bench.store, a_callback(url=HOST))
    bench.delivery._scheduler.expect(LANE, NOW)
    async with running(bench.delivery.run):
        await all_has_run()
        assert bench.delivery.under_way == 0
    assert await results_in(bench.store) == []


async def test_a_claim_of_an_earlier_lease_is_not_sent(cluster: Cluster) -> None:
    transport = GatedTransport()
    bench = cluster.bench("first", transport, limits=DeliveryLimits(per_destination=1))
    await bench.delivery.recover()
    await bench.take(*callbacks_to(HOST, [1, 2]))
    await all_has_run()
    assert (len(transport.requests), bench.delivery.under_way) == (1, 2)
    first = cluster.shared.join("first").cluster
    await cluster.shared.lease_ends()
    await first.renew()
    assert (await first.renew()).gained
    transport.open(A)
    await bench.steps.reach("settled", 2)
    assert len(transport.requests) == 1
    assert await results_in(bench.store, sid(1)) == ["delivered"]
    assert await results_in(bench.store, sid(2)) == []
    assert (await callback_in(bench.store, sid(2))).progress.due is not None
    assert bench.delivery.under_way == 0


async def test_a_result_that_another_process_has_overtaken_is_counted_and_frees_its_slot(
    cluster: Cluster,
) -> None:
    transport = GatedTransport()
    bench = cluster.bench("first", transport)
    await bench.delivery.recover()
    await bench.take(a_callback(url=HOST))
    await all_has_run()
    await cluster.shared.lease_ends()
    second = await cluster.owner("second")
    await cluster.shared.requests_end(second)
    other = cluster.bench("second")
    assert await other.delivery.recover() == 1
    transport.open(A)
    await eventually(lambda: bench.counters.outdated_results == 1)
    assert bench.delivery.under_way == 0
    assert bench.steps.passed == ["claimed", "sent"]
    assert await results_in(bench.store) == ["unknown"]


async def test_an_outdated_result_of_a_round_that_goes_on_frees_its_slot(cluster: Cluster) -> None:
    gate = asyncio.Event()
    # By its own clock, there is time for another attempt.
    bench = cluster.bench("first", RecordingTransport([REFUSED], gate=gate), clock=FakeClock())
    await bench.delivery.recover()
    await bench.take(a_callback(url=f"{HOST}#rc=1&rp=5xx"))
    await all_has_run()
    await cluster.shared.lease_ends()
    await cluster.shared.requests_end(await cluster.owner("second"))
    await cluster.bench("second").delivery.recover()
    gate.set()
    await eventually(lambda: bench.counters.outdated_results == 1)
    await all_has_run()
    assert bench.delivery.under_way == 0
    assert await results_in(bench.store) == ["unknown"]


# ---- callbacks that other processes add


async def test_a_callback_of_an_accepting_process_is_sent_when_it_is_announced(
    cluster: Cluster,
) -> None:
    bench, accepting = cluster.bench("first"), cluster.shared.join("api")
    await bench.delivery.recover()
    counters = DeliveryCounters()
    queue = accepting_queue(accepting.cluster, FakeClock(), counters)
    async with running(bench.delivery.run):
        await all_has_run()
        await accepting.store.transact(lambda tx: queue.take(tx, a_callback(url=HOST)))
        await bench.steps.reach("settled")
        delivered = await callback_in(bench.store)
        again = replay(delivered.progress, NOW)
        await accepting.store.transact(lambda tx: queue.change(tx, delivered, again))
        await bench.steps.reach("settled", 2)
    assert await results_in(bench.store) == ["delivered", "delivered"]
    assert sum(counters.acceptances.values()) == 1


async def test_a_callback_whose_turn_comes_is_sent_at_once_even_if_it_was_due_long_ago(
    cluster: Cluster,
) -> None:
    transport = GatedTransport()
    bench = cluster.bench("first", transport)
    await bench.delivery.recover()
    first = a_callback(sid=sid(1), url=HOST, order_key="SIM")
    long_ago = a_callback(sid=sid(2), url=HOST, order_key="SIM", due=NOW - 600 * SECOND)
    async with running(bench.delivery.run):
        await bench.take(first, long_ago)
        await all_has_run()
        transport.open(A)
        await bench.steps.reach("settled", 2)
    assert await results_in(bench.store, sid(2)) == ["delivered"]


async def test_a_callback_is_found_even_if_the_database_has_held_a_search_up(
    cluster: Cluster,
) -> None:
    joined = cluster.shared.join("first")
    store = PausedStore(joined.store)
    bench = cluster.bench("first", store=store)
    await bench.delivery.recover()
    async with running(bench.delivery.run):
        await all_has_run()
        store.may_tell.clear()
        cluster.shared.clock.advance(SECOND)
        await all_has_run()
        await add(joined.store, a_callback(url=HOST, due=NOW - 40 * SECOND))
        for _ in range(3):
            await joined.cluster.renew()
            cluster.shared.clock.advance(10 * SECOND)
        store.may_tell.set()
        await bench.steps.reach("settled")


async def test_without_an_announcement_a_callback_is_found_within_a_second(
    cluster: Cluster,
) -> None:
    bench = cluster.bench("first")
    await bench.delivery.recover()
    async with running(bench.delivery.run):
        await all_has_run()
        await add(cluster.shared.join("api").store, a_callback(url=HOST))
        await all_has_run()
        assert bench.steps.passed == []
        cluster.shared.clock.advance(SECOND)
        await bench.steps.reach("settled")


async def test_a_new_callback_for_another_process_waits_and_is_announced(cluster: Cluster) -> None:
    owner = await cluster.owner("first")
    heard = list[News]()
    owner.cluster.listen(heard.append)
    bench = cluster.bench("second")
    await bench.take(a_callback(url=HOST))
    await all_has_run()
    assert heard == [News(frozenset({SHARD}))]
    assert (bench.delivery.under_way, bench.delivery.unfinished) == (0, 1)
    assert (await callback_in(bench.store)).progress.due == NOW
    assert bench.steps.passed == []


async def test_a_replay_for_another_process_is_announced(cluster: Cluster) -> None:
    owner = await cluster.owner("first")
    bench = cluster.bench("second")
    await bench.take(a_callback(url=HOST))
    heard = list[News]()
    owner.cluster.listen(heard.append)
    callback = await callback_in(bench.store)

    def send_again(tx: Transaction) -> None:
        bench.delivery.queue.change(tx, callback, replay(callback.progress, NOW))

    await bench.store.transact(send_again)
    assert heard == [News(frozenset({SHARD}))]


# ---- stopping


async def test_a_stop_gives_all_shards_back_while_its_requests_end(cluster: Cluster) -> None:
    transport = GatedTransport()
    bench = cluster.bench("first", transport)
    await bench.delivery.recover()
    async with running(bench.delivery.run):
        await bench.take(a_callback(url=HOST))
        await all_has_run()
        stopping = asyncio.create_task(bench.delivery.stop(within=10 * SECOND))
        await all_has_run()
        assert not stopping.done()
        second = cluster.shared.join("second").cluster
        assert len((await second.renew()).gained) == 256
        transport.open(A)
        await stopping
    assert await results_in(bench.store) == ["delivered"]


async def test_a_stop_waits_for_claims_under_way_as_quick_work(cluster: Cluster) -> None:
    store = QuickPaused(cluster.shared.join("first").store)
    bench = cluster.bench("first", store=store)
    await bench.delivery.recover()
    store.quick.may_tell.clear()

    def take(tx: Transaction) -> None:
        bench.delivery.queue.take(tx, a_callback(url=HOST))

    taking = asyncio.create_task(store.transact(take, is_quick=True))
    await all_has_run()
    stopping = asyncio.create_task(bench.delivery.stop(within=0 * SECOND))
    await all_has_run()
    assert not stopping.done()
    store.quick.may_tell.set()
    await asyncio.gather(taking, stopping)


class QuickPaused:
    """A store with a queue for quick work, which a test can pause, and another one."""

    def __init__(self, store: Store) -> None:
        self.quick = PausedStore(store)
        self._store = store

    async def transact(self, work: Any, *, is_quick: bool = False, may_wait: bool = False) -> Any:
        return await (self.quick if is_quick else self._store).transact(work)

    async def read(self, work: Any, *, asked_by: str = "") -> Any:
        return await self._store.read(work)


# ---- the states of destinations


OPEN = DestinationState(opened=NOW, probe_at=NOW + 20 * SECOND, seen=NOW)
"""A state whose probe is due when another process has taken the lane over."""


async def save_state(store: Store, state: DestinationState) -> None:
    await store.transact(lambda tx: tx.destinations.save_state(LANE, state))


async def test_the_state_of_a_destination_is_known_before_anything_is_sent_there(
    cluster: Cluster,
) -> None:
    first = await cluster.owner("first")
    await save_state(first.store, OPEN)
    await add(first.store, *callbacks_to(HOST, [1, 2]))
    transport = RecordingTransport()
    bench = cluster.bench("second", transport, schedule=PERSISTENT)
    await bench.delivery.recover()
    async with running(bench.delivery.run):
        await cluster.shared.lease_ends()
        await eventually(lambda: bench.destinations.valve(LANE).state.opened == NOW)
        await asyncio.sleep(0.02)
        assert transport.requests == []
        cluster.shared.clock.set(NOW + 20 * SECOND)
        await eventually(lambda: len(transport.requests) == 2 and len(bench.events) == 1)
    assert bench.events[0].kind == "destination.recovered"


async def test_nothing_is_sent_while_the_states_cannot_be_read(cluster: Cluster) -> None:
    joined, transport = await cluster.owner("first"), RecordingTransport()
    store = PausedStore(joined.store)
    bench = cluster.bench("first", transport, store=store)
    await bench.delivery.recover()
    async with running(bench.delivery.run):
        store.may_tell.clear()
        await cluster.shared.lease_ends()
        await eventually(lambda: not bench.destinations.knows(LANE.destination))
        await add(joined.store, a_callback(url=HOST))
        bench.delivery._scheduler.expect(LANE, NOW)
        await asyncio.sleep(0.02)
        assert transport.requests == []
        assert await results_in(joined.store) == []
        store.may_tell.set()
        await bench.steps.reach("settled")
    assert len(transport.requests) == 1
