"""Turns a callback's form parameters back into the record that the sender made them from.

Reading uses the sender's own table of parameters, so that reading and sending always agree.
Parameters that fit no record become an UnknownEvent; reading never raises.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from types import NoneType
from typing import Any, Final, get_args, get_type_hints

from ringback.core.events.event_kinds import MARKS
from ringback.core.events.payload import PARAMETERS
from ringback.core.events.payload import Event as SenderEvent
from ringback.core.sids import SidKind
from ringback.core.sims.sim_updated import SimUpdated
from ringback.core.supersim.events import EsimProfileChanged, IpCommandChanged, SmsCommandChanged
from ringback.core.supersim.sim import SimStatus
from ringback.core.wireless.events import CommandChanged
from ringback.core.wireless.sim import WirelessStatus
from ringback.receiver.events.unreadable_event import (
    EventParseError,
    UnknownEvent,
    missing,
    one_of,
    unfit,
)

_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_REQUIRED: Final = object()


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of an event record, and how to read its value from a callback's parameters."""

    name: str
    parameters: tuple[str, ...]
    """The names of the parameter that holds the value: older names first, the newest last."""
    read: Callable[[str], object]
    """Converts the parameter's text to the value; raises ValueError if the text is invalid."""
    expected: str
    """The expected value in words, for messages."""
    without: object
    """The value if none of the parameters is present; `_REQUIRED` if that is an error."""
    is_constant: bool = False
    """True if the value is the same in all records of the kind: it is checked, but not stored."""

    def value_in(self, by_name: Mapping[str, str]) -> object:
        """Return the field's value; raises EventParseError if it is missing or invalid."""
        name = next((name for name in reversed(self.parameters) if name in by_name), None)
        if name is None:
            if self.without is _REQUIRED:
                raise missing(self.parameters[-1], self.expected)
            return self.without
        try:
            return self.read(by_name[name])
        except ValueError:
            raise unfit(name, by_name[name], self.expected) from None


@dataclass(frozen=True, slots=True)
class _Layout:
    """The record class for one kind of callback, and how to read its fields."""

    record: type[SenderEvent]
    fields: tuple[_Field, ...]

    def read(self, by_name: Mapping[str, str]) -> SenderEvent:
        """Return the record with these parameters' values; raises EventParseError if one is bad."""
        values = [(field, field.value_in(by_name)) for field in self.fields]
        given: dict[str, Any] = {f.name: value for f, value in values if not f.is_constant}
        return self.record(**given)


def _layout(
    record: type[SenderEvent], *, body: str | None = None, **narrower: type[StrEnum]
) -> _Layout:
    """Return the description by which parameters are read into a record of this class.

    It is made from the table that the sender uses, and from the types of the record's fields.
    `body` names the field that may be the empty string. `narrower` has other types for fields that
    can have only some of the values of their own type.
    """
    types = get_type_hints(record) | narrower
    settable = {field.name for field in fields(record)}
    return _Layout(
        record,
        tuple(
            _field(name, parameters, types[name], without="" if name == body else _REQUIRED)
            if name in settable
            else _constant(name, parameters, getattr(record, name))
            for name, parameters in _parameters_by_field(record)
        ),
    )


def _parameters_by_field(record: type[SenderEvent]) -> Iterator[tuple[str, tuple[str, ...]]]:
    table = PARAMETERS[record]
    for name in dict.fromkeys(field for _, field in table):
        yield name, tuple(parameter for parameter, field in table if field == name)


def _field(name: str, parameters: tuple[str, ...], of: Any, *, without: object) -> _Field:
    kinds = get_args(of) or (of,)
    read, expected = _reading(kinds[0])
    default = None if NoneType in kinds else without
    return _Field(name, parameters, read, expected, default)


def _constant(name: str, parameters: tuple[str, ...], value: str) -> _Field:
    def read(text: str) -> str:
        if text != value:
            raise ValueError(text)
        return value

    return _Field(name, parameters, read, value, without=value, is_constant=True)


def _reading(kind: type) -> tuple[Callable[[str], object], str]:
    """Return the function that converts a text to this type, and a description of valid texts."""
    if issubclass(kind, StrEnum):
        return kind, one_of(list(kind))
    return {str: (str, "a text"), int: (_number, "a number of at most 9 digits")}[kind]


def _number(text: str) -> int:
    # Stricter than `int`, which also accepts spaces, underscores and the digits of all scripts.
    if _NUMBER.fullmatch(text) is None:
        raise ValueError(text)
    return int(text)


# The layouts by the prefix of the SID that shows the kind of event. Both products report a SIM with
# the same record, but each has its own statuses.
_LAYOUTS: Final[Mapping[str, _Layout]] = {
    SidKind.ESIM_PROFILE: _layout(EsimProfileChanged),
    SidKind.SMS_COMMAND: _layout(SmsCommandChanged, body="payload"),
    SidKind.IP_COMMAND: _layout(IpCommandChanged, body="payload"),
    SidKind.COMMAND: _layout(CommandChanged, body="command"),
    SidKind.SIM: _layout(SimUpdated, sim_status=SimStatus),
    SidKind.WIRELESS_SIM: _layout(SimUpdated, sim_status=WirelessStatus),
}


def event_of_form(parameters: Iterable[tuple[str, str]]) -> SenderEvent | UnknownEvent:
    """Return the event of decoded parameters, or an UnknownEvent if none fits; never raises.

    If a name repeats, its last value counts: in a GET, the sender adds its parameters after the
    URL's own query. A URL's own query should therefore not use the names of callback parameters.

    Unknown names are ignored. An empty value counts as missing, since senders leave out parameters
    without a value.

    >>> event_of_form([("SimSid", "HS01"), ("SimStatus", "lost"), ("AccountSid", "AC01")]).why
    "SimStatus is 'lost'; expected new, ready, active, inactive or scheduled"
    """
    given = tuple(parameters)
    by_name = {name: value for name, value in dict(given).items() if value}
    try:
        return _layout_for(by_name).read(by_name)
    except EventParseError as unreadable:
        return UnknownEvent(given, str(unreadable))


def _layout_for(by_name: Mapping[str, str]) -> _Layout:
    mark = next((mark for mark in MARKS if mark.parameter in by_name), None)
    if mark is None:
        marks = one_of([mark.parameter for mark in MARKS])
        raise EventParseError(
            f"the parameters have no {marks}; expected one of these, which shows"
            " the kind of callback"
        )
    prefixes = MARKS[mark]
    expected = f"a SID that begins with {one_of(list(prefixes))}"
    if mark.sid not in by_name:
        raise missing(mark.sid, expected)
    sid = by_name[mark.sid]
    if sid[:2] not in prefixes:
        raise unfit(mark.sid, sid, expected)
    return _LAYOUTS[sid[:2]]
