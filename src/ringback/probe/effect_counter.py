"""Counts the effects of what is sent, by the receiver's own counter if that can be trusted."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

from ringback.core.errors import ConfigurationError
from ringback.probe.counter_watch import CounterWatch
from ringback.probe.probe_report import Effect

T = TypeVar("T")

_NO_COUNTER: Final = "its effects were not counted (--observe)"
_NOTHING_COUNTS: Final = "no genuine callback was accepted, so nobody knows what the counter counts"


class EffectCounter:
    """Counts the effects of what is sent; without a counter to watch, says that nobody did."""

    def __init__(self, watch: CounterWatch | None) -> None:
        self._watch = watch
        """None where nothing is counted, or nothing more."""
        self._why_uncounted = _NO_COUNTER

    async def try_out(self, callbacks: Iterable[T], accept: Callable[[T], Awaitable[bool]]) -> None:
        """Check that one genuine callback makes the counter go up by one.

        The first one that is accepted decides. Raises ConfigurationError where the counter can't be
        read.
        """
        if (watch := self._watch) is None:
            return
        self._give_up(_NOTHING_COUNTS)
        for callback in callbacks:
            before = await watch.read()
            if await accept(callback):
                count = await watch.rise(since=before, expected=1)
                if count == 1:
                    self._watch = watch
                else:
                    self._give_up(_miscounted(count))
                return

    async def during(self, expected: int, send: Callable[[], Awaitable[T]]) -> tuple[Effect, T]:
        """Send, and return what effect that had, and what came."""
        if self._watch is None:
            return self._why_uncounted, await send()
        try:
            before = await self._watch.at_rest()
        except ConfigurationError as failed:
            return self._give_up(str(failed)), await send()
        came = await send()
        try:
            return await self._watch.rise(since=before, expected=expected), came
        except ConfigurationError as failed:
            return self._give_up(str(failed)), came

    def _give_up(self, why: str) -> str:
        """Count nothing more: what has failed once costs time, and is not to be trusted."""
        self._watch, self._why_uncounted = None, why
        return why

    def disturb(self) -> None:
        """Note that effects which nobody counts may still come."""
        if self._watch is not None:
            self._watch.disturb()


def _miscounted(count: int) -> str:
    return (
        "the counter is of no use: one genuine callback made it go up by"
        f" {count}, and it must be by 1"
    )
