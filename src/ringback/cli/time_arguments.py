"""Options whose value is a time: an instant, or a duration before or after now."""

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from ringback.cli.base_command import option
from ringback.cli.options import Option, read_by
from ringback.core.calendar import read_duration

if TYPE_CHECKING:
    from ringback.portal_client import PortalClient

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?P<time>T.*)?")


def time_option(flag: str, help_: str, **more: Any) -> Option[Any]:
    """Return an option whose value is a time, as a text for `ago` or `ahead`."""
    return option(flag, metavar="WHEN", callback=read_by(_read_time), help=help_, **more)


def _read_time(text: str) -> str:
    """Return a duration or an instant unchanged, and a date with the time 00:00 in UTC.

    >>> _read_time("2h"), _read_time("2026-11-24")
    ('2h', '2026-11-24T00:00Z')
    """
    date = _DATE.fullmatch(text)
    if date is not None:
        return text if date["time"] else f"{text}T00:00Z"
    try:
        read_duration(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is not a time; write a duration like 2h, or a date like 2026-11-24 or"
            " 2026-11-24T10:00Z"
        ) from None
    return text


def ago(text: str | None, server: "PortalClient") -> str | None:
    """Turn a duration like `2h` into the time that long ago; return other text unchanged.

    >>> from types import SimpleNamespace
    >>> ago("2h", SimpleNamespace(now=lambda: datetime(2026, 11, 24, 10)))
    '2026-11-24T08:00:00.000000Z'
    """
    return _from(text, server, -1)


def ahead(text: str | None, server: "PortalClient") -> str | None:
    """Turn a duration like `2h` into the time that long from now; return other text unchanged."""
    return _from(text, server, 1)


def _from(text: str | None, server: "PortalClient", direction: int) -> str | None:
    if text is None:
        return None
    try:
        away: timedelta = read_duration(text)
    except ValueError:
        return text
    return f"{_now(server) + direction * away:%Y-%m-%dT%H:%M:%S.%fZ}"


def _now(server: "PortalClient") -> datetime:
    from ringback.portal_client import PortalClientError

    try:
        return server.now()
    except PortalClientError:
        # Only a clock that can be advanced is in the API; other servers use the machine's time.
        from ringback.runtime.system_clock import SystemClock

        return SystemClock().now()
