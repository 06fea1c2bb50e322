"""The context of operations: new SIDs and callbacks, scheduled steps, and scenarios."""

import re
from datetime import datetime, timedelta

import pytest

from ringback.core.callback_urls.callback_target import NO_TARGET, CallbackTarget
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.scheduled_task import CarrierRequest, ScheduledTask
from ringback.core.sids import SidKind
from ringback.core.sims.scenario import NORMAL, SCENARIOS, TaskKind
from ringback.core.sims.sim_updated import SimUpdated
from ringback.core.sims.simulated_network import SimulationSettings
from ringback.core.supersim.sim import SuperSim
from tests.callback_queues import RecordingQueue
from tests.fakes import ACCOUNT_SID, NOW, SIM_SID, TAKES, a_context, a_sim
from tests.memory_store import MemoryTransaction
from tests.unit.core.builders import an_esim_profile, an_sms
from tests.wireless_fakes import a_wireless_sim

FOR_SIM, BY_NAME, SET_FOR_SIM, FOR_ACCOUNT, SET_FOR_ACCOUNT, SET_FOR_ALL = (
    SCENARIOS[name]
    for name in ("slow", "unattached", "ip-fails", "sms-fails", "no-stock", "update-fails")
)


def test_a_sid_has_its_kind_and_begins_with_the_time() -> None:
    earlier, later = a_context(), a_context(now=NOW + timedelta(milliseconds=1))
    assert re.fullmatch("HF[0-9a-f]{32}", earlier.sid(SidKind.FLEET))
    assert earlier.sid(SidKind.SIM)[:14] < later.sid(SidKind.SIM)[:14]


def test_a_new_record_has_its_account_and_the_time() -> None:
    context = a_context()
    fields = context.record_fields(SidKind.RATE_PLAN, ACCOUNT_SID)
    assert re.fullmatch("WP[0-9a-f]{32}", fields["sid"])
    assert fields == {
        "sid": fields["sid"],
        "account_sid": ACCOUNT_SID,
        "date_created": NOW,
        "date_updated": NOW,
    }
    assert context.record_fields(SidKind.RATE_PLAN, ACCOUNT_SID)["sid"] != fields["sid"]


def test_an_event_is_sent_to_a_url_once() -> None:
    tx, queue = MemoryTransaction(), RecordingQueue()
    url = CallbackUrl.parse("https://example.com/told")
    a_context(queue=queue).emit(tx, SimUpdated.of(a_sim()), CallbackTarget(url, HttpMethod.GET))
    (callback,) = tx.callbacks.callbacks.values()
    assert (callback.url, callback.method, callback.progress.due) == (url, HttpMethod.GET, NOW)
    for ending in tx.endings:
        ending.durable()
    assert queue.taken == [callback.sid]


def test_without_a_url_nothing_is_sent() -> None:
    tx = MemoryTransaction()
    a_context().emit(tx, SimUpdated.of(a_sim()), NO_TARGET)
    assert tx.callbacks.callbacks == {}


@pytest.mark.parametrize(("name", "times"), [("normal", 1), ("slow", 20)])
def test_a_step_takes_the_time_of_its_scenario(name: str, times: int) -> None:
    tx = MemoryTransaction()
    a_context().begin_step(tx, TaskKind.SEND_SMS, an_sms(), a_sim(unique_name=f"meter+{name}"))
    assert tx.tasks.claim(datetime.max.replace(tzinfo=NOW.tzinfo), limit=9) == [
        ScheduledTask(TaskKind.SEND_SMS, an_sms().sid, ACCOUNT_SID, NOW + times * TAKES)
    ]


def test_a_step_without_a_sim_takes_the_time_of_its_accounts_scenario() -> None:
    tx = MemoryTransaction()
    tx.scenarios.put(ACCOUNT_SID, "slow")
    a_context().begin_step(tx, TaskKind.RESERVE_PROFILE, an_esim_profile(), None)
    assert tx.tasks.due_of(an_esim_profile().sid, TaskKind.RESERVE_PROFILE) == NOW + 20 * TAKES


@pytest.mark.parametrize("sim", [None, a_sim(unique_name="meter+slow")])
def test_the_network_uses_the_scenario_of_the_sim_or_else_of_the_account(
    sim: SuperSim | None,
) -> None:
    tx, task = MemoryTransaction(), ScheduledTask(TaskKind.SEND_SMS, an_sms().sid, ACCOUNT_SID, NOW)
    tx.scenarios.put(ACCOUNT_SID, "sms-fails")
    carrier_request = a_context().carrier_request(tx, task, an_sms(), sim)
    scenario = SCENARIOS["sms-fails" if sim is None else "slow"]
    assert carrier_request == CarrierRequest(TaskKind.SEND_SMS, scenario, an_sms(), sim)


