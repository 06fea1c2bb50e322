"""The statements with which processes share the work: workers, and their leases on shards.

Only the database's clock decides when a lease ends.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, NamedTuple
from uuid import UUID

from psycopg import errors

from ringback.core.callbacks.shards import SHARDS, Role, share_of
from ringback.ports import ClusterMember
from ringback.runtime.system_clock import SystemRandomSource
from ringback.stores.postgres.connections import Connection, execute
from ringback.stores.postgres.lease_sessions import LeaseSession
from ringback.stores.postgres.life_lock import LifeLock, is_known_dead

MARGIN: Final = timedelta(seconds=1)
"""A request begins only if the lease lasts at least this much longer."""
MOST_WORKERS: Final = 256
"""The number of processes that can use a database at once; `row_ids` has twice as many numbers."""
_SENDING: Final = [Role.ALL, Role.WORKER]
"""The roles of processes that send callbacks, and so own shards."""
_FORGOTTEN_AFTER: Final = timedelta(hours=1)
"""How long after its lease the number of a dead process is free again.

Until then, a process that was only frozen may still make ids with it.
"""
_MARKS_KEPT: Final = timedelta(days=7)
"""How long the marks of commits are kept whose process has died."""


@dataclass(eq=False)
class WorkerIdentity:
    """What the database knows this process by; it changes when the process loses its lease."""

    name: str
    role: Role
    lease: timedelta = timedelta(seconds=15)
    open_for: timedelta = timedelta(seconds=16)
    """How long after the end of a lease the requests of its owner may still go on."""
    details: str = "{}"
    """Further details for people, as a JSON object."""
    life: LifeLock | None = None
    """What shows other processes of this machine that this one lives; None if nothing does."""
    worker: UUID = field(init=False)
    number: int = field(init=False)
    """The number from which the process makes ids, and which no other process has."""

    def register(self, connection: Connection) -> None:
        """Add a row for this process, which begins a lease; earlier rows are left as they are."""
        execute(
            connection,
            "DELETE FROM workers WHERE lease_until < clock_timestamp() - ?::interval",
            [_FORGOTTEN_AFTER],
        )
        execute(
            connection,
            "DELETE FROM commit_marks WHERE made < clock_timestamp() - ?::interval",
            [_MARKS_KEPT],
        )
        life = self.life and self.life.name
        own = life, self.name, self.role, self.lease, self.details
        while True:
            try:
                with connection.transaction():
                    row = execute(
                        connection,
                        "INSERT INTO workers"
                        " (worker, life, number, name, role, lease_until, details)"
                        " SELECT gen_random_uuid(), ?, number, ?, ?, clock_timestamp() + ?,"
                        " ?::jsonb"
                        " FROM generate_series(0, ?) AS number"
                        " WHERE number NOT IN (SELECT number FROM workers)"
                        " ORDER BY random() LIMIT 1 RETURNING worker, number",
                        [*own, MOST_WORKERS - 1],
                    ).fetchone()
            except errors.UniqueViolation:
                continue  # another process has taken the number
            if row is None:
                raise RuntimeError(f"{MOST_WORKERS} processes use the database already")
            self.worker, self.number = row
            return

    def release_life(self) -> None:
        """Show nothing any more of which others could learn that this process is dead."""
        if self.life is not None:
            self.life.release()
            self.life = None

    def begin_again(self, connection: Connection) -> None:
        """Take another id after the lease was lost; the number stays the same if it can."""
        row = execute(
            connection,
            "UPDATE workers SET worker = gen_random_uuid(), lease_until = clock_timestamp() + ?,"
            " session = NULL, session_server = NULL WHERE worker = ? RETURNING worker",
            [self.lease, self.worker],
        ).fetchone()
        if row is None:
            self.register(connection)
        else:
            self.worker = row[0]


class Shares(NamedTuple):
    """What a process owns after a renewal."""

    epochs: Mapping[int, int]
    """The number of the lease on each shard."""
    surplus: frozenset[int]
    """Shards that the next renewal returns, unless others need them no more."""
    still_open: Mapping[str, int]
    """Attempts of earlier owners without a result, by destination."""
    is_unbalanced: bool
    """True if it has more or fewer shards than its share."""


class GoneSession(NamedTuple):
    """A session that has ended, and the process whose row names it."""

    worker: UUID
    key: int


class DeadProcesses(NamedTuple):
    """What was found about other processes."""

    lives: Mapping[str, bool]
    """The life locks of those that are dead, each with False if something still has to be freed."""
    gone: Sequence[GoneSession]
    """The sessions that the server has ended, of processes that may live, but have shards."""
    has_free: bool
    """True if this process sends, and could take shards that nobody owns at the moment."""


NO_SHARES: Final = Shares({}, frozenset(), {}, is_unbalanced=False)


_RENEW: Final = """
    UPDATE workers SET lease_until = clock_timestamp() + ?, session = ?, session_server = ?
    WHERE worker = ? AND lease_until >= clock_timestamp()
