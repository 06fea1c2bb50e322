"""Signals that stop a long-running command, or have it reread its settings."""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Final

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_Handler = Callable[[int, FrameType | None], object] | int | None


def event_of_signals() -> asyncio.Event:
    """Return an event that Ctrl-C or a SIGTERM sets, from now on; a second one ends the process.

    A second one loses nothing, since whatever was answered is on disk.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    react = partial(_stop, stop, loop)

    def react_soon(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(react)

    for number in _SIGNALS:
        try:
            loop.add_signal_handler(number, react)
        except NotImplementedError:  # Windows
            signal.signal(number, react_soon)
    return stop


def on_hangup(call: Callable[[], None]) -> None:
    """Call this on each SIGHUP from now on, instead of ending the process."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, call)


@contextmanager
def ignored_signals() -> Generator[None]:
    """Ignore Ctrl-C and SIGTERM while a command cleans up, which must not take long."""
    loop, earlier = asyncio.get_running_loop(), dict[signal.Signals, _Handler]()
    for number in _SIGNALS:
        loop.remove_signal_handler(number)
        earlier[number] = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


async def first_of(*awaited: Coroutine[None, None, object]) -> None:
    """Wait for the first of these to end, cancel the others, and raise its exception if any."""
    tasks = [asyncio.ensure_future(one) for one in awaited]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _stop(stop: asyncio.Event, loop: asyncio.AbstractEventLoop) -> None:
    for number in _SIGNALS:
        with suppress(NotImplementedError):
            loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)
    stop.set()
