"""Big batches: made durable as a whole, then added in parts, so that others don't wait."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.callbacks.callback_serialization import read_new, write_new
from ringback.core.errors import BacklogFull, StoreUnavailable
from ringback.delivery import batch_ingestion
from ringback.delivery.batch_ingestion import BatchIngestionQueue
from ringback.operations.create_callbacks import send_callbacks
from ringback.ports import CallbackFilter, NewCallbackQueue, PageWindow, Store, Transaction
from ringback.runtime.database_outage import PAUSE
from tests.callback_queues import RecordingQueue
from tests.fakes import ACCOUNT_SID, FakeClock, a_callback, an_account
from tests.memory_store import MemoryStore
from tests.stores.asking import opened
from tests.unit.delivery.parts import OTHER_ACCOUNT_SID, FailingStore, all_has_run, running, sid

T = TypeVar("T")


@dataclass
class Bench:
    """A running queue of batches, and its dependencies."""

    store: Store = field(default_factory=MemoryStore)
    are_others_there: bool = True
    queue: RecordingQueue = field(default_factory=RecordingQueue)
    clock: FakeClock = field(default_factory=FakeClock)
    sizes: list[int] = field(default_factory=list[int])
    """The number of callbacks in each added part."""
    added_before_outage: int | None = None
    """The number of added parts after which the database fails for two commits; None for never."""
    outage: int = 2
    unkept: str = ""
    """The body of a callback that can't be saved."""

    def __post_init__(self) -> None:
        self.batches = BatchIngestionQueue(
            store=self.store,
            clock=self.clock,
            stopwatch=lambda: 0.0,
            queue=self.queue,
            add=self._add,
            are_others_there=lambda: self.are_others_there,
        )

    def _add(
        self, tx: Transaction, callbacks: Sequence[CallbackRecord], queue: NewCallbackQueue
    ) -> list[CallbackRecord]:
        if self.added_before_outage == sum(self.sizes) and self.outage:
            self.outage -= 1
            raise StoreUnavailable("the database can't be used just now: disk I/O error")
        if any(callback.body == self.unkept for callback in callbacks):
            raise ValueError("it can't be kept")
        self.sizes += [len(callbacks)] if callbacks else []
        return send_callbacks(tx, callbacks, queue)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with running(self.batches.run):
            yield

    def keep(self, *numbers: int, account: str = ACCOUNT_SID) -> asyncio.Task[list[CallbackRecord]]:
        return asyncio.create_task(self.keep_all([a_new(number, account) for number in numbers]))

    async def keep_all(self, callbacks: Sequence[CallbackRecord]) -> list[CallbackRecord]:
        texts = list(map(write_new, callbacks))
        return await self.batches.keep(callbacks[0].account_sid, callbacks, texts)


def a_new(number: int, account_sid: str = ACCOUNT_SID) -> CallbackRecord:
    callback = a_callback(sid=sid(number))
    return callback._replace(body=f"n={number}", account_sid=account_sid)


def numbers_of(records: Sequence[CallbackRecord]) -> list[int]:
    return [int(record.sid[2:]) for record in records]


async def kept(store: Store, account: str = ACCOUNT_SID) -> list[int]:
    page = await store.transact(
        lambda tx: tx.callbacks.page(account, CallbackFilter(), PageWindow(999))
    )
    return sorted(numbers_of(page))


async def left(store: Store) -> int:
    return len(await store.transact(lambda tx: tx.batches.all()))


async def test_all_are_stored_and_returned_in_their_order() -> None:
    bench = Bench()
    async with bench.running():
        records = await bench.keep(*range(20))
    assert numbers_of(records) == list(range(20))
    assert await kept(bench.store) == list(range(20))
    assert await left(bench.store) == 0
    assert len(bench.queue.taken) == 20


@pytest.mark.parametrize(("are_others_there", "sizes"), [(True, [4] * 5), (False, [20])])
async def test_few_are_added_at_a_time_if_others_are_waiting(
    are_others_there: bool, sizes: list[int]
) -> None:
    bench = Bench(are_others_there=are_others_there)
    async with bench.running():
        await bench.keep(*range(20))
    assert bench.sizes == sizes


async def test_a_batch_is_durable_as_a_whole_before_any_of_it_is_added() -> None:
    bench = Bench()
    bench.keep(1, 2, 3)
    await all_has_run()
    # Nothing is added, as if the process had died here.
    assert await kept(bench.store) == []
    assert await left(bench.store) == 3


