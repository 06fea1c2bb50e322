"""Connections to PostgreSQL: how they are opened, what they send and return, and their errors.

A pooler such as PgBouncer may give each transaction another session of the server. So nothing is
set for a session: a pooler could drop it, or hand it on to somebody else. What a transaction needs
is set by the message that begins it, and ends with it.
"""

import logging
import struct
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import chain, repeat
from time import monotonic
from typing import Any, Final, cast

import psycopg
from psycopg import RawCursor, errors, postgres, pq
from psycopg.abc import Buffer
from psycopg.adapt import Dumper, Loader
from psycopg.conninfo import make_conninfo
from psycopg.types.array import ListBinaryDumper
from psycopg.types.numeric import Int8BinaryDumper

from ringback.core.errors import ConfigurationError
from ringback.runtime.database_address import (
    parse_database_address,
    shown_database,
    without_secrets,
)
from ringback.stores.postgres.failures import ConnectionFailed
from ringback.stores.sql.write_batch import SqlResult

# What it logs is also raised, and a transaction that is tried again needs no warning.
logging.getLogger("psycopg").setLevel(logging.ERROR)

Connection = psycopg.Connection[Any]
Cursor = psycopg.Cursor
_INT8: Final = postgres.types["int8"].oid
_ESCAPE: Final = "\uffff"
"""A character that no text has, by Unicode's rules; if one does, it is written twice."""
_NUL_ESCAPED: Final = _ESCAPE + "0"
_LOOKS: Final = 100
"""How often to look which of its sessions a pooler gives to a client."""
_NULL: Final = struct.pack(">i", -1)

# A connection to a machine that is gone is given up after about 20 s.
_DEFAULTS: Final = {
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
    "application_name": "ringback",
}


class AnswerWatch:
    """Knows for how long no connection of a store has got an answer of the server.

    A network that drops all packets raises no error for a long time.
    """

    def __init__(self) -> None:
        self.asked = dict[int, float]()
        """When each connection that waits for an answer has asked."""
        self.heard = monotonic()
        """When one of them got an answer last."""
        self.connection = _watched(self)
        """The class of the connections to watch."""

    def silent_for(self) -> float:
        """Return the seconds since the last answer, or since the oldest question if that is later.

        0.0 if no connection waits. While one waits long, such as for a lock, others get answers.
        """
        asked = [*self.asked.values()]
        return monotonic() - max(min(asked), self.heard) if asked else 0.0


def _watched(watch: AnswerWatch) -> type[Connection]:
    # Each round trip passes through it, so it calls as little as possible.
    asked, wait = watch.asked, psycopg.Connection[Any].wait

    class WatchedConnection(psycopg.Connection[Any]):
        """A connection that informs its watch when it waits for the server."""

        def wait(self, gen: Any, *args: Any, **more: Any) -> Any:
            asked[id(self)] = monotonic()
            try:
                result = wait(self, gen, *args, **more)
            except psycopg.Error as failure:
                if failure.sqlstate is not None:
                    watch.heard = monotonic()
                raise
            finally:
                asked.pop(id(self), None)
            watch.heard = monotonic()
            return result

    return WatchedConnection


