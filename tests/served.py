"""`ringback dev`, or a process like it, as its users have it: another process, over HTTP."""

import asyncio
import json
import sys
from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlencode

from click.testing import CliRunner, Result

from ringback.cli.main import main
from tests.forked import Forked

DEV = ("ringback", "dev")
# Its usual port may be taken by another server that is being tested.
USUAL = ("--port", "0", "--gateway", "none", "--json", "--data")


@dataclass
class Answered:
    """What the server answered."""

    status: int
    headers: dict[str, str]
    body: Any


@dataclass
class Served:
    """A server that runs; `dev` is its dev.json."""

    process: Any
    """A Forked, or one of asyncio's."""
    dev: dict[str, str]

    @property
    def sim_path(self) -> str:
        return f"/v1/Sims/{self.dev['sim_sid']}"

    @property
    def wireless_sim_path(self) -> str:
        return f"/wireless/v1/Sims/{self.dev['wireless_sim_sid']}"

    async def get(self, path: str, **query: str) -> Answered:
        return await self.call("GET", f"{path}?{urlencode(query)}" if query else path)

    async def post(self, path: str, **form: str) -> Answered:
        return await self.call("POST", path, body=urlencode(form).encode())

    async def call(
        self, method: str, path: str, *, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answered:
        """Make one call, signed in unless the headers say otherwise."""
        return await asyncio.to_thread(self._call, method, path, body, headers or {})

    def _call(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answered:
        pair = f"{self.dev['api_key_sid']}:{self.dev['api_key_secret']}".encode()
        sent = {
            "Authorization": f"Basic {b64encode(pair).decode()}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        place = self.dev["base_url"].removeprefix("http://")
        # Closed also where the server goes away before it has answered.
        with closing(HTTPConnection(place, timeout=20)) as connection:
            connection.request(method, path, body, sent | headers)
            answer = connection.getresponse()
            text = answer.read()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Answered(answer.status, names, json.loads(text) if text else None)

    async def callbacks(self) -> list[dict[str, Any]]:
        """Return the newest callbacks on record, up to 1,000."""
        return (await self.get("/portal/v1/callbacks", PageSize="1000")).body["callbacks"]

    async def attempts(self, callback: dict[str, Any]) -> list[dict[str, Any]]:
        path = f"/portal/v1/callbacks/{callback['sid']}/attempts"
        return (await self.get(path)).body["attempts"]

    async def settled(self) -> dict[str, Any]:
        """Return the newest callback once nothing more is due of it by itself."""
        async with asyncio.timeout(10):
            while (newest := (await self.callbacks())[0])["status"] == "scheduled":
                pass
        return newest

    async def kill(self) -> None:
        """Have it die on the spot, as `kill -9` does."""
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        """Have it stop as Ctrl-C does, and return its exit code."""
        self.process.terminate()
        return await self.process.wait()


async def in_this_process(*words: str, **variables: str) -> Result:
    """Run a command as its users do, but for the process of its own, which takes long to start."""
    run = partial(CliRunner().invoke, env=variables, catch_exceptions=False)
    return await asyncio.to_thread(run, main, words)


@asynccontextmanager
async def served(
    data: Path, *flags: str, command: tuple[str, ...] = DEV, log: IO[bytes] | None = None
) -> AsyncGenerator[Served]:
    """Run a server on this data folder and any free port; what it logs goes to a file, if any."""
    process = Forked((*command, *USUAL, str(data), *flags), log)
    try:
        async with asyncio.timeout(20):
            yield Served(process, json.loads(await process.first_line()))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        process.close()


@asynccontextmanager
async def served_alone(
    data: Path, *, command: tuple[str, ...], log: IO[bytes]
) -> AsyncGenerator[Served]:
    """Do the same with a process that is no fork."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *command, *USUAL, str(data)),
        stdout=asyncio.subprocess.PIPE,
        stderr=log,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            yield Served(process, json.loads(await process.stdout.readline()))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
