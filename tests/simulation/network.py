"""The network of a simulation: implements `engine.network.Network` for one process.

Bytes written before a process died still arrive, as in reality; nothing else does.
"""

import asyncio
import errno
import math
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from random import Random
from typing import Protocol

from ringback.core.http.outcome import AttemptFailure
from ringback.http_client.request_route import ConnectionPoolKey
from ringback.http_client.tls import TlsFailed
from tests.simulation.loop import SimLoop
from tests.simulation.plan import PRIVATE
from tests.simulation.receivers import Answer, Part, ReceivedRequest, Receiver, Say, Welcome
from tests.simulation.scheduler import Scheduler
from tests.simulation.shortage import Machine


class Observer(Protocol):
    """Sees the traffic on the network."""

    def connecting(self, address: str) -> None: ...

    def left(self, request: bytes, receiver: str) -> int | None:
        """Return a number for the request in these bytes; None if there is none."""
        ...

    def counted(self, sent: int, request: ReceivedRequest, answer: Answer) -> None: ...

    def answered(self, sent: int) -> None: ...

    def over(self, sent: int) -> None:
        """Note that the receiver has answered a request, or that its connection has ended."""
        ...


class Link:
    """A connection between a process and a receiver."""

    def __init__(
        self, transport: "SimTransport", receiver: Receiver, scheduler: Scheduler, random: Random
    ) -> None:
        self.is_open = True
        """The receiver at the other end."""
        self._transport = transport
        self._receiver = receiver
        self._scheduler = scheduler
        self._random = random
        self._arrived = self._said = 0.0
        self.ends_at = math.inf
        """When the end of the connection arrives at the process."""
        self._under_way = deque[int]()
        self._asked: int | None = None

    def carry(self, data: bytes, sent: int | None) -> None:
        """Carry bytes to the receiver, in one piece or several."""
        if sent is not None:
            self._under_way.append(sent)
        cuts = [0, len(data)]
        if self._random.random() < 0.3:
            cuts.insert(1, self._random.randrange(1, len(data)))
        for start, end in pairwise(cuts):
            self._arrived = max(self._arrived, self._scheduler.now + self._latency())
            piece = data[start:end]
            self._scheduler.do(self._read, piece, at=self._arrived, origin=self)

    def hang_up(self) -> None:
        """Notify the receiver that the other end is closed."""
        self._end_requests()
        self._arrived = max(self._arrived, self._scheduler.now + self._latency())
        self._scheduler.do(self.close, at=self._arrived, origin=self)

    def counted(self, request: ReceivedRequest, answer: Answer) -> None:
        """Record that the receiver has read a whole request."""
        self._asked = self._under_way.popleft()
        self._transport.observer.counted(self._asked, request, answer)

    def say(self, parts: tuple[Part, ...]) -> None:
        """Send the parts of an answer back, one after the other."""
        said = max(self._said, self._scheduler.now)
        for after, what, is_last in parts:
            said += after
            arrives = self._said = max(self._said, said + self._latency())
            asked = self._asked if is_last else None
            if asked is not None:
                self._scheduler.do(
                    self._transport.arrived, asked, at=arrives, origin=self._transport
                )
            self._scheduler.do(
                self._transport.take,
                what,
                asked,
                at=arrives,
                origin=self._transport,
                gate=self._transport.gate,
                is_input=True,
            )
            if isinstance(what, Say):
                self.ends_at = min(self.ends_at, arrives)
                self._scheduler.do(self.close, at=said, origin=self)

    def _read(self, data: bytes) -> None:
        if self.is_open:
            self._receiver.read(self, data)
        else:
            self.say((Part(0.0, Say.RESET),))

    def close(self) -> None:
        """Stop reading."""
        self.is_open = False
        self._receiver.forget(self)
        self._end_requests()

    def _end_requests(self) -> None:
        for sent in (self._asked, *self._under_way):
            if sent is not None:
                self._transport.observer.over(sent)

    def _latency(self) -> float:
        return 0.0001 + 0.01 * self._random.random() ** 3


