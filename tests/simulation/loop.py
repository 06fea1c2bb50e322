"""An event loop on the scheduler: asyncio's tasks, futures and timeouts, without a machine.

It has no sockets, threads, signals or executors; using one raises an error. A loop belongs to one
process and dies with it: whatever would still run on it is dropped.
"""

import asyncio
from asyncio import AbstractEventLoop, Future, Task
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final

from tests.simulation.scheduler import Entry, Gate, Scheduler

START: Final = datetime(2024, 10, 15, 23, 59, 45, tzinfo=UTC)
"""The start of virtual time, chosen so that the transition's first cut-over is in every run."""


# Hashed by numbers of their own, so that a set of tasks has the same order in every run.


class SimTask(Task[Any]):
    def __init__(self, coro: Any, *, number: int, **how: Any) -> None:
        self._number = number
        super().__init__(coro, **how)

    def __hash__(self) -> int:
        return self._number


class SimFuture(Future[Any]):
    def __init__(self, *, number: int, loop: AbstractEventLoop) -> None:
        self._number = number
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self._number


class SimLoop(AbstractEventLoop):
    """The event loop of one process."""

    def __init__(
        self, scheduler: Scheduler, *, on_failure: Callable[[dict[str, Any]], None]
    ) -> None:
        self.gate = Gate(self._enter)
        """The gate of the process: all its steps go through it."""
        self._scheduler = scheduler
        self._on_failure = on_failure
        self._numbers = count()
        self.is_dead = False
        """True once the process is dead, so that nothing runs any more."""
        self.tasks = list[SimTask]()
        """All tasks ever created, in the order of their creation."""

    def kill(self) -> None:
        """Drop all work in progress.

        Python runs the `finally` blocks of dropped coroutines: whatever they call has to know that
        the process is dead.
        """
        self.is_dead = True
        self._enter()
        for task in self.tasks:
            if not task.done():
                # asyncio has no other way to mark a loop as closed without running it.
                task._log_destroy_pending = False  # pyright: ignore[reportAttributeAccessIssue] (see above)
                coroutine = task.get_coro()
                assert isinstance(coroutine, Coroutine)
                coroutine.close()
        self.tasks.clear()

    def failed_tasks(self) -> list[tuple[SimTask, BaseException]]:
        """Return the tasks that ended with an exception that nobody retrieved."""
        ended = [task for task in self.tasks if task.done() and not task.cancelled()]
        unseen = [task for task in ended if getattr(task, "_log_traceback", False)]
        return [(task, error) for task in unseen if (error := task.exception())]

    # The interface that asyncio needs.

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self.is_dead

    def is_closed(self) -> bool:
        return self.is_dead

    def time(self) -> float:
        return self._scheduler.now

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Any:
        entry = self._entry(callback, args, context)
        self._scheduler.soon(entry)
        return entry

    call_soon_threadsafe = call_soon

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> Any:
        return self.call_at(self._scheduler.now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> Any:
        entry = self._entry(callback, args, context, at=when)
        self._scheduler.at(when, entry)
        return entry

    def create_future(self) -> Future[Any]:
        return SimFuture(number=next(self._numbers), loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, **how: Any) -> Task[Any]:
        task = SimTask(coro, number=next(self._numbers), loop=self, name=name or "task", **how)
        self.tasks.append(task)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.is_dead:
            self._on_failure(context)

    def _entry(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: Context | None,
        *,
        at: float = 0.0,
    ) -> Entry:
        if args and isinstance(args[0], Future):
            origin = args[0]
        else:
            origin = getattr(callback, "__self__", callback)
        return Entry(
            origin,
            self._run,
            (callback, *args),
            at=at,
            context=context or copy_context(),
            fail=self._failed,
            gate=self.gate,
        )

    def _enter(self) -> None:
        asyncio._set_running_loop(self)

    def _run(self, callback: Callable[..., object], *args: Any) -> None:
        if not self.is_dead:
            callback(*args)

    def _failed(self, error: BaseException) -> None:
        self.call_exception_handler(
            {"message": "a callback of the loop failed", "exception": error}
        )


class SimClock:
    """Implements `ports.Clock`: a wall clock that can be set while the loop's time goes on."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.ahead = timedelta(0)
        """How far the clock has been set forward, or back."""

    def now(self) -> datetime:
        return self.true() + self.ahead

    def true(self) -> datetime:
        """Return the true time, as everyone else's clock shows it."""
        return START + self._scheduler.elapsed

    async def sleep_until(self, instant: datetime) -> None:
        await asyncio.sleep(max(0.0, (instant - self.now()).total_seconds()))
