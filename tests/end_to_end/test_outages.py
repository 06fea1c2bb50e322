"""A database that is unavailable for a while: locked, full or read-only. The server recovers.

A full disk is a small mounted one if the machine allows that, or else a limit on the size of files
that the process writes.
"""

import asyncio
import errno
import os
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from ringback.core.errors import ConfigurationError
from ringback.data_folder import DATA_FILE, KEY_FILE, DataFolder
from ringback.stores.encryption import make_key_file
from ringback.stores.sqlite import table_rebuild
from tests.crash.production import (
    AWAY,
    RINGBACK,
    Production,
    create_account,
    in_production,
    limit_files,
    spawn,
)
from tests.crash.read_only_disk import SIGN
from tests.receivers import OK, Hang, ReceivedRequest, RecordingReceiver
from tests.served import asked_until
from tests.stores.schema_10 import read_rich_file, write_rich_file

if sys.platform != "linux":
    pytest.skip("only Linux can limit another process", allow_module_level=True)

READ_ONLY_DISK = ("-m", "tests.crash.read_only_disk")
BOUND_BY_MODES = ("-m", "tests.crash.bound_by_modes")

# ---- kinds of outage -----------------------------------------------------------------------------

Outage = Callable[[Path, Production], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def locked(data: Path, server: Production) -> AsyncGenerator[None]:
    """Another process holds the write lock, longer than the server waits for it."""
    with closing(sqlite3.connect(data / "ringback.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@asynccontextmanager
async def limited(data: Path, server: Production) -> AsyncGenerator[None]:
    """No file of the process may grow."""
    limit_files(server.process, 4096)
    yield
    limit_files(server.process, None)


@asynccontextmanager
async def read_only(data: Path, server: Production) -> AsyncGenerator[None]:
    """The disk is read-only; only the process that looks for the marker file notices."""
    (data / SIGN).touch()
    yield
    (data / SIGN).unlink()


@asynccontextmanager
async def full(data: Path, server: Production) -> AsyncGenerator[None]:
    """Another process has filled the disk."""
    filler = data / "filler"
    fill(filler)
    yield
    filler.unlink()


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError as failure:
                assert failure.errno == errno.ENOSPC  # noqa: PT017 (any other error is a failure)


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A folder on a disk of 4 MiB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(tmp_path)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine does not allow mounting a disk")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


# The kind of outage, the server that it hits, and the error that this server reports.
LOCKED = pytest.param(locked, RINGBACK, "database is locked", marks=pytest.mark.long)
"""Takes long, since each process waits for the lock."""
OUTAGES = [
    LOCKED,
    (limited, RINGBACK, "disk I/O error"),
    (read_only, READ_ONLY_DISK, "attempt to write a readonly database"),
]


# ---- while it runs -------------------------------------------------------------------------------


@pytest.mark.parametrize(("outage", "command", "why"), OUTAGES)
async def test_a_server_answers_503_and_recovers_by_itself(
    outage: Outage, command: tuple[str, ...], why: str, tmp_path: Path
) -> None:
    await outlasts(outage, command, why, tmp_path)


async def test_a_server_recovers_when_a_full_disk_has_room_again(small_disk: Path) -> None:
    await outlasts(full, RINGBACK, "database or disk is full", small_disk)


async def outlasts(outage: Outage, command: tuple[str, ...], why: str, data: Path) -> None:
    """Take a server through an outage: it delivers stored callbacks with one request each."""
    hang, credentials = Hang(), await create_account(data)
    make_fleet(data, credentials["account_sid"])

    def answer(request: ReceivedRequest) -> Any:
        return hang if b"Event=before" in request.body else OK

    async with RecordingReceiver(answer=answer) as receiver:
        url = receiver.url("/hook")
        # Retries are only logged at debug level.
        flags = ("--update-takes", "300ms", "--log-level", "debug")
        async with in_production(data, credentials, *flags, command=command) as server:
            before = await send(server, {"callbacks": [event(url, "before")] * 3})
            await receiver.wait_for(3)
            sim = await update_sim(server, url)
            async with outage(data, server):
                unready, refused = await asyncio.gather(
                    server.get("/readyz"), server.send(event(url, "during", key="its key"))
                )
                assert_unavailable(refused.status, refused.body["message"], why)
                assert refused.body["code"] == 20503
                assert_unavailable(unready.status, unready.body["reason"], why)
                assert (await server.get("/healthz")).status == 200
                hang.release()
                # Once for the attempt that can't be settled, and once for the SIM, which is due by
                # then.
                await server.log.says(f"{AWAY}{why}; trying again", times=2)
            await is_ready_again(server)
            await server.log.says("the database is back after")
            assert_said_once(server, why)
            during = await send(server, event(url, "during", key="its key"))
            for sid in (*before, *during):
                assert (await server.ended(sid))["status"] == "delivered"
                assert await server.results(sid) == ["delivered"]
            await receiver.wait_for(5)
            (of_sim,) = [one for one in await server.callbacks() if "SimSid" in one["parameters"]]
            assert (await server.ended(of_sim["sid"]))["status"] == "delivered"
            assert (await server.get(f"/v1/Sims/{sim}")).body["status"] == "active"
    received = Counter(request.body for request in receiver.requests)
    assert received[b"Event=before"] == 3
    assert received[b"Event=during"] == 1
    assert received.total() == 5


async def test_a_disk_with_room_for_a_page_but_no_request_is_not_ready(small_disk: Path) -> None:
    credentials = await create_account(small_disk)
    big = [event("http://127.0.0.1:9/", "e" * 30_000)] * 10
    async with in_production(small_disk, credentials) as server:
        fill(small_disk / "filler")
        leave_room(small_disk / "filler", 100_000)
        for _ in range(3):
            assert (await server.send({"callbacks": big})).status == 503
        for _ in range(3):
            assert (await server.get("/readyz")).status == 503
        assert await store_up(server) == "0.0"
        (small_disk / "filler").unlink()
        # It notices without any request.
        await server.log.says("the database is back after")
        assert await store_up(server) == "1.0"
        assert (await server.send({"callbacks": big[:5]})).status == 201
        said = [line["message"] for line in server.log.lines if line["level"] != "info"]
    assert len(said) == 2
    assert said[0].startswith(f"{AWAY}database or disk is full")
    assert said[1].endswith(" s; 3 requests were refused")


def leave_room(filler: Path, size: int) -> None:
    os.truncate(filler, filler.stat().st_size - size)


async def store_up(server: Production) -> str:
    """Return the value of the database metric."""

    def ask() -> str:
        with urlopen(f"{server.dev['base_url']}/metrics") as answer:  # noqa: S310 (the URL is ours)
            return answer.read().decode()

    (line,) = re.findall(r"^ringback_store_up (.*)$", await asyncio.to_thread(ask), re.MULTILINE)
    return line


@pytest.mark.parametrize(("outage", "command", "why"), OUTAGES[1:])
async def test_attempts_unsettled_at_the_death_of_a_process_are_sent_again(
    outage: Outage, command: tuple[str, ...], why: str, tmp_path: Path
) -> None:
    hang, credentials = Hang(), await create_account(tmp_path)
    async with RecordingReceiver(hang) as receiver:
        async with in_production(tmp_path, credentials, command=command) as server:
            (sid,) = await send(server, event(receiver.url("/hook"), "before"))
            await receiver.wait_for(1)
            async with outage(tmp_path, server):
                hang.release()
                await server.log.says(f"{AWAY}{why}; requests are refused")
                await server.kill()
        async with in_production(tmp_path, credentials) as server:
            assert (await server.ended(sid))["status"] == "delivered"
            assert await server.results(sid) == ["unknown", "delivered"]
    assert len(receiver.requests) == 2


@pytest.mark.parametrize(("outage", "command", "why"), OUTAGES[1:])
async def test_a_stop_ends_in_time_although_the_database_is_unavailable(
    outage: Outage, command: tuple[str, ...], why: str, tmp_path: Path
) -> None:
    hang, credentials = Hang(), await create_account(tmp_path)
    async with RecordingReceiver(hang) as receiver:
        flags = ("--drain", "10ms", "--per-destination", "1")
        async with in_production(tmp_path, credentials, *flags, command=command) as server:
            url = receiver.url("/hook")
            sids = await send(server, {"callbacks": [event(url, "before")] * 3})
            await receiver.wait_for(1)
            async with outage(tmp_path, server):
                assert await server.stop() == 0
        async with in_production(tmp_path, credentials) as server:
            assert {(await server.ended(sid))["status"] for sid in sids} == {"delivered"}
            # Nothing could be put back, so each counts as possibly sent.
            rows = [await server.results(sid) for sid in sids]
    assert rows == [["unknown", "delivered"]] * 3
    assert len(receiver.requests) == 4


async def test_a_server_keeps_no_bytecode_which_a_full_disk_would_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "")
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path / "bytecode"))
    credentials = await create_account(tmp_path)
    make_fleet(tmp_path, credentials["account_sid"])
    flags = ("--update-takes", "0s")
    async with (
        RecordingReceiver() as receiver,
        in_production(tmp_path, credentials, *flags) as server,
    ):
        kept = set((tmp_path / "bytecode").rglob("*.pyc"))
        await update_sim(server, receiver.url("/hook"))  # imports what does it
        await receiver.wait_for(1)
    assert kept
    assert set((tmp_path / "bytecode").rglob("*.pyc")) == kept


