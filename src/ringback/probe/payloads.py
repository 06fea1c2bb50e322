"""The payloads of the probe's callbacks: one real event of each kind, and unusual values.

Each payload contains a unique mark, because a receiver may drop a callback that reports the same
event as a callback from the other source.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.events.payload import Event, parameters_of
from ringback.core.policy.source_policy import Source, SourceName
from ringback.core.sims.message import Direction, MessageStatus, PayloadType
from ringback.core.sims.sim_updated import SimUpdated
from ringback.core.streams.event_types import StreamEventType
from ringback.core.streams.stream_event import EventChoice, StreamEvent, compact, write_batch
from ringback.core.supersim.command import IpStatus
from ringback.core.supersim.esim_profile import EsimStatus
from ringback.core.supersim.events import EsimProfileChanged, IpCommandChanged, SmsCommandChanged
from ringback.core.supersim.sim import SimStatus
from ringback.core.wireless.events import CommandChanged

_IN_HEX: Final = b"ringback-probe".hex() + "0000"
PROBE_ACCOUNT_SID: Final = f"AC{_IN_HEX}"
PROBE_SIM_SID: Final = f"HS{_IN_HEX}"

# Many servers accept request lines of at most 8 KiB, and bodies of much more.
_LONG: Final[Mapping[HttpMethod, int]] = {HttpMethod.POST: 16_000, HttpMethod.GET: 1_500}


class ProbeCallbackKind(Enum):
    """A kind of callback that the probe sends: its label in case names, and its description."""

    SIM_UPDATE = ("sim-update", "an update of a SIM")
    SIM_UPDATE_FAILED = ("sim-update-failed", "a failed update of a SIM")
    SMS_COMMAND_SENT = ("sms-command-sent", "an SMS Command that was sent")
    SMS_COMMAND = ("sms-command", "an SMS Command")
    IP_COMMAND = ("ip-command", "an IP Command")
    ESIM_PROFILE = ("esim-profile", "an eSIM Profile")
    COMMAND = ("command", "a Command of Programmable Wireless")
    TEST_EVENT = ("test-event", "the test event of KORE's portal, in JSON")
    EVENTS = ("events", "a connection event of Event Streams, in JSON")
    CONNECTION_EVENT = ("event", "one event, of the end of a data session")
    NULL_LOCATION = ("null-location", "an event whose location and IMEI are null")
    NON_ASCII_NAME = ("non-ascii-name", "an event with a sim_unique_name that is not ASCII")
    BATCH = ("batch", "a batch of 50 events")
    NON_ASCII = ("non-ascii", "names and values that are not ASCII")
    WHITE_SPACE = ("white-space", "a value with spaces, a tab and a line break")
    EMPTY_VALUES = ("empty-values", "a parameter without a value")
    REPEATED_PARAMETERS = ("repeated-parameters", "a parameter that comes three times")
    LONG_VALUES = ("long-values", "a long value")

    def __init__(self, label: str, words: str) -> None:
        self.label = label
        self.words = words


@dataclass(frozen=True, slots=True)
class CallbackSubject:
    """What a callback is about: an account and a SIM, and a mark that makes it unique."""

    account_sid: str
    sim_sid: str
    mark: str
    """Twelve hex digits that make this callback's payload unique."""

    @property
    def name(self) -> str:
        """The unique name of the SIM."""
        return f"ringback-probe-{self.mark}"

    @property
    def event_sid(self) -> str:
        """The SID of an event of a stream, which is the same from both sources."""
        return self.sid("EZ")

    def sid(self, prefix: str) -> str:
        """Return a SID with this prefix that is unique to this callback."""
        return f"{prefix}{_IN_HEX[: -len(self.mark)]}{self.mark}"


def parameters_for(
    payload: ProbeCallbackKind, about: CallbackSubject, method: HttpMethod
) -> list[tuple[str, str]]:
    """Return a callback's form parameters; raises KeyError for a kind that is JSON."""
    if payload in _EVENTS:
        return parameters_of(_EVENTS[payload](about))
    return [*parameters_of(_sim_update(about)), *_VALUES[payload](method)]


