"""What people began on the page of `ringback dev`, and what came of it.

Some of it takes long: a trigger waits for the simulated network, and an advance of the clock for
receivers. So it goes on while the page is shown.
"""

import asyncio
import threading
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

from ringback.console.api_caller import JsonObject
from ringback.core.errors import RingbackError
from ringback.triggers import TriggerDefinition
from ringback.triggers.outcome import why_not_as_promised, why_not_delivered
from ringback.triggers.trigger import TriggerRun

T = TypeVar("T")

_REMEMBERED: Final = 5
"""How many events of an account are shown."""
_MOST_AT_ONCE: Final = 8
_INSTEAD: Final = "type the URL of another receiver"
_HINT: Final = "the scenario of the SIM, or of the account, says how the network behaves"


class TooManyEvents(RingbackError):
    """Too many triggered events go on; the message says what to do."""


@dataclass(slots=True, eq=False)
class TriggeredEvent:
    """An event that somebody triggered on the page: how far it is, and what came of it."""

    name: str
    date: datetime
    did: list[str] = field(default_factory=list[str])
    """What was done so far, in sentences."""
    callbacks: Sequence[JsonObject] = ()
    """The callbacks that it caused."""
    problem: str | None = None
    """What went wrong; None if nothing did."""
    has_ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def goes_on(self) -> bool:
        """True if the callbacks, or the answers to them, are still awaited."""
        return not self.has_ended.is_set()


class DevActions:
    """What was begun on the page, of all accounts."""

    def __init__(self) -> None:
        self._events = defaultdict[str, deque[TriggeredEvent]](
            lambda: deque[TriggeredEvent](maxlen=_REMEMBERED)
        )
        self._running = 0
        self._tasks = set[asyncio.Future[Any]]()

    def triggered(self, account_sid: str | None) -> Sequence[TriggeredEvent]:
        """Return the newest events that were triggered for an account, the newest first."""
        return list(reversed(self._events[account_sid])) if account_sid in self._events else []

    def trigger(
        self,
        trigger: TriggerDefinition,
        run: Callable[[Callable[[str], None]], TriggerRun],
        *,
        account_sid: str,
        now: datetime,
    ) -> TriggeredEvent:
        """Begin to trigger an event, in a thread.

        `run` is called there with the function that reports what is done. Raises TooManyEvents if
        too many go on.
        """
        if self._running >= _MOST_AT_ONCE:
            raise TooManyEvents(
                f"{self._running} triggered events go on; wait until one of them has ended"
            )
        event = TriggeredEvent(trigger.name, now)
        self._events[account_sid].append(event)
        self._running += 1
        loop = asyncio.get_running_loop()

        def work() -> None:
            problem: str | None = "there was an error in Ringback; its log has the reason"
            try:
                problem = _carry_out(trigger, run, event)
            except RingbackError as failure:
                problem = str(failure)
            finally:
                event.problem = problem
                # If the server has stopped meanwhile, nobody waits for the end.
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(self._end, event)

        # Not of the loop's own threads, for which a server that stops would wait.
        threading.Thread(target=work, name=f"trigger {trigger.name}", daemon=True).start()
        return event

    def _end(self, event: TriggeredEvent) -> None:
        self._running -= 1
        event.has_ended.set()

    async def wait_for(self, work: Awaitable[T], *, seconds: float) -> T | None:
        """Return the result of `work`, or None if it takes longer; it then goes on."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        done, _ = await asyncio.wait({task}, timeout=seconds)
        return task.result() if done else None

    def _forget(self, task: asyncio.Future[Any]) -> None:
        self._tasks.discard(task)
        # So that a failure that nobody waits for any more is not reported as forgotten.
        if not task.cancelled():
            task.exception()


def _carry_out(
    trigger: TriggerDefinition,
    run_with: Callable[[Callable[[str], None]], TriggerRun],
    event: TriggeredEvent,
) -> str | None:
    """Trigger the event, wait for the answers to its callbacks, and return what went wrong."""
    run = run_with(event.did.append)
    event.callbacks = trigger.pull(run)
    event.callbacks = [run.settled(callback) for callback in event.callbacks]
    problems = [why_not_as_promised(trigger, event.callbacks, hint=_HINT)]
    problems += [why_not_delivered(run, one, instead=_INSTEAD) for one in event.callbacks]
    return next((problem for problem in problems if problem is not None), None)
