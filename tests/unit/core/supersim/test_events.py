from dataclasses import fields

from ringback.core.sims.message import Direction, MessageStatus, PayloadType
from ringback.core.sims.scenario import CarrierFailure
from ringback.core.sims.sim_updated import SimUpdated
from ringback.core.supersim.command import IpStatus
from ringback.core.supersim.esim_profile import EsimStatus
from ringback.core.supersim.events import EsimProfileChanged, IpCommandChanged, SmsCommandChanged
from ringback.core.supersim.sim import SimStatus
from tests.fakes import ACCOUNT_SID, SIM_SID, UNIQUE_NAME, a_sim
from tests.unit.core.builders import ICCID, a_datagram, an_esim_profile, an_sms

FAILURE = CarrierFailure(83401, "the device is not attached to a network")
PROFILE = an_esim_profile(
    status=EsimStatus.FAILED,
    eid="8" * 32,
    iccid=ICCID,
    sim_sid=SIM_SID,
    smdp_plus_address="sm-dp-plus.example",
    matching_id="A-B",
    error_code="83500",
    error_message="no eSIM Profiles are available",
)


def test_the_present_status_of_a_sim_is_reported() -> None:
    sim = a_sim(status=SimStatus.INACTIVE)
    assert SimUpdated.of(sim) == SimUpdated(ACCOUNT_SID, SIM_SID, UNIQUE_NAME, SimStatus.INACTIVE)


def test_a_failed_change_of_a_sim_is_reported_with_its_error() -> None:
    assert SimUpdated.of(a_sim(unique_name=None), FAILURE) == SimUpdated(
        ACCOUNT_SID, SIM_SID, None, SimStatus.ACTIVE, FAILURE.code, FAILURE.message
    )


def test_the_text_and_the_sim_of_an_sms_are_reported() -> None:
    command = an_sms(status=MessageStatus.RECEIVED, direction=Direction.FROM_SIM)
    event = SmsCommandChanged.of(command, a_sim())
    assert event == SmsCommandChanged(
        account_sid=ACCOUNT_SID,
        command_sid=command.sid,
        sim_sid=SIM_SID,
        sim_unique_name=UNIQUE_NAME,
        status=MessageStatus.RECEIVED,
        direction=Direction.FROM_SIM,
        payload=command.payload,
    )
    assert event.payload_type is PayloadType.TEXT


def test_a_failed_sms_is_reported_with_its_error() -> None:
    event = SmsCommandChanged.of(an_sms(status=MessageStatus.FAILED), a_sim(), FAILURE)
    assert (event.error_code, event.error_message) == (FAILURE.code, FAILURE.message)


def test_the_payload_the_device_and_the_sim_of_a_datagram_are_reported() -> None:
    command = a_datagram(
        status=IpStatus.SENT,
        device_ip="100.64.0.123",
        payload_type=PayloadType.BINARY,
        payload="YWN0dWFsbHk=",
    )
    assert IpCommandChanged.of(command, a_sim()) == IpCommandChanged(
        account_sid=ACCOUNT_SID,
        command_sid=command.sid,
        sim_sid=SIM_SID,
        sim_unique_name=UNIQUE_NAME,
        sim_iccid=ICCID,
        status=IpStatus.SENT,
        direction=Direction.TO_SIM,
        device_ip="100.64.0.123",
        device_port=100,
        payload_type=PayloadType.BINARY,
        payload="YWN0dWFsbHk=",
    )


def test_a_failed_datagram_is_reported_with_its_error() -> None:
    event = IpCommandChanged.of(a_datagram(status=IpStatus.FAILED), a_sim(), FAILURE)
    assert (event.error_code, event.error_message) == (FAILURE.code, FAILURE.message)


def test_all_fields_of_a_profile_are_reported() -> None:
    event = EsimProfileChanged.of(PROFILE)
    of_its_sid = {"profile_sid": PROFILE.sid}
    assert {field.name: getattr(event, field.name) for field in fields(event)} == {
        field.name: getattr(PROFILE, field.name, None) for field in fields(event)
    } | of_its_sid
    assert event.activation_code == "1$SM-DP-PLUS.EXAMPLE$A-B"