def write_events(
    subjects: Sequence[CallbackSubject],
    source: SourceName,
    kind: ProbeCallbackKind = ProbeCallbackKind.EVENTS,
    *,
    at: datetime,
) -> str:
    """Return the body of a request of an event stream: a JSON array with an event for each subject.

    `kind` is one of STREAM_KINDS, but not a test event. All events are of the same type, as in
    KORE's batches.
    """
    events = [EventChoice(_event(about, kind, at)) for about in subjects]
    return write_batch(Source(source), events)


def _event(about: CallbackSubject, kind: ProbeCallbackKind, at: datetime) -> StreamEvent:
    sid, (of_type, more) = about.event_sid, _CONNECTIONS.get(kind, (_SESSION_ENDED, _ENDED))
    data: dict[str, Any] = {"event_sid": sid, "event_type": of_type}
    data |= {"timestamp": f"{at:%Y-%m-%dT%H:%M:%SZ}", **_connection(about), **more}
    if kind is ProbeCallbackKind.NON_ASCII_NAME:
        data["sim_unique_name"] = f"{about.name} Zürich, 東京, 🛰"
    return StreamEvent(sid, about.account_sid, about.sim_sid, of_type, at, compact(data))


_SESSION_ENDED: Final = StreamEventType.SESSION_ENDED
_ENDED: Final[Mapping[str, Any]] = {
    "imei": "358600840000001",
    "location": {"cell_id": "47322374", "lac": "15170", "lat": 34.166991, "lon": -118.5720773},
    "data_session_start_time": "2024-10-15T08:30:02Z",
    "data_session_end_time": "2024-10-15T08:45:02Z",
    "data_session_update_start_time": "2024-10-15T08:42:02Z",
    "data_session_update_end_time": "2024-10-15T08:45:02Z",
    "data_upload": 100,
    "data_download": 300,
    "data_total": 400,
    "data_session_data_upload": 4196,
    "data_session_data_download": 12588,
    "data_session_data_total": 16784,
}
_CONNECTIONS: Final[Mapping[ProbeCallbackKind, tuple[StreamEventType, Mapping[str, Any]]]] = {
    ProbeCallbackKind.EVENTS: (StreamEventType.SESSION_STARTED, {}),
    ProbeCallbackKind.NULL_LOCATION: (_SESSION_ENDED, _ENDED | {"imei": None, "location": None}),
}
"""The type, and the fields of these kinds of events; all others have all fields."""


def _connection(about: CallbackSubject) -> dict[str, Any]:
    return {
        "account_sid": about.account_sid,
        "sim_sid": about.sim_sid,
        "sim_iccid": "89883070000000000000",
        "sim_unique_name": about.name,
        "imsi": "732123200000001",
        "imei": None,
        "network": {
            "mcc": "310",
            "mnc": "260",
            "sid": f"HW{_IN_HEX}",
            "friendly_name": "T-Mobile",
            "iso_country": "US",
        },
        "apn": "super",
        "rat_type": "4G LTE",
        "ip_address": "100.64.0.1",
        "location": None,
        "data_session_sid": about.sid("PI"),
    }


def _sim_update(about: CallbackSubject) -> Event:
    return SimUpdated(about.account_sid, about.sim_sid, about.name, SimStatus.ACTIVE)


def _failed(about: CallbackSubject) -> Event:
    error = "The SIM's status could not be changed"
    sid, status = about.sim_sid, SimStatus.INACTIVE
    return SimUpdated(about.account_sid, sid, about.name, status, 83004, error)


def _sms(about: CallbackSubject, status: MessageStatus = MessageStatus.DELIVERED) -> Event:
    return SmsCommandChanged(
        account_sid=about.account_sid,
        command_sid=about.sid("HC"),
        sim_sid=about.sim_sid,
        sim_unique_name=about.name,
        status=status,
        direction=Direction.TO_SIM,
        payload="wake up",
    )


