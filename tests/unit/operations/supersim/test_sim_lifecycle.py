"""The life cycle of Super SIMs: changes that come due, in a store in memory."""

from datetime import UTC, datetime
from typing import Final

import pytest

from ringback.core.scheduled_task import ScheduledTask
from ringback.core.sims.scenario import CarrierFailure, CarrierTimeout, TaskKind
from ringback.core.supersim.sim import SimStatus
from ringback.core.supersim.usage import BillingPeriodType
from ringback.operations.supersim.billing import list_billing_periods
from ringback.operations.supersim.commands import NewSmsCommand, send_sms
from ringback.operations.supersim.device_actions import receive_sms, transfer_data
from ringback.operations.supersim.settings_updates import list_settings_updates
from ringback.operations.supersim.sims import SuperSimUpdateRequest, update_sim
from ringback.ports import PageWindow
from tests.fakes import ACCOUNT_SID, FLEET_SID, NOW, SIM_SID, TAKES, a_fleet, a_sim
from tests.unit.operations.supersim.bench import URL, World
from tests.unit.operations.worlds import DAY, INSTANT

NEW, READY, ACTIVE, INACTIVE, SCHEDULED = SimStatus
FAILURE: Final = CarrierFailure(83004, "the SIM could not be updated")
IN_3_MONTHS: Final = datetime(2024, 10, 3, 14, 40, 58, tzinfo=UTC)
OTHER_FLEET: Final = "HF" + "d" * 32


def ready_world(*, data_per_day: int = 0) -> World:
    return World(a_sim(status=READY, ready_since=NOW), data_per_day=data_per_day)


def use(world: World, count: int) -> None:
    transfer_data(world.tx, world.sim, upload=count, download=0, context=world.context())


# ---- changes -------------------------------------------------------------------------------------


def test_a_completed_change_has_all_its_consequences() -> None:
    world = World(data_per_day=1_000_000)
    world.update(READY, url=URL)
    assert world.sim.status is SCHEDULED
    world.advance(TAKES)
    done = NOW + TAKES
    assert world.sim == a_sim(status=READY, date_updated=done, ready_since=done)
    assert [told["SimStatus"] for told in world.reported()] == ["ready"]
    (period,) = list_billing_periods(world.tx, ACCOUNT_SID, SIM_SID, PageWindow(9))
    assert (period.period_type, period.start_time) == (BillingPeriodType.READY, done)
    (session,) = world.tx.supersim.sessions.of_sim(SIM_SID, since=done)
    assert session.date_created == done
    (settings,) = list_settings_updates(world.tx, ACCOUNT_SID, PageWindow(9))
    assert world.due(TaskKind.BEGIN_SETTINGS, settings.sid) == done + TAKES
    assert world.due(TaskKind.ACTIVATE_SIM) is not None
    assert world.tx.supersim.sim_updates.get(SIM_SID) is None


def test_a_failed_change_leaves_everything_unchanged_and_reports_why() -> None:
    world = World(data_per_day=1_000_000)
    world.results[TaskKind.UPDATE_SIM] = FAILURE
    world.update(ACTIVE, url=URL)
    world.advance(TAKES)
    assert world.sim == a_sim(status=NEW, date_updated=NOW + TAKES)
    (told,) = world.reported()
    assert (told["SimStatus"], told["ErrorCode"]) == ("new", "83004")
    assert world.tx.supersim.billing_periods.records == {}
    assert world.tx.supersim.sessions.sessions == {}
    assert world.tx.supersim.settings_updates.records == {}
    assert world.tx.tasks.tasks == {}


def test_a_change_without_an_answer_fails() -> None:
    world = World()
    world.results[TaskKind.UPDATE_SIM] = CarrierTimeout()
    world.update(ACTIVE, url=URL)
    world.advance(TAKES)
    assert (world.sim.status, world.reported()[0]["ErrorCode"]) == (NEW, "83004")


def test_usage_in_another_fleet_counts_from_its_start() -> None:
    world = World(a_sim(), data_per_day=1_000_000)
    world.tx.supersim.fleets.add(a_fleet(sid=OTHER_FLEET, unique_name="other_fleet"))
    asked = SuperSimUpdateRequest(fleet="other_fleet")
    update_sim(world.tx, ACCOUNT_SID, SIM_SID, asked, world.context())
    world.advance(DAY)
    fleets = [session.fleet_sid for session in world.tx.supersim.sessions.sessions.values()]
    assert (world.sim.status, fleets) == (ACTIVE, [FLEET_SID, OTHER_FLEET])


@pytest.mark.parametrize(
    "step", [TaskKind.UPDATE_SIM, TaskKind.ACTIVATE_SIM, TaskKind.RENEW_PERIOD]
)
def test_a_step_of_a_deleted_sim_does_nothing(step: TaskKind) -> None:
    world = World()
    task = ScheduledTask(step, "HS" + "0" * 32, ACCOUNT_SID, NOW)
    begun = world.begin_task(task)
    world.end_task(task, FAILURE)
    assert begun is None or step is not TaskKind.UPDATE_SIM
    assert list(world.tx.supersim.sims.records) == [SIM_SID]
    assert world.tx.tasks.tasks == {}


