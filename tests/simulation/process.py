"""One life of the engine: from its start to its stop, or to its death at any step."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from datetime import timedelta
from random import Random
from typing import Any, Protocol

from ringback.carrier.simulated_carrier import SimulatedCarrier
from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.errors import StoreUnavailable
from ringback.core.http.http_exchange import AttemptResult, OutgoingRequest
from ringback.core.policy.source_policy import NOTICE
from ringback.core.sims.simulated_network import SimulationSettings
from ringback.core.sources.source_definition import BUILT_IN
from ringback.delivery.backlog import BacklogLimits
from ringback.delivery.batch_ingestion import BatchIngestionQueue
from ringback.delivery.counters import DeliveryCounters
from ringback.delivery.delivery_service import DeliveryLimits, DeliveryService
from ringback.delivery.destination_book import DestinationBook
from ringback.delivery.destination_control import DestinationControl
from ringback.engine.supervisor import Supervisor
from ringback.engine.task_runner import ScheduledTaskRunner
from ringback.http_client.connection_pool import KeepAliveLimits
from ringback.http_client.http_sender import HttpTransport
from ringback.operations.context import OperationContext
from ringback.operations.create_callbacks import send_callbacks
from ringback.operations.task_handlers import TASK_HANDLERS
from ringback.ports import Cluster, NewCallbackQueue, RandomSource, Store, Transport
from tests.simulation.loop import SimClock, SimLoop
from tests.simulation.names import Names, SimLookUps
from tests.simulation.network import Observer, SimNetwork
from tests.simulation.plan import Plan, Stop, stopped_at_most_in
from tests.simulation.receivers import Receiver
from tests.simulation.scheduler import Gate, Scheduler
from tests.simulation.shortage import Machine
from tests.simulation.trace import Trace


class ProcessStore(Store, Protocol):
    """The store as a process uses it."""

    def close(self) -> None: ...


class ProcessWatch(Observer, Protocol):
    """Watches one process."""

    trace: Trace

    def violated(self, name: str, what: str) -> None: ...

    def sending(
        self, request: OutgoingRequest, total: float, turn: int
    ) -> AbstractContextManager[None]: ...

    def began(self, life: int) -> None: ...

    def stopped(self) -> None: ...


class WatchedTransport:
    """Implements `ports.Transport` by passing each call on, while the watch observes it."""

    def __init__(self, transport: Transport, watch: ProcessWatch) -> None:
        self.is_closed = False
        """True once the engine was asked to begin nothing new."""
        self._transport = transport
        self._watch = watch

    def try_send(
        self,
        request: OutgoingRequest,
        *,
        limits: Timeouts,
        turn: int = 0,
        ended: Callable[[AttemptResult], None],
    ) -> bool:
        under_way = ExitStack()

        def watched(result: AttemptResult) -> None:
            under_way.close()
            ended(result)

        begun = self._transport.try_send(request, limits=limits, turn=turn, ended=watched)
        if begun:
            self._check(request)
            under_way.enter_context(self._watch.sending(request, limits.total, turn))
        return begun

    def break_off(self) -> None:
        self._transport.break_off()

    async def send(
        self,
        request: OutgoingRequest,
        *,
        limits: Timeouts,
        turn: int = 0,
        fresh: bool = False,
        anew: Callable[[], OutgoingRequest] | None = None,
        leaving: Callable[[], None] | None = None,
    ) -> AttemptResult:
        self._check(request)
        with self._watch.sending(request, limits.total, turn):
            return await self._transport.send(
                request, limits=limits, turn=turn, fresh=fresh, anew=anew, leaving=leaving
            )

    def _check(self, request: OutgoingRequest) -> None:
        if self.is_closed:
            self._watch.violated("stopped", f"a request to {request.url.wire} is begun")


class Process:
    """The engine, and everything that lives and dies with it."""

    def __init__(
        self,
        *,
        number: int,
        plan: Plan,
        scheduler: Scheduler,
        random: Random,
        connect: Callable[["Process"], tuple[ProcessStore, Cluster]],
        was_away: Callable[[], float],
        receivers: dict[tuple[str, int], Receiver],
        names: Names,
        machine: Machine,
        clock: SimClock,
        random_source: RandomSource,
        watch: ProcessWatch,
        died: Callable[[], None],
        counters: DeliveryCounters | None = None,
    ) -> None:
        """Create a process that is not started yet.

        `connect` returns its store, and the other processes that use the same. `was_away` returns
        when the store was last unavailable. `died` is called if it dies at a checkpoint.
        """
        self.number = number
        self.is_ready = False
        """True while its API is available."""
        self.ready_since = 0.0
        self.is_to_die_at: tuple[str, int] | None = None
        """The checkpoint at which the process dies, and how many passes are left until then."""
        self._watch = watch
        self._scheduler = scheduler
        self.clock = clock
        self._was_away = was_away
        self._died = died
        self.loop = SimLoop(scheduler, on_failure=self._failed)
        asyncio._set_running_loop(self.loop)
        self.store, self.cluster = connect(self)
        bounds = plan.bounds
        self._sender = HttpTransport(
            stopwatch=self.loop.time,
            network=SimNetwork(
                scheduler=scheduler,
                random=random,
                loop=self.loop,
                receivers=receivers,
                observer=watch,
                is_dead=lambda: self.is_dead,
                machine=machine,
                writing=lambda: self._pass("writing"),
                written=lambda: self._pass("written"),
            ),
            resolve=SimLookUps(names, self.loop),
            names_at_once=bounds.names_at_once,
            keep_alive=KeepAliveLimits(per_peer=bounds.kept_per_peer, in_all=bounds.kept_in_all),
            most_open=bounds.most_open,
        )
        self._transport = WatchedTransport(self._sender, watch)
        self.delivery = DeliveryService(
            store=self.store,
            transport=self._transport,
            clock=clock,
            random_source=random_source,
            schedule=plan.schedule,
            limits=DeliveryLimits(
                at_once=bounds.at_once,
                per_destination=bounds.per_destination,
                backlog=BacklogLimits(bounds.backlog, bounds.backlog),
            ),
            counters=counters,
            cluster=self.cluster,
            destinations=DestinationControl(
                DestinationBook(plan.rules, plan.schedule, stopped_at_most_in(plan)),
                clock=clock,
                random_source=random_source,
            ),
            checkpoint=self._pass,
        )

        self.batch_queue = BatchIngestionQueue(
            store=self.store,
            clock=clock,
            stopwatch=self.loop.time,
            queue=self.delivery.queue,
            add=send_callbacks,
            are_others_there=lambda: self.delivery.is_shared,
        )

        def context() -> OperationContext:
            simulation = SimulationSettings(timedelta(seconds=1))
            return OperationContext(
                clock.now(),
                random_source,
                self.delivery.signing_keys,
                NOTICE,
                self.delivery.queue,
                simulation,
                BUILT_IN,
            )

        self._supervisor = Supervisor(
            ScheduledTaskRunner(
                store=self.store,
                carrier=SimulatedCarrier(),
                handler_of=TASK_HANDLERS.__getitem__,
                context=context,
                clock=clock,
            ),
            self.delivery,
            clock=clock,
            beside=[self.batch_queue.run, self._follow],
        )

    @property
    def is_idle(self) -> bool:
        """Return True if it counts nothing as unfinished or in progress."""
        return not self.delivery.under_way and not self.delivery.unfinished

    @property
    def queue(self) -> NewCallbackQueue:
        return self.delivery.queue

    @property
    def gate(self) -> Gate:
        """The gate of the process: all its steps go through it."""
        return self.loop.gate

    @property
    def open_connections(self) -> int:
        return self._sender.open_connections

    def start(self, ended: Callable[[], None]) -> None:
        """Start; `ended` is called if the start fails because the database is unavailable."""
        self._watch.began(self.number)
        self.loop.create_task(self._live(ended))

    def stop(self, stop: Stop, stopped: Callable[[], None]) -> None:
        """Stop in order; `stopped` is called at the end."""
        self.is_ready = False
        self.loop.create_task(self._stop(stop, stopped))

    @property
    def is_dead(self) -> bool:
        """Return True if nothing that it does has any effect any more."""
        return self.loop.is_dead

    def die(self) -> None:
        """Stop having any effect."""
        self.loop.is_dead = True

    def bury(self) -> None:
        """Drop the steps that it would still run."""
        for task, error in self.loop.failed_tasks():
            what = getattr(task.get_coro(), "__qualname__", "a task")
            self._watch.violated("sound", f"{what} failed unseen: {error!r}")
        self.loop.kill()

    async def _live(self, ended: Callable[[], None]) -> None:
        try:
            await self._supervisor.start()
        except StoreUnavailable:
            ended()
            return
        self.is_ready = True
        self.ready_since = self._scheduler.now
        await self._supervisor.watch()
        if self.is_ready:
            self._watch.violated("sound", "a loop of the engine has ended")

    async def _stop(self, stop: Stop, stopped: Callable[[], None]) -> None:
        began = self._scheduler.now
        self._watch.trace.note(began, "stop", f"within {stop.within}")
        with suppress(StoreUnavailable):
            # This takes effect at once, because nothing is awaited before it.
            self._transport.is_closed = True
            await self._supervisor.stop(within=timedelta(seconds=stop.within))
        took = self._scheduler.now - began
        await self._sender.close()
        self.store.close()
        if took < stop.within and self._was_away() < began:
            self._watch.stopped()
        self._watch.trace.note(self._scheduler.now, "stopped")
        stopped()

    async def _follow(self) -> None:
        """Learn what other processes set for destinations, each second."""
        if not self.cluster.is_shared:
            await asyncio.Event().wait()
        while True:
            await asyncio.sleep(1.0)
            with suppress(StoreUnavailable):
                await self.delivery.destinations.book.refresh(self.store)

    def _pass(self, name: str) -> None:
        fatal = self.is_to_die_at
        if fatal is not None and fatal[0] == name and not self.is_dead:
            self.is_to_die_at = (name, fatal[1] - 1) if fatal[1] > 1 else None
            if self.is_to_die_at is None:
                # The rest of this step has no effect any more.
                self._watch.trace.note(self._scheduler.now, "dies", name)
                self._died()

    def _failed(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self._watch.violated("sound", f"{context['message']}: {error!r}")
