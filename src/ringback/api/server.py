"""Serves an ASGI application on a socket that is already bound, until told to stop."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Generator
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ringback.api.errors import unreadable
from ringback.core.errors import Unusable

_GOODBYE_SECONDS: Final = 0.3
_WAITING: Final = 1024
"""How many connections may wait to be taken."""


class ApiProtocol(HttpToolsProtocol):
    """Uvicorn's HTTP, but with our error form where that has plain text."""

    def send_400_response(self, msg: str) -> None:
        """Answer what can't be read, and close."""
        body = bytes(unreadable(msg).body)
        head = (
            "HTTP/1.1 400 Bad Request",
            "content-type: application/json",
            f"content-length: {len(body)}",
            "connection: close",
        )
        self.transport.write("\r\n".join([*head, "", ""]).encode() + body)
        self.transport.close()

    def shutdown(self) -> None:
        """Close now, or with the end of the request that is under way.

        TLS waits for the client to close too, which one that is idle doesn't do: not for long.
        """
        super().shutdown()
        if self.scheme == "https" and self.transport.is_closing():
            self.loop.call_later(_GOODBYE_SECONDS, self.transport.abort)


class ApiServer(uvicorn.Server):
    """Uvicorn, less its signal handling: who runs the whole process stops it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals alone."""
        yield


def bind(host: str, port: int, *, flag: str = "--port") -> socket.socket:
    """Return a listening socket; port 0 takes any that is free.

    Raises Unusable, naming this flag as what to change, where the address can't be had.
    """
    listener = reserve(host, port, flag=flag)
    listen(listener, flag=flag)
    return listener


def reserve(host: str, port: int, *, flag: str = "--port") -> socket.socket:
    """Return a socket that has its address, and takes no connection before it is told to `listen`.

    Raises as `bind`.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio's own loop looks for this protocol by its number before it sets TCP_NODELAY; without
    # that, each short answer waits 40 ms for the client's delayed ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as failure:
        listener.close()
        raise _taken(host, port, flag, failure) from failure
    return listener


def listen(listener: socket.socket, *, flag: str = "--port") -> None:
    """Take connections from now on; again where it does already.

    Raises as `bind`, and closes: of two that reserve an address at once, one can listen there.
    """
    host, port = listener.getsockname()[:2]
    try:
        listener.listen(_WAITING)
    except OSError as failure:
        listener.close()
        raise _taken(host, port, flag, failure) from failure


def _taken(host: str, port: int, flag: str, failure: OSError) -> Unusable:
    return Unusable(
        f"can't listen on {host}:{port}: {failure.strerror}; choose another with {flag} (or --host)"
    )


def base_url_of(listener: socket.socket) -> str:
    """Return the URL at which a listening socket is reached."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def serve(
    app: ASGIApp,
    listener: socket.socket,
    *,
    until: asyncio.Event,
    tls: ssl.SSLContext | None = None,
) -> None:
    """Serve until the event is set; requests under way get a second to end.

    With `tls` it is HTTPS.
    """
    server = ApiServer(
        uvicorn.Config(
            app,
            http=ApiProtocol,
            ssl_context_factory=None if tls is None else lambda _, __: tls,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            timeout_graceful_shutdown=1,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopping = asyncio.create_task(until.wait())
    await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    server.should_exit = True
    await serving
