"""Signals that stop a long-running command, or make it read its settings again."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Final

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def event_of_signals(*, second: signal.Handlers = signal.SIG_DFL) -> asyncio.Event:
    """Return an event that Ctrl-C or SIGTERM sets from now on.

    By default a second signal ends the process, which loses nothing: all that was acknowledged is
    on disk. With `signal.SIG_IGN` it is ignored, so that the command can clean up.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    react = partial(_stop, stop, loop, second)

    def react_soon(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(react)

    for number in _SIGNALS:
        try:
            loop.add_signal_handler(number, react)
        except NotImplementedError:  # Windows
            signal.signal(number, react_soon)
    return stop


def on_hangup(call: Callable[[], None]) -> None:
    """Call `call` on each SIGHUP from now on, which would otherwise end the process."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, call)


async def first_of(*awaited: Coroutine[None, None, object]) -> None:
    """Wait until one coroutine ends, cancel the others, and raise its exception, if any."""
    tasks = [asyncio.ensure_future(one) for one in awaited]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _stop(stop: asyncio.Event, loop: asyncio.AbstractEventLoop, second: signal.Handlers) -> None:
    for number in _SIGNALS:
        with suppress(NotImplementedError):
            loop.remove_signal_handler(number)
        signal.signal(number, second)
    stop.set()
