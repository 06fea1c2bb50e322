"""A semaphore that grants its turns fairly among accounts, not in the order of requests.

A turn is the right to run; a request holds its turn until it gives the turn back. Waiting accounts
get turns alternately, so that a long queue of one account does not delay the others. An account may
hold at most as many turns as are free, so that other accounts always find free ones.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

EVERYBODY: Final = ""
"""The account name for requests that belong to no account."""


@dataclass(eq=False, slots=True)
class SemaphoreWaiter:
    """A request for a turn, and the function to call when the turn is granted."""

    account: str
    granted: Callable[[], None]
    is_granted: bool = False


class FairSemaphore:
    """A semaphore for one event loop; with `shared=False`, one account may hold all its turns."""

    def __init__(self, count: int, *, shared: bool = True) -> None:
        self.taken = 0
        """The number of turns that are held."""
        self._count = count
        self._shared = shared
        self._held = dict[str, int]()
        self._waiting = dict[str, dict[SemaphoreWaiter, None]]()
        """The requests of each waiting account, in order; the next account comes first."""

    @property
    def are_waited_for(self) -> bool:
        """True if any request waits for a turn."""
        return bool(self._waiting)

    def try_take(self, account: str) -> bool:
        """Take a turn without waiting, and return True if the account may have one.

        Returns False if no turn is free for the account, or if earlier requests of the account
        wait.
        """
        if account in self._waiting or not self._may_have(account):
            return False
        self._take(account)
        return True

    async def take(self, account: str) -> None:
        """Wait until the account may have a turn, and take the turn; `give_back` returns it."""
        there = asyncio.Event()
        request = self.ask(account, there.set)
        try:
            await there.wait()
        except BaseException:
            if request.is_granted:
                self.give_back(account)
            else:
                self.withdraw(request)
            raise

    def ask(self, account: str, granted: Callable[[], None]) -> SemaphoreWaiter:
        """Request a turn; `granted` is called when the account holds it, which may be at once."""
        request = SemaphoreWaiter(account, granted)
        self._waiting.setdefault(account, {})[request] = None
        self._hand_out()
        return request

    def withdraw(self, request: SemaphoreWaiter) -> None:
        """Cancel a request for a turn; does nothing if the turn has been granted."""
        queue = self._waiting.get(request.account, {})
        queue.pop(request, None)
        if not queue:
            self._waiting.pop(request.account, None)

    def give_back(self, account: str) -> None:
        """Return a turn that the account holds, and grant it to a waiting request."""
        self.taken -= 1
        self._held[account] -= 1
        if not self._held[account]:
            del self._held[account]
        self._hand_out()

    def _may_have(self, account: str) -> bool:
        free = self._count - self.taken
        return free > (self._held.get(account, 0) if self._shared else 0)

    def _take(self, account: str) -> None:
        self.taken += 1
        self._held[account] = self._held.get(account, 0) + 1

    def _hand_out(self) -> None:
        while self.taken < self._count:
            account = next(filter(self._may_have, self._waiting), None)
            if account is None:
                return
            queue = self._waiting.pop(account)
            request = next(iter(queue))
            del queue[request]
            if queue:
                self._waiting[account] = queue
            self._take(account)
            request.is_granted = True
            request.granted()
