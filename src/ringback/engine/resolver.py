"""Host names -> the addresses that a callback may be sent to.

The guard looks at what the look-up yields, never at the text of the host, so that every spelling
of an address meets it. Who asks connects to one of the addresses returned and looks up nothing
again: a name that changes its mind in between gains nothing.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from threading import Thread
from typing import Final, NamedTuple

from ringback.core.addresses import Network, refusal
from ringback.core.outcome import Failure, Unreachable

Addresses = tuple[str, ...]
Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""Returns the addresses of a host; raises OSError or UnicodeError where there are none."""

_MAX_REMEMBERED: Final = 1024


class _Remembered(NamedTuple):
    addresses: Addresses
    until: float


async def system_resolve(host: str) -> list[str]:
    """Return the addresses that this machine's resolver knows, in the order to try them.

    Raises OSError where it knows none, and UnicodeError for what can't be a name.
    """
    found = Future[list[str]]()
    # Not the loop's own threads: those are waited for at the end, and a name server that hangs
    # would keep the whole process from stopping.
    Thread(target=_ask_system, args=(host, found), name=f"look-up {host}", daemon=True).start()
    return await asyncio.wrap_future(found)


def _ask_system(host: str, found: Future[list[str]]) -> None:
    if not found.set_running_or_notify_cancel():
        return
    try:
        answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        found.set_exception(error)
    else:
        found.set_result([str(sockaddr[0]) for *_, sockaddr in answers])


class Resolver:
    """Looks names up, each at most once at a time, and remembers the answers for a short while.

    What failed or was refused is not remembered: the next attempt looks again.
    """

    def __init__(
        self,
        *,
        allowed: Sequence[Network] = (),
        resolve: Resolve = system_resolve,
        remember: float = 5.0,
    ) -> None:
        self._allowed = tuple(allowed)
        self._resolve = resolve
        self._remember = remember
        self._remembered: dict[str, _Remembered] = {}
        self._under_way: dict[str, asyncio.Task[Addresses | Unreachable]] = {}

    def remembered(self, host: str) -> Addresses:
        """Return what a recent look-up found, or nothing."""
        known = self._remembered.get(host)
        if known is None or known.until <= asyncio.get_running_loop().time():
            return ()
        return known.addresses

    async def look_up(self, host: str) -> Addresses | Unreachable:
        """Return at least one address that the guard lets pass, or why there is none."""
        task = self._under_way.get(host)
        if task is None:
            task = asyncio.create_task(self._look_up(host))
            self._under_way[host] = task
            task.add_done_callback(lambda _: self._under_way.pop(host, None))
        # A name server that hangs costs one thread for each name, however many callbacks wait for
        # it; so the look-up outlives whoever asked first.
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Give up the look-ups under way."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_up(self, host: str) -> Addresses | Unreachable:
        try:
            candidates = await self._resolve(host)
        except OSError as error:
            return _no_such_name(host, error.strerror or str(error))
        except UnicodeError as error:
            return _no_such_name(host, str(error))
        found = self._guarded(host, tuple(dict.fromkeys(candidates)))
        if not isinstance(found, Unreachable):
            self._keep(host, found)
        return found

    def _guarded(self, host: str, candidates: Addresses) -> Addresses | Unreachable:
        if not candidates:
            return _no_such_name(host, "it has no address")
        refusals = {address: refusal(address, allowed=self._allowed) for address in candidates}
        passed = tuple(address for address, why in refusals.items() if why is None)
        if passed:
            return passed
        first = candidates[0]
        whose = "" if host == first else f"{host}: "
        return Unreachable(Failure.GUARD, f"{whose}{refusals[first]}")

    def _keep(self, host: str, addresses: Addresses) -> None:
        self._remembered.pop(host, None)
        if len(self._remembered) >= _MAX_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        until = asyncio.get_running_loop().time() + self._remember
        self._remembered[host] = _Remembered(addresses, until)


def _no_such_name(host: str, why: str) -> Unreachable:
    return Unreachable(Failure.NAME, f"the host {host} could not be looked up: {why}")