@dataclass(frozen=True, slots=True)
class Dsn:
    """Where a database is, and how to use it, as libpq's connection strings say it."""

    text: str = field(repr=False)
    has_prepared_statements: bool = True
    """False behind a pooler such as PgBouncer that gives each transaction another connection."""
    watch: AnswerWatch | None = field(default=None, repr=False, compare=False)
    """Watches when connections wait for answers; None for nothing."""

    @property
    def given(self) -> Mapping[str, str]:
        """The parameters in the text; raises ConfigurationError, without them, if it is wrong."""
        try:
            return parse_database_address(self.text)
        except ValueError as problem:
            raise ConfigurationError(str(problem)) from None

    @property
    def shown(self) -> str:
        """The database as messages to the operator name it."""
        return shown_database(self.given)

    @property
    def without_password(self) -> str:
        """The connection string without its secrets, which the operator may see."""
        return make_conninfo("", **without_secrets(self.given))

    def connect(self) -> Connection:
        """Open a connection; each statement is a transaction of its own, except in `transaction`.

        Raises ConnectionFailed if that fails, and ConfigurationError if the text is wrong.
        """
        given = self.given
        try:
            kind = psycopg.Connection[Any] if self.watch is None else self.watch.connection
            connection = kind.connect(
                make_conninfo("", **{**_DEFAULTS, **given, "client_encoding": "UTF8"}),
                autocommit=True,
                prepare_threshold=2 if self.has_prepared_statements else None,
                cursor_factory=RawCursor,
                row_factory=cast("Any", _named_rows),
            )
        except psycopg.Error as failure:
            # Not chained: the text of the driver's error must not be in a traceback.
            raise ConnectionFailed(failure, given) from None
        # One type for all integers and one for all texts: else each value that needs more bits
        # makes another prepared statement of the same query.
        connection.adapters.register_dumper(int, Int8BinaryDumper)
        connection.adapters.register_dumper(str, _TextDumper)
        connection.adapters.register_loader("text", _TextLoader)
        connection.adapters.register_dumper(list, ListBinaryDumper)
        connection.adapters.register_dumper(Bigints, _BigintsDumper)
        return connection

    def without_prepared_statements(self) -> "Dsn":
        """Return the same for a pooler of transactions."""
        return replace(self, has_prepared_statements=False)


class _TextDumper(Dumper):
    """Writes texts; a NUL character, which PostgreSQL refuses, becomes a sequence of two others."""

    format = pq.Format.BINARY
    oid = postgres.types["text"].oid

    def dump(self, obj: str) -> bytes:
        if "\0" in obj or _ESCAPE in obj:
            obj = obj.replace(_ESCAPE, _ESCAPE * 2).replace("\0", _NUL_ESCAPED)
        return obj.encode()


class _TextLoader(Loader):
    """Reads texts that `_TextDumper` has written."""

    format = pq.Format.BINARY

    def load(self, data: Buffer) -> str:
        text = str(data, "utf-8")
        if _ESCAPE not in text:
            return text
        # The first part of a split is never within a sequence, so the pairs are found in order.
        return _ESCAPE.join(part.replace(_NUL_ESCAPED, "\0") for part in text.split(_ESCAPE * 2))


class Bigints(list[Any]):
    """A list of integers or None that is sent as a `bigint[]`, whatever their size.

    By itself, psycopg would choose the type by the largest number, and need more time for it.
    """


class _BigintsDumper(Dumper):
    format = pq.Format.BINARY
    oid = postgres.types["int8"].array_oid

    def dump(self, obj: Bigints) -> bytes:
        has_null, count = None in obj, len(obj)
        head = (
            struct.pack(">iiIii", 1, has_null, _INT8, count, 1)
            if obj
            else struct.pack(">iiI", 0, 0, _INT8)
        )
        try:
            if has_null:
                body = b"".join(_NULL if v is None else struct.pack(">iq", 8, v) for v in obj)
            else:
                body = struct.pack(">" + "iq" * count, *chain.from_iterable(zip(repeat(8), obj)))
        except struct.error as failure:
            raise psycopg.DataError(f"a value can't be stored: {failure}") from failure
        return head + body


class NamedRow(tuple[Any, ...]):
    """A row, with its values by the places and by the names of its columns, as SQLite returns it.

    Each list of columns has a class of its own.
    """

    __slots__ = ()
    places: dict[str, int] = {}  # noqa: RUF012 (set once, when the class is made)

    def __getitem__(self, key: Any) -> Any:
        """Return the value of a column, by its name or place, or those of a slice."""
        return super().__getitem__(self.places[key] if type(key) is str else key)


@lru_cache(maxsize=512)
def _row_class(names: tuple[str, ...]) -> type[NamedRow]:
    places = {name: place for place, name in reversed([*enumerate(names)])}
    return type("NamedRow", (NamedRow,), {"__slots__": (), "places": places})


def _named_rows(cursor: Cursor[Any]) -> Any:
    if cursor.description is None:
        return tuple
    return _row_class(tuple(column.name for column in cursor.description))


