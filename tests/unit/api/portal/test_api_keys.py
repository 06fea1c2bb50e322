"""API keys over HTTP: an account manages its own, and the operator all of them."""

from dataclasses import replace

import pytest

from ringback.core.accounts.account import ApiKey
from ringback.ports import Transaction
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, an_account, an_api_key
from tests.memory_store import MemoryStore
from tests.unit.api.caller import Caller
from tests.unit.api.world import THEIRS, app_on, refusal

KEYS = "/portal/v1/keys"
OURS = an_api_key("SK" + "1" * 32)
THEIR_KEY = an_api_key("SK" + "2" * 32, THEIRS, "theirs")
OPERATORS = an_api_key("SK" + "3" * 32, None, "operator's")


def fill(tx: Transaction) -> None:
    for sid in (ACCOUNT_SID, THEIRS):
        tx.accounts.add(an_account(sid=sid), [])
    for key in (OURS, THEIR_KEY, OPERATORS):
        tx.accounts.keys.add(key)


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    store.commit(fill)
    return store


@pytest.fixture
def account(store: MemoryStore) -> Caller:
    return Caller(app_on(store), credentials=(ACCOUNT_SID, AUTH_TOKEN))


@pytest.fixture
def operator(store: MemoryStore) -> Caller:
    return Caller(app_on(store), credentials=(OPERATORS.sid, "operator's"))


def key_of(store: MemoryStore, sid: str) -> ApiKey:
    return store.tables.accounts.keys.records[sid]


async def listed(caller: Caller, **headers: str) -> list[str]:
    return [key["sid"] for key in (await caller.get(KEYS, **headers)).json["keys"]]


async def test_an_account_lists_its_own_keys_and_the_operator_all(
    account: Caller, operator: Caller
) -> None:
    assert await listed(account) == [OURS.sid]
    assert await listed(operator) == [OURS.sid, THEIR_KEY.sid, OPERATORS.sid]
    assert await listed(operator, **{"ringback-account": THEIRS}) == [THEIR_KEY.sid]
    page = (await operator.get(f"{KEYS}?PageSize=1")).json
    assert [key["sid"] for key in page["keys"]] == [OURS.sid]
    assert page["meta"]["next_page_url"] is not None
    assert "secret" not in str(page["keys"])


async def test_a_new_key_signs_in_and_its_secret_is_shown_once(
    account: Caller, store: MemoryStore
) -> None:
    answer = await account.post(KEYS, {"Name": "CI", "Role": "read_only"})
    made = answer.json
    assert (answer.status, answer.headers["cache-control"]) == (201, "no-store")
    assert (made["account_sid"], made["name"], made["role"]) == (ACCOUNT_SID, "CI", "read_only")
    own = Caller(app_on(store), credentials=(made["sid"], made["secret"]))
    assert await listed(own) == [OURS.sid, made["sid"]]
    assert refusal(await own.post(KEYS, {"Name": "more"})) == (403, 20006)


async def test_a_key_that_the_operator_makes_is_the_operators_or_an_accounts(
    operator: Caller,
) -> None:
    made = (await operator.post(KEYS, {"Name": "dashboard"})).json
    assert (made["account_sid"], made["role"]) == (None, "full")
    theirs = (await operator.post(KEYS, {"Name": "CI"}, **{"ringback-account": THEIRS})).json
    assert theirs["account_sid"] == THEIRS


async def test_an_account_ends_only_its_own_keys(account: Caller, store: MemoryStore) -> None:
    assert (await account.call("DELETE", f"{KEYS}/{OURS.sid}")).status == 204
    assert key_of(store, OURS.sid).date_ended is not None
    for sid in (THEIR_KEY.sid, OPERATORS.sid, OURS.sid, "none"):
        assert refusal(await account.call("DELETE", f"{KEYS}/{sid}")) == (404, 20404)
    assert key_of(store, THEIR_KEY.sid) == THEIR_KEY
    assert [entry.action for entry in store.tables.audit.entries.values()] == ["EndKey"]


async def test_the_operator_ends_any_key(operator: Caller, store: MemoryStore) -> None:
    for key in (THEIR_KEY, OPERATORS):
        assert (await operator.call("DELETE", f"{KEYS}/{key.sid}")).status == 204
        assert replace(key_of(store, key.sid), date_ended=None) == replace(key, secret_hash="")


async def test_a_key_ended_for_another_account_than_the_named_one_is_not_found(
    operator: Caller,
) -> None:
    answer = await operator.call(
        "DELETE", f"{KEYS}/{OPERATORS.sid}", headers={"ringback-account": THEIRS}
    )
    assert refusal(answer) == (404, 20404)
