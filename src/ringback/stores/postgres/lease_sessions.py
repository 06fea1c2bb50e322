"""What a process may conclude when the database session of another one has ended.

Each process has a session, and says in its row of `workers` which one. While it says so, it begins
requests only for a short time after that session has last answered. So another process that sees
the session gone needs to wait only a little longer than that. All times are milliseconds of the
process's own steady clock.
"""

import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

T = TypeVar("T")
ANSWERED_WITHIN: Final = 1500
"""How long a process may begin requests after it asked its session, and was answered."""
GONE_FOR: Final = 2500
"""For how long a session must have been gone until its process can't begin requests any more.

It is a second more, like the margin of leases.
"""
_SLOW: Final = 700
"""A session that may be relied on for no longer than this is not named in the row any more."""
_ALWAYS: Final = 1 << 62


@dataclass(eq=False)
class LeaseSession:
    """A session of this process, and until when it may begin requests."""

    key: int
    """The key of the advisory lock that the session holds."""
    server: datetime
    """When the database server was started in which the session is."""
    fresh_until: int = 0


class OwnSessions:
    """The sessions of this process: the newest one, and those that its row may name.

    A thread asks the sessions, while the event loop names them.
    """

    def __init__(self) -> None:
        self.newest: LeaseSession | None = None
        """The session that the next renewal is to name; None if there is none."""
        self._named: tuple[LeaseSession, ...] = ()
        self._lock = threading.Lock()
        self.fresh_until = _ALWAYS
        """Until when requests may begin."""

    def answered(self, session: LeaseSession, asked: int) -> None:
        """Note that a session has answered a question, asked at this time."""
        with self._lock:
            session.fresh_until = asked + ANSWERED_WITHIN
            self._look()

    def is_named(self, now: int) -> bool:
        """Return True if the row names the session that it should name, and no other."""
        best = self._best(now)
        return self._named == (() if best is None else (best,))

    def naming(self, now: int) -> LeaseSession | None:
        """Return the session that a renewal names, which begins now."""
        with self._lock:
            best = self._best(now)
            if best is not None and best not in self._named:
                self._named = (*self._named, best)
            self._look()
            return best

    def named(self, session: LeaseSession | None) -> None:
        """Note that a renewal has ended, after which the row names this session, or none."""
        with self._lock:
            self._named = () if session is None else (session,)
            self._look()

    def _best(self, now: int) -> LeaseSession | None:
        newest = self.newest
        is_slow = newest is None or newest.fresh_until - now < _SLOW
        return None if is_slow else newest

    def _look(self) -> None:
        self.fresh_until = min((one.fresh_until for one in self._named), default=_ALWAYS)


@dataclass(eq=False)
class GoneSessions:
    """The sessions of other processes that are gone, and since when this process has seen it."""

    _since: dict[object, int] = field(default_factory=dict[object, int])

    def ended(self, gone: Collection[T], *, asked: int, answered: int) -> list[T]:
        """Return those of the sessions that have been gone for long enough.

        The database was asked at `asked` which ones are gone, and has said so at `answered`.
        """
        self._since = {one: self._since.get(one, answered) for one in gone}
        return [one for one in gone if asked - self._since[one] >= GONE_FOR]
