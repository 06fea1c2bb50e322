"""The machine's own way to look names up, off the event loop.

A look-up that hangs can't be ended from outside: its thread stays until the machine's resolver
gives up. So `CachingResolver`, which limits their number, asks which are still `under_way`.
"""

import asyncio
import errno
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from ipaddress import ip_address
from threading import Thread

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""Returns the addresses of a host; raises OSError or UnicodeError where there are none."""


def ask_system(host: str) -> list[str]:
    """Return the addresses that `getaddrinfo` finds, in the order to try them; it may block."""
    try:
        answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror:
        _check_that_files_can_be_opened()
        raise
    return [str(sockaddr[0]) for *_, sockaddr in answers]


def _check_that_files_can_be_opened() -> None:
    """Raise OSError where they can't: the C library says then that there is no such name."""
    os.close(os.open(os.devnull, os.O_RDONLY))


class SystemResolver:
    """Answers `Resolve`: asks in a thread for each name, and never twice at a time for one.

    `ask` may block: it returns the addresses of a host, or raises OSError or UnicodeError.
    """

    def __init__(self, ask: Callable[[str], list[str]] = ask_system) -> None:
        self._ask = ask
        self._under_way: dict[str, Future[list[str]]] = {}

    async def __call__(self, host: str) -> list[str]:
        """Return the addresses of a host, in the order to try them.

        Raises OSError where there are none, and UnicodeError for what can't be a name.
        """
        if _is_address(host):
            return [host]
        return await asyncio.wrap_future(self._under_way.get(host) or self._begin(host))

    def under_way(self, host: str) -> Future[list[str]] | None:
        """Return the look-up of a host that is not over, whoever waits for it, or None."""
        return self._under_way.get(host)

    def _begin(self, host: str) -> Future[list[str]]:
        self._under_way[host] = found = Future[list[str]]()
        # From here on nobody who stops waiting can cancel it: it may answer the next who asks.
        found.set_running_or_notify_cancel()
        # Not the loop's own threads: those are waited for at the end, and a name server that hangs
        # would keep the whole process from stopping.
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
        except Exception as error:  # noqa: BLE001 (whoever asked hears of it)
            del self._under_way[host]
            found.set_exception(error)
        else:
            del self._under_way[host]
            found.set_result(addresses)


def _is_address(host: str) -> bool:
    """Whether a host is an address already, in the one spelling that needs no resolver."""
    try:
        return str(ip_address(host)) == host
    except ValueError:
        return False
