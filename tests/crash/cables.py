"""A worker's way to PostgreSQL that can be cut, or a worker frozen, and nobody is told.

`a_machine` gives the worker a network of its own, with one cable to PostgreSQL and another one to
the receivers. That needs root, on Linux. `a_stuck_proxy` works everywhere: a program between the
worker and PostgreSQL that stops to forward, and keeps the connections open. `Freezer` leaves the
way as it is, and stops the worker itself.
"""

import asyncio
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

_NEW_NETWORK: Final = 0x40000000
"""CLONE_NEWNET, for `unshare` and `setns`."""
# Addresses for documentation, which nobody else has.
DATABASE, DATABASE_CLIENT = "192.0.2.1", "192.0.2.2"
RECEIVERS, RECEIVERS_CLIENT = "198.51.100.1", "198.51.100.2"
_CHUNK: Final = 65536
# The worker sends from an address of its own, so that receivers know it from the others.
_OWN_ADDRESS: Final = "127.0.0.2"
_FROM_OWN_ADDRESS: Final = ("--kore-egress", _OWN_ADDRESS, "--twilio-egress", _OWN_ADDRESS)


class Cable(Protocol):
    """The way of one worker to PostgreSQL."""

    url: str
    """The database, at the worker's end."""
    program: tuple[str, ...]
    """The program that runs the worker, if it needs one."""
    flags: tuple[str, ...]
    """The worker's own settings."""
    client: str
    """The address from which the worker's requests come."""

    def cut(self, worker: Process) -> None:
        """Let nothing pass any more."""
        ...

    def mend(self, worker: Process) -> None:
        """Let everything pass again."""
        ...


# ---- a network of its own ------------------------------------------------------------------------


def why_no_networks() -> str | None:
    """Return why this process can't make networks; None if it can."""
    if sys.platform != "linux":
        return "network namespaces exist on Linux only"
    if os.geteuid() != 0:
        return "only root may make network namespaces; the same test with a proxy runs anyway"
    missing = [one for one in ("ip", "nsenter", "unshare") if shutil.which(one) is None]
    return f"the programs {missing} are missing" if missing else None


@contextmanager
def another_network() -> Generator[None]:
    """Move this thread, and programs that it starts, to an empty network until the block ends."""
    system = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open() as before:
        _demand(system.unshare(_NEW_NETWORK))
        try:
            _run("ip", "link", "set", "lo", "up")
            yield
        finally:
            _demand(system.setns(before.fileno(), _NEW_NETWORK))


def _demand(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@dataclass
class Machine:
    """A network of its own for one worker; implements `Cable`."""

    url: str
    program: tuple[str, ...]
    flags: tuple[str, ...] = ()
    client: str = RECEIVERS_CLIENT

    def cut(self, worker: Process) -> None:
        _run("ip", "link", "set", "to-database", "down")

    def mend(self, worker: Process) -> None:
        _run("ip", "link", "set", "to-database", "up")


@contextmanager
def a_machine() -> Generator[Machine]:
    """Connect another network with this one, by one cable to PostgreSQL and one to receivers."""
    holder = subprocess.Popen(("unshare", "--net", "sleep", "infinity"))
    try:
        place = Path(f"/proc/{holder.pid}/ns/net")
        while place.readlink() == Path("/proc/thread-self/ns/net").readlink():
            time.sleep(0.01)
        enter = ("nsenter", f"--net={place}", "--")
        for name, here, there in (
            ("to-database", DATABASE, DATABASE_CLIENT),
            ("to-receivers", RECEIVERS, RECEIVERS_CLIENT),
        ):
            words = ("type", "veth", "peer", "name", name, "netns", str(holder.pid))
            _run("ip", "link", "add", name, *words)
            for before, address in (((), here), (enter, there)):
                _run(*before, "ip", "address", "add", f"{address}/24", "dev", name)
                _run(*before, "ip", "link", "set", name, "up")
        _run(*enter, "ip", "link", "set", "lo", "up")
        yield Machine(f"postgresql://ringback@{DATABASE}/ringback", enter)
    finally:
        holder.kill()
        holder.wait()


def _run(*words: str) -> None:
    subprocess.run(words, check=True)


# ---- a frozen process ----------------------------------------------------------------------------


@dataclass
class Freezer:
    """Freezes the worker, and keeps all its connections; implements `Cable`."""

    url: str
    program: tuple[str, ...] = ()
    client: str = _OWN_ADDRESS
    flags: tuple[str, ...] = _FROM_OWN_ADDRESS

    def cut(self, worker: Process) -> None:
        worker.send_signal(signal.SIGSTOP)

    def mend(self, worker: Process) -> None:
        worker.send_signal(signal.SIGCONT)


# ---- a proxy -------------------------------------------------------------------------------------


@dataclass
class StuckProxy:
    """Forwards to a Unix socket, or keeps everything to itself; implements `Cable`."""

    target: str
    url: str = ""
    program: tuple[str, ...] = ()
    client: str = _OWN_ADDRESS
    flags: tuple[str, ...] = _FROM_OWN_ADDRESS
    passes: asyncio.Event = field(default_factory=asyncio.Event)

    def cut(self, worker: Process) -> None:
        self.passes.clear()

    def mend(self, worker: Process) -> None:
        self.passes.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection, as long as the proxy is not stuck."""
        await self.passes.wait()
        there, to_there = await asyncio.open_unix_connection(self.target)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._forward(reader, to_there))
                both.create_task(self._forward(there, writer))
        except* OSError:
            pass  # one side has gone
        finally:
            writer.close()
            to_there.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            await self.passes.wait()
            writer.write(data)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def a_stuck_proxy(folder: Path) -> AsyncGenerator[StuckProxy]:
    """Run a proxy to the PostgreSQL in this folder."""
    proxy = StuckProxy(str(folder / ".s.PGSQL.5432"))
    proxy.passes.set()
    serving = set[asyncio.Task[None]]()

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(proxy.serve(reader, writer))
        serving.add(task)
        task.add_done_callback(serving.discard)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    proxy.url = f"postgresql://ringback@127.0.0.1:{port}/ringback"
    try:
        yield proxy
    finally:
        server.close()
        for task in [*serving]:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*serving, return_exceptions=True)