def event(url: str, name: str, *, key: str | None = None) -> dict[str, Any]:
    return {"url": url, "parameters": {"Event": name}, "idempotency_key": key}


async def send(server: Production, document: dict[str, Any]) -> list[str]:
    answered = await server.send(document)
    assert answered.status == 201
    return [one["sid"] for one in answered.body.get("callbacks", [answered.body])]


def make_fleet(data: Path, account_sid: str) -> None:
    """Insert a fleet into the file: SIMs need one, and no route creates one yet."""
    with sqlite3.connect(data / "ringback.db") as connection:
        connection.execute(
            "INSERT INTO fleets (sid, account_sid, unique_name, created_us, updated_us)"
            " VALUES ('HF00000000000000000000000000000001', ?, 'ours', 0, 0)",
            [account_sid],
        )
    connection.close()


async def update_sim(server: Production, url: str) -> str:
    """Activate a new SIM, and return its SID; it calls back when that is done."""
    form = {"Iccid": "8988307000000000001", "RegistrationCode": "H3LL0W0RLD"}
    sid: str = (await server.post("/v1/Sims", **form)).body["sid"]
    asked = await server.post(
        f"/v1/Sims/{sid}", Status="active", Fleet="ours", CallbackUrl=url, CallbackMethod="POST"
    )
    assert asked.status == 202
    return sid