@pytest.mark.parametrize(
    ("name", "step", "wait"),
    [
        ("operator-busy", TaskKind.TAKE_ON_CHANGE, timedelta(hours=1)),
        ("operator-busy", TaskKind.CHANGE_SIM, timedelta(0)),
        ("asleep", TaskKind.SEND_COMMAND, timedelta(days=1)),
    ],
)
def test_a_step_waits_for_the_network_according_to_its_scenario(
    name: str, step: TaskKind, wait: timedelta
) -> None:
    tx = MemoryTransaction()
    a_context().begin_step(tx, step, a_sim(), a_sim(unique_name=f"meter+{name}"))
    assert tx.tasks.due_of(SIM_SID, step) == NOW + TAKES + wait


def test_a_postponed_step_comes_due_once_at_its_last_instant() -> None:
    tx, context = MemoryTransaction(), a_context()
    for until in (NOW + 2 * TAKES, NOW + TAKES):
        context.put_off(tx, TaskKind.ACTIVATE_SIM, a_sim(), until)
    assert tx.tasks.claim(NOW + 9 * TAKES, limit=9) == [
        ScheduledTask(TaskKind.ACTIVATE_SIM, SIM_SID, ACCOUNT_SID, NOW + TAKES)
    ]


def test_the_most_specific_scenario_of_a_sim_applies() -> None:
    tx = MemoryTransaction()
    named, unnamed = a_sim(unique_name=f"meter+{BY_NAME.name}"), a_sim(unique_name="meter")
    settings = {SIM_SID: SET_FOR_SIM, ACCOUNT_SID: SET_FOR_ACCOUNT, "*": SET_FOR_ALL}
    context = a_context(simulation=SimulationSettings(TAKES, scenarios=settings))
    tx.scenarios.put(SIM_SID, FOR_SIM.name)
    tx.scenarios.put(ACCOUNT_SID, FOR_ACCOUNT.name)
    assert context.in_force(tx, ACCOUNT_SID, named).scenario == FOR_SIM
    tx.scenarios.put(SIM_SID, None)
    assert context.in_force(tx, ACCOUNT_SID, named).scenario == BY_NAME
    assert context.in_force(tx, ACCOUNT_SID, unnamed).scenario == SET_FOR_SIM
    del settings[SIM_SID]
    assert context.in_force(tx, ACCOUNT_SID, unnamed).scenario == FOR_ACCOUNT
    tx.scenarios.put(ACCOUNT_SID, None)
    assert context.in_force(tx, ACCOUNT_SID, unnamed).scenario == SET_FOR_ACCOUNT
    del settings[ACCOUNT_SID]
    assert context.in_force(tx, ACCOUNT_SID, unnamed).scenario == SET_FOR_ALL
    del settings["*"]
    assert context.in_force(tx, ACCOUNT_SID, unnamed).scenario == NORMAL


def test_a_sim_of_either_product_has_the_scenario_in_its_name() -> None:
    sim = a_wireless_sim(unique_name="meter+operator-busy")
    assert (
        a_context().in_force(MemoryTransaction(), ACCOUNT_SID, sim).scenario
        == SCENARIOS["operator-busy"]
    )


def test_the_chosen_scenario_of_an_account_takes_precedence() -> None:
    tx = MemoryTransaction()
    context = a_context(
        simulation=SimulationSettings(TAKES, scenarios={ACCOUNT_SID: SET_FOR_ACCOUNT})
    )
    assert context.in_force(tx, ACCOUNT_SID).scenario == SET_FOR_ACCOUNT
    tx.scenarios.put(ACCOUNT_SID, FOR_ACCOUNT.name)
    assert context.in_force(tx, ACCOUNT_SID).scenario == FOR_ACCOUNT


def test_a_choice_that_only_an_older_version_knew_is_ignored() -> None:
    tx = MemoryTransaction()
    tx.scenarios.put(SIM_SID, "forgotten")
    tx.scenarios.put(ACCOUNT_SID, "forgotten")
    assert a_context().in_force(tx, ACCOUNT_SID, a_sim()).scenario == NORMAL
