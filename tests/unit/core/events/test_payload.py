from dataclasses import FrozenInstanceError, fields
from typing import get_args

import pytest

from ringback.core.events.payload import PARAMETERS, Event, parameters_of
from ringback.core.form_encoding import encode
from ringback.core.sims.message import Direction, MessageStatus, PayloadType
from ringback.core.sims.scenario import CarrierFailure
from ringback.core.sims.sim_updated import SimUpdated
from ringback.core.supersim.command import IpStatus
from ringback.core.supersim.esim_profile import EsimStatus
from ringback.core.supersim.events import EsimProfileChanged, IpCommandChanged, SmsCommandChanged
from ringback.core.supersim.sim import SimStatus
from ringback.core.wireless.events import CommandChanged
from ringback.core.wireless.sim import WirelessStatus
from tests.fakes import ACCOUNT_SID, SIM_SID, a_sim, an_event
from tests.unit.core.builders import ICCID, a_datagram, an_esim_profile, an_sms
from tests.wireless_fakes import COMMAND_SID, WIRELESS_SIM_SID, a_command, a_wireless_sim

OF_EACH_KIND: list[Event] = [
    an_event(),
    SmsCommandChanged.of(an_sms(), a_sim()),
    IpCommandChanged.of(a_datagram(), a_sim()),
    EsimProfileChanged.of(an_esim_profile()),
    CommandChanged.of(a_command(), "meter_1"),
]


def test_there_is_an_event_of_each_kind() -> None:
    assert [type(event) for event in OF_EACH_KIND] == list(get_args(Event))


@pytest.mark.parametrize("event", OF_EACH_KIND, ids=lambda event: type(event).__name__)
def test_an_event_has_the_version_of_its_api(event: Event) -> None:
    assert event.api_version == "v1"


@pytest.mark.parametrize("event", OF_EACH_KIND, ids=lambda event: type(event).__name__)
def test_an_event_does_not_change_once_it_has_happened(event: Event) -> None:
    with pytest.raises(FrozenInstanceError):
        event.account_sid = "AC0"  # pyright: ignore[reportAttributeAccessIssue] - the point


def test_a_sim_update_is_reported_by_the_five_parameters_of_the_notice() -> None:
    assert parameters_of(an_event(sim_status=SimStatus.INACTIVE)) == [
        ("ApiVersion", "v1"),
        ("SimUniqueName", "my_super_sim"),
        ("SimSid", "HSab3f06be8f5d32caecb91e8a306c6c08"),
        ("SimStatus", "inactive"),
        ("AccountSid", "AC3ba717b1d236e6c4a835e46130267eb4"),
    ]


def test_a_failed_update_adds_its_error_at_the_end() -> None:
    told = parameters_of(an_event(error_code=83004, error_message="it failed"))
    assert [name for name, _ in told] == [
        "ApiVersion",
        "SimUniqueName",
        "SimSid",
        "SimStatus",
        "AccountSid",
        "ErrorCode",
        "ErrorMessage",
    ]
    assert told[-2:] == [("ErrorCode", "83004"), ("ErrorMessage", "it failed")]


@pytest.mark.parametrize("name", [None, ""])
def test_a_parameter_without_a_value_is_left_out(name: str | None) -> None:
    told = parameters_of(an_event(sim_unique_name=name))
    assert [name for name, _ in told] == ["ApiVersion", "SimSid", "SimStatus", "AccountSid"]


def test_a_zero_is_a_value() -> None:
    assert ("ErrorCode", "0") in parameters_of(an_event(error_code=0))


# ---- commands and profiles -----------------------------------------------------------------------


def test_an_sms_from_a_device_is_reported_as_in_the_captured_request() -> None:
    command = an_sms(status=MessageStatus.RECEIVED, direction=Direction.FROM_SIM)
    told = parameters_of(SmsCommandChanged.of(command, a_sim(unique_name="project")))
    assert told == [
        ("Status", "received"),
        ("ApiVersion", "v1"),
        ("Command", "Hello;1234;testing@!#"),
        ("SimUniqueName", "project"),
        ("Payload", "Hello;1234;testing@!#"),
        ("SimSid", SIM_SID),
        ("Direction", "from_sim"),
        ("CommandSid", command.sid),
        ("AccountSid", command.account_sid),
        ("PayloadType", "text"),
    ]
    assert "Payload=Hello%3B1234%3Btesting%40%21%23&" in encode(told)


def test_a_datagram_from_a_device_is_reported_with_its_address_in_base64() -> None:
    command = a_datagram(
        status=IpStatus.RECEIVED,
        direction=Direction.FROM_SIM,
        device_ip="100.64.0.123",
        payload_type=PayloadType.BINARY,
        payload="YWN0dWFsbHk=",
    )
    assert parameters_of(IpCommandChanged.of(command, a_sim())) == [
        ("Status", "received"),
        ("ApiVersion", "v1"),
        ("SimUniqueName", "my_super_sim"),
        ("Payload", "YWN0dWFsbHk="),
        ("SimSid", SIM_SID),
        ("SimIccid", ICCID),
        ("Direction", "from_sim"),
        ("DeviceIp", "100.64.0.123"),
        ("DevicePort", "100"),
        ("CommandSid", command.sid),
        ("AccountSid", command.account_sid),
        ("PayloadType", "binary"),
    ]


