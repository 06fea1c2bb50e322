"""Requests that can't be read as an event, and the words that explain why."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_SHOWN: Final = 40


@dataclass(frozen=True, slots=True)
class UnknownEvent:
    """A callback that no record can hold: damaged, or of a kind or a value that came later."""

    parameters: tuple[tuple[str, str], ...]
    """Its parameters, as they came; none where it is JSON."""
    why: str
    """One sentence, for people: what was given, and what was expected."""


class EventParseError(Exception):
    """What came can't be read; the message becomes the `why` of an UnknownEvent."""


def unfit(name: str, given: str, expected: str) -> EventParseError:
    """Return the error for a value that is not as expected."""
    return EventParseError(f"{name} is {shown(given)}; expected {expected}")


def missing(name: str, expected: str) -> EventParseError:
    """Return the error for a value that is not there."""
    return EventParseError(f"{name} is missing; expected {expected}")


def shown(text: str) -> str:
    """Return a text as a message shows it: on one line, and no more than its beginning."""
    return repr(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!r}…"


def one_of(choices: Sequence[str]) -> str:
    """Return the choices in words.

    >>> one_of(["text", "binary", "none"])
    'text, binary or none'
    """
    *others, last = choices
    return f"{', '.join(others)} or {last}" if others else last
