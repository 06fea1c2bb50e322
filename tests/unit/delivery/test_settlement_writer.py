"""Settlements that arrive during a commit share the next one, and none is lost."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import pytest

from ringback.core.accounts.account import Account
from ringback.core.callbacks.callback import delivered
from ringback.core.destinations.destination_state import DestinationState
from ringback.delivery.settlement_writer import SettlementWriter
from ringback.ports import DeliveryClaim, Lane, Settlement, StateChange, Store, Transaction, lane_of
from tests.fakes import ACCOUNT_SID, NOW, FakeClock, a_callback, an_account
from tests.memory_store import MemoryStore
from tests.stores.sharing import MemoryShared
from tests.unit.delivery.parts import (
    DELIVERED,
    HOST,
    LANE,
    FailingStore,
    PausedStore,
    a_store,
    add,
    all_has_run,
    callback_in,
    callbacks_to,
    claim_of,
    results_in,
    sid,
)

T = TypeVar("T")
SECOND = timedelta(seconds=1)


class Bench:
    """A settlement writer, and the settlements that it reports."""

    def __init__(self, store: Store) -> None:
        self.clock = FakeClock()
        self.settled = list[str]()
        """The SIDs of callbacks whose settlements are durable."""
        self.accounts = list[Account | None]()
        self.outdated = list[Settlement]()
        self.turns = list[tuple[Lane, datetime]]()
        """The lanes in which the writer reports that a callback waits, and when it is due."""
        self.writer = SettlementWriter(
            self._note,
            outdated=self.outdated.append,
            waits=lambda *turn: self.turns.append(turn),
            store=store,
            clock=self.clock,
        )

    def put(self, settlements: Sequence[Settlement]) -> None:
        for settlement in settlements:
            self.writer.add(settlement)

    def _note(self, settlement: Settlement, account: Account | None) -> None:
        self.settled.append(settlement.claim.callback.sid)
        self.accounts.append(account)


def _wait_for_nothing(_lane: Lane, _due: datetime) -> None:
    raise AssertionError("no callback has an order key")


def sids(*numbers: int) -> list[str]:
    return [sid(number) for number in numbers]


def settlement_of(claim: DeliveryClaim) -> Settlement:
    return Settlement(claim, delivered(claim.progress, NOW), DELIVERED, NOW)


def going_on(claim: DeliveryClaim) -> Settlement:
    """Return a settlement whose callback continues with its next attempt."""
    progress = claim.progress._replace(attempt_count=2, round_attempts=2)
    return settlement_of(claim)._replace(progress=progress)


async def claimed(*numbers: int) -> tuple[MemoryStore, list[DeliveryClaim]]:
    """Return a store with these callbacks, all of them claimed."""
    callbacks = callbacks_to(HOST, numbers)
    store = await a_store(*callbacks)
    return store, await claim_of(store, callbacks[0], limit=len(callbacks))


async def test_a_settlement_is_durable_before_it_is_reported() -> None:
    store, claims = await claimed(1)
    paused = PausedStore(store)
    paused.may_begin.clear()
    bench = Bench(paused)
    bench.put([settlement_of(one) for one in claims])
    await all_has_run()
    assert bench.settled == []
    paused.may_begin.set()
    await bench.writer.finish()
    assert bench.settled == sids(1)
    assert await results_in(store, sid(1)) == ["delivered"]


async def test_attempts_that_end_at_the_same_time_share_a_transaction() -> None:
    store, claims = await claimed(1, 2, 3)
    counted = FailingStore(store)
    bench = Bench(counted)
    bench.put([settlement_of(one) for one in claims])
    await bench.writer.finish()
    assert counted.transactions == 1
    assert bench.settled == sids(1, 2, 3)


async def test_attempts_that_end_during_a_commit_share_the_next_one() -> None:
    store, claims = await claimed(1, 2, 3, 4)
    paused = PausedStore(store)
    bench = Bench(paused)
    first, *others = [settlement_of(one) for one in claims]
    paused.may_tell.clear()
    bench.put([first])
    await all_has_run()
    for other in others:
        bench.put([other])
        await all_has_run()
    assert (paused.transactions, bench.settled) == (1, [])
    paused.may_tell.set()
    await bench.writer.finish()
    assert paused.transactions == 2
    assert bench.settled == sids(1, 2, 3, 4)


async def test_attempts_that_end_after_the_last_commit_are_written_too() -> None:
    store, claims = await claimed(1, 2)
    bench = Bench(store)
    for one in claims:
        bench.put([settlement_of(one)])
        await bench.writer.finish()
    assert bench.settled == sids(1, 2)


async def test_settlements_added_while_others_are_reported_are_written_too() -> None:
    store, claims = await claimed(1, 2)
    first, second = [settlement_of(one) for one in claims]
    told = list[str]()

    def put_the_next(settlement: Settlement, _: Account | None) -> None:
        told.append(settlement.claim.callback.sid)
        if settlement is first:
            writer.add(second)

    writer = SettlementWriter(
        put_the_next, outdated=[].append, waits=_wait_for_nothing, store=store, clock=FakeClock()
    )
    writer.add(first)
    await writer.finish()
    assert told == sids(1, 2)
    assert (await callback_in(store, sid(2))).status == "delivered"


async def test_it_reports_whose_turn_it_is_once_that_is_durable() -> None:
    ordered = [a_callback(sid=sid(number), url=HOST, order_key="SIM") for number in (1, 2)]
    store = PausedStore(await a_store(*ordered))
    bench = Bench(store)
    claims = await claim_of(store, ordered[0], limit=2)
    store.may_tell.clear()
    bench.put(list(map(settlement_of, claims)))
    await all_has_run()
    assert (bench.settled, bench.turns) == ([], [])
    store.may_tell.set()
    await bench.writer.finish()
    assert (bench.settled, bench.turns) == (sids(1), [(lane_of(ordered[0]), NOW)])


async def test_the_order_is_kept() -> None:
    store, claims = await claimed(*range(1, 31))
    bench = Bench(store)
    for one in reversed(claims):
        bench.put([settlement_of(one)])
        if one.callback.sid.endswith("0"):
            await all_has_run()
    await bench.writer.finish()
    assert bench.settled == sids(*range(30, 0, -1))


async def test_an_unavailable_store_is_tried_again_and_nothing_is_lost_or_written_twice() -> None:
    store, claims = await claimed(1, 2)
    failing = FailingStore(store)
    failing.failures_to_come = 2
    bench = Bench(failing)
    first, second = [settlement_of(one) for one in claims]
    bench.put([first])
    await all_has_run()
    bench.put([second])
    for _ in range(2):
        assert bench.settled == []
        bench.clock.advance(SECOND)
        await all_has_run()
    assert bench.settled == sids(1, 2)
    assert [await results_in(store, one) for one in sids(1, 2)] == [["delivered"], ["delivered"]]


async def test_only_continuing_rounds_get_their_account() -> None:
    store, claims = await claimed(1, 2)
    bench = Bench(store)
    bench.put([going_on(claims[0])])
    await bench.writer.finish()
    bench.put([settlement_of(claims[1])])
    await bench.writer.finish()
    assert bench.accounts == [an_account(), None]
    assert await results_in(store, sid(1)) == ["delivered", "open"]


async def test_a_continuing_round_gets_the_current_account() -> None:
    store, claims = await claimed(1)
    rotated = an_account(auth_token="another token")
    await store.transact(lambda tx: tx.accounts.save(rotated))
    bench = Bench(store)
    bench.put([going_on(claims[0])])
    await bench.writer.finish()
    assert bench.accounts == [rotated]


async def test_without_settlements_it_is_finished_at_once() -> None:
    store = FailingStore(await a_store(a_callback()))
    await Bench(store).writer.finish()
    assert store.transactions == 0


async def test_a_result_that_was_overtaken_by_another_process_is_reported_as_outdated() -> None:
    shared = MemoryShared()
    first, second = shared.join("first"), shared.join("second")
    await first.store.transact(lambda tx: tx.accounts.add(an_account(), []))
    await first.cluster.renew()
    callbacks = callbacks_to(HOST, [1, 2])
    await add(first.store, *callbacks)
    overtaken, in_time = await claim_of(first.store, callbacks[0], limit=2)
    await shared.lease_ends()
    await second.cluster.renew()
    await second.store.transact(lambda tx: tx.callbacks.settle([settlement_of(overtaken)]))
    bench = Bench(first.store)
    bench.put([settlement_of(overtaken), settlement_of(in_time)])
    await bench.writer.finish()
    assert bench.settled == sids(2)
    assert [one.claim.callback.sid for one in bench.outdated] == sids(1)


class Particular:
    """A store that can't save the settlement of one callback."""

    def __init__(self, store: Store, sid: str) -> None:
        self._store = store
        self._sid = sid

    async def transact(self, work: Callable[[Transaction], T], **how: bool) -> T:
        def checked(tx: Transaction) -> T:
            result = work(tx)
            callback = tx.callbacks.get(ACCOUNT_SID, self._sid)
            if callback is not None and callback.progress.is_ended:
                raise ValueError("a value can't be kept")
            return result

        return await self._store.transact(checked)

    async def read(self, work: Callable[[Transaction], T], *, asked_by: str = "") -> T:
        return await self.transact(work)


