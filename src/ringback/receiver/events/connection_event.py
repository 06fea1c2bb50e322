"""Reads an event of a stream as a typed record: a ConnectionEvent of a Super SIM, or a TestEvent.

The fields are those of `SuperSim.ConnectionEvent`, versions 1 and 2
(twilio.com/docs/events/event-types/internet-of-things/super-sim). KORE sends the same data.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, TypeAlias, TypeVar

from ringback.receiver.events.cloud_events import (
    CloudEvent,
    Json,
    TestEvent,
    read_rfc3339,
    read_test_event,
)
from ringback.receiver.events.unreadable_event import EventParseError

T = TypeVar("T")

# Twilio's own prefix; KORE kept it, but a public receiver of KORE's events expects KORE's.
_PREFIXES: Final = ("com.twilio.iot.supersim.connection.", "com.kore.iot.supersim.connection.")
_NOTHING: Final[Mapping[str, Json]] = MappingProxyType({})


class ConnectionEventType(StrEnum):
    """What happened to a SIM's connection; each value is the end of the event's type."""

    ATTACHMENT_ACCEPTED = "attachment.accepted"
    ATTACHMENT_REJECTED = "attachment.rejected"
    ATTACHMENT_FAILED = "attachment.failed"
    DATA_SESSION_STARTED = "data-session.started"
    DATA_SESSION_UPDATED = "data-session.updated"
    DATA_SESSION_ENDED = "data-session.ended"
    DATA_SESSION_FAILED = "data-session.failed"


@dataclass(frozen=True, slots=True)
class VisitedNetwork:
    """The mobile network that a SIM is in."""

    mcc: str | None = None
    mnc: str | None = None
    sid: str | None = None
    friendly_name: str | None = None
    iso_country: str | None = None
    """The country's two letters (ISO 3166-1)."""


@dataclass(frozen=True, slots=True)
class CellLocation:
    """The radio cell that a SIM is in, and the place of the cell in degrees."""

    cell_id: str | None = None
    lac: str | None = None
    lat: float | None = None
    lon: float | None = None


@dataclass(frozen=True, slots=True)
class EventError:
    """Why an attachment or a data session was rejected or has failed."""

    code: int
    """An error code of Twilio's, such as 83705: the SIM is inactive."""
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionEvent:
    """An event about the connection of a Super SIM; the same from Twilio and from KORE.

    Every optional field is None if it is null or absent: most belong to some types only, and a
    visited network may not pass on `imei` or the location.
    """

    type: ConnectionEventType
    event_sid: str
    """The SID of the event (EZ…), which is the same from both sources."""
    timestamp: datetime
    """When it happened; events may come in any order."""
    account_sid: str
    sim_sid: str
    sim_iccid: str
    sim_unique_name: str | None = None
    fleet_sid: str | None = None
    imsi: str | None = None
    imei: str | None = None
    network: VisitedNetwork | None = None
    location: CellLocation | None = None
    rat_type: str | None = None
    """The radio technology, such as `4G LTE`."""
    apn: str | None = None
    ip_address: str | None = None
    data_session_sid: str | None = None
    data_session_start_time: datetime | None = None
    data_session_end_time: datetime | None = None
    data_session_update_start_time: datetime | None = None
    """With `data_session_update_end_time`, the time in which the next three were counted."""
    data_session_update_end_time: datetime | None = None
    data_upload: int | None = None
    """Bytes since the last event of the data session; so are the next two."""
    data_download: int | None = None
    data_total: int | None = None
    data_session_data_upload: int | None = None
    """Bytes of the data session so far; so are the next two. Version 1 has none of them."""
    data_session_data_download: int | None = None
    data_session_data_total: int | None = None
    data_modifier: str | None = None
    """Set if data is blocked, for example by the data limit."""
    error: EventError | None = None
    cloud_event: CloudEvent = field(repr=False, compare=False)
    """The event as it came, with its envelope, its whole type, and fields that are not above."""


TypedEvent: TypeAlias = ConnectionEvent | TestEvent | CloudEvent
"""The types that `typed_event` returns."""


