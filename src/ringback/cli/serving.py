"""How `ringback dev` and `ringback serve` run: start everything, say so, serve, stop in order."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable

from ringback.api.server import base_url_of, serve
from ringback.cli.https import Https
from ringback.cli.signals import event_of_signals, on_hangup
from ringback.engine.system import let_threads_take_turns
from ringback.ports import Clock, no_checkpoint
from ringback.settings import Command, Origin, Settings
from ringback.wiring import Parts

_log = logging.getLogger(__name__)


async def serve_until_told(
    settings: Settings,
    listener: socket.socket,
    *,
    clock: Clock,
    announce: Callable[[Parts, str], Awaitable[None]],
    https: Https | None = None,
    checkpoint: Callable[[str], None] = no_checkpoint,
    origin: Origin | None = None,
    accept_data_loss: bool = False,
) -> None:
    """Start the parts, `announce` them with their base URL, and serve until a signal says to stop.

    With `https`, the same is served there too. With the `origin` of the settings, a policy that
    changes there is taken over. With `accept_data_loss`, a server goes on with what data there is.

    Raises what ended the engine, should it end by itself.
    """
    let_threads_take_turns()
    # Before anybody is told that there is something to stop.
    stop = event_of_signals()
    parts = await Parts.start(
        settings,
        clock=clock,
        checkpoint=checkpoint,
        origin=origin,
        accept_data_loss=accept_data_loss,
    )
    # A terminal that is closed says the same, and `ringback dev` ends with it.
    if parts.reloading is not None and origin is not None and origin.command is Command.SERVE:
        on_hangup(parts.reloading.look_now)
    try:
        await announce(parts, base_url_of(listener))
        await _serve(parts, listener, https, stop)
        drain = settings.drain.total_seconds()
        _log.info("stopping; what is under way has %g s", drain, extra={"drain_seconds": drain})
    finally:
        await parts.stop()
    _log.info("stopped")


async def _serve(
    parts: Parts, listener: socket.socket, https: Https | None, stop: asyncio.Event
) -> None:
    """Serve until told to stop, or the engine fails."""
    watching = asyncio.create_task(parts.supervisor.watch())
    watching.add_done_callback(lambda _: stop.set())
    breaking_off = asyncio.create_task(_break_off(parts, stop))
    serving = [serve(parts.app, listener, until=stop)]
    if https is not None:
        serving.append(serve(parts.app, https.listener, until=stop, tls=https.context))
    await asyncio.gather(*serving)
    breaking_off.cancel()
    if watching.done():
        await watching
    watching.cancel()


async def _break_off(parts: Parts, stop: asyncio.Event) -> None:
    await stop.wait()
    parts.break_off()
