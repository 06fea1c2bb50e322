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

    `ringback dev` has a clock of its own. Advance it instead of waiting for a retry or a date.
    """


@clock.command(
    "advance",
    examples={
        "ringback clock advance 5m": "Advance the clock of `ringback dev` by five minutes:",
        "ringback clock advance 72h": "Advance the clock of `ringback dev` by three days:",
    },
)
@argument("duration", help="How far to advance the clock, for example 90s, 5m, 2h or 3d.")
@prints_answer
@with_portal
def advance(*, duration: str, portal: "PortalClient") -> Output:
    """Advance the clock of `ringback dev` by a duration.

    Everything that is due within the duration happens now, in the order of its time: retries,
    scheduled callbacks, changes of SIMs. The clock can't be set back.
    """
    patient = replace(portal, timeout=_PATIENCE_SECONDS)
    return _output(patient.post("clock", form={"Advance": duration}))


@clock.command(
    "show", examples={"ringback clock show": "Show the time of the clock of `ringback dev`:"}
)
@prints_answer
@with_portal
def show(*, portal: "PortalClient") -> Output:
    """Show the clock's time, and how far it is ahead of the real time."""
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
