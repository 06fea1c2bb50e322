"""Accounts over HTTP: what an account sees of itself, and what the operator changes."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from ringback.api.app import create_app
from ringback.api.authentication import SIGNED_IN
from ringback.api.dependencies import ApiDependencies
from ringback.api.rate_limit import AccountRateLimit
from ringback.core.accounts.account import ApiKeyRole
from ringback.core.accounts.client_credentials import Principal
from ringback.core.calendar import iso
from ringback.core.retry_schedule import RetrySchedule
from ringback.ports import Transaction
from tests.fakes import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    NOW,
    FakeClock,
    an_account,
    an_api_client,
    an_api_key,
)
from tests.memory_store import MemoryStore
from tests.unit.api.caller import Answer, Caller
from tests.unit.api.world import THEIRS, dependencies_on, refusal

ACCOUNTS = "/portal/v1/accounts"
CHILD = "AC" + "c" * 32
OURS = f"{ACCOUNTS}/{ACCOUNT_SID}"
TOKEN = f"{OURS}/auth_token"
KEYS = [
    an_api_key("SK" + "1" * 32),
    replace(an_api_key("SK" + "2" * 32), role=ApiKeyRole.READ_ONLY),
    replace(an_api_key("SK" + "4" * 32), date_ended=NOW),
]
OPERATORS = an_api_key("SK" + "3" * 32, None, "operator's")


def app_of(dependencies: ApiDependencies, client: Principal | None = None) -> ASGIApp:
    """Return the application, which this client calls in the same process."""
    app = create_app(dependencies)

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope if client is None else {**scope, SIGNED_IN: client}, receive, send)

    return call


def fill(tx: Transaction) -> None:
    schedule = RetrySchedule.parse("5s,1m")
    tx.accounts.add(replace(an_account(), schedule=schedule, date_created=NOW), [])
    tx.accounts.add(an_account(sid=THEIRS), [])
    tx.accounts.add(an_account(sid=CHILD, name="child", parent_sid=ACCOUNT_SID), [])
    for key in (*KEYS, OPERATORS):
        tx.accounts.keys.add(key)
    tx.api_clients.add(an_api_client())


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def app(clock: FakeClock) -> ASGIApp:
    store = MemoryStore()
    store.commit(fill)
    dependencies = replace(
        dependencies_on(store, clock=clock),
        unfinished_of={ACCOUNT_SID: 7, THEIRS: 9}.__getitem__,
        rate_limit=AccountRateLimit(50),
    )
    return app_of(dependencies)


@pytest.fixture
def account(app: ASGIApp) -> Caller:
    return Caller(app, credentials=(ACCOUNT_SID, AUTH_TOKEN))


@pytest.fixture
def other(app: ASGIApp) -> Caller:
    return Caller(app, credentials=(THEIRS, AUTH_TOKEN))


@pytest.fixture
def operator(app: ASGIApp) -> Caller:
    return Caller(app, credentials=(OPERATORS.sid, "operator's"))


async def listed(caller: Caller, query: str = "") -> list[str]:
    return [one["sid"] for one in (await caller.get(f"{ACCOUNTS}{query}")).json["accounts"]]


async def delete_secondary(caller: Caller) -> Answer:
    return await caller.call("DELETE", f"{TOKEN}/secondary")


async def test_an_account_lists_itself_and_its_subaccounts_and_the_operator_all(
    account: Caller, other: Caller, operator: Caller
) -> None:
    assert await listed(account) == [ACCOUNT_SID, CHILD]
    assert await listed(other) == [THEIRS]
    assert await listed(operator) == [ACCOUNT_SID, THEIRS, CHILD]
    assert await listed(operator, "?PageSize=2") == [ACCOUNT_SID, THEIRS]
    assert await listed(operator, f"?PageToken=PA{THEIRS}") == [CHILD]


async def test_an_account_is_shown_with_its_credentials_and_without_a_secret(
    account: Caller,
) -> None:
    answer = await account.get(OURS)
    shown: dict[str, Any] = answer.json
    (secret,) = shown.pop("webhook_secrets")
    assert secret["status"] == "active"
    own = an_account()
    assert shown == {
        "sid": ACCOUNT_SID,
        "kore_id": replace(own, date_created=NOW).kore_id,
        "name": own.name,
        "status": "active",
        "parent_sid": None,
        "date_created": iso(NOW),
        "damaged_secrets": [],
        "schedule": "5s,60s",
        "api_keys": {"full": 1, "read_only": 1},
        "api_clients": 1,
        "date_auth_token": iso(NOW),
        "has_secondary_auth_token": False,
        "date_secondary_auth_token": None,
        "unfinished_callbacks": 7,
        "rate_limit": 50,
    }
    assert own.kore_secret
    for value in (AUTH_TOKEN, own.kore_secret):
        assert value.encode() not in answer.body


async def test_an_account_sees_no_other_and_the_operator_sees_each(
    other: Caller, operator: Caller
) -> None:
    for sid in (ACCOUNT_SID, CHILD, "AC" + "0" * 32):
        assert refusal(await other.get(f"{ACCOUNTS}/{sid}")) == (404, 20404)
    assert (await operator.get(f"{ACCOUNTS}/{THEIRS}")).json["unfinished_callbacks"] == 9
    assert refusal(await operator.get(f"{ACCOUNTS}/{'AC' + '0' * 32}")) == (404, 20404)


async def test_an_account_is_found_by_its_kore_id(account: Caller) -> None:
    kore_id = (await account.get(OURS)).json["kore_id"]
    assert (await account.get(f"{ACCOUNTS}/{kore_id}")).json["sid"] == ACCOUNT_SID


async def test_only_the_operator_suspends_and_resumes(
    account: Caller, other: Caller, operator: Caller
) -> None:
    for caller in (account, other):
        answer = await caller.post(f"{OURS}/suspend", {})
        assert refusal(answer) == (403, 20006)
        assert "only the operator can suspend an account" in answer.json["message"]
    assert (await operator.post(f"{OURS}/suspend", {})).json["status"] == "suspended"


async def test_a_suspended_account_is_shut_out_until_it_is_resumed(
    account: Caller, operator: Caller
) -> None:
    await operator.post(f"{OURS}/suspend", {})
    assert refusal(await account.get(OURS)) == (403, 20005)
    assert (await operator.post(f"{OURS}/resume", {})).json["status"] == "active"
    assert (await account.get(OURS)).status == 200


async def test_an_auth_token_is_replaced_by_way_of_a_secondary_one(
    app: ASGIApp, account: Caller, clock: FakeClock
) -> None:
    answer = await account.post(f"{TOKEN}/secondary", {})
    assert answer.status == 201
    assert answer.headers["cache-control"] == "no-store"
    token = answer.json["secondary_auth_token"]
    assert answer.json == {"account_sid": ACCOUNT_SID, "secondary_auth_token": token}
    clock.advance(timedelta(days=1))
    new = Caller(app, credentials=(ACCOUNT_SID, token))
    shown = (await new.get(OURS)).json
    assert shown["has_secondary_auth_token"] is True
    assert shown["date_secondary_auth_token"] == iso(NOW)
    promoted = (await new.post(f"{TOKEN}/promote", {})).json
    assert promoted["date_auth_token"] == iso(NOW + timedelta(days=1))
    clock.advance(timedelta(seconds=1))
    assert refusal(await account.get(OURS)) == (401, 20003)


async def test_a_secondary_auth_token_is_deleted(account: Caller) -> None:
    assert refusal(await delete_secondary(account)) == (404, 20404)
    assert refusal(await account.post(f"{TOKEN}/promote", {})) == (404, 20404)
    await account.post(f"{TOKEN}/secondary", {})
    assert (await delete_secondary(account)).status == 204
    assert (await account.get(OURS)).json["has_secondary_auth_token"] is False


async def test_nobody_replaces_the_auth_token_of_another_account(
    other: Caller, account: Caller, operator: Caller
) -> None:
    await account.post(f"{TOKEN}/secondary", {})
    assert refusal(await other.post(f"{TOKEN}/secondary", {})) == (404, 20404)
    assert refusal(await other.post(f"{TOKEN}/promote", {})) == (404, 20404)
    assert refusal(await delete_secondary(other)) == (404, 20404)
    assert (await operator.post(f"{TOKEN}/promote", {})).status == 200


async def test_an_operator_who_names_an_account_changes_no_other(operator: Caller) -> None:
    named = {"ringback-account": THEIRS}
    assert refusal(await operator.post(f"{OURS}/suspend", {}, **named)) == (404, 20404)
