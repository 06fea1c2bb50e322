"""How a command that serves is told to stop."""

import asyncio
import signal


def event_of_signals() -> asyncio.Event:
    """Return an event that Ctrl-C or a SIGTERM sets, from now on."""
    stop = asyncio.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    return stop