def _ip(about: CallbackSubject) -> Event:
    return IpCommandChanged(
        account_sid=about.account_sid,
        command_sid=about.sid("HG"),
        sim_sid=about.sim_sid,
        sim_unique_name=about.name,
        sim_iccid="89883070000000000000",
        status=IpStatus.RECEIVED,
        direction=Direction.FROM_SIM,
        device_ip="100.64.0.1",
        device_port=7,
        payload_type=PayloadType.BINARY,
        payload="cGluZyAvIHBvbmcgKz8=",
    )


def _esim(about: CallbackSubject) -> Event:
    return EsimProfileChanged(
        account_sid=about.account_sid,
        profile_sid=about.sid("HP"),
        sim_sid=about.sim_sid,
        iccid="89883070000000000000",
        eid="89049032000000000000000000000000",
        status=EsimStatus.AVAILABLE,
        smdp_plus_address="smdp.example",
        matching_id=about.mark,
        activation_code=f"LPA:1$smdp.example${about.mark}",
        error_code=None,
        error_message=None,
    )


def _command(about: CallbackSubject) -> Event:
    return CommandChanged(
        account_sid=about.account_sid,
        sim_unique_name=about.name,
        sim_sid=f"DE{_IN_HEX}",
        command_sid=about.sid("DC"),
        command_status=MessageStatus.RECEIVED,
        command_mode=PayloadType.TEXT,
        command="wake up",
    )


_EVENTS: Final[Mapping[ProbeCallbackKind, Callable[[CallbackSubject], Event]]] = {
    ProbeCallbackKind.SIM_UPDATE: _sim_update,
    ProbeCallbackKind.SIM_UPDATE_FAILED: _failed,
    ProbeCallbackKind.SMS_COMMAND_SENT: lambda about: _sms(about, MessageStatus.SENT),
    ProbeCallbackKind.SMS_COMMAND: _sms,
    ProbeCallbackKind.IP_COMMAND: _ip,
    ProbeCallbackKind.ESIM_PROFILE: _esim,
    ProbeCallbackKind.COMMAND: _command,
}

_VALUES: Final[Mapping[ProbeCallbackKind, Callable[[HttpMethod], list[tuple[str, str]]]]] = {
    ProbeCallbackKind.NON_ASCII: lambda _: [("Note", "Zürich, Ωmega, 東京, 🛰"), ("Größe", "ß")],
    ProbeCallbackKind.WHITE_SPACE: lambda _: [("Note", "  two  blanks, a\ttab, a\r\nline  ")],
    ProbeCallbackKind.EMPTY_VALUES: lambda _: [("Note", ""), ("Amount", "0")],
    ProbeCallbackKind.REPEATED_PARAMETERS: lambda _: [("Tag", "b"), ("Tag", "a"), ("Tag", "b")],
    ProbeCallbackKind.LONG_VALUES: lambda method: [("Note", "0123456789" * (_LONG[method] // 10))],
}
KINDS: Final = tuple(kind for kind in _EVENTS if kind is not ProbeCallbackKind.SMS_COMMAND_SENT)
"""The kinds of ordinary callbacks, without the test event."""
UNUSUAL: Final = (*_VALUES,)
"""The kinds of callbacks with unusual but valid values."""
STREAM_KINDS: Final = (
    ProbeCallbackKind.CONNECTION_EVENT,
    ProbeCallbackKind.TEST_EVENT,
    ProbeCallbackKind.BATCH,
    ProbeCallbackKind.NULL_LOCATION,
    ProbeCallbackKind.NON_ASCII_NAME,
)
"""The kinds of requests that test a receiver of an event stream, the plainest first."""
JSON_KINDS: Final = frozenset({*STREAM_KINDS, ProbeCallbackKind.EVENTS})
"""The kinds of requests whose body is JSON, not a form."""
MOST_EVENTS: Final = 50
"""The number of events in the largest batch of KORE's."""
