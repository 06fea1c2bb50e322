"""Looks up host names, and returns only addresses that the SSRF guard allows.

The guard checks the addresses, not the text of the host. The caller connects to one of these
addresses without another look-up, so a name that changes its address in between (DNS rebinding)
can't get past the guard.

The author of the URL sees why a look-up fails, but never the addresses: otherwise they could
explore a network by its names. The addresses are only logged.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final, NamedTuple

from ringback.core.http.allowed_addresses import refusal_of_name
from ringback.core.http.outcome import AttemptFailure, NoAnswerOutcome
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.core.newest_entries import NewestEntries
from ringback.http_client.system_resolver import Resolve
from ringback.runtime.account_fair_semaphore import EVERYBODY, FairSemaphore, SemaphoreWaiter
from ringback.runtime.os_error_messages import error_text, shortage_of

Addresses = tuple[str, ...]

_MAX_REMEMBERED: Final = 1024
_log = logging.getLogger(__name__)


class _Remembered(NamedTuple):
    addresses: Addresses
    """The addresses; empty after a look-up without an answer."""
    until: float


_Begun = asyncio.Future[asyncio.Task[Addresses | NoAnswerOutcome]]


class _UnderWay:
    """A look-up that runs or waits for a free slot, and the number of callers waiting for it."""

    def __init__(self) -> None:
        self.begun: _Begun = asyncio.get_running_loop().create_future()
        """The task of the look-up, set when the look-up gets a slot."""
        self.waiting = 0
        """Number of callers waiting for the look-up."""
        self.requests = dict[str, SemaphoreWaiter]()
        """The waiting accounts' requests for a slot; the look-up uses the first slot granted."""


