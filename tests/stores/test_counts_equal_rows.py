"""The counters equal the rows that they count, whatever happens to callbacks, and on every store.

A random history accepts callbacks, delivers some of them and not others, stops processes in the
middle of attempts, replays and discards, and writes and sums up the counters in between.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from random import Random
from typing import Final

import pytest

from ringback.core.accounts.account import EVERY
from ringback.core.callback_counts import CallbackCounts, CountSpan
from ringback.core.callbacks.callback import CallbackRecord, DeliveryProgress, discard, replay
from ringback.core.http.http_exchange import AttemptResult, OutgoingRequest, RequestTimings
from ringback.core.http.outcome import (
    AttemptFailure,
    DeliveredOutcome,
    NoAnswerOutcome,
    RefusedOutcome,
)
from ringback.core.policy.source_policy import Source
from ringback.core.retry_schedule import RetrySchedule
from ringback.delivery.counters import DeliveryCounters
from ringback.delivery.minute_counters import CounterWriter
from ringback.ports import CallbackFilter, Cluster, PageWindow, SoleProcess, Store, Transaction
from ringback.stores.postgres.store import PostgresStore
from tests.counted_rows import Counted, Place, counts_of_rows, counts_stored
from tests.fakes import FakeClock
from tests.stores.records import OURS, SECOND, THEIRS, callback
from tests.unit.delivery.parts import Bench, FunctionTransport

HOSTS: Final = ("http://a.example", "http://b.example", "http://c.example")
AGAIN: Final = "http://again.example"
"""Only callbacks to this host change after their end, so that its ends can't be seen in rows."""
OUTCOMES: Final = (
    *(DeliveredOutcome(200), DeliveredOutcome(200), RefusedOutcome(503), RefusedOutcome(410)),
    NoAnswerOutcome(AttemptFailure.CONNECT, "nobody listens"),
    NoAnswerOutcome(AttemptFailure.READ_TIMEOUT, "slow"),
    NoAnswerOutcome(AttemptFailure.SHORTAGE, "no sockets"),
    None,
)
"""What can happen to a request; None if it is not answered before the process stops."""


