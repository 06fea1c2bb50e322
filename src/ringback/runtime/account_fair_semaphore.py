"""A semaphore whose turns are handed out among accounts, whoever came first.

Accounts that wait get the next turn one after the other, so a long queue of one is no other's. What
an account may hold is bounded besides: as many turns as it leaves free. So one that holds on to
its turns has half of them, the next one a third, and something is left for everybody.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

EVERYBODY: Final = ""
"""The account of those who ask for themselves."""


@dataclass(eq=False, slots=True)
class SemaphoreWaiter:
    """Someone who waits for a turn, and what to call when it is there."""

    account: str
    granted: Callable[[], None]
    is_granted: bool = False


class FairSemaphore:
    """Turns for one event loop; where they are not `shared`, one account may hold all of them."""

    def __init__(self, count: int, *, shared: bool = True) -> None:
        self.taken = 0
        """How many turns are held."""
        self._count = count
        self._shared = shared
        self._held = dict[str, int]()
        self._waiting = dict[str, dict[SemaphoreWaiter, None]]()
        """What each account waits for, in its order; the account whose turn is next comes first."""

    @property
    def are_waited_for(self) -> bool:
        """Whether anybody waits."""
        return bool(self._waiting)

    def try_take(self, account: str) -> bool:
        """Take a turn that is free for this account now, and for which nobody of it waits."""
        if account in self._waiting or not self._may_have(account):
            return False
        self._take(account)
        return True

    async def take(self, account: str) -> None:
        """Wait for a turn, and take it."""
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
        """Have this called once there is a turn, which is held from then on; at once, maybe."""
        request = SemaphoreWaiter(account, granted)
        self._waiting.setdefault(account, {})[request] = None
        self._hand_out()
        return request

    def withdraw(self, request: SemaphoreWaiter) -> None:
        """Wait no longer; does nothing where the turn is there already."""
        queue = self._waiting.get(request.account, {})
        queue.pop(request, None)
        if not queue:
            self._waiting.pop(request.account, None)

    def give_back(self, account: str) -> None:
        """Return a turn of this account's."""
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