def typed_event(event: CloudEvent) -> TypedEvent:
    """Return an event as a ConnectionEvent or a TestEvent, or else unchanged; never raises.

    An event of another type stays a CloudEvent, and so does one that lacks a required field, or has
    a field of the wrong type. Unknown fields are ignored.
    """
    try:
        return read_test_event(event) or _connection_event(event) or event
    except EventParseError:
        return event


def event_sid_of(event: CloudEvent) -> str | None:
    """Return the event's `data.event_sid`, which is the same from both sources; None if absent."""
    return _reader(event.data).optional("event_sid", _text)


def _connection_event(event: CloudEvent) -> ConnectionEvent | None:
    prefix = next((each for each in _PREFIXES if event.type.startswith(each)), None)
    if prefix is None or event.type.removeprefix(prefix) not in [*ConnectionEventType]:
        return None
    of = _reader(event.data)
    given: dict[str, Any] = {name: of.required(name, read) for name, read in _REQUIRED.items()}
    given |= {name: of.optional(name, read) for name, read in _OPTIONAL.items()}
    kind = ConnectionEventType(event.type.removeprefix(prefix))
    return ConnectionEvent(type=kind, cloud_event=event, **given)


@dataclass(frozen=True, slots=True)
class _Fields:
    """Reads the fields of a JSON object; null counts as absent."""

    values: Mapping[str, Json]

    def required(self, name: str, read: Callable[[Json], T]) -> T:
        """Return a field's value; raises EventParseError if it is absent or of a wrong type."""
        value = self.optional(name, read)
        if value is None:
            raise EventParseError(f"data.{name} is missing")
        return value

    def optional(self, name: str, read: Callable[[Json], T]) -> T | None:
        """Return a field's value or None; raises EventParseError if it is of a wrong type."""
        value = self.values.get(name)
        return None if value is None else read(value)


def _reader(value: Json) -> _Fields:
    return _Fields(value if isinstance(value, dict) else _NOTHING)


def _text(value: Json) -> str:
    if isinstance(value, str):
        return value
    raise EventParseError("expected a text")


def _whole(value: Json) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise EventParseError("expected a whole number")


def _number(value: Json) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            pass
    raise EventParseError("expected a number")


def _instant(value: Json) -> datetime:
    time = read_rfc3339(_text(value))
    if time is None:
        raise EventParseError("expected a time in the format of RFC 3339")
    return time


def _object(value: Json) -> _Fields:
    if isinstance(value, dict):
        return _Fields(value)
    raise EventParseError("expected an object")


def _network(value: Json) -> VisitedNetwork:
    of = _object(value)
    return VisitedNetwork(*(of.optional(each.name, _text) for each in fields(VisitedNetwork)))


def _location(value: Json) -> CellLocation:
    of = _object(value)
    return CellLocation(
        of.optional("cell_id", _text),
        of.optional("lac", _text),
        of.optional("lat", _number),
        of.optional("lon", _number),
    )


def _error(value: Json) -> EventError:
    of = _object(value)
    return EventError(of.required("code", _whole), of.optional("message", _text))


_REQUIRED: Final[Mapping[str, Callable[[Json], object]]] = {
    **dict.fromkeys(("event_sid", "account_sid", "sim_sid", "sim_iccid"), _text),
    "timestamp": _instant,
}
_TIMES: Final = tuple(
    f"data_session_{which}_time" for which in ("start", "end", "update_start", "update_end")
)
_COUNTS: Final = tuple(
    f"{of}_{way}" for of in ("data", "data_session_data") for way in ("upload", "download", "total")
)
_TEXTS: Final = (
    *("sim_unique_name", "fleet_sid", "imsi", "imei", "rat_type", "apn", "ip_address"),
    *("data_session_sid", "data_modifier"),
)
_OPTIONAL: Final[Mapping[str, Callable[[Json], object]]] = {
    **dict.fromkeys(_TEXTS, _text),
    **dict.fromkeys(_TIMES, _instant),
    **dict.fromkeys(_COUNTS, _whole),
    "network": _network,
    "location": _location,
    "error": _error,
}
