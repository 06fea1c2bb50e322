"""A store in a database compared with its model in memory: the same work gives the same results.

Work comes in jobs of several steps, and several jobs share a commit; some of them break off, and
some give the database what it refuses. What is left must be what the model has, which does one job
after the other.
"""

import asyncio
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import psycopg
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from ringback.core.accounts.account import EVERY
from ringback.core.callbacks.response_storage import ResponseStorageBudget
from ringback.core.errors import InvalidParameter
from ringback.ports import CallbackFilter, DeliveryClaim, PageWindow, Transaction
from ringback.stores.postgres.group_commit import PostgresCommitter
from ringback.stores.sql.transaction import CommitJob
from ringback.stores.sqlite.group_commit import GroupCommitter
from ringback.stores.sqlite.store import connect
from tests.fakes import NOW, VAULT
from tests.memory_store import MemoryStore
from tests.stores.asking import dangling, new_file, same
from tests.stores.postgres_bench import PostgresBench
from tests.stores.records import (
    FLEETS,
    OURS,
    PROFILES,
    RATE_PLANS,
    SECOND,
    SIMS,
    THEIRS,
    WIRELESS_SIMS,
    account,
    api_key,
)

ACCOUNTS = st.sampled_from([OURS, THEIRS])
NUMBERS = st.integers(0, 11)
LIMITS = st.sampled_from([0, 1, 2, 3, 9])
BUDGET = ResponseStorageBudget(in_all=12 << 10, per_account=8 << 10)
"""A budget that responses of a few KiB use up."""
AHEAD = st.sampled_from([0, 0, 0, 1, 2, 5]).map(lambda seconds: seconds * SECOND)


def windows(record: Callable[[int], Any]) -> st.SearchStrategy[PageWindow]:
    """Page windows of all sizes; a page may begin at any account's record, or at no record."""
    sizes, edges = st.integers(1, 4), NUMBERS.map(lambda number: record(number).sid)
    return st.one_of(
        st.builds(PageWindow, sizes),
        st.builds(PageWindow, sizes, after=edges),
        st.builds(PageWindow, sizes, before=edges),
    )


class Stop(Exception):
    """The error that makes a job fail, so that it is undone."""


def nothing(*_: Any) -> None:
    """Do nothing."""


@dataclass
class Part:
    """A part of a job, and the functions to call when the job is durable or undone."""

    work: Callable[[Transaction], Any]
    done: Callable[[Any], None] = nothing
    undone: Callable[[], None] = nothing


@dataclass
class Ask:
    """A job that both stores run."""

    number: int
    parts: list[Part] = field(default_factory=list[Part])
    breaks: bool = False

    def __call__(self, tx: Transaction, told: list[str]) -> list[Any]:
        told.append(f"{self.number} begins")
        tx.on_commit(
            lambda: told.append(f"{self.number} durable"),
            undone=lambda: told.append(f"{self.number} undone"),
        )
        results = [part.work(tx) for part in self.parts]
        if self.breaks:
            raise Stop
        return results

    def end(self, ending: list[Any] | str) -> None:
        for number, part in enumerate(self.parts):
            if isinstance(ending, str):
                part.undone()
            else:
                part.done(ending[number])


