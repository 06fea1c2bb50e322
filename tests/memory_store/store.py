"""The reference model of a store: plain dictionaries, nothing durable."""

# Tests look into the tables, so their types are narrower here; nobody replaces them.
# pyright: reportIncompatibleVariableOverride=false

import copy
import secrets
from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from itertools import count
from typing import Any, Final, Generic, TypeVar, cast

from ringback.core.callbacks.response_storage import ResponseStorageBudget
from ringback.core.callbacks.shards import Role
from ringback.ports import ClusterMember, CommitHooks, Transaction, nothing
from ringback.stores.postgres.lease_sessions import LeaseSession
from tests.memory_store.accounts import MemoryAccounts, MemoryApiClients
from tests.memory_store.audit import MemoryAuditLog
from tests.memory_store.callbacks import MemoryBatches, MemoryCallbacks
from tests.memory_store.console_access import MemoryConsoleSessions, MemorySharedLinks
from tests.memory_store.counters import MemoryCounters
from tests.memory_store.destinations import MemoryDestinations
from tests.memory_store.kept_responses import MemoryKeptResponses
from tests.memory_store.leases import MemoryCluster, RenewedLeases, RowKey, utc_now
from tests.memory_store.receiver_checks import MemoryReceiverChecks
from tests.memory_store.retention import MemoryRetention
from tests.memory_store.shadows import MemoryShadows
from tests.memory_store.streams import MemoryStreams
from tests.memory_store.supersim import MemorySuperSim
from tests.memory_store.tasks import (
    MemoryJobs,
    MemoryPause,
    MemoryPlanLines,
    MemoryPolicyVersions,
    MemoryScenarios,
    MemoryTasks,
)
from tests.memory_store.wireless import MemoryWireless

T = TypeVar("T")
_BUDGET: Final = ResponseStorageBudget()


class MemoryTransaction(Transaction):
    """Implements `ports.Transaction`."""

    accounts: MemoryAccounts
    api_clients: MemoryApiClients
    console_sessions: MemoryConsoleSessions
    shared_links: MemorySharedLinks
    supersim: MemorySuperSim
    wireless: MemoryWireless
    scenarios: MemoryScenarios
    policies: MemoryPolicyVersions
    pause: MemoryPause
    audit: MemoryAuditLog
    tasks: MemoryTasks
    jobs: MemoryJobs
    plans: MemoryPlanLines
    receiver_checks: MemoryReceiverChecks
    kept_responses: MemoryKeptResponses
    callbacks: MemoryCallbacks
    streams: MemoryStreams
    batches: MemoryBatches
    shadows: MemoryShadows
    counters: MemoryCounters
    destinations: MemoryDestinations
    retention: MemoryRetention

    def __init__(self, budget: ResponseStorageBudget = _BUDGET) -> None:
        self.accounts = MemoryAccounts()
        self.api_clients = MemoryApiClients()
        self.console_sessions = MemoryConsoleSessions()
        self.shared_links = MemorySharedLinks()
        self.supersim = MemorySuperSim()
        self.wireless = MemoryWireless()
        self.scenarios = MemoryScenarios()
        self.policies = MemoryPolicyVersions()
        self.pause = MemoryPause()
        self.audit = MemoryAuditLog()
        self.tasks = MemoryTasks()
        self.jobs = MemoryJobs()
        self.plans = self.jobs.plans
        self.receiver_checks = MemoryReceiverChecks()
        self.kept_responses = MemoryKeptResponses(budget)
        self.callbacks = MemoryCallbacks(self.accounts, self.kept_responses)
        self.tasks.leases = self.jobs.leases = self.callbacks.leases
        self.callbacks.leases.locks = self.callbacks.locks
        self.streams = MemoryStreams(self.callbacks)
        self.batches = MemoryBatches()
        self.shadows = MemoryShadows(self.callbacks, self.kept_responses)
        self.counters = MemoryCounters()
        self.destinations = MemoryDestinations(self.callbacks)
        self.retention = MemoryRetention(self.callbacks, self.kept_responses, self.shadows)
        self.endings: list[CommitHooks] = []
        self.made_fingerprint = secrets.token_hex(16)

    def __deepcopy__(self, copies: dict[int, Any]) -> "MemoryTransaction":
        """Return a copy that shares the records, since they never change."""
        return _copied(self, copies)

    def fingerprint(self) -> str:
        return self.made_fingerprint

    def write_nothing(self) -> None:
        pass

    def on_commit(
        self, durable: Callable[[], None], *, undone: Callable[[], None] = nothing
    ) -> None:
        self.endings.append(CommitHooks(durable, undone))


