"""Totals in the portal: the results of a period's callbacks."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.types import ASGIApp

from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.callbacks.callback import CallbackStatus
from ringback.core.supersim.fleet import Fleet
from ringback.operations.callback_urls import PAGE_SIZE
from ringback.ports import Store, Transaction
from tests.fakes import ACCOUNT_SID, NOW, FakeClock, a_callback, a_fleet, an_api_key
from tests.unit.api.caller import Answer, Caller
from tests.unit.api.world import THEIRS, error

TOTALS = "/portal/v1/totals"
SECOND = timedelta(seconds=1)
DAY = {"Since": "2024-07-03T00:00:00Z", "Until": "2024-07-04T00:00:00Z"}


@pytest.fixture
async def some(store: Store) -> None:
    """Callbacks of both accounts, and one of another day."""
    statuses = [CallbackStatus.DELIVERED, CallbackStatus.FAILED, CallbackStatus.SCHEDULED]
    made = [a_callback(status=status) for status in statuses]
    made.append(a_callback(attempt_count=1))
    made.append(a_callback(account_sid=THEIRS, url="http://user:pass@a.example/"))
    made.append(a_callback(now=NOW.replace(year=2023)))
    for number, callback in enumerate(made):
        kept = callback._replace(sid=f"CB{number:032x}", idempotency_token=f"{number}")
        await store.transact(lambda tx, kept=kept: tx.callbacks.add(kept))


async def ask(caller: Caller, **query: str) -> Answer:
    return await caller.get(f"{TOTALS}?{urlencode(query)}")


OURS: dict[str, Any] = {
    "account_sid": ACCOUNT_SID,
    "url": "http://127.0.0.1:9000/path?foo=bar#cbs=kore",
    "source": "kore",
    "source_asked": "kore",
    "delivered": 1,
    "undelivered": 1,
    "retried": 1,
    "waiting": 1,
    "last": "2024-07-03T14:40:58Z",
    "last_delivered": "2024-07-03T14:40:58Z",
}
OF_OTHER: dict[str, Any] = {
    "account_sid": THEIRS,
    "url": "http://a.example/",
    "source": "kore",
    "source_asked": None,
    "delivered": 0,
    "undelivered": 0,
    "retried": 0,
    "waiting": 1,
    "last": "2024-07-03T14:40:58Z",
    "last_delivered": None,
}


async def test_an_account_sees_the_results_of_its_own_callbacks(caller: Caller, some: None) -> None:
    answer = await ask(caller, **DAY)
    assert (answer.status, answer.json) == (200, {"totals": [OURS]})


async def test_an_operators_key_sees_all_results(app: ASGIApp, store: Store, some: None) -> None:
    key = an_api_key("SK" + "0" * 32, None, "operator's")
    await store.transact(lambda tx: tx.accounts.keys.add(key))
    operator = Caller(app, credentials=(key.sid, "operator's"))
    assert (await ask(operator, **DAY)).json == {"totals": [OURS, OF_OTHER]}


async def test_without_created_callbacks_there_are_no_totals(caller: Caller) -> None:
    assert (await ask(caller, **DAY)).json == {"totals": []}


async def test_the_default_period_is_the_last_day(
    caller: Caller, clock: FakeClock, some: None
) -> None:
    assert (await ask(caller)).json == {"totals": [OURS]}
    clock.advance(timedelta(days=1))
    assert (await ask(caller)).json == {"totals": [OURS]}
    clock.advance(SECOND)
    assert (await ask(caller)).json == {"totals": []}


@pytest.mark.parametrize("name", ["Since", "Until"])
async def test_an_invalid_instant_is_refused(caller: Caller, name: str) -> None:
    answer = await ask(caller, **{name: "yesterday"})
    why = "it must be a date and time like 2026-11-24T10:00:00Z"
    assert (answer.status, answer.json) == (400, error(400, 83600, f"{name}='yesterday': {why}"))


async def test_an_unknown_parameter_is_named(caller: Caller) -> None:
    answer = await ask(caller, **DAY, Source="kore")
    assert "Source" in answer.headers["ringback-warning"]


# ---- stored URLs ---------------------------------------------------------------------------------

STORED = "/portal/v1/stored_urls"
SECRET = CallbackTarget(CallbackUrl.parse("https://user:pass@a.example/sms#cbs=kore"))


def fleet(number: int, account_sid: str = ACCOUNT_SID) -> Fleet:
    made = a_fleet(sid=f"HF{number:032x}", account_sid=account_sid, unique_name=None)
    return replace(made, sms_commands=SECRET)


async def stored(caller: Caller) -> list[list[dict[str, Any]]]:
    """Return the URLs on all pages, page by page."""
    pages, token = list[list[dict[str, Any]]](), ""
    while token is not None:
        answer = await caller.get(f"{STORED}?{urlencode({'PageToken': token})}")
        assert answer.status == 200
        pages.append(answer.json["stored_urls"])
        token = answer.json["next_page_token"]
    return pages


async def test_the_urls_of_fleets_and_sims_are_listed_without_credentials(
    caller: Caller, store: Store
) -> None:
    ours = replace(fleet(1), ip_commands=SECRET)
    for one in (ours, fleet(2, THEIRS)):
        await store.transact(lambda tx, one=one: tx.supersim.fleets.add(one))
    of_fleets, of_sims = await stored(caller)
    assert of_fleets == [
        {
            "account_sid": ACCOUNT_SID,
            "url": "https://a.example/sms#cbs=kore",
            "source_asked": "kore",
            "places": 2,
            "date_updated": "2024-07-03T14:40:58Z",
        }
    ]
    assert of_sims == []


async def test_many_fleets_and_sims_are_listed_page_by_page_for_the_operator(
    app: ASGIApp, store: Store, caller: Caller
) -> None:
    def add(tx: Transaction) -> None:
        tx.accounts.keys.add(an_api_key("SK" + "0" * 32, None, "operator's"))
        for number in range(PAGE_SIZE + 1):
            tx.supersim.fleets.add(fleet(number, (ACCOUNT_SID, THEIRS)[number % 2]))

    await store.transact(add)
    pages = await stored(Caller(app, credentials=("SK" + "0" * 32, "operator's")))
    assert [sum(one["places"] for one in page) for page in pages] == [PAGE_SIZE, 1, 0]
    (own,), _ = await stored(caller)
    assert own["places"] == PAGE_SIZE // 2 + 1


@pytest.mark.parametrize("token", ["AC1", "HF" + "9" * 32])
async def test_a_page_token_of_stored_urls_that_is_none_is_refused(
    caller: Caller, token: str
) -> None:
    answer = await caller.get(f"{STORED}?PageToken={token}")
    assert (answer.status, token in answer.json["message"]) == (400, True)
