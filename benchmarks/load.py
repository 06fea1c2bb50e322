"""A cheap HTTP/1.1 client that makes load: it sends ready-made bytes and reads the status.

It reads the status and skips the body by its Content-Length; the rest of an answer is ignored.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, cast

from benchmarks.pacing import paced
from benchmarks.processes import BenchmarkFailed

_MOST_CONNECTIONS: Final = 256
_BUFFER: Final = 64 * 1024
_LENGTH: Final = b"\r\ncontent-length:"
_CREATED: Final = range(200, 300)


@dataclass(slots=True)
class Load:
    """The answers to the requests; `latencies` in ms, in an open loop since the request was due."""

    took: float = 0.0
    accepted: int = 0
    refused: int = 0
    latencies: list[float] = field(default_factory=list[float])
    due: list[int] = field(default_factory=list[int])
    """When each request of an open loop was due, in ns of CLOCK_MONOTONIC."""
    first_refusal: str = ""

    def note(self, client: "Client", since_ns: int) -> None:
        self.latencies.append((time.monotonic_ns() - since_ns) / 1e6)
        if client.status in _CREATED:
            self.accepted += 1
        else:
            self.refused += 1
            self.first_refusal = self.first_refusal or client.answer

    def expect_accepted(self) -> None:
        """Raise BenchmarkFailed if a request was refused."""
        if self.refused or not self.accepted:
            raise BenchmarkFailed(
                f"{self.refused} of {self.refused + self.accepted} requests were refused, first:"
                f" {self.first_refusal}"
            )


class Client(asyncio.BufferedProtocol):
    """One keep-alive connection, with at most one request in flight."""

    def __init__(self) -> None:
        self._buffer = bytearray(_BUFFER)
        self._view = memoryview(self._buffer)
        self._idle()

    def _idle(self) -> None:
        self._held = self._left = 0
        self._done: Callable[[Client], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._done is not None:
            self._finish(0, f"the connection was lost: {exc or 'closed'}")

    @property
    def is_open(self) -> bool:
        return not self._transport.is_closing()

    def send(self, request: bytes, done: Callable[["Client"], None]) -> None:
        """Send a request; `done` is called when its answer is complete."""
        self._done = done
        self._transport.write(request)

    def close(self) -> None:
        self._done = None
        self._transport.close()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._view[self._held :]

    def buffer_updated(self, nbytes: int) -> None:
        if self._left:
            self._left -= nbytes
        else:
            self._held += nbytes
            if not self._read_head():
                return
        if self._left <= 0:
            self._finish(self.status, self.answer)

    def _read_head(self) -> bool:
        """Read the status and the length of the body; return True if the head is complete."""
        buffer, held = self._buffer, self._held
        head = buffer.find(b"\r\n\r\n", 0, held)
        if head < 0:
            return False
        self.status = int(buffer[9:12])
        self.answer = ""
        if self.status not in _CREATED:
            self.answer = buffer[:held].decode("latin-1")
        self._left = head + 4 + self._length(head) - held
        self._held = 0
        return True

    def _length(self, head: int) -> int:
        at = self._buffer[: head + 2].lower().find(_LENGTH)
        if at < 0:
            # The end of this answer is unknown: it counts as refused, and is the last on this
            # connection.
            self.status, self.answer = 0, self._buffer[:head].decode("latin-1")
            return 0
        at += len(_LENGTH)
        return int(self._buffer[at : self._buffer.find(b"\r", at)])

    def _finish(self, status: int, answer: str) -> None:
        self.status, self.answer = status, answer
        done = self._done
        self._idle()
        if done is not None:
            done(self)


async def connect(place: str) -> Client:
    host, _, port = place.rpartition(":")
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(Client, host, int(port))
    return client


async def closed_loop(
    place: str, requests: Iterator[bytes], *, connections: int, seconds: float
) -> Load:
    """Send requests as fast as they are answered, over this many connections at once."""
    load, idle = Load(), asyncio.Event()
    clients = [await connect(place) for _ in range(connections)]
    under_way = connections
    began = time.monotonic_ns()
    end = began + int(seconds * 1e9)
    sent = dict.fromkeys(clients, began)

    def go_on(client: Client) -> None:
        nonlocal under_way
        load.note(client, sent[client])
        now = sent[client] = time.monotonic_ns()
        if now < end and client.status:
            client.send(next(requests), go_on)
            return
        under_way -= 1
        if not under_way:
            idle.set()

    for client in clients:
        client.send(next(requests), go_on)
    await idle.wait()
    load.took = (time.monotonic_ns() - began) / 1e9
    for client in clients:
        client.close()
    return load


class OpenLoop:
    """Requests that leave when they are due, over as many connections as needed."""

    def __init__(self, place: str, request: Callable[[int], bytes]) -> None:
        self._place = place
        self._request = request
        self._clients = list[Client]()
        self._free = list[Client]()
        self._opening = set[asyncio.Task[None]]()
        self._waiting = deque[tuple[int, int]]()
        self._load = Load()

    async def run(self, *, rate: float, count: int, connections: int = 8) -> Load:
        began = time.monotonic()
        for _ in range(connections):
            await self._open()
        await paced(self._fire, rate=rate, count=count)
        async with asyncio.timeout(60):
            # Polled now and then: a notification for each answer would cost the measured time.
            while self._waiting or self._opening or len(self._free) < len(self._clients):  # noqa: ASYNC110 (see above)
                await asyncio.sleep(0.01)
        self._load.took = time.monotonic() - began
        for client in self._clients:
            client.close()
        return self._load

    async def _open(self) -> None:
        client = await connect(self._place)
        self._clients.append(client)
        self._free.append(client)
        self._go_on()

    def _fire(self, number: int, due: int) -> None:
        self._load.due.append(due)
        self._waiting.append((number, due))
        self._go_on()

    def _go_on(self) -> None:
        """Send the waiting requests over the free open connections, or open another one."""
        while self._waiting and self._free:
            client = self._free.pop()
            if client.is_open:
                self._send(client, *self._waiting.popleft())
            else:
                self._clients.remove(client)
        if self._waiting and len(self._clients) + len(self._opening) < _MOST_CONNECTIONS:
            opening = asyncio.create_task(self._open())
            self._opening.add(opening)
            opening.add_done_callback(self._opening.discard)

    def _send(self, client: Client, number: int, due: int) -> None:
        def answered(client: Client) -> None:
            self._load.note(client, due)
            self._free.append(client)
            self._go_on()

        client.send(self._request(number), answered)


async def open_loop(
    place: str, request: Callable[[int], bytes], *, rate: float, seconds: float
) -> Load:
    """Send requests at this rate for this many seconds, and wait for all answers."""
    return await OpenLoop(place, request).run(rate=rate, count=int(rate * seconds))
