"""Splits long work on many items into slices, so that other requests run in between."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_LONGEST: Final = 0.00025
"""Maximum length of a slice in seconds; short, since other requests wait for slices to end."""

REST_IN_PAGES: Final = 3
"""How many times as long as a slice of a long page the pause after it is."""


class CooperativeYield:
    """Splits long work into short slices, between which the event loop runs other work.

    Batches that share one object take turns, so other work runs between any two slices. A slice
    ends as soon as it has lasted `longest` seconds and its current item is done. It is
    followed by a pause that is `rest` times as long. `stopwatch` returns the time in seconds.
    """

    def __init__(
        self, stopwatch: Callable[[], float], *, longest: float = _LONGEST, rest: float = 0
    ) -> None:
        self._stopwatch = stopwatch
        self._longest = longest
        self._rest = rest
        self._turn = asyncio.Lock()

    async def map(self, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Call `work` for each item, letting other tasks run in between; return the results.

        The results are in the order of the items. Stops at the first error, and raises it.
        """
        made, left = list[R](), iter(items)
        is_over = False
        while not is_over:
            async with self._turn:
                began = self._stopwatch()
                is_over = self._work(work, left, made)
                if not is_over:
                    await asyncio.sleep(self._rest * (self._stopwatch() - began))
        return made

    def _work(self, work: Callable[[T], R], left: Iterable[T], made: list[R]) -> bool:
        """Process items for one slice of time; return True if no items are left.

        The results are appended to `made`.
        """
        ends = self._stopwatch() + self._longest
        for item in left:
            made.append(work(item))
            if self._stopwatch() >= ends:
                return False
        return True
