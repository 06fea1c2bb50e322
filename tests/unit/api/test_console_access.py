"""Signing in to the console: a session, and requests to the APIs in its client's name."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from ringback.api.app import create_app
from ringback.api.authentication import SIGNED_IN, Authenticator
from ringback.api.console_access import sign_in_to_console, sign_out_of_console
from ringback.api.dependencies import ApiDependencies
from ringback.core.accounts.account import ApiKeyRole
from ringback.core.accounts.client_credentials import ApiScope, Principal
from ringback.core.errors import LoginRateLimited, TooManyRequests, Unauthorized
from ringback.operations.authentication import sign_in
from tests.counting_store import CountingStore
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, FakeClock, an_account, an_api_key
from tests.memory_store import MemoryStore
from tests.unit.api.caller import Caller, basic
from tests.unit.api.world import KEY, KEY_SECRET, dependencies_on, fill, refusal

ADDRESS = "192.0.2.7"
READER = replace(an_api_key("SK" + "2" * 32, ACCOUNT_SID, "reader"), role=ApiKeyRole.READ_ONLY)


@pytest.fixture
async def store() -> CountingStore:
    counting = CountingStore(MemoryStore())
    await counting.store.transact(fill)
    await counting.store.transact(lambda tx: tx.accounts.keys.add(READER))
    return counting


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def dependencies(store: CountingStore, clock: FakeClock) -> ApiDependencies:
    made = dependencies_on(store, clock=clock)
    made.authenticator.outside = clock
    return made


@pytest.fixture
def authenticator(dependencies: ApiDependencies) -> Authenticator:
    return dependencies.authenticator


async def begin(dependencies: ApiDependencies) -> str:
    return (await sign_in_to_console(dependencies, KEY.sid, KEY_SECRET, ADDRESS)).token


async def last_use(store: CountingStore) -> object:
    (session,) = await store.store.transact(
        lambda tx: [*tx.console_sessions.sessions.values()]  # type: ignore[attr-defined] (a MemoryStore)
    )
    return session.date_last_used


async def test_the_sessions_client_is_the_one_of_the_same_credentials(
    dependencies: ApiDependencies, authenticator: Authenticator
) -> None:
    found = await authenticator.session_caller(await begin(dependencies), ADDRESS)
    expected = await authenticator.caller_of(basic(KEY.sid, KEY_SECRET))
    assert replace(found, until=None) == expected


async def test_a_session_is_looked_up_once_a_second(
    dependencies: ApiDependencies,
    authenticator: Authenticator,
    store: CountingStore,
    clock: FakeClock,
) -> None:
    token = await begin(dependencies)
    asked = store.asked
    for _ in range(3):
        await authenticator.session_caller(token, ADDRESS)
    assert store.asked == asked + 1
    clock.advance(timedelta(seconds=1))
    await authenticator.session_caller(token, ADDRESS)
    assert store.asked == asked + 2


async def test_a_session_that_has_just_ended_is_not_remembered(
    dependencies: ApiDependencies, authenticator: Authenticator
) -> None:
    token = await begin(dependencies)
    await authenticator.session_caller(token, ADDRESS)
    await sign_out_of_console(dependencies, token, ADDRESS)
    with pytest.raises(Unauthorized, match="sign in again"):
        await authenticator.session_caller(token, ADDRESS)


async def test_all_sessions_of_the_credential_can_be_ended(
    dependencies: ApiDependencies, authenticator: Authenticator
) -> None:
    one, other = await begin(dependencies), await begin(dependencies)
    await sign_out_of_console(dependencies, one, ADDRESS, everywhere=True)
    with pytest.raises(Unauthorized):
        await authenticator.session_caller(other, ADDRESS)


async def test_a_session_is_remembered_no_longer_than_it_lasts(
    dependencies: ApiDependencies, authenticator: Authenticator, clock: FakeClock
) -> None:
    token = await begin(dependencies)
    clock.advance(timedelta(hours=12) - timedelta(milliseconds=1))
    await authenticator.session_caller(token, ADDRESS)
    clock.advance(timedelta(milliseconds=1))
    with pytest.raises(Unauthorized, match="not used for 12 hours"):
        await authenticator.session_caller(token, ADDRESS)


async def test_uses_keep_a_session_and_are_written_now_and_then(
    dependencies: ApiDependencies,
    authenticator: Authenticator,
    store: CountingStore,
    clock: FakeClock,
) -> None:
    token, began = await begin(dependencies), clock.now()
    clock.advance(timedelta(hours=11))
    await authenticator.session_caller(token, ADDRESS)
    assert await last_use(store) == began
    store.is_away = True
    await authenticator.write_uses()
    store.is_away = False
    await authenticator.write_uses()
    assert await last_use(store) == clock.now()
    clock.advance(timedelta(hours=11))
    assert await authenticator.session_caller(token, ADDRESS)


async def test_the_servers_clock_ends_no_session(store: CountingStore) -> None:
    virtual = FakeClock()
    dependencies = dependencies_on(store, clock=virtual)
    token = await begin(dependencies)
    virtual.advance(timedelta(days=30))
    assert await dependencies.authenticator.session_caller(token, ADDRESS)


async def test_a_token_of_a_session_is_no_authorization_header(
    dependencies: ApiDependencies, authenticator: Authenticator
) -> None:
    token = await begin(dependencies)
    await authenticator.session_caller(token, ADDRESS)
    for header in (token, f"Bearer {token}", basic(KEY.sid, token)):
        with pytest.raises(Unauthorized):
            await authenticator.caller_of(header, ADDRESS)


async def test_guesses_are_limited_and_begin_nothing(
    dependencies: ApiDependencies, store: CountingStore
) -> None:
    for _ in range(20):
        with pytest.raises(Unauthorized):
            await sign_in_to_console(dependencies, ACCOUNT_SID, "wrong", ADDRESS)
    with pytest.raises(LoginRateLimited):
        await sign_in_to_console(dependencies, ACCOUNT_SID, AUTH_TOKEN, ADDRESS)
    assert store.transactions == 0


async def test_a_sign_in_counts_as_a_use_of_its_key(
    dependencies: ApiDependencies, store: CountingStore, clock: FakeClock
) -> None:
    await begin(dependencies)
    await dependencies.authenticator.write_uses()
    key = await store.store.transact(lambda tx: tx.accounts.keys.get(KEY.sid))
    assert key is not None
    assert key.date_last_used == clock.now()


# ---- requests of a client in the scope -----------------------------------------------------------


class InProcess:
    """Calls the application as the console does: with the client of a session in the scope."""

    def __init__(self, app: ASGIApp, client: Principal) -> None:
        self._app, self._client = app, client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, SIGNED_IN: self._client}, receive, send)


async def caller_for(dependencies: ApiDependencies, username: str, password: str) -> Caller:
    client = await dependencies.store.read(lambda tx: sign_in(tx, username, password))
    return caller_as(dependencies, client)


def caller_as(dependencies: ApiDependencies, client: Principal) -> Caller:
    return Caller(InProcess(create_app(dependencies), client), credentials=None)


async def test_a_client_in_the_scope_needs_no_header(dependencies: ApiDependencies) -> None:
    caller = await caller_for(dependencies, ACCOUNT_SID, AUTH_TOKEN)
    answer = await caller.post("/portal/v1/keys", {"Name": "made in the console"})
    assert answer.status == 201
    listed: Mapping[str, Any] = (await caller.get("/portal/v1/audit")).json
    (entry,) = listed["audit"]
    assert (entry["action"], entry["actor_kind"]) == ("CreateKey", "auth_token")


async def test_it_comes_before_the_header(dependencies: ApiDependencies) -> None:
    caller = await caller_for(dependencies, READER.sid, "reader")
    full = {"authorization": basic(ACCOUNT_SID, AUTH_TOKEN)}
    answer = await caller.call("POST", "/portal/v1/keys", b"Name=x", headers=full)
    assert refusal(answer) == (403, 20006)


async def test_a_read_only_client_in_the_scope_changes_nothing(
    dependencies: ApiDependencies,
) -> None:
    caller = await caller_for(dependencies, READER.sid, "reader")
    assert (await caller.get("/portal/v1/keys")).status == 200
    assert refusal(await caller.post("/portal/v1/keys", {"Name": "x"})) == (403, 20006)


async def test_its_areas_are_checked(dependencies: ApiDependencies) -> None:
    whole = await dependencies.store.read(lambda tx: sign_in(tx, ACCOUNT_SID, AUTH_TOKEN))
    caller = caller_as(dependencies, replace(whole, areas=frozenset({ApiScope.WIRELESS})))
    assert refusal(await caller.get("/portal/v1/keys")) == (403, 20006)


async def test_its_requests_count_against_the_rate_limit(
    dependencies: ApiDependencies, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = list[Principal]()

    async def let_in(caller: Principal) -> None:
        counted.append(caller)
        raise TooManyRequests("enough", retry_after=1)

    monkeypatch.setattr(dependencies.authenticator, "let_in", let_in)
    caller = await caller_for(dependencies, ACCOUNT_SID, AUTH_TOKEN)
    assert refusal(await caller.get("/portal/v1/keys")) == (429, 20429)
    assert [one.account for one in counted] == [an_account()]