async def test_a_settlement_that_cannot_be_stored_does_not_affect_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, claims = await claimed(1, 2, 3)
    bench = Bench(Particular(store, sid(2)))
    bench.put([settlement_of(one) for one in claims])
    await bench.writer.finish()
    assert bench.settled == sids(1, 3)
    assert await results_in(store, sid(2)) == ["open"]
    assert caplog.messages == [
        f"the result of an attempt of callback {sid(2)} can't be stored;"
        " the next start of the server settles the attempt"
    ]
    assert "a value can't be kept" in caplog.text


async def test_after_a_settlement_that_cannot_be_stored_it_continues() -> None:
    store, claims = await claimed(1, 2)
    bench = Bench(Particular(store, sid(1)))
    for one in claims:
        bench.put([settlement_of(one)])
        await bench.writer.finish()
    assert bench.settled == sids(2)


# ---- destinations and callbacks that were not sent -----------------------------------------------


OPEN = DestinationState(opened=NOW, probe_at=NOW + 30 * SECOND, seen=NOW)


def with_change(settlement: Settlement) -> Settlement:
    return settlement._replace(change=StateChange(settlement.claim.lane, OPEN))


def save_states(bench: Bench) -> list[StateChange]:
    """Let a bench save the states of destinations; return the list of those it saves."""
    saved = list[StateChange]()

    def save(tx: Transaction, change: StateChange) -> None:
        tx.destinations.save_state(change.lane, change.state)
        tx.on_commit(lambda: saved.append(change))

    bench.writer._save_change = save
    return saved


