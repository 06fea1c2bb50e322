"""The reference model of a store: plain dictionaries, nothing durable."""

# Tests look into the tables, so their types are narrower here; nobody replaces them.
# pyright: reportIncompatibleVariableOverride=false

import copy
from collections.abc import Callable
from typing import Any, Final, TypeVar

from ringback.core.callbacks.response_storage import ResponseStorageBudget
from ringback.ports import CommitHooks, Transaction, nothing
from tests.memory_store.accounts import MemoryAccounts, MemoryApiClients
from tests.memory_store.callbacks import MemoryBatches, MemoryCallbacks
from tests.memory_store.kept_responses import MemoryKeptResponses
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

    def __init__(self, budget: ResponseStorageBudget = _BUDGET) -> None:
        self._tables = MemoryTransaction(budget)

    async def transact(self, work: Callable[[Transaction], T], **how: bool) -> T:
        """Run the work on a copy, and keep the copy if it succeeds."""
        tables = copy.deepcopy(self._tables)
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

    async def read(self, work: Callable[[Transaction], T], *, asked_by: str = "") -> T:
        """Run the work on a copy, and check that it has changed nothing."""
        tables = copy.deepcopy(self._tables)
        result = work(tables)
        if vars(tables) != vars(self._tables):
            raise RuntimeError("this work must only read, but it writes")
        return result


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
