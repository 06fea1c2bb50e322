"""A backup under load, as an operator makes it; restored, it sends nothing until it is resumed."""

import asyncio
import json
import sqlite3
import sys
import time
from base64 import b64encode
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from shutil import copy
from typing import Any
from urllib.request import urlopen

import pytest

from ringback.core.calendar import iso
from ringback.data_folder import DATA_FILE, KEY_FILE
from ringback.runtime.system_clock import SystemClock
from tests.crash.production import Production, create_account, in_production
from tests.receivers import RecordingReceiver
from tests.served import in_this_process
from tests.stores.rich_data import raw_rows, without_mac

CLIENTS = 8


class Load:
    """Clients that create callbacks at a steady rate, each over one connection."""

    def __init__(self, server: Production, url: str, *, per_second: int) -> None:
        self.accepted = list[str]()
        self._server = server
        self._url = url
        self._pause = CLIENTS / per_second
        self._tasks = [asyncio.create_task(self._run(number)) for number in range(CLIENTS)]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        for ended in await asyncio.gather(*self._tasks, return_exceptions=True):
            assert isinstance(ended, asyncio.CancelledError), ended

    async def _run(self, number: int) -> None:
        await asyncio.sleep(self._pause * number / CLIENTS)
        reader, writer = await asyncio.open_connection(*self._server.address)
        try:
            await self._create(reader, writer)
        finally:
            writer.close()

    async def _create(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pair = f"{self._server.dev['api_key_sid']}:{self._server.dev['api_key_secret']}".encode()
        body = json.dumps({"url": self._url, "parameters": {"Text": "x" * 200}}).encode()
        request = (
            b"POST /portal/v1/callbacks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Authorization: Basic %s\r\nContent-Length: %d\r\n\r\n%s"
        ) % (b64encode(pair), len(body), body)
        began = time.perf_counter()
        for turn in range(10**9):
            await asyncio.sleep(max(0.0, began + turn * self._pause - time.perf_counter()))
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            answer = json.loads(await reader.readexactly(length))
            assert head.startswith("http/1.1 201"), answer
            self.accepted.append(answer["sid"])


async def ringback(*words: str) -> tuple[int, str, str]:
    """Run a command in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ringback", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complained = await process.communicate()
    return process.returncode or 0, said.decode(), complained.decode()


async def operators(data: Path, server: Production) -> dict[str, str]:
    """Return the variables by which a command asks a server as its operator."""
    words = ("accounts", "keys", "create", "--operator", "--json", "--data", str(data))
    key = json.loads((await in_this_process(*words)).stdout)
    return {
        "RINGBACK_SERVER": server.dev["base_url"],
        "RINGBACK_ACCOUNT_SID": key["sid"],
        "RINGBACK_AUTH_TOKEN": key["secret"],
    }


def sids_in(data: Path) -> set[str]:
    return {row[1] for row in raw_rows(data / DATA_FILE)["callbacks"]}


def fetched(server: Production, path: str) -> str:
    with urlopen(f"{server.dev['base_url']}{path}", timeout=5) as answer:  # noqa: S310 (the URL is ours)
        return answer.read().decode()


async def readiness(server: Production) -> Any:
    return json.loads(await asyncio.to_thread(fetched, server, "/readyz"))


@pytest.mark.parametrize(
    ("per_second", "seconds"), [(100, 0.5), pytest.param(500, 20.0, marks=pytest.mark.long)]
)
async def test_a_backup_under_load_is_restored_and_sends_only_when_it_is_resumed(
    per_second: int, seconds: float, tmp_path: Path
) -> None:
    live, back, file = tmp_path / "live", tmp_path / "back", tmp_path / "live.backup"
    account = await create_account(live)
    async with RecordingReceiver() as receiver:
        async with in_production(live, account) as server:
            load = Load(server, receiver.url("/load"), per_second=per_second)
            later = await send_later(server, receiver, seconds=60 + seconds)
            await asyncio.sleep(seconds)
            acknowledged = [later, *load.accepted]
            code, said, complained = await ringback(
                "backup", str(file), "--data", str(live), "--json"
            )
            assert code == 0, complained
            await asyncio.sleep(seconds)
            await load.stop()
            assert len(load.accepted) > per_second * seconds
            server.process.terminate()
            await server.process.wait()
        made = json.loads(said)
        assert (made["file"], made["bytes"]) == (str(file), file.stat().st_size)
        assert made["has_mac"]
        assert made["key_in"] == str(live / KEY_FILE)

        back.mkdir()
        copy(live / KEY_FILE, back)
        for words in (("restore", str(file)), ("db", "check")):
            done = await in_this_process(*words, "--data", str(back))
            assert done.exit_code == 0, done.output
        assert set(acknowledged) <= sids_in(back)
        assert sids_in(back) < sids_in(live)
        make_due(back)

        before = receiver.requests.copy()
        async with in_production(back, account) as server:
            reason = server.dev["paused"]
            assert reason.startswith("restored from live.backup, a backup of ")
            assert await readiness(server) == {"status": "ready", "paused": reason}
            new = await server.send({"url": receiver.url("/new"), "parameters": {"Event": "new"}})
            assert new.status == 201
            await asyncio.sleep(1)
            assert receiver.requests == before
            assert (await server.fetch(later))["status"] == "scheduled"
            resumed = await in_this_process(
                "resume", "--yes", "--json", **await operators(back, server)
            )
            assert json.loads(resumed.stdout)["is_paused"] is False
            assert (await server.ended(later))["status"] == "delivered"
            assert (await server.ended(new.body["sid"]))["status"] == "delivered"
            assert await readiness(server) == {"status": "ready"}
            paths = [request.line.split()[1] for request in receiver.requests]
            assert (paths.count("/later"), paths.count("/new")) == (1, 1)


async def send_later(server: Production, receiver: RecordingReceiver, *, seconds: float) -> str:
    """Create a callback that waits for some time, and return its SID."""
    due = SystemClock().now() + timedelta(seconds=seconds)
    answer = await server.send(
        {"url": receiver.url("/later"), "parameters": {"Event": "later"}, "deliver_at": iso(due)}
    )
    assert answer.status == 201, answer.body
    return answer.body["sid"]


def make_due(data: Path) -> None:
    """Let the time of all callbacks that wait come at once."""
    with closing(sqlite3.connect(data / DATA_FILE, isolation_level=None)) as connection:
        connection.execute("UPDATE waiting SET due_us = 1")


async def test_a_server_started_paused_stays_so_until_it_is_resumed(tmp_path: Path) -> None:
    account = await create_account(tmp_path)
    event = {"parameters": {"Event": "x"}}
    async with RecordingReceiver() as receiver:
        async with in_production(tmp_path, account, "--start-paused") as server:
            assert server.dev["paused"] == "the server was started with start_paused"
            assert (await server.send({"url": receiver.url(), **event})).status == 201
            await server.log.says("paused since ")
            server.process.terminate()
            await server.process.wait()
        async with in_production(tmp_path, account) as server:
            assert server.dev["paused"] == "the server was started with start_paused"
            metrics = await asyncio.to_thread(fetched, server, "/metrics")
            assert "ringback_paused 1.0" in metrics
            assert receiver.requests == []
            environment = await operators(tmp_path, server)
            resumed = await in_this_process("resume", "--yes", **environment)
            assert resumed.stdout == "resumed: what is due is sent now\n"
            await receiver.wait_for(1)
            paused = await in_this_process("pause", "--reason", "moving", **environment)
            assert "moving" in paused.stdout
            assert await readiness(server) == {"status": "ready", "paused": "moving"}


async def test_a_backup_of_which_nobody_can_see_if_it_was_changed_needs_a_flag(
    tmp_path: Path,
) -> None:
    live, file = tmp_path / "live", tmp_path / "live.backup"
    await create_account(live)
    made = await in_this_process("backup", str(file), "--data", str(live))
    assert "MAC" not in made.stdout
    words = ("restore", str(file), "--seal-key-file", str(live / KEY_FILE), "--json", "--data")
    checked = await in_this_process(*words, str(tmp_path / "checked"))
    assert json.loads(checked.stdout)["verified"] is True
    without_mac(file)
    refused = await in_this_process(*words, str(tmp_path / "back"))
    assert refused.exit_code == 1
    assert "has no MAC at its end, so nobody can see if it was changed" in refused.stderr
    used = await in_this_process(*words, str(tmp_path / "back"), "--unverified")
    assert json.loads(used.stdout)["verified"] is False


async def test_a_backup_without_the_key_says_that_it_has_no_mac(tmp_path: Path) -> None:
    live, file = tmp_path / "live", tmp_path / "live.backup"
    await create_account(live)
    (live / KEY_FILE).rename(tmp_path / "kept.key")
    made = await in_this_process("backup", str(file), "--data", str(live))
    assert "It has no MAC, since the key is not at hand" in made.stdout
