"""Times as people write them on a command line: an instant, or how long from now."""

from datetime import datetime, timedelta

from ringback.core.calendar import read_duration
from ringback.portal_client import PortalClient, PortalClientError
from ringback.runtime.system_clock import SystemClock


def ago(text: str | None, server: PortalClient) -> str | None:
    """Return the instant `2h` ago; text that is no duration is returned as it is.

    >>> from types import SimpleNamespace
    >>> ago("2h", SimpleNamespace(now=lambda: datetime(2026, 11, 24, 10)))
    '2026-11-24T08:00:00.000000Z'
    """
    return _from(text, server, -1)


def ahead(text: str | None, server: PortalClient) -> str | None:
    """Return the instant `2h` from now; text that is no duration is returned as it is."""
    return _from(text, server, 1)


def _from(text: str | None, server: PortalClient, direction: int) -> str | None:
    if text is None:
        return None
    try:
        away: timedelta = read_duration(text)
    except ValueError:
        return text
    return f"{_now(server) + direction * away:%Y-%m-%dT%H:%M:%S.%fZ}"


def _now(server: PortalClient) -> datetime:
    try:
        return server.now()
    except PortalClientError:
        # A server whose clock can't be advanced doesn't say its time; it is the machine's.
        return SystemClock().now()
