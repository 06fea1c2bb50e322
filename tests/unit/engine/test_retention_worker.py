"""When the retention worker works, how it begins anew, and what it says."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import pytest

from ringback.core.audit import SERVER, SIGN_INS, SIGN_INS_KEPT, audit_entry
from ringback.core.callbacks.callback import CallbackStatus, ended
from ringback.core.callbacks.shards import Role
from ringback.core.destinations.destination_state import DestinationState
from ringback.core.destinations.effective_settings import SettingsOwner
from ringback.core.errors import StoreUnavailable
from ringback.core.job import JobStatus
from ringback.core.retention import DEFAULTS, RetentionPolicy, RetentionTimes, TimeSubject
from ringback.engine import retention_worker
from ringback.engine.retention_worker import (
    AUDIT_KEPT,
    CHECKS_KEPT,
    EMPTY_KEPT,
    JOBS_KEPT,
    PASS_EVERY,
    PLANS_KEPT,
    SWEEP_EVERY,
    RetentionWorker,
    in_words,
)
from ringback.ports import (
    ClusterMember,
    FreeSpace,
    SendingPause,
    SoleProcess,
    StoredDestinationSettings,
    lane_of,
)
from ringback.runtime.sending_gate import SendingGate
from ringback.runtime.virtual_clock import VirtualClock
from tests.fakes import NOW
from tests.memory_store import MemoryStore
from tests.memory_store.retention import MemoryRetention
from tests.stores.asking import keep
from tests.stores.records import OURS, THEIRS, account, callback, job, receiver_check
from tests.stores.retaining import DAY, Retaining

TICK = timedelta(microseconds=1)
TIMES = RetentionTimes(2 * DAY, 4 * DAY, 10 * DAY, 20 * DAY)


class Cluster(SoleProcess):
    """The duty is this process's only while `is_mine` is True."""

    def __init__(self) -> None:
        super().__init__(ClusterMember("one", Role.ALL, NOW))
        self.is_mine = True

    async def hold(self, what: str) -> bool:
        return self.is_mine


class World:
    """A worker of a memory store with two accounts, and the names of all that it asks for."""

    def __init__(self, **how: Any) -> None:
        self.store, self.clock, self.cluster = MemoryStore(), VirtualClock.stopped(NOW), Cluster()
        for sid in (OURS, THEIRS):
            self.store.commit(lambda tx, sid=sid: tx.accounts.add(account(sid), []))
        self.asked = list[str]()
        self.gate = SendingGate()
        self.worker = RetentionWorker(
            self.store,
            cluster=self.cluster,
            clock=self.clock,
            stopwatch=lambda: 0.0,
            gate=self.gate,
            **{"in_settings": {}, **how},
        )

    def set(self, times: RetentionTimes) -> None:
        changes = {TimeSubject("*", kind): time for kind, time in times._asdict().items()}
        self.store.commit(lambda tx: tx.retention.set_times(changes, NOW))


@contextmanager
def noting(monkeypatch: pytest.MonkeyPatch, *names: str) -> Iterator[list[tuple[str, Any]]]:
    """Note each call of these methods of the store, with its arguments."""
    calls = list[tuple[str, Any]]()
    for name in names:
        original = getattr(MemoryRetention, name)

        def note(
            self: Any, *args: Any, name: str = name, original: Any = original, **kwargs: Any
        ) -> Any:
            calls.append((name, kwargs | {"args": args}))
            return original(self, *args, **kwargs)

        monkeypatch.setattr(MemoryRetention, name, note)
    yield calls


async def run_for(world: World, *steps: Callable[[], object]) -> None:
    """Run the worker; do each step when it waits."""
    task = asyncio.create_task(world.worker.run())
    for step in (lambda: None, *steps):
        step()
        for _ in range(5):
            await asyncio.sleep(0.005)
    task.cancel()


