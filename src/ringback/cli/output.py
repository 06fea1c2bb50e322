"""How commands print: JSON for programs or lines for people, colours and counts."""

import json
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from ringback.core.errors import ConfigurationError

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
"""What a command prints: a record for programs, and a text or lines with the same for people."""


def say(record: Mapping[str, Any], words: str | Iterable[str], *, as_json: bool) -> None:
    """Print the record as JSON, or else the words for people."""
    if as_json:
        click.echo(json.dumps(record))
        return
    for line in [words] if isinstance(words, str) else words:
        click.echo(line)


def confirm(question: str, reason: str) -> None:
    """Ask a question, and go on only if the answer is yes.

    Raises ConfigurationError, with the reason for the question, if nobody can answer it.
    """
    if not sys.stdin.isatty():
        raise ConfigurationError(f"{reason}, and standard input is not a terminal: pass --yes")
    # On stderr, so that --json prints nothing but JSON.
    click.confirm(question, abort=True, err=True)


def styled(line: "TerminalLine") -> str:
    """Return a line's text in the colour of its style."""
    return click.style(line.text, **_STYLES[line.style.name])


def on_one_line(text: str) -> str:
    r"""Return a text with a space for each control character, which could steer a terminal.

    >>> on_one_line("a\nb\x1b[2J")
    'a b [2J'
    """
    return "".join(char if char.isprintable() else " " for char in text)