@dataclass
class History:
    """One random history; the counts in memory survive each stop."""

    store: Store
    random: Random
    clock: FakeClock = field(default_factory=FakeClock)
    counters: DeliveryCounters = field(default_factory=DeliveryCounters)
    did: Counter[str] = field(default_factory=Counter[str])
    numbers: "count[int]" = field(default_factory=count)

    def __post_init__(self) -> None:
        self.cluster: Cluster = SoleProcess()
        if isinstance(self.store, PostgresStore):
            self.cluster = self.store.cluster
        self.writer = CounterWriter(
            self.counters.by_minute, store=self.store, clock=self.clock, cluster=self.cluster
        )

    async def run(self, processes: int, steps: int) -> None:
        choices = (self.accept, self.accept, self.send_again, self.discard, self.keep)
        for _ in range(processes):
            async with self._process() as bench:
                for _ in range(steps):
                    await self.random.choice(choices)(bench)
                    self.clock.advance(timedelta(seconds=self.random.uniform(0, 40)))
                    await asyncio.sleep(0.01)
        await self.writer.stop()

    @asynccontextmanager
    async def _process(self) -> AsyncIterator[Bench]:
        """A process; at its stop, the attempts that are not answered stay open."""
        bench = Bench(
            *(self.store, FunctionTransport(self._send), RetrySchedule.parse("5s,50s")),
            clock=self.clock,
            counters=self.counters,
            cluster=self.cluster,
        )
        self.did["left open"] += await bench.delivery.recover()
        running = asyncio.create_task(bench.delivery.run())
        yield bench
        await bench.delivery.stop(within=timedelta(seconds=0.05))
        await running

    async def _send(self, _: OutgoingRequest) -> AttemptResult:
        outcome = self.random.choice(OUTCOMES)
        if outcome is None:
            await asyncio.get_running_loop().create_future()
        self.did[outcome.label if outcome else ""] += 1
        return AttemptResult(
            outcome or DeliveredOutcome(200), RequestTimings(self.random.uniform(1, 9000))
        )

    # ---- steps

    async def accept(self, bench: Bench) -> None:
        now, made = self.clock.now(), list[CallbackRecord]()
        for number in (next(self.numbers) for _ in range(self.random.randrange(1, 5))):
            one = callback(
                number,
                self.random.choice((OURS, THEIRS)),
                created=now,
                due=now + self.random.choice((0, 0, 30)) * SECOND,
                url=f"{self.random.choice((*HOSTS, AGAIN))}/{number}#rc=1&rp=all",
            )
            made.append(one._replace(source=self.random.choice(tuple(Source))))
        await bench.take(*made)

    async def send_again(self, bench: Bench) -> None:
        await self._change(
            bench,
            lambda one: one.progress.is_ended,
            lambda one: replay(one.progress, self.clock.now()),
        )

    async def discard(self, bench: Bench) -> None:
        await self._change(
            bench,
            lambda one: one.status in ("scheduled", "failed") and not one.progress.is_under_way,
            lambda one: discard(one.progress, "enough", self.clock.now()),
        )

    async def _change(
        self,
        bench: Bench,
        is_fit: Callable[[CallbackRecord], bool],
        change: Callable[[CallbackRecord], DeliveryProgress],
    ) -> None:
        """Change one callback; one that had ended only if it is for the host AGAIN."""

        def work(tx: Transaction) -> None:
            for one in tx.callbacks.page(EVERY, CallbackFilter(), PageWindow(1000)):
                is_there = one.url.host == "again.example" or not one.progress.is_ended
                if is_there and is_fit(one):
                    self.did[f"{one.status} to {change(one).status}"] += 1
                    bench.delivery.queue.change(tx, one, change(one))
                    return

        await self.store.transact(work)

    async def keep(self, _: Bench) -> None:
        await self.random.choice((self.writer.write, self.writer.write_all))()
        until = CountSpan.HOUR.begin_of(self.clock.now())
        await self.store.transact(
            lambda tx: tx.counters.roll_up(CountSpan.HOUR, until, limit=self.random.randrange(1, 9))
        )


def without_ends(counted: Counted) -> Counted:
    """Return counts without those that only rows of callbacks that stayed ended show."""
    started = {place: _started(counts) for place, counts in counted.items()}
    return {place: one for place, one in started.items() if one != CallbackCounts()}


def _started(counts: CallbackCounts) -> CallbackCounts:
    return CallbackCounts(
        counts.accepted,
        counts.attempts,
        counts.retried,
        failures=counts.failures,
        attempt_seconds=counts.attempt_seconds,
    )


def ends_of(counted: Counted) -> Counter[tuple[str, str, str]]:
    """Return the number of callbacks that have ended, by account, destination and source."""
    ended = Counter[tuple[str, str, str]]()
    for (_, *key), one in counted.items():
        at = (key[0], key[1], key[2])
        ended[at] += one.delivered + one.failed + one.discarded - one.replayed
    return +ended


def is_of_again(place: Place) -> bool:
    return "again" in place[2]


@pytest.mark.parametrize("seed", range(3))
async def test_the_counters_equal_the_rows(store: Store, seed: int) -> None:
    is_shared = isinstance(store, PostgresStore)
    history = History(store, Random(seed))
    # A process that leaves the other processes of a database can't come back.
    await history.run(*((1, 60) if is_shared else (4, 15)))
    stored = await store.read(counts_stored)
    rows = await store.read(counts_of_rows)
    assert {place: one for place, one in stored.items() if not is_of_again(place)} == {
        place: one for place, one in rows.items() if not is_of_again(place)
    }
    assert without_ends(stored) == without_ends(rows)
    assert ends_of(stored) == ends_of(rows)
    # It would prove nothing if some of this had not happened.
    assert sum(one.replayed for one in stored.values()) > 0
    assert sum(one.retried for one in stored.values()) > 5
    assert len({place[0] for place in stored}) > 5
    if not is_shared:
        assert any("unknown" in one.failures for one in stored.values())
        assert history.did["left open"] > 0
