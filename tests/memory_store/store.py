"""The reference model of a store: plain dictionaries, nothing durable."""

# Tests look into the tables, so their types are narrower here; nobody replaces them.
# pyright: reportIncompatibleVariableOverride=false

import copy
from collections.abc import Callable
from datetime import datetime
from itertools import count
from typing import Any, Final, TypeVar, cast

from ringback.core.callbacks.response_storage import ResponseStorageBudget
from ringback.core.callbacks.shards import Role, shard_of
from ringback.ports import ClusterMember, CommitHooks, Transaction, nothing
from tests.memory_store.accounts import MemoryAccounts, MemoryApiClients
from tests.memory_store.callbacks import MemoryBatches, MemoryCallbacks
from tests.memory_store.kept_responses import MemoryKeptResponses
from tests.memory_store.leases import utc_now
from tests.memory_store.shadows import MemoryShadows
from tests.memory_store.supersim import MemorySuperSim
from tests.memory_store.tasks import MemoryPolicyVersions, MemoryScenarios, MemoryTasks
from tests.memory_store.wireless import MemoryWireless

T = TypeVar("T")
_BUDGET: Final = ResponseStorageBudget()


class MemoryTransaction(Transaction):
    """Implements `ports.Transaction`."""

    accounts: MemoryAccounts
    api_clients: MemoryApiClients
    supersim: MemorySuperSim
    wireless: MemoryWireless
    scenarios: MemoryScenarios
    policies: MemoryPolicyVersions
    tasks: MemoryTasks
    kept_responses: MemoryKeptResponses
    callbacks: MemoryCallbacks
    batches: MemoryBatches
    shadows: MemoryShadows

    def __init__(self, budget: ResponseStorageBudget = _BUDGET) -> None:
        self.accounts = MemoryAccounts()
        self.api_clients = MemoryApiClients()
        self.supersim = MemorySuperSim()
        self.wireless = MemoryWireless()
        self.scenarios = MemoryScenarios()
        self.policies = MemoryPolicyVersions()
        self.tasks = MemoryTasks()
        self.kept_responses = MemoryKeptResponses(budget)
        self.callbacks = MemoryCallbacks(self.accounts, self.kept_responses)
        self.tasks.leases = self.callbacks.leases
        self.batches = MemoryBatches()
        self.shadows = MemoryShadows(self.callbacks, self.kept_responses)
        self.endings: list[CommitHooks] = []

    def __deepcopy__(self, copies: dict[int, Any]) -> "MemoryTransaction":
        """Return a copy that shares the records, since they never change."""
        copied = MemoryTransaction()
        vars(copied).update({name: _copied(part, copies) for name, part in vars(self).items()})
        return copied

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
        self._tables.callbacks.now = self._tables.tasks.now = now

    async def transact(self, work: Callable[[Transaction], T], **how: bool) -> T:
        """Run the work on a copy, and keep the copy if it succeeds."""
        return self.commit(work)

    def commit(self, work: Callable[["MemoryTransaction"], T], process: str | None = None) -> T:
        """Do the same for a process of those that share this store; None if it has it to itself."""
        tables = copy.deepcopy(self._tables)
        tables.callbacks.process = tables.tasks.process = process
        endings = tables.endings
        try:
            result = work(tables)
        except Exception:
            for ending in endings:
                ending.undone()
            raise
        tables.endings = []
        self._tables = tables
        for ending in endings:
            ending.durable()
        return result

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


class MemoryProcessStore:
    """Implements `ports.Store` for one of several processes that share a store."""

    def __init__(self, store: MemoryStore, name: str) -> None:
        self._store = store
        self._name = name
        self._lives = count(1)
        self.id = f"{name} {next(self._lives)}"
        """The process's id, which changes when it loses its leases."""

    async def transact(self, work: Callable[[Transaction], T], **how: bool) -> T:
        """Run the work for this process; see `ports.Store`."""
        return self._store.commit(work, self.id)

    async def read(self, work: Callable[[Transaction], T], *, asked_by: str = "") -> T:
        """Run work that only reads; see `ports.Store`."""
        return await self._store.read(work, asked_by=asked_by)

    async def renew_leases(self) -> tuple[frozenset[int], frozenset[int]] | None:
        """Extend the leases; return the shards that are owned, and those to give back soon.

        Returns None if the leases had ended; the next call begins anew.
        """
        renewed = await self.transact(self._renew)
        if renewed is None:
            self.id = f"{self._name} {next(self._lives)}"
        return renewed

    async def leave(self) -> None:
        """Give all shards back."""

        def leave(tx: Transaction) -> None:
            tables = cast("MemoryTransaction", tx).callbacks
            for shard in tables.leases.owned_by(self.id):
                tables.leases.give_back(shard, tables.now())
            tables.leases.ends.pop(self.id, None)

        await self.transact(leave)

    async def hold(self, what: str) -> bool:
        """Take or extend a lease on something; see `ports.Cluster`."""

        def hold(tx: Transaction) -> bool:
            tables = cast("MemoryTransaction", tx).callbacks
            return tables.leases.hold(what, self.id, tables.now())

        return await self.transact(hold)

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

        return await self.transact(members)

    def _renew(self, tx: Transaction) -> tuple[frozenset[int], frozenset[int]] | None:
        tables = cast("MemoryTransaction", tx).callbacks
        leases, now = tables.leases, tables.now()
        if not leases.renew(self.id, now):
            return None
        leases.take_free(self.id, now)
        open_in = {shard_of(tables.callbacks[sid].url.destination) for sid in tables.runs}
        surplus = leases.surplus_of(self.id, now)
        for shard in surplus:
            if shard not in open_in:
                leases.give_back(shard, now)
        owned = leases.owned_by(self.id)
        return owned, owned.intersection(surplus)


def _copied(part: Any, copies: dict[int, Any]) -> Any:
    # A table that several others refer to is copied once.
    if id(part) in copies:
        return copies[id(part)]
    kind = part.__class__
    if kind in (dict, list, set):
        return copy.copy(part)
    if kind.__hash__ is not None:
        return part
    copies[id(part)] = table = kind.__new__(kind)
    table.__dict__ |= {name: _copied(inner, copies) for name, inner in part.__dict__.items()}
    return table
