from datetime import timedelta

import pytest

from ringback.core.events import SimUpdated
from ringback.core.sim import Sim, SimStatus
from ringback.core.sim_update import CarriedOut, CarrierFailure, UpdateEnding, event_of, finish
from tests.fakes import ACCOUNT_SID, FLEET_SID, NOW, SIM_SID, UNIQUE_NAME, a_sim, an_update

LATER = NOW + timedelta(seconds=2)
OTHER_FLEET = "HF" + "f" * 32
SCHEDULED = a_sim(status=SimStatus.SCHEDULED)
FAILURE = CarrierFailure(83004, "the network refused")


def finished(ending: UpdateEnding) -> tuple[Sim, SimUpdated]:
    return finish(SCHEDULED, an_update(to_fleet_sid=OTHER_FLEET), ending, LATER)


def test_a_change_carried_out_gives_the_sim_its_status_and_fleet() -> None:
    sim, _ = finished(CarriedOut())
    assert sim == a_sim(status=SimStatus.INACTIVE, fleet_sid=OTHER_FLEET, date_updated=LATER)


def test_a_change_carried_out_is_told_by_its_new_status() -> None:
    _, event = finished(CarriedOut())
    assert event == SimUpdated(ACCOUNT_SID, SIM_SID, UNIQUE_NAME, SimStatus.INACTIVE)


def test_a_failed_change_leaves_the_sim_as_it_was() -> None:
    sim, _ = finished(FAILURE)
    assert sim == a_sim(status=SimStatus.ACTIVE, fleet_sid=FLEET_SID, date_updated=LATER)


def test_a_failed_change_is_told_with_its_error_and_the_old_status() -> None:
    _, event = finished(FAILURE)
    assert event == SimUpdated(
        ACCOUNT_SID, SIM_SID, UNIQUE_NAME, SimStatus.ACTIVE, 83004, "the network refused"
    )


@pytest.mark.parametrize("ending", [CarriedOut(), FAILURE])
def test_a_finished_change_keeps_what_it_was_not_about(ending: UpdateEnding) -> None:
    sim, _ = finished(ending)
    kept = ("sid", "account_sid", "iccid", "unique_name", "date_created")
    assert [getattr(sim, name) for name in kept] == [getattr(SCHEDULED, name) for name in kept]


def test_a_sim_that_is_already_so_is_told_as_it_is() -> None:
    assert event_of(a_sim(unique_name=None)) == SimUpdated(
        ACCOUNT_SID, SIM_SID, None, SimStatus.ACTIVE
    )
