"""Every kind of task has a handler, which works at the present instant."""

from ringback.core.scheduled_task import CarrierRequest, ScheduledTask
from ringback.core.sims.scenario import CARRIED_OUT, TaskKind
from ringback.core.supersim.sim import SimStatus
from ringback.operations.task_handlers import TASK_HANDLERS
from tests.fakes import ACCOUNT_SID, NOW, SIM_SID, TAKES
from tests.unit.operations.supersim.bench import World


def test_every_step_has_a_handler() -> None:
    assert set(TASK_HANDLERS) == set(TaskKind)


def test_a_carrier_request_has_its_step_its_subject_and_its_scenario() -> None:
    world = World()
    world.update(SimStatus.ACTIVE)
    request = world.begin_task(ScheduledTask(TaskKind.UPDATE_SIM, SIM_SID, ACCOUNT_SID, NOW))
    assert isinstance(request, CarrierRequest)
    update = world.tx.supersim.sim_updates.get(SIM_SID)
    assert (request.step, request.subject) == (TaskKind.UPDATE_SIM, update)
    assert (request.sim, request.scenario.name) == (world.sim, "normal")


def test_a_step_ends_at_the_present_instant_and_not_when_it_was_due() -> None:
    world = World()
    world.update(SimStatus.ACTIVE)
    world.now += 2 * TAKES
    world.end_task(
        ScheduledTask(TaskKind.UPDATE_SIM, SIM_SID, ACCOUNT_SID, NOW + TAKES), CARRIED_OUT
    )
    assert world.sim.date_updated == NOW + 2 * TAKES
