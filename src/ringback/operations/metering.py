"""Measures the data usage of SIMs, and ends data sessions when a data limit is reached."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from ringback.core.calendar import HOUR, INSTANT
from ringback.core.sims.data_session import total_between, when_used
from ringback.ports import DataSessions, F

MOST_AT_ONCE: Final = 1_000_000_000
"""The most bytes that a device can use in one moment, in each direction."""
_A_BURST: Final = HOUR // INSTANT
"""The factor that converts the bytes of a burst, which lasts one `INSTANT`, to bytes per hour."""


def end_sessions(sessions: DataSessions[F], sim_sid: str, now: datetime) -> list[F]:
    """End all data sessions of a SIM that are running now, and return them as they were before."""
    running = sessions.of_sim(sim_sid, since=now)
    for session in running:
        sessions.end(session.sid, now)
    return running


def end_when_used(
    sessions: DataSessions[F], session: F, left: int, now: datetime
) -> datetime | None:
    """Set a session to end once it has used `left` more bytes, and return that time.

    If the session never uses that much, it stays open, and None is returned.
    """
    reached = when_used(left, session, since=now)
    if reached is not None:
        sessions.end(session.sid, reached)
    return reached


def used_since(
    sessions: DataSessions[F],
    sim_sid: str,
    since: datetime,
    now: datetime,
    *,
    of: Callable[[F], bool] = lambda _: True,
) -> int:
    """Return how many bytes a SIM has sent and received from `since` until `now`.

    Only sessions for which `of` returns True count. A burst of data at exactly `since` counts too,
    although `add_burst` dates it slightly earlier.
    """
    before = since - INSTANT
    own = [session for session in sessions.of_sim(sim_sid, since=before) if of(session)]
    at_once = [session for session in own if session.date_created == before]
    others = [session for session in own if session.date_created != before]
    return total_between(at_once, before, now) + total_between(others, since, now)


def add_burst(
    sessions: DataSessions[F], session: F, *, upload: int, download: int, now: datetime
) -> F:
    """Record that a device has just used this many bytes in one moment; return the record."""
    # It is dated one instant earlier: usage is counted until now, and would leave it out otherwise.
    burst = replace(
        session,
        upload_per_hour=upload * _A_BURST,
        download_per_hour=download * _A_BURST,
        date_created=now - INSTANT,
        date_ended=now,
    )
    sessions.add(burst)
    return burst