# ---- activation ----------------------------------------------------------------------------------


def test_a_ready_sim_becomes_active_after_three_months_without_a_callback() -> None:
    world = ready_world()
    world.advance(IN_3_MONTHS - NOW - INSTANT)
    assert world.sim.status is READY
    world.advance(INSTANT)
    assert world.sim == a_sim(status=ACTIVE, date_updated=IN_3_MONTHS)
    assert world.reported() == []
    (active, *ready) = list_billing_periods(world.tx, ACCOUNT_SID, SIM_SID, PageWindow(9))
    assert (active.period_type, active.start_time) == (BillingPeriodType.ACTIVE, IN_3_MONTHS)
    assert {period.period_type for period in ready} == {BillingPeriodType.READY}


def test_a_ready_sim_becomes_active_with_its_fifth_sms_sent_or_received() -> None:
    world = ready_world()
    for number in range(1, 5):
        if number % 2:
            receive_sms(world.tx, world.sim, "hello", world.context())
        else:
            send_sms(world.tx, ACCOUNT_SID, NewSmsCommand(SIM_SID, "hello"), world.context())
        world.advance(TAKES)
        assert (world.sim.status, world.sim.sms_while_ready) == (READY, number)
    receive_sms(world.tx, world.sim, "hello", world.context())
    assert world.due(TaskKind.ACTIVATE_SIM) == world.now
    world.step()
    assert (world.sim.status, world.sim.sms_while_ready) == (ACTIVE, 0)


def test_an_sms_that_fails_does_not_count() -> None:
    world = ready_world()
    world.results[TaskKind.SEND_SMS] = CarrierFailure(20500, "the SMS could not be sent")
    send_sms(world.tx, ACCOUNT_SID, NewSmsCommand(SIM_SID, "hello"), world.context())
    world.advance(TAKES)
    assert world.sim.sms_while_ready == 0


@pytest.mark.parametrize("is_later", [False, True])
def test_a_ready_sim_becomes_active_with_its_250_000th_byte(is_later: bool) -> None:
    world = ready_world()
    world.advance(DAY if is_later else INSTANT * 0)
    use(world, 249_999)
    world.step()
    assert world.sim.status is READY
    use(world, 1)
    world.step()
    assert world.sim.status is ACTIVE


def test_a_ready_sim_becomes_active_when_its_automatic_usage_has_grown() -> None:
    world = ready_world(data_per_day=1_000_000)
    due = world.due(TaskKind.ACTIVATE_SIM)
    assert due is not None
    assert DAY / 6 < due - NOW < DAY / 2
    sessions = world.tx.supersim.sessions.of_sim(SIM_SID, since=NOW)
    assert sum(sum(one.bytes_between(NOW, due)) for one in sessions) == 250_000
    world.advance(due - NOW - INSTANT)
    assert world.sim.status is READY
    world.advance(INSTANT)
    assert world.sim.status is ACTIVE


def test_usage_by_a_call_makes_the_time_come_earlier() -> None:
    world = ready_world(data_per_day=1_000_000)
    before = world.due(TaskKind.ACTIVATE_SIM)
    use(world, 125_000)
    due = world.due(TaskKind.ACTIVATE_SIM)
    assert before is not None
    assert due is not None
    half = (before - NOW) / 2
    assert abs(due - NOW - half) < DAY / 10_000


def test_an_inactive_sim_is_not_activated_automatically() -> None:
    world = ready_world()
    world.become(INACTIVE)
    assert world.due(TaskKind.ACTIVATE_SIM) is None
    world.advance(IN_3_MONTHS - NOW)
    assert world.sim.status is INACTIVE


def test_a_sim_due_for_activation_during_a_failing_change_becomes_active_then() -> None:
    world = ready_world()
    world.results[TaskKind.UPDATE_SIM] = FAILURE
    world.advance(IN_3_MONTHS - NOW - INSTANT)
    world.update(INACTIVE, url=URL)
    world.advance(INSTANT)
    assert world.sim.status is SCHEDULED
    world.advance(TAKES)
    assert world.sim.status is ACTIVE
    assert [told["SimStatus"] for told in world.reported()] == ["ready"]


def test_a_sim_due_for_activation_while_it_was_deactivated_is_inactive() -> None:
    world = ready_world()
    world.advance(IN_3_MONTHS - NOW - INSTANT)
    world.update(INACTIVE)
    world.advance(DAY)
    assert world.sim.status is INACTIVE


def test_an_active_sim_is_not_activated() -> None:
    world = World(a_sim())
    assert world.due(TaskKind.ACTIVATE_SIM) is None
    world.tx.tasks.put(ScheduledTask(TaskKind.ACTIVATE_SIM, SIM_SID, ACCOUNT_SID, NOW))
    world.step()
    assert world.sim == a_sim()
