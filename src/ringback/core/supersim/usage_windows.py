"""Divides the usage of a data session among reports about it, so that their sums are exact.

A report covers a *window*: the time since the report before, usually `UPDATE_INTERVAL`. It has the
bytes of the session in this time, and those of the bursts (`operations/metering`) while the session
was running. A burst at the very end of a window counts in the next one, because it can come after
the report. Every byte counts in one window.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from ringback.core.sims.data_session import DataSession
from ringback.core.supersim.usage import SuperSimDataSession

UPDATE_INTERVAL: Final = timedelta(minutes=6)
"""The time between two reports about a running session, from a real event of Twilio."""


class UsageWindow(NamedTuple):
    """The bytes that a session used from `start` to `end`, and from its beginning to `end`."""

    start: datetime
    end: datetime
    upload: int
    download: int
    session_upload: int
    session_download: int


def follow(
    session: SuperSimDataSession, bursts: Iterable[DataSession], now: datetime
) -> SuperSimDataSession:
    """Return a session as it is if it has been reported from its beginning until now.

    Its next window begins where it would have begun then, so the sums since its beginning are
    right. `bursts` are all bursts while it was running.
    """
    passed = (now - session.date_created) // UPDATE_INTERVAL
    begun = replace(session, reported_until=session.date_created)
    return reported(begun, window_until(begun, bursts, _later(begun, passed)))


def next_report(session: SuperSimDataSession) -> datetime:
    """Return when a session that is followed has to be reported again."""
    return _later(session, 1)


def whole_windows(
    session: SuperSimDataSession, bursts: Sequence[DataSession], until: datetime, *, most: int
) -> list[UsageWindow]:
    """Return the next windows of a followed session that end by this instant, at most `most`.

    `bursts` are the bursts while it was running, at least those since its last report.
    """
    windows = list[UsageWindow]()
    for _ in range(min(_passed(session, until), most)):
        windows.append(window_until(session, bursts, next_report(session)))
        session = reported(session, windows[-1])
    return windows


def skip_windows(
    session: SuperSimDataSession, bursts: Iterable[DataSession], until: datetime
) -> SuperSimDataSession:
    """Return a followed session as it is after reports about all windows that end by `until`."""
    end = _later(session, _passed(session, until))
    return reported(session, window_until(session, bursts, end))


def window_until(
    session: SuperSimDataSession, bursts: Iterable[DataSession], end: datetime
) -> UsageWindow:
    """Return the window of a followed session from its last report to this instant."""
    start = _last_report(session)
    return _window(session, [one for one in bursts if start <= _moment(one) < end], end)


def last_window(
    session: SuperSimDataSession, bursts: Iterable[DataSession], end: datetime
) -> UsageWindow:
    """Return the window of a followed session from its last report to the session's end."""
    start = _last_report(session)
    return _window(session, [one for one in bursts if start <= _moment(one) <= end], end)


def burst_window(burst: DataSession) -> UsageWindow:
    """Return the only window of a burst while no session is running."""
    now = _moment(burst)
    used = burst.bytes_between(burst.date_created, now)
    return UsageWindow(now, now, *used, *used)


def reported(session: SuperSimDataSession, window: UsageWindow) -> SuperSimDataSession:
    """Return a session as it is after the report about a window."""
    return replace(
        session,
        reported_until=window.end,
        reported_upload=window.session_upload,
        reported_download=window.session_download,
    )


def _window(
    session: SuperSimDataSession, bursts: Iterable[DataSession], end: datetime
) -> UsageWindow:
    start = _last_report(session)
    parts = [session.bytes_between(start, end)]
    parts += [one.bytes_between(one.date_created, _moment(one)) for one in bursts]
    upload, download = (sum(part) for part in zip(*parts, strict=True))
    return UsageWindow(
        *(start, end, upload, download),
        session.reported_upload + upload,
        session.reported_download + download,
    )


def _later(session: SuperSimDataSession, count: int) -> datetime:
    return _last_report(session) + count * UPDATE_INTERVAL


def _passed(session: SuperSimDataSession, until: datetime) -> int:
    return max(0, (until - _last_report(session)) // UPDATE_INTERVAL)


def _last_report(session: SuperSimDataSession) -> datetime:
    if session.reported_until is None:
        raise ValueError(f"session {session.sid} is not followed")
    return session.reported_until


def _moment(burst: DataSession) -> datetime:
    """Return when a burst happened, which is its end."""
    return burst.date_ended or burst.date_created
