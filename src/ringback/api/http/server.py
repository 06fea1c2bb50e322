"""Accepts connections from listening sockets, and closes all connections when the server stops.

If the system has no resources for another connection, such as file descriptors, the server waits a
moment and tries again.
"""

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import lru_cache, partial
from typing import Final

from starlette.types import ASGIApp

from ringback.api.http.asgi_runner import NO_HANDLERS, AsgiServer, DirectHandler
from ringback.api.http.connection import HttpServerContext, ServerConnection
from ringback.api.http.open_connections import OpenConnections
from ringback.api.http.response_bytes import DateHeader
from ringback.api.http.server_limits import ServerTimeouts
from ringback.core.http.allowed_addresses import Network
from ringback.core.http.client_address import holder_of, is_in, peer_address

_BUFFER: Final = 64 * 1024
"""Size in bytes of the read buffer; all connections share it, since each read is copied at once."""
_ANY_ADDRESS: Final = ("0.0.0.0", "::")  # noqa: S104 (compared with, not listened on)
_AT_ONCE: Final = 64
"""Maximum number of connections that are accepted before the event loop runs other work."""
_MOST_LAST: Final = 1024
"""Maximum number of connections that are accepted when the server stops; as many can wait."""
_JUST_NOW_SECONDS: Final = 0.001
_PAUSE_SECONDS: Final = 0.25
"""Seconds until connections are accepted again after the system had no resources for one."""
_ENDING_SECONDS: Final = 1.0
_NEXT_REQUEST_SECONDS: Final = 0.3
"""Seconds in which a stopping server still takes a request on its open connections."""
_GOODBYE_SECONDS: Final = 0.3
_SHORTAGE: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_TIMEOUTS: Final = ServerTimeouts()

ContextOf = Callable[[], ssl.SSLContext]
"""Returns the TLS context for a new connection; it uses the newest certificate."""

_log = logging.getLogger(__name__)


class ApiHttpServer:
    """Serves an ASGI application on any number of sockets.

    `connections` limits the total number of connections of all sockets. `direct` are the handlers
    that answer requests without the application, by method and path.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        connections: OpenConnections,
        now: Callable[[], datetime],
        trusted: Sequence[Network] = (),
        timeouts: ServerTimeouts = _TIMEOUTS,
        direct: Mapping[tuple[str, bytes], DirectHandler] = NO_HANDLERS,
    ) -> None:
        self._loop = loop = asyncio.get_running_loop()
        # Most connections come from an address that has connected before.
        self._known = lru_cache(1024)(partial(_known, trusted))
        self._connections = connections
        self._context = HttpServerContext(
            begin=AsgiServer(app, trusted=trusted, direct=direct).begin,
            connections=connections,
            timeouts=timeouts,
            date=DateHeader(loop, now),
            buffer=memoryview(bytearray(_BUFFER)),
        )
        self._acceptors = list[_Acceptor]()
        self._closed = list[_Acceptor]()
        """The acceptors whose sockets are closed; their last connections may be set up still."""

    def listen(self, listener: socket.socket, tls: ContextOf | None = None) -> None:
        """Accept connections from this socket from now on; with `tls` they use HTTPS."""
        host, port, *_ = listener.getsockname()
        local = None if host in _ANY_ADDRESS else (host, port)
        scheme = "http" if tls is None else "https"

        def new_connection(sock: socket.socket, host: str, port: int) -> ServerConnection:
            address, holder, is_trusted = self._known(host)
            return ServerConnection(
                self._context,
                sock,
                (address, port),
                local=local,
                scheme=scheme,
                holder=holder,
                is_trusted=is_trusted,
            )

        self._acceptors.append(_Acceptor(listener, new_connection, self._connections, tls))

    async def retire(self, seconds: float, *, accepts: bool) -> None:
        """Go on serving for that time, so that clients and proxies can leave before `stop`.

        Each connection is closed after its next response, which says so. If the server no longer
        `accepts` connections, they wait for the next server on its sockets, and this returns as
        soon as there are none left.
        """
        self._connections.retire()
        if accepts:
            await asyncio.sleep(seconds)
        else:
            self._close_sockets()
            await self._emptied(seconds)

    async def stop(self) -> None:
        """Close the sockets and all connections; requests in progress get a second to end.

        Only this process's copy of a socket is closed. If another process has a copy, too, then the
        next server on it accepts the connections that wait.
        """
        self._close_sockets()
        until = self._loop.time() + _ENDING_SECONDS
        await self._take_last_requests()
        for connection in self._connections:
            connection.stop()
        if any(one.is_receiving for one in self._connections):
            await self._emptied(_NEXT_REQUEST_SECONDS)
        await self._end_requests(until)
        await self._say_goodbye()
        for acceptor in self._closed:
            await acceptor.ended()

    def _close_sockets(self) -> None:
        while self._acceptors:
            acceptor = self._acceptors.pop()
            acceptor.close()
            self._closed.append(acceptor)

    async def _take_last_requests(self) -> None:
        """Answer one more request on each connection, if one of them was used just now.

        Its client may be sending the next request already, and a client with several connections,
        such as a proxy, goes on with those that were idle for longer when the others close.
        """
        if any(
            one.is_receiving or one.is_used_within(_NEXT_REQUEST_SECONDS)
            for one in self._connections
        ):
            self._connections.retire()
            await self._emptied(_NEXT_REQUEST_SECONDS)

    async def _end_requests(self, until: float) -> None:
        answering = (connection.answering for connection in self._connections)
        tasks = {*filter(None, answering), *self._context.abandoned}
        if tasks:
            _, pending = await asyncio.wait(tasks, timeout=until - self._loop.time())
            for task in pending:
                task.cancel()
            if pending:
                _log.warning("%d requests were cut off when the server stopped", len(pending))
                await asyncio.wait(pending)

    async def _say_goodbye(self) -> None:
        """Give clients a moment to close their TLS connections, then close the rest."""
        await self._emptied(_GOODBYE_SECONDS)
        for connection in self._connections:
            connection.evict()
        await self._connections.emptied()

    async def _emptied(self, seconds: float) -> None:
        """Wait until there are no open connections, but at most this long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._connections.emptied(), seconds)


