"""The processes that share a PostgreSQL database, and what they announce to each other.

Everything here has a thread and connections of its own, so that leases are renewed in time however
much work waits for the store.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Final, TypeVar
from uuid import UUID

import psycopg

from ringback.core.callbacks.shards import SHARDS, shard_of
from ringback.core.errors import StoreUnavailable
from ringback.core.newest_entries import NewestEntries
from ringback.ports import ClusterMember, LeaseChange, News
from ringback.runtime.system_clock import SystemClock, steady_milliseconds
from ringback.stores.postgres import leases
from ringback.stores.postgres.connections import Connection, Dsn, execute, transaction
from ringback.stores.postgres.failures import detail, unavailable
from ringback.stores.postgres.lease_sessions import GoneSessions, LeaseSession, OwnSessions
from ringback.stores.postgres.leases import MARGIN, Shares, WorkerIdentity
from ringback.stores.postgres.life_lock import remove_life_lock
from ringback.stores.postgres.schema import make_missing_partitions

T = TypeVar("T")
_log = logging.getLogger(__name__)

_CHANNEL: Final = "ringback"
_NOTICE_EVERY: Final = 0.01
"""Seconds between two announcements at least: `NOTIFY` takes a lock that all commits need."""
_A_DAY: Final = 24 * 3_600_000
"""Milliseconds."""
_MOST_DESTINATIONS: Final = 20_000
_LOOK_UP_EVERY: Final = 0.5
"""Seconds for which the listener waits before it looks whether it should end."""
_LISTEN_AGAIN: Final = 1.0
"""Seconds before the listener connects again."""


class PostgresCluster:
    """Implements `ports.Cluster` for one of the processes that use a database."""

    is_shared = True

    def __init__(
        self,
        dsn: Dsn,
        own: WorkerIdentity,
        *,
        renumbered: Callable[[int], None],
        has_notifications: bool = True,
    ) -> None:
        """Take part as `own`, which is registered; `renumbered` is called if its number changes."""
        self._dsn = dsn
        self._own = own
        self._renumbered = renumbered
        self._epochs = dict[int, int]()
        """The number of the lease on each shard that this process owns."""
        self._surplus = frozenset[int]()
        self._until = 0
        """Until when requests may begin, by the steady clock, in milliseconds."""
        self._shard_of = NewestEntries[str, int](_MOST_DESTINATIONS)
        self._connection: Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ringback-leases")
        self._has_notifications = has_notifications
        self._news = News()
        """What has to be announced."""
        self._next_notice = 0.0
        """When the next announcement may be sent, by the event loop's clock."""
        self._listeners = list[Callable[[News], None]]()
        self._listener: threading.Thread | None = None
        self.hears = threading.Event()
        """Set while announcements of other processes arrive."""
        self._is_closed = threading.Event()
        self._next_partitions = 0
        self._sessions = OwnSessions()
        self._gone = GoneSessions()
        self.clock_difference = timedelta(0)

    @property
    def worker(self) -> UUID:
        """The id of this process; it changes when the process loses its leases."""
        return self._own.worker

    def lease_on(self, destination: str) -> int | None:
        shard = self._shard(destination)
        return None if shard in self._surplus else self._epochs.get(shard)

    def may_send(self, destination: str, lease: int) -> bool:
        is_owned = self._epochs.get(self._shard(destination)) == lease
        now = steady_milliseconds()
        return is_owned and now < self._until and now < self._sessions.fresh_until

    async def renew(self) -> LeaseChange:
        before, returning = dict(self._epochs), self._surplus
        for shard in returning:
            # It may belong to another process before the answer is here.
            self._epochs.pop(shard, None)
        await asyncio.wrap_future(self._thread.submit(self._make_partitions))
        asked = steady_milliseconds()
        session = self._sessions.naming(asked)
        shares = await self._ask(lambda connection: self._renew(connection, returning, session))
        self._sessions.named(None if shares is None else session)
        if shares is None:
            self._epochs, self._surplus = {}, frozenset[int]()
            return LeaseChange(lost=frozenset(before))
        self._epochs, self._surplus = dict(shares.epochs), shares.surplus
        self._until = asked + (self._own.lease - MARGIN) // timedelta(milliseconds=1)
        claimable = self._epochs.keys() - self._surplus
        gained = [s for s in claimable if s in returning or self._epochs[s] != before.get(s)]
        return LeaseChange(
            frozenset(gained), still_open=shares.still_open, is_unbalanced=shares.is_unbalanced
        )

    async def end_dead(self) -> bool:
        asked = steady_milliseconds()
        lives, gone, has_free = await self._ask(
            lambda connection: leases.end_dead(connection, self._own)
        )
        for life, is_forgotten in lives.items():
            if is_forgotten:
                remove_life_lock(life)
        now = steady_milliseconds()
        ended = self._gone.ended(gone, asked=asked, answered=now)
        for one in ended:
            await self._ask(partial(leases.end_gone, own=self._own, of=one))
        return has_free or bool(ended) or not self._sessions.is_named(now)

    async def hold(self, what: str) -> bool:
        return await self._ask(lambda connection: leases.hold(connection, self._own, what))

    async def leave(self) -> None:
        self._epochs, self._surplus = {}, frozenset[int]()
        if not self._is_closed.is_set():
            self._is_closed.set()
            await self._ask(lambda connection: leases.leave(connection, self._own))

    def announce(self, news: News) -> None:
        if not self._has_notifications:
            return
        is_planned, before = self._news != News(), self._news
        self._news = News(
            before.shards | news.shards,
            has_tasks=before.has_tasks or news.has_tasks,
            has_changes=before.has_changes or news.has_changes,
        )
        if not is_planned:
            asyncio.get_running_loop().call_at(self._next_notice, self._send_news)

    def listen(self, listener: Callable[[News], None]) -> None:
        if not self._has_notifications:
            return
        self._listeners.append(listener)
        if self._listener is not None:
            return
        loop = asyncio.get_running_loop()

        def tell(news: News) -> None:
            with suppress(RuntimeError):  # the event loop may be closed
                loop.call_soon_threadsafe(self._pass_on, news)

        self._listener = threading.Thread(
            target=self._hear, args=(tell,), name="ringback-listener", daemon=True
        )
        self._listener.start()

    async def members(self) -> list[ClusterMember]:
        return await self._ask(leases.members)

    async def close(self) -> None:
        """Give the shards back, unless that was done, and close all connections."""
        try:
            await self.leave()
        except StoreUnavailable as failure:
            _log.warning("the leases end by themselves later: %s", failure)
        await asyncio.to_thread(self._close)

    # ---- in threads --------------------------------------------------------------------------

    async def _ask(self, work: Callable[[Connection], T]) -> T:
        """Run work on the connection, in the thread; try again at once if the connection broke."""
        return await asyncio.wrap_future(self._thread.submit(self._do, work))

    def _do(self, work: Callable[[Connection], T]) -> T:
        for is_last in (self._connection is None, True):
            try:
                if self._connection is None:
                    self._connection = self._dsn.connect()
                with transaction(self._connection, statement_timeout="5s"):
                    return work(self._connection)
            except psycopg.Error as failure:
                self._disconnect()
                if is_last:
                    raise unavailable(failure) from None
        raise AssertionError  # the loop ends by a return or an error

    def _make_partitions(self) -> None:
        """Make the partitions for the next weeks, once a day."""
        if self._next_partitions < steady_milliseconds():
            self._next_partitions = steady_milliseconds() + _A_DAY
            with suppress(psycopg.Error):  # there are some for weeks, and commits make missing ones
                make_missing_partitions(self._dsn)

    def _renew(
        self, connection: Connection, returning: Collection[int], session: LeaseSession | None
    ) -> Shares | None:
        before = SystemClock().now()
        (theirs,) = execute(connection, "SELECT clock_timestamp()").fetchone()
        self.clock_difference = before + (SystemClock().now() - before) / 2 - theirs
        shares = leases.renew(connection, self._own, returning=returning, session=session)
        if shares is None:
            number = self._own.number
            self._own.begin_again(connection)
            if self._own.number != number:
                self._renumbered(self._own.number)
        return shares

    def _pass_on(self, news: News) -> None:
        for listener in self._listeners:
            listener(news)

    def _send_news(self) -> None:
        """In the event loop, have the thread send what has gathered."""
        news, self._news = self._news, News()
        self._next_notice = asyncio.get_running_loop().time() + _NOTICE_EVERY
        payload = _written(news, self._own)

        def send(connection: Connection) -> None:
            execute(connection, "SELECT pg_notify(?, ?)", [_CHANNEL, payload])

        with suppress(RuntimeError):  # the thread may have ended
            # Nobody waits for it: others look into the database each second anyway.
            self._thread.submit(self._do, send)

    def _hear(self, tell: Callable[[News], None]) -> None:
        """Pass on what other processes announce, until the end; connects again as needed."""
        while not self._is_closed.is_set():
            has_heard = False
            try:
                with self._dsn.connect() as connection:
                    connection.execute(f"LISTEN {_CHANNEL}".encode())
                    self.hears.set()
                    session: LeaseSession | None = leases.begin_session(connection)
                    while not self._is_closed.is_set():
                        session = self._sessions.newest = self._asked(connection, session)
                        for notice in connection.notifies(timeout=_LOOK_UP_EVERY):
                            news = _read(notice.payload, self._own)
                            if news is not None:
                                tell(news)
                        has_heard = True
            except psycopg.Error as failure:
                self.hears.clear()
                _log.debug("can't hear announcements: %s", detail(failure))
                # At once if somebody has only ended the session: requests have to wait otherwise.
                self._is_closed.wait(0.0 if has_heard else _LISTEN_AGAIN)
            finally:
                self._sessions.newest = None

    def _asked(self, connection: Connection, session: LeaseSession | None) -> LeaseSession | None:
        """Ask the session for a sign of life; return None for good if it is another one now."""
        asked = steady_milliseconds()
        if session is None or not leases.is_in_session(connection, session):
            return None
        self._sessions.answered(session, asked)
        return session

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _close(self) -> None:
        self._thread.shutdown()
        self._disconnect()
        if self._listener is not None:
            self._listener.join()

    def _shard(self, destination: str) -> int:
        shard = self._shard_of.get(destination)
        if shard is None:
            self._shard_of[destination] = shard = shard_of(destination)
        return shard


def _written(news: News, own: WorkerIdentity) -> str:
    """Return an announcement as text: who it is from, a bitmap of shards, and two flags."""
    bits = sum(1 << shard for shard in news.shards)
    return f"{own.worker} {bits:x} {news.has_tasks:d}{news.has_changes:d}"


def _read(payload: str, own: WorkerIdentity) -> News | None:
    """Return the announcement in a text; None if it is this process's own, or of another kind."""
    match payload.split():
        case [worker, bits, flags] if worker != str(own.worker) and len(flags) == 2:
            bitmap = int(bits, 16)
            shards = frozenset(shard for shard in range(SHARDS) if bitmap >> shard & 1)
            return News(shards, flags[0] == "1", flags[1] == "1")
        case _:
            return None
