"""`ringback serve` on a socket that outlives it: while it restarts, no client is refused."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.policy_monitors import until

CLIENTS: Final = 4
REQUEST: Final = b"GET /healthz HTTP/1.1\r\nHost: a\r\n"
# Passes the socket as systemd does: as descriptor 3, to the process that LISTEN_PID names.
AS_SYSTEMD: Final = """
import os, sys
descriptor, *command = sys.argv[1:]
if descriptor != "3":
    os.dup2(int(descriptor), 3)
os.set_inheritable(3, True)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.executable, [sys.executable, *command])
"""

Start = Callable[[int, Path], list[str]]
"""Returns the command that starts a server on this socket and data folder."""


def by_flag(descriptor: int, data: Path) -> list[str]:
    return [*serve(data), "--fd", str(descriptor)]


def by_systemd(descriptor: int, data: Path) -> list[str]:
    return ["-c", AS_SYSTEMD, str(descriptor), *serve(data)]


def serve(data: Path) -> list[str]:
    return ["-m", "ringback", "serve", "--data", str(data), "--json", "--lame-duck", "0s"]


@asynccontextmanager
async def serving(
    kept: socket.socket, data: Path, start: Start
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Run a server on this socket."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *start(kept.fileno(), data)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        pass_fds=[kept.fileno()],
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            started = json.loads(await process.stdout.readline())
        host, port = kept.getsockname()
        assert started["base_url"] == f"http://{host}:{port}"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@dataclass
class Visitors:
    """Clients that send requests all the time, and note what becomes of each."""

    address: tuple[str, int]
    answered: int = 0
    lost: list[str] = field(default_factory=list[str])
    """What happened to each request without an answer."""
    may_lose: bool = False
    """True while a killed process may take the requests with it that it has accepted."""

    async def come(self) -> None:
        """Send each request on a new connection."""
        while True:
            may_lose = self.may_lose
            try:
                reader, writer = await asyncio.open_connection(*self.address)
            except OSError as refused:
                self.lost.append(repr(refused))
                return
            with closing(writer):
                await self._ask(reader, writer, b"Connection: close\r\n", may_lose=may_lose)

    async def stay(self) -> None:
        """Send requests on the same connection for as long as the server allows."""
        while True:
            reader, writer = await asyncio.open_connection(*self.address)
            with closing(writer):
                while b"connection: close" not in await self._ask(reader, writer):
                    pass

    async def _ask(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        headers: bytes = b"",
        *,
        may_lose: bool = False,
    ) -> bytes:
        head = b""
        try:
            writer.write(REQUEST + headers + b"\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(b'{"status":"alive"}'))
        except (OSError, asyncio.IncompleteReadError) as broken:
            if not (may_lose or self.may_lose):
                self.lost.append(repr(broken))
            return b"connection: close"
        assert head.startswith(b"HTTP/1.1 200 OK")
        self.answered += 1
        return head

    async def served_again(self) -> None:
        """Wait until many more requests are answered."""
        enough = self.answered + 50
        await until(lambda: self.answered >= enough)


@asynccontextmanager
async def visitors(address: tuple[str, int], *, stay: bool = False) -> AsyncGenerator[Visitors]:
    all_of_them = Visitors(address)
    visit = all_of_them.stay if stay else all_of_them.come
    tasks = [asyncio.create_task(visit()) for _ in range(CLIENTS)]
    try:
        yield all_of_them
    finally:
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert result is None or isinstance(result, asyncio.CancelledError)


@pytest.mark.parametrize("start", [by_flag, by_systemd])
async def test_no_client_is_refused_while_the_server_restarts(start: Start, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as kept:
        async with visitors(kept.getsockname()) as clients:
            for _ in range(2):
                async with serving(kept, tmp_path, start) as server:
                    await clients.served_again()
                    server.send_signal(signal.SIGTERM)
                    assert await server.wait() == 0
            async with serving(kept, tmp_path, start) as server:
                await clients.served_again()
                clients.may_lose = True
                server.kill()
                await server.wait()
                await asyncio.sleep(0.05)  # until the clients know what they have lost
                clients.may_lose = False
            async with serving(kept, tmp_path, start):
                await clients.served_again()
                assert clients.lost == []


async def test_a_client_that_keeps_its_connection_loses_no_request(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as kept:
        async with visitors(kept.getsockname(), stay=True) as clients:
            for _ in range(2):
                async with serving(kept, tmp_path, by_flag) as server:
                    await clients.served_again()
                    server.send_signal(signal.SIGTERM)
                    assert await server.wait() == 0
            async with serving(kept, tmp_path, by_flag):
                await clients.served_again()
                assert clients.lost == []


def test_a_wrong_descriptor_is_refused_by_its_number(tmp_path: Path) -> None:
    with socket.socket() as silent:
        descriptor = silent.fileno()
        for given, why in (
            (str(descriptor), "the server can't use file descriptor {}: it is not open"),
            ("x", "--fd: '{}' is not the number of a file descriptor: give a number like 3"),
        ):
            ended = subprocess.run(
                [sys.executable, *serve(tmp_path), "--fd", given],
                capture_output=True,
                text=True,
                check=False,
                env=dict(os.environ),
            )
            assert ended.returncode == 1
            assert why.format(given) in json.loads(ended.stderr)["message"]
