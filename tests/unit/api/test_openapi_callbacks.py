"""What receivers are really sent is what the document says of callbacks."""

from typing import Any, Final

import jsonschema_rs
import pytest

from ringback.api.openapi.callbacks import (
    DescribedCallback,
    all_callbacks,
    header_parameters,
    payload_of,
)
from ringback.core.events import Event
from ringback.core.message import Direction, MessageStatus, PayloadType
from ringback.core.method import Method
from ringback.core.payload import encode, parameters_of
from ringback.core.rendering import render
from ringback.core.source import Source
from ringback.core.supersim.command import IpStatus
from ringback.core.supersim.esim_profile import EsimStatus
from ringback.core.supersim.events import (
    EsimProfileChanged,
    IpCommandChanged,
    SimUpdated,
    SmsCommandChanged,
)
from ringback.core.supersim.sim import SimStatus
from tests.fakes import ACCOUNT_SID, NOW, SIM_SID, UNIQUE_NAME, a_callback, an_account
from tests.unit.api.plenty import ESIM_SID, IP_SID, SMS_SID

# What every HTTP client sends, and a document leaves out.
OF_HTTP: Final = {
    "Host",
    "Content-Length",
    "Content-Type",
    "Accept",
    "Accept-Encoding",
    "Authorization",
}


def an_sms(
    status: MessageStatus, direction: Direction, *, payload: str = "Hi"
) -> SmsCommandChanged:
    failed = status is MessageStatus.FAILED
    return SmsCommandChanged(
        account_sid=ACCOUNT_SID,
        command_sid=SMS_SID,
        sim_sid=SIM_SID,
        sim_unique_name=None if failed else UNIQUE_NAME,
        status=status,
        direction=direction,
        payload=payload,
        error_code=30008 if failed else None,
        error_message="the device is off" if failed else None,
    )


def a_datagram(
    status: IpStatus, direction: Direction, *, payload: str = "AAEC"
) -> IpCommandChanged:
    failed = status is IpStatus.FAILED
    return IpCommandChanged(
        account_sid=ACCOUNT_SID,
        command_sid=IP_SID,
        sim_sid=SIM_SID,
        sim_unique_name=UNIQUE_NAME,
        sim_iccid="8988307000000000001",
        status=status,
        direction=direction,
        device_ip=None if failed else "100.64.0.1",
        device_port=6969,
        payload_type=PayloadType.BINARY,
        payload=payload,
        error_code=83401 if failed else None,
        error_message="the device is not attached" if failed else None,
    )


def an_esim(status: EsimStatus) -> EsimProfileChanged:
    failed = status is EsimStatus.FAILED
    return EsimProfileChanged(
        account_sid=ACCOUNT_SID,
        profile_sid=ESIM_SID,
        sim_sid=None if failed else SIM_SID,
        iccid=None if failed else "8988307000000000001",
        eid=None,
        status=status,
        smdp_plus_address=None if failed else "sm-dp-plus.twilio.com",
        matching_id=None if failed else "MATCHING-ID",
        activation_code=None if failed else "1$SM-DP-PLUS.TWILIO.COM$MATCHING-ID",
        error_code="83500" if failed else None,
        error_message="there are no eSIM Profiles" if failed else None,
    )


