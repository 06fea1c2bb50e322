from datetime import timedelta

import pytest

from ringback.core.sims.scenario import CARRIED_OUT, CarrierFailure, CarrierResult, CarrierTimeout
from ringback.core.sims.sim_updated import SimUpdated
from ringback.core.supersim.pending_sim_update import finish, moved
from ringback.core.supersim.sim import SimStatus, SuperSim
from tests.fakes import ACCOUNT_SID, FLEET_SID, NOW, SIM_SID, UNIQUE_NAME, a_sim, an_update

LATER = NOW + timedelta(seconds=2)
OTHER_FLEET = "HF" + "f" * 32
SCHEDULED = a_sim(status=SimStatus.SCHEDULED)
FAILURE = CarrierFailure(83004, "the network refused")


def finished(result: CarrierResult) -> tuple[SuperSim, SimUpdated]:
    return finish(SCHEDULED, an_update(to_fleet_sid=OTHER_FLEET), result, LATER)


def test_a_change_carried_out_gives_the_sim_its_status_and_fleet() -> None:
    sim, _ = finished(CARRIED_OUT)
    assert sim == a_sim(status=SimStatus.INACTIVE, fleet_sid=OTHER_FLEET, date_updated=LATER)


def test_a_change_carried_out_is_reported_by_its_new_status() -> None:
    _, event = finished(CARRIED_OUT)
    assert event == SimUpdated(ACCOUNT_SID, SIM_SID, UNIQUE_NAME, SimStatus.INACTIVE)


def test_a_failed_change_leaves_the_sim_unchanged() -> None:
    sim, _ = finished(FAILURE)
    assert sim == a_sim(status=SimStatus.ACTIVE, fleet_sid=FLEET_SID, date_updated=LATER)


def test_a_failed_change_is_reported_with_its_error_and_the_old_status() -> None:
    _, event = finished(FAILURE)
    assert event == SimUpdated(
        ACCOUNT_SID, SIM_SID, UNIQUE_NAME, SimStatus.ACTIVE, 83004, "the network refused"
    )


def test_a_change_that_the_network_never_answers_has_failed() -> None:
    failure = CarrierFailure(83004, "the network did not answer")
    assert finished(CarrierTimeout()) == finished(failure)


@pytest.mark.parametrize("result", [CARRIED_OUT, FAILURE, CarrierTimeout()])
def test_a_finished_change_affects_nothing_else(result: CarrierResult) -> None:
    sim, _ = finished(result)
    kept = ("sid", "account_sid", "iccid", "unique_name", "date_created", "device_ip")
    assert [getattr(sim, name) for name in kept] == [getattr(SCHEDULED, name) for name in kept]


# ---- usage counted while a SIM is ready ----------------------------------------------------------


def test_the_usage_of_a_sim_counts_from_the_moment_it_becomes_ready() -> None:
    ready = moved(a_sim(status=SimStatus.SCHEDULED), SimStatus.READY, LATER)
    assert ready == a_sim(status=SimStatus.READY, date_updated=LATER, ready_since=LATER)


@pytest.mark.parametrize("status", sorted(set(SimStatus) - {SimStatus.READY}))
def test_the_usage_of_a_sim_that_is_no_longer_ready_does_not_count(status: SimStatus) -> None:
    ready = a_sim(status=SimStatus.READY, ready_since=NOW, sms_while_ready=3)
    assert moved(ready, status, LATER) == a_sim(status=status, date_updated=LATER)


@pytest.mark.parametrize("result", [CARRIED_OUT, FAILURE])
def test_a_sim_that_changes_its_fleet_or_fails_to_stays_ready_since_the_same_time(
    result: CarrierResult,
) -> None:
    scheduled = a_sim(status=SimStatus.SCHEDULED, ready_since=NOW, sms_while_ready=3)
    update = an_update(from_status=SimStatus.READY, to_status=SimStatus.READY)
    sim, _ = finish(scheduled, update, result, LATER)
    assert (sim.status, sim.ready_since, sim.sms_while_ready) == (SimStatus.READY, NOW, 3)


def test_a_ready_sim_that_could_not_be_activated_stays_ready_since_the_same_time() -> None:
    scheduled = a_sim(status=SimStatus.SCHEDULED, ready_since=NOW, sms_while_ready=3)
    update = an_update(from_status=SimStatus.READY, to_status=SimStatus.ACTIVE)
    sim, _ = finish(scheduled, update, FAILURE, LATER)
    assert (sim.status, sim.ready_since, sim.sms_while_ready) == (SimStatus.READY, NOW, 3)
