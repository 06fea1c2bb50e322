"""How a stored batch names its events, in place of their text, which is stored only once.

A batch's events can differ in the version of their schema, so there is a part for each run of the
same version: the version, a colon, and the numbers of the events in base 36, each but the first as
the difference to the one before. An array's text begins with `[`; that of a single event outside an
array, such as a record of a Kinesis stream, with `{`.

>>> write_references([EventReference(1000, 2), EventReference(1010, 2), EventReference(1009, 1)])
'[2:rs,a;1:s1'
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from ringback.core.policy.source_policy import Source
from ringback.core.streams.stream_event import EventChoice, StreamEvent, write_batch, write_event

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_KORE_PREFIX: Final = "k"
"""Follows the version if the types of events from kore begin with `com.kore.`."""


EventsByNumber = Callable[[Sequence[int]], Sequence[StreamEvent]]
"""Returns the stored events that have these numbers, in the same order."""


class EventReference(NamedTuple):
    """The number of a stored event, and the version of the schema in which a batch has it."""

    number: int
    version: int
    has_kore_prefix: bool = False


def write_references(references: Iterable[EventReference], *, is_array: bool = True) -> str:
    """Return the text that names these events, in their order."""
    parts = list[str]()
    for (version, has_prefix), run in groupby(references, key=lambda one: one[1:]):
        before, numbers = 0, list[str]()
        for number, *_ in run:
            numbers.append(_written(number - before))
            before = number
        parts.append(f"{version}{_KORE_PREFIX if has_prefix else ''}:{','.join(numbers)}")
    return ("[" if is_array else "{") + ";".join(parts)


def read_references(text: str) -> list[EventReference]:
    """Return the events that such a text names, in their order."""
    found = list[EventReference]()
    for part in text[1:].split(";"):
        version, _, numbers = part.partition(":")
        number, has_prefix = 0, version.endswith(_KORE_PREFIX)
        shown = int(version.removesuffix(_KORE_PREFIX))
        for written in numbers.split(","):
            number += int(written, 36)
            found.append(EventReference(number, shown, has_prefix))
    return found


def body_of_references(text: str, source: Source, events: EventsByNumber) -> str:
    """Return the body that a source sends for such a text; `events` looks the events up."""
    references = read_references(text)
    found = events([one.number for one in references])
    has_prefix = references[0].has_kore_prefix
    pairs = zip(found, references, strict=True)
    choices = [EventChoice(event, reference.version) for event, reference in pairs]
    if text.startswith("{"):
        return write_event(source, *choices[0], has_kore_prefix=has_prefix)
    return write_batch(source, choices, has_kore_prefix=has_prefix)


def _written(number: int) -> str:
    digits, rest = "", abs(number)
    while rest or not digits:
        rest, digit = divmod(rest, 36)
        digits = _DIGITS[digit] + digits
    return f"-{digits}" if number < 0 else digits