async def test_a_pass_begins_at_the_start_then_every_ten_minutes_and_when_woken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    with noting(monkeypatch, "times") as calls:
        await run_for(world, lambda: None)
        assert len(calls) == 1
        await run_for(
            world,
            lambda: world.clock.advance(PASS_EVERY - timedelta(seconds=1)),
            lambda: world.clock.advance(timedelta(seconds=1)),
        )
        assert len(calls) == 3
        await run_for(world, world.worker.wake)
        assert len(calls) == 5


async def test_after_a_failure_it_goes_on_in_a_minute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    world = World()
    passes = list[datetime]()

    async def fail() -> None:
        passes.append(world.clock.now())
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(world.worker, "do_pass", fail)
    await run_for(world, lambda: world.clock.advance(timedelta(minutes=1)))
    assert passes == [NOW, NOW + timedelta(minutes=1)]
    assert "retention: the disk is full; it goes on in a minute" in caplog.text


async def test_only_the_process_that_has_the_duty_deletes(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.set(TIMES)
    world.cluster.is_mine = False
    with noting(monkeypatch, "find_expired") as calls:
        await world.worker.do_pass()
        assert calls == []
        world.cluster.is_mine = True
        await world.worker.do_pass()
        assert len(calls) == 2


async def test_what_nobody_needs_is_looked_for_once_a_day_and_after_a_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    world.set(TIMES)
    with noting(monkeypatch, "find_unused") as calls:
        for step, expected in (
            (timedelta(0), 1),
            (SWEEP_EVERY - timedelta(seconds=1), 1),
            (timedelta(seconds=1), 2),
            (timedelta(hours=1), 2),
        ):
            world.clock.advance(step)
            await world.worker.do_pass()
            assert len(calls) == expected
        world.set(TIMES._replace(answers=DAY))
        await world.worker.do_pass()
        assert len(calls) == 3


async def test_it_says_which_times_are_in_force(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    caplog.set_level(logging.INFO)
    await world.worker.do_pass()
    await world.worker.do_pass()
    assert caplog.text.count("retention: no times are set, so everything is kept") == 1
    world.set(DEFAULTS)
    await world.worker.do_pass()
    assert "retention: answers 7d, attempts 30d, delivered 30d, undelivered 90d" in caplog.text


def test_the_times_of_accounts_are_said_too() -> None:
    policy = RetentionPolicy(RetentionTimes(), {OURS: TIMES})
    forever = "answers forever, attempts forever, delivered forever, undelivered forever"
    own = "answers 2d, attempts 4d, delivered 10d, undelivered 20d"
    assert in_words(policy) == f"{forever}; {own} for {OURS}"


async def test_if_the_clock_was_set_back_the_search_begins_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    world.set(TIMES)
    with noting(monkeypatch, "find_expired") as calls:
        await world.worker.do_pass()
        world.worker._places |= dict.fromkeys((OURS, THEIRS), "far")
        await world.worker.do_pass()
        assert [call["args"][2] for _, call in calls] == [None, None, "far", "far"]
        world.worker._places |= dict.fromkeys((OURS, THEIRS), "far")
        world.worker._last = NOW + DAY
        await world.worker.do_pass()
        assert [call["args"][2] for _, call in calls[4:]] == [None, None]


async def test_weeks_take_with_them_what_has_no_time_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = list[tuple[RetentionPolicy, datetime]]()

    async def weeks(policy: RetentionPolicy, now: datetime) -> bool:
        asked.append((policy, now))
        return False

    world = World(weeks=weeks, in_settings={TimeSubject(THEIRS, "attempts"): DAY})
    world.set(TIMES)
    with noting(monkeypatch, "find_expired", "find_unused") as calls:
        await world.worker.do_pass()
    assert asked == [(RetentionPolicy(TIMES, {THEIRS: TIMES._replace(attempts=DAY)}), NOW)]
    walked = {c["args"][0]: c["is_walked"] for name, c in calls if name == "find_expired"}
    assert walked == {OURS: False, THEIRS: True}
    (unused,) = [call["args"][0] for name, call in calls if name == "find_unused"]
    assert [*unused] == [THEIRS]


@pytest.mark.parametrize(
    ("took", "has_more", "wait"),
    [(2.0, True, timedelta(seconds=38)), (2.0, False, PASS_EVERY), (99.0, True, PASS_EVERY)],
)
async def test_after_a_week_that_took_long_the_next_pass_comes_soon(
    took: float, has_more: bool, wait: timedelta
) -> None:
    times = iter([0.0, took])

    async def weeks(_policy: RetentionPolicy, _now: datetime) -> bool:
        return has_more

    world = World(weeks=weeks)
    world.worker._stopwatch = lambda: next(times, took)
    world.set(TIMES)
    await world.worker.do_pass()
    assert world.worker.next_pass_after == wait
    # A pass of another process, or while the server is paused, has nothing to go on with.
    world.gate.use(SendingPause(NOW, "why"))
    await world.worker.do_pass()
    assert world.worker.next_pass_after == PASS_EVERY


@pytest.mark.parametrize(("time", "plan_id"), [(JOBS_KEPT, None), (PLANS_KEPT, "a plan")])
async def test_ended_jobs_go_after_their_time(time: timedelta, plan_id: str | None) -> None:
    world, done = World(), replace(job(1), status=JobStatus.DONE, plan_id=plan_id)
    ended = replace(done, date_ended=NOW - time - TICK)
    kept = replace(done, sid=job(2).sid, date_ended=NOW - time + TICK)
    for one in (ended, kept, job(3)):
        world.store.commit(lambda tx, one=one: tx.jobs.add(one))
    await world.worker.do_pass()
    found = [world.store.commit(lambda tx, n=n: tx.jobs.get(job(n).sid)) for n in (1, 2, 3)]
    assert found == [None, kept, job(3)]


async def test_entries_of_the_audit_go_after_their_time() -> None:
    world, kept = World(), NOW - AUDIT_KEPT + TICK
    for date in (NOW - AUDIT_KEPT - TICK, kept):
        one = audit_entry(SERVER, date, "AdvanceClock", "clock", account_sid=None, after={})
        assert one is not None
        world.store.commit(lambda tx, one=one: tx.audit.add(one))
    await world.worker.do_pass()
    assert [one.date_created for one in world.store.tables.audit.entries.values()] == [kept]


@pytest.mark.parametrize("action", SIGN_INS)
async def test_entries_of_sign_ins_go_earlier_than_those_of_changes(action: str) -> None:
    world = World()
    edges = (NOW - SIGN_INS_KEPT - TICK, NOW - SIGN_INS_KEPT + TICK)
    for date, what in product(edges, (action, "CreateFleet")):
        one = audit_entry(SERVER, date, what, "x", account_sid=None, after={})
        assert one is not None
        world.store.commit(lambda tx, one=one: tx.audit.add(one))
    await world.worker.do_pass()
    left = [(one.date_created, one.action) for one in world.store.tables.audit.entries.values()]
    assert left == [(edges[0], "CreateFleet"), (edges[1], action), (edges[1], "CreateFleet")]


async def test_checks_of_receivers_go_after_their_time() -> None:
    world = World()
    kept = receiver_check(date=NOW - CHECKS_KEPT + TICK)
    for one in (kept, receiver_check(url="https://b.example", date=NOW - CHECKS_KEPT - TICK)):
        world.store.commit(lambda tx, one=one: tx.receiver_checks.save(one))
    await world.worker.do_pass()
    assert [*world.store.tables.receiver_checks.checks.values()] == [kept]


async def test_nothing_is_deleted_while_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.set(TIMES)
    world.gate.use(SendingPause(NOW, "restored"))
    with noting(monkeypatch, "find_expired") as calls:
        await world.worker.do_pass()
        assert not calls
        world.gate.use(None)
        await world.worker.do_pass()
        assert calls


async def test_a_pause_stops_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention_worker, "PIECE", 1)
    original, retaining = MemoryRetention.remove_expired, Retaining(MemoryStore())

    def pause_then_remove(self: Any, *args: Any) -> Any:
        retaining.worker._gate.use(SendingPause(NOW, "by an operator"))
        return original(self, *args)

    monkeypatch.setattr(MemoryRetention, "remove_expired", pause_then_remove)
    await retaining.store.transact(lambda tx: tx.accounts.add(account(OURS), []))
    await retaining.set(TIMES)
    await retaining.create(1, 2)
    await retaining.attempt(1, 2)
    retaining.clock.advance(20 * DAY)
    assert await retaining.worker.do_pass() == (1, 0)
    assert len(await retaining.left()) == 1


async def test_free_space_is_given_back_in_pieces_but_for_a_reserve(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, given = World(), list[int]()
    free = 17 << 20

    def give_back(self: Any, most: int) -> None:
        given.append(most)

    def free_space(self: Any) -> FreeSpace:
        return FreeSpace(100 << 20, free - sum(given), can_shrink=can_shrink)

    monkeypatch.setattr(MemoryRetention, "give_back", give_back)
    monkeypatch.setattr(MemoryRetention, "free_space", free_space)
    can_shrink = False
    await world.worker.do_pass()
    assert given == []
    can_shrink = True
    await world.worker.do_pass()
    assert given == [256 << 10] * 4


@pytest.mark.parametrize(("seconds", "pause"), [(0.01, 0.19), (0.0001, 0.0019), (700.0, 1.0)])
async def test_the_pauses_leave_most_of_the_time_to_others(
    monkeypatch: pytest.MonkeyPatch, seconds: float, pause: float
) -> None:
    pauses = await _pauses(monkeypatch, seconds)
    assert pauses == [pytest.approx(pause)] * 12


async def test_a_pass_that_lasts_for_too_long_becomes_quicker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retention_worker, "PASS_EVERY", timedelta(seconds=0.025))
    pauses = await _pauses(monkeypatch, 0.01)
    assert pauses == pytest.approx([0.19, *[0.04] * 11])


async def _pauses(monkeypatch: pytest.MonkeyPatch, seconds: float) -> list[float]:
    """Let each look at the stopwatch take this long; return the pauses of a pass with some work."""
    ticks = iter(range(1000))
    pauses = list[float]()
    retaining = Retaining(MemoryStore())
    worker = RetentionWorker(
        retaining.store,
        cluster=Cluster(),
        clock=retaining.clock,
        stopwatch=lambda: next(ticks) * seconds,
        in_settings={},
    )

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    await retaining.store.transact(lambda tx: tx.accounts.add(account(OURS), []))
    await retaining.set(TIMES)
    await retaining.create(1)
    await retaining.change(1, is_replay=False)
    retaining.clock.advance(20 * DAY)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    assert await worker.do_pass() == (1, 0)
    return pauses


async def test_empty_records_of_destinations_go_after_their_time() -> None:
    world, kept = World(), NOW - EMPTY_KEPT + TICK
    for number, date in enumerate((NOW - EMPTY_KEPT - TICK, kept)):
        one = StoredDestinationSettings(
            sid=f"DT{number:032x}",
            owner=SettingsOwner.ACCOUNT,
            account_sid=OURS,
            pattern=f"https://h{number}.example:443",
            date_updated=date,
        )
        world.store.commit(lambda tx, one=one: tx.destinations.save(one))
    await world.worker.do_pass()
    left = world.store.tables.destinations.changed_since(0)
    assert [one.date_updated for one in left] == [kept]


async def test_the_state_of_a_destination_goes_some_time_after_its_last_callback() -> None:
    world, opened = World(), DestinationState(opened=NOW)
    for number, date in enumerate((NOW - EMPTY_KEPT - TICK, NOW - EMPTY_KEPT + TICK)):
        one = callback(number, url=f"https://h{number}.example/", created=date, due=date)
        one = one.having(ended(one.progress, CallbackStatus.FAILED, "no answer", date))
        await keep(world.store, one)
        lane = lane_of(one)
        world.store.commit(lambda tx, lane=lane: tx.destinations.save_state(lane, opened))
    await world.worker.do_pass()
    left = world.store.tables.destinations.states()
    assert [lane.destination for lane, _ in left] == ["https://h1.example:443"]
