"""The pause in the portal: only an operator sees and changes it."""

from datetime import timedelta

import pytest
from starlette.types import ASGIApp

from ringback.api.portal.pause import PauseEndpoints
from ringback.core.scheduled_task import ScheduledTask
from ringback.core.sims.scenario import TaskKind
from ringback.engine.pause_control import PauseControl
from ringback.ports import Store, Transaction
from ringback.runtime.sending_gate import SendingGate
from tests.fakes import ACCOUNT_SID, NOW, SIM_SID, FakeClock, a_callback, an_api_key
from tests.unit.api.caller import Caller
from tests.unit.api.world import app_on

PAUSE, RESUME = "/portal/v1/pause", "/portal/v1/resume"
OPERATORS = an_api_key("SK" + "0" * 32, None, "operator's")
HOUR = timedelta(hours=1)
IDLE = {
    "is_paused": False,
    "paused_since": None,
    "reason": None,
    "callbacks_waiting": 0,
    "callbacks_due": 0,
    "oldest_due": None,
    "tasks_due": 0,
}


@pytest.fixture
def gate() -> SendingGate:
    return SendingGate()


@pytest.fixture
async def app(store: Store, gate: SendingGate) -> ASGIApp:
    await store.transact(lambda tx: tx.accounts.keys.add(OPERATORS))
    clock = FakeClock()
    control = PauseControl(store, gate, clock=clock)
    return app_on(store, clock=clock, portal=lambda on: PauseEndpoints(on, control).operations())


@pytest.fixture
def operator(app: ASGIApp) -> Caller:
    return Caller(app, credentials=(OPERATORS.sid, "operator's"))


async def test_the_operator_pauses_and_resumes(operator: Caller, gate: SendingGate) -> None:
    assert (await operator.get(PAUSE)).json == IDLE
    answer = await operator.post(PAUSE, {"Reason": "maintenance"})
    assert answer.status == 200
    paused = {"is_paused": True, "paused_since": "2024-07-03T14:40:58Z", "reason": "maintenance"}
    assert answer.json == IDLE | paused
    assert not gate.is_open
    assert (await operator.get(PAUSE)).json == answer.json
    again = await operator.post(PAUSE, {})  # the first reason stays
    assert again.json == answer.json
    assert (await operator.post(RESUME, {})).json == IDLE
    assert gate.is_open


async def test_without_a_reason_it_says_who_has_paused_it(operator: Caller) -> None:
    assert (await operator.post(PAUSE, {})).json["reason"] == "an operator has paused it"


async def test_it_shows_what_would_be_sent(operator: Caller, store: Store) -> None:
    def work(tx: Transaction) -> None:
        for number, due in enumerate((-2, -1, 1)):
            callback = a_callback(sid=f"CB{number:032x}", now=NOW - 3 * HOUR)
            due_at = callback.progress._replace(due=NOW + due * HOUR)
            tx.callbacks.add(callback.having(due_at))
        for step, due in ((TaskKind.UPDATE_SIM, NOW), (TaskKind.METER_SIM, NOW + HOUR)):
            tx.tasks.put(ScheduledTask(step, SIM_SID, ACCOUNT_SID, due))

    await store.transact(work)
    told = (await operator.get(PAUSE)).json
    assert told == IDLE | {
        "callbacks_waiting": 3,
        "callbacks_due": 2,
        "oldest_due": "2024-07-03T12:40:58Z",
        "tasks_due": 1,
    }


async def test_an_account_may_neither_see_nor_change_it(caller: Caller, gate: SendingGate) -> None:
    answers = [await caller.get(PAUSE), await caller.post(PAUSE, {}), await caller.post(RESUME, {})]
    assert [answer.status for answer in answers] == [403] * 3
    assert "only an operator's key" in answers[0].json["message"]
    assert gate.is_open


@pytest.mark.parametrize("reason", ["x" * 201, "two\nlines"])
async def test_a_reason_that_can_not_be_shown_is_refused(
    operator: Caller, gate: SendingGate, reason: str
) -> None:
    answer = await operator.post(PAUSE, {"Reason": reason})
    assert answer.status == 400
    assert "Reason must be at most 200 printable characters" in answer.json["message"]
    assert gate.is_open
