"""Runs the server of `ringback dev` and `ringback serve`: starts it, announces it and stops it."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from ringback.api.health import app_before_start
from ringback.api.http.open_connections import OpenConnections
from ringback.api.http.server import ApiHttpServer
from ringback.api.serve_on_socket import base_url_of
from ringback.application import ServerProcess
from ringback.cli.signals import event_of_signals
from ringback.core.callbacks.shards import Role
from ringback.core.errors import StartStopped
from ringback.core.http.descriptor_shares import DescriptorShares, needed_for
from ringback.runtime.interpreter_tuning import collect_only_what_is_new, let_threads_take_turns
from ringback.runtime.open_files import raise_limit
from ringback.runtime.system_clock import SystemClock
from ringback.settings.settings import Settings

if TYPE_CHECKING:
    from ringback.dev_environment.dev_https import DevHttps
    from ringback.runtime.server_certificate import ServerCertificate

_MOST_BEFORE_START: Final = 256
"""Maximum number of connections of clients while the server waits for its database."""
_log = logging.getLogger(__name__)


async def serve_until_stopped(
    settings: Settings,
    listener: socket.socket,
    *,
    start: Callable[[asyncio.Event], Awaitable[ServerProcess]],
    announce: Callable[[ServerProcess, str], Awaitable[None]],
    https: "DevHttps | None" = None,
    certificate: "ServerCertificate | None" = None,
) -> None:
    """Start the application, `announce` it with its base URL, and serve until a signal.

    `start` gets the event that a signal sets, and may raise StartStopped then.

    With `https`, the same is served there too. With a `certificate`, the listener itself is HTTPS.
    If the engine fails, its exception is raised.
    """
    let_threads_take_turns()
    wanted = settings.connections_wanted
    limit = raise_limit(needed_for(wanted))
    # First of all, so that a signal during the start stops the server, too.
    stop = event_of_signals()
    try:
        application = await start(stop)
    except StartStopped as why:
        _log.info("%s", why)
        return
    try:
        if application.process.shares != wanted:
            _warn_of_shortage(limit, application.process.shares, wanted)
        scheme = "http" if certificate is None else "https"
        await announce(application, base_url_of(listener, scheme=scheme))
        server = ApiHttpServer(
            application.api.app,
            connections=application.api.connections,
            now=SystemClock().now,
            trusted=settings.trusted_proxies,
            direct=application.api.direct,
        )
        collect_only_what_is_new()
        server.listen(listener, None if certificate is None else certificate.context)
        if https is not None:
            server.listen(https.listener, lambda: https.context)
        await _serve(application, server, certificate, stop, settings)
        drain = settings.drain.total_seconds()
        _log.info(
            "stopping; requests under way have %g s to finish",
            drain,
            extra={"drain_seconds": drain},
        )
    finally:
        await application.stop()
    _log.info("stopped")


class ServerBeforeStart:
    """Answers the health checks, and 503 to all else, while the server waits for its database.

    It begins with the first reason to wait. Without a `listener` it answers nothing: a socket of
    another program may be that of a server which is ready.
    """

    def __init__(
        self, listener: socket.socket | None, certificate: "ServerCertificate | None"
    ) -> None:
        self._listener = listener
        self._certificate = certificate
        self._reason = ""
        self._server: ApiHttpServer | None = None

    def not_ready(self, reason: str) -> None:
        """Answer with this reason from now on."""
        self._reason = f"the database can't be used yet: {reason}"
        if self._server is None and self._listener is not None:
            connections = OpenConnections(_MOST_BEFORE_START)
            app = app_before_start(lambda: self._reason)
            self._server = ApiHttpServer(app, connections=connections, now=SystemClock().now)
            # A copy, since a server that stops closes its socket.
            context = None if self._certificate is None else self._certificate.context
            self._server.listen(self._listener.dup(), context)

    async def end(self) -> None:
        """Answer nothing more."""
        if self._server is not None:
            await self._server.stop()


async def _serve(
    application: ServerProcess,
    server: ApiHttpServer,
    certificate: "ServerCertificate | None",
    stop: asyncio.Event,
    settings: Settings,
) -> None:
    """Serve until `stop` is set and the lame-duck time is over, or the engine fails."""
    watching = asyncio.create_task(application.workers.supervisor.watch())
    watching.add_done_callback(lambda _: stop.set())
    renewing = None if certificate is None else asyncio.create_task(certificate.watch())
    await stop.wait()
    await _retire(server, settings, watching)
    application.workers.break_off()
    await server.stop()
    if renewing is not None:
        renewing.cancel()
    if watching.done():
        await watching
    watching.cancel()


async def _retire(server: ApiHttpServer, settings: Settings, watching: asyncio.Task[None]) -> None:
    """Serve until clients had the time to leave, or the engine fails.

    Nobody has to leave a worker: no client sends requests to it.
    """
    seconds = settings.lame_duck.total_seconds()
    if not seconds or settings.role is Role.WORKER or watching.done():
        return
    _log.info(
        "not ready any more; requests are still answered for %g s",
        seconds,
        extra={"lame_duck_seconds": seconds},
    )
    retiring = asyncio.create_task(server.retire(seconds, accepts=not settings.hands_over_socket))
    await asyncio.wait({watching, retiring}, return_when=asyncio.FIRST_COMPLETED)
    retiring.cancel()


def _warn_of_shortage(limit: int, shares: DescriptorShares, wanted: DescriptorShares) -> None:
    _log.warning(
        "the limit of %d open files leaves %d connections for clients and %d for sending, instead"
        " of %d and %d; raise the hard limit (ulimit -Hn, LimitNOFILE) to %d",
        limit,
        shares.incoming,
        shares.outgoing,
        wanted.incoming,
        wanted.outgoing,
        needed_for(wanted),
    )
