"""All steps have somebody to take them, and what they do is done at the present instant."""

from ringback.core.scenario import CARRIED_OUT, Step
from ringback.core.supersim.sim import SimStatus
from ringback.core.task import Errand, Task
from ringback.operations.task_handlers import TASK_HANDLERS
from tests.fakes import ACCOUNT_SID, NOW, SIM_SID, TAKES
from tests.unit.operations.supersim.bench import World


def test_every_step_has_its_turn() -> None:
    assert set(TASK_HANDLERS) == set(Step)


def test_an_errand_says_what_to_do_with_what_in_which_scenario() -> None:
    world = World()
    world.update(SimStatus.ACTIVE)
    errand = world.begin_task(Task(Step.UPDATE_SIM, SIM_SID, ACCOUNT_SID, NOW))
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
    world.end_task(Task(Step.UPDATE_SIM, SIM_SID, ACCOUNT_SID, NOW + TAKES), CARRIED_OUT)
    assert world.sim.date_updated == NOW + 2 * TAKES
