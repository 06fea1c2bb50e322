"""Carries out due tasks; each ends in the transaction that changes its resource and calls back.

A task that can't be begun or ended, for whatever reason, is put off alone: no other waits for it.

Checkpoints: `carried_out`, before the transaction; `announced`, after it.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Generic, TypeVar

from ringback.core.errors import StoreUnavailable
from ringback.core.scheduled_task import BeginResult, CarrierRequest, ScheduledTask, TaskPostponed
from ringback.core.sims.scenario import CarrierResult, CarrierTimeout, TaskKind
from ringback.ports import Carrier, Clock, Store, TaskHandler, Transaction, no_checkpoint
from ringback.runtime.database_outage import outlast
from ringback.runtime.wakeup import Wakeup

PAUSE: Final = timedelta(hours=1)
"""After which a task is tried again that couldn't be begun or ended."""
_AT_ONCE: Final = 100

_log = logging.getLogger(__name__)

C = TypeVar("C")
T = TypeVar("T")
Begun = tuple[ScheduledTask, BeginResult]
Ended = tuple[ScheduledTask, CarrierResult | None]


@dataclass(eq=False, kw_only=True)
class ScheduledTaskRunner(Generic[C]):
    """The loop that has due tasks carried out, each kind by its handler."""

    store: Store
    carrier: Carrier
    handlers: Mapping[TaskKind, TaskHandler[C]]
    context: Callable[[], C]
    clock: Clock
    checkpoint: Callable[[str], None] = no_checkpoint

    def __post_init__(self) -> None:
        """Have nothing to do yet."""
        self._wakeup = Wakeup(self.clock)

    @property
    def is_still(self) -> bool:
        """Whether it waits for the next task to come due."""
        return self._wakeup.is_quiet

    async def next_due(self) -> datetime | None:
        """Return when the next task is due, or None where there is none."""
        return await self.store.transact(lambda tx: tx.tasks.next_due())

    def wake(self) -> None:
        """Let the loop see a new task."""
        self._wakeup.wake()

    async def run(self) -> None:
        """Have tasks carried out as they come due, until cancelled."""
        while True:
            await outlast(self._step_or_wait, clock=self.clock)

    async def _step_or_wait(self) -> None:
        if not await self.step():
            await self._wakeup.wait(await self.next_due())

    async def step(self) -> int:
        """Carry out the tasks that are due now; return how many there were."""
        begun = await self._begin_due(self.clock.now())
        going_on = [(task, it) for task, it in begun if not isinstance(it, TaskPostponed)]
        if going_on:
            ended = await asyncio.gather(*[self._carry_out(*one) for one in going_on])
            self.checkpoint("carried_out")
            # What the network did is not to be done again for want of a database.
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
        except Exception:  # noqa: BLE001 (it is logged for the task that it is about)
            due = await self.store.transact(lambda tx: _due(tx, now))
            return [(task, await self._alone(task, partial(self._begin, task))) for task in due]

    async def _carry_out(
        self, task: ScheduledTask, carrier_request: CarrierRequest | CarrierResult | None
    ) -> Ended:
        if not isinstance(carrier_request, CarrierRequest):
            return task, carrier_request
        try:
            return task, await self.carrier.carry_out(carrier_request)
        except Exception:  # noqa: BLE001 (a task has to end, whatever is wrong with the carrier)
            _log.exception("%s of %s failed", task.step, task.subject_sid)
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
        begun = self.handlers[task.step].begin(tx, task, self.context())
        if isinstance(begun, TaskPostponed):
            tx.tasks.put(task._replace(due=begun.until))
        return begun

    def _end(self, one: Ended, tx: Transaction) -> None:
        task, ending = one
        if tx.tasks.take(task) and ending is not None:
            self.handlers[task.step].end(tx, task, ending, self.context())

    async def _alone(self, task: ScheduledTask, work: Callable[[Transaction], T]) -> T | None:
        """Run the work on one task; where it fails, put the task off."""
        try:
            return await self.store.transact(work)
        except StoreUnavailable:
            raise
        except Exception:  # noqa: BLE001 (whatever it is, it must not stop the others)
            _log.exception(
                "%s of %s can't go on; it is tried again in an hour", task.step, task.subject_sid
            )
            until = self.clock.now() + PAUSE
            await self.store.transact(lambda tx: _put_off(tx, task, until))
            return None


def _due(tx: Transaction, now: datetime) -> list[ScheduledTask]:
    return tx.tasks.due(now, limit=_AT_ONCE)


def _put_off(tx: Transaction, task: ScheduledTask, until: datetime) -> None:
    if tx.tasks.take(task):
        tx.tasks.put(task._replace(due=until))
