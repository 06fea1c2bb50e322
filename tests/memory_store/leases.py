"""Leases on shards in plain dictionaries, and the processes that have them."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ringback.core.callbacks.shards import shard_of, share_of
from ringback.ports import ALL_SHARDS, ClusterMember, LeaseChange, News
from ringback.stores.postgres.lease_sessions import GoneSessions, LeaseSession, OwnSessions

if TYPE_CHECKING:
    from tests.memory_store.store import MemoryProcessStore

LEASE: Final = timedelta(seconds=15)
MARGIN: Final = timedelta(seconds=1)
"""How long before the end of its lease a process stops to begin requests."""
LONGEST_REQUEST: Final = timedelta(seconds=15)


def utc_now() -> datetime:
    return datetime.now(UTC)


class Ownership(NamedTuple):
    """The process that owns a shard, or None; and how many owners it has had."""

    process: str | None = None
    epoch: int = 0
    open_until: datetime = datetime.min.replace(tzinfo=UTC)
    """By then, all requests of earlier owners have ended."""


class RenewedLeases(NamedTuple):
    """What a process owns after a renewal."""

    epochs: Mapping[int, int]
    """The number of the lease on each shard."""
    surplus: frozenset[int]
    """Shards to give back soon."""
    still_open: Mapping[str, int]
    """Attempts of earlier owners without a result, by destination."""


RowKey = tuple[str, Any]
"""The place of a table, and the key of one of its rows."""


class RowLocks:
    """The rows that transactions have locked which have not ended yet."""

    def __init__(self) -> None:
        self.held = Counter[RowKey]()
        """How many transactions have locked each row; several may share the lock on it."""

    def hold(self, rows: Iterable[RowKey]) -> Callable[[], None]:
        """Lock rows; return the function that unlocks them."""
        mine = Counter(frozenset(rows))
        self.held += mine

        def release() -> None:
            self.held -= mine

        return release


@dataclass
class MemoryLeases:
    """The leases of all processes, by the store's own clock."""

    ends: dict[str, datetime] = field(default_factory=dict[str, datetime])
    """When the lease of each process ends."""
    owners: dict[int, Ownership] = field(
        default_factory=lambda: dict.fromkeys(ALL_SHARDS, Ownership())
    )
    locks: RowLocks = field(default_factory=RowLocks, compare=False)

    held: dict[str, str] = field(default_factory=dict[str, str])
    """The process that has the lease on each thing that only one may have."""

    sessions: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    """The key of the session that each process names, and the start of its server."""
    gone: set[str] = field(default_factory=set[str])
    """The processes whose shards were freed because their sessions have ended."""

    def hold(self, what: str, process: str, now: datetime) -> bool:
        if not self.is_alive(self.held.get(what), now):
            self.held[what] = process
        return self.held[what] == process and self.is_alive(process, now)

    def owned_by(self, process: str) -> frozenset[int]:
        return frozenset(shard for shard, one in self.owners.items() if one.process == process)

    def is_alive(self, process: str | None, now: datetime) -> bool:
        return process is not None and self.ends.get(process, now) > now

    def renew(self, process: str, now: datetime) -> bool:
        """Extend a lease, or begin it; return False if it has ended."""
        if process in self.ends and not self.is_alive(process, now):
            del self.ends[process]
            return False
        self.ends[process] = now + LEASE
        return True

    def take_free(self, process: str, now: datetime) -> None:
        """Give a process shards that no living process owns, up to its share of all shards."""
        living = self._living(now)
        room = share_of(living) - len(self.owned_by(process))
        free = (shard for shard, one in self.owners.items() if self._is_free(shard, one, now))
        for shard in list(islice(free, max(room, 0))):
            self._pass_on(shard, process, now)

    def excess_of(self, process: str, now: datetime) -> int:
        """Return how many shards a process has beyond its share."""
        living = self._living(now)
        return max(len(self.owned_by(process)) - share_of(living), 0)

    def give_back(self, shard: int, now: datetime, *, has_open: bool = False) -> None:
        """Free a shard; if something is under way there, the next owner has to wait for it."""
        old = self.owners[shard]
        until = max(old.open_until, now + LONGEST_REQUEST + MARGIN) if has_open else old.open_until
        self.owners[shard] = old._replace(process=None, open_until=until)

    def end_dead(self, process: str) -> None:
        """End the lease of a process that certainly does nothing any more."""
        for shard in self.owned_by(process):
            old = self.owners[shard]
            self.owners[shard] = old._replace(process=None)
        self.ends.pop(process, None)

    def has_free(self, now: datetime) -> bool:
        return any(not self.is_alive(one.process, now) for one in self.owners.values())

    def name_session(self, process: str, session: LeaseSession | None) -> None:
        self.gone.discard(process)
        self.sessions.pop(process, None)
        if session is not None:
            self.sessions[process] = session.key, session.server.microsecond

    def end_gone(self, process: str, key: int, now: datetime) -> None:
        """Free the shards of a process that still names this session, which has ended."""
        if self.sessions.get(process, (None,))[0] != key or process in self.gone:
            return
        self.gone.add(process)
        for shard in self.owned_by(process):
            old = self.owners[shard]
            until = max(old.open_until, now + LONGEST_REQUEST + MARGIN)
            self.owners[shard] = old._replace(process=None, open_until=until)

    def _living(self, now: datetime) -> int:
        return sum(end > now for one, end in self.ends.items() if one not in self.gone)

    def _is_free(self, shard: int, one: Ownership, now: datetime) -> bool:
        # A lease that is just being extended must not be taken for one that has ended.
        held, place = self.locks.held, ".callbacks.leases"
        is_locked = (f"{place}.owners", shard) in held or (f"{place}.ends", one.process) in held
        return not is_locked and not self.is_alive(one.process, now)

    def _pass_on(self, shard: int, to: str, now: datetime) -> None:
        old = self.owners[shard]
        ended = now + LONGEST_REQUEST + MARGIN
        open_until = max(old.open_until, ended) if old.process else old.open_until
        self.owners[shard] = Ownership(to, old.epoch + 1, open_until)