def assert_unavailable(status: int, told: str, why: str) -> None:
    assert status == 503
    # If it waited for others up to the timeout, it knows nothing more than that.
    assert why in told or told == "the database did not commit within 2 s"


def assert_said_once(server: Production, why: str) -> None:
    """Check that the log has one line for the outage's start, and one for its end."""
    said = [line for line in server.log.lines if line["level"] in ("warning", "error")]
    began, ended = [line["message"] for line in said]
    assert began.startswith(f"{AWAY}{why}")
    assert began.endswith("; requests are refused with 503 until the database works again")
    assert re.fullmatch(r"the database is back after \d+\.\d s; \d requests were refused", ended)


async def is_ready_again(server: Production) -> None:
    await asked_until(lambda: server.get("/readyz"), lambda answered: answered.status == 200)


# ---- while it starts -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "mode", "why"),
    [
        (".", 0o500, "attempt to write a readonly database"),
        ("ringback.lock", 0o400, "Permission denied; choose another folder with --data"),
    ],
)
async def test_a_folder_without_write_access_is_refused_until_it_is_writable(
    name: str, mode: int, why: str, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    credentials = await create_account(data)
    async with RecordingReceiver(Hang()) as receiver:
        async with in_production(data, credentials, "--drain", "10ms") as server:
            (sid,) = await send(server, event(receiver.url("/hook"), "before"))
            await receiver.wait_for(1)
            assert await server.stop() == 0

        usual = (data / name).stat().st_mode
        (data / name).chmod(mode)
        process = await spawn(data, command=BOUND_BY_MODES)
        _, told = await process.communicate()
        (data / name).chmod(usual)
        assert process.returncode == 1
        assert why in told.decode()

        async with in_production(data, credentials, command=BOUND_BY_MODES) as server:
            assert (await server.ended(sid))["status"] == "delivered"
            assert await server.results(sid) == ["unknown", "delivered"]


@pytest.mark.parametrize("is_killed", [True, False])
async def test_on_a_full_disk_a_server_starts_and_goes_on_when_there_is_room(
    is_killed: bool, small_disk: Path
) -> None:
    credentials = await create_account(small_disk)
    hang = Hang()
    async with RecordingReceiver(hang) as receiver:
        async with in_production(small_disk, credentials, "--drain", "10ms") as server:
            (sid,) = await send(server, event(receiver.url("/hook"), "before"))
            await receiver.wait_for(1)
            await (server.kill() if is_killed else server.stop())
        # The files that SQLite had beside the database are gone too, and can't even be created.
        fill(small_disk / "filler")
        hang.release()
        async with in_production(small_disk, credentials) as server:
            assert (await server.fetch(sid))["status"] == "scheduled"
            assert (await server.get("/v1/Sims")).status == 200
            assert (await server.send(event(receiver.url("/hook"), "during"))).status == 503
            assert (await server.get("/readyz")).status == 503
            (small_disk / "filler").unlink()
            assert (await server.ended(sid))["status"] == "delivered"
            assert await server.results(sid) == ["unknown", "delivered"]
            await is_ready_again(server)
            after = await send(server, event(receiver.url("/hook"), "after"))
            assert (await server.ended(*after))["status"] == "delivered"
            # Others can use the file again.
            await create_account(small_disk)
            said = [line["message"] for line in server.log.lines if line["level"] == "error"]
    assert len(said) == 1


def test_an_upgrade_on_a_disk_that_gets_full_changes_nothing(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_rebuild, "CHUNK", 10)
    monkeypatch.setattr(table_rebuild, "TOLD", 10)
    data, filler = small_disk / DATA_FILE, small_disk / "filler"
    write_rich_file(data)
    before = read_rich_file(data)
    why = r"can't be upgraded: database or disk is full\. Nothing was changed\. The upgrade takes"
    with pytest.raises(ConfigurationError, match=why):
        DataFolder(small_disk).upgrade(tell=lambda _: fill(filler))
    filler.unlink()
    assert read_rich_file(data) == before
    assert not [file for file in small_disk.iterdir() if "db." in file.name]
    assert DataFolder(small_disk).upgrade().copy == small_disk / f"{DATA_FILE}.before-10"


def test_on_a_full_disk_an_upgrade_says_how_much_room_it_needs(small_disk: Path) -> None:
    data, filler = small_disk / DATA_FILE, small_disk / "filler"
    write_rich_file(data)
    make_key_file(small_disk / KEY_FILE)
    with closing(sqlite3.connect(data)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    before = read_rich_file(data)
    fill(filler)
    with pytest.raises(ConfigurationError, match=r"The upgrade takes up to \d\.\d MB in"):
        DataFolder(small_disk).upgrade()
    filler.unlink()
    assert read_rich_file(data) == before