def is_pooled(dsn: Dsn, connection: Connection) -> bool:
    """Return True if a pooler gives each transaction of a connection another session of the server.

    Raises psycopg.Error if the database can't be used.
    """
    if _session_of(connection) == connection.info.backend_pid:
        return False
    # Somebody in between makes up the numbers of sessions. But each client may still have one of
    # its own, and then two that are connected at the same time never have the same one.
    own, others = set[int](), set[int]()
    with dsn.connect() as other:
        for _ in range(_LOOKS):
            own.add(_session_of(connection))
            others.add(_session_of(other))
            if len(own) > 1 or own & others:
                return True
    return False


def _session_of(connection: Connection) -> int:
    """Return the number of the server's process that runs a statement."""
    (number,) = execute_message(connection, b"SELECT pg_backend_pid()")
    return int(number)


@lru_cache(maxsize=2048)
def in_postgres(statement: str) -> bytes:
    """Return a statement of the shared SQL as PostgreSQL understands it.

    Each `?` becomes a numbered parameter. SQLite's hints on how to run the statement are left out:
    `INDEXED BY …`, `NOT INDEXED`, and `CROSS` before a JOIN that has a condition. The empty blob
    has another literal, and the function that joins texts another name.
    """
    ours = statement.replace("x''", "''::bytea").replace("group_concat(", "string_agg(")
    first, *rest = ours.split("?")
    numbered = "".join([first, *(f"${number}{part}" for number, part in enumerate(rest, 1))])
    words = numbered.replace(" NOT INDEXED", "").replace("CROSS JOIN ", "JOIN ")
    before, *hinted = words.split(" INDEXED BY ")
    return "".join([before, *(" " + part.partition(" ")[2] for part in hinted)]).encode()


def execute(
    connection: Connection,
    statement: str,
    values: Sequence[Any] = (),
    *,
    prepare: bool | None = None,
) -> SqlResult:
    """Run a statement of the shared SQL on a connection, and return its result."""
    return connection.execute(in_postgres(statement), values, prepare=prepare, binary=True)


def set_locally(**settings: str) -> str:
    """Return expressions for a SELECT that set something until the end of its transaction.

    The compiler is always off: it takes longer than any statement of Ringback, and is used for the
    smallest ones where `enable_seqscan` is off, since a scan then counts as very expensive.
    """
    every = {"jit": "off", **settings}
    return ", ".join(f"set_config('{name}', '{value}', true)" for name, value in every.items())


@contextmanager
def transaction(connection: Connection, **settings: str) -> Generator[None]:
    """Run the block in a transaction with these settings of the server, such as `lock_timeout`."""
    begin = f"BEGIN ISOLATION LEVEL READ COMMITTED; SELECT {set_locally(**settings)}"
    try:
        connection.execute(begin.encode(), prepare=False)
        yield
    except BaseException:
        if not is_lost(connection):
            connection.rollback()
        raise
    connection.execute(b"COMMIT")


def execute_message(connection: Connection, statements: bytes) -> Sequence[Any]:
    """Run statements without values in one round trip; return the row of the last one."""
    cursor = connection.execute(statements, prepare=False)
    while cursor.nextset():
        pass
    row = cursor.fetchone()
    assert row is not None  # noqa: S101 (each caller's last statement returns a row)
    return row


def is_lost(connection: Connection) -> bool:
    """Return True if the connection can't be used any more."""
    return connection.closed or connection.pgconn.status != pq.ConnStatus.OK


def is_of_a_row(failure: Exception) -> bool:
    """Return True for an error that the values of a row have caused, not the server or network."""
    kinds = psycopg.IntegrityError, psycopg.DataError, psycopg.ProgrammingError, UnicodeError
    return isinstance(failure, (*kinds, OverflowError))


def is_of_timing(failure: Exception) -> bool:
    """Return True for an error that only the simultaneous work of others has caused."""
    kinds = errors.SerializationFailure, errors.DeadlockDetected, errors.LockNotAvailable
    return isinstance(failure, kinds)