async def test_the_state_of_a_destination_is_saved_by_the_commit_of_the_attempt() -> None:
    store, claims = await claimed(1, 2)
    counted = FailingStore(store)
    bench = Bench(counted)
    saved = save_states(bench)
    bench.put([with_change(settlement_of(claims[0])), settlement_of(claims[1])])
    await bench.writer.finish()
    assert [change.state for change in saved] == [OPEN]
    assert await store.read(lambda tx: tx.destinations.state_of(LANE)) == OPEN
    assert counted.transactions == 1


async def test_a_result_that_cannot_be_stored_changes_no_destination() -> None:
    store, claims = await claimed(1)
    bench = Bench(Particular(store, sid(1)))
    saved = save_states(bench)
    bench.put([with_change(settlement_of(claims[0]))])
    await bench.writer.finish()
    assert saved == []
    assert await store.read(lambda tx: tx.destinations.state_of(LANE)) is None


async def test_an_outdated_result_changes_no_destination() -> None:
    shared = MemoryShared()
    first, second = shared.join("first"), shared.join("second")
    await first.store.transact(lambda tx: tx.accounts.add(an_account(), []))
    await first.cluster.renew()
    callbacks = callbacks_to(HOST, [1])
    await add(first.store, *callbacks)
    [overtaken] = await claim_of(first.store, callbacks[0])
    await shared.lease_ends()
    await second.cluster.renew()
    await second.store.transact(lambda tx: tx.callbacks.settle([settlement_of(overtaken)]))
    bench = Bench(first.store)
    saved = save_states(bench)
    bench.put([with_change(settlement_of(overtaken))])
    await bench.writer.finish()
    assert (saved, len(bench.outdated)) == ([], 1)


async def test_a_writer_that_nobody_gave_a_way_to_save_states_saves_none() -> None:
    store, claims = await claimed(1)
    bench = Bench(store)
    bench.put([with_change(settlement_of(claims[0]))])
    await bench.writer.finish()
    assert bench.settled == sids(1)
    assert await store.read(lambda tx: tx.destinations.states()) == []


async def test_a_callback_that_is_put_back_waits_without_an_attempt() -> None:
    store, claims = await claimed(1)
    bench = Bench(store)
    bench.writer.put_back(claims[0], NOW + SECOND)
    await bench.writer.finish()
    progress = (await callback_in(store, sid(1))).progress
    assert (progress.attempt_count, progress.due) == (0, NOW + SECOND)
    assert await results_in(store, sid(1)) == []
    assert bench.settled == sids(1)