"""
# Locked until the end of the transaction, so that a late renewal finds that its lease has ended.
_DEAD: Final = """
    SELECT worker FROM workers WHERE lease_until < clock_timestamp() FOR UPDATE SKIP LOCKED
"""
# What the old owner had under way may go on, also if the database's clock was set meanwhile.
_TAKE: Final = """
    WITH free AS (
        SELECT shard FROM shard_leases
        WHERE worker IS NULL OR worker = ANY (?) OR worker NOT IN (SELECT worker FROM workers)
        ORDER BY random() LIMIT ? FOR UPDATE SKIP LOCKED
    )
    UPDATE shard_leases SET worker = ?, epoch = epoch + 1,
        open_until = CASE WHEN worker IS NULL THEN open_until
            ELSE greatest(open_until, clock_timestamp() + ?) END
    FROM free WHERE shard_leases.shard = free.shard
"""
_HAS_OPEN: Final = """EXISTS (
    SELECT FROM open_attempts
    WHERE open_attempts.shard = shard_leases.shard AND open_attempts.epoch = shard_leases.epoch
)"""
# The process begins no requests there any more. So if nothing is under way, the next owner has to
# wait for nobody, and must not: a shard may move often, and others may have attempts there.
_GIVE_BACK: Final = f"""
    UPDATE shard_leases SET worker = NULL
    WHERE worker = ? AND shard = ANY (?) AND NOT {_HAS_OPEN}
"""
_LEAVE: Final = f"""
    UPDATE shard_leases SET worker = NULL,
        open_until = CASE WHEN {_HAS_OPEN} THEN greatest(open_until, clock_timestamp() + ?)
            ELSE open_until END
    WHERE worker = ?
"""
# Shards without an attempt of ours under way come first, since they can be returned soon.
_OWNED: Final = f"""
    SELECT shard, epoch FROM shard_leases WHERE worker = ? ORDER BY {_HAS_OPEN}, shard
"""
_STILL_OPEN: Final = """
    SELECT destination, count(*) FROM shard_leases
    JOIN open_attempts USING (shard) JOIN lanes ON lanes.id = lane_id
    WHERE worker = ? AND open_attempts.epoch < shard_leases.epoch
    GROUP BY destination
"""
_SENDERS: Final = """
    SELECT count(*) FROM workers WHERE role = ANY (?) AND lease_until >= clock_timestamp()
        AND session_server IS DISTINCT FROM '-infinity'
"""
_HOLD: Final = """
    INSERT INTO held_leases AS held (what, worker)
    SELECT ?, worker FROM workers WHERE worker = ? AND lease_until >= clock_timestamp()
    ON CONFLICT (what) DO UPDATE SET worker = excluded.worker
    WHERE held.worker = excluded.worker OR held.worker NOT IN (
        SELECT worker FROM workers WHERE lease_until >= clock_timestamp()
    )
"""
_MEMBERS: Final = """
    SELECT name, role, started, lease_until >= clock_timestamp(),
        ARRAY(SELECT shard FROM shard_leases WHERE shard_leases.worker = workers.worker)
    FROM workers ORDER BY lease_until >= clock_timestamp() DESC, started
"""
# No request of a dead process can be under way, so nobody has to wait until it ends. A lock may be
# held for long by a process that was stopped within a transaction.
_FREE: Final = """
    UPDATE shard_leases SET worker = NULL FROM (
        SELECT shard FROM shard_leases WHERE worker = ? FOR UPDATE SKIP LOCKED
    ) AS freed
    WHERE shard_leases.shard = freed.shard
"""
_HAS_FREE: Final = """
    SELECT EXISTS (
        SELECT FROM shard_leases WHERE worker IS NULL
            OR worker NOT IN (SELECT worker FROM workers WHERE lease_until >= clock_timestamp())
    )
"""
_HELD: Final = """
    SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted
"""
# A session that has ended never comes back. Shards that were locked are freed by a later look.
_IS_GONE: Final = f"""
    session IS NOT NULL AND lease_until >= clock_timestamp()
        AND EXISTS (SELECT FROM shard_leases WHERE shard_leases.worker = workers.worker)
        AND (
            session_server = '-infinity'
            OR session_server = pg_postmaster_start_time() AND session NOT IN ({_HELD})
        )
"""
_OTHERS: Final = f"""
    SELECT worker, life, session, {_IS_GONE} AS is_gone FROM workers
    WHERE worker <> ? ORDER BY worker
"""
# Its requests under way may go on, and everything else that it has stays its own for its lease.
_END_GONE: Final = f"""
    WITH gone AS (
        SELECT worker FROM workers
        WHERE worker = ? AND session = ? AND {_IS_GONE} FOR UPDATE SKIP LOCKED
    ), marked AS (
        UPDATE workers SET session_server = '-infinity'
        FROM gone WHERE workers.worker = gone.worker
    ), freed AS (
        SELECT shard FROM shard_leases JOIN gone USING (worker)
        FOR UPDATE OF shard_leases SKIP LOCKED
    )
    UPDATE shard_leases SET worker = NULL,
        open_until = greatest(open_until, clock_timestamp() + ?)
    FROM freed WHERE shard_leases.shard = freed.shard
