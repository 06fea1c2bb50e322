"""How long what is kept, in the portal: who sees and sets it, and what a change would delete."""

from datetime import timedelta
from typing import Any

import pytest
from starlette.types import ASGIApp

from ringback.core.callbacks.callback import CallbackStatus
from ringback.core.retention import TimeSubject
from ringback.ports import Store
from tests.fakes import ACCOUNT_SID, NOW, a_callback, an_api_key
from tests.unit.api.caller import Answer, Caller
from tests.unit.api.world import THEIRS

PATH = "/portal/v1/retention"
DAY = timedelta(days=1)
NO_TIME = {"time": "forever", "origin": "no time is set"}


@pytest.fixture
async def operator(app: ASGIApp, store: Store) -> Caller:
    key = an_api_key("SK" + "0" * 32, None, "operator's")
    await store.transact(lambda tx: tx.accounts.keys.add(key))
    return Caller(app, credentials=(key.sid, "operator's"))


def times_of(answer: Answer | Any) -> dict[str, str]:
    record = answer.json if isinstance(answer, Answer) else answer
    return {one["name"]: f"{one['time']} ({one['origin']})" for one in record["times"]}


async def test_without_times_everything_is_kept(operator: Caller) -> None:
    answer = await operator.get(PATH)
    times = [
        {"name": name, **NO_TIME} for name in ("answers", "attempts", "delivered", "undelivered")
    ]
    assert answer.status == 200
    assert answer.json == {"account_sid": None, "times": times, "accounts": []}


async def test_the_operator_sets_times_of_the_server_and_of_an_account(
    operator: Caller, caller: Caller
) -> None:
    first = {"Attempts": "30d", "Confirm": "yes"}
    assert times_of(await operator.post(PATH, first))["attempts"] == "30d (set for the server)"
    answer = await operator.post(PATH, {"AccountSid": ACCOUNT_SID, "Attempts": "forever"})
    assert answer.json["account_sid"] == ACCOUNT_SID
    assert times_of(answer)["attempts"] == "forever (set for the account)"
    assert times_of(await caller.get(PATH)) == times_of(answer)
    assert times_of(await operator.get(f"{PATH}?AccountSid={ACCOUNT_SID}")) == times_of(answer)
    of_all = (await operator.get(PATH)).json
    assert times_of(of_all)["attempts"] == "30d (set for the server)"
    (other,) = of_all["accounts"]
    assert (other["account_sid"], times_of(other)) == (ACCOUNT_SID, times_of(answer))


async def test_a_time_is_unset(operator: Caller) -> None:
    await operator.post(PATH, {"Attempts": "30d", "Answers": "1h", "Confirm": "yes"})
    answer = await operator.post(PATH, {"Attempts": "unset"})
    assert times_of(answer)["attempts"] == "forever (no time is set)"
    assert times_of(answer)["answers"] == "1h (set for the server)"


async def test_an_account_sees_its_own_times_only(caller: Caller, store: Store) -> None:
    times = {TimeSubject(THEIRS, "answers"): DAY}
    await store.transact(lambda tx: tx.retention.set_times(times, NOW))
    for query in ("", f"?AccountSid={ACCOUNT_SID}"):
        answer = await caller.get(f"{PATH}{query}")
        assert (answer.json["account_sid"], answer.json["accounts"]) == (ACCOUNT_SID, [])
        assert times_of(answer)["answers"] == "forever (no time is set)"
    for sid in (THEIRS, "AC" + "9" * 32, ""):
        answer = await caller.get(f"{PATH}?AccountSid={sid}")
        assert answer.status == 400
        assert "an account can see only its own times" in answer.json["message"]


async def test_the_operator_is_told_that_there_is_no_such_account(operator: Caller) -> None:
    for sid in ("AC" + "9" * 32, ""):
        answer = await operator.get(f"{PATH}?AccountSid={sid}")
        assert answer.status == 400
        assert f"there is no account {sid!r}" in answer.json["message"]


async def test_an_account_may_not_set_times(caller: Caller, store: Store) -> None:
    answer = await caller.post(PATH, {"Answers": "30d", "Confirm": "yes"})
    assert answer.status == 403
    assert await store.read(lambda tx: tx.retention.times()) == {}


async def test_what_would_go_is_counted_before(operator: Caller, store: Store) -> None:
    made = [
        a_callback(now=NOW - 50 * DAY, updated=NOW - age * DAY, status=status)._replace(
            sid=f"CB{number:032x}", idempotency_token=str(number)
        )
        for number, (age, status) in enumerate(
            [
                (31, CallbackStatus.DELIVERED),
                (9, CallbackStatus.FAILED),
                (40, CallbackStatus.FAILED),
                (45, CallbackStatus.SCHEDULED),
            ]
        )
    ]
    await store.transact(lambda tx: [tx.callbacks.add(one) for one in made])
    form = {"Delivered": "30d", "Undelivered": "30d"}
    answer = await operator.post(PATH, form)
    assert answer.status == 409
    assert (
        "2 callbacks would lose their attempts or go as a whole at once" in answer.json["message"]
    )
    assert await store.read(lambda tx: tx.retention.times()) == {}
    answer = await operator.post(PATH, {**form, "AccountSid": THEIRS})
    assert "0 callbacks would" in answer.json["message"]
    assert (await operator.post(PATH, {**form, "Confirm": "yes"})).status == 200
    # A longer time deletes nothing.
    assert (await operator.post(PATH, {"Delivered": "31d"})).status == 200


@pytest.mark.parametrize(
    ("form", "status", "message"),
    [
        ({}, 400, "no time was given; give at least one of Answers, Attempts"),
        ({"Delivered": "7d"}, 400, "Delivered: '7d' is too short; the minimum is 8d"),
        ({"Answers": "long"}, 400, "Answers: 'long' is not a valid duration"),
        ({"Answers": "1h", "Confirm": "maybe"}, 400, "Confirm"),
        ({"Answers": "1h", "AccountSid": "AC" + "9" * 32}, 400, "there is no account"),
    ],
)
async def test_what_cannot_be_set_is_refused(
    operator: Caller, store: Store, form: dict[str, str], status: int, message: str
) -> None:
    answer = await operator.post(PATH, form)
    assert answer.status == status
    assert message in answer.json["message"]
    assert await store.read(lambda tx: tx.retention.times()) == {}
