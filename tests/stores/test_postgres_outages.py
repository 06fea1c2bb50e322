"""PostgreSQL that fails: nothing is lost, nothing is reported as failed that was done."""

import asyncio
import os
import shutil
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from ringback.core.errors import ConfigurationError, QueryTimeout, RecoveryPending, StoreUnavailable
from ringback.ports import CallbackFilter, Transaction
from ringback.stores.postgres import schema
from ringback.stores.postgres.connections import Dsn, execute
from ringback.stores.postgres.readers import PostgresReader
from ringback.stores.postgres.store import PostgresOptions, PostgresStore
from ringback.stores.postgres.write_batch import types_of_columns
from tests.databases import OwnPostgres, a_postgres_to_restart, a_postgres_with_standby
from tests.fakes import VAULT
from tests.served import asked_until
from tests.stores.asking import claim, fail_in_turn, found, keep, numbers_of
from tests.stores.postgres_bench import PostgresBench
from tests.stores.records import OURS, account, callback, profile

T = TypeVar("T")
COMMIT = b"COMMIT\0"  # not the level READ COMMITTED


class Cutter:
    """Passes bytes between clients and a server on Unix sockets, and cuts connections when told."""

    def __init__(self, folder: Path, server: str) -> None:
        self.folder = folder
        self._server = server
        self.cut_before = self.cut_after = False
        """Cut the next connection that sends a COMMIT: before the server gets it, or afterwards."""
        self.cuts = 0
        self._sockets = list[socket.socket]()
        self._silenced = set[socket.socket]()
        self._threads = list[threading.Thread]()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen(64)
        self._start(self._accept)

    def close(self) -> None:
        self.cut_all()
        _shut(self._listener)
        for thread in self._threads:
            thread.join()
        for one in (*self._sockets, self._listener):
            one.close()

    def cut_all(self) -> None:
        _shut(*self._sockets)

    def _start(self, target: Callable[..., None], *args: socket.socket) -> None:
        self._threads.append(threading.Thread(target=target, args=args, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                self._sockets += client, server
                if server.connect_ex(self._server):
                    _shut(client)
                    continue
                self._start(self._forward, client, server)
                self._start(self._answer, server, client)

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(1 << 16):
                if COMMIT in data and self.cut_before:
                    self.cut_before, self.cuts = False, self.cuts + 1
                    break
                if COMMIT in data and self.cut_after:
                    self.cut_after, self.cuts = False, self.cuts + 1
                    self._silenced.add(server)
                server.sendall(data)
        _shut(client, server)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        while data := server.recv(1 << 16):
            if server in self._silenced:
                # The server has done its work, but the client hears nothing any more.
                _shut(client)
            with suppress(OSError):
                client.sendall(data)
        _shut(client)


def _shut(*sockets: socket.socket) -> None:
    for one in sockets:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def cutter(postgres_bench: PostgresBench) -> Iterator[Cutter]:
    folder = postgres_bench.socket_folder / f"cut{os.getpid()}"
    folder.mkdir()
    cutter = Cutter(folder, str(postgres_bench.socket_folder / ".s.PGSQL.5432"))
    yield cutter
    cutter.close()
    shutil.rmtree(folder)


@pytest.fixture
async def store(postgres_bench: PostgresBench, cutter: Cutter) -> AsyncIterator[PostgresStore]:
    """A store whose connections can be cut."""
    await postgres_bench.leave()
    dsn = Dsn(make_conninfo(postgres_bench.dsn.text, host=str(cutter.folder)))
    store = PostgresStore.open(dsn, VAULT, PostgresOptions())
    await store.cluster.renew()
    await store.transact(lambda tx: tx.accounts.add(account(), []))
    yield store
    await store.close()
    await postgres_bench.end()


@pytest.fixture
def own_postgres() -> Iterator[OwnPostgres]:
    """A server of the test's own, which can be stopped and started again."""
    with a_postgres_to_restart() as server:
        schema.upgrade(Dsn(server.dsn), VAULT)
        yield server


def adding(number: int) -> Any:
    return lambda tx: tx.callbacks.add(callback(number))


async def outlast(work: Callable[[], Awaitable[T]]) -> T:
    """Repeat work until the database is available."""
    while True:
        try:
            return await work()
        except StoreUnavailable:
            await asyncio.sleep(0.02)


async def sees(server: OwnPostgres, condition: str) -> None:
    """Wait until the server has a session that meets a condition on `pg_stat_activity`."""
    question = f"SELECT count(*) FROM pg_stat_activity WHERE {condition}"  # noqa: S608 (our own text)
    await asked_until(lambda: asyncio.to_thread(server.do, question), bool, within=20)


async def stored(store: PostgresStore) -> list[int]:
    which = CallbackFilter()
    return numbers_of(
        await store.read(lambda tx: tx.callbacks.oldest(OURS, which, after=None, limit=9999))
    )


@pytest.mark.parametrize("is_quick", [True, False])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_connection_cut_at_the_commit_is_not_noticed_and_nothing_is_done_twice(
    store: PostgresStore, cutter: Cutter, when: str, is_quick: bool
) -> None:
    ends = list[str]()

    def work(tx: Transaction) -> None:
        tx.on_commit(lambda: ends.append("durable"), undone=lambda: ends.append("undone"))
        tx.callbacks.add(callback(len(ends) + 1))

    await keep(store, callback(9))
    setattr(cutter, f"cut_{when}", True)
    await store.transact(work, is_quick=is_quick)
    assert cutter.cuts == 1
    assert await stored(store) == [9, 1]
    assert ends == (["undone", "durable"] if when == "before" else ["durable"])


async def test_connections_that_are_cut_between_commits_are_not_noticed(
    store: PostgresStore, cutter: Cutter
) -> None:
    for number in range(3):
        await store.transact(adding(2 * number), is_quick=True)
        await store.transact(adding(2 * number + 1))
        cutter.cut_all()
        assert await store.cluster.hold("something")
    assert await stored(store) == [*range(6)]


async def test_a_terminated_backend_is_not_noticed(
    store: PostgresStore, postgres_bench: PostgresBench
) -> None:
    for number in range(4):
        await store.transact(adding(number), is_quick=number % 2 == 0)
        postgres_bench.terminate_all()
    assert await stored(store) == [*range(4)]


async def test_cuts_under_load_lose_nothing_and_do_nothing_twice(
    store: PostgresStore, cutter: Cutter
) -> None:
    numbers = iter(range(10_000))
    done, is_over = list[int](), False

    async def add(is_quick: bool) -> None:
        while not is_over:
            number = next(numbers)
            await outlast(lambda n=number: store.transact(adding(n), is_quick=is_quick))
            done.append(number)

    adders = [asyncio.create_task(add(is_quick)) for is_quick in (True, True, True, False)]
    for cut in range(12):
        await asyncio.sleep(0.05)
        cutter.cut_before, cutter.cut_after = cut % 3 == 0, cut % 3 == 1
        if cut % 3 == 2:
            cutter.cut_all()
    is_over = True
    await asyncio.gather(*adders)
    assert sorted(await stored(store)) == sorted(done)
    assert len(done) > 100


async def test_only_a_database_that_cannot_be_used_is_reported(
    postgres_bench: PostgresBench,
) -> None:
    told = list[StoreUnavailable]()
    options = PostgresOptions(unavailable=told.append)
    store = PostgresStore.open(postgres_bench.dsn, VAULT, options)
    await fail_in_turn(store, RecoveryPending("not yet"), StoreUnavailable("gone"))
    await store.close()
    assert list(map(str, told)) == ["gone"]


async def test_a_restart_of_the_server_needs_no_restart_of_ringback(
    own_postgres: OwnPostgres,
) -> None:
    told = list[StoreUnavailable]()
    store = PostgresStore.open(
        Dsn(own_postgres.dsn), VAULT, PostgresOptions(unavailable=told.append)
    )
    await store.cluster.renew()
    await store.transact(lambda tx: tx.accounts.add(account(), []))
    await keep(store, callback(1))
    own_postgres.stop()
    for is_quick in (True, False):
        with pytest.raises(
            StoreUnavailable, match="can't be used just now: its socket does not exist"
        ):
            await store.transact(adding(2), is_quick=is_quick)
    with pytest.raises(StoreUnavailable):
        await store.read(lambda tx: tx.accounts.all())
    with pytest.raises(StoreUnavailable):
        await store.cluster.renew()
    assert len(told) == 2
    own_postgres.start()
    await outlast(lambda: store.transact(adding(3), is_quick=True))
    await outlast(lambda: store.transact(adding(4)))
    assert await stored(store) == [1, 3, 4]
    assert (await store.cluster.renew()).lost == frozenset()
    assert numbers_of(await claim(store)) == [1, 3, 4]
    await store.close()


async def test_a_commit_lost_in_a_crash_is_not_taken_for_that_of_others(
    own_postgres: OwnPostgres,
) -> None:
    store = PostgresStore.open(Dsn(own_postgres.dsn), VAULT, PostgresOptions())
    await store.transact(lambda tx: tx.accounts.add(account(), []))
    tries = list[int]()

    def work(tx: Transaction) -> None:
        tx.callbacks.add(callback(1))
        if not tries:
            own_postgres.crash()
            own_postgres.start()
            # The server gives them the ids of the transactions that it has forgotten.
            with psycopg.connect(own_postgres.dsn, autocommit=True) as connection:
                for _ in range(20):
                    connection.execute("UPDATE write_checks SET checked = now()")
        tries.append(1)

    await outlast(lambda: store.transact(work))
    assert len(tries) == 2
    assert await stored(store) == [1]
    await store.close()


@pytest.mark.parametrize("is_by_ringback", [True, False])
async def test_a_commit_lost_in_a_failover_is_not_taken_for_that_of_others(
    *, is_by_ringback: bool
) -> None:
    with a_postgres_with_standby() as pair:
        where = Dsn(f"postgresql:///postgres?user=postgres&{pair.where}")
        schema.upgrade(where, VAULT)
        store = PostgresStore.open(where, VAULT, PostgresOptions())
        await store.transact(lambda tx: tx.accounts.add(account(), []))
        tries, loop = list[int](), asyncio.get_running_loop()

        async def change_often() -> None:
            for _ in range(20):
                if is_by_ringback:
                    await outlast(store.cluster.renew)
                else:
                    pair.primary.do("SELECT pg_current_xact_id()")

        def work(tx: Transaction) -> None:
            tx.callbacks.add(callback(1))
            if not tries:
                pair.promote()
                # The server gives them the ids of transactions that it has never known.
                asyncio.run_coroutine_threadsafe(change_often(), loop).result()
            tries.append(1)

        await outlast(lambda: store.transact(work))
        assert len(tries) == 2
        assert await stored(store) == [1]
        await store.close()


async def test_a_commit_that_the_standby_lacks_is_not_taken_for_made(tmp_path: Path) -> None:
    with a_postgres_with_standby() as pair:
        cutter = Cutter(tmp_path, str(pair.folder / ".s.PGSQL.5432"))
        hosts = f"host={tmp_path},{pair.standby.folder}&target_session_attrs=read-write"
        where = Dsn(f"postgresql:///postgres?user=postgres&{hosts}")
        schema.upgrade(where, VAULT)
        store = PostgresStore.open(where, VAULT, PostgresOptions())
        await store.transact(lambda tx: tx.accounts.add(account(), []))
        tries = list[int]()

        def work(tx: Transaction) -> None:
            tries.append(1)
            tx.callbacks.add(callback(1))

        pair.cut_standby_off()
        adding = asyncio.create_task(outlast(lambda: store.transact(work)))
        # The server has committed it for itself, and nobody listens to it any more.
        await sees(pair.primary, "wait_event = 'SyncRep'")
        cutter.cut_all()
        await sees(pair.primary, "wait_event_type = 'Lock' AND query LIKE '%commit_marks%'")
        pair.promote()
        await adding
        assert len(tries) == 2
        assert await stored(store) == [1]
        await store.close()
        cutter.close()


async def test_marks_of_commits_do_not_gather(
    store: PostgresStore, postgres_bench: PostgresBench
) -> None:
    def marks(of: str) -> int:
        with psycopg.connect(postgres_bench.dsn.text) as connection:
            found = connection.execute(f"SELECT count(*) FROM commit_marks WHERE {of}".encode())  # noqa: S608 (our own text)
            return (found.fetchone() or (0,))[0]

    with psycopg.connect(postgres_bench.dsn.text) as connection:
        connection.execute("DELETE FROM commit_marks")
    for number in range(400):
        await store.transact(adding(number), is_quick=True)
    assert 100 < marks("true") <= 260
    with psycopg.connect(postgres_bench.dsn.text) as connection:
        connection.execute("UPDATE commit_marks SET made = made - interval '8 days'")
    # Their process is taken for dead when another one starts.
    await PostgresStore.open(postgres_bench.dsn, VAULT, PostgresOptions()).close()
    assert marks("made < clock_timestamp() - interval '1 hour'") == 0


async def test_a_server_without_free_connections_is_an_outage(own_postgres: OwnPostgres) -> None:
    store = PostgresStore.open(Dsn(own_postgres.dsn), VAULT, PostgresOptions())
    held = list[psycopg.Connection[Any]]()
    with suppress(psycopg.OperationalError):
        while True:
            held.append(psycopg.connect(own_postgres.dsn))
    with pytest.raises(StoreUnavailable, match="it has too many connections"):
        await store.transact(lambda tx: tx.accounts.all())
    for connection in held:
        connection.close()
    # The server needs a moment to notice that they are closed.
    assert await outlast(lambda: store.transact(lambda tx: tx.accounts.all())) == []
    await store.close()


# ---- at the start --------------------------------------------------------------------------------


def test_options_in_an_address_are_kept_and_texts_are_always_utf8(
    postgres_bench: PostgresBench,
) -> None:
    given = {"options": "-c work_mem=5MB", "client_encoding": "LATIN1"}
    with Dsn(make_conninfo(postgres_bench.dsn.text, **given)).connect() as connection:
        assert connection.execute(b"SHOW work_mem").fetchone() == ("5MB",)
        euro = execute(connection, "SELECT ? || '', octet_length(?)", ["€", "€"]).fetchone()
        assert tuple(euro) == ("€", 3)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"dbname": "nowhere"}, r"nowhere on .* can't be used: .*\"nowhere\" does not exist"),
        ({"user": "nobody"}, r"can't be used: .*role \"nobody\" does not exist"),
        ({"host": "/nowhere"}, r"on /nowhere can't be used: .*No such file"),
        ({"host": "127.0.0.1", "port": "1"}, r"can't be used: .*[Cc]onnection refused"),
    ],
)
def test_a_wrong_address_is_refused_at_the_start(
    postgres_bench: PostgresBench, changed: dict[str, str], message: str
) -> None:
    dsn = Dsn(make_conninfo(postgres_bench.dsn.text, **changed))
    with pytest.raises(ConfigurationError, match=message):
        PostgresStore.open(dsn, VAULT)


