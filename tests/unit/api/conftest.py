"""Fixtures: the whole application on a store in memory, and an authenticated caller of it."""

from collections.abc import Callable

import pytest
from starlette.types import ASGIApp

from ringback.ports import Store
from tests.callback_queues import RecordingQueue
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, FakeClock
from tests.memory_store import MemoryStore
from tests.unit.api.caller import Caller
from tests.unit.api.described import APIS, Api
from tests.unit.api.world import CountingNotifier, app_on, fill


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def store() -> MemoryStore:
    store = MemoryStore()
    await store.transact(fill)
    return store


@pytest.fixture
def task_runner() -> CountingNotifier:
    return CountingNotifier()


@pytest.fixture
def callback_queue() -> RecordingQueue:
    return RecordingQueue()


@pytest.fixture
def app(
    store: Store, clock: FakeClock, task_runner: CountingNotifier, callback_queue: RecordingQueue
) -> ASGIApp:
    return app_on(store, clock=clock, task_runner=task_runner, callback_queue=callback_queue)


@pytest.fixture
def caller(app: ASGIApp) -> Caller:
    return Caller(app, credentials=(ACCOUNT_SID, AUTH_TOKEN))


@pytest.fixture
def at_host(app: ASGIApp) -> Callable[[str], Caller]:
    """Make a caller that reaches the application by this host name."""

    def make(host: str) -> Caller:
        return Caller(app, credentials=(ACCOUNT_SID, AUTH_TOKEN), host=host)

    return make


@pytest.fixture(params=APIS, ids=lambda api: api.product.name)
def api(request: pytest.FixtureRequest) -> Api:
    """Each API with an OpenAPI document, one after the other."""
    return request.param
