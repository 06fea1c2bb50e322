"""Times as people write them on a command line: an instant, or how long from now."""

from datetime import datetime, timedelta
from typing import Protocol

from ringback.core.calendar import read_duration
from ringback.portal_client import PortalClientError
from ringback.runtime.system_clock import SystemClock


class _Server(Protocol):
    def now(self) -> datetime:
        """Return the server's time; raises PortalClientError where it doesn't say."""
        ...


def ago(text: str | None, server: _Server) -> str | None:
    """Return the instant that `2h` was ago; whatever is no duration is the server's to read.

    >>> from types import SimpleNamespace
    >>> ago("2h", SimpleNamespace(now=lambda: datetime(2026, 11, 24, 10)))
    '2026-11-24T08:00:00.000000Z'
    """
    return _from(text, server, -1)


def ahead(text: str | None, server: _Server) -> str | None:
    """Return the instant in `2h` from now; whatever is no duration is the server's to read."""
    return _from(text, server, 1)


def _from(text: str | None, server: _Server, direction: int) -> str | None:
    if text is None:
        return None
    try:
        away: timedelta = read_duration(text)
    except ValueError:
        return text
    return f"{_now(server) + direction * away:%Y-%m-%dT%H:%M:%S.%fZ}"


def _now(server: _Server) -> datetime:
    try:
        return server.now()
    except PortalClientError:
        return SystemClock().now()