def _known(trusted: Sequence[Network], host: str) -> tuple[str, str, bool]:
    """Return a client's address, its key for counting connections, and True for a trusted proxy.

    The key is the IPv4 address, or the IPv6 network (a /64).
    """
    address = peer_address(host)
    peer = host if address is None else str(address)
    return peer, holder_of(address), address is not None and is_in(address, trusted)


class _Acceptor:
    """Accepts the connections of one listening socket."""

    def __init__(
        self,
        listener: socket.socket,
        new_connection: Callable[[socket.socket, str, int], ServerConnection],
        connections: OpenConnections,
        tls: ContextOf | None,
    ) -> None:
        self._listener = listener
        self._new_connection = new_connection
        self._connections = connections
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._opening = set[asyncio.Task[None]]()
        self._pausing: asyncio.TimerHandle | None = None
        self._is_short = False
        self._came, self._next = 0.0, 1
        """When connections were last accepted, and the maximum number to accept at once."""
        listener.setblocking(False)  # noqa: FBT003 (an API of the socket module)
        self._resume()

    def close(self) -> None:
        """Accept the connections that wait, but no more.

        The system would reset those that are not accepted, unless another process has this socket.
        Their clients may have sent requests on them already.
        """
        if self._pausing is not None:
            self._pausing.cancel()
        else:
            self._loop.remove_reader(self._listener)
            with suppress(OSError):  # the system has no resources for another one
                for _ in range(_MOST_LAST):
                    if not self._accept():
                        break
        self._listener.close()

    async def ended(self) -> None:
        """Wait until all accepted connections are set up."""
        if self._opening:
            await asyncio.wait(self._opening)

    def _resume(self) -> None:
        self._pausing = None
        self._loop.add_reader(self._listener, self._accept_some)

    def _accept_some(self) -> None:
        # An attempt that finds no connection costs as much as accepting one, so several are tried
        # only if the last connection came just now.
        now = self._loop.time()
        self._next = min(2 * self._next, _AT_ONCE) if now - self._came < _JUST_NOW_SECONDS else 1
        self._came = now
        for _ in range(self._next):
            try:
                if not self._accept():
                    return
            except OSError as problem:
                self._pause(problem)
                return

    def _accept(self) -> bool:
        """Accept a connection; return False if none waits."""
        try:
            # Not by asyncio, so that a refused connection needs no transport.
            sock, address = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        if self._is_short:
            self._is_short = False
            _log.info("new client connections are accepted again")
        self._take(sock, address[0], address[1])
        return True

    def _pause(self, problem: OSError) -> None:
        """Stop accepting for a moment after an error; trying again at once would waste CPU time."""
        self._loop.remove_reader(self._listener)
        self._pausing = self._loop.call_later(_PAUSE_SECONDS, self._resume)
        if not self._is_short:
            self._is_short = True
            raise_it = " (raise the limit on open files)" if problem.errno in _SHORTAGE else ""
            _log.error("new client connections have to wait: %s%s", problem.strerror, raise_it)

    def _take(self, sock: socket.socket, host: str, port: int) -> None:
        connection = self._new_connection(sock, host, port)
        if not self._connections.admit(connection):
            sock.close()
            return
        task = self._loop.create_task(self._open(connection, sock))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, connection: ServerConnection, sock: socket.socket) -> None:
        context = None if self._tls is None else self._tls()
        try:
            await self._loop.connect_accepted_socket(lambda: connection, sock, ssl=context)
        except (OSError, ssl.SSLError) as problem:
            # The client disconnected, or does not use TLS.
            _log.debug("a connection could not be set up: %s", problem)
            self._connections.remove(connection)
            sock.close()
