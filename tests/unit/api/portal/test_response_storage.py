"""The stored bytes of receivers' long responses in the portal."""

import pytest
from starlette.types import ASGIApp

from ringback.core.http.http_exchange import AttemptResult, ReceiverResponseRecord
from ringback.core.http.outcome import RefusedOutcome
from ringback.ports import Settlement, Store, Transaction, lane_of
from tests.fakes import ACCOUNT_SID, NOW, a_callback, an_api_key, claim_from
from tests.unit.api.caller import Caller
from tests.unit.api.world import THEIRS

STORAGE = "/portal/v1/response_storage"
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


@pytest.fixture
async def kept(store: Store) -> None:
    """Responses to callbacks of both accounts: 4 KiB for one, 60 KiB for the other."""
    for account_sid, size in ((ACCOUNT_SID, 5 * KIB), (THEIRS, 61 * KIB)):
        callback = a_callback(sid=f"CB{size:032x}", account_sid=account_sid, token=account_sid)

        def work(tx: Transaction, callback=callback, size: int = size) -> None:
            tx.callbacks.add(callback)
            (taken,) = claim_from(tx, lane_of(callback), NOW, limit=1)
            exchange = AttemptResult(
                RefusedOutcome(500), response=ReceiverResponseRecord(500, (), bytes(size))
            )
            again = taken.progress._replace(due=NOW)
            tx.callbacks.settle([Settlement(taken, again, exchange, NOW)])

        await store.transact(work)


async def test_an_account_sees_its_own_bytes_and_its_budget(caller: Caller, kept: None) -> None:
    answer = await caller.get(STORAGE)
    assert answer.json == {"bytes": 4 * KIB, "budget": 64 * MIB, "accounts": []}


async def test_without_stored_responses_the_answer_is_zero(caller: Caller) -> None:
    assert (await caller.get(STORAGE)).json["bytes"] == 0


async def test_an_operators_key_sees_all_accounts_largest_first(
    app: ASGIApp, store: Store, kept: None
) -> None:
    key = an_api_key("SK" + "0" * 32, None, "operator's")
    await store.transact(lambda tx: tx.accounts.keys.add(key))
    operator = Caller(app, credentials=(key.sid, "operator's"))
    assert (await operator.get(STORAGE)).json == {
        "bytes": 64 * KIB,
        "budget": GIB,
        "accounts": [
            {"account_sid": THEIRS, "bytes": 60 * KIB},
            {"account_sid": ACCOUNT_SID, "bytes": 4 * KIB},
        ],
    }


async def test_without_credentials_nothing_is_shown(app: ASGIApp) -> None:
    answer = await Caller(app, credentials=None).get(STORAGE)
    assert (answer.status, answer.json["code"]) == (401, 20003)
