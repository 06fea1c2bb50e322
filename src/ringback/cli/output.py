"""How commands print: the one place through which all printed text passes.

Texts come from callbacks, files and servers, so a control character in one is printed as an escape.
Only colours from `style` and moves of the cursor by `overwrite` reach the terminal as they are. The
log has its own handler, in `log_output`, which escapes in the same way.
"""

import io
import json
import re
import sys
import traceback
from collections.abc import Iterable, Mapping
from functools import cache
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import click

from ringback.core.errors import ConfigurationError
from ringback.core.visible_text import visible, visible_json

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
_TO_THE_START: Final = "\r"
_CLEAR_THE_REST: Final = "\x1b[K"

Output = tuple[Mapping[str, Any], str | Iterable[str]]
"""What a command prints: a record for programs, and a text or lines with the same for people."""


# ---- printing ------------------------------------------------------------------------------------


def echo(line: str = "", *, err: bool = False) -> None:
    """Print one line to stdout, or to stderr; even a line break in it is printed as an escape."""
    click.echo(_printed(line), err=err)


def echo_text(text: str, *, nl: bool = True, err: bool = False) -> None:
    """Print a text of ours that has several lines, such as a diff; its line breaks and tabs stay.

    With `nl` another line break follows.
    """
    click.echo(_printed(text, keep="\t\n"), nl=nl, err=err)


def overwrite(line: str, *, stays_open: bool, err: bool) -> None:
    """Print a line over the last one on a terminal; the next one can overwrite it if it is open."""
    text = f"{_TO_THE_START}{_printed(line)}{_CLEAR_THE_REST}"
    click.echo(text, nl=not stays_open, err=err)


def say(record: Mapping[str, Any], words: str | Iterable[str], *, as_json: bool) -> None:
    """Print the record as JSON, or else the words for people.

    Only words that are one text, not lines, may have line breaks.
    """
    if as_json:
        echo(json_line(record))
        return
    if isinstance(words, str):
        echo_text(words)
        return
    for line in words:
        echo(line)


def json_line(record: Mapping[str, Any], *, ensure_ascii: bool = True) -> str:
    """Return a record as JSON on one line."""
    return visible_json(json.dumps(record, ensure_ascii=ensure_ascii))


def ask(question: str, *, err: bool) -> None:
    """Ask a question, and end the command if the answer is not yes."""
    click.confirm(visible(question), abort=True, err=err)


def confirm(question: str, reason: str) -> None:
    """Ask a question, and go on only if the answer is yes.

    Raises ConfigurationError, with the reason for the question, if nobody can answer it.
    """
    if not sys.stdin.isatty():
        raise ConfigurationError(f"{reason}, and standard input is not a terminal: pass --yes")
    # On stderr, so that --json prints nothing but JSON.
    ask(question, err=True)


def show_failure(failure: click.ClickException) -> None:
    """Print an error of the command line on stderr, as click words it."""
    text = io.StringIO()
    failure.show(text)
    echo_text(text.getvalue(), nl=False, err=True)


def print_uncaught(
    kind: type[BaseException], failure: BaseException, trace: TracebackType | None
) -> None:
    """Print an error of Ringback itself on stderr; a `sys.excepthook`."""
    echo_text("".join(traceback.format_exception(kind, failure, trace)), nl=False, err=True)


@cache
def _our_mark() -> str:
    """Return how a colour of ours begins until it is printed: no text of others has this number."""
    from ringback.runtime.system_clock import SystemRandomSource

    return f"\x1b[{int.from_bytes(SystemRandomSource().bytes(8))};"


def _printed(text: str, *, keep: str = "") -> str:
    """Return a text as it is printed: escaped, but with the colours that `style` gave it."""
    if text.isprintable():
        return text
    # Every second part is a colour of ours.
    parts = re.split(rf"{re.escape(_our_mark())}([0-9;]*m)", text)
    return "".join(
        f"\x1b[{part}" if at % 2 else visible(part, keep=keep) for at, part in enumerate(parts)
    )


# ---- texts for people ----------------------------------------------------------------------------


def style(text: str, *, fg: str | None = None, bold: bool = False, dim: bool = False) -> str:
    """Return a text in this colour; only printing it makes it a colour of the terminal."""
    # None for what isn't wanted: click writes a sequence for False, too.
    around = click.style("\0", fg=fg, bold=bold or None, dim=dim or None)
    return around.replace("\x1b[", _our_mark()).replace("\0", text)


def styled(line: "TerminalLine") -> str:
    """Return a line's text in the colour of its style."""
    return style(line.text, **_STYLES[line.style.name])
