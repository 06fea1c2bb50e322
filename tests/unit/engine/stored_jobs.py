"""Jobs in a store, as the tests of both job runners add, change and read them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from ringback.core.job import Job
from ringback.ports import Store, Transaction
from tests.fakes import NOW, FakeClock, an_account
from tests.memory_store import MemoryStore
from tests.stores.records import OURS, job

FIRST = job(1).sid


@dataclass
class JobBench:
    """A store with jobs, and a clock."""

    store: Store = field(default_factory=MemoryStore)
    clock: FakeClock = field(default_factory=FakeClock)

    async def add(self, *jobs: Job) -> None:
        def work(tx: Transaction) -> None:
            if tx.accounts.get(OURS) is None:
                tx.accounts.add(an_account(sid=OURS), [])
            for one in jobs:
                tx.jobs.add(one)

        await self.store.transact(work)

    async def move(self, move: Callable[[Job, datetime], Job], sid: str = FIRST) -> None:
        await self.store.transact(lambda tx: tx.jobs.save(move(_found(tx, sid), NOW)))

    async def job(self, sid: str = FIRST) -> Job:
        return await self.store.transact(lambda tx: _found(tx, sid))


def _found(tx: Transaction, sid: str) -> Job:
    found = tx.jobs.get(sid)
    assert found is not None
    return found
