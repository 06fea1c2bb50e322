"""Looks up host names with the machine's own resolver, in threads.

A look-up that hangs can't be cancelled: its thread runs until the machine's resolver gives up.
`under_way` finds such a look-up.
"""

import asyncio
import encodings.idna  # noqa: F401 # pyright: ignore[reportUnusedImport] (see below)
import errno
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from ipaddress import ip_address
from threading import Thread
from typing import Final

from ringback.runtime.open_files import may_have_run_out, require_room

# `getaddrinfo` would import `encodings.idna` for the first name. Without a free descriptor then,
# Python would remember for good that the module is missing, and no name could be looked up.

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""An async function that returns a host's addresses, or raises OSError or UnicodeError."""

_TRIES: Final = 3
"""How often a name is looked up in vain, while descriptors come and go, before it is unknown."""


def ask_system(host: str, *, tries: int = _TRIES) -> list[str]:
    """Return the host's addresses by `getaddrinfo`, in the order to try them; may block.

    Raises OSError if there are none, or if this machine lacks what a look-up needs.
    """
    try:
        answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        # It opens files and sockets. If it can't, it reports an unknown name, a name server without
        # an answer, or an error without a number. A moment later, others may have been closed: so
        # if this process ever had too many open, only repeated failures are those of the name.
        require_room()
        if tries <= 1 or not may_have_run_out():
            raise
        return ask_system(host, tries=tries - 1)
    return [str(sockaddr[0]) for *_, sockaddr in answers]


class SystemResolver:
    """A `Resolve` that runs each look-up in a thread of its own, one per name at a time.

    `ask` does the look-up, and may block. It returns a host's addresses, or raises OSError or
    UnicodeError.
    """

    def __init__(self, ask: Callable[[str], list[str]] = ask_system) -> None:
        self._ask = ask
        self._under_way: dict[str, Future[list[str]]] = {}

    async def __call__(self, host: str) -> list[str]:
        """Return the addresses of a host, in the order to try them.

        Raises OSError if there are none, and UnicodeError if the host is not a valid name.
        """
        if _is_address(host):
            return [host]
        return await asyncio.wrap_future(self._under_way.get(host) or self._begin(host))

    def under_way(self, host: str) -> Future[list[str]] | None:
        """Return the future of a running look-up of this host, or None if there is none."""
        return self._under_way.get(host)

    def _begin(self, host: str) -> Future[list[str]]:
        self._under_way[host] = found = Future[list[str]]()
        # From here on, a cancelled caller can't cancel the look-up: it may serve the next caller.
        found.set_running_or_notify_cancel()
        # Don't use the event loop's own threads: the loop waits for those at its end, so a hanging
        # name server would keep the whole process from stopping.
        thread = Thread(
            target=self._answer, args=(host, found), name=f"look-up {host}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as failure:
            del self._under_way[host]
            found.set_exception(OSError(errno.ENOMEM, str(failure)))
        return found

    def _answer(self, host: str, found: Future[list[str]]) -> None:
        try:
            addresses = self._ask(host)
        except Exception as error:  # noqa: BLE001 (passed on to the callers)
            del self._under_way[host]
            found.set_exception(error)
        else:
            del self._under_way[host]
            found.set_result(addresses)


def _is_address(host: str) -> bool:
    """Return True if the host is an IP address in canonical form, which needs no look-up."""
    try:
        return str(ip_address(host)) == host
    except ValueError:
        return False
