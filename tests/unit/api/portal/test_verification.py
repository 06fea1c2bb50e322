"""The signature of the last request of a callback, verified over HTTP."""

from dataclasses import replace
from typing import Any

import pytest

from ringback.core.accounts.account import Account
from ringback.core.callbacks.callback import FORGED
from ringback.core.policy.source_policy import Source
from ringback.core.sources.source_definition import Sources
from ringback.ports import Store
from tests.fakes import (
    AUTH_TOKEN,
    CALLBACK_SID,
    KORE_SECRET,
    NOW,
    a_secret,
    an_account,
    signing_with,
)
from tests.unit.api.caller import Caller
from tests.unit.api.portal.test_comparison import SECOND, add, send, with_acme
from tests.unit.api.world import error

__all__ = ["with_acme"]

ONE = f"/portal/v1/callbacks/{CALLBACK_SID}/verification"
TWILIO, KORE = Source
ACTIVE = a_secret()


async def verify(caller: Caller) -> dict[str, Any]:
    answer = await caller.get(ONE)
    assert answer.status == 200, answer.body
    for secret in (AUTH_TOKEN, KORE_SECRET):
        assert secret.encode() not in answer.body
    return answer.json


async def save(store: Store, account: Account) -> None:
    await store.transact(lambda tx: tx.accounts.save(account))


async def test_a_right_signature_of_kore_names_its_secret_and_url(
    caller: Caller, store: Store
) -> None:
    await send(store, await add(store), times=2)
    assert await verify(caller) == {
        "callback_sid": CALLBACK_SID,
        "attempt": 2,
        "date_sent": "2024-07-03T14:40:59Z",
        "source": "kore",
        "is_right": True,
        "reason": None,
        "explanation": None,
        "url": "http://127.0.0.1:9000/path",
        "header": "Kore-Signature",
        "secret": {"kind": "webhook_secret", "name": "first", "id": ACTIVE.id, "is_active": True},
        "secret_changed": None,
    }


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_right_signature_of_twilio_covers_the_query(
    caller: Caller, store: Store, method: str
) -> None:
    await send(store, await add(store, source=TWILIO, method=method))
    found = await verify(caller)
    assert (found["is_right"], found["header"]) == (True, "X-Twilio-Signature")
    assert found["url"].startswith("http://127.0.0.1:9000/path?foo=bar")
    assert found["secret"] == {
        "kind": "auth_token",
        "name": "primary",
        "id": None,
        "is_active": True,
    }


async def test_a_source_of_the_settings_is_verified_by_its_own_scheme(
    with_acme: tuple[Caller, Sources], store: Store
) -> None:
    caller, sources = with_acme
    await send(store, await add(store, source="acme"), sources=sources)
    found = await verify(caller)
    assert (found["is_right"], found["header"], found["url"]) == (True, "X-Signature", None)
    await save(store, replace(an_account(), webhook_secrets=signing_with("another")))
    found = await verify(caller)
    assert (found["is_right"], found["reason"]) == (False, "not_explained")


async def test_after_a_rotation_it_says_that_an_earlier_secret_signed(
    caller: Caller, store: Store
) -> None:
    await send(store, await add(store))
    rotated = replace(a_secret("new", name="second"), last_modified=NOW + SECOND)
    secrets = replace(an_account().webhook_secrets, active=rotated)
    await save(store, replace(an_account(), webhook_secrets=secrets))
    found = await verify(caller)
    assert (found["is_right"], found["reason"], found["secret"]) == (False, "wrong_secret", None)
    assert found["explanation"] == (
        "it was signed with an earlier webhook secret, which the account does not have any more:"
        " the active one was changed after the request was sent"
    )
    assert found["secret_changed"] == "2024-07-03T14:40:59Z"


async def test_another_auth_token_is_not_explained(caller: Caller, store: Store) -> None:
    await send(store, await add(store, source=TWILIO), account=an_account(auth_token="of the past"))
    found = await verify(caller)
    assert (found["is_right"], found["reason"], found["secret"]) == (False, "not_explained", None)
    assert found["explanation"].startswith("wrong secret")


async def test_a_rehearsal_is_signed_with_the_pending_secret(caller: Caller, store: Store) -> None:
    pending = a_secret("pending", name="second")
    account = replace(
        an_account(), webhook_secrets=replace(signing_with(KORE_SECRET), pending=pending)
    )
    await save(store, account)
    await send(store, await add(store, secret_id=pending.id), account=account)
    found = await verify(caller)
    assert (found["is_right"], found["reason"]) == (False, "pending_secret")
    assert found["secret"] == {
        "kind": "webhook_secret",
        "name": "second",
        "id": pending.id,
        "is_active": False,
    }
    assert "'second'" in found["explanation"]


async def test_a_forged_test_event_is_said_to_be_forged(caller: Caller, store: Store) -> None:
    await send(store, await add(store, is_test=True, body="[]", secret_id=FORGED))
    found = await verify(caller)
    assert (found["is_right"], found["reason"]) == (False, "wrong_secret")
    assert "forged" in found["explanation"]


async def test_an_account_without_a_webhook_secret_signs_nothing(
    caller: Caller, store: Store
) -> None:
    account = an_account(kore_secret="")
    await save(store, account)
    await send(store, await add(store), account=account)
    found = await verify(caller)
    assert (found["is_right"], found["reason"], found["secret"]) == (False, "empty_signature", None)


async def test_what_was_not_sent_cannot_be_verified(caller: Caller, store: Store) -> None:
    await send(store, await add(store), is_rendered=False)
    assert (await caller.get(ONE)).json == error(
        *(409, 20409),
        f"{CALLBACK_SID} has no request to verify: none was sent yet, or it is not kept any more",
    )


async def test_a_source_that_is_gone_cannot_be_verified(
    with_acme: tuple[Caller, Sources], caller: Caller, store: Store
) -> None:
    _, sources = with_acme
    await send(store, await add(store, source="acme"), sources=sources)
    assert (await caller.get(ONE)).json == error(
        *(409, 20409),
        f"{CALLBACK_SID} came from the source 'acme', which the settings no longer define",
    )


async def test_an_unknown_callback_is_not_found(caller: Caller) -> None:
    assert (await caller.get(ONE)).status == 404
