"""Callbacks with a history, and the worker that deletes them, by a clock that stands still."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from ringback.core.accounts.account import EVERY
from ringback.core.callbacks.callback import discard, replay
from ringback.core.callbacks.retry import GiveUp, NoRetryNeeded, RetryLater
from ringback.core.callbacks.shards import Role
from ringback.core.http.http_exchange import ReceiverResponseRecord
from ringback.core.retention import KINDS, RetentionTimes, StoredTimes, TimeSubject
from ringback.engine.retention_worker import PASS_EVERY, PassWork, RetentionWorker
from ringback.ports import ClusterMember, PageWindow, SoleProcess, Store, Transaction
from ringback.runtime.system_clock import steady_milliseconds
from ringback.runtime.virtual_clock import VirtualClock
from ringback.stores.postgres.store import CommitThread, PostgresStore
from ringback.stores.sqlite import callbacks as sqlite_callbacks
from tests.fakes import NOW
from tests.stores.asking import ALL_CALLBACKS, claim, ended, keep, rendered, settle
from tests.stores.records import OURS, callback

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


class Retaining:
    """A store with callbacks, and its worker."""

    def __init__(self, store: Store, *, weeks: PassWork | None = None) -> None:
        self.store = store
        self.clock = VirtualClock.stopped(NOW)
        self._weeks = weeks
        self.restart()

    def restart(self, in_settings: StoredTimes | None = None) -> None:
        """Begin with a new worker, which remembers nothing."""
        self.worker = RetentionWorker(
            self.store,
            cluster=SoleProcess(ClusterMember("one", Role.ALL, NOW)),
            clock=self.clock,
            stopwatch=lambda: 0.0,
            in_settings=in_settings or {},
            weeks=self._weeks,
        )

    async def set(self, times: RetentionTimes, subject: str = EVERY) -> None:
        """Set all four times at run time."""
        changes = {
            TimeSubject(subject, kind): time for kind, time in zip(KINDS, times, strict=True)
        }
        await self.store.transact(lambda tx: tx.retention.set_times(changes, self.clock.now()))

    async def create(self, *numbers: int, **how: Any) -> None:
        """Add callbacks that are due now."""
        now = self.clock.now()
        made = [callback(number, created=now, **{"due": now, **how}) for number in numbers]
        await keep(self.store, *made)

    async def attempt(
        self,
        *numbers: int,
        is_delivered: bool = True,
        is_last: bool = True,
        response: ReceiverResponseRecord | None = None,
    ) -> None:
        """Make an attempt now to send these callbacks, which must be all that are due."""
        now = self.clock.now()
        await self._own_lanes()
        claims = await claim(self.store, now, limit=len(numbers))
        assert sorted(one.callback.sid[-4:] for one in claims) == sorted(
            callback(number).sid[-4:] for number in numbers
        )
        wait = RetryLater(now + HOUR, 1)
        decision = NoRetryNeeded() if is_delivered else GiveUp("why") if is_last else wait
        made = (
            ended(one, decision, now, response=response, request=rendered(one)) for one in claims
        )
        await settle(self.store, *made)

    async def send(self, number: int, *, how: str) -> None:
        """Claim all that is due now; put all back but one, which is delivered, fails or waits."""
        now = self.clock.now()
        await self._own_lanes()
        claims = await claim(self.store, now, limit=99)
        (one,) = [each for each in claims if _number_of(each.callback.sid) == number]
        others = [each for each in claims if each is not one]
        await self.store.transact(lambda tx: tx.callbacks.put_back(others, now))
        # It is due at once again, so that the next step can choose it.
        decisions = {"deliver": NoRetryNeeded(), "fail": GiveUp("why"), "retry": RetryLater(now, 1)}
        await settle(self.store, ended(one, decisions[how], now, request=rendered(one)))

    async def _own_lanes(self) -> None:
        """If processes share the store, extend the leases: on a busy machine, they may end."""
        if isinstance(self.store, PostgresStore):
            await self.store.cluster.renew()

    async def change(self, number: int, *, is_replay: bool) -> None:
        """Replay or discard a callback now."""

        def work(tx: Transaction) -> None:
            every = tx.callbacks.page(OURS, ALL_CALLBACKS, PageWindow(1000))
            (one,) = [each for each in every if _number_of(each.sid) == number]
            now = self.clock.now()
            again = replay(one.progress, now) if is_replay else discard(one.progress, "why", now)
            tx.callbacks.change(one.having(again))

        await self.store.transact(work)

    async def do_pass(self, *, after: timedelta = timedelta(0)) -> None:
        """Advance the clock, and do a pass."""
        self.clock.advance(after)
        while True:
            await self.worker.do_pass()
            if self.worker.next_pass_after == PASS_EVERY:
                return

    async def left(self) -> dict[int, tuple[str, int, int]]:
        """Return the callbacks that are left: status, attempts, attempts with a body."""

        def look(tx: Transaction) -> dict[int, tuple[str, int, int]]:
            left = dict[int, tuple[str, int, int]]()
            for one in tx.callbacks.page(OURS, ALL_CALLBACKS, PageWindow(1000)):
                attempts = tx.callbacks.attempts(one.sid)
                bodies = sum(bool(each.response and each.response.body) for each in attempts)
                left[_number_of(one.sid)] = one.status.value, len(attempts), bodies
            return left

        return await self.store.read(look)


@contextmanager
def ids_of_its_clock(retaining: Retaining, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have a store make the ids of rows by the clock of its worker, and not by the real time."""
    began = steady_milliseconds()

    def milliseconds() -> int:
        return began + int((retaining.clock.now() - NOW).total_seconds() * 1000)

    monkeypatch.setattr(sqlite_callbacks, "steady_milliseconds", milliseconds)
    store = retaining.store
    makers = [*_id_makers(store)] if isinstance(store, PostgresStore) else []
    before = [(one.last, one._at, one._count) for one in makers]
    for one in makers:
        monkeypatch.setattr(one, "_milliseconds", milliseconds)
    yield
    for one, values in zip(makers, before, strict=True):
        one.last, one._at, one._count = values


def _id_makers(store: PostgresStore) -> Iterator[Any]:
    threads: tuple[CommitThread, ...] = store._quick, store._other
    return (one._committer._transaction._callbacks._ids() for one in threads)


def _number_of(sid: str) -> int:
    return int(sid[-4:], 16)