@dataclass(eq=False, kw_only=True)
class CachingResolver:
    """Looks up names, one look-up per name at a time, and caches the addresses for a short time.

    All times are in seconds. Addresses are cached for `remember`; failures are not cached. At most
    `at_once` look-ups run at a time. Accounts share these slots fairly.

    A look-up without an answer within `limit` has failed. But a look-up can't be stopped, so it
    keeps its slot until it ends, and new requests for the name wait for it too. If it ends without
    an answer, requests for the name fail at once for `remember_hanging`.

    `still_asking` returns the look-up that is still running for a name, or None.
    """

    guard: SsrfGuard
    resolve: Resolve
    still_asking: Callable[[str], Future[list[str]] | None] | None = None
    remember: float = 5.0
    remember_hanging: float = 10.0
    limit: float = 5.0
    at_once: int = 128

    def __post_init__(self) -> None:
        """Start with an empty cache."""
        self._turns = FairSemaphore(self.at_once)
        self._remembered = NewestEntries[str, _Remembered](_MAX_REMEMBERED)
        self._under_way: dict[str, _UnderWay] = {}
        self._going_on = set[str]()
        """Names whose look-up has timed out, but still runs and has a slot."""

    def remembered(self, host: str, now: float) -> Addresses:
        """Return the cached addresses of a host, or (); `now` is the event loop's time."""
        known = self._remembered.get(host)
        return known.addresses if known is not None and known.until > now else ()

    async def look_up(
        self,
        host: str,
        *,
        account: str = EVERYBODY,
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> Addresses | NoAnswerOutcome:
        """Return the allowed addresses of a host, or the outcome that says why there are none.

        The context manager `waiting` is active while the account waits for a free slot.
        """
        known, now = self._remembered.get(host), asyncio.get_running_loop().time()
        if known is not None and known.until > now:
            if known.addresses:
                return known.addresses
            if host not in self._going_on:
                return self._no_answer_for(host)
        under_way = self._under_way.get(host)
        if under_way is None:
            self._under_way[host] = under_way = _UnderWay()
        under_way.waiting += 1
        try:
            # A hanging name server must cost only one look-up per name, however many callbacks wait
            # for it; so the look-up continues even if its first caller is cancelled.
            return await asyncio.shield(await self._begun(host, under_way, account, waiting))
        finally:
            under_way.waiting -= 1
            if not under_way.waiting and not under_way.begun.done():
                self._withdraw(under_way)
                del self._under_way[host]

    async def close(self) -> None:
        """Cancel all look-ups under way."""
        tasks = [one.begun.result() for one in self._under_way.values() if one.begun.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _begun(
        self,
        host: str,
        under_way: _UnderWay,
        account: str,
        waiting: Callable[[], AbstractContextManager[None]],
    ) -> asyncio.Task[Addresses | NoAnswerOutcome]:
        """Wait until any waiting account gets a slot for the look-up, and return its task."""
        begun = under_way.begun
        if not begun.done() and host in self._going_on:
            # The old look-up still holds its slot, since `getaddrinfo` can't be cancelled: a new
            # request joins it.
            self._begin(host, under_way, None)
        elif not begun.done() and account not in under_way.requests:
            under_way.requests[account] = self._turns.ask(
                account, lambda: self._begin(host, under_way, account)
            )
        if begun.done():
            return begun.result()
        with waiting():
            return await asyncio.shield(begun)

    def _begin(self, host: str, under_way: _UnderWay, account: str | None) -> None:
        task = asyncio.create_task(self._in_turn(host, account))
        task.add_done_callback(lambda _: self._under_way.pop(host))
        self._withdraw(under_way)
        under_way.begun.set_result(task)

    def _withdraw(self, under_way: _UnderWay) -> None:
        for request in under_way.requests.values():
            self._turns.withdraw(request)

    async def _in_turn(self, host: str, account: str | None) -> Addresses | NoAnswerOutcome:
        try:
            async with asyncio.timeout(self.limit):
                return await self._look_up(host)
        except TimeoutError:
            self._keep(host, (), self.remember_hanging)
            return self._no_answer_for(host)
        finally:
            if account is not None:
                self._end_turn(host, account)

    def _end_turn(self, host: str, account: str) -> None:
        goes_on = self.still_asking and self.still_asking(host)
        if goes_on is None:
            self._turns.give_back(account)
            return
        self._going_on.add(host)
        asyncio.wrap_future(goes_on).add_done_callback(lambda end: self._ended(host, account, end))

    def _ended(self, host: str, account: str, end: asyncio.Future[list[str]]) -> None:
        """Free the slot of a look-up that has ended after its time limit."""
        self._going_on.discard(host)
        failure = None if end.cancelled() else end.exception()
        is_short = isinstance(failure, OSError) and shortage_of(failure) is not None
        if end.cancelled() or (failure is not None and not is_short):
            self._keep(host, (), self.remember_hanging)
        elif host in self._remembered and not self._remembered[host].addresses:
            del self._remembered[host]
        self._turns.give_back(account)

    def _no_answer_for(self, host: str) -> NoAnswerOutcome:
        return _no_such_name(host, f"no answer came within {self.limit:g} s")

    async def _look_up(self, host: str) -> Addresses | NoAnswerOutcome:
        try:
            candidates = await self.resolve(host)
        except TimeoutError:
            raise
        except OSError as error:
            if shortage_of(error):
                return NoAnswerOutcome(AttemptFailure.SHORTAGE, error_text(error))
            return _no_such_name(host, error_text(error))
        except UnicodeError as error:
            return _no_such_name(host, str(error))
        found = self._guarded(host, candidates)
        if not isinstance(found, NoAnswerOutcome):
            self._keep(host, found, self.remember)
        return found

    def _guarded(self, host: str, candidates: Sequence[str]) -> Addresses | NoAnswerOutcome:
        if not candidates:
            return _no_such_name(host, "it has no address")
        refusals = {address: self.guard.refusal_at(address) for address in candidates}
        passed = tuple(address for address, why in refusals.items() if why is None)
        if passed:
            return passed
        _log.info(
            "refused to send callbacks to %s: its addresses are %s", host, ", ".join(refusals)
        )
        # Only the operator may see the addresses of a name; the author of the URL may not.
        why = refusals[host] if host in refusals else refusal_of_name(host)
        return NoAnswerOutcome(AttemptFailure.GUARD, str(why))

    def _keep(self, host: str, addresses: Addresses, seconds: float) -> None:
        until = asyncio.get_running_loop().time() + seconds
        self._remembered[host] = _Remembered(addresses, until)


def _no_such_name(host: str, why: str) -> NoAnswerOutcome:
    return NoAnswerOutcome(AttemptFailure.NAME, f"the host {host} could not be looked up: {why}")
