"""Long work on many items, a little at a time: in between, others have their turn."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_LONGEST: Final = 0.00025
"""Seconds. A request takes several turns of the loop, and may find a slice in front of each."""


class CooperativeYield:
    """Splits long work into short slices of the event loop.

    All batches that use the same object take turns: between two turns of everything else the loop
    runs one slice, however many batches there are. `stopwatch` returns seconds.
    """

    def __init__(self, stopwatch: Callable[[], float], *, longest: float = _LONGEST) -> None:
        self._stopwatch = stopwatch
        self._longest = longest
        self._turn = asyncio.Lock()

    async def map(self, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Return the results of the work on each item, or raise its first error.

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
