from ringback.core.sims.message import Direction, MessageStatus, PayloadType
from ringback.core.sims.scenario import CarrierFailure
from ringback.core.wireless.events import CommandChanged
from tests.fakes import ACCOUNT_SID
from tests.wireless_fakes import COMMAND_SID, WIRELESS_NAME, WIRELESS_SIM_SID, a_command

FAILURE = CarrierFailure(33104, "the SIM is suspended")


def test_the_text_and_the_sim_of_a_command_are_reported() -> None:
    command = a_command(
        command="AP8=",
        command_mode=PayloadType.BINARY,
        status=MessageStatus.RECEIVED,
        direction=Direction.FROM_SIM,
    )
    event = CommandChanged.of(command, WIRELESS_NAME)
    assert event == CommandChanged(
        account_sid=ACCOUNT_SID,
        sim_sid=WIRELESS_SIM_SID,
        sim_unique_name=WIRELESS_NAME,
        command_sid=COMMAND_SID,
        command_status=MessageStatus.RECEIVED,
        command_mode=PayloadType.BINARY,
        command="AP8=",
    )
    assert (event.api_version, event.error_code, event.error_message) == ("v1", None, None)


def test_a_failed_command_is_reported_with_its_error() -> None:
    event = CommandChanged.of(a_command(status=MessageStatus.FAILED), None, FAILURE)
    assert (event.error_code, event.error_message) == (33104, "the SIM is suspended")
    assert event.sim_unique_name is None
