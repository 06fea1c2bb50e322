"""`ringback clock`: show or advance the clock of a running `ringback dev`."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from ringback.cli.base_command import argument, group
from ringback.cli.options import prints_answer
from ringback.cli.output import Output
from ringback.cli.portal_commands import with_portal

if TYPE_CHECKING:
    from ringback.portal_client import PortalClient

# The server answers when everything that came due is done, and a slow receiver takes its real time.
_PATIENCE_SECONDS: Final = 24 * 3600
_UNITS: Final = (
    ("d", timedelta(days=1)),
    ("h", timedelta(hours=1)),
    ("m", timedelta(minutes=1)),
    ("s", timedelta(seconds=1)),
)


@group()
def clock() -> None:
    """Show or advance the clock of `ringback dev`.

    `ringback dev` has a clock of its own, so that you need not wait for retries and dates.
    """


@clock.command(
    "advance",
    examples={
        "ringback clock advance 5m": "Let five minutes pass:",
        "ringback clock advance 72h": "Let three days pass:",
    },
)
@argument("duration", help="How much time passes: 90s, 5m, 2h or 3d.")
@prints_answer
@with_portal
def advance(*, duration: str, portal: "PortalClient") -> Output:
    """Let time pass at once.

    Everything that comes due in this time happens in its order, each at its own time: retries,
    callbacks for later, changes of SIMs. The clock can't be set back.
    """
    patient = replace(portal, timeout=_PATIENCE_SECONDS)
    return _output(patient.post("clock", form={"Advance": duration}))


@clock.command("show", examples={"ringback clock show": "Show the time:"})
@prints_answer
@with_portal
def show(*, portal: "PortalClient") -> Output:
    """Show the server's time, and how far it was advanced."""
    return _output(portal.get("clock"))


def _output(answer: Mapping[str, Any]) -> Output:
    ahead = timedelta(seconds=answer["ahead_seconds"])
    return answer, f"{answer['now']}  {ahead_in_words(ahead)}"


def ahead_in_words(ahead: timedelta) -> str:
    """Return the difference between a clock and the machine's time, in words.

    >>> ahead_in_words(timedelta(days=3, seconds=5400))
    '3d 1h 30m ahead of the machine'
    >>> ahead_in_words(timedelta(0))
    "the machine's own time"
    """
    if not ahead:
        return "the machine's own time"
    parts, left = list[str](), ahead
    for name, unit in _UNITS:
        count, left = divmod(left, unit)
        parts += [f"{count}{name}"] if count else []
    return f"{' '.join(parts) or 'under 1s'} ahead of the machine"
