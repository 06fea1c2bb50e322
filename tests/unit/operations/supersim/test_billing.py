"""Billing Periods, in a store in memory."""

import copy
import re
from datetime import UTC, datetime
from typing import Final

import pytest

from ringback.core.calendar import months_after
from ringback.core.sims.scenario import CarrierFailure, TaskKind
from ringback.core.supersim.sim import SimStatus
from ringback.core.supersim.usage import BillingPeriod, BillingPeriodType
from ringback.operations.supersim.billing import (
    begin_period,
    current_period,
    list_billing_periods,
    renew_period,
)
from ringback.ports import PageWindow
from tests.fakes import ACCOUNT_SID, NOW, SIM_SID, TAKES, a_sim
from tests.unit.operations.supersim.bench import World
from tests.unit.operations.worlds import DAY, INSTANT

READY, ACTIVE = BillingPeriodType
A_MONTH: Final = months_after(NOW) - NOW


def periods(world: World) -> list[BillingPeriod]:
    """Return the SIM's Billing Periods, the oldest first."""
    return list_billing_periods(world.tx, ACCOUNT_SID, SIM_SID, PageWindow(99))[::-1]


def spans(world: World) -> list[tuple[BillingPeriodType, datetime, datetime]]:
    return [(one.period_type, one.start_time, one.end_time) for one in periods(world)]


@pytest.mark.parametrize(("status", "kind"), [("ready", READY), ("active", ACTIVE)])
def test_a_connected_sim_is_billed_for_a_month(status: str, kind: BillingPeriodType) -> None:
    world = World(a_sim(status=SimStatus(status)))
    (period,) = periods(world)
    assert re.fullmatch("HB[0-9a-f]{32}", period.sid)
    end = datetime(2024, 8, 3, 14, 40, 58, tzinfo=UTC)
    assert period == BillingPeriod(
        period.sid, ACCOUNT_SID, SIM_SID, kind, NOW, end, date_created=NOW, date_updated=NOW
    )
    assert world.due(TaskKind.RENEW_PERIOD) == end


@pytest.mark.parametrize("status", [SimStatus.NEW, SimStatus.INACTIVE])
def test_a_sim_that_is_not_connected_is_not_billed(status: SimStatus) -> None:
    world = World(a_sim(status=status))
    assert periods(world) == []
    assert world.due(TaskKind.RENEW_PERIOD) is None


def test_billing_a_billed_sim_changes_nothing() -> None:
    world = World(a_sim())
    before = copy.deepcopy((world.tx.supersim.billing_periods, world.tx.tasks))
    world.now += DAY
    begin_period(world.tx, world.sim, world.context())
    assert (world.tx.supersim.billing_periods, world.tx.tasks) == before


def test_the_period_of_a_ready_sim_ends_when_it_becomes_active() -> None:
    world = World(a_sim(status=SimStatus.READY))
    world.advance(DAY)
    world.become(SimStatus.ACTIVE)
    changed = NOW + DAY + TAKES
    assert spans(world) == [(READY, NOW, changed), (ACTIVE, changed, months_after(changed))]
    assert periods(world)[0].date_updated == changed
    assert world.due(TaskKind.RENEW_PERIOD) == months_after(changed)


def test_an_inactive_sim_stays_billed_for_its_month_and_no_longer() -> None:
    world = World(a_sim())
    world.advance(DAY)
    world.become(SimStatus.INACTIVE)
    world.advance(3 * A_MONTH)
    assert spans(world) == [(ACTIVE, NOW, NOW + A_MONTH)]


def test_a_sim_that_is_active_again_within_its_month_is_not_billed_twice() -> None:
    world = World(a_sim())
    world.become(SimStatus.INACTIVE, SimStatus.ACTIVE)
    assert spans(world) == [(ACTIVE, NOW, NOW + A_MONTH)]


def test_a_sim_that_is_active_again_after_its_month_is_billed_from_then_on() -> None:
    world = World(a_sim())
    world.become(SimStatus.INACTIVE)
    world.advance(2 * A_MONTH)
    world.become(SimStatus.ACTIVE)
    again = world.now
    assert spans(world)[1:] == [(ACTIVE, again, months_after(again))]


def test_periods_follow_one_another_month_by_month() -> None:
    world = World(a_sim())
    world.advance(A_MONTH - INSTANT)
    assert len(periods(world)) == 1
    world.advance(INSTANT + 2 * A_MONTH - 2 * DAY)
    months = [datetime(2024, month, 3, 14, 40, 58, tzinfo=UTC) for month in (7, 8, 9, 10)]
    assert spans(world) == [(ACTIVE, *months[0:2]), (ACTIVE, *months[1:3]), (ACTIVE, *months[2:4])]


def test_overdue_renewals_are_made_one_by_one() -> None:
    world = World(a_sim())
    world.now = months_after(NOW, months=5) + DAY
    while (due := world.tx.tasks.next_due()) is not None and due <= world.now:
        world.step()
    found = spans(world)
    assert [start for _, start, _ in found] == [months_after(NOW, months=n) for n in range(6)]
    assert [end for *_, end in found] == [months_after(NOW, months=n + 1) for n in range(6)]


def test_a_period_that_ends_during_a_change_is_renewed() -> None:
    world = World(a_sim())
    world.results[TaskKind.UPDATE_SIM] = CarrierFailure(83004, "the SIM could not be updated")
    world.advance(A_MONTH - INSTANT)
    world.update(SimStatus.INACTIVE)
    world.advance(INSTANT)
    assert world.sim.status is SimStatus.SCHEDULED
    world.advance(A_MONTH)
    assert world.sim.status is SimStatus.ACTIVE
    assert [start for _, start, _ in spans(world)] == [
        NOW,
        months_after(NOW),
        months_after(NOW, months=2),
    ]


@pytest.mark.parametrize(
    ("now", "is_in_it"), [(NOW, True), (NOW + A_MONTH - INSTANT, True), (NOW + A_MONTH, False)]
)
def test_a_sim_is_in_a_period_up_to_its_end(now: datetime, is_in_it: bool) -> None:
    world = World(a_sim())
    assert (current_period(world.tx, world.sim, now) is not None) is is_in_it


def test_a_sim_that_is_not_connected_is_not_renewed() -> None:
    world = World(a_sim(status=SimStatus.INACTIVE))
    renew_period(world.tx, world.sim, world.context())
    assert periods(world) == []


def test_a_connected_sim_without_a_period_is_renewed_from_now_on() -> None:
    world = World()
    renew_period(world.tx, a_sim(), world.context())
    assert spans(world) == [(ACTIVE, NOW, NOW + A_MONTH)]
