"""Scenarios of the simulated network in the portal: choosing one, and the reason for it."""

from typing import Any

import pytest

from ringback.core.sims.scenario import SCENARIOS
from ringback.core.sims.simulated_network import SimulationSettings
from ringback.ports import Store
from tests.fakes import SIM_SID, TAKES, UNIQUE_NAME, a_context, a_sim
from tests.unit.api.caller import Caller
from tests.unit.api.world import THEIR_SIM, THEIR_WIRELESS_SIM, CountingNotifier, refusal
from tests.wireless_fakes import WIRELESS_NAME, WIRELESS_SIM_SID, a_wireless_sim

PATH = "/portal/v1/scenarios"


async def in_force(caller: Caller, query: str = "") -> tuple[str, str, str | None, str | None]:
    answer = await caller.get(PATH + query)
    assert answer.status == 200
    return shown(answer.json)


def shown(body: dict[str, Any]) -> tuple[str, str, str | None, str | None]:
    assert body["meaning"] == SCENARIOS[body["scenario"]].meaning
    return body["scenario"], body["reason"], body["chosen"], body["sim_sid"]


async def test_all_names_are_shown_with_their_meanings(caller: Caller) -> None:
    known = (await caller.get(PATH)).json["scenarios"]
    assert {one["name"]: one["meaning"] for one in known} == {
        name: scenario.meaning for name, scenario in SCENARIOS.items()
    }


async def test_without_a_choice_the_settings_decide(caller: Caller) -> None:
    assert await in_force(caller) == ("normal", "set for all", None, None)
    assert await in_force(caller, f"?Sim={SIM_SID}") == ("normal", "set for all", None, SIM_SID)


async def test_a_scenario_chosen_for_the_account_applies_to_its_sims(
    caller: Caller, task_runner: CountingNotifier
) -> None:
    answer = await caller.post(PATH, {"Scenario": "slow"})
    assert answer.status == 200
    assert shown(answer.json) == ("slow", "chosen for the account", "slow", None)
    assert await in_force(caller) == ("slow", "chosen for the account", "slow", None)
    expected = ("slow", "chosen for the account", None, SIM_SID)
    assert await in_force(caller, f"?Sim={UNIQUE_NAME}") == expected
    assert task_runner.times == 1


@pytest.mark.parametrize(
    ("sim", "sid"),
    [
        (SIM_SID, SIM_SID),
        (UNIQUE_NAME, SIM_SID),
        (WIRELESS_SIM_SID, WIRELESS_SIM_SID),
        (WIRELESS_NAME, WIRELESS_SIM_SID),
    ],
)
async def test_a_scenario_chosen_for_a_sim_takes_precedence_and_can_be_removed(
    caller: Caller, sim: str, sid: str
) -> None:
    await caller.post(PATH, {"Scenario": "slow"})
    chosen = await caller.post(PATH, {"Scenario": "unattached", "Sim": sim})
    assert shown(chosen.json) == ("unattached", "chosen for this SIM", "unattached", sid)
    assert await in_force(caller) == ("slow", "chosen for the account", "slow", None)
    taken_back = await caller.post(PATH, {"Scenario": "", "Sim": sim})
    assert shown(taken_back.json) == ("slow", "chosen for the account", None, sid)
    taken_back = await caller.post(PATH, {"Scenario": ""})
    assert shown(taken_back.json) == ("normal", "set for all", None, None)


async def test_a_scenario_chosen_for_a_sim_does_not_apply_to_another_product(
    caller: Caller,
) -> None:
    await caller.post(PATH, {"Scenario": "unattached", "Sim": WIRELESS_SIM_SID})
    expected = ("unattached", "chosen for this SIM", "unattached", WIRELESS_SIM_SID)
    assert await in_force(caller, f"?Sim={WIRELESS_NAME}") == expected
    assert await in_force(caller, f"?Sim={SIM_SID}") == ("normal", "set for all", None, SIM_SID)


async def test_a_sims_name_that_chooses_a_scenario_is_the_reason(
    caller: Caller, store: Store
) -> None:
    named = a_sim(unique_name="meter+ip-fails")
    await store.transact(lambda tx: tx.supersim.sims.save(named))
    expected = ("ip-fails", "the SIM's unique name ends with +ip-fails", None, SIM_SID)
    assert await in_force(caller, f"?Sim={SIM_SID}") == expected


async def test_a_wireless_sims_name_may_choose_one_too(caller: Caller, store: Store) -> None:
    named = a_wireless_sim(unique_name="meter+asleep")
    await store.transact(lambda tx: tx.wireless.sims.save(named))
    expected = ("asleep", "the SIM's unique name ends with +asleep", None, WIRELESS_SIM_SID)
    assert await in_force(caller, "?Sim=meter%2Basleep") == expected


async def test_a_name_of_a_sim_in_each_product_is_ambiguous(caller: Caller, store: Store) -> None:
    same = a_wireless_sim(unique_name=UNIQUE_NAME)
    await store.transact(lambda tx: tx.wireless.sims.save(same))
    for answer in (
        await caller.get(f"{PATH}?Sim={UNIQUE_NAME}"),
        await caller.post(PATH, {"Scenario": "slow", "Sim": UNIQUE_NAME}),
    ):
        assert refusal(answer) == (400, 83600)
        assert f"of {SIM_SID} and of {WIRELESS_SIM_SID}" in answer.json["message"]
    assert await in_force(caller, f"?Sim={SIM_SID}") == ("normal", "set for all", None, SIM_SID)


async def test_a_scenario_in_the_settings_is_the_reason(store: Store) -> None:
    slow, ip_fails = SCENARIOS["slow"], SCENARIOS["ip-fails"]
    sim = a_sim()
    scenarios = {SIM_SID: ip_fails, sim.account_sid: slow}
    context = a_context(simulation=SimulationSettings(TAKES, scenarios=scenarios))
    of_sim, of_account = await store.transact(
        lambda tx: (
            context.in_force(tx, sim.account_sid, sim),
            context.in_force(tx, sim.account_sid),
        )
    )
    assert of_sim == (ip_fails, "set for this SIM")
    assert of_account == (slow, "set for the account")


@pytest.mark.parametrize(
    ("form", "code", "word"),
    [
        ({}, 20002, "Scenario is required"),
        (
            {"Scenario": "sloow"},
            83600,
            "no scenario 'sloow'; did you mean slow? The scenarios are normal, ",
        ),
        ({"Scenario": "slow", "Sim": "nobody"}, 83005, "'nobody'"),
        ({"Scenario": "slow", "Sim": THEIR_SIM}, 83005, THEIR_SIM),
        ({"Scenario": "slow", "Sim": THEIR_WIRELESS_SIM}, 83005, THEIR_WIRELESS_SIM),
    ],
)
async def test_an_invalid_choice_is_refused(
    caller: Caller, form: dict[str, str], code: int, word: str
) -> None:
    answer = await caller.post(PATH, form)
    assert refusal(answer) == (400, code)
    assert word in answer.json["message"]
    assert await in_force(caller) == ("normal", "set for all", None, None)


@pytest.mark.parametrize("sim", [THEIR_SIM, THEIR_WIRELESS_SIM, "nobody", ""])
async def test_an_unknown_sim_has_no_scenario(caller: Caller, sim: str) -> None:
    assert refusal(await caller.get(f"{PATH}?Sim={sim}")) == (400, 83005)


async def test_an_unknown_parameter_is_named(caller: Caller) -> None:
    answer = await caller.post(PATH, {"Scenario": "slow", "Sims": "x"})
    assert answer.status == 200
    assert "Sims" in answer.headers["ringback-warning"]