@pytest.mark.parametrize(
    "event",
    [
        SmsCommandChanged.of(an_sms(), a_sim(), CarrierFailure(83401, "it is not attached")),
        IpCommandChanged.of(a_datagram(), a_sim(), CarrierFailure(83401, "it is not attached")),
    ],
    ids=lambda event: type(event).__name__,
)
def test_a_failed_command_adds_its_error_at_the_end(event: Event) -> None:
    told = parameters_of(event)
    assert told[-2:] == [("ErrorCode", "83401"), ("ErrorMessage", "it is not attached")]


def test_a_profile_is_reported_with_its_values_so_far() -> None:
    profile = an_esim_profile(
        status=EsimStatus.AVAILABLE,
        iccid=ICCID,
        sim_sid=SIM_SID,
        smdp_plus_address="sm-dp-plus.twilio.com",
        matching_id="A-B",
    )
    assert parameters_of(EsimProfileChanged.of(profile)) == [
        ("AccountSid", profile.account_sid),
        ("ApiVersion", "v1"),
        ("EsimProfileSid", profile.sid),
        ("SimSid", SIM_SID),
        ("Iccid", ICCID),
        ("Status", "available"),
        ("SmdpPlusAddress", "sm-dp-plus.twilio.com"),
        ("MatchingId", "A-B"),
        ("ActivationCode", "1$SM-DP-PLUS.TWILIO.COM$A-B"),
    ]


def test_a_profile_that_failed_is_reported_with_its_chip_and_its_error() -> None:
    profile = an_esim_profile(
        status=EsimStatus.FAILED, eid="8" * 32, error_code="83500", error_message="none left"
    )
    assert parameters_of(EsimProfileChanged.of(profile)) == [
        ("AccountSid", profile.account_sid),
        ("ApiVersion", "v1"),
        ("EsimProfileSid", profile.sid),
        ("Eid", "8" * 32),
        ("Status", "failed"),
        ("ErrorCode", "83500"),
        ("ErrorMessage", "none left"),
    ]


def test_a_programmable_wireless_sim_is_reported_with_the_same_parameters() -> None:
    sim = a_wireless_sim(status=WirelessStatus.CANCELED, unique_name="meter_1")
    assert parameters_of(SimUpdated.of(sim)) == [
        ("ApiVersion", "v1"),
        ("SimUniqueName", "meter_1"),
        ("SimSid", WIRELESS_SIM_SID),
        ("SimStatus", "canceled"),
        ("AccountSid", ACCOUNT_SID),
    ]


def test_a_command_from_a_device_is_reported_with_its_own_products_names() -> None:
    command = a_command(command="ping", status=MessageStatus.RECEIVED, direction=Direction.FROM_SIM)
    assert parameters_of(CommandChanged.of(command, "meter_1")) == [
        ("CommandSid", COMMAND_SID),
        ("SimSid", WIRELESS_SIM_SID),
        ("SimUniqueName", "meter_1"),
        ("AccountSid", ACCOUNT_SID),
        ("CommandStatus", "received"),
        ("CommandMode", "text"),
        ("Command", "ping"),
        ("ApiVersion", "v1"),
    ]


def test_a_failed_programmable_wireless_command_is_reported_with_its_error_in_the_middle() -> None:
    command = a_command(
        command="AP8=", command_mode=PayloadType.BINARY, status=MessageStatus.FAILED
    )
    event = CommandChanged.of(command, None, CarrierFailure(33104, "the SIM is suspended"))
    assert parameters_of(event) == [
        ("CommandSid", COMMAND_SID),
        ("SimSid", WIRELESS_SIM_SID),
        ("AccountSid", ACCOUNT_SID),
        ("ErrorCode", "33104"),
        ("ErrorMessage", "the SIM is suspended"),
        ("CommandStatus", "failed"),
        ("CommandMode", "binary"),
        ("Command", "AP8="),
        ("ApiVersion", "v1"),
    ]


# ---- all of them ---------------------------------------------------------------------------------

# The parameters that have the same value in all events of a kind.
CONSTANTS = {"api_version", "payload_type"}


def test_every_kind_of_event_has_its_parameters() -> None:
    assert set(PARAMETERS) == set(get_args(Event))


@pytest.mark.parametrize("event", PARAMETERS)
def test_every_field_of_an_event_is_reported(event: type[Event]) -> None:
    told = {field for _, field in PARAMETERS[event]}
    constant = {name for name in CONSTANTS if name in vars(event)}
    assert told == {field.name for field in fields(event)} | constant


@pytest.mark.parametrize("event", PARAMETERS)
def test_no_parameter_is_reported_twice(event: type[Event]) -> None:
    names = [name for name, _ in PARAMETERS[event]]
    assert len(set(names)) == len(names)
