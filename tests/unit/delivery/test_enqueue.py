"""The queue: a transaction saves a new callback, and claims it if a slot is free."""

import asyncio
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from ringback.core.callbacks.callback import (
    CallbackRecord,
    CallbackStatus,
    DeliveryProgress,
    delivered,
    discard,
    replay,
)
from ringback.core.errors import BacklogFull
from ringback.core.http.http_exchange import AttemptResult
from ringback.core.policy.source_policy import Source
from ringback.core.retry_schedule import PERSISTENT
from ringback.delivery.backlog import BacklogLimits
from ringback.delivery.delivery_service import DeliveryLimits
from ringback.ports import ALL_SHARDS, DestinationPause, Transaction
from ringback.stores.sqlite.store import SqliteStore
from tests.destinations import a_rule, set_at_run_time
from tests.fakes import (
    ACCOUNT_SID,
    NOW,
    VAULT,
    FakeClock,
    RecordingTransport,
    a_callback,
    an_account,
)
from tests.unit.delivery.parts import (
    DELIVERED,
    HOST,
    OTHER_ACCOUNT_SID,
    OTHER_HOST,
    REFUSED,
    Bench,
    FailingStore,
    GatedTransport,
    PausedStore,
    a_store,
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
FIRST_WINDOW = 16


async def change(bench: Bench, sid_: str, progress: DeliveryProgress) -> None:
    callback = await callback_in(bench.store, sid_)
    await bench.store.transact(lambda tx: bench.delivery.queue.change(tx, callback, progress))


# ---- with a slot ---------------------------------------------------------------------------------


async def test_a_new_callback_is_claimed_by_the_transaction_that_stores_it() -> None:
    store = FailingStore(await a_store())
    bench = Bench(store, GatedTransport())
    await bench.take(a_callback(url=HOST))
    assert store.transactions == 1
    callback = await callback_in(store)
    assert callback.progress.is_under_way
    assert (callback.progress.attempt_count, callback.progress.date_updated) == (1, NOW)
    assert await results_in(store, callback.sid) == ["open"]
    assert bench.delivery.under_way == 1


async def test_a_new_callback_is_sent_without_the_loop() -> None:
    store, transport = await a_store(), RecordingTransport()
    bench = Bench(store, transport)
    await bench.take(a_callback())
    await bench.steps.reach("settled")
    assert len(transport.requests) == 1
    assert (await callback_in(store)).status == "delivered"
    assert bench.delivery.under_way == 0


async def test_a_callback_from_its_acceptance_to_its_delivery_takes_two_transactions() -> None:
    store = FailingStore(await a_store())
    bench = Bench(store, RecordingTransport())
    await bench.take(a_callback())
    await bench.steps.reach("settled")
    assert store.transactions == 2


async def test_nothing_leaves_before_the_transaction_has_ended() -> None:
    store = PausedStore(await a_store())
    transport = RecordingTransport()
    bench = Bench(store, transport)
    store.may_begin.clear()
    taking = asyncio.create_task(bench.take(a_callback()))
    await all_has_run()
    assert transport.requests == []
    store.may_begin.set()
    await taking
    await bench.steps.reach("settled")
    assert len(transport.requests) == 1


async def test_many_in_one_transaction_leave_in_their_order() -> None:
    transport = RecordingTransport()
    bench = Bench(await a_store(), transport, limits=DeliveryLimits(per_destination=1))
    urls = [f"{HOST}/{number}" for number in range(10)]
    await bench.take(*(a_callback(sid=sid(number), url=url) for number, url in enumerate(urls)))
    await bench.steps.reach("settled", 10)
    assert [request.url.wire for request in transport.requests] == urls


async def test_a_new_callback_with_a_past_due_time_is_sent() -> None:
    transport = RecordingTransport()
    bench = Bench(await a_store(), transport, clock=FakeClock(NOW + 60 * SECOND))
    await bench.take(a_callback(due=NOW))
    await bench.steps.reach("settled")
    assert len(transport.requests) == 1


# ---- without a slot ------------------------------------------------------------------------------


async def test_without_a_free_slot_it_waits_for_one() -> None:
    store, transport = await a_store(), GatedTransport()
    bench = Bench(store, transport)
    await bench.take(*callbacks_to(HOST, range(FIRST_WINDOW + 1)))
    assert bench.delivery.under_way == FIRST_WINDOW
    waiting = await callback_in(store, sid(FIRST_WINDOW))
    assert (waiting.progress.due, waiting.progress.attempt_count) == (NOW, 0)
    assert await results_in(store, sid(FIRST_WINDOW)) == []
    async with running(bench.delivery.run):
        transport.open(A)
        await bench.steps.reach("settled", FIRST_WINDOW + 1)
    assert (await callback_in(store, sid(FIRST_WINDOW))).status == "delivered"


async def test_a_new_callback_does_not_overtake_due_ones_in_its_lane() -> None:
    store, transport = await a_store(*callbacks_to(f"{HOST}/first", [1])), RecordingTransport()
    bench = Bench(store, transport, limits=DeliveryLimits(per_destination=1))
    await bench.delivery.recover()
    await bench.take(*callbacks_to(f"{HOST}/second", [2]))
    await all_has_run()
    assert transport.requests == []
    await bench.settle(2)
    assert [request.url.path for request in transport.requests] == ["/first", "/second"]


async def test_due_callbacks_in_one_lane_delay_no_other() -> None:
    store, transport = await a_store(*callbacks_to(HOST, [1])), RecordingTransport()
    bench = Bench(store, transport)
    await bench.delivery.recover()
    await bench.take(*callbacks_to(OTHER_HOST, [2]))
    await bench.steps.reach("settled")
    assert (await callback_in(store, sid(2))).status == "delivered"


async def test_a_callback_for_later_waits_for_its_instant() -> None:
    store, transport = await a_store(), RecordingTransport()
    bench = Bench(store, transport)
    async with running(bench.delivery.run):
        await all_has_run()
        await bench.take(a_callback(due=NOW + SECOND))
        bench.clock.advance(SECOND - timedelta(microseconds=1))
        await all_has_run()
        assert (transport.requests, bench.delivery.under_way) == ([], 0)
        bench.clock.advance(timedelta(microseconds=1))
        await bench.steps.reach("settled")
    assert len(transport.requests) == 1


async def test_a_waiting_callback_wakes_the_loop() -> None:
    transport = RecordingTransport()
    bench = Bench(await a_store(), transport)
    async with running(bench.delivery.run):
        await all_has_run()
        await bench.take(*callbacks_to(HOST, range(FIRST_WINDOW + 4)))
        await bench.steps.reach("settled", FIRST_WINDOW + 4)
    assert len(transport.requests) == FIRST_WINDOW + 4


# ---- with an order key ---------------------------------------------------------------------------


def in_order(*numbers: int) -> list[CallbackRecord]:
    """Return callbacks with one order key, each with its number as the path."""
    return [
        a_callback(sid=sid(number), url=f"{HOST}/{number}", order_key="SIM") for number in numbers
    ]


def paths(transport: RecordingTransport | GatedTransport) -> list[str]:
    return [request.url.path for request in transport.requests]


async def test_a_callback_does_not_leave_before_the_one_in_front_of_it_has_ended() -> None:
    store, transport = await a_store(), GatedTransport()
    bench = Bench(store, transport)
    async with running(bench.delivery.run):
        await bench.take(*in_order(2, 1), *callbacks_to(f"{HOST}/other", [3]), *in_order(4))
        await all_has_run()
        assert paths(transport) == ["/2", "/other"]
        assert bench.delivery.under_way == 2
        transport.open(A)
        await bench.steps.reach("settled", 4)
    assert paths(transport) == ["/2", "/other", "/1", "/4"]
    assert bench.delivery.unfinished == 0


async def test_one_that_waits_for_its_turn_is_not_looked_for() -> None:
    store = FailingStore(await a_store())
    bench = Bench(store, GatedTransport())
    async with running(bench.delivery.run):
        await bench.take(*in_order(1))
        await all_has_run()
        before = store.transactions
        await bench.take(*in_order(2))
        await all_has_run()
    assert store.transactions == before + 1


async def test_a_retry_holds_those_behind_it() -> None:
    transport = RecordingTransport([REFUSED, REFUSED])
    bench = Bench(await a_store(), transport, schedule=PERSISTENT)
    await bench.take(*in_order(1, 2))
    await bench.settle(2)
    assert paths(transport) == ["/1", "/1"]
    bench.clock.advance(timedelta(hours=1))
    await bench.settle(4)
    assert paths(transport) == ["/1", "/1", "/1", "/2"]


async def test_the_next_one_is_sent_when_the_first_is_discarded_even_if_it_was_due_long_ago() -> (
    None
):
    store, transport = await a_store(), RecordingTransport()
    bench = Bench(store, transport)
    late = a_callback(sid=sid(1), due=NOW + 600 * SECOND, url=HOST, order_key="SIM")
    async with running(bench.delivery.run):
        await bench.take(late, *in_order(2, 3))
        bench.clock.advance(300 * SECOND)
        await all_has_run()
        assert transport.requests == []
        await change(bench, sid(1), discard(late.progress, "a person said so", NOW))
        await bench.steps.reach("settled", 2)
    assert paths(transport) == ["/2", "/3"]


async def test_a_replayed_one_waits_for_the_one_that_is_sent() -> None:
    transport = GatedTransport()
    bench = Bench(await a_store(), transport)
    async with running(bench.delivery.run):
        await bench.take(*in_order(1, 2, 3))
        first = await callback_in(bench.store, sid(1))
        transport.open(A)
        await bench.steps.reach("settled", 3)
        ended = await callback_in(bench.store, sid(1))
        await change(bench, first.sid, replay(ended.progress, NOW))
        await bench.steps.reach("settled", 4)
    assert paths(transport) == ["/1", "/2", "/3", "/1"]


async def test_the_search_finds_what_follows_a_callback_that_an_old_server_has_ended() -> None:
    store = await a_store(*in_order(1, 2))
    (taken,) = await claim_of(store, a_callback(url=HOST))
    tables = store.tables.callbacks
    # A server of the version before saves only this.
    tables._keep(taken.callback, delivered(taken.progress, NOW))
    transport = RecordingTransport()
    await Bench(store, transport).settle(1)
    assert paths(transport) == ["/2"]


# ---- undone transactions -------------------------------------------------------------------------


async def test_an_undone_transaction_sends_nothing_and_frees_its_slots() -> None:
    store, transport = await a_store(), RecordingTransport()
    bench = Bench(store, transport)
    held = list[int]()

    def work(tx: Transaction) -> None:
        for callback in callbacks_to(HOST, range(3)):
            bench.delivery.queue.take(tx, callback)
        held.append(bench.delivery.under_way)
        raise ValueError("the fourth one is wrong")

    with pytest.raises(ValueError, match="fourth"):
        await store.transact(work)
    await all_has_run()
    assert held == [3]
    assert (bench.delivery.under_way, bench.delivery.unfinished) == (0, 0)
    assert transport.requests == []
    assert await store.transact(lambda tx: tx.callbacks.unfinished()) == {}


async def test_a_callback_that_cannot_be_stored_frees_its_slot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = await a_store()
    bench = Bench(store, RecordingTransport())

    def keep_nothing(callback: CallbackRecord) -> None:
        raise ValueError("a value can't be kept")

    def work(tx: Transaction) -> None:
        monkeypatch.setattr(tx.callbacks, "add", keep_nothing)
        bench.delivery.queue.take(tx, a_callback())

    with pytest.raises(ValueError, match="can't be kept"):
        await store.transact(work)
    assert bench.delivery.under_way == 0


async def test_a_freed_slot_goes_at_once_to_a_waiting_callback(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "ringback.db", VAULT)
    await store.transact(lambda tx: tx.accounts.add(an_account(), []))
    bench = Bench(store, RecordingTransport())
    loop, may_fail = asyncio.get_running_loop(), threading.Event()

    def fill_the_lane_and_fail(tx: Transaction) -> None:
        for callback in callbacks_to(HOST, range(FIRST_WINDOW)):
            bench.delivery.queue.take(tx, callback)
        loop.call_soon_threadsafe(bench.steps, "filled")
        assert may_fail.wait(10)
        raise ValueError("undone")

    await bench.delivery.recover()
    async with running(bench.delivery.run):
        await bench.take(a_callback(url=HOST, due=NOW + SECOND))
        failing = asyncio.ensure_future(store.transact(fill_the_lane_and_fail))
        await bench.steps.reach("filled")
        bench.clock.advance(SECOND)
        await all_has_run()
        may_fail.set()
        with pytest.raises(ValueError, match="undone"):
            await failing
        await bench.steps.reach("settled")
    await store.close()
    assert bench.delivery.under_way == 0


async def test_a_repeated_commit_sends_once_and_takes_one_slot(tmp_path: Path) -> None:
    store, transport = SqliteStore.open(tmp_path / "ringback.db", VAULT), GatedTransport()
    await store.transact(lambda tx: tx.accounts.add(an_account(), []))
    await add(store, *callbacks_to(HOST, [1]))
    bench = Bench(store, transport)
    both_wait = threading.Event()
    blocking = asyncio.ensure_future(store.transact(lambda _: both_wait.wait(10)))
    await all_has_run()
    good = asyncio.create_task(bench.take(*callbacks_to(HOST, [2])))
    # The same SID again: the commit fails, and is repeated for each callback separately.
    bad = asyncio.create_task(add(store, *callbacks_to(HOST, [1])))
    await all_has_run()
    both_wait.set()
    _, _, failure = await asyncio.gather(blocking, good, bad, return_exceptions=True)
    await all_has_run()
    assert "UNIQUE" in str(failure)
    assert (bench.delivery.under_way, bench.delivery.unfinished) == (1, 1)
    assert len(transport.requests) == 1
    transport.open(A)
    await bench.steps.reach("settled")
    assert bench.delivery.under_way == 0
    await store.close()


# ---- limits on waiting callbacks -----------------------------------------------------------------


def bounded(*, in_all: int = 100, per_account: int = 100) -> DeliveryLimits:
    return DeliveryLimits(backlog=BacklogLimits(in_all=in_all, per_account=per_account))


async def test_there_is_room_up_to_the_limit_and_none_beyond() -> None:
    bench = Bench(await a_store(), GatedTransport(), limits=bounded(per_account=3))
    await bench.take(*callbacks_to(HOST, [1, 2]))
    bench.delivery.queue.make_room(ACCOUNT_SID, 1)
    with pytest.raises(BacklogFull) as refused:
        bench.delivery.queue.make_room(ACCOUNT_SID, 2)
    assert (refused.value.status, refused.value.retry_after) == (429, 5)


async def test_one_account_takes_no_room_from_another_until_there_is_none_at_all() -> None:
    limits = bounded(per_account=2, in_all=3)
    bench = Bench(await a_store(), GatedTransport(), limits=limits)
    await bench.take(*callbacks_to(HOST, [1, 2]))
    bench.delivery.queue.make_room(OTHER_ACCOUNT_SID, 1)
    with pytest.raises(BacklogFull):
        bench.delivery.queue.make_room(OTHER_ACCOUNT_SID, 2)


async def test_callbacks_accepted_by_a_dead_process_count_from_the_start() -> None:
    store = await a_store(*callbacks_to(HOST, [1, 2]), a_callback(status=CallbackStatus.FAILED))
    bench = Bench(store, GatedTransport(), limits=bounded(per_account=2))
    await bench.delivery.recover()
    assert bench.delivery.unfinished == 2
    with pytest.raises(BacklogFull):
        bench.delivery.queue.make_room(ACCOUNT_SID, 1)


@pytest.mark.parametrize("ending", [DELIVERED, REFUSED], ids=["delivered", "failed"])
async def test_a_callback_that_ends_makes_room(ending: AttemptResult) -> None:
    transport = RecordingTransport([ending])
    bench = Bench(await a_store(), transport, limits=bounded(per_account=1))
    await bench.take(a_callback(url=f"{HOST}#rc=0"))
    await bench.steps.reach("settled")
    assert bench.delivery.unfinished == 0
    bench.delivery.queue.make_room(ACCOUNT_SID, 1)


async def test_a_retried_callback_does_not_make_room() -> None:
    transport = RecordingTransport([REFUSED])
    limits = bounded(per_account=1)
    bench = Bench(await a_store(), transport, limits=limits, schedule=PERSISTENT)
    await bench.take(a_callback(url=f"{HOST}#rc=0"))
    await bench.steps.reach("settled")
    with pytest.raises(BacklogFull):
        bench.delivery.queue.make_room(ACCOUNT_SID, 1)


# ---- replays and discards ------------------------------------------------------------------------


def a_failed_callback() -> CallbackRecord:
    return a_callback(
        status=CallbackStatus.FAILED, status_reason="made up", attempt_count=3, due=None
    )


async def test_a_replayed_callback_is_sent_at_once() -> None:
    store, transport = await a_store(a_failed_callback()), RecordingTransport()
    bench = Bench(store, transport)
    async with running(bench.delivery.run):
        await all_has_run()
        callback = await callback_in(store)
        await change(bench, callback.sid, replay(callback.progress, NOW))
        assert bench.delivery.unfinished == 1
        await bench.steps.reach("settled")
    assert bench.delivery.unfinished == 0
    after = await callback_in(store)
    assert (after.status, after.progress.attempt_count) == ("delivered", 4)


async def test_a_discarded_callback_is_not_sent() -> None:
    store, transport = await a_store(), RecordingTransport()
    bench = Bench(store, transport)
    async with running(bench.delivery.run):
        await bench.take(a_callback(due=NOW + SECOND))
        callback = await callback_in(store)
        await change(bench, callback.sid, discard(callback.progress, "a person said so", NOW))
        assert bench.delivery.unfinished == 0
        bench.clock.advance(3600 * SECOND)
        await all_has_run()
    assert transport.requests == []
    assert bench.delivery.under_way == 0
    assert (await callback_in(store)).status == "discarded"


async def test_a_failed_callback_that_is_discarded_counts_as_ended_once() -> None:
    store = await a_store(a_failed_callback())
    bench = Bench(store, RecordingTransport())
    await bench.delivery.recover()
    callback = await callback_in(store)
    await change(bench, callback.sid, discard(callback.progress, "a person said so", NOW))
    assert bench.delivery.unfinished == 0


async def test_an_undone_change_changes_no_count() -> None:
    store, transport = await a_store(a_failed_callback()), RecordingTransport()
    bench = Bench(store, transport)
    callback = await callback_in(store)

    def work(tx: Transaction) -> None:
        bench.delivery.queue.change(tx, callback, replay(callback.progress, NOW))
        raise ValueError("undone")

    async with running(bench.delivery.run):
        with pytest.raises(ValueError, match="undone"):
            await store.transact(work)
        await all_has_run()
    assert (bench.delivery.unfinished, transport.requests) == (0, [])


# ---- stopping, and counters ----------------------------------------------------------------------


async def test_after_a_stop_new_callbacks_are_stored_and_wait() -> None:
    store, transport = await a_store(), RecordingTransport()
    bench = Bench(store, transport)
    await bench.delivery.stop(within=SECOND)
    await bench.take(a_callback())
    await all_has_run()
    assert await callback_in(store) == a_callback()
    assert (transport.requests, bench.delivery.under_way) == ([], 0)


async def test_accepted_callbacks_are_counted_by_source_once_durable() -> None:
    store = await a_store()
    bench = Bench(store, GatedTransport())
    await bench.take(
        a_callback(sid=sid(1), source=Source.KORE),
        a_callback(sid=sid(2), source=Source.TWILIO),
        a_callback(sid=sid(3), source=Source.TWILIO, due=NOW + SECOND),
    )
    assert dict(bench.counters.acceptances) == {Source.KORE: 1, Source.TWILIO: 2}

    def work(tx: Transaction) -> None:
        bench.delivery.queue.take(tx, a_callback(sid=sid(4)))
        raise ValueError("undone")

    with pytest.raises(ValueError, match="undone"):
        await store.transact(work)
    assert sum(bench.counters.acceptances.values()) == 3


# ---- destinations --------------------------------------------------------------------------------


async def test_a_new_callback_waits_while_the_state_of_its_destination_is_not_known() -> None:
    store, transport = await a_store(), RecordingTransport()
    bench = Bench(store, transport)
    bench.destinations.forget(ALL_SHARDS)
    await bench.take(a_callback(url=HOST))
    assert (bench.delivery.under_way, bench.delivery.waiting) == (0, 1)
    assert (await callback_in(store)).progress.attempt_count == 0
    await bench.destinations.load(store)
    await bench.settle()
    assert len(transport.requests) == 1


async def test_a_new_callback_to_a_paused_destination_waits() -> None:
    bench = Bench(await a_store(), RecordingTransport())
    bench.destinations.book.learn([set_at_run_time(HOST, pause=DestinationPause(NOW))])
    await bench.take(a_callback(url=HOST), a_callback(sid=sid(2), url=OTHER_HOST))
    assert (bench.delivery.under_way, bench.delivery.waiting) == (1, 1)


async def test_a_new_callback_gets_its_part_of_the_destination_and_its_order_key() -> None:
    rules = [a_rule(f"{HOST}/app/*", order="sim")]
    bench = Bench(await a_store(), GatedTransport(), rules=rules)
    await bench.take(a_callback(url=f"{HOST}/app/hook"), a_callback(sid=sid(2), url=HOST))
    first, second = await callback_in(bench.store), await callback_in(bench.store, sid(2))
    assert (first.part, first.order_key) == ("/app/*", first.sim_sid)
    assert (second.part, second.order_key) == ("", None)
