import pytest

from ringback.core.sims.scenario import CarrierFailure
from ringback.core.sims.sim_updated import AnySim, SimUpdated
from ringback.core.supersim.sim import SimStatus
from ringback.core.wireless.sim import WirelessStatus
from tests.fakes import ACCOUNT_SID, SIM_SID, UNIQUE_NAME, a_sim
from tests.wireless_fakes import WIRELESS_NAME, WIRELESS_SIM_SID, a_wireless_sim

FAILURE = CarrierFailure(33000, "the SIM could not be updated")


@pytest.mark.parametrize(
    ("sim", "event"),
    [
        (
            a_sim(status=SimStatus.INACTIVE),
            SimUpdated(ACCOUNT_SID, SIM_SID, UNIQUE_NAME, SimStatus.INACTIVE),
        ),
        (
            a_wireless_sim(status=WirelessStatus.DEACTIVATED),
            SimUpdated(ACCOUNT_SID, WIRELESS_SIM_SID, WIRELESS_NAME, WirelessStatus.DEACTIVATED),
        ),
    ],
    ids=["Super SIM", "Programmable Wireless"],
)
def test_the_present_status_of_either_products_sim_is_reported(
    sim: AnySim, event: SimUpdated
) -> None:
    assert SimUpdated.of(sim) == event
    assert (event.api_version, event.error_code, event.error_message) == ("v1", None, None)


def test_a_failed_change_of_a_sim_is_reported_with_its_error() -> None:
    assert SimUpdated.of(a_wireless_sim(unique_name=None), FAILURE) == SimUpdated(
        ACCOUNT_SID,
        WIRELESS_SIM_SID,
        None,
        WirelessStatus.ACTIVE,
        33000,
        "the SIM could not be updated",
    )
