"""Defines UnknownEvent, for requests that can't be read as an event, and its messages."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_SHOWN: Final = 40


@dataclass(frozen=True, slots=True)
class UnknownEvent:
    """A callback that can't be read: it is damaged, or has an unknown kind or value."""

    parameters: tuple[tuple[str, str], ...]
    """The callback's decoded parameters, in order; empty if the body is JSON."""
    why: str
    """One sentence for people: what was received, and what was expected."""


class EventParseError(Exception):
    """The callback can't be read as an event; the message becomes the UnknownEvent's `why`."""


def unfit(name: str, given: str, expected: str) -> EventParseError:
    """Return the error for a parameter whose value is invalid."""
    return EventParseError(f"{name} is {shown(given)}; expected {expected}")


def missing(name: str, expected: str) -> EventParseError:
    """Return the error for a missing parameter."""
    return EventParseError(f"{name} is missing; expected {expected}")


def shown(text: str) -> str:
    """Return the text for a message: quoted, on one line, and cut to 40 characters."""
    return repr(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!r}…"


def one_of(choices: Sequence[str]) -> str:
    """Return the choices joined with commas and "or".

    >>> one_of(["text", "binary", "none"])
    'text, binary or none'
    """
    *others, last = choices
    return f"{', '.join(others)} or {last}" if others else last