class MemoryStore:
    """Implements `ports.Store`."""

    def __init__(
        self, budget: ResponseStorageBudget = _BUDGET, *, now: Callable[[], datetime] = utc_now
    ) -> None:
        """Create an empty store; `now` is its own clock, which decides how long leases last."""
        self._tables = MemoryTransaction(budget)
        self._tables.callbacks.now = self._tables.tasks.now = self._tables.jobs.now = now
        self.clusters = list[MemoryCluster]()
        """The clusters of the processes that share the store, between which they announce news."""

    async def transact(self, work: Callable[[Transaction], T], **how: bool) -> T:
        """Run the work on a copy, and keep the copy if it succeeds."""
        return self.commit(work)

    def commit(self, work: Callable[["MemoryTransaction"], T], process: str | None = None) -> T:
        """Do the same for a process of those that share this store; None if it has it to itself."""
        begun = self.begin(work, process)
        self.finish(begun)
        for ending in begun.endings:
            ending.durable()
        return begun.result

    def begin(
        self, work: Callable[["MemoryTransaction"], T], process: str | None = None
    ) -> "BegunTransaction[T]":
        """Run the work on a copy; `finish` makes its changes durable, at once or later."""
        before = self._tables
        tables = copy.deepcopy(before)
        tables.callbacks.process = tables.tasks.process = tables.jobs.process = process
        tables.callbacks.shared = []
        endings = tables.endings
        try:
            result = work(tables)
        except Exception:
            for ending in endings:
                ending.undone()
            raise
        tables.endings = []
        return BegunTransaction(before, tables, result, endings)

    def finish(self, begun: "BegunTransaction[Any]") -> None:
        """Make the changes of a transaction durable, beside those that others have made since."""
        if begun.before is self._tables:
            self._tables = begun.after
        else:
            self._tables = copy.deepcopy(self._tables)
            begun.apply_to(self._tables)

    def is_held(self, begun: "BegunTransaction[Any]") -> bool:
        """Return True if another transaction, which has not ended, has changed the same rows."""
        held = self._tables.callbacks.locks.held
        return bool(held) and not held.keys().isdisjoint(begun.changes())

    def hold(self, begun: "BegunTransaction[Any]") -> Callable[[], None]:
        """Lock a transaction's rows, as long as it lasts; return the function that unlocks them."""
        rows = (*begun.changes(), *begun.after.callbacks.shared)
        return self._tables.callbacks.locks.hold(rows)

    @property
    def tables(self) -> "MemoryTransaction":
        """Everything that is durable."""
        return self._tables

    def process(self, name: str) -> "MemoryProcessStore":
        """Return the store as one of several processes sees it."""
        return MemoryProcessStore(self, name)

    async def read(self, work: Callable[[Transaction], T], *, asked_by: str = "") -> T:
        """Run the work on a copy, and check that it has changed nothing."""
        tables = copy.deepcopy(self._tables)
        result = work(tables)
        if vars(tables) != vars(self._tables):
            raise RuntimeError("this work must only read, but it writes")
        return result


_GONE: Final = object()
"""In place of a row that a transaction has deleted."""


class BegunTransaction(Generic[T]):
    """A transaction whose work is done, and whose changes are not durable yet."""

    def __init__(
        self,
        before: MemoryTransaction,
        after: MemoryTransaction,
        result: T,
        endings: list[CommitHooks],
    ) -> None:
        self.before = before
        self.after = after
        self.result = result
        self.endings = endings

    def changes(self) -> dict[RowKey, object]:
        """Return the changed rows, by the place of their table and their key."""
        pairs = zip(_containers(self.before), _containers(self.after), strict=True)
        return {
            (place, key): value
            for (place, old), (_, new) in pairs
            for key, value in _changed(old, new)
        }

    def apply_to(self, tables: MemoryTransaction) -> None:
        """Make the same changes to other tables."""
        containers = dict(_containers(tables))
        for (place, key), value in self.changes().items():
            container = containers[place]
            if isinstance(container, set):
                (container.discard if value is _GONE else container.add)(key)
            elif value is _GONE:
                container.pop(key, None)
            else:
                container[key] = value


