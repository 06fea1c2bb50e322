"""The colours of lines for people."""

from collections.abc import Mapping
from typing import Any, Final

import click

from ringback.listener.report import Line, Tone

_STYLES: Final[Mapping[Tone, Mapping[str, Any]]] = {
    Tone.TITLE: {"bold": True},
    Tone.PLAIN: {},
    Tone.GOOD: {"fg": "green"},
    Tone.BAD: {"fg": "red"},
    Tone.HINT: {"fg": "yellow"},
}


def styled(line: Line) -> str:
    """Return a line in the colour of its tone."""
    return click.style(line.text, **_STYLES[line.tone])
