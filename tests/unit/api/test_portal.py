"""Callbacks over HTTP: what was told to whom, why from that source, and how each attempt ended."""

from typing import Any

import pytest

from ringback.core.callback import Exchange, RecordedRequest, RecordedResponse, settle_attempt
from ringback.core.callback_url import CallbackUrl
from ringback.core.outcome import Delivered, Refused
from ringback.core.source import Source
from ringback.ports import Store, Transaction
from tests.fakes import ACCOUNT_SID, CALLBACK_SID, NOW, SIM_SID, TOKENS, a_callback
from tests.unit.api.caller import Caller
from tests.unit.api.world import THEIRS, error

LIST = "/portal/v1/callbacks"
ONE = f"{LIST}/{CALLBACK_SID}"
OTHER = "CB" + "e" * 32


async def add(store: Store, **kinds: Any) -> None:
    await store.transact(lambda tx: tx.callbacks.add(a_callback(**kinds)))


async def attempt(store: Store, *exchanges: Exchange) -> None:
    """Make an attempt that ends like this, one after the other."""

    def work(tx: Transaction) -> None:
        for exchange in exchanges:
            for claim in tx.callbacks.claim(NOW, limit=1):
                again = a_callback(attempt_count=claim.attempt.number)
                tx.callbacks.settle(again, settle_attempt(claim.attempt, exchange))

    await store.transact(work)


async def test_a_callback_is_shown_with_everything_but_its_secrets(
    caller: Caller, store: Store
) -> None:
    await add(store, url="http://user:made-up@a.example/p?x=1#cbs=kore&odd=1")
    answer = await caller.get(ONE)
    assert answer.status == 200
    assert answer.json == {
        "sid": CALLBACK_SID,
        "account_sid": ACCOUNT_SID,
        "url": "http://a.example/p?x=1#cbs=kore&odd=1",
        "method": "POST",
        "body": f"ApiVersion=v1&SimUniqueName=my_super_sim&SimSid={SIM_SID}&SimStatus=inactive"
        f"&AccountSid={ACCOUNT_SID}",
        "parameters": {
            "ApiVersion": "v1",
            "SimUniqueName": "my_super_sim",
            "SimSid": SIM_SID,
            "SimStatus": "inactive",
            "AccountSid": ACCOUNT_SID,
        },
        "source": "kore",
        "source_asked": "kore",
        "source_reason": "made up",
        "warnings": ["the fragment key 'odd' is unknown and has no effect"],
        "idempotency_token": TOKENS[Source.KORE],
        "status": "scheduled",
        "status_reason": None,
        "attempt_count": 0,
        "date_next_attempt": "2024-07-03T14:40:58Z",
        "date_created": "2024-07-03T14:40:58Z",
        "date_updated": "2024-07-03T14:40:58Z",
    }


async def test_a_callback_that_nobody_asked_a_source_for_says_so(
    caller: Caller, store: Store
) -> None:
    await add(store, url="http://a.example", source=Source.TWILIO)
    callback = (await caller.get(ONE)).json
    assert (callback["source"], callback["source_asked"]) == ("twilio", None)


async def test_a_callback_under_way_has_no_next_attempt(caller: Caller, store: Store) -> None:
    await add(store)
    await store.transact(lambda tx: tx.callbacks.claim(NOW, limit=1))
    callback = (await caller.get(ONE)).json
    assert (callback["attempt_count"], callback["date_next_attempt"]) == (1, None)


async def test_callbacks_are_listed_newest_first(caller: Caller, store: Store) -> None:
    await add(store)
    await add(store, sid=OTHER)
    callbacks = (await caller.get(LIST)).json["callbacks"]
    assert [callback["sid"] for callback in callbacks] == [OTHER, CALLBACK_SID]
    assert callbacks[1] == (await caller.get(ONE)).json


