"""Each dedupe store, empty, and with a clock that tests can move.

The databases with a clock of their own keep it; `let_pass` makes their rows older instead.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
import redis

from ringback.receiver.dedupe import (
    DedupeStore,
    MemoryDedupe,
    PostgresDedupe,
    RedisDedupe,
    SqliteDedupe,
)
from tests.unit.receiver.dedupe.visits import Clock

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


Opener = Callable[[], AbstractContextManager[Kept]]


def opener(store: str, request: pytest.FixtureRequest) -> Opener:
    """Return a function that opens an empty store of this kind; starts its server if needed."""
    match store:
        case "memory":
            return _memory
        case "sqlite":
            return _sqlite
        case "postgres":
            return partial(_postgres, request.getfixturevalue("postgres_dsn"))
        case _:
            return partial(_redis, request.getfixturevalue("redis_socket"))


@contextmanager
def _memory() -> Iterator[Kept]:
    clock = Clock()
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
        seen = PostgresDedupe(lambda: nullcontext(connection))
        seen.create_table()

        def let_pass(time: timedelta) -> None:
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


def count_rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT count(*) FROM ringback_seen").fetchone()[0]
