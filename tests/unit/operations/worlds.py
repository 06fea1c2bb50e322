"""The common part of both products' worlds: a store in memory, and a clock."""

from datetime import datetime, timedelta
from ipaddress import IPv4Network
from typing import Final

from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.scheduled_task import BeginResult, CarrierRequest, ScheduledTask, TaskPostponed
from ringback.core.sims.scenario import CarrierResult, TaskKind
from ringback.core.sims.simulated_network import SimulationSettings
from ringback.operations.context import OperationContext
from ringback.operations.task_handlers import TASK_HANDLERS
from ringback.ports import CallbackFilter, PageWindow
from tests.fakes import ACCOUNT_SID, NOW, TAKES, SeededRandomness, a_context, an_account
from tests.memory_store import MemoryTransaction

INSTANT: Final = timedelta(microseconds=1)
DAY: Final = timedelta(days=1)


class TimedWorld:
    """An account in memory, whose due tasks are carried out in the order of their time."""

    def __init__(self, *, data_per_day: int = 0, devices: str = "100.64.0.0/10") -> None:
        self.tx = MemoryTransaction()
        self.now = NOW
        self.results = dict[TaskKind, CarrierResult]()
        """The results of the network's steps, which override the scenario."""
        self.simulation = SimulationSettings(TAKES, IPv4Network(devices), data_per_day=data_per_day)
        self._random_source = SeededRandomness()
        self.tx.accounts.add(an_account(), [])

    def context(self) -> OperationContext:
        return a_context(
            now=self.now, random_source=self._random_source, simulation=self.simulation
        )

    def advance(self, by: timedelta) -> None:
        """Let time pass, and carry out the tasks that come due meanwhile, in order."""
        until = self.now + by
        while (due := self.tx.tasks.next_due()) is not None and due <= until:
            self.now = max(self.now, due)
            self.step()
        self.now = until

    def step(self) -> None:
        """Carry out all tasks that are due now, together, as the task runner does."""
        due = self.tx.tasks.claim(self.now, limit=100)
        for task, begun in [(task, self.begin_task(task)) for task in due]:
            if isinstance(begun, TaskPostponed):
                self.tx.tasks.put(task._replace(due=begun.until))
                continue
            result = self._carried_out(begun) if isinstance(begun, CarrierRequest) else begun
            if self.tx.tasks.take(task) and result is not None:
                self.end_task(task, result)

    def begin_task(self, task: ScheduledTask) -> BeginResult:
        return TASK_HANDLERS[task.step].begin(self.tx, task, self.context())

    def end_task(self, task: ScheduledTask, result: CarrierResult) -> None:
        TASK_HANDLERS[task.step].end(self.tx, task, result, self.context())

    def callbacks(self) -> list[CallbackRecord]:
        """Return the callbacks that were created, in order."""
        return self.tx.callbacks.page(ACCOUNT_SID, CallbackFilter(), PageWindow(999))[::-1]

    def reported(self) -> list[dict[str, str]]:
        """Return the parameters of the callbacks, in order."""
        return [dict(callback.parameters) for callback in self.callbacks()]

    def due_of(self, step: TaskKind, sid: str) -> datetime | None:
        """Return when a step of a resource is due."""
        return self.tx.tasks.due_of(sid, step)

    def _carried_out(self, request: CarrierRequest) -> CarrierResult:
        return self.results.get(request.step) or request.scenario.result_of(request.step)
