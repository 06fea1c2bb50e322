"""After any history, exactly what the times name is gone: in every store, after each pass."""

import asyncio
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.core.retention import RetentionTimes
from ringback.ports import Store
from ringback.stores.sqlite.store import SqliteStore
from tests.fakes import VAULT
from tests.memory_store import MemoryStore
from tests.stores.asking import dangling, new_file
from tests.stores.postgres_bench import PostgresBench
from tests.stores.records import OURS, account
from tests.stores.retaining import DAY, HOUR, Retaining, ids_of_its_clock

_Left = dict[int, tuple[str, int]]
_DAYS = st.sampled_from([1, 2, 8, 9, 12, None])
_WHOLE = st.sampled_from([8, 9, 12, None])


class Step(NamedTuple):
    """A step of a history; `pick` chooses a callback among those that it can be done to."""

    do: str
    pick: int = 0
    hours: int = 0
    times: RetentionTimes = RetentionTimes()


def _days(days: int | None) -> timedelta | None:
    return None if days is None else days * DAY


def steps() -> st.SearchStrategy[list[Step]]:
    changes = st.sampled_from(["create", "deliver", "fail", "retry", "discard", "replay"])
    times = st.builds(RetentionTimes, *(one.map(_days) for one in (_DAYS, _DAYS, _WHOLE, _WHOLE)))
    return st.lists(
        st.one_of(
            st.builds(Step, changes, st.integers(0, 9)),
            st.builds(Step, changes, st.integers(0, 9)),
            st.builds(Step, st.just("pass"), hours=st.sampled_from([0, 1, 23, 24, 25, 150, 200])),
            st.builds(Step, st.just("set"), times=times),
            st.just(Step("restart")),
        ),
        min_size=8,
        max_size=30,
    )


class One(NamedTuple):
    """What the rule knows of a callback."""

    status: str
    since: datetime
    attempts: int


class Rule:
    """What is left, by the plain rule."""

    def __init__(self) -> None:
        self.left = dict[int, One]()
        self.times = RetentionTimes()

    def do_pass(self, now: datetime) -> None:
        for number, one in list(self.left.items()):
            if one.status == "scheduled":
                continue
            is_delivered = one.status == "delivered"
            whole = self.times.delivered if is_delivered else self.times.undelivered
            if whole is not None and one.since + whole <= now:
                del self.left[number]
            elif self.times.attempts is not None and one.since + self.times.attempts <= now:
                self.left[number] = one._replace(attempts=0)

    @property
    def shown(self) -> _Left:
        return {number: (one.status, one.attempts) for number, one in self.left.items()}


async def live(retaining: Retaining, history: list[Step]) -> None:
    """Do all steps; after each pass, compare what is left with the rule."""
    rule, numbers = Rule(), iter(range(1, 99))
    await retaining.set(rule.times)
    for step in history:
        now = retaining.clock.now()
        ended = [n for n, one in rule.left.items() if one.status != "scheduled"]
        waiting = [n for n, one in rule.left.items() if one.status == "scheduled"]
        if step.do == "create":
            number = next(numbers)
            await retaining.create(number)
            rule.left[number] = One("scheduled", now, 0)
        elif step.do in ("deliver", "fail", "retry") and waiting:
            number = waiting[step.pick % len(waiting)]
            await retaining.send(number, how=step.do)
            status = {"deliver": "delivered", "fail": "failed", "retry": "scheduled"}[step.do]
            rule.left[number] = One(status, now, rule.left[number].attempts + 1)
        elif (step.do == "discard" and waiting) or (step.do == "replay" and ended):
            some = ended if step.do == "replay" else waiting
            number = some[step.pick % len(some)]
            await retaining.change(number, is_replay=step.do == "replay")
            status = "scheduled" if step.do == "replay" else "discarded"
            rule.left[number] = One(status, now, rule.left[number].attempts)
        elif step.do == "set":
            rule.times = step.times
            await retaining.set(step.times)
        elif step.do == "restart":
            retaining.restart()
        elif step.do == "pass":
            await retaining.do_pass(after=step.hours * HOUR)
            rule.do_pass(retaining.clock.now())
            left = await retaining.left()
            assert {number: one[:2] for number, one in left.items()} == rule.shown


@settings(max_examples=40, deadline=None)
@given(steps())
def test_in_memory(history: list[Step]) -> None:
    asyncio.run(_with_account(MemoryStore(), history))


@settings(max_examples=25, deadline=None)
@given(steps())
def test_in_a_file(history: list[Step]) -> None:
    async def in_a_file() -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "ringback.db"
            path.write_bytes(new_file())
            store = SqliteStore.open(path, VAULT)
            try:
                await _with_account(store, history)
                assert dangling(store._committer._connection) == []
            finally:
                await store.close()

    asyncio.run(in_a_file())


@pytest.fixture
def bench(postgres_bench: PostgresBench) -> Iterator[PostgresBench]:
    asyncio.run(postgres_bench.leave())
    yield postgres_bench
    asyncio.run(postgres_bench.leave())


def test_in_postgresql(bench: PostgresBench) -> None:
    @settings(max_examples=6, deadline=None)
    @given(steps())
    def in_postgresql(history: list[Step]) -> None:
        async def run() -> None:
            store = await bench.begin()
            try:
                await _with_account(store, history)
                assert _lost(bench.connection) == []
            finally:
                await bench.end()
                await bench.leave()

        asyncio.run(run())

    in_postgresql()


async def _with_account(store: Store, history: list[Step]) -> None:
    await store.transact(lambda tx: tx.accounts.add(account(OURS), []))
    retaining = Retaining(store)
    with pytest.MonkeyPatch.context() as patch, ids_of_its_clock(retaining, patch):
        await live(retaining, history)


def _lost(connection: Any) -> list[Any]:
    """Return the rows that refer to no callback, and the callbacks without what they refer to."""
    return connection.execute(
        "SELECT 'attempt', callback_id FROM attempts WHERE callback_id NOT IN"
        " (SELECT id FROM callbacks) UNION ALL SELECT 'outcome', id FROM outcomes WHERE id NOT IN"
        " (SELECT id FROM callbacks) UNION ALL SELECT 'key', callback_id FROM idempotency"
        " WHERE callback_id NOT IN (SELECT id FROM callbacks) UNION ALL SELECT 'target', id"
        " FROM callbacks WHERE target_id NOT IN (SELECT id FROM callback_targets) UNION ALL"
        " SELECT 'result', callback_id FROM attempts WHERE result_id NOT IN"
        " (SELECT id FROM attempt_results) UNION ALL SELECT 'head', callback_id FROM attempts"
        " WHERE head_id NOT IN (SELECT id FROM request_heads) UNION ALL SELECT 'state', id"
        " FROM callbacks WHERE id NOT IN (SELECT id FROM waiting UNION SELECT id FROM outcomes"
        " UNION SELECT callback_id FROM attempts WHERE delivered_us IS NOT NULL)"
    ).fetchall()


def test_the_rule_is_told_from_one_that_is_a_little_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that deletes an hour too late does not pass."""
    original = RetentionTimes.before
    monkeypatch.setattr(
        RetentionTimes, "before", lambda times, now: original(times, now - timedelta(hours=1))
    )
    history = [Step("create"), Step("deliver"), Step("set", times=RetentionTimes(None, 8 * DAY))]
    with pytest.raises(AssertionError):
        asyncio.run(_with_account(MemoryStore(), [*history, Step("pass", hours=192)]))