"""
_FORGET: Final = """
    DELETE FROM workers WHERE worker = ?
        AND NOT EXISTS (SELECT FROM shard_leases WHERE shard_leases.worker = workers.worker)
"""


def renew(
    connection: Connection,
    own: WorkerIdentity,
    *,
    returning: Collection[int] = (),
    session: LeaseSession | None = None,
) -> Shares | None:
    """Extend the lease, take free shards, and return those that were surplus last time.

    From then on, others conclude from the end of the session, if there is one, that the process is
    dead.

    The process must begin no requests in the shards `returning`. Returns the shards; None if the
    lease had ended, so that all shards are lost.
    """
    named = (None, None) if session is None else (session.key, session.server)
    if not execute(connection, _RENEW, [own.lease, *named, own.worker]).rowcount:
        return None
    if own.role not in _SENDING:
        return NO_SHARES
    before = _owned_by(connection, own)
    (senders,) = execute(connection, _SENDERS, [_SENDING]).fetchone()
    share = share_of(max(senders, 1))
    # If all others have their share, these are left.
    least = SHARDS - share * max(senders - 1, 0)
    excess = len(before) - share
    if excess < 0:
        with connection.transaction():
            dead = [worker for (worker,) in execute(connection, _DEAD)]
            execute(connection, _TAKE, [dead, -excess, own.worker, own.open_for])
    elif excess > 0 and returning:
        _give_back(connection, own, [shard for shard in before if shard in returning][:excess])
    owned = _owned_by(connection, own)
    still_open = dict[str, int](execute(connection, _STILL_OPEN, [own.worker]))
    surplus = frozenset([*owned][: max(len(owned) - share, 0)])
    return Shares(owned, surplus, still_open, is_unbalanced=not least <= len(owned) <= share)


def end_dead(connection: Connection, own: WorkerIdentity) -> DeadProcesses:
    """End the leases of processes that are certainly dead, which frees their shards.

    If the server has been started since, or is another one, nothing is known of a session.
    """
    lives, gone = dict[str, bool](), list[GoneSession]()
    for worker, life, session, is_gone in execute(connection, _OTHERS, [own.worker]).fetchall():
        if life is not None and is_known_dead(life):
            execute(connection, _FREE, [worker])
            lives[life] = execute(connection, _FORGET, [worker]).rowcount > 0
        elif is_gone:
            gone.append(GoneSession(worker, session))
    # If another process was the first to notice a death, it took only its share.
    return DeadProcesses(lives, gone, own.role in _SENDING and _has_free(connection))


def begin_session(connection: Connection) -> LeaseSession:
    """Take a lock that the server frees as soon as this session ends."""
    key = int.from_bytes(SystemRandomSource().bytes(8), signed=True)
    (_, server) = execute(
        connection, "SELECT pg_advisory_lock(?), pg_postmaster_start_time()", [key]
    ).fetchone()
    return LeaseSession(key, server)


def is_in_session(connection: Connection, session: LeaseSession) -> bool:
    """Return True if the connection is still the session that holds this lock.

    Behind a pooler it may be another one.
    """
    (is_held,) = execute(
        connection, f"SELECT ? IN ({_HELD} AND pid = pg_backend_pid())", [session.key]
    ).fetchone()
    return is_held


def end_gone(connection: Connection, own: WorkerIdentity, of: GoneSession) -> None:
    """Free the shards of a process if its row still names this session, which is gone."""
    execute(connection, _END_GONE, [*of, own.open_for])


def leave(connection: Connection, own: WorkerIdentity) -> None:
    """Give all shards back, also those with attempts under way, and delete the process's row."""
    execute(connection, _LEAVE, [own.open_for, own.worker])
    execute(connection, "DELETE FROM held_leases WHERE worker = ?", [own.worker])
    execute(connection, "DELETE FROM workers WHERE worker = ?", [own.worker])
    own.release_life()


def hold(connection: Connection, own: WorkerIdentity, what: str) -> bool:
    """Take or extend the lease on something; return whether the process has it now."""
    return execute(connection, _HOLD, [what, own.worker]).rowcount > 0


def members(connection: Connection) -> list[ClusterMember]:
    """Return all processes that use the database, or did so lately.

    Those that live come first, and among them the one that runs for longest.
    """
    return [
        ClusterMember(name, Role(role), started, is_alive, frozenset(shards))
        for name, role, started, is_alive, shards in execute(connection, _MEMBERS)
    ]


def _has_free(connection: Connection) -> bool:
    (is_any,) = execute(connection, _HAS_FREE).fetchone()
    return is_any


def _give_back(connection: Connection, own: WorkerIdentity, surplus: Sequence[int]) -> None:
    """Return those of these shards in which the process has no attempt under way."""
    execute(connection, _GIVE_BACK, [own.worker, [*surplus]])


def _owned_by(connection: Connection, own: WorkerIdentity) -> dict[int, int]:
    """Return the epochs of the process's shards; those with nothing under way come first."""
    return dict(execute(connection, _OWNED, [own.worker]))
