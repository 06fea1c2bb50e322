"""All steps have somebody to take them, and what they do is done at the present instant."""

from ringback.core.errand import Errand
from ringback.core.scenario import CARRIED_OUT, Step
from ringback.core.supersim.sim import SimStatus
from ringback.core.task import Task
from ringback.operations.life import TURNS, Life
from tests.fakes import ACCOUNT_SID, NOW, SIM_SID, TAKES
from tests.unit.operations.supersim.bench import World


def test_every_step_has_its_turn() -> None:
    assert set(TURNS) == set(Step)


def test_an_errand_says_what_to_do_with_what_in_which_scenario() -> None:
    world = World()
    world.update(SimStatus.ACTIVE)
    errand = Life(world.moment).begin(world.tx, Task(Step.UPDATE_SIM, SIM_SID, ACCOUNT_SID, NOW))
    assert isinstance(errand, Errand)
    assert (errand.step, errand.subject) == (
        Step.UPDATE_SIM,
        world.tx.supersim.sim_updates.get(SIM_SID),
    )
    assert (errand.sim, errand.scenario.name) == (world.sim, "normal")


def test_a_step_ends_when_it_ends_and_not_when_it_was_due() -> None:
    world = World()
    world.update(SimStatus.ACTIVE)
    world.now += 2 * TAKES
    Life(world.moment).end(
        world.tx, Task(Step.UPDATE_SIM, SIM_SID, ACCOUNT_SID, NOW + TAKES), CARRIED_OUT
    )
    assert world.sim.date_updated == NOW + 2 * TAKES
