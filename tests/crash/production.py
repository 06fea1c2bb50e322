"""`ringback serve` as an operator runs it: a process on its own folder, which a test may kill."""

import asyncio
import json
import os
import resource
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from tests.served import Answered, Served, asked_until, in_this_process, is_settled

RINGBACK = ("-m", "ringback")
USUAL = ("--allow", "loopback", "--lame-duck", "0s")
"""Flags that a test can give again with other values."""
AWAY = "the database can't be used just now: "
SILENT = "the database has not answered for "
"""The start of the log message for an unavailable database."""
BACK = "the database is back after "
"""The start of the log message for the end of that."""


class Log:
    """The log of a server, line by line; `copy` receives all of it, too."""

    def __init__(self, copy: IO[str]) -> None:
        self.lines = list[dict[str, Any]]()
        self._copy = copy
        self._more = asyncio.Condition()

    async def follow(self, process: asyncio.subprocess.Process) -> None:
        """Read all lines until the process ends."""
        stream = cast("asyncio.StreamReader", process.stderr)
        while line := (await stream.readline()).decode():
            self._copy.write(line)
            async with self._more:
                self.lines.append(_read(line))
                self._more.notify_all()

    async def says(self, message: str | tuple[str, ...], *, times: int = 1) -> None:
        """Wait until at least `times` lines begin like this."""
        async with asyncio.timeout(20), self._more:
            await self._more.wait_for(lambda: self._count(message) >= times)

    def _count(self, message: str | tuple[str, ...]) -> int:
        return sum(line["message"].startswith(message) for line in self.lines)


def _read(line: str) -> dict[str, Any]:
    try:
        return json.loads(line)
    except ValueError:
        return {"level": "error", "message": line.rstrip()}


@dataclass
class Production(Served):
    """A running `ringback serve`, and the credentials of one of its accounts."""

    log: Log = field(default_factory=lambda: Log(sys.stderr))

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.dev["base_url"].removeprefix("http://").rpartition(":")
        return host, int(port)

    async def send(self, document: dict[str, Any]) -> Answered:
        """Create a callback, or several."""
        return await self.call(
            "POST",
            "/portal/v1/callbacks",
            body=json.dumps(document).encode(),
            headers={"Content-Type": "application/json"},
        )

    async def fetch(self, sid: str) -> dict[str, Any]:
        return (await self.get(f"/portal/v1/callbacks/{sid}")).body

    async def ended(self, sid: str) -> dict[str, Any]:
        """Wait until this callback is settled, and return it."""
        return await asked_until(lambda: self.fetch(sid), is_settled, within=20)

    async def results(self, sid: str) -> list[str]:
        """Return the results of this callback's attempts."""
        return [attempt["result"] for attempt in await self.attempts({"sid": sid})]

    async def is_refused(self) -> bool:
        """Return True if connections are refused."""
        try:
            _, writer = await asyncio.open_connection(*self.address)
        except ConnectionRefusedError:
            return True
        writer.close()
        return False

    def signal(self, sign: signal.Signals) -> None:
        self.process.send_signal(sign)


async def create_account(data: Path, *flags: str) -> dict[str, str]:
    """Create an account, and return its credentials."""
    words = ("accounts", "create", "Acme", "--yes", "--json", "--data", str(data), *flags)
    ended = await in_this_process(*words)
    assert (ended.exit_code, ended.stderr) == (0, "")
    return json.loads(ended.stdout)


async def spawn(
    data: Path, *flags: str, command: tuple[str, ...] = RINGBACK, before: tuple[str, ...] = ()
) -> asyncio.subprocess.Process:
    """Start `ringback serve` on this folder and any free port.

    `before` is a program that runs the command that follows it, such as nsenter.
    """
    words = ("serve", "--port", "0", "--json", "--data", str(data), *USUAL, *flags)
    return await asyncio.create_subprocess_exec(
        *(*before, sys.executable, *command, *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        # An installed program has its bytecode. Without it, a start takes seconds of a processor.
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
    )


async def ready(
    process: asyncio.subprocess.Process, credentials: dict[str, str]
) -> Production | None:
    """Wait until the server listens and return it; None if it ends before that."""
    line = await cast("asyncio.StreamReader", process.stdout).readline()
    return Production(process, json.loads(line) | credentials) if line else None


def limit_files(process: asyncio.subprocess.Process, size: int | None) -> None:
    """Let no file of a process grow beyond this size, as if the disk were full; None ends that.

    Only works on Linux. Does nothing if the process has ended.
    """
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    if process.returncode is None:
        limits = (most if size is None else size, most)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limits)


@asynccontextmanager
async def in_production(
    data: Path, credentials: dict[str, str], *flags: str, command: tuple[str, ...] = RINGBACK
) -> AsyncGenerator[Production]:
    """Run `ringback serve` on this folder and any free port."""
    process = await spawn(data, *flags, command=command)
    async with attended(process, credentials, Log(sys.stderr)) as server:
        yield server


@asynccontextmanager
async def attended(
    process: asyncio.subprocess.Process, credentials: dict[str, str], log: Log
) -> AsyncGenerator[Production]:
    """Read a process's log, wait until it serves, and kill it in the end if it still runs."""
    following = asyncio.create_task(log.follow(process))
    try:
        async with asyncio.timeout(40):
            server = await ready(process, credentials)
        assert server is not None, "the process did not start; its log says why"
        server.log = log
        yield server
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await following
