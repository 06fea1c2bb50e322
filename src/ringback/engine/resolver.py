"""Host names -> the addresses that a callback may be sent to.

The guard looks at what the look-up yields, never at the text of the host, so that every spelling
of an address meets it. Who asks connects to one of the addresses returned and looks up nothing
again: a name that changes its mind in between gains nothing. Of several addresses those that the
guard refuses are left out; the others are what they would be without them. Whoever asked for the
callback reads why there is none, and no address of a name in it; the log has those.
"""

import asyncio
import logging
from typing import Final, NamedTuple

from ringback.core.addresses import refusal_of_name
from ringback.core.guard import Guard
from ringback.core.outcome import Failure, Unreachable
from ringback.engine.lookup import Resolve
from ringback.engine.shortage import shortage_of
from ringback.engine.words import in_words

Addresses = tuple[str, ...]

_MAX_REMEMBERED: Final = 1024
_log = logging.getLogger(__name__)


class _Remembered(NamedTuple):
    addresses: Addresses
    until: float


class _UnderWay:
    """A look-up, and how many wait for it."""

    def __init__(self) -> None:
        self.task: asyncio.Task[Addresses | Unreachable]
        self.waiting = 0
        self.has_turn = False


class Resolver:
    """Looks names up, each at most once at a time, and remembers the answers for a short while.

    What failed or was refused is not remembered: the next attempt looks again. Times are in
    seconds. `at_once` look-ups are under way at the same time; further names wait their turn, and
    one that is not answered within the `limit` makes way for them.
    """

    def __init__(
        self,
        *,
        guard: Guard,
        resolve: Resolve,
        remember: float = 5.0,
        limit: float = 5.0,
        at_once: int = 64,
    ) -> None:
        self._guard = guard
        self._resolve = resolve
        self._remember = remember
        self._limit = limit
        self._turns = asyncio.Semaphore(at_once)
        self._remembered: dict[str, _Remembered] = {}
        self._under_way: dict[str, _UnderWay] = {}

    def remembered(self, host: str, now: float) -> Addresses:
        """Return what a recent look-up found, or nothing; `now` is by the loop's clock."""
        known = self._remembered.get(host)
        return known.addresses if known is not None and known.until > now else ()

    async def look_up(self, host: str) -> Addresses | Unreachable:
        """Return at least one address that the guard lets pass, or why there is none."""
        if known := self.remembered(host, asyncio.get_running_loop().time()):
            return known
        under_way = self._under_way.get(host) or self._begin(host)
        under_way.waiting += 1
        try:
            # A name server that hangs costs one look-up for each name, however many callbacks
            # wait for it; so the look-up outlives whoever asked first.
            return await asyncio.shield(under_way.task)
        finally:
            under_way.waiting -= 1
            if not under_way.waiting and not under_way.has_turn:
                self._end(host, under_way)  # so that nobody joins what is being cancelled
                under_way.task.cancel()

    async def close(self) -> None:
        """Give up the look-ups under way."""
        tasks = [under_way.task for under_way in self._under_way.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, host: str) -> _UnderWay:
        self._under_way[host] = under_way = _UnderWay()
        under_way.task = asyncio.create_task(self._in_turn(host, under_way))
        under_way.task.add_done_callback(lambda _: self._end(host, under_way))
        return under_way

    def _end(self, host: str, under_way: _UnderWay) -> None:
        if self._under_way.get(host) is under_way:
            del self._under_way[host]

    async def _in_turn(self, host: str, under_way: _UnderWay) -> Addresses | Unreachable:
        async with self._turns:
            under_way.has_turn = True
            try:
                async with asyncio.timeout(self._limit):
                    return await self._look_up(host)
            except TimeoutError:
                return _no_such_name(host, f"no answer came within {self._limit:g} s")

    async def _look_up(self, host: str) -> Addresses | Unreachable:
        try:
            candidates = await self._resolve(host)
        except TimeoutError:
            raise
        except OSError as error:
            if shortage_of(error):
                return Unreachable(Failure.SHORTAGE, in_words(error))
            return _no_such_name(host, in_words(error))
        except UnicodeError as error:
            return _no_such_name(host, str(error))
        found = self._guarded(host, tuple(dict.fromkeys(candidates)))
        if not isinstance(found, Unreachable):
            self._keep(host, found)
        return found

    def _guarded(self, host: str, candidates: Addresses) -> Addresses | Unreachable:
        if not candidates:
            return _no_such_name(host, "it has no address")
        refusals = {address: self._guard.refusal_at(address) for address in candidates}
        passed = tuple(address for address, why in refusals.items() if why is None)
        if passed:
            return passed
        _log.info("callbacks may not go to %s, which is at %s", host, ", ".join(candidates))
        # What a name leads to is for the operator: whoever wrote the URL need not know it.
        why = refusals[host] if host in refusals else refusal_of_name(host)
        return Unreachable(Failure.GUARD, str(why))

    def _keep(self, host: str, addresses: Addresses) -> None:
        self._remembered.pop(host, None)
        if len(self._remembered) >= _MAX_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        until = asyncio.get_running_loop().time() + self._remember
        self._remembered[host] = _Remembered(addresses, until)


def _no_such_name(host: str, why: str) -> Unreachable:
    return Unreachable(Failure.NAME, f"the host {host} could not be looked up: {why}")
