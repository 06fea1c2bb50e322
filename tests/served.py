"""`ringback dev`, or a similar process, as users run it: another process, over HTTP."""

import asyncio
import json
import sys
from base64 import b64encode
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import urlencode

from click.testing import CliRunner, Result

from ringback.cli.main import main
from tests.forked import Forked

T = TypeVar("T")

DEV = ("ringback", "dev")
# Its default port may be taken by another server that is being tested.
USUAL = ("--port", "0", "--gateway", "none", "--json", "--data")


@dataclass
class Answered:
    """A response of the server."""

    status: int
    headers: dict[str, str]
    body: Any


@dataclass
class Served:
    """A running server; `dev` is the content of its dev.json."""

    process: Any
    """A Forked process, or one of asyncio's."""
    dev: dict[str, str]
    patience: float = 20
    """Seconds to wait for each part of an answer."""

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
        """Send one request, authenticated unless the headers say otherwise."""
        return await asyncio.to_thread(self._call, method, path, body, headers or {})

    def _call(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answered:
        pair = f"{self.dev['api_key_sid']}:{self.dev['api_key_secret']}".encode()
        sent = {
            "Authorization": f"Basic {b64encode(pair).decode()}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        place = self.dev["base_url"].removeprefix("http://")
        # Closed also if the server ends before it has answered.
        with closing(HTTPConnection(place, timeout=self.patience)) as connection:
            connection.request(method, path, body, sent | headers)
            answer = connection.getresponse()
            text = answer.read()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Answered(answer.status, names, json.loads(text) if text else None)

    async def callbacks(self) -> list[dict[str, Any]]:
        """Return the newest stored callbacks, up to 1,000."""
        return (await self.get("/portal/v1/callbacks", PageSize="1000")).body["callbacks"]

    async def attempts(self, callback: dict[str, Any]) -> list[dict[str, Any]]:
        path = f"/portal/v1/callbacks/{callback['sid']}/attempts"
        return (await self.get(path)).body["attempts"]

    async def settled(self) -> dict[str, Any]:
        """Return the newest callback, once it is settled."""
        callbacks = await asked_until(self.callbacks, lambda them: is_settled(them[0]))
        return callbacks[0]

    async def kill(self) -> None:
        """Kill the server at once, as `kill -9` does."""
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        """Stop the server as Ctrl-C does, and return its exit code."""
        self.process.terminate()
        return await self.process.wait()


async def asked_until(
    ask: Callable[[], Awaitable[T]], is_right: Callable[[T], object], *, within: float = 10
) -> T:
    """Ask a server until its answer is right, and return this answer; seconds are of patience."""
    async with asyncio.timeout(within):
        while not is_right(answer := await ask()):  # noqa: ASYNC110 (it's another process)
            await asyncio.sleep(0.02)
    return answer


def is_settled(callback: dict[str, Any]) -> bool:
    return callback["status"] != "scheduled"


async def in_this_process(*words: str, **variables: str) -> Result:
    """Run a command as users do, but in this process, because starting one takes long."""
    run = partial(CliRunner().invoke, env=variables, catch_exceptions=False)
    return await asyncio.to_thread(run, main, words)


@asynccontextmanager
async def served(
    data: Path,
    *flags: str,
    command: tuple[str, ...] = DEV,
    log: IO[bytes] | None = None,
    within: float | None = 20,
) -> AsyncGenerator[Served]:
    """Run a server on this data folder and a free port; `log` is the file for its log, if any.

    What is done with it has to end `within` these seconds.
    """
    process = Forked((*command, *USUAL, str(data), *flags), log)
    try:
        async with asyncio.timeout(within):
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
    """Run a server like `served`, but in a process that is not a fork."""
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
