"""Data usage of SIMs of either product: sessions that begin, end, and stop at a limit."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from ringback.core.calendar import HOUR, INSTANT
from ringback.core.sims.data_session import total_between, when_used
from ringback.ports import DataSessions, F

MOST_AT_ONCE: Final = 1_000_000_000
"""Bytes that a device can use at once, each way."""
_A_BURST: Final = HOUR // INSTANT
"""How many times as much an hour at this rate would use as one instant does."""


def end_sessions(sessions: DataSessions[F], sim_sid: str, now: datetime) -> None:
    """End the sessions that a SIM has now."""
    for session in sessions.of_sim(sim_sid, since=now):
        sessions.end(session.sid, now)


def end_when_used(
    sessions: DataSessions[F], session: F, left: int, now: datetime
) -> datetime | None:
    """End a session when it has used `left` more bytes; return when that is, or None for never."""
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
    """Return how many bytes a SIM has used from an instant on, up and down together.

    What its device used at once in that very instant counts, though it is dated to the one before.
    """
    before = since - INSTANT
    own = [session for session in sessions.of_sim(sim_sid, since=before) if of(session)]
    at_once = [session for session in own if session.date_created == before]
    others = [session for session in own if session.date_created != before]
    return total_between(at_once, before, now) + total_between(others, since, now)


def add_burst(
    sessions: DataSessions[F], session: F, *, upload: int, download: int, now: datetime
) -> None:
    """Record that this much was used at once."""
    # Dated to the instant before this one: usage is counted up to now, and would not show it yet.
    burst = replace(
        session,
        upload_per_hour=upload * _A_BURST,
        download_per_hour=download * _A_BURST,
        date_created=now - INSTANT,
        date_ended=now,
    )
    sessions.add(burst)
