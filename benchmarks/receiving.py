"""Access to the receiver process, for the processes that use it."""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from benchmarks.processes import BenchmarkFailed, pinned


@dataclass(frozen=True, slots=True)
class Count:
    """What the receiver has counted since the last reset."""

    count: int
    first_ns: int
    last_ns: int
    hung: int
    throttled: int

    @property
    def per_second(self) -> float:
        """The number of requests a second, from the first request to the last one."""
        return (self.count - 1) / max(1e-9, (self.last_ns - self.first_ns) / 1e9)


class Counter:
    """A connection to the receiver's control port."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def at(cls, place: str) -> Self:
        host, _, port = place.rpartition(":")
        # All marks arrive in one line.
        return cls(*await asyncio.open_connection(host, int(port), limit=1 << 28))

    async def count(self) -> Count:
        return Count(**await self._ask("count"))

    async def marks(self) -> dict[int, int]:
        """Return when the request with each stamp first arrived, in ns of CLOCK_MONOTONIC."""
        return dict(await self._ask("marks"))

    async def handshakes(self) -> tuple[int, int]:
        """Return the number of TLS handshakes, and of those that resumed an earlier session."""
        answer = await self._ask("handshakes")
        return answer["all"], answer["resumed"]

    async def reset(self) -> None:
        await self._ask("reset")

    async def until(self, count: int, *, within: float) -> None:
        """Wait until `count` requests have arrived; raises BenchmarkFailed after `within` s."""
        deadline = time.monotonic() + within
        while (come := (await self.count()).count) < count:
            if time.monotonic() > deadline:
                raise BenchmarkFailed(f"{come} of {count} callbacks arrived within {within:g} s")
            await asyncio.sleep(0.02)

    def close(self) -> None:
        self._writer.close()

    async def _ask(self, word: str) -> Any:
        self._writer.write(f"{word}\n".encode())
        return json.loads(await self._reader.readline())


@dataclass(frozen=True, slots=True)
class Receiver:
    """A running receiver: its addresses are `host:port`."""

    hooks: Sequence[str]
    hanging: str
    hanging_port: int
    """The address that listens on all of this machine's addresses."""
    throttled: str
    refusing: str
    tls: str
    authority: str
    """The certificate of the authority that signed the one of `tls`, in PEM."""
    control: str
    pid: int
    counter: Counter

    @property
    def url(self) -> str:
        return f"http://{self.hooks[0]}/hook?tenant=7"

    @property
    def mark(self) -> str:
        return f"http://{self.hooks[0]}/mark"


@contextlib.asynccontextmanager
async def a_receiver(cores: frozenset[int]) -> AsyncGenerator[Receiver]:
    """Run a receiver in a separate process."""
    with pinned(cores):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.receiver"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    places = json.loads(await process.stdout.readline())
    counter = await Counter.at(places["control"])
    try:
        yield Receiver(**places, pid=process.pid, counter=counter)
    finally:
        counter.close()
        process.stdin.close()
        await process.wait()