@pytest.mark.parametrize(
    ("query", "sids"),
    [
        ("Source=kore", [CALLBACK_SID]),
        ("Source=twilio", [OTHER]),
        ("Status=scheduled", [OTHER, CALLBACK_SID]),
        ("Status=delivered", []),
        (f"IdempotencyToken={TOKENS[Source.KORE]}", [CALLBACK_SID]),
        ("IdempotencyToken=", []),
    ],
)
async def test_callbacks_are_filtered(
    caller: Caller, store: Store, query: str, sids: list[str]
) -> None:
    await add(store)
    await add(store, sid=OTHER, source=Source.TWILIO)
    callbacks = (await caller.get(f"{LIST}?{query}")).json["callbacks"]
    assert [callback["sid"] for callback in callbacks] == sids


async def test_attempts_are_listed_in_the_order_in_which_they_were_made(
    caller: Caller, store: Store
) -> None:
    await add(store)
    await attempt(store, Exchange(Refused(503)), Exchange(Delivered(200)))
    attempts = (await caller.get(f"{ONE}/attempts")).json["attempts"]
    assert [(each["number"], each["result"]) for each in attempts] == [
        (1, "refused"),
        (2, "delivered"),
    ]


async def test_an_attempt_shows_the_request_as_sent_and_the_answer(
    caller: Caller, store: Store
) -> None:
    await add(store)
    await attempt(
        store,
        Exchange(
            Refused(503),
            12.5,
            RecordedRequest("POST", "http://a.example/", (("Host", "a.example"),), "SimSid=HS1"),
            RecordedResponse(503, (("Retry-After", "9"), ("X", "1")), b"busy \xff", is_cut=True),
        ),
    )
    attempts = (await caller.get(f"{ONE}/attempts")).json["attempts"]
    assert attempts == [
        {
            "callback_sid": CALLBACK_SID,
            "number": 1,
            "date_started": "2024-07-03T14:40:58Z",
            "duration_ms": 12.5,
            "result": "refused",
            "status_code": 503,
            "error_code": 11217,
            "failure": None,
            "reason": "the receiver answered 503 Service Unavailable",
            "request": {
                "method": "POST",
                "url": "http://a.example/",
                "headers": [["Host", "a.example"]],
                "body": "SimSid=HS1",
            },
            "response": {
                "status": 503,
                "headers": [["Retry-After", "9"], ["X", "1"]],
                "body": "busy �",
                "is_cut": True,
            },
        }
    ]


async def test_an_attempt_under_way_is_open(caller: Caller, store: Store) -> None:
    await add(store)
    await store.transact(lambda tx: tx.callbacks.claim(NOW, limit=1))
    (each,) = (await caller.get(f"{ONE}/attempts")).json["attempts"]
    assert (each["result"], each["request"], each["response"]) == ("open", None, None)


@pytest.mark.parametrize("tail", ["", "/attempts"])
@pytest.mark.parametrize("sid", [OTHER, "CB1", "nobody"])
async def test_a_callback_that_is_not_there_is_not_found(
    caller: Caller, sid: str, tail: str
) -> None:
    assert (await caller.get(f"{LIST}/{sid}{tail}")).json == error(
        404, 20404, f"there is no callback with the SID {sid!r}"
    )


async def test_callbacks_of_another_account_are_not_shown(caller: Caller, store: Store) -> None:
    await add(store, account_sid=THEIRS)
    assert (await caller.get(LIST)).json["callbacks"] == []
    assert (await caller.get(ONE)).status == 404
    assert (await caller.get(f"{ONE}/attempts")).status == 404


async def test_what_an_update_asked_for_is_what_the_record_says(caller: Caller) -> None:
    url = "https://user:made-up@a.example/path?foo=bar#rc=2&cbs=kore"
    await caller.post(f"/v1/Sims/{SIM_SID}", {"Status": "active", "CallbackUrl": url})
    (callback,) = (await caller.get(LIST)).json["callbacks"]
    assert callback["url"] == CallbackUrl.parse(url).shown
    assert "made-up" not in str(callback)
    assert callback["source_reason"] == "the URL asks for it: #cbs=kore"
