"""Count how often the receiver does a callback's work, by the receiver's own counter.

The counter is tried out first: it is used only if it goes up by one for a genuine callback. The
work that the receiver does because of a callback is called its effect.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

from ringback.core.errors import ConfigurationError
from ringback.probe.counter_watch import CounterWatch
from ringback.probe.probe_report import Effect

T = TypeVar("T")

_NO_COUNTER: Final = "effects were not counted, because --observe was not given"
_NOTHING_COUNTS: Final = "no genuine callback was accepted, so the counter couldn't be tested"


class EffectCounter:
    """Counts how often the receiver did its work for a request, or says why that is unknown."""

    def __init__(self, watch: CounterWatch | None) -> None:
        self._watch = watch
        """Watches the counter; None if there is no counter, or it has failed."""
        self._why_uncounted = _NO_COUNTER

    async def try_out(self, callbacks: Iterable[T], accept: Callable[[T], Awaitable[bool]]) -> None:
        """Check that a genuine callback makes the counter go up by one.

        Sends callbacks until the receiver accepts one of them. If the counter doesn't go up by
        exactly one then, it isn't used. Raises ConfigurationError if the counter can't be read.
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
        """Call `send`, and return how much the counter went up, and the result of `send`.

        `expected` is the right number of effects: the counter is watched until it has gone up by
        this number.
        """
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
        """Stop counting for the reason `why`, and return `why`."""
        self._watch, self._why_uncounted = None, why
        return why

    def disturb(self) -> None:
        """Note that earlier requests may still have effects, for which the next count must wait."""
        if self._watch is not None:
            self._watch.disturb()


def _miscounted(count: int) -> str:
    return (
        "the counter can't be used: one genuine callback must raise it by"
        f" 1, but raised it by {count}"
    )
