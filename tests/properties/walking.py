"""Common parts of the random walks through the life cycles of both products.

A walk uses the real operations and the real loop, with a store in memory and a clock that it sets.
After each step it compares the states of all resources with its model.
"""

import asyncio
import copy
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from ringback.carrier.simulated_carrier import SimulatedCarrier
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.errors import ApiError
from ringback.core.scheduled_task import BeginResult, ScheduledTask
from ringback.core.sims.scenario import SCENARIOS, CarrierResult
from ringback.engine.task_runner import ScheduledTaskRunner
from ringback.operations.context import OperationContext
from ringback.operations.task_handlers import TASK_HANDLERS
from ringback.ports import TaskHandler, Transaction
from tests.fakes import ACCOUNT_SID, TAKES, FakeClock, SeededRandomness, a_context, an_account
from tests.memory_store import MemoryStore, MemoryTransaction

T = TypeVar("T")

CHILD: Final = "AC" + "c" * 32
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)

urls = st.sampled_from(
    [None, *map(CallbackUrl.parse, ("http://a.example", "http://b.example/x?y=z#cbs=kore"))]
)
picks = st.sampled_from([0, 0, 1, 2, 3])
pauses = st.none() | st.sampled_from([TAKES, 2 * TAKES, HOUR, DAY, 3 * DAY, 40 * DAY])
"""How long a walk waits after a step, because hypothesis leaves some rules out of each walk."""
scenarios = st.none() | st.sampled_from(list(SCENARIOS.values()))


class WatchedHandlers:
    """Passes tasks on to their handlers, and observes each result within its transaction."""

    def __init__(self, observe: Callable[[Transaction, ScheduledTask], None]) -> None:
        self._observe = observe
        self.failures = list[Exception]()
        self.table = {step: self._watched(one) for step, one in TASK_HANDLERS.items()}

    def _watched(self, handler: TaskHandler[OperationContext]) -> TaskHandler[OperationContext]:
        def begin(tx: Transaction, task: ScheduledTask, context: OperationContext) -> BeginResult:
            with self._noted():
                return handler.begin(tx, task, context)

        def end(
            tx: Transaction, task: ScheduledTask, result: CarrierResult, context: OperationContext
        ) -> None:
            with self._noted():
                handler.end(tx, task, result, context)
                self._observe(tx, task)

        return TaskHandler(begin, end)

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except Exception as failure:
            self.failures.append(failure)
            raise


class Walk(RuleBasedStateMachine):
    """An account and a subaccount, and the passing of time; each product adds its resources."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = FakeClock()
        self.random_source = SeededRandomness()
        self.store = MemoryStore()
        self.handlers = WatchedHandlers(self.observe)
        self.task_runner = ScheduledTaskRunner(
            store=self.store,
            carrier=SimulatedCarrier(),
            handler_of=self.handlers.table.__getitem__,
            context=self.context,
            clock=self.clock,
        )
        self.run(self.store.transact(self.set_up))

    def set_up(self, tx: Transaction) -> None:
        """Add the records that the walk begins with."""
        tx.accounts.add(an_account(), [])
        tx.accounts.add(replace(an_account(sid=CHILD), parent_sid=ACCOUNT_SID), [])

    def observe(self, tx: Transaction, task: ScheduledTask | None = None) -> None:
        """Compare the present state with the last one; `task` is the one that has just ended."""
        raise NotImplementedError

    def all_is_done(self) -> None:
        """Check that no due work is left."""
        raise NotImplementedError

    def teardown(self) -> None:
        self.runner.close()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    def context(self) -> OperationContext:
        return a_context(now=self.clock.now(), random_source=self.random_source)

    @property
    def tables(self) -> MemoryTransaction:
        return self.store._tables

    def do(
        self,
        operation: Callable[[Transaction, OperationContext], T],
        learn: Callable[[T], None] = lambda result: None,
    ) -> ApiError | None:
        """Do an operation; if it is refused, check that it left no trace, and return the error."""

        def work(tx: Transaction) -> None:
            assert isinstance(tx, MemoryTransaction)
            before = vars(copy.deepcopy(tx))
            try:
                result = operation(tx, self.context())
            except ApiError:
                assert vars(tx) == before, "a refused operation has left a trace"
                raise
            learn(result)
            self.observe(tx)

        try:
            self.run(self.store.transact(work))
        except ApiError as refused:
            return refused
        return None

    # The passing of time.

    @rule(by=st.sampled_from([timedelta(0), TAKES, 2 * TAKES, HOUR, DAY, 3 * DAY, 40 * DAY]))
    def time_passes(self, by: timedelta) -> None:
        """Do all due work, each at its time."""
        until = self.clock.now() + by
        while (due := self.tables.tasks.next_due()) is not None and due <= until:
            self.clock.set(max(due, self.clock.now()))
            self.step()
        self.clock.set(until)
        self.all_is_done()

    def pause(self, by: timedelta | None) -> None:
        """Let time pass, or none."""
        if by is not None:
            self.time_passes(by)

    @rule(by=st.sampled_from([TAKES, HOUR, 40 * DAY, 100 * DAY]))
    def nobody_is_there(self, by: timedelta) -> None:
        """Do all work that became due at once, as after a restart."""
        self.clock.advance(by)
        while (due := self.tables.tasks.next_due()) is not None and due <= self.clock.now():
            self.step()
        self.all_is_done()

    def step(self) -> None:
        assert self.run(self.task_runner.step()), "a due task is never done"
        assert self.handlers.failures == []
