"""The PostgreSQL store compared with the model in memory, by the same random work as SQLite."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import settings

from ringback.core.callbacks.callback import CallbackRecord
from ringback.ports import Transaction
from tests.stores.both_stores import OnPostgres
from tests.stores.postgres_bench import PostgresBench
from tests.stores.records import account
from tests.stores.test_model_of_callbacks import CallbacksInBothStores
from tests.stores.test_model_of_commands import CommandsInBothStores
from tests.stores.test_model_of_sims import SimsInBothStores
from tests.stores.test_model_of_tasks import TasksInBothStores

# Fewer examples than of SQLite: each statement is a round trip.
_SETTINGS = settings(max_examples=10, stateful_step_count=40, deadline=None)

# These take some seconds, and much longer on a busy machine.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True)
async def bench(postgres_bench: PostgresBench) -> AsyncIterator[None]:
    await postgres_bench.leave()
    OnPostgres.bench = postgres_bench
    yield
    await postgres_bench.end()


class _Callbacks(OnPostgres, CallbacksInBothStores):
    is_quick = True

    def write_what_is_refused(self, tx: Transaction, kept: CallbackRecord) -> None:
        # SIDs are not unique across partitions, so nothing refuses the same callback again.
        tx.callbacks.add(kept._replace(order_key=None))
        tx.accounts.add(account(kept.account_sid), [])


class _Commands(OnPostgres, CommandsInBothStores):
    pass


class _Sims(OnPostgres, SimsInBothStores):
    pass


class _Tasks(OnPostgres, TasksInBothStores):
    pass


class TestCallbacksOnPostgres(_Callbacks.TestCase):
    settings = _SETTINGS


class TestCommandsOnPostgres(_Commands.TestCase):
    settings = _SETTINGS


class TestSimsOnPostgres(_Sims.TestCase):
    settings = _SETTINGS


class TestTasksOnPostgres(_Tasks.TestCase):
    settings = _SETTINGS