def _containers(table: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dictionaries and sets of all tables, with their places."""
    for name, part in vars(table).items():
        if isinstance(part, dict | set):
            yield f"{place}.{name}", part
        elif part.__class__.__hash__ is None and not isinstance(part, list):
            yield from _containers(part, f"{place}.{name}")


def _changed(old: Any, new: Any) -> Iterator[tuple[Any, object]]:
    if isinstance(new, set):
        yield from ((key, key) for key in new - old)
        yield from ((key, _GONE) for key in old - new)
    else:
        yield from ((key, one) for key, one in new.items() if old.get(key, _GONE) is not one)
        yield from ((key, _GONE) for key in old.keys() - new.keys())


class MemoryProcessStore:
    """Implements `ports.Store` for one of several processes that share a store."""

    def __init__(self, store: MemoryStore, name: str) -> None:
        self._store = store
        self._name = name
        self._lives = count(1)
        self.id = f"{name} {next(self._lives)}"
        """The process's id, which changes when it loses its leases."""
        self.clusters = store.clusters
        self.is_known_dead: Callable[[str], bool] = lambda _: False
        """Returns True for the id of a process that certainly does nothing any more."""
        self.has_ended: Callable[[int, int], bool] = lambda _key, _server: False
        """Returns True if the server, which was started then, has ended the session of a key."""

    async def transact(self, work: Callable[[Transaction], T], **how: bool) -> T:
        """Run the work for this process; see `ports.Store`."""
        return self._store.commit(work, self.id)

    async def read(self, work: Callable[[Transaction], T], *, asked_by: str = "") -> T:
        """Run work that only reads; see `ports.Store`."""
        return await self._store.read(work, asked_by=asked_by)

    async def renew_leases(
        self, *, returning: Collection[int] = (), session: LeaseSession | None = None
    ) -> RenewedLeases | None:
        """Extend the leases, and give back shards in which nothing is claimed any more.

        Of the shards `returning`, those are given back that are too many and where nothing is under
        way. Returns None if the leases had ended; the next call begins anew.
        """
        renewed = await self._change_leases(lambda tx: self._renew(tx, returning, session))
        if renewed is None:
            self.id = f"{self._name} {next(self._lives)}"
        return renewed

    async def leave(self) -> None:
        """Give all shards back."""

        def leave(tx: Transaction) -> None:
            tables = cast("MemoryTransaction", tx).callbacks
            under_way = tables.own_open()
            for shard in tables.leases.owned_by(self.id):
                tables.leases.give_back(shard, tables.now(), has_open=shard in under_way)
            tables.leases.ends.pop(self.id, None)

        await self._change_leases(leave)

    async def end_dead(self) -> tuple[bool, list[tuple[str, int]]]:
        """End the leases of dead processes; also return those whose sessions have ended."""

        def end(tx: Transaction) -> tuple[bool, list[tuple[str, int]]]:
            tables = cast("MemoryTransaction", tx).callbacks
            leases = tables.leases
            dead = [one for one in leases.ends if one != self.id and self.is_known_dead(one)]
            for one in dead:
                leases.end_dead(one)
            gone = [
                (one, key)
                for one, (key, server) in leases.sessions.items()
                if one != self.id and leases.is_alive(one, tables.now()) and one not in leases.gone
                if self.has_ended(key, server)
            ]
            return leases.has_free(tables.now()), gone

        return await self._change_leases(end)

    async def end_gone(self, process: str, key: int) -> None:
        """Free the shards of a process that still names this session, which has ended."""

        def end(tx: Transaction) -> None:
            tables = cast("MemoryTransaction", tx).callbacks
            tables.leases.end_gone(process, key, tables.now())

        await self._change_leases(end)

    async def hold(self, what: str) -> bool:
        """Take or extend a lease on something; see `ports.Cluster`."""

        def hold(tx: Transaction) -> bool:
            tables = cast("MemoryTransaction", tx).callbacks
            return tables.leases.hold(what, self.id, tables.now())

        return await self._change_leases(hold)

    async def members(self) -> list[ClusterMember]:
        """Return the processes; see `ports.Cluster`."""

        def members(tx: Transaction) -> list[ClusterMember]:
            tables = cast("MemoryTransaction", tx).callbacks
            leases, now = tables.leases, tables.now()
            return [
                ClusterMember(
                    name, Role.ALL, now, leases.is_alive(name, now), leases.owned_by(name)
                )
                for name in leases.ends
            ]

        return await self._change_leases(members)

    async def _change_leases(self, work: Callable[[Transaction], T]) -> T:
        """Run work of the cluster, which has a connection of its own."""
        return await self.transact(work)

    def _renew(
        self, tx: Transaction, returning: Collection[int], session: LeaseSession | None
    ) -> RenewedLeases | None:
        tables = cast("MemoryTransaction", tx).callbacks
        leases, now = tables.leases, tables.now()
        if not leases.renew(self.id, now):
            leases.name_session(self.id, None)
            return None
        leases.name_session(self.id, session)
        under_way = tables.own_open()
        idle = sorted(leases.owned_by(self.id).intersection(returning) - under_way)
        for shard in idle[: leases.excess_of(self.id, now)]:
            leases.give_back(shard, now)
        leases.take_free(self.id, now)
        owned = sorted(leases.owned_by(self.id), key=lambda shard: (shard in under_way, shard))
        surplus = owned[: leases.excess_of(self.id, now)]
        epochs = {shard: leases.owners[shard].epoch for shard in owned}
        return RenewedLeases(epochs, frozenset(surplus), tables.still_open(epochs))


def _copied(table: Any, copies: dict[int, Any]) -> Any:
    """Return a copy of a table with all tables in it; it shares what never changes."""
    # A table that several others refer to is copied once.
    if id(table) in copies:
        return copies[id(table)]
    copies[id(table)] = copied = table.__class__.__new__(table.__class__)
    for name, part in table.__dict__.items():
        kind = part.__class__
        if kind is dict or kind is list or kind is set:
            part = part.copy()  # noqa: PLW2901 (without a further name, it is quicker)
        elif kind.__hash__ is None:
            part = _copied(part, copies)  # noqa: PLW2901 (likewise)
        copied.__dict__[name] = part
    return copied
