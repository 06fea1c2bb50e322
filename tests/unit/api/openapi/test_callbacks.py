"""Receivers get exactly the callbacks that the OpenAPI documents describe."""

from typing import Any, Final

import jsonschema_rs
import pytest

from ringback.api.openapi.callbacks import CallbackDescription, header_parameters, payload_of
from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.callbacks.rendering import render
from ringback.core.events.payload import Event, parameters_of
from ringback.core.form_encoding import encode
from ringback.core.policy.source_policy import Source
from ringback.core.sims.message import Direction, MessageStatus, PayloadType
from ringback.core.sims.sim_updated import SimUpdated
from ringback.core.supersim.command import IpStatus
from ringback.core.supersim.esim_profile import EsimStatus
from ringback.core.supersim.events import EsimProfileChanged, IpCommandChanged, SmsCommandChanged
from ringback.core.supersim.sim import SimStatus
from ringback.core.wireless.events import CommandChanged
from ringback.core.wireless.sim import WirelessStatus
from tests.fakes import ACCOUNT_SID, NOW, SIM_SID, UNIQUE_NAME, a_callback, an_account
from tests.unit.api.described import SUPER_SIM, WIRELESS, Api
from tests.unit.api.plenty import ESIM_SID, IP_SID, SMS_SID
from tests.wireless_fakes import COMMAND_SID, WIRELESS_SIM_SID

# Headers that every HTTP client sends, which a document leaves out.
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


def a_command(
    status: MessageStatus, *, command: str = "Hi", error_code: int | None = None
) -> CommandChanged:
    is_known = error_code is None
    return CommandChanged(
        account_sid=ACCOUNT_SID,
        sim_sid=WIRELESS_SIM_SID,
        sim_unique_name="meter_1" if is_known else None,
        command_sid=COMMAND_SID,
        command_status=status,
        command_mode=PayloadType.TEXT if is_known else PayloadType.BINARY,
        command=command,
        error_code=error_code,
        error_message=None if is_known else "the SIM is suspended",
    )


BY_SUPER_SIM: Final[dict[str, list[Event]]] = {
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
BY_WIRELESS: Final[dict[str, list[Event]]] = {
    "simUpdated": [
        SimUpdated(ACCOUNT_SID, WIRELESS_SIM_SID, "meter_1", WirelessStatus.CANCELED),
        SimUpdated(ACCOUNT_SID, WIRELESS_SIM_SID, None, WirelessStatus.NEW, 33000, "made up"),
    ],
    "commandToSim": [
        a_command(MessageStatus.SENT),
        a_command(MessageStatus.DELIVERED),
        a_command(MessageStatus.FAILED, error_code=33104),
    ],
    "commandFromSim": [
        a_command(MessageStatus.RECEIVED),
        a_command(MessageStatus.RECEIVED, command=""),
        a_command(MessageStatus.RECEIVED, error_code=33111),
    ],
}
SENT: Final = {SUPER_SIM.document: BY_SUPER_SIM, WIRELESS.document: BY_WIRELESS}
EACH = pytest.mark.parametrize(
    ("api", "described"),
    [(api, described) for api in (SUPER_SIM, WIRELESS) for described in api.product.described],
    ids=lambda given: given.name if isinstance(given, CallbackDescription) else given.product.name,
)


def as_typed(value: str, schema: dict[str, Any]) -> str | int:
    """Return a form's value in the type of its schema: a form has only text."""
    return int(value) if schema["type"] == "integer" else value


@EACH
def test_a_sent_callback_is_as_in_the_document(api: Api, described: CallbackDescription) -> None:
    schema = payload_of(described)
    for event in SENT[api.document][described.name]:
        assert isinstance(event, described.event)
        told = dict(parameters_of(event))
        typed = {name: as_typed(told[name], schema["properties"][name]) for name in told}
        jsonschema_rs.Draft202012Validator(schema).validate(typed)


@EACH
def test_another_callbacks_request_does_not_match(api: Api, described: CallbackDescription) -> None:
    validator = jsonschema_rs.Draft202012Validator(payload_of(described))
    for document, sent in SENT.items():
        for name, events in sent.items():
            if (document, name) != (api.document, described.name):
                assert not any(validator.is_valid(dict(parameters_of(event))) for event in events)


def test_each_callback_of_a_document_is_sent() -> None:
    for api in (SUPER_SIM, WIRELESS):
        assert {described.name for described in api.product.described} == set(SENT[api.document])


@pytest.mark.parametrize("source", Source)
@pytest.mark.parametrize("method", HttpMethod)
@pytest.mark.parametrize("secret", ["", "made-up-webhook-secret"])
def test_each_header_is_one_of_the_document(
    source: Source, method: HttpMethod, secret: str
) -> None:
    event = BY_SUPER_SIM["smsCommandToSim"][0]
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


def payloads(api: Api) -> dict[str, dict[str, Any]]:
    return {described.name: payload_of(described) for described in api.product.described}


def test_a_text_that_may_be_empty_is_not_required() -> None:
    for api in (SUPER_SIM, WIRELESS):
        updated = payloads(api)["simUpdated"]
        assert updated["required"] == ["ApiVersion", "SimSid", "SimStatus", "AccountSid"]
    assert "Payload" not in payloads(SUPER_SIM)["ipCommandFromSim"]["required"]
    assert "Command" not in payloads(SUPER_SIM)["smsCommandFromSim"]["required"]
    assert "Command" not in payloads(WIRELESS)["commandFromSim"]["required"]


def test_a_parameter_lists_its_values_for_this_callback() -> None:
    to_sim = payloads(SUPER_SIM)["smsCommandToSim"]["properties"]
    assert to_sim["Status"]["enum"] == ["sent", "delivered", "failed"]
    assert to_sim["Direction"]["enum"] == ["to_sim"]
    assert to_sim["ApiVersion"]["enum"] == ["v1"]
    updated = payloads(SUPER_SIM)["simUpdated"]["properties"]
    assert "scheduled" not in updated["SimStatus"]["enum"]


def test_a_parameter_of_programmable_wireless_lists_its_values_too() -> None:
    commands = payloads(WIRELESS)
    to_sim = commands["commandToSim"]["properties"]
    assert to_sim["CommandStatus"]["enum"] == ["sent", "delivered", "failed"]
    assert to_sim["CommandMode"]["enum"] == ["text", "binary"]
    from_sim = commands["commandFromSim"]["properties"]
    assert from_sim["CommandStatus"]["enum"] == ["received"]
    assert "33111" in from_sim["ErrorCode"]["description"]
