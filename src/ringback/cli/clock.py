"""`ringback clock`: the time of a running `ringback dev`, and how it is made later."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from ringback.cli.base_command import argument, group
from ringback.cli.options import prints_answer
from ringback.cli.output import Output
from ringback.cli.portal_commands import with_portal
from ringback.portal_client import PortalClient

# All that comes due is done before the answer, and each hanging receiver takes its real time.
_PATIENCE_SECONDS: Final = 24 * 3600
_UNITS: Final = (
    ("d", timedelta(days=1)),
    ("h", timedelta(hours=1)),
    ("m", timedelta(minutes=1)),
    ("s", timedelta(seconds=1)),
)


@group()
def clock() -> None:
    """See what time it is for `ringback dev`, and make it later."""


@clock.command("advance")
@argument("duration")
@with_portal
@prints_answer
def advance(*, duration: str, portal: PortalClient) -> Output:
    """Let DURATION pass at once: 90s, 5m, 2h or 3d.

    Retries, callbacks for later and changes of SIMs that come due are done on the way, in their
    order, and each at its own time. There is no way back.
    """
    patient = replace(portal, timeout=_PATIENCE_SECONDS)
    return _output(patient.post("clock", form={"Advance": duration}))


@clock.command("show")
@with_portal
@prints_answer
def show(*, portal: PortalClient) -> Output:
    """Show what time it is, and how far ahead of this machine's time that is."""
    return _output(portal.get("clock"))


def _output(answer: Mapping[str, Any]) -> Output:
    ahead = timedelta(seconds=answer["ahead_seconds"])
    return answer, f"{answer['now']}  {ahead_in_words(ahead)}"


def ahead_in_words(ahead: timedelta) -> str:
    """Say how far ahead of the machine's time a clock is.

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
