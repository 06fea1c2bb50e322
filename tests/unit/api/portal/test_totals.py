"""Totals in the portal: the results of a period's callbacks."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.types import ASGIApp

from ringback.core.callbacks.callback import CallbackStatus
from ringback.ports import Store
from tests.fakes import ACCOUNT_SID, NOW, FakeClock, a_callback, an_api_key
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
