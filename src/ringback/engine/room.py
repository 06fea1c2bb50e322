"""A bound on how many connections are open at once."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from ringback.engine.fair_turns import EVERYBODY, FairTurns


class Room:
    """Counts open connections; who opens one too many waits until another is over.

    Accounts that wait take turns. What one may have open is bound by `fair_scheduler`; how many
    connections were its own says nothing, since others use those that are kept.

    `make_room` is called when somebody has to wait: it may close a connection that is not needed.
    """

    def __init__(self, most: int, *, make_room: Callable[[], None]) -> None:
        self._turns = FairTurns(most, shared=False)
        self._make_room = make_room

    @property
    def taken(self) -> int:
        """How many connections are open."""
        return self._turns.taken

    @property
    def is_waited_for(self) -> bool:
        """Whether any are to be opened as soon as there is room for them."""
        return self._turns.are_waited_for

    async def enter(
        self,
        account: str = EVERYBODY,
        *,
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Take a place for a connection of this account's.

        `waiting` is entered while there is none.
        """
        if self._turns.try_take(account):
            return
        self._make_room()
        with waiting():
            await self._turns.take(account)

    def leave(self, account: str = EVERYBODY) -> None:
        """Give a place back."""
        self._turns.give_back(account)
