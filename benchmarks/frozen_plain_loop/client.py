"""The HTTP client: kept connections, answers, limits, and the checks before each request."""

import asyncio
import os
import socket
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import count
from typing import Final, NamedTuple, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from benchmarks.frozen_plain_loop.callbacks import (
    ACCOUNT,
    Callback,
    CallbackUrl,
    Connection,
    Limits,
    OutgoingRequest,
    SourceName,
    limits_of,
    render,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Addresses = tuple[str, ...]


# How an exchange ends.


class Failure(Enum):
    NAME = "name"
    GUARD = "guard"
    CONNECT = "connect"
    CONNECT_TIMEOUT = "connect_timeout"
    EGRESS = "egress"
    STALE = "stale"
    READ_TIMEOUT = "read_timeout"
    TOTAL_TIMEOUT = "total_timeout"
    CLOSED = "closed"
    PROTOCOL = "protocol"


@dataclass(frozen=True, slots=True)
class Delivered:
    status: int


@dataclass(frozen=True, slots=True)
class Refused:
    status: int
    location: str | None = None
    retry_after: str | None = None


@dataclass(frozen=True, slots=True)
class Unreachable:
    failure: Failure
    why: str


class RecordedResponse(NamedTuple):
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    is_cut: bool = False


class Timings(NamedTuple):
    total: float
    look_up: float | None = None
    connect: float | None = None
    tls: float | None = None
    first_byte: float | None = None


class Exchange(NamedTuple):
    outcome: Delivered | Refused | Unreachable
    timings: Timings | None = None
    response: RecordedResponse | None = None
    local_address: str | None = None
    proxy: str | None = None


Ending = tuple[Delivered | Refused | Unreachable, RecordedResponse | None]


# Where a request may go, and which way it takes.

LOOPBACK: Final[tuple[Network, ...]] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
Ports = tuple[range, ...]
ANY_PORT: Final[Ports] = (range(1, 65536),)


@dataclass(frozen=True, slots=True)
class Guard:
    networks: tuple[Network, ...] = ()
    ports: Ports = ANY_PORT
    schemes: tuple[str, ...] = ("http", "https")

    def refusal_of(self, url: CallbackUrl) -> str | None:
        scheme = url.scheme.lower()
        if scheme not in self.schemes:
            return f"callbacks may not go to {scheme} URLs"
        port = url.port
        for ports in self.ports:
            if port in ports:
                return None
        return f"callbacks may not go to port {port}"

    def refusal_at(self, address: str) -> str | None:
        try:
            return _refusal(address, allowed=self.networks)
        except ValueError:
            return f"{address} is not an IP address"


def _refusal(text: str, *, allowed: Sequence[Network] = ()) -> str | None:
    outer = ip_address(text.partition("%")[0])
    inner = _embedded(outer)
    if any(address in network for network in allowed for address in (outer, inner)):
        return None
    return f"{text} is not allowed"


def _embedded(address: Address) -> Address:
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or address.sixtofour or address


@dataclass(frozen=True, slots=True)
class Direct:
    local_addresses: tuple[str, ...] = ()

    def local_address(self, *, towards: str, turn: int) -> str | None:
        is_ipv6 = ":" in towards
        fitting = [local for local in self.local_addresses if (":" in local) is is_ipv6]
        return fitting[turn % len(fitting)] if fitting else None


@dataclass(frozen=True, slots=True)
class Proxy:
    """Never used here; but each request is checked for one."""

    shown: str


Egress = Direct | Proxy
ANY: Final = Direct()


@dataclass(frozen=True, slots=True)
class Egresses:
    by_source: Mapping[SourceName, Egress] = field(default_factory=dict[SourceName, Egress])
    named: Mapping[str, Egress] = field(default_factory=dict[str, Egress])

    def choose(self, source: SourceName | None, connection: Connection, *, turn: int) -> Egress:
        own = ANY if source is None else self.by_source.get(source, ANY)
        names = connection.egress
        return self.named.get(names[turn % len(names)], own) if names else own


class Peer(NamedTuple):
    host: str
    port: int
    address: str
    uses_tls: bool
    says_name: bool
    local_address: str | None
    proxy: Proxy | None


class Route(NamedTuple):
    host: str
    port: int
    uses_tls: bool
    says_name: bool
    egress: Egress
    turn: int

    @property
    def place(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host} port {self.port}"

    @property
    def proxy_shown(self) -> str | None:
        return self.egress.shown if isinstance(self.egress, Proxy) else None

    def peer_at(self, address: str) -> Peer | None:
        egress, local_address, proxy = self.egress, None, None
        if isinstance(egress, Proxy):
            proxy = egress
        elif egress.local_addresses:
            local_address = egress.local_address(towards=address, turn=self.turn)
            if local_address is None:
                return None
        return Peer(
            self.host, self.port, address, self.uses_tls, self.says_name, local_address, proxy
        )


def route_of(url: CallbackUrl, egress: Egress, turn: int) -> Route:
    says_name = url.connection.sni is not False
    return Route(url.hostname, url.port, url.uses_tls, says_name, egress, turn)


# Reading an answer.

MAX_HEAD: Final = 64 * 1024
MAX_BODY: Final = 64 * 1024
_MAX_READ: Final = 16 * MAX_BODY
_TOO_MANY_HEADERS: Final = f"the receiver's answer has headers of more than {MAX_HEAD} bytes"


class AnswerReader:
    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True)
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._room = MAX_BODY
        self._status = 0
        self._has_head = False
        self._bytes_read = 0
        self.fault: str | None = None
        self.is_complete = False
        self.is_cut = False
        self.keeps_alive = False

    def start_over(self) -> None:
        self._headers = []
        self._body = []
        self._room = MAX_BODY
        self._has_head = False
        self._bytes_read = 0
        self.is_complete = self.is_cut = self.keeps_alive = False

    @property
    def has_begun(self) -> bool:
        return self._bytes_read > 0

    def feed(self, part: memoryview) -> None:
        self._bytes_read += len(part)
        try:
            self._parser.feed_data(part)
        except HttpParserUpgrade:
            self._stumble("the receiver wants to switch protocols")
        except HttpParserError as error:
            self._stumble(f"the receiver's answer is not HTTP/1.1: {error}")
        if not self._has_head and self._bytes_read > MAX_HEAD:
            self._stumble(_TOO_MANY_HEADERS)
        elif not self.is_complete and self._bytes_read > _MAX_READ:
            self.is_cut = True

    def response(self) -> RecordedResponse:
        headers = tuple(
            [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self._headers]
        )
        is_cut = self.is_cut or not self.is_complete
        return RecordedResponse(self._status, headers, b"".join(self._body), is_cut)

    def so_far(self) -> RecordedResponse | None:
        return self.response() if self._has_head else None

    # The parser calls these.

    def on_message_begin(self) -> None:
        if self.is_complete:
            raise HttpParserError("there is more than one answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_head:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._has_head = True
        self._status = self._parser.get_status_code()
        if self._bytes_read > MAX_HEAD and _size_of(self._headers) > MAX_HEAD:
            self._stumble(_TOO_MANY_HEADERS)

    def on_body(self, part: bytes) -> None:
        self._body.append(part[: self._room])
        self.is_cut = self.is_cut or len(part) > self._room
        self._room = max(0, self._room - len(part))

    def on_message_complete(self) -> None:
        if 100 <= self._status <= 199:
            self._headers = []
            self._has_head = False
            return
        self.is_complete = True
        self.keeps_alive = (
            self._parser.should_keep_alive()
            and self._parser.get_http_version() == "1.1"
            and not self.is_cut
        )

    def _stumble(self, why: str) -> None:
        self.keeps_alive = False
        if not self.is_complete:
            self.fault = self.fault or why


def _size_of(headers: list[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) + len(b": \r\n") for name, value in headers)


# A connection.

_DELIVERED: Final = {status: Delivered(status) for status in range(200, 300)}


class HttpConnection(asyncio.BufferedProtocol):
    def __init__(
        self,
        peer: Peer,
        *,
        buffer: memoryview,
        stopwatch: Callable[[], float],
        on_lost: Callable[["HttpConnection"], None],
    ) -> None:
        self.peer = peer
        self.transport: asyncio.Transport
        self.local_address: str | None = None
        self.is_reusable = False
        self.broken: Unreachable | None = None
        self.first_byte: float | None = None
        self._buffer = buffer
        self._stopwatch = stopwatch
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self._answer = AnswerReader()
        self._is_fresh = True
        self._waiting: asyncio.Future[Ending] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = self._read_limit = self._heard = self._until = 0.0

    def exchange(self, request: bytes, *, read: float, until: float) -> asyncio.Future[Ending]:
        self._waiting = waiting = self._loop.create_future()
        self.first_byte = None
        if self.broken is not None:
            self._settle((self.broken, None))
            return waiting
        self.is_reusable = False
        self._heard = now = self._loop.time()
        self._read_limit, self._until = read, until
        due = now + read
        self._see_to_it_that_it_ends(due if due < until else until)
        self.transport.write(request)
        return waiting

    def close(self) -> None:
        self.is_reusable = False
        self._disarm()
        self.transport.close()

    def abort(self) -> None:
        self.is_reusable = False
        self._waiting = None
        self._disarm()
        self.transport.abort()

    # The event loop calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        sockname: tuple[str, int] | None = transport.get_extra_info("sockname")
        self.local_address = sockname[0] if sockname else None

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._waiting is None:
            self._break(Failure.PROTOCOL, "the receiver sent something without being asked")
            return
        self._heard = self._loop.time()
        if self.first_byte is None:
            self.first_byte = self._stopwatch()
        answer = self._answer
        answer.feed(self._buffer[:nbytes])
        if answer.fault is not None:
            self._break(Failure.PROTOCOL, answer.fault)
        elif answer.is_complete or answer.is_cut:
            self._settle_answer()

    def eof_received(self) -> None:
        self._break(*self._closed_early(None))

    def connection_lost(self, exc: Exception | None) -> None:
        self._break(*self._closed_early(exc))
        if not self.gone.done():
            self.gone.set_result(None)

    def _closed_early(self, error: Exception | None) -> tuple[Failure, str]:
        because = f" ({_in_words(error)})" if isinstance(error, OSError) else ""
        if self._answer.has_begun or self._is_fresh:
            return Failure.CLOSED, f"the receiver closed the connection{because}"
        return Failure.STALE, f"the receiver had closed the kept connection{because}"

    def _see_to_it_that_it_ends(self, by: float) -> None:
        if self._alarm is not None:
            if self._alarm_at <= by:
                return
            self._alarm.cancel()
        self._alarm = self._loop.call_at(by, self._look_at_the_time)
        self._alarm_at = by

    def _look_at_the_time(self) -> None:
        self._alarm = None
        if self._waiting is None:
            return
        now = self._loop.time()
        due = self._heard + self._read_limit
        if now >= self._until:
            self._break(Failure.TOTAL_TIMEOUT, "the answer was not complete in time")
        elif now >= due:
            self._break(Failure.READ_TIMEOUT, f"nothing came for {self._read_limit:g} s")
        else:
            self._see_to_it_that_it_ends(min(due, self._until))

    def _settle_answer(self) -> None:
        response = self._answer.response()
        is_all_sent = self.transport.get_write_buffer_size() == 0
        self.is_reusable = self._answer.keeps_alive and is_all_sent
        self._settle((_outcome_of(response), response))
        if self.is_reusable:
            self._is_fresh = False
            self._answer.start_over()
        else:
            self.abort()

    def _break(self, failure: Failure, why: str) -> None:
        self.broken = self.broken or Unreachable(failure, why)
        self._on_lost(self)
        self._settle((self.broken, self._answer.so_far()))
        self.abort()

    def _settle(self, ending: Ending) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(ending)

    def _disarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None


def _outcome_of(response: RecordedResponse) -> Delivered | Refused:
    status = response.status
    if status in _DELIVERED:
        return _DELIVERED[status]
    return Refused(status)


def _in_words(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error) or "no answer"


# Kept connections.


@dataclass(frozen=True, slots=True)
class KeepAlive:
    seconds: float = 4.0
    per_peer: int = 64
    in_all: int = 512


class Pool:
    def __init__(self, limits: KeepAlive) -> None:
        self._limits = limits
        self._idle: dict[Peer, list[HttpConnection]] = {}
        self._until: dict[HttpConnection, float] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._is_closed = False

    def take(self, route: Route, addresses: Iterable[str]) -> HttpConnection | None:
        for address in addresses:
            peer = route.peer_at(address)
            if idle := peer and self._idle.get(peer):
                connection = idle.pop()
                del self._until[connection]
                return connection
        return None

    def keep(self, connection: HttpConnection, now: float) -> None:
        idle = self._idle.get(connection.peer)
        if idle is None:
            idle = self._idle[connection.peer] = []
        if self._is_closed or len(idle) >= self._limits.per_peer:
            connection.close()
            return
        if len(self._until) >= self._limits.in_all:
            self._first().close()
        idle.append(connection)
        self._until[connection] = until = now + self._limits.seconds
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_at(until, self._sweep)

    def forget(self, connection: HttpConnection) -> None:
        if self._until.pop(connection, None) is not None:
            self._idle[connection.peer].remove(connection)

    def make_room(self) -> None:
        if self._until:
            self._first().abort()

    async def close(self) -> None:
        self._is_closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        idle = [self._first() for _ in range(len(self._until))]
        for connection in idle:
            connection.close()
        await asyncio.gather(*(connection.gone for connection in idle))

    def _first(self) -> HttpConnection:
        connection = next(iter(self._until))
        self.forget(connection)
        return connection

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweeper = None
        while self._until:
            until = next(iter(self._until.values()))
            if until > loop.time():
                self._sweeper = loop.call_at(until, self._sweep)
                break
            self._first().close()
        for peer in [peer for peer, idle in self._idle.items() if not idle]:
            del self._idle[peer]


# New connections.


class Step(Enum):
    LOOK_UP = auto()
    ROOM = auto()
    CONNECT = auto()
    TLS = auto()


class Steps:
    def __init__(self, stopwatch: Callable[[], float]) -> None:
        self.at = Step.LOOK_UP
        self._stopwatch = stopwatch
        self._took: dict[Step, float] = {}

    @contextmanager
    def taking(self, step: Step) -> Generator[None]:
        self.at = step
        began = self._stopwatch()
        try:
            yield
        finally:
            self._took[step] = (self._stopwatch() - began) * 1000

    def timings(self, *, total: float, first_byte: float | None = None) -> Timings:
        took = self._took.get
        return Timings(total, took(Step.LOOK_UP), took(Step.CONNECT), took(Step.TLS), first_byte)


class Room:
    def __init__(self, most: int, *, make_room: Callable[[], None]) -> None:
        self.taken = 0
        self.waiting = 0
        self._free = asyncio.Semaphore(most)
        self._make_room = make_room

    async def enter(self) -> None:
        if self._free.locked():
            self._make_room()
        self.waiting += 1
        try:
            await self._free.acquire()
        finally:
            self.waiting -= 1
        self.taken += 1

    def leave(self) -> None:
        self.taken -= 1
        self._free.release()


class _Remembered(NamedTuple):
    addresses: Addresses
    until: float


class _UnderWay:
    def __init__(self) -> None:
        self.task: asyncio.Task[Addresses | Unreachable]
        self.waiting = 0
        self.has_turn = False


class Resolver:
    """Knows hosts that are addresses only."""

    def __init__(
        self, *, guard: Guard, remember: float = 5.0, limit: float = 5.0, at_once: int = 64
    ) -> None:
        self._guard = guard
        self._remember = remember
        self._limit = limit
        self._turns = asyncio.Semaphore(at_once)
        self._remembered: dict[str, _Remembered] = {}
        self._under_way: dict[str, _UnderWay] = {}

    def remembered(self, host: str, now: float) -> Addresses:
        known = self._remembered.get(host)
        return known.addresses if known is not None and known.until > now else ()

    async def look_up(self, host: str) -> Addresses | Unreachable:
        if known := self.remembered(host, asyncio.get_running_loop().time()):
            return known
        under_way = self._under_way.get(host) or self._begin(host)
        under_way.waiting += 1
        try:
            return await asyncio.shield(under_way.task)
        finally:
            under_way.waiting -= 1
            if not under_way.waiting and not under_way.has_turn:
                self._end(host, under_way)
                under_way.task.cancel()

    async def close(self) -> None:
        tasks = [under_way.task for under_way in self._under_way.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, host: str) -> _UnderWay:
        self._under_way[host] = under_way = _UnderWay()
        under_way.task = asyncio.create_task(self._in_turn(host, under_way))
        under_way.task.add_done_callback(lambda _: self._end(host, under_way))
        return under_way

    def _end(self, host: str, under_way: _UnderWay) -> None:
        if self._under_way.get(host) is under_way:
            del self._under_way[host]

    async def _in_turn(self, host: str, under_way: _UnderWay) -> Addresses | Unreachable:
        async with self._turns:
            under_way.has_turn = True
            try:
                async with asyncio.timeout(self._limit):
                    return await self._look_up(host)
            except TimeoutError:
                return Unreachable(Failure.NAME, f"no answer came for {host}")

    async def _look_up(self, host: str) -> Addresses | Unreachable:
        try:
            candidates = [str(ip_address(host))]
        except ValueError:
            return Unreachable(Failure.NAME, f"{host} is not an address")
        found = self._guarded(tuple(dict.fromkeys(candidates)))
        if not isinstance(found, Unreachable):
            until = asyncio.get_running_loop().time() + self._remember
            self._remembered[host] = _Remembered(found, until)
        return found

    def _guarded(self, candidates: Addresses) -> Addresses | Unreachable:
        refusals = {address: self._guard.refusal_at(address) for address in candidates}
        passed = tuple(address for address, why in refusals.items() if why is None)
        return passed or Unreachable(Failure.GUARD, f"{refusals[candidates[0]]}")


async def _connected_socket(address: str, port: int, local_address: str | None) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if local_address is not None:
            sock.bind((local_address, 0))
        await asyncio.get_running_loop().sock_connect(sock, (address, port))
    except BaseException:
        sock.close()
        raise
    return sock


class SystemNetwork:
    async def connect(
        self,
        protocol: asyncio.BufferedProtocol,
        *,
        address: str,
        port: int,
        local_address: str | None,
    ) -> None:
        sock = await _connected_socket(address, port, local_address)
        await asyncio.get_running_loop().create_connection(lambda: protocol, sock=sock)


class Reach:
    def __init__(
        self, *, network: SystemNetwork, new_connection: Callable[[Peer], HttpConnection]
    ) -> None:
        self._network = network
        self._new_connection = new_connection

    async def first_of(
        self, peers: Sequence[Peer], route: Route, *, until: float
    ) -> HttpConnection | Unreachable:
        failures = list[Unreachable]()
        for index, peer in enumerate(peers):
            try:
                async with asyncio.timeout(_share(until, among=len(peers) - index)):
                    reached = await self._reach(peer)
            except TimeoutError:
                reached = Unreachable(Failure.CONNECT, f"{peer.address}: no answer")
            if not isinstance(reached, Unreachable):
                return reached
            failures.append(reached)
        whys = "; ".join(failure.why for failure in failures)
        return Unreachable(Failure.CONNECT, f"could not connect to {route.place} ({whys})")

    async def _reach(self, peer: Peer) -> HttpConnection | Unreachable:
        if peer.proxy is None:
            return await self._straight(peer)
        raise NotImplementedError("the loop uses no proxy")

    async def _straight(self, peer: Peer) -> HttpConnection | Unreachable:
        connection = self._new_connection(peer)
        try:
            await self._network.connect(
                connection, address=peer.address, port=peer.port, local_address=peer.local_address
            )
        except OSError as error:
            return Unreachable(Failure.CONNECT, f"{peer.address}: {_in_words(error)}")
        return connection


def _share(until: float, *, among: int) -> float | None:
    return None if among == 1 else (until - asyncio.get_running_loop().time()) / among


class Opener:
    def __init__(self, *, resolver: Resolver, reach: Reach, pool: Pool, room: Room) -> None:
        self._resolver = resolver
        self._reach = reach
        self._pool = pool
        self._room = room

    async def open(
        self, route: Route, *, limits: Limits, steps: Steps
    ) -> HttpConnection | Unreachable:
        seconds = min(limits.connect, limits.total)
        until = asyncio.get_running_loop().time() + seconds
        try:
            async with asyncio.timeout_at(until):
                return await self._open(route, until, steps)
        except TimeoutError:
            why = f"no connection to {route.place} within {seconds:g} s"
            return Unreachable(Failure.CONNECT_TIMEOUT, why)

    async def _open(self, route: Route, until: float, steps: Steps) -> HttpConnection | Unreachable:
        addresses = await self._look_up(route.host, steps)
        if isinstance(addresses, Unreachable):
            return addresses
        if connection := self._pool.take(route, addresses):
            return connection
        peers = [peer for address in addresses if (peer := route.peer_at(address))]
        if not peers:
            return Unreachable(Failure.EGRESS, f"no local address leads to {route.place}")
        return await self._open_in_its_place(peers, route, until, steps)

    async def _look_up(self, host: str, steps: Steps) -> Addresses | Unreachable:
        if known := self._resolver.remembered(host, asyncio.get_running_loop().time()):
            return known
        with steps.taking(Step.LOOK_UP):
            return await self._resolver.look_up(host)

    async def _open_in_its_place(
        self, peers: Sequence[Peer], route: Route, until: float, steps: Steps
    ) -> HttpConnection | Unreachable:
        steps.at = Step.ROOM
        await self._room.enter()
        try:
            connection = await self._connect(peers, route, until, steps)
        except BaseException:
            self._room.leave()
            raise
        if isinstance(connection, Unreachable):
            self._room.leave()
        else:
            connection.gone.add_done_callback(lambda _: self._room.leave())
        return connection

    async def _connect(
        self, peers: Sequence[Peer], route: Route, until: float, steps: Steps
    ) -> HttpConnection | Unreachable:
        with steps.taking(Step.CONNECT):
            connection = await self._reach.first_of(peers, route, until=until)
        if isinstance(connection, Unreachable) or not route.uses_tls:
            return connection
        raise NotImplementedError("the loop uses no TLS")


# The sender.

_BUFFER: Final = 64 * 1024


class Sender:
    def __init__(self, *, stopwatch: Callable[[], float], guard: Guard) -> None:
        self._stopwatch = stopwatch
        self._guard = guard
        self._egresses = Egresses()
        self._turns = defaultdict[Direct, "count[int]"](count)
        self._buffer = memoryview(bytearray(_BUFFER))
        self._pool = Pool(KeepAlive())
        self._room = Room(900, make_room=self._pool.make_room)
        self._resolver = Resolver(guard=guard)
        self._opener = Opener(
            resolver=self._resolver,
            reach=Reach(network=SystemNetwork(), new_connection=self._new_connection),
            pool=self._pool,
            room=self._room,
        )

    async def send(
        self,
        request: OutgoingRequest,
        *,
        limits: Limits,
        turn: int = 0,
        anew: Callable[[], OutgoingRequest] | None = None,
    ) -> Exchange:
        began = self._stopwatch()
        loop = asyncio.get_running_loop()
        now = loop.time()
        if refused := self._refusal(request.url, limits):
            return self._unsent(refused, began)
        route, steps = self._route(request, turn), None
        connection = self._pool.take(route, self._resolver.remembered(route.host, now))
        if connection is None:
            steps = Steps(self._stopwatch)
            connection = await self._opener.open(route, limits=limits, steps=steps)
            if isinstance(connection, Unreachable):
                return self._unsent(connection, began, route, steps)
        left = self._stopwatch()
        try:
            if steps is not None and anew is not None:
                request = anew()
            outcome, response = await connection.exchange(
                request.to_bytes(), read=limits.read, until=now + limits.total
            )
        except BaseException:
            connection.abort()
            raise
        self._keep(connection, loop.time())
        timings = self._timings(began, left, connection.first_byte, steps)
        return Exchange(outcome, timings, response, connection.local_address, route.proxy_shown)

    async def close(self) -> None:
        await self._resolver.close()
        await self._pool.close()

    def _refusal(self, url: CallbackUrl, limits: Limits) -> Unreachable | None:
        if limits.total <= 0:
            return Unreachable(Failure.TOTAL_TIMEOUT, "no time was left for this attempt")
        why = self._guard.refusal_of(url)
        return None if why is None else Unreachable(Failure.GUARD, why)

    def _route(self, request: OutgoingRequest, turn: int) -> Route:
        egress = self._egresses.choose(request.source, request.url.connection, turn=turn)
        return route_of(request.url, egress, self._turn_of(egress))

    def _turn_of(self, egress: Egress) -> int:
        if isinstance(egress, Direct) and egress.local_addresses:
            return next(self._turns[egress])
        return 0

    def _unsent(
        self, why: Unreachable, began: float, route: Route | None = None, steps: Steps | None = None
    ) -> Exchange:
        proxy = None if route is None else route.proxy_shown
        return Exchange(why, self._timings(began, began, None, steps), proxy=proxy)

    def _timings(
        self, began: float, left: float, first_byte: float | None, steps: Steps | None
    ) -> Timings:
        total = (self._stopwatch() - began) * 1000
        waited = None if first_byte is None else (first_byte - left) * 1000
        if steps is None:
            return Timings(total, None, None, None, waited)
        return steps.timings(total=total, first_byte=waited)

    def _keep(self, connection: HttpConnection, now: float) -> None:
        if not connection.is_reusable:
            return
        if self._room.waiting:
            connection.abort()
        else:
            self._pool.keep(connection, now)

    def _new_connection(self, peer: Peer) -> HttpConnection:
        return HttpConnection(
            peer, buffer=self._buffer, stopwatch=self._stopwatch, on_lost=self._pool.forget
        )


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


_CLOCK: Final = SystemClock()
_LIMITS: Final = limits_of(Connection(), timedelta(seconds=15))


def a_sender() -> Sender:
    return Sender(stopwatch=time.perf_counter, guard=Guard(LOOPBACK))


async def send(sender: Sender, callback: Callback) -> None:
    request = render(callback, account=ACCOUNT, at=_CLOCK.now())
    await sender.send(request, limits=_LIMITS)
