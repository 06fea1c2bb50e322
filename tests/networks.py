"""Networks for the sender: one that records connections, and a simulated one."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

from ringback.http_client.request_route import ConnectionPoolKey
from ringback.http_client.sockets_and_tls import NetworkBackend
from ringback.http_client.tls import TlsFailed

T = TypeVar("T")


class WatchedNetwork:
    """Implements `NetworkBackend`: records each connection, then passes it to another network.

    Without another network every connection is refused.
    """

    def __init__(self, network: NetworkBackend | None = None) -> None:
        self.connected: list[tuple[str, int]] = []
        self.left_from: list[str | None] = []
        self._network = network

    async def connect(
        self,
        protocol: asyncio.BufferedProtocol,
        *,
        address: str,
        port: int,
        local_address: str | None,
    ) -> None:
        self.connected.append((address, port))
        self.left_from.append(local_address)
        if self._network is None:
            raise ConnectionRefusedError
        await self._network.connect(
            protocol, address=address, port=port, local_address=local_address
        )

    async def secure(
        self,
        transport: asyncio.Transport,
        protocol: asyncio.BufferedProtocol,
        peer: ConnectionPoolKey,
    ) -> Callable[[], None] | None:
        if self._network is None:
            raise ConnectionRefusedError
        return await self._network.secure(transport, protocol, peer)


class MadeUpTransport(asyncio.Transport):
    """A transport that a simulated network passes to a protocol: it answers each write later."""

    def __init__(
        self,
        protocol: asyncio.BufferedProtocol,
        *,
        answer: Callable[[bytes], bytes | None],
        after: float,
    ) -> None:
        super().__init__({"sockname": ("192.0.2.1", 40000)})
        self._protocol = protocol
        self._answer = answer
        self._after = after
        self._is_closing = False

    def write(self, data: Any) -> None:
        answer = self._answer(bytes(data))
        if answer is not None:
            asyncio.get_running_loop().call_later(self._after, self.deliver, answer)

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()

    def deliver(self, data: bytes) -> None:
        if not self._is_closing:
            buffer = cast("memoryview", self._protocol.get_buffer(-1))
            buffer[: len(data)] = data
            self._protocol.buffer_updated(len(data))


class MadeUpNetwork:
    """Simulates a `NetworkBackend`: every address is a receiver that gives this answer."""

    def __init__(
        self,
        answer: Callable[[bytes], bytes | None],
        *,
        after: float,
        tls_after: float = 1.0,
        tls_failure: TlsFailed | None = None,
        greeting: bytes = b"",
    ) -> None:
        self.transports: list[MadeUpTransport] = []
        self._answer = answer
        self._after = after
        self._tls_after = tls_after
        self._tls_failure = tls_failure
        self._greeting = greeting

    async def connect(
        self,
        protocol: asyncio.BufferedProtocol,
        *,
        address: str,
        port: int,
        local_address: str | None,
    ) -> None:
        await asyncio.sleep(self._after)
        transport = MadeUpTransport(protocol, answer=self._answer, after=self._after)
        self.transports.append(transport)
        protocol.connection_made(transport)
        if self._greeting:
            transport.deliver(self._greeting)

    async def secure(
        self,
        transport: asyncio.Transport,
        protocol: asyncio.BufferedProtocol,
        peer: ConnectionPoolKey,
    ) -> None:
        await asyncio.sleep(self._tls_after)
        if self._tls_failure is not None:
            raise self._tls_failure
        protocol.connection_made(transport)


class MadeUpTime(asyncio.SelectorEventLoop):
    """An event loop in which nobody waits: time jumps to the next timer."""

    def __init__(self) -> None:
        super().__init__(_NobodyWaits(self))
        self.elapsed = 0.0

    def time(self) -> float:
        return self.elapsed


class _NobodyWaits(selectors.DefaultSelector):
    def __init__(self, loop: MadeUpTime) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        self._loop.elapsed += timeout or 0
        return super().select(0)


def in_made_up_time(story: Callable[[MadeUpTime], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine on a loop in which nobody waits, and return its result."""
    loop = MadeUpTime()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(story(loop))