def test_a_wrong_password_is_refused_without_showing_it(own_postgres: OwnPostgres) -> None:
    own_postgres.ask_for_passwords()
    dsn = Dsn(make_conninfo(own_postgres.dsn, password="hunter2"))
    with pytest.raises(ConfigurationError, match="password authentication failed") as refused:
        PostgresStore.open(dsn, VAULT)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "address",
    [
        "service=ringback",
        "host=/nowhere,{folder} user=postgres dbname=postgres target_session_attrs=read-write",
        "postgresql://postgres@%2Fnowhere,{quoted}/postgres?target_session_attrs=read-write",
    ],
)
def test_addresses_are_used_as_libpq_reads_them(
    address: str, own_postgres: OwnPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(own_postgres.folder)
    services = f"[ringback]\nhost={folder}\nuser=postgres\ndbname=postgres\n"
    (tmp_path / "services").write_text(services)
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    dsn = Dsn(address.format(folder=folder, quoted=folder.replace("/", "%2F")))
    with dsn.connect() as connection:
        assert connection.info.host == folder


def test_a_malformed_address_is_refused() -> None:
    with pytest.raises(
        ConfigurationError, match=r"not the address of .*: a parameter after its \?"
    ):
        PostgresStore.open(Dsn("postgresql://host/name?unknown=1"), VAULT)


# ---- errors of single jobs -----------------------------------------------------------------------


async def test_a_row_that_cannot_be_stored_fails_alone(store: PostgresStore) -> None:
    def bad(tx: Transaction) -> None:
        tx.callbacks.add(callback(2, key="\ud800"))

    works = [adding(1), bad, adding(3)]
    for is_quick in (True, False):
        ends = await asyncio.gather(
            *(store.transact(work, is_quick=is_quick) for work in works), return_exceptions=True
        )
        assert isinstance(ends[1], UnicodeEncodeError)
        works = [adding(4), bad, adding(5)]
    assert await stored(store) == [1, 3, 4, 5]


async def test_a_refused_statement_fails_alone(store: PostgresStore) -> None:
    await store.transact(lambda tx: tx.supersim.access_profiles.add(profile(1)))
    ends = await asyncio.gather(
        store.transact(adding(1)),
        store.transact(lambda tx: tx.supersim.access_profiles.add(profile(1))),
        store.transact(adding(2)),
        return_exceptions=True,
    )
    assert isinstance(ends[1], psycopg.errors.UniqueViolation)
    assert await stored(store) == [1, 2]


async def test_an_id_without_a_partition_gets_one(
    store: PostgresStore, postgres_bench: PostgresBench
) -> None:
    names = postgres_bench.connection.execute(
        "SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'"
    ).fetchall()
    for (name,) in names:
        postgres_bench.connection.execute(f"DROP TABLE {name}".encode())
    await keep(store, callback(1))
    assert (await found(store, 1)).sid == callback(1).sid


async def test_a_read_that_takes_too_long_says_what_to_do(
    store: PostgresStore, postgres_bench: PostgresBench
) -> None:
    with postgres_bench.dsn.connect() as connection:
        types = types_of_columns(connection)
    reader = PostgresReader(postgres_bench.dsn, VAULT, store.cluster._own, types, longest=0.05)
    with pytest.raises(QueryTimeout, match=r"longer than 0\.05 s, .* request less at once"):
        reader.run(lambda tx: vars(tx.tasks)["_session"].read("SELECT pg_sleep(9)").fetchone())
    assert reader.run(lambda tx: tx.tasks.next_due()) is None
    reader.close()


async def test_a_closed_store_has_finished_its_work(postgres_bench: PostgresBench) -> None:
    await postgres_bench.leave()
    store = PostgresStore.open(postgres_bench.dsn, VAULT)
    ended = [store.transact(lambda tx: tx.accounts.add(account(), []))]
    ended += [store.transact(adding(n), is_quick=n % 2 == 0) for n in (1, 3, 5)]
    await store.close()
    await asyncio.gather(*ended)
    for ask in (store.transact, store.read):
        with pytest.raises(StoreUnavailable, match="is closed"):
            await ask(lambda tx: None)
    await postgres_bench.end()
