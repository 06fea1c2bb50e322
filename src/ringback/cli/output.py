"""How commands print: JSON for programs or lines for people, colours and schedules."""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from ringback.core.retry_schedule import SCHEDULES, RetrySchedule

if TYPE_CHECKING:
    from ringback.dev_receiver.callback_report import TerminalLine

# Keyed by name, since importing dev_receiver for its styles would slow down every command.
_STYLES: Final[Mapping[str, Mapping[str, Any]]] = {
    "TITLE": {"bold": True},
    "PLAIN": {},
    "GOOD": {"fg": "green"},
    "BAD": {"fg": "red"},
    "HINT": {"fg": "yellow"},
}

Output = tuple[Mapping[str, Any], str | Iterable[str]]
"""What a command prints: a record for programs, and words or lines that say the same to people."""


def say(record: Mapping[str, Any], words: str | Iterable[str], *, as_json: bool) -> None:
    """Print a record as JSON, or these words instead."""
    if as_json:
        click.echo(json.dumps(record))
        return
    for line in [words] if isinstance(words, str) else words:
        click.echo(line)


def styled(line: "TerminalLine") -> str:
    """Return a line in the colour of its style."""
    return click.style(line.text, **_STYLES[line.style.name])


def schedule_in_words(schedule: RetrySchedule) -> str:
    """Return a schedule's name, else its waits.

    >>> parse = RetrySchedule.parse
    >>> schedule_in_words(parse("persistent")), schedule_in_words(parse("5s,1m"))
    ('persistent', '5s,60s')
    """
    names = (name for name, waits in SCHEDULES.items() if waits == schedule.waits)
    return next(names, ",".join(f"{wait.total_seconds():g}s" for wait in schedule.waits))