class MemoryCluster:
    """Implements `ports.Cluster` for one of the processes that share a memory store.

    `stopwatch` returns seconds that never go back.
    """

    is_shared = True
    clock_difference = timedelta(0)

    def __init__(self, store: "MemoryProcessStore", *, stopwatch: Callable[[], float]) -> None:
        self._store = store
        self._stopwatch = stopwatch
        self._owned = dict[int, int]()
        """The numbers of the leases on the shards that it has."""
        self._surplus = frozenset[int]()
        self._until = 0.0
        """Until when requests may begin, by the stopwatch."""
        self.sessions = OwnSessions()
        self._gone = GoneSessions()
        self.listeners = list[Callable[[News], None]]()
        store.clusters.append(self)

    def lease_on(self, destination: str) -> int | None:
        shard = shard_of(destination)
        return None if shard in self._surplus else self._owned.get(shard)

    def may_send(self, destination: str, lease: int) -> bool:
        is_owned = self._owned.get(shard_of(destination)) == lease
        is_fresh = self.milliseconds() < self.sessions.fresh_until
        return is_owned and is_fresh and self._stopwatch() < self._until

    def milliseconds(self) -> int:
        """Return the time by the stopwatch as sessions count it."""
        return int(self._stopwatch() * 1000)

    async def renew(self) -> LeaseChange:
        asked, before, returning = self._stopwatch(), dict(self._owned), self._surplus
        for shard in returning:
            # It may belong to another process before the answer is here.
            self._owned.pop(shard, None)
        session = self.sessions.naming(self.milliseconds())
        renewed = await self._store.renew_leases(returning=returning, session=session)
        self.sessions.named(None if renewed is None else session)
        if renewed is None:
            self._owned, self._surplus = {}, frozenset()
            return LeaseChange(lost=frozenset(before))
        self._owned, self._surplus, still_open = dict(renewed.epochs), *renewed[1:]
        self._until = asked + (LEASE - MARGIN).total_seconds()
        claimable = self._owned.keys() - self._surplus
        gained = [s for s in claimable if s in returning or self._owned[s] != before.get(s)]
        return LeaseChange(frozenset(gained), still_open=still_open)

    async def end_dead(self) -> bool:
        asked = self.milliseconds()
        has_found, gone = await self._store.end_dead()
        now = self.milliseconds()
        ended = self._gone.ended(gone, asked=asked, answered=now)
        for process, key in ended:
            await self._store.end_gone(process, key)
        return has_found or bool(ended) or not self.sessions.is_named(now)

    async def hold(self, what: str) -> bool:
        return await self._store.hold(what)

    async def leave(self) -> None:
        self._owned, self._surplus = {}, frozenset()
        await self._store.leave()

    def announce(self, news: News) -> None:
        for other in self._store.clusters:
            if other is not self:
                for listener in other.listeners:
                    listener(news)

    def listen(self, listener: Callable[[News], None]) -> None:
        self.listeners.append(listener)

    async def members(self) -> Sequence[ClusterMember]:
        return await self._store.members()
