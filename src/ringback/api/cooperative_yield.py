"""Long work on many items, a little at a time: in between, others have their turn."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_LONGEST: Final = 0.00025
"""Seconds. A request takes several turns of the loop, and may find a slice in front of each."""


class CooperativeYield:
    """Shares the event loop out to those who have much to do.

    Whoever uses the same object takes turns: the loop is held by one slice between two turns of all
    others, however many batches come at once. `stopwatch` tells seconds from some instant on.
    """

    def __init__(self, stopwatch: Callable[[], float], *, longest: float = _LONGEST) -> None:
        self._stopwatch = stopwatch
        self._longest = longest
        self._turn = asyncio.Lock()

    async def map(self, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Return what the work makes of each item; what it raises ends it.

        A slice ends with the item at which its time is used up.
        """
        made, left = list[R](), iter(items)
        is_over = False
        while not is_over:
            async with self._turn:
                is_over = self._work(work, left, made)
                if not is_over:
                    await asyncio.sleep(0)
        return made

    def _work(self, work: Callable[[T], R], left: Iterable[T], made: list[R]) -> bool:
        """Work for as long as a slice is, and return whether nothing is left."""
        ends = self._stopwatch() + self._longest
        for item in left:
            made.append(work(item))
            if self._stopwatch() >= ends:
                return False
        return True
