from datetime import timedelta

import pytest

from ringback.core.callback_urls.callback_target import NO_TARGET, CallbackTarget
from ringback.core.sims.scenario import CARRIED_OUT, CarrierFailure, CarrierResult, CarrierTimeout
from ringback.core.sims.sim_updated import SimUpdated
from ringback.core.wireless.pending_sim_update import finalize, finish
from ringback.core.wireless.sim import WirelessSim, WirelessStatus
from tests.fakes import ACCOUNT_SID, NOW
from tests.wireless_fakes import (
    RATE_PLAN_SID,
    WIRELESS_NAME,
    WIRELESS_SIM_SID,
    a_target,
    a_wireless_sim,
    a_wireless_update,
)

NEW, READY, ACTIVE, SUSPENDED, DEACTIVATED, CANCELED, _, UPDATING = WirelessStatus
LATER = NOW + timedelta(seconds=2)
OTHER_PLAN = "WP" + "f" * 32
FAILURE = CarrierFailure(33000, "the SIM could not be updated")
EARLIER, ASKS = a_target("https://earlier.example"), a_target("https://asks.example")
CHANGING = a_wireless_sim(status=UPDATING, metered_since=NOW, final_to=EARLIER)


def finished(
    result: CarrierResult,
    *,
    from_status: WirelessStatus = ACTIVE,
    to_status: WirelessStatus = SUSPENDED,
    told: CallbackTarget = ASKS,
) -> tuple[WirelessSim, SimUpdated]:
    update = a_wireless_update(
        from_status=from_status, to_status=to_status, to_rate_plan_sid=OTHER_PLAN, told=told
    )
    return finish(CHANGING, update, result, LATER)


def told_of(status: WirelessStatus) -> SimUpdated:
    return SimUpdated(ACCOUNT_SID, WIRELESS_SIM_SID, WIRELESS_NAME, status)


def test_a_change_carried_out_gives_the_sim_its_status_and_plan() -> None:
    sim, event = finished(CARRIED_OUT)
    assert sim == a_wireless_sim(
        status=SUSPENDED, rate_plan_sid=OTHER_PLAN, date_updated=LATER, metered_since=NOW
    )
    assert event == told_of(SUSPENDED)


def test_a_change_carried_out_can_remove_the_plan() -> None:
    update = a_wireless_update(to_status=DEACTIVATED, to_rate_plan_sid=None)
    sim, _ = finish(CHANGING, update, CARRIED_OUT, LATER)
    assert sim.rate_plan_sid is None


def test_a_failed_change_leaves_the_sim_unchanged() -> None:
    sim, event = finished(FAILURE)
    assert sim == a_wireless_sim(
        status=ACTIVE,
        rate_plan_sid=RATE_PLAN_SID,
        date_updated=LATER,
        metered_since=NOW,
        final_to=EARLIER,
    )
    assert event == SimUpdated(
        ACCOUNT_SID, WIRELESS_SIM_SID, WIRELESS_NAME, ACTIVE, 33000, "the SIM could not be updated"
    )


def test_a_change_that_the_network_never_answers_has_failed() -> None:
    assert finished(CarrierTimeout()) == finished(
        CarrierFailure(33000, "the network did not answer")
    )


@pytest.mark.parametrize("status", [READY, DEACTIVATED])
def test_a_failed_change_leaves_the_counted_usage_unchanged(status: WirelessStatus) -> None:
    changing = a_wireless_sim(status=UPDATING, status_since=NOW, commands_while_ready=3)
    update = a_wireless_update(from_status=status, to_status=ACTIVE)
    sim, _ = finish(changing, update, FAILURE, LATER)
    assert (sim.status, sim.status_since, sim.commands_while_ready) == (status, NOW, 3)


@pytest.mark.parametrize("to_status", [READY, DEACTIVATED])
def test_usage_counts_from_the_moment_of_a_new_status(to_status: WirelessStatus) -> None:
    sim, _ = finished(CARRIED_OUT, from_status=NEW, to_status=to_status)
    assert (sim.status, sim.status_since) == (to_status, LATER)


# ---- the callback about the final status ---------------------------------------------------------


@pytest.mark.parametrize(
    ("from_status", "to_status"),
    [(NEW, READY), (NEW, DEACTIVATED), (READY, DEACTIVATED), (ACTIVE, DEACTIVATED)],
)
@pytest.mark.parametrize("told", [ASKS, NO_TARGET])
def test_the_final_status_is_called_back_to_the_url_of_the_status_before(
    from_status: WirelessStatus, to_status: WirelessStatus, told: CallbackTarget
) -> None:
    sim, _ = finished(CARRIED_OUT, from_status=from_status, to_status=to_status, told=told)
    assert sim.final_to == told


@pytest.mark.parametrize(
    ("from_status", "to_status"),
    [(READY, ACTIVE), (READY, SUSPENDED), (DEACTIVATED, ACTIVE), (ACTIVE, SUSPENDED)],
)
def test_without_a_final_status_there_is_no_pending_callback(
    from_status: WirelessStatus, to_status: WirelessStatus
) -> None:
    sim, _ = finished(CARRIED_OUT, from_status=from_status, to_status=to_status)
    assert sim.final_to == NO_TARGET


@pytest.mark.parametrize("status", [READY, DEACTIVATED])
def test_another_plan_leaves_the_pending_callback_unchanged(status: WirelessStatus) -> None:
    sim, _ = finished(CARRIED_OUT, from_status=status, to_status=status)
    assert (sim.final_to, sim.rate_plan_sid) == (EARLIER, OTHER_PLAN)


@pytest.mark.parametrize(
    ("from_status", "to_status"), [(READY, DEACTIVATED), (DEACTIVATED, ACTIVE)]
)
def test_a_failed_change_leaves_the_pending_callback_unchanged(
    from_status: WirelessStatus, to_status: WirelessStatus
) -> None:
    sim, _ = finished(FAILURE, from_status=from_status, to_status=to_status)
    assert sim.final_to == EARLIER


@pytest.mark.parametrize(("status", "final"), [(READY, ACTIVE), (DEACTIVATED, CANCELED)])
@pytest.mark.parametrize("promised", [EARLIER, NO_TARGET])
def test_a_sim_gets_its_final_status_once_with_the_pending_callback(
    status: WirelessStatus, final: WirelessStatus, promised: CallbackTarget
) -> None:
    sim = a_wireless_sim(
        status=status,
        status_since=NOW,
        commands_while_ready=5,
        metered_since=NOW,
        final_to=promised,
    )
    done = a_wireless_sim(status=final, date_updated=LATER, metered_since=NOW)
    assert finalize(sim, LATER) == (done, told_of(final), promised)
