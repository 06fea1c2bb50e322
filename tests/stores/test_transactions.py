"""Transactions: all or nothing, in order, and the functions called afterwards."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from ringback.core.callbacks.retry import NoRetryNeeded
from ringback.core.errors import InvalidParameter
from ringback.core.sims.scenario import TaskKind
from ringback.core.supersim.sim import SuperSim
from ringback.core.wireless.usage import WirelessUsageQuery
from ringback.ports import PageWindow, Store, Transaction
from tests.fakes import NOW, claim_from, next_due_in
from tests.stores.asking import ALL_CALLBACKS, ended, keep, sims_on
from tests.stores.records import (
    FLEETS,
    ODD_INSTANT,
    OUR_LANE,
    OURS,
    SECOND,
    SIMS,
    WIRELESS_SIMS,
    account,
    callback,
    command,
    command_use,
    fleet,
    rate_plan,
    session,
    sim,
    sms_command,
    task,
    update_of,
    wireless_session,
    wireless_update_of,
)


class Broken(Exception):
    """The error that makes some work fail."""


def do_everything_and_break(tx: Transaction) -> None:
    tx.accounts.save(replace(account(), auth_token="changed"))
    tx.supersim.fleets.add(fleet(9))
    tx.supersim.fleets.save(replace(FLEETS[OURS], data_limit=9))
    tx.supersim.sims.add(sim(9))
    tx.supersim.sims.save(replace(sim(1), unique_name="changed"))
    tx.supersim.sim_updates.add(update_of(sim(9)))
    tx.supersim.sim_updates.remove(sim(1).sid)
    tx.supersim.sms_commands.add(sms_command(9))
    tx.supersim.sessions.end(session(1).sid, NOW)
    tx.wireless.rate_plans.add(rate_plan(9))
    tx.wireless.sims.save(replace(WIRELESS_SIMS[OURS], unique_name="changed"))
    tx.wireless.sim_updates.remove(WIRELESS_SIMS[OURS].sid)
    tx.wireless.commands.remove(command(1).sid)
    tx.wireless.command_uses.add(command_use())
    tx.wireless.sessions.add(wireless_session(9))
    tx.scenarios.put(OURS, "slow")
    tx.tasks.put(task(1, due=ODD_INSTANT))
    tx.tasks.drop(task(2).subject_sid, TaskKind.UPDATE_SIM)
    tx.tasks.take(task(3))
    tx.callbacks.add(callback(9))
    claims = claim_from(tx, OUR_LANE, NOW, limit=9)
    tx.callbacks.settle([ended(taken, NoRetryNeeded()) for taken in claims])
    tx.batches.add(["c", "d"])
    tx.batches.remove([1])
    raise Broken


def everything(tx: Transaction) -> tuple[object, ...]:
    return (
        tx.accounts.get(OURS),
        tx.supersim.fleets.page(OURS, {}, PageWindow(99)),
        tx.supersim.sims.page(OURS, {}, PageWindow(99)),
        [tx.supersim.sim_updates.get(sim(number).sid) for number in (1, 9)],
        tx.supersim.sms_commands.page(OURS, {}, PageWindow(99)),
        tx.supersim.sessions.get(session(1).sid),
        tx.wireless.rate_plans.page(OURS, {}, PageWindow(99)),
        tx.wireless.sims.page(OURS, {}, PageWindow(99)),
        tx.wireless.sim_updates.get(WIRELESS_SIMS[OURS].sid),
        tx.wireless.commands.page(OURS, {}, PageWindow(99)),
        tx.wireless.command_uses.count(OURS, None, WirelessUsageQuery(NOW, ODD_INSTANT, None)),
        tx.wireless.sessions.of_sim(WIRELESS_SIMS[OURS].sid, since=NOW),
        tx.scenarios.get(OURS),
        tx.tasks.claim(ODD_INSTANT, limit=99),
        tx.callbacks.page(OURS, ALL_CALLBACKS, PageWindow(99)),
        tx.callbacks.attempts(callback(1).sid),
        tx.callbacks.left_open(),
        tx.batches.all(),
    )


async def test_failing_work_has_no_effect(furnished: Store) -> None:
    await keep(furnished, sim(1), update_of(sim(1)), session(1), *map(task, (1, 2, 3)), callback(1))
    await keep(furnished, wireless_update_of(WIRELESS_SIMS[OURS]), command(1))
    before = await furnished.transact(everything)
    with pytest.raises(Broken):
        await furnished.transact(do_everything_and_break)
    assert await furnished.transact(everything) == before


async def test_failing_work_does_not_affect_the_work_beside_it(furnished: Store) -> None:
    await keep(furnished, sim(1), session(1), command(1))
    endings = await asyncio.gather(
        keep(furnished, sim(2)),
        furnished.transact(do_everything_and_break),
        keep(furnished, sim(3)),
        return_exceptions=True,
    )
    assert [type(ending) for ending in endings] == [type(None), Broken, type(None)]
    assert await sims_on(furnished, PageWindow(9)) == [sim(3), sim(2), sim(1), SIMS[OURS]]


async def test_an_error_in_the_work_is_raised_unchanged(store: Store) -> None:
    refusal = InvalidParameter("no", code=83010)

    def refuse(tx: Transaction) -> None:
        raise refusal

    with pytest.raises(InvalidParameter) as raised:
        await store.transact(refuse)
    assert raised.value is refusal


async def test_work_is_done_in_the_order_of_the_calls(store: Store) -> None:
    done = list[int]()
    await asyncio.gather(
        *(store.transact(lambda tx, n=number: done.append(n)) for number in range(50))
    )
    assert done == list(range(50))


async def test_each_caller_gets_the_result_of_its_own_work(store: Store) -> None:
    results = await asyncio.gather(
        *(store.transact(lambda tx, n=number: n * n) for number in range(50))
    )
    assert results == [number * number for number in range(50)]


async def test_work_sees_its_own_changes(store: Store) -> None:
    def work(tx: Transaction) -> list[SuperSim]:
        tx.supersim.sims.add(sim(1))
        tx.supersim.sims.save(replace(sim(1), unique_name="x"))
        return tx.supersim.sims.page(OURS, {}, PageWindow(9))

    assert await store.transact(work) == [replace(sim(1), unique_name="x")]


async def test_work_sees_the_callbacks_it_has_stored(store: Store) -> None:
    def work(tx: Transaction) -> tuple[object, ...]:
        tx.callbacks.add(callback(1, key="x"))
        return (
            tx.callbacks.get(OURS, callback(1).sid),
            next_due_in(tx, OUR_LANE),
            tx.callbacks.unfinished(),
            tx.callbacks.due_before([NOW + SECOND]),
        )

    assert await store.transact(work) == (callback(1, key="x"), NOW, {OURS: 1}, [1])


async def test_writing_nothing_changes_nothing(store: Store) -> None:
    await keep(store, sim(1), callback(1))
    before = await store.transact(everything)
    assert await store.transact(lambda tx: tx.write_nothing()) is None
    assert await store.transact(everything) == before


# ---- afterwards


def telling(told: list[str], name: str, *, breaks: bool = False) -> Callable[[Transaction], None]:
    """Return work that records in this list how it ended."""

    def work(tx: Transaction) -> None:
        tx.on_commit(
            lambda: told.append(f"{name} durable"), undone=lambda: told.append(f"{name} undone")
        )
        if breaks:
            raise Broken

    return work


async def test_a_function_is_called_when_everything_is_durable(store: Store) -> None:
    told = list[str]()
    await store.transact(telling(told, "it"))
    assert told == ["it durable"]


async def test_a_function_is_called_when_everything_is_undone(store: Store) -> None:
    told = list[str]()
    with pytest.raises(Broken):
        await store.transact(telling(told, "it", breaks=True))
    assert told == ["it undone"]


async def test_without_a_function_for_undoing_nothing_is_called(store: Store) -> None:
    told = list[str]()

    def work(tx: Transaction) -> None:
        tx.on_commit(lambda: told.append("durable"))
        raise Broken

    with pytest.raises(Broken):
        await store.transact(work)
    assert told == []


async def test_functions_are_called_in_the_order_of_their_registration(store: Store) -> None:
    told = list[str]()

    def work(tx: Transaction) -> None:
        for name in ("first", "second", "third"):
            telling(told, name)(tx)

    await store.transact(work)
    assert told == ["first durable", "second durable", "third durable"]


async def test_functions_are_called_in_the_order_of_the_work(store: Store) -> None:
    told = list[str]()
    await asyncio.gather(
        store.transact(telling(told, "first")),
        store.transact(telling(told, "second", breaks=True)),
        store.transact(telling(told, "third")),
        return_exceptions=True,
    )
    assert told == ["first durable", "second undone", "third durable"]


async def test_functions_are_called_in_the_event_loop_before_the_caller_continues(
    store: Store,
) -> None:
    told = list[object]()

    def work(tx: Transaction) -> None:
        tx.on_commit(lambda: told.append(asyncio.get_running_loop()))

    await store.transact(work)
    assert told == [asyncio.get_running_loop()]
