"""Each dedupe store, empty, and with a clock that tests can move.

The databases with a clock of their own keep it; `let_pass` makes their rows older instead.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    closing,
    contextmanager,
    nullcontext,
)
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Final

import psycopg
import pytest
import redis
import redis.asyncio

from ringback.receiver.dedupe import (
    AsyncDedupeStore,
    AsyncPostgresDedupe,
    AsyncRedisDedupe,
    DedupeStore,
    MemoryDedupe,
    PostgresDedupe,
    RedisDedupe,
    SqliteDedupe,
)
from tests.unit.receiver.dedupe.awaited import awaited
from tests.unit.receiver.dedupe.visits import Clock, RunningClock

STORES: Final = ["memory", "sqlite", "postgres", "async-postgres", "redis", "async-redis"]
"""The names of all stores."""

_AGE = """
local function older(number)
  return string.format('%.0f', number - ARGV[1] * 1000)
end
for _, key in ipairs(redis.call('KEYS', '*')) do
  if redis.call('TYPE', key).ok == 'zset' then
    for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
      redis.call('ZINCRBY', key, older(0), member)
    end
  else
    local ends = redis.call('HGET', key, 'lease_ends')
    if ends and ends ~= 'never' then
      redis.call('HSET', key, 'lease_ends', older(ends))
    end
  end
  redis.call('PEXPIRE', key, redis.call('PTTL', key) - ARGV[1])
end
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """A store under test."""

    seen: DedupeStore
    let_pass: Callable[[timedelta], None]
    count: Callable[[], int]
    """Returns the number of rows or keys in the store."""
    open_async: Callable[[], AbstractAsyncContextManager[AsyncDedupeStore]] | None = None
    """If the store is asynchronous: opens it for the event loop of a test."""


Opener = Callable[[], AbstractContextManager[Kept]]


def opener(store: str, request: pytest.FixtureRequest) -> Opener:
    """Return a function that opens an empty store of this kind; starts its server if needed."""
    match store:
        case "memory":
            return partial(_memory, Clock())
        case "memory with a running clock":
            return partial(_memory, RunningClock())
        case "sqlite":
            return _sqlite
        case "postgres":
            return partial(_postgres, request.getfixturevalue("postgres_dsn"))
        case "async-postgres":
            return partial(_async_postgres, request.getfixturevalue("postgres_dsn"))
        case "redis":
            return partial(_redis, request.getfixturevalue("redis_socket"))
        case _:
            return partial(_async_redis, request.getfixturevalue("redis_socket"))


@contextmanager
def _memory(clock: Clock) -> Iterator[Kept]:
    seen = MemoryDedupe(clock=clock)
    yield Kept(seen, clock.let_pass, lambda: len(seen))


@contextmanager
def _sqlite() -> Iterator[Kept]:
    clock = Clock()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "seen.db"
        with SqliteDedupe(path, clock=clock) as seen:
            yield Kept(seen, clock.let_pass, lambda: count_rows(path))


@contextmanager
def _postgres(dsn: str) -> Iterator[Kept]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS ringback_seen")
        lock = Lock()  # a lease is renewed by another thread

        @contextmanager
        def borrowed() -> Iterator[psycopg.Connection]:
            with lock:
                yield connection

        seen = PostgresDedupe(borrowed)
        seen.create_table()

        def let_pass(time: timedelta) -> None:
            with lock:
                connection.execute(
                    "UPDATE ringback_seen SET lease_ends = lease_ends - %(time)s,"
                    " first_claimed = first_claimed - %(time)s, forget_at = forget_at - %(time)s",
                    {"time": time // timedelta(microseconds=1)},
                )

        def count() -> int:
            found = connection.execute("SELECT count(*) FROM ringback_seen").fetchone()
            assert found is not None
            return found[0]

        yield Kept(seen, let_pass, count)


@contextmanager
def _redis(socket: str) -> Iterator[Kept]:
    with redis.Redis(unix_socket_path=socket) as client:
        client.flushall()

        def let_pass(time: timedelta) -> None:
            client.eval(_AGE, 0, str(time // timedelta(milliseconds=1)))

        yield Kept(RedisDedupe(client), let_pass, lambda: int(str(client.dbsize())))


@contextmanager
def _async_postgres(dsn: str) -> Iterator[Kept]:
    connection: psycopg.AsyncConnection | None = None
    lock = asyncio.Lock()

    @asynccontextmanager
    async def borrowed() -> AsyncIterator[psycopg.AsyncConnection]:
        # To connect for each call would take so long that the clock moves on.
        nonlocal connection
        async with lock:
            connection = connection or await psycopg.AsyncConnection.connect(dsn)
            yield connection

    async def close() -> None:
        if connection is not None:
            await connection.close()

    own = AsyncPostgresDedupe(lambda: psycopg.AsyncConnection.connect(dsn))
    with _postgres(dsn) as kept, awaited(AsyncPostgresDedupe(borrowed), close) as seen:
        yield replace(kept, seen=seen, open_async=lambda: nullcontext(own))


@contextmanager
def _async_redis(socket: str) -> Iterator[Kept]:
    client = redis.asyncio.Redis(unix_socket_path=socket)

    @asynccontextmanager
    async def open_async() -> AsyncIterator[AsyncDedupeStore]:
        async with redis.asyncio.Redis(unix_socket_path=socket) as client:
            yield AsyncRedisDedupe(client)

    with _redis(socket) as kept, awaited(AsyncRedisDedupe(client), client.aclose) as seen:
        yield replace(kept, seen=seen, open_async=open_async)


def count_rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT count(*) FROM ringback_seen").fetchone()[0]
