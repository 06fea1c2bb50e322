"""The exact bytes of every callback, as captures to compare with.

`pytest tests/golden --update-golden` rewrites them; then read the diff.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Final

import pytest

from ringback.core.accounts.account import Account
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import StreamBatch
from ringback.core.callbacks.create_callback import CALLBACK_BYTES, compose_stream
from ringback.core.callbacks.rendering import render
from ringback.core.events.kore_test_event import write_test_event
from ringback.core.events.payload import PARAMETERS, Event, parameters_of
from ringback.core.form_encoding import encode
from ringback.core.policy.source_policy import Source
from ringback.core.sims.message import Direction, MessageStatus, PayloadType
from ringback.core.sims.sim_updated import SimUpdated
from ringback.core.streams.event_types import StreamEventType
from ringback.core.streams.stream_event import EventChoice, write_batch
from ringback.core.supersim.command import IpStatus
from ringback.core.supersim.esim_profile import EsimStatus
from ringback.core.supersim.events import EsimProfileChanged, IpCommandChanged, SmsCommandChanged
from ringback.core.supersim.sim import SimStatus
from ringback.core.wireless.events import CommandChanged
from ringback.core.wireless.sim import WirelessStatus
from tests.fakes import ACCOUNT_SID, NOW, SIM_SID, UNIQUE_NAME, a_callback, an_account, an_event
from tests.unit.core.supersim.test_connection_event import an_event_about
from tests.wireless_fakes import COMMAND_SID, WIRELESS_NAME, WIRELESS_SIM_SID

CAPTURES: Final = Path(__file__).parent / "captures"
OF_STREAMS: Final = Path(__file__).parent / "stream_captures"
"""Beside the others, since a request of an event stream is no callback."""


@dataclass(frozen=True, slots=True)
class Told:
    """A callback's event, URL and account; each is the notice's by default."""

    event: Event = an_event()
    url: str = "http://your-callback-url.com/path?foo=bar#cbs=kore"
    account: Account = an_account()


# Values from the vendors' published samples, or of the same form.
EID: Final = "89049032005008882600033489aaaaaa"
SMS: Final = SmsCommandChanged(
    account_sid=ACCOUNT_SID,
    command_sid="HC0123456789abcdef0123456789abcdef",
    sim_sid=SIM_SID,
    sim_unique_name=UNIQUE_NAME,
    status=MessageStatus.SENT,
    direction=Direction.TO_SIM,
    payload="wake up: 100% & more",
)
SMS_FROM_SIM: Final = replace(
    SMS,
    status=MessageStatus.RECEIVED,
    direction=Direction.FROM_SIM,
    payload="Hello;1234;testing@!#",
)
DATAGRAM: Final = IpCommandChanged(
    account_sid=ACCOUNT_SID,
    command_sid="HG0123456789abcdef0123456789abcdef",
    sim_sid=SIM_SID,
    sim_unique_name=UNIQUE_NAME,
    sim_iccid="89883070000123456789",
    status=IpStatus.SENT,
    direction=Direction.TO_SIM,
    device_ip="100.64.0.123",
    device_port=100,
    payload_type=PayloadType.TEXT,
    payload="update: firmware 2.1",
)
DATAGRAM_FROM_SIM: Final = replace(
    DATAGRAM,
    status=IpStatus.RECEIVED,
    direction=Direction.FROM_SIM,
    device_port=50123,
    payload_type=PayloadType.BINARY,
    payload="YWN0dWFsbHk=",
)
PROFILE: Final = EsimProfileChanged(
    account_sid=ACCOUNT_SID,
    profile_sid="HP0123456789abcdef0123456789abcdef",
    sim_sid=SIM_SID,
    iccid="89883070000123456789",
    eid=None,
    status=EsimStatus.AVAILABLE,
    smdp_plus_address="sm-dp-plus.twilio.com",
    matching_id="AAAAA-BBBBB-CCCCC-DDDDD-EEEEE",
    activation_code="1$SM-DP-PLUS.TWILIO.COM$AAAAA-BBBBB-CCCCC-DDDDD-EEEEE",
    error_code=None,
    error_message=None,
)
NO_PROFILE: Final = replace(
    PROFILE,
    sim_sid=None,
    iccid=None,
    status=EsimStatus.FAILED,
    smdp_plus_address=None,
    matching_id=None,
    activation_code=None,
    error_code="83500",
    error_message="no eSIM Profiles are available",
)
WIRELESS_SIM: Final = SimUpdated(
    account_sid=ACCOUNT_SID,
    sim_sid=WIRELESS_SIM_SID,
    sim_unique_name=WIRELESS_NAME,
    sim_status=WirelessStatus.READY,
)
COMMAND: Final = CommandChanged(
    account_sid=ACCOUNT_SID,
    command_sid=COMMAND_SID,
    sim_sid=WIRELESS_SIM_SID,
    sim_unique_name=WIRELESS_NAME,
    command_status=MessageStatus.SENT,
    command_mode=PayloadType.TEXT,
    command="wake up: 100% & more",
)
COMMAND_FROM_SIM: Final = replace(
    COMMAND, command_status=MessageStatus.RECEIVED, command="Hello;1234;testing@!#"
)

CASES: Final[Mapping[str, Told]] = {
    "inactive": Told(an_event(sim_status=SimStatus.INACTIVE)),
    "active": Told(an_event(sim_status=SimStatus.ACTIVE)),
    "failed": Told(
        an_event(
            sim_status=SimStatus.ACTIVE,
            error_code=83004,
            error_message="The SIM couldn't be updated; 50% done & stopped",
        )
    ),
    "update-fails": Told(
        an_event(
            sim_status=SimStatus.ACTIVE,
            error_code=83004,
            error_message="the SIM could not be updated",
        )
    ),
    "no-unique-name": Told(an_event(sim_unique_name=None)),
    "no-path": Told(url="https://your-callback-url.com"),
    "credentials": Told(url="https://user:p%40ss@your-callback-url.com:8443/path?foo=bar"),
    "static-proxy": Told(account=an_account(uses_static_proxy=True)),
    "no-secret": Told(account=an_account(kore_secret="")),
    "sms-sent": Told(SMS),
    "sms-delivered": Told(replace(SMS, status=MessageStatus.DELIVERED)),
    "sms-failed": Told(
        replace(
            SMS,
            status=MessageStatus.FAILED,
            error_code=20500,
            error_message="the SMS could not be sent",
        )
    ),
    "sms-received": Told(SMS_FROM_SIM),
    "ip-sent": Told(DATAGRAM),
    "ip-failed": Told(
        replace(
            DATAGRAM,
            status=IpStatus.FAILED,
            device_ip=None,
            error_code=83401,
            error_message="the device is not attached to a network",
        )
    ),
    "ip-received": Told(DATAGRAM_FROM_SIM),
    "ip-received-empty": Told(replace(DATAGRAM_FROM_SIM, payload="")),
    "esim-available": Told(PROFILE),
    "esim-available-for-eid": Told(
        replace(PROFILE, eid=EID, matching_id=None, activation_code=None)
    ),
    "esim-downloaded": Told(replace(PROFILE, status=EsimStatus.DOWNLOADED)),
    "esim-failed": Told(NO_PROFILE),
    "wireless-ready": Told(WIRELESS_SIM),
    "wireless-canceled": Told(replace(WIRELESS_SIM, sim_status=WirelessStatus.CANCELED)),
    "wireless-no-unique-name": Told(replace(WIRELESS_SIM, sim_unique_name=None)),
    "wireless-update-fails": Told(
        replace(
            WIRELESS_SIM,
            sim_status=WirelessStatus.NEW,
            error_code=33000,
            error_message="the SIM could not be updated",
        )
    ),
    "command-sent": Told(COMMAND),
    "command-delivered": Told(replace(COMMAND, command_status=MessageStatus.DELIVERED)),
    "command-failed": Told(
        replace(
            COMMAND,
            command_status=MessageStatus.FAILED,
            error_code=33000,
            error_message="the Command could not be sent",
        )
    ),
    "command-binary": Told(
        replace(COMMAND, command_mode=PayloadType.BINARY, command="AP/+d2FrZSB1cA==")
    ),
    "command-received": Told(COMMAND_FROM_SIM),
    "command-received-cut-off": Told(
        replace(
            COMMAND_FROM_SIM,
            command="0123456789" * 16,
            error_code=33111,
            error_message="the Command was too long, and is cut off",
        )
    ),
    "command-received-empty": Told(replace(COMMAND_FROM_SIM, command="")),
}
ALL: Final = {
    f"{source}-{method.lower()}-{case}": (source, method, told)
    for (case, told), source, method in product(CASES.items(), Source, HttpMethod)
}

# KORE's own sample.
TEST_EVENT: Final = write_test_event(
    bytes.fromhex("88bf54a9f2fb40b68fafe6c5a3c348d2 fff521c2c7db4b53a5a0c5d5d01f66ce 07"),
    at=datetime(2024, 9, 25, 19, 9, 48, 584208, tzinfo=UTC),
)
TEST_EVENTS: Final = {f"kore-{method.lower()}-test-event": method for method in HttpMethod}

STREAM_EVENTS: Final = {
    f"{source}-post-{type_.short}": (source, type_)
    for source, type_ in product((Source.TWILIO, Source.KORE), StreamEventType)
}


@pytest.mark.parametrize("name", ALL)
def test_a_callback_is_sent_as_captured(name: str, pytestconfig: pytest.Config) -> None:
    source, method, told = ALL[name]
    body = encode(parameters_of(told.event))
    callback = a_callback(url=told.url, method=method, source=source, body=body)
    sent = render(callback, account=told.account, at=NOW).to_bytes()
    capture = CAPTURES / f"{name}.http"
    if pytestconfig.getoption("--update-golden"):
        capture.write_bytes(sent)
    assert sent == capture.read_bytes()


@pytest.mark.parametrize("name", TEST_EVENTS)
def test_a_test_event_is_sent_as_captured(name: str, pytestconfig: pytest.Config) -> None:
    url = "http://your-callback-url.com/path?foo=bar"
    callback = a_callback(url=url, method=TEST_EVENTS[name], body=TEST_EVENT, is_test=True)
    sent = render(callback, account=an_account(), at=NOW).to_bytes()
    capture = CAPTURES / f"{name}.http"
    if pytestconfig.getoption("--update-golden"):
        capture.write_bytes(sent)
    assert sent == capture.read_bytes()


@pytest.mark.parametrize("name", STREAM_EVENTS)
def test_an_event_of_a_connection_is_sent_as_captured(
    name: str, pytestconfig: pytest.Config
) -> None:
    source, type_ = STREAM_EVENTS[name]
    batch = compose_stream(
        write_batch(source, [EventChoice(an_event_about(type_))]),
        StreamBatch("DF" + "0" * 32),
        account_sid=ACCOUNT_SID,
        to=CallbackUrl.parse("http://your-callback-url.com/events?foo=bar"),
        method=HttpMethod.POST,
        source=source,
        source_reason="the sink's",
        random_bytes=bytes(range(CALLBACK_BYTES)),
        now=NOW,
    )
    sent = render(batch, account=an_account(), at=NOW).to_bytes()
    capture = OF_STREAMS / f"{name}.http"
    if pytestconfig.getoption("--update-golden"):
        capture.write_bytes(sent)
    assert sent == capture.read_bytes()


@pytest.mark.parametrize("kind", PARAMETERS, ids=lambda kind: kind.__name__)
def test_each_parameter_of_each_kind_of_callback_is_in_a_capture(kind: type[Event]) -> None:
    told = [told.event for told in CASES.values() if isinstance(told.event, kind)]
    captured = {name for event in told for name, _ in parameters_of(event)}
    assert captured == {name for name, _ in PARAMETERS[kind]}


def test_there_are_no_other_captures(pytestconfig: pytest.Config) -> None:
    captured = {CAPTURES / f"{name}.http" for name in [*ALL, *TEST_EVENTS]}
    captured |= {OF_STREAMS / f"{name}.http" for name in STREAM_EVENTS}
    strays = [path for path in (*CAPTURES.iterdir(), *OF_STREAMS.iterdir()) if path not in captured]
    if pytestconfig.getoption("--update-golden"):
        while strays:
            strays.pop().unlink()
    assert strays == []
