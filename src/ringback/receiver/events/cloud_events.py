"""Reads the JSON of event streams: arrays of CloudEvents, or a test event, of Twilio or KORE.

The format is CloudEvents 1.0 in JSON, in an array. Twilio's is said to be a single object at times,
which is read as an array of one. Reading never raises, whatever the body contains.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final, NoReturn, TypeAlias, cast

from ringback.core.events.kore_test_event import TEST_EVENT_TYPE
from ringback.receiver.events.unreadable_event import (
    EventParseError,
    UnknownEvent,
    missing,
    shown,
    unfit,
)

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""A JSON value as `json.loads` returns it."""

_VERSION: Final = "1.0"
_TEST_EVENTS: Final = (TEST_EVENT_TYPE, "com.twilio.eventstreams.test-event")
"""The types of both vendors' test events; Twilio's is in its blog of 2026-06-24."""
# RFC 3339, 5.6. `fromisoformat` alone also accepts a date without a time, or without an offset.
_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})"
)

_SORTS: Final[Mapping[type, str]] = {
    bool: "a truth value",
    int: "a number",
    float: "a number",
    str: "a text",
    list: "an array",
    dict: "an object",
    type(None): "null",
}


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """One event of an event stream, of Twilio or KORE."""

    id: str
    """The event's identifier, which is the same in each delivery of the event.

    All of an account's test events at Twilio have the same one: the SID of the account.
    """
    source: str
    type: str
    time: datetime | None
    """When the event happened, with its UTC offset, to the microsecond; None if not given."""
    subject: str | None
    dataschema: str | None
    data: Json
    """The event's payload; None if it has none."""


@dataclass(frozen=True, slots=True)
class CloudEvents:
    """The events of one request, in order; there may be just one."""

    events: tuple[CloudEvent, ...]


@dataclass(frozen=True, slots=True)
class TestEvent:
    """An event that KORE's portal or Twilio's API sends to test a URL.

    The application has nothing to do.
    """

    # Without this, pytest would collect the class as tests in every file that imports it.
    __test__: ClassVar = False

    test_id: str
    id: str
    time: datetime | None


def event_of_json(body: bytes) -> TestEvent | CloudEvents | UnknownEvent:
    """Return the events of a JSON body, or an UnknownEvent if they can't be read; never raises.

    A test event that is alone, as both vendors send it, is returned as a TestEvent. Attributes
    that CloudEvent has no field for are ignored.

    >>> event_of_json(b'{"id": "1"}').why
    'the body is an object; expected an array of CloudEvents'
    """
    try:
        return _read(_parse(body))
    except EventParseError as unreadable:
        return UnknownEvent((), str(unreadable))


def read_test_event(event: CloudEvent) -> TestEvent | None:
    """Return the test event that this event is; None for any other event.

    Raises EventParseError if it has no test id.
    """
    if event.type not in _TEST_EVENTS:
        return None
    return TestEvent(_required(event.data, "test_id", "[0].data"), event.id, event.time)


def _parse(body: bytes) -> Json:
    try:
        return cast(
            "Json",
            json.loads(
                body.decode(), object_pairs_hook=_without_repeats, parse_constant=_refuse_constant
            ),
        )
    except RecursionError:
        raise EventParseError("the body is nested too deeply to be read; expected JSON") from None
    except ValueError as problem:  # not UTF-8, not JSON, or a number with thousands of digits
        raise EventParseError(f"the body can't be read as JSON: {problem}") from None


def _without_repeats(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    document = dict(pairs)
    if len(document) < len(pairs):
        names = Counter(name for name, _ in pairs)
        repeated = shown(names.most_common(1)[0][0])
        raise EventParseError(f"the name {repeated} is given twice in one object; expected it once")
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise EventParseError(f"the body holds {name}, which is not valid JSON; expected a number")


def _read(document: Json) -> TestEvent | CloudEvents:
    if isinstance(document, dict) and "specversion" in document:
        document = [document]
    if not isinstance(document, list):
        raise EventParseError(f"the body is {_sort_of(document)}; expected an array of CloudEvents")
    events = tuple(_cloud_event(f"[{index}]", item) for index, item in enumerate(document))
    test = read_test_event(events[0]) if len(events) == 1 else None
    return test or CloudEvents(events)


def _cloud_event(place: str, item: Json) -> CloudEvent:
    version = _required(item, "specversion", place)
    if version != _VERSION:
        raise unfit(f"{place}.specversion", version, repr(_VERSION))
    return CloudEvent(
        id=_required(item, "id", place),
        source=_required(item, "source", place),
        type=_required(item, "type", place),
        time=_time(item, place),
        subject=_optional(item, "subject", place),
        dataschema=_optional(item, "dataschema", place),
        data=_object(item, place).get("data"),
    )


def _time(item: Json, place: str) -> datetime | None:
    given = _optional(item, "time", place)
    if given is None:
        return None
    time = read_rfc3339(given)
    if time is None:
        raise unfit(f"{place}.time", given, "a time in the format of RFC 3339")
    return time


def read_rfc3339(text: str) -> datetime | None:
    """Return a time in the format of RFC 3339, to the microsecond; None for any other text.

    >>> read_rfc3339("2024-10-15T08:30:02.1234567Z").isoformat(), read_rfc3339("2024-10-15")
    ('2024-10-15T08:30:02.123456+00:00', None)
    """
    try:
        # RFC 3339 allows lower case for both letters, T and Z.
        return datetime.fromisoformat(text.upper()) if _TIME.fullmatch(text.upper()) else None
    except ValueError:  # a date that doesn't exist, such as 30 February
        return None


def _required(item: Json, name: str, place: str) -> str:
    text = _optional(item, name, place)
    if not text:
        raise missing(f"{place}.{name}", "a text")
    return text


def _optional(item: Json, name: str, place: str) -> str | None:
    value = _object(item, place).get(name)
    if value is None or isinstance(value, str):
        return value
    raise EventParseError(f"{place}.{name} is {_sort_of(value)}; expected a text")


def _object(item: Json, place: str) -> dict[str, Json]:
    if isinstance(item, dict):
        return item
    raise EventParseError(f"{place} is {_sort_of(item)}; expected an object")


def _sort_of(value: Json) -> str:
    return _SORTS[type(value)]
