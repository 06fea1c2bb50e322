"""Waiting until callbacks have ended, and asking how."""

import time
from collections.abc import Iterator
from typing import Any, Final

from ringback.cli.portal import Portal

_EVERY_SECONDS: Final = 0.1
LONGEST_SECONDS: Final = 20
"""A round takes 15 s at the most, as long as there is no outage of ours."""


def ended(portal: Portal, sid: str, *, until: float) -> dict[str, Any]:
    """Return a callback once it has ended, or as it is when the stopwatch says this."""
    while True:
        callback = portal.get("callbacks", sid)
        if callback["status"] != "scheduled" or time.monotonic() >= until:
            return callback
        time.sleep(_EVERY_SECONDS)


def attempts_of_ended(portal: Portal, sids: list[str]) -> Iterator[list[dict[str, Any]]]:
    """Yield the attempts of each callback in turn, once it has ended or all have had their time."""
    until = time.monotonic() + LONGEST_SECONDS
    for sid in sids:
        ended(portal, sid, until=until)
        yield portal.get("callbacks", sid, "attempts")["attempts"]