SENT: Final[dict[str, list[Event]]] = {
    "simUpdated": [
        SimUpdated(ACCOUNT_SID, SIM_SID, UNIQUE_NAME, SimStatus.INACTIVE),
        SimUpdated(ACCOUNT_SID, SIM_SID, None, SimStatus.NEW, 83004, "the update failed"),
    ],
    "smsCommandToSim": [
        an_sms(MessageStatus.SENT, Direction.TO_SIM),
        an_sms(MessageStatus.DELIVERED, Direction.TO_SIM),
        an_sms(MessageStatus.FAILED, Direction.TO_SIM),
    ],
    "smsCommandFromSim": [
        an_sms(MessageStatus.RECEIVED, Direction.FROM_SIM),
        an_sms(MessageStatus.RECEIVED, Direction.FROM_SIM, payload=""),
    ],
    "ipCommandToSim": [
        a_datagram(IpStatus.SENT, Direction.TO_SIM),
        a_datagram(IpStatus.FAILED, Direction.TO_SIM),
    ],
    "ipCommandFromSim": [
        a_datagram(IpStatus.RECEIVED, Direction.FROM_SIM),
        a_datagram(IpStatus.RECEIVED, Direction.FROM_SIM, payload=""),
    ],
    "esimProfileChanged": [
        an_esim(EsimStatus.AVAILABLE),
        an_esim(EsimStatus.DOWNLOADED),
        an_esim(EsimStatus.FAILED),
    ],
}


def each(described: DescribedCallback) -> str:
    return described.name


def as_typed(value: str, schema: dict[str, Any]) -> str | int:
    """Return a value of a form as the schema has it: a form has text alone."""
    return int(value) if schema["type"] == "integer" else value


@pytest.mark.parametrize("described", all_callbacks(), ids=each)
def test_what_is_told_is_what_the_document_says(described: DescribedCallback) -> None:
    schema = payload_of(described)
    for event in SENT[described.name]:
        assert isinstance(event, described.event)
        told = dict(parameters_of(event))
        typed = {name: as_typed(told[name], schema["properties"][name]) for name in told}
        jsonschema_rs.Draft202012Validator(schema).validate(typed)


@pytest.mark.parametrize("described", all_callbacks(), ids=each)
def test_what_another_callback_tells_is_not_taken_for_it(described: DescribedCallback) -> None:
    validator = jsonschema_rs.Draft202012Validator(payload_of(described))
    for name, events in SENT.items():
        if name != described.name:
            assert not any(validator.is_valid(dict(parameters_of(event))) for event in events)


@pytest.mark.parametrize("source", Source)
@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize("secret", ["", "made-up-webhook-secret"])
def test_each_header_is_one_of_the_document(source: Source, method: Method, secret: str) -> None:
    event = SENT["smsCommandToSim"][0]
    callback = a_callback(
        url="http://user:word@127.0.0.1:9000/path",
        body=encode(parameters_of(event)),
        source=source,
        method=method,
    )
    account = an_account(kore_secret=secret, uses_static_proxy=True)
    described = header_parameters()
    for name, value in render(callback, account=account, at=NOW).headers:
        if name not in OF_HTTP:
            schema = described[name]["schema"]
            jsonschema_rs.Draft202012Validator(schema, validate_formats=True).validate(value)


def test_each_header_of_the_document_is_sent_by_a_source() -> None:
    account = an_account(uses_static_proxy=True)
    sent = {
        name
        for source in Source
        for name, _ in render(a_callback(source=source), account=account, at=NOW).headers
    }
    assert set(header_parameters()) == sent - OF_HTTP


def test_a_text_that_may_be_empty_is_not_required() -> None:
    payloads = {described.name: payload_of(described) for described in all_callbacks()}
    assert payloads["simUpdated"]["required"] == ["ApiVersion", "SimSid", "SimStatus", "AccountSid"]
    assert "Payload" not in payloads["ipCommandFromSim"]["required"]
    assert "Command" not in payloads["smsCommandFromSim"]["required"]


def test_a_parameter_says_what_it_can_say_in_this_callback() -> None:
    payloads = {described.name: payload_of(described) for described in all_callbacks()}
    to_sim = payloads["smsCommandToSim"]["properties"]
    assert to_sim["Status"]["enum"] == ["sent", "delivered", "failed"]
    assert to_sim["Direction"]["enum"] == ["to_sim"]
    assert to_sim["ApiVersion"]["enum"] == ["v1"]
    assert "scheduled" not in payloads["simUpdated"]["properties"]["SimStatus"]["enum"]
