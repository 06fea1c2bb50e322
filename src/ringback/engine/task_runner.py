"""Carries out scheduled tasks when they come due, such as the sending of a Command.

The last transaction of each task changes the task's resource and adds a callback. A task that
fails, for whatever reason, is tried again an hour later, and no other task waits for it.

Tests can stop the loop at two checkpoints: `carried_out`, before the last transaction, and
`announced`, after it.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Generic, TypeVar

from ringback.core.errors import StoreUnavailable
from ringback.core.scheduled_task import BeginResult, CarrierRequest, ScheduledTask, TaskPostponed
from ringback.core.sims.scenario import CarrierResult, CarrierTimeout, TaskKind
from ringback.engine.store_loop import StoreLoop
from ringback.ports import Carrier, TaskHandler, Transaction
from ringback.runtime.database_outage import outlast

PAUSE: Final = timedelta(hours=1)
"""How long a task that couldn't be begun or ended waits until it is tried again."""
_AT_ONCE: Final = 100

_log = logging.getLogger(__name__)

C = TypeVar("C")
T = TypeVar("T")
Begun = tuple[ScheduledTask, BeginResult]
Ended = tuple[ScheduledTask, CarrierResult | None]


@dataclass(eq=False, kw_only=True)
class ScheduledTaskRunner(StoreLoop, Generic[C]):
    """The loop that carries out due tasks, with the handler for each kind of task."""

    carrier: Carrier
    handler_of: Callable[[TaskKind], TaskHandler[C]]
    """Returns the handler of a kind of task."""
    context: Callable[[], C]

    async def _first_due(self) -> datetime | None:
        """Return when the next task is due, or None if there is none."""
        return await self.store.transact(lambda tx: tx.tasks.next_due())

    async def step(self) -> int:
        """Carry out the tasks that are due now, and return their number."""
        begun = await self._begin_due(self.clock.now())
        going_on = [(task, it) for task, it in begun if not isinstance(it, TaskPostponed)]
        if going_on:
            ended = await asyncio.gather(*[self._carry_out(*one) for one in going_on])
            self.checkpoint("carried_out")
            # In a database outage, the network must not repeat what it did, so the result waits.
            await outlast(partial(self._end_all, ended), clock=self.clock)
            self.checkpoint("announced")
        return len(begun)

    async def _begin_due(self, now: datetime) -> list[Begun]:
        def begin_all(tx: Transaction) -> list[Begun]:
            return [(task, self._begin(task, tx)) for task in _due(tx, now)]

        try:
            return await self.store.transact(begin_all)
        except StoreUnavailable:
            raise
        except Exception:  # noqa: BLE001 (it is logged below for the task that caused it)
            due = await self.store.transact(lambda tx: _due(tx, now))
            return [(task, await self._alone(task, partial(self._begin, task))) for task in due]

    async def _carry_out(
        self, task: ScheduledTask, carrier_request: CarrierRequest | CarrierResult | None
    ) -> Ended:
        if not isinstance(carrier_request, CarrierRequest):
            return task, carrier_request
        try:
            return task, await self.carrier.carry_out(carrier_request)
        except Exception:  # noqa: BLE001 (a task must end even if the carrier fails)
            _log.exception("task %s of %s failed", task.step, task.subject_sid)
            return task, CarrierTimeout()

    async def _end_all(self, ended: Sequence[Ended]) -> None:
        def end_all(tx: Transaction) -> None:
            for one in ended:
                self._end(one, tx)

        try:
            await self.store.transact(end_all)
        except StoreUnavailable:
            raise
        except Exception:  # noqa: BLE001 (as above)
            for one in ended:
                await self._alone(one[0], partial(self._end, one))

    def _begin(self, task: ScheduledTask, tx: Transaction) -> BeginResult:
        begun = self.handler_of(task.step).begin(tx, task, self.context())
        if isinstance(begun, TaskPostponed):
            tx.tasks.put(task._replace(due=begun.until))
        return begun

    def _end(self, one: Ended, tx: Transaction) -> None:
        task, ending = one
        if tx.tasks.take(task) and ending is not None:
            self.handler_of(task.step).end(tx, task, ending, self.context())

    async def _alone(self, task: ScheduledTask, work: Callable[[Transaction], T]) -> T | None:
        """Run `work` for one task in its own transaction; if `work` fails, postpone the task."""
        try:
            return await self.store.transact(work)
        except StoreUnavailable:
            raise
        except Exception:  # noqa: BLE001 (no failure may stop the other tasks)
            _log.exception(
                "task %s of %s failed; it is tried again in an hour", task.step, task.subject_sid
            )
            until = self.clock.now() + PAUSE
            await self.store.transact(lambda tx: _put_off(tx, task, until))
            return None


def _due(tx: Transaction, now: datetime) -> list[ScheduledTask]:
    return tx.tasks.claim(now, limit=_AT_ONCE)


def _put_off(tx: Transaction, task: ScheduledTask, until: datetime) -> None:
    if tx.tasks.take(task):
        tx.tasks.put(task._replace(due=until))