class BothStores(RuleBasedStateMachine):
    """Runs everything in both stores, and compares the results.

    The database is an SQLite file, unless `OnPostgres` comes before this class.
    """

    committer: GroupCommitter | PostgresCommitter

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.Runner()
        self.make_database()
        self._memory = MemoryStore(BUDGET)
        self.connect()
        self.asks = list[Ask]()
        self.now = NOW
        self.add(Part(self._begin))
        self.commit()

    def teardown(self) -> None:
        try:
            self.commit()
        finally:
            self.committer.close()
            self._loop.close()
            self.remove_database()

    def make_database(self) -> None:
        """Make an empty database."""
        self._folder = tempfile.TemporaryDirectory()
        (Path(self._folder.name) / "ringback.db").write_bytes(new_file())

    def remove_database(self) -> None:
        self._folder.cleanup()

    def connect(self) -> None:
        """Connect to the database, as a process that begins."""
        self._connection = connect(Path(self._folder.name) / "ringback.db", VAULT)
        self.committer = GroupCommitter(self._connection, VAULT, budget=BUDGET)

    def _begin(self, tx: Transaction) -> None:
        for account_sid, its_fleet in FLEETS.items():
            tx.accounts.add(account(account_sid), [api_key(int(account_sid[-1]), account_sid)])
            tx.supersim.access_profiles.add(PROFILES[account_sid])
            tx.supersim.fleets.add(its_fleet)
            tx.supersim.sims.add(SIMS[account_sid])
            tx.wireless.rate_plans.add(RATE_PLANS[account_sid])
            tx.wireless.sims.add(WIRELESS_SIMS[account_sid])

    # ---- jobs and commits

    def add(self, part: Part) -> None:
        """Add this to the last job, so that it runs in both stores."""
        if not self.asks:
            self.next_job()
        self.asks[-1].parts.append(part)

    @rule()
    def next_job(self) -> None:
        self.asks.append(Ask(len(self.asks)))

    @precondition(lambda self: self.asks)
    @rule()
    def break_off(self) -> None:
        """Make the last job fail at its end, and begin another job."""
        self.asks[-1].breaks = True
        self.next_job()

    @rule(by=AHEAD)
    def pass_time(self, by: timedelta) -> None:
        self.now += by

    @rule()
    def commit(self) -> None:
        """Run all jobs: one by one in memory, and in a single commit in the file."""
        asks, self.asks = self.asks, []
        told_by_model, told = list[str](), list[str]()
        modelled = [self._in_memory(lambda tx, a=ask: a(tx, told_by_model)) for ask in asks]
        stored = self._in_file([lambda tx, a=ask: a(tx, told) for ask in asks])
        assert without_rows(stored) == without_rows(modelled)
        # A job that was repeated reports each run; each run ends once, in the order of the jobs.
        assert [line for line in told if "durable" in line] == [
            line for line in told_by_model if "durable" in line
        ]
        assert sum("begins" in line for line in told) == sum("begins" not in line for line in told)
        self.check_references()
        for ask, ending in zip(asks, stored, strict=True):
            ask.end(ending)
        assert without_rows(self._in_file([self.everything])) == [
            without_rows(self._in_memory(self.everything))
        ]

    def check_references(self) -> None:
        """Check that no row of the database refers to one that is missing."""
        assert dangling(self._connection) == []

    def everything(self, tx: Transaction) -> tuple[object, ...]:
        """Return all that the stores have."""
        return everything(tx), by_sid(tx.callbacks.left_open())

    def _in_memory(self, work: Callable[[Transaction], Any]) -> Any:
        try:
            return self._loop.run(self._memory.transact(work))
        except (Stop, sqlite3.IntegrityError) as failure:
            return type(failure).__name__

    def _in_file(self, works: Sequence[Callable[[Transaction], Any]]) -> list[Any]:
        jobs = [CommitJob(work) for work in works]
        self.committer.commit(jobs)
        for job in jobs:
            job.end()
        return [_kind_of(job.failure) if job.failure else job.result for job in jobs]


class OnPostgres(BothStores):
    """Does the same with a PostgreSQL database."""

    bench: ClassVar[PostgresBench]
    """Has the database; set it first."""
    is_quick: ClassVar = False

    def make_database(self) -> None:
        """Do nothing: the database is empty before each example."""

    def remove_database(self) -> None:
        self.bench.empty()
        self.bench.forget_workers()

    def connect(self) -> None:
        self.committer = self.bench.new_process(BUDGET, is_quick=self.is_quick)

    def check_references(self) -> None:
        """Do nothing: the same code writes the references of both databases."""

    def everything(self, tx: Transaction) -> tuple[object, ...]:
        # A process does not find its own attempts left open.
        return everything(tx)


def _kind_of(failure: Exception) -> str:
    is_refused = isinstance(failure, psycopg.IntegrityError)
    return "IntegrityError" if is_refused else type(failure).__name__


def or_refused(read: Callable[[], Any]) -> Any:
    """Return the result of a read, or the code of its refusal; messages differ between stores."""
    try:
        return read()
    except InvalidParameter as refusal:
        return f"Invalid {refusal.code}"


def everything(tx: Transaction) -> tuple[object, ...]:
    pages = (tx.callbacks.page(sid, CallbackFilter(), PageWindow(999)) for sid in FLEETS)
    callbacks = [callback for page in pages for callback in page]
    return (
        callbacks,
        [tx.callbacks.attempts(one.sid) for one in callbacks],
        [tx.kept_responses.bytes_of(sid) for sid in (EVERY, *FLEETS)],
        [one for one in tx.kept_responses.largest(limit=99) if one.bytes],
        [tx.supersim.sims.page(sid, {}, PageWindow(99)) for sid in FLEETS],
        [tx.supersim.sms_commands.page(sid, {}, PageWindow(999)) for sid in FLEETS],
        [tx.supersim.sessions.of_sim(sim.sid, since=NOW - SECOND) for sim in SIMS.values()],
        [tx.wireless.sims.page(sid, {}, PageWindow(99)) for sid in FLEETS],
        [tx.wireless.commands.page(sid, {}, PageWindow(999)) for sid in FLEETS],
        tx.tasks.claim(NOW + timedelta(days=1), limit=999),
        tx.accounts.all(),
    )


def without_rows(result: Any) -> Any:
    """Return a result in which claims do not have the numbers of their rows in the file."""
    if isinstance(result, DeliveryClaim):
        return same(result)
    if type(result) in (list, tuple):
        return type(result)(map(without_rows, result))
    return result


def by_sid(claims: Sequence[DeliveryClaim]) -> list[DeliveryClaim]:
    return sorted(claims, key=lambda claim: claim.callback.sid)