class SimTransport(asyncio.Transport):
    """A process's end of a link."""

    def __init__(
        self, network: "SimNetwork", protocol: asyncio.BufferedProtocol, receiver: Receiver
    ) -> None:
        super().__init__({"sockname": ("192.0.2.1", 40000)})
        self.observer = network.observer
        self.receiver = receiver
        self.gate = network.loop.gate
        self._network = network
        self._protocol = protocol
        self._link = Link(self, receiver, network.scheduler, network.random)
        self._is_closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._network.is_dead() or self._is_closing:
            return
        self._network.writing()
        if self.gate.is_shut:
            # It was stopped right before the system call.
            self.gate.rest.append(partial(self._write, bytes(data)))
        else:
            self._write(bytes(data))

    def _write(self, request: bytes) -> None:
        if self._network.is_dead():
            return
        self._link.carry(request, self.observer.left(request, self.receiver.name))
        self._network.written()

    def is_closing(self) -> bool:
        return self._is_closing

    def get_write_buffer_size(self) -> int:
        return 0

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.BufferedProtocol)
        self._protocol = protocol

    def close(self) -> None:
        self._end(None)

    def abort(self) -> None:
        self._end(None)

    def arrived(self, asked: int) -> None:
        """Record that an answer has arrived; a process that is stopped can't see it yet."""
        if self._network.scheduler.now > self._link.ends_at:
            return
        self.observer.over(asked)
        if self.gate.is_shut and not self._is_closing and not self._network.is_dead():
            self.observer.answered(asked)

    def take(self, what: bytes | Say, asked: int | None) -> None:
        """Pass on what arrived from the receiver, as an event loop does."""
        if self._is_closing or self._network.is_dead():
            return
        match what:
            case Say.CLOSE:
                self._protocol.eof_received()
                self._end(None)
            case Say.RESET:
                self._end(ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"))
            case _:
                if asked is not None:
                    self.observer.answered(asked)
                self._feed(what)

    def _feed(self, data: bytes) -> None:
        while data and not self._is_closing:
            buffer = memoryview(self._protocol.get_buffer(-1))
            count = min(len(data), len(buffer))
            buffer[:count] = data[:count]
            self._protocol.buffer_updated(count)
            data = data[count:]

    def _end(self, error: Exception | None) -> None:
        if self._is_closing:
            return
        self._is_closing = True
        if not self._network.is_dead():
            self._link.hang_up()
            self._network.loop.call_soon(self._protocol.connection_lost, error)


class SimNetwork:
    """Implements `engine.network.Network` for one process."""

    def __init__(
        self,
        *,
        scheduler: Scheduler,
        random: Random,
        loop: SimLoop,
        receivers: dict[tuple[str, int], Receiver],
        observer: Observer,
        is_dead: Callable[[], bool],
        machine: Machine,
        writing: Callable[[], None],
        written: Callable[[], None],
    ) -> None:
        self.scheduler = scheduler
        self.random = random
        self.loop = loop
        self.observer = observer
        self.is_dead = is_dead
        self.writing = writing
        self.written = written
        self._machine = machine
        self._receivers = receivers

    async def connect(
        self,
        protocol: asyncio.BufferedProtocol,
        *,
        address: str,
        port: int,
        local_address: str | None,
    ) -> None:
        if self.is_dead():
            raise OSError("the process is dead")
        self._machine.open_connection()
        self.observer.connecting(address)
        receiver = self._receivers.get((address, port))
        if receiver is None:
            await asyncio.sleep(0.01)
            raise OSError(errno.EHOSTUNREACH, "No route to host")
        welcome, after = receiver.welcome()
        await asyncio.sleep(after)
        match welcome:
            case Welcome.REFUSED:
                raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
            case Welcome.IGNORED:
                await self.loop.create_future()
            case Welcome.ACCEPTED:
                protocol.connection_made(SimTransport(self, protocol, receiver))

    async def secure(
        self,
        transport: asyncio.Transport,
        protocol: asyncio.BufferedProtocol,
        peer: ConnectionPoolKey,
    ) -> None:
        assert isinstance(transport, SimTransport)
        await asyncio.sleep(0.0002 + 0.01 * self.random.random())
        if transport.is_closing():
            raise TlsFailed(AttemptFailure.TLS, "Connection reset by peer")
        if not transport.receiver.accepts_tls():
            raise TlsFailed(AttemptFailure.CERTIFICATE_EXPIRED, "certificate has expired")
        protocol.connection_made(transport)


def is_private(address: str) -> bool:
    """Return True if connecting to the address is always forbidden."""
    return address in PRIVATE
