"""Servers that start while PostgreSQL can't be used: they wait for it, but not for a mistake."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest

from ringback.application import ServerProcess
from ringback.application.storage import DatabaseWait, OpenStorage
from ringback.core.errors import ConfigurationError
from ringback.settings.load import load
from ringback.settings.setting_definitions import ServerCommand
from tests.crash.cluster import Cluster, a_cluster
from tests.crash.production import AWAY, Log
from tests.ports import free_port
from tests.served import asked_until

# One for each process that runs tests, since PostgreSQL always takes the same port.
HOST = f"127.47.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}"
NAME, PASSWORD = "ringback", "S3cretPGpw"
ADDRESS = f"postgresql://ringback:{PASSWORD}@{HOST}:5432/{NAME}"
WAITS = f"the PostgreSQL database {NAME} on {HOST} can't be used: "


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with a_cluster(tmp_path, address=HOST) as cluster:
        yield cluster


def ask(port: int, path: str) -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except ConnectionRefusedError:
        return 0, ""
    finally:
        connection.close()


def starting(cluster: Cluster, role: str, port: int, *flags: str) -> Any:
    """Start a process whose database is given in a file, as orchestrators mount secrets."""
    secret = cluster.folder / "address"
    secret.write_text(f"{ADDRESS}\n")
    return cluster.spawn(role, "--port", str(port), "--database-file", str(secret), *flags, url="")


@pytest.mark.parametrize("role", ["api", "worker"])
async def test_a_process_waits_for_a_database_that_crashed_and_starts_late(
    cluster: Cluster, role: str
) -> None:
    cluster.database.crash()
    port, log = free_port(), Log(sys.stderr)
    process = await starting(cluster, role, port)
    following = asyncio.create_task(log.follow(process))
    await log.says(WAITS)

    async def answers(path: str) -> tuple[int, Any]:
        return await asyncio.to_thread(ask, port, path)

    assert await answers("/healthz") == (200, '{"status":"alive"}')
    for path in ("/readyz", "/portal/v1/callbacks"):
        status, text = await answers(path)
        assert status == 503
        assert "the database can't be used yet: it refuses connections" in text
        assert not [one for one in (HOST, "5432", NAME + " on", PASSWORD) if one in text]
    cluster.database.start()
    found = await asked_until(lambda: answers("/readyz"), lambda it: it[0] == 200, within=20)
    assert json.loads(found[1]) == {"status": "ready"}
    line = await cast("asyncio.StreamReader", process.stdout).readline()
    assert json.loads(line)["database"] == f"{NAME} on {HOST}"
    await strangers_learn_nothing_in_an_outage(cluster, answers, log)
    process.terminate()
    assert await process.wait() == 0
    await following
    told = [line["message"] for line in log.lines]
    assert sum(WAITS in one for one in told) == 1
    assert any(one.startswith("the database is ready after ") for one in told)
    assert PASSWORD not in json.dumps(log.lines)


async def strangers_learn_nothing_in_an_outage(
    cluster: Cluster, answers: Callable[[str], Awaitable[tuple[int, Any]]], log: Log
) -> None:
    """Stop the database, look at all that needs no credentials, and start it again."""
    cluster.database.stop()
    await asked_until(lambda: answers("/readyz"), lambda it: it[0] == 503)
    _, metrics = await asked_until(
        lambda: answers("/metrics"), lambda it: "ringback_store_up 0.0" in it[1]
    )
    texts = [metrics, *[(await answers(path))[1] for path in ("/readyz", "/portal/v1/callbacks")]]
    assert "the database can't be used just now" in texts[1]
    assert not [one for one in (HOST, "5432", NAME + " on", PASSWORD) if one in "".join(texts)]
    await log.says(AWAY)
    (line,) = [one["message"] for one in log.lines if one["message"].startswith(AWAY)]
    # The operator reads the words of the driver or of the server, whichever failed first.
    assert HOST in line or "terminating connection due to administrator command" in line
    cluster.database.start()
    await asked_until(lambda: answers("/readyz"), lambda it: it[0] == 200, within=20)


@pytest.mark.parametrize("words", [("serve",), ("db", "check"), ("db", "status", "--json")])
async def test_a_wrong_address_ends_a_command_in_a_sentence(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ringback", *words),
        env={**os.environ, "RINGBACK_DATABASE": "postgresql://u:S3cretPGpw%zz@h/ringback"},
        cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert (process.returncode, out) == (1, b"")
    assert b"a % in it is not followed by two hexadecimal digits" in err
    assert b"RINGBACK_DATABASE" in err
    assert b"Traceback" not in err
    assert b"S3cret" not in err


async def test_the_wait_has_an_end_and_a_signal_ends_it_at_once(cluster: Cluster) -> None:
    cluster.database.stop()
    log = Log(sys.stderr)
    process = await starting(cluster, "api", free_port(), "--wait-for-database", "1s")
    await log.follow(process)
    assert await process.wait() == 1
    assert log.lines[-1]["message"].endswith("; the server waited for 1 s (wait_for_database)")
    assert "Traceback" not in json.dumps(log.lines)
    stopped = await starting(cluster, "worker", free_port())
    log = Log(sys.stderr)
    following = asyncio.create_task(log.follow(stopped))
    await log.says(WAITS)
    stopped.terminate()
    assert await asyncio.wait_for(stopped.wait(), 5) == 0
    await following


@pytest.mark.parametrize("comes_back", [True, False])
async def test_a_database_that_goes_away_once_it_is_open_is_waited_for_too(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, comes_back: bool
) -> None:
    def open_and_lose(*given: Any, **how: Any) -> Any:
        storage = opened(*given, **how)
        cluster.database.stop()
        return storage

    def not_ready(reason: str) -> None:
        reasons.append(reason)
        if comes_back:
            cluster.database.start()

    opened, reasons = OpenStorage.open, list[str]()
    monkeypatch.setattr(OpenStorage, "open", open_and_lose)
    environment = {
        "RINGBACK_DATABASE": ADDRESS,
        "RINGBACK_SEAL_KEY_FILE": str(cluster.folder / "ringback.key"),
        "RINGBACK_WAIT_FOR_DATABASE": "20s" if comes_back else "1s",
    }
    settings = load({}, environment, command=ServerCommand.SERVE)
    starting = ServerProcess.start(settings, wait=DatabaseWait(asyncio.Event(), not_ready))
    if comes_back:
        server = await starting
        assert server.workers.supervisor.is_running
        await server.stop()
    else:
        with pytest.raises(ConfigurationError, match=r"the server waited for 1 s"):
            await starting
    # On a slow machine, the second is over before the first try.
    assert reasons or not comes_back
    assert all(HOST not in reason for reason in reasons)


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        ("ALTER DATABASE ringback RENAME TO other", 'database "ringback" does not exist'),
        ("ALTER ROLE ringback NOLOGIN", 'role "ringback" is not permitted to log in'),
        ("DROP SCHEMA public CASCADE", "has no tables of Ringback"),
    ],
)
async def test_a_process_does_not_wait_for_the_end_of_a_mistake(
    cluster: Cluster, harm: str, why: str
) -> None:
    where = (
        cluster.connect()
        if "SCHEMA" in harm
        else psycopg.connect(cluster.database.dsn, autocommit=True)
    )
    with where as connection:
        connection.execute(harm.encode())
    log = Log(sys.stderr)
    process = await starting(cluster, "all", free_port())
    async with asyncio.timeout(15):
        await log.follow(process)
    assert await process.wait() == 1
    assert len(log.lines) == 1
    assert why in log.lines[0]["message"]
    assert "waiting" not in log.lines[0]["message"]
