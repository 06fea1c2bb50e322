"""Choosing how the simulated network behaves, in a store in memory."""

import pytest

from ringback.core.errors import InvalidParameter
from ringback.core.sims.scenario import NORMAL, SCENARIOS
from ringback.operations.scenario_selection import choose_scenario, explain_scenario
from tests.fakes import ACCOUNT_SID, SIM_SID, a_context, a_sim
from tests.unit.operations.supersim.bench import World
from tests.wireless_fakes import WIRELESS_NAME, WIRELESS_SIM_SID, a_wireless_sim

SLOW, FAILS = SCENARIOS["slow"], SCENARIOS["update-fails"]


@pytest.fixture
def world() -> World:
    return World(a_sim())


def in_force(world: World, sim: str | None) -> str:
    explained = explain_scenario(world.tx, ACCOUNT_SID, sim=sim, context=world.context())
    return explained.in_force.scenario.name


@pytest.mark.parametrize("sim", [SIM_SID, "my_super_sim"])
def test_a_scenario_is_chosen_for_a_sim(world: World, sim: str) -> None:
    assert (
        choose_scenario(world.tx, ACCOUNT_SID, sim=sim, scenario=SLOW, context=a_context())
        == SIM_SID
    )
    assert (in_force(world, sim), in_force(world, None)) == ("slow", "normal")


@pytest.mark.parametrize("sim", [WIRELESS_SIM_SID, WIRELESS_NAME])
def test_a_scenario_is_chosen_for_a_sim_of_the_other_product_too(world: World, sim: str) -> None:
    world.tx.wireless.sims.add(a_wireless_sim())
    assert (
        choose_scenario(world.tx, ACCOUNT_SID, sim=sim, scenario=SLOW, context=a_context())
        == WIRELESS_SIM_SID
    )
    assert (in_force(world, sim), in_force(world, SIM_SID)) == ("slow", "normal")


def test_a_scenario_chosen_for_an_account_applies_to_all_its_sims(world: World) -> None:
    assert (
        choose_scenario(world.tx, ACCOUNT_SID, sim=None, scenario=SLOW, context=a_context())
        == ACCOUNT_SID
    )
    assert (in_force(world, SIM_SID), in_force(world, None)) == ("slow", "slow")


def test_a_choice_can_be_removed(world: World) -> None:
    choose_scenario(world.tx, ACCOUNT_SID, sim=None, scenario=SLOW, context=a_context())
    choose_scenario(world.tx, ACCOUNT_SID, sim=SIM_SID, scenario=FAILS, context=a_context())
    choose_scenario(world.tx, ACCOUNT_SID, sim=SIM_SID, scenario=None, context=a_context())
    assert in_force(world, SIM_SID) == "slow"


def test_a_sim_can_be_normal_if_its_account_is_not(world: World) -> None:
    choose_scenario(world.tx, ACCOUNT_SID, sim=None, scenario=FAILS, context=a_context())
    choose_scenario(world.tx, ACCOUNT_SID, sim=SIM_SID, scenario=NORMAL, context=a_context())
    assert in_force(world, SIM_SID) == "normal"


def test_nothing_can_be_chosen_for_an_unknown_sim(world: World) -> None:
    for ask in (
        lambda: choose_scenario(
            world.tx, ACCOUNT_SID, sim="nobody", scenario=SLOW, context=a_context()
        ),
        lambda: in_force(world, "nobody"),
    ):
        with pytest.raises(InvalidParameter) as refused:
            ask()
        assert refused.value.code == 83005
    assert world.tx.scenarios.names == {}
