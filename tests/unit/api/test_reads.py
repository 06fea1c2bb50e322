"""Requests that only read, or are refused, never use the connection that commits."""

import re

import pytest
from starlette.routing import Route

from ringback.api.all_routes import all_routes
from ringback.core.errors import QueryTimeout
from tests.counting_store import CountingStore
from tests.fakes import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    CALLBACK_SID,
    FLEET_SID,
    PROFILE_SID,
    SIM_SID,
    an_api_key,
)
from tests.memory_store import MemoryStore
from tests.unit.api.caller import Caller
from tests.unit.api.plenty import fill_with_plenty
from tests.unit.api.test_errors import BrokenStore
from tests.unit.api.world import app_on, dependencies_on, error
from tests.wireless_fakes import COMMAND_SID, RATE_PLAN_SID, WIRELESS_SIM_SID

SIDS = (
    SIM_SID,
    FLEET_SID,
    PROFILE_SID,
    CALLBACK_SID,
    WIRELESS_SIM_SID,
    COMMAND_SID,
    RATE_PLAN_SID,
    "unknown",
)
READ = sorted(
    {
        route.path
        for route in all_routes(dependencies_on(MemoryStore()))
        if isinstance(route, Route) and "GET" in (route.methods or ())
    }
)
OPERATORS_KEY = an_api_key("SK" + "e" * 32, None, "an operator's secret")


@pytest.fixture
async def store() -> CountingStore:
    memory = MemoryStore()
    await memory.transact(fill_with_plenty)
    await memory.transact(lambda tx: tx.accounts.keys.add(OPERATORS_KEY))
    return CountingStore(memory)


@pytest.mark.parametrize(
    "credentials",
    [(ACCOUNT_SID, AUTH_TOKEN), (OPERATORS_KEY.sid, "an operator's secret")],
    ids=["an account", "the operator"],
)
async def test_read_only_requests_do_not_use_the_committing_connection(
    store: CountingStore, credentials: tuple[str, str]
) -> None:
    caller = Caller(app_on(store), credentials=credentials)
    statuses = set[int]()
    for path in READ:
        for sid in SIDS if "{" in path else ("",):
            statuses.add((await caller.get(re.sub(r"\{\w+\}", sid, path))).status)
    assert len(READ) > 50
    assert statuses <= {200, 400, 404}
    assert store.asked > len(READ) / 2
    assert store.transactions == 0


async def test_a_dry_run_of_a_replay_does_not_use_the_committing_connection(
    store: CountingStore,
) -> None:
    caller = Caller(app_on(store), credentials=(ACCOUNT_SID, AUTH_TOKEN))
    form = {"Since": "2020-01-01T00:00:00Z", "DryRun": "yes"}
    assert (await caller.post("/portal/v1/replays", form)).status == 200
    assert store.transactions == 0


@pytest.mark.parametrize(
    "credentials", [(ACCOUNT_SID, "wrong"), ("AC" + "0" * 32, "x"), (OPERATORS_KEY.sid, "x")]
)
async def test_wrong_credentials_are_refused_without_the_committing_connection(
    store: CountingStore, credentials: tuple[str, str]
) -> None:
    stranger = Caller(app_on(store), credentials=credentials)
    assert (await stranger.get("/v1/Sims")).status == 401
    assert (await stranger.post("/portal/v1/callbacks", {})).status == 401
    forged = Caller(app_on(store), credentials=None)
    assert (await forged.get("/v1/Sims", authorization="Bearer a.b.c")).status == 401
    assert store.asked >= 3
    assert store.transactions == 0


async def test_a_read_that_takes_too_long_is_answered_with_503_and_advice() -> None:
    failure = QueryTimeout("what was asked for takes longer than 5 s to read: ask for less")
    caller = Caller(app_on(BrokenStore(failure)), credentials=(ACCOUNT_SID, AUTH_TOKEN))
    answer = await caller.get("/v1/Sims")
    assert answer.json == error(503, 20503, str(failure))