async def test_the_rest_of_a_dead_processs_batch_is_added_before_new_ones() -> None:
    dead = Bench()
    dead.keep(1, 2, 3)
    await all_has_run()
    bench = Bench(dead.store)
    async with bench.running():
        assert numbers_of(await bench.keep(4, 5)) == [4, 5]
    assert await kept(bench.store) == [1, 2, 3, 4, 5]
    assert bench.queue.taken == [sid(number) for number in (1, 2, 3, 4, 5)]


@pytest.mark.parametrize("added", [[1], [1, 2], [1, 2, 3]])
async def test_callbacks_that_a_dead_process_added_are_not_added_again(added: list[int]) -> None:
    dead = Bench()
    dead.keep(1, 2, 3)
    await all_has_run()
    for number in added:
        await dead.store.transact(lambda tx, number=number: tx.callbacks.add(a_new(number)))
    bench = Bench(dead.store)
    async with bench.running():
        await all_has_run()
    assert bench.queue.taken == [sid(number) for number in (1, 2, 3) if number not in added]
    assert await kept(bench.store) == [1, 2, 3]
    assert await left(bench.store) == 0


async def test_an_unreadable_batch_of_a_dead_process_is_reported_and_stays(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    texts = [write_new(a_new(1)), "no callback", write_new(a_new(2))]
    await bench.store.transact(lambda tx: tx.batches.add(texts))
    async with bench.running():
        await all_has_run()
    assert await kept(bench.store) == [1, 2]
    assert await bench.store.transact(lambda tx: tx.batches.all()) == {2: "no callback"}
    assert [record.message for record in caplog.records] == [
        "accepted callback number 2 can't be read from the data file; it is not sent, and stays in"
        " the file"
    ]


async def test_a_batch_that_arrives_during_recovery_is_not_taken_for_an_old_one(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path / "ringback.db") as store:
        await store.transact(lambda tx: tx.accounts.add(an_account(), []))
        bench = Bench(store)
        # Both run in one commit, and the second sees what the first has written.
        ours = bench.keep(*range(6))
        await asyncio.sleep(0)
        async with bench.running():
            assert numbers_of(await ours) == list(range(6))
    assert bench.sizes == [4, 2]


async def test_half_of_the_time_is_left_to_others() -> None:
    times = iter([0.0, 0.02, 1.0, 1.0])
    bench = Bench()
    bench.batches.stopwatch = lambda: next(times)
    began = asyncio.get_running_loop().time()
    async with bench.running():
        await bench.keep(*range(8))
    assert asyncio.get_running_loop().time() - began > 0.015


async def test_callbacks_with_known_keys_are_not_stored_again() -> None:
    bench = Bench()
    first, again = (a_new(number)._replace(idempotency_key="k") for number in (1, 2))
    others = [a_new(number) for number in range(3, 13)]
    async with bench.running():
        records = await bench.keep_all([first, *others, again])
    assert numbers_of(records) == [1, *range(3, 13), 1]


async def test_a_durable_batch_is_added_even_if_nobody_waits_for_it() -> None:
    bench = Bench()
    given_up = bench.keep(*range(20))
    await all_has_run()
    given_up.cancel()
    await all_has_run()
    async with bench.running():
        assert numbers_of(await bench.keep(30)) == [30]
    assert await kept(bench.store) == [*range(20), 30]


async def test_batches_follow_each_other_and_accounts_take_turns() -> None:
    bench = Bench()
    ended = list[int]()

    def note(number: int) -> Callable[[object], None]:
        return lambda _: ended.append(number)

    for number in (1, 2, 3):
        bench.keep(number).add_done_callback(note(number))
    bench.keep(4, account=OTHER_ACCOUNT_SID).add_done_callback(note(4))
    await all_has_run()
    async with bench.running():
        await all_has_run()
    assert ended == [1, 2, 4, 3]


async def test_a_batch_needs_room_when_its_turn_comes() -> None:
    bench = Bench(queue=RecordingQueue(room=2))
    async with bench.running():
        with pytest.raises(BacklogFull):
            await bench.keep(1, 2, 3)
        assert numbers_of(await bench.keep(1, 2)) == [1, 2]
    assert await kept(bench.store) == [1, 2]


async def test_an_unavailable_database_stores_no_batch() -> None:
    store = FailingStore(MemoryStore())
    bench = Bench(store)
    async with bench.running():
        await all_has_run()
        store.failures_to_come = 1
        with pytest.raises(StoreUnavailable):
            await bench.keep(1, 2)
        assert numbers_of(await bench.keep(3)) == [3]
    assert await kept(store) == [3]


@pytest.mark.parametrize("added", [0, 4, 16])
async def test_if_the_database_fails_in_the_middle_the_batch_is_acknowledged_at_once(
    added: int,
) -> None:
    bench = Bench(added_before_outage=added)
    async with bench.running():
        assert numbers_of(await bench.keep(*range(20))) == list(range(20))
        assert await kept(bench.store) == list(range(added))
        bench.clock.advance(PAUSE)
        await all_has_run()
    assert await kept(bench.store) == list(range(20))
    assert await left(bench.store) == 0


async def test_batches_that_arrive_during_an_outage_are_acknowledged_too() -> None:
    bench = Bench(added_before_outage=0)
    async with bench.running():
        await bench.keep(*range(5))
        # The disk has room to write the batch down, but not to add its callbacks.
        assert numbers_of(await bench.keep(*range(5, 10))) == list(range(5, 10))
        assert await kept(bench.store) == []
        bench.clock.advance(PAUSE)
        await all_has_run()
        assert numbers_of(await bench.keep(*range(10, 40))) == list(range(10, 40))
        assert await kept(bench.store) == list(range(40)), "acknowledged only when all are added"


class SlowReads(MemoryStore):
    """A store in which reads wait for `may_read`."""

    def __init__(self) -> None:
        super().__init__()
        self.may_read = asyncio.Event()
        self.may_read.set()

    async def read(self, work: Callable[[Transaction], T], *, asked_by: str = "") -> T:
        await self.may_read.wait()
        return await super().read(work, asked_by=asked_by)


async def test_a_batch_of_which_some_are_added_while_it_is_acknowledged_is_whole() -> None:
    store = SlowReads()
    bench = Bench(store, added_before_outage=0)
    async with bench.running():
        await bench.keep(1)
        store.may_read.clear()
        keeping = bench.keep(*range(2, 12))
        await all_has_run()
        original = bench._add

        def let_read_on(
            tx: Transaction, part: Sequence[CallbackRecord], queue: NewCallbackQueue
        ) -> list[CallbackRecord]:
            if len(part) > 1:
                store.may_read.set()
            return original(tx, part, queue)

        bench.batches.add = let_read_on
        bench.clock.advance(PAUSE)
        assert numbers_of(await keeping) == list(range(2, 12))


async def test_a_batch_that_cannot_be_removed_is_reported() -> None:
    store = FailingStore(MemoryStore())
    bench = Bench(store)
    async with bench.running():
        await all_has_run()
        original = bench._add

        def go_away(
            tx: Transaction, part: Sequence[CallbackRecord], queue: NewCallbackQueue
        ) -> list[CallbackRecord]:
            store.failures_to_come = 2
            return original(tx, part, queue)

        bench.batches.add = go_away
        assert numbers_of(await bench.keep(1, 2)) == [1, 2]
        await all_has_run()
        assert await left(store._store) == 2
        bench.clock.advance(PAUSE)
        await all_has_run()
    assert await left(store) == 0


async def test_the_acknowledged_callbacks_are_the_ones_found_by_key() -> None:
    bench = Bench(added_before_outage=0)
    before, again = (a_new(number)._replace(idempotency_key="k") for number in (1, 2))
    await bench.store.transact(lambda tx: tx.callbacks.add(before))
    async with bench.running():
        records = await bench.keep_all([*map(a_new, range(3, 8)), again])
        assert numbers_of(records) == [*range(3, 8), 1]
        bench.clock.advance(PAUSE)
        await all_has_run()
    assert await kept(bench.store) == [1, *range(3, 8)]


async def test_an_unstorable_callback_fails_its_batch_and_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench(unkept="n=13")
    async with bench.running():
        broken, sound = bench.keep(*range(20)), bench.keep(*range(20, 40))
        assert numbers_of(await sound) == list(range(20, 40))
        with pytest.raises(ValueError, match="it can't be kept"):
            await broken
    assert await kept(bench.store) == [number for number in range(40) if number != 13]
    (text,) = (await bench.store.transact(lambda tx: tx.batches.all())).values()
    assert read_new(text).sid == sid(13)
    assert [record.message for record in caplog.records] == [
        f"callback {sid(13)} of a batch can't be queued; the next start of the server tries again"
    ]


async def test_an_unstorable_callback_may_be_the_last() -> None:
    bench = Bench(unkept="n=2")
    async with bench.running():
        with pytest.raises(ValueError, match="it can't be kept"):
            await bench.keep(1, 2)
        assert numbers_of(await bench.keep(3)) == [3]


def test_a_small_batch_is_smaller_than_a_large_one() -> None:
    assert 0 < batch_ingestion._FEW < batch_ingestion._MANY
