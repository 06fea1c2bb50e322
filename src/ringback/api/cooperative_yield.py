"""Splits long work on many items into slices, so that other requests run in between."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_LONGEST: Final = 0.00025
"""Maximum length of a slice in seconds; short, since other requests wait for slices to end."""
_LONGEST_ELSEWHERE: Final = 0.002
"""The most seconds of a slice in a thread that count: the others may have been a wait."""

_REST: Final = 1
_REST_BESIDE_CALLBACKS: Final = 7


def rest_in_pages(*, are_callbacks_sent: bool) -> float:
    """Return how many times as long as a slice of a long page the pause after it is."""
    return _REST_BESIDE_CALLBACKS if are_callbacks_sent else _REST


def _no_rest() -> float:
    return 0


class CooperativeYield:
    """Splits long work into short slices, between which the event loop runs other work.

    Batches that share one object take turns, so other work runs between any two slices. A slice
    ends as soon as it has lasted `longest` seconds and its current item is done. It is
    followed by a pause that is `rest()` times as long. `stopwatch` returns the time in seconds.
    """

    def __init__(
        self,
        stopwatch: Callable[[], float],
        *,
        longest: float = _LONGEST,
        rest: Callable[[], float] = _no_rest,
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
                    await asyncio.sleep(self._rest() * (self._stopwatch() - began))
        return made

    async def rest_after(self, seconds: float) -> None:
        """Rest after a slice of this length in a thread; no slice runs here meanwhile.

        All who share this object rest one after the other, so that many of them work no more
        than one would.
        """
        async with self._turn:
            await asyncio.sleep(self._rest() * min(seconds, _LONGEST_ELSEWHERE))

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
