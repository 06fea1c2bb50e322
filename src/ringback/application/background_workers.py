"""Builds the workers of a server, which send callbacks and simulate the mobile network."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

from ringback.application.gateway_duty import GatewayDuty
from ringback.application.plan_worker import PlanWorker
from ringback.application.process_dependencies import ProcessDependencies
from ringback.application.receiver_checker import ReceiverChecker
from ringback.application.storage import OpenStorage
from ringback.carrier.simulated_carrier import SimulatedCarrier
from ringback.core.callbacks.shards import Role
from ringback.core.destinations.destination_events import DestinationEvent
from ringback.core.destinations.effective_settings import Notified
from ringback.core.errors import ConfigurationError, StoreUnavailable
from ringback.core.job import JobKind
from ringback.core.sims.scenario import TaskKind
from ringback.delivery.backlog import BacklogLimits
from ringback.delivery.batch_ingestion import BatchIngestionQueue
from ringback.delivery.current_signing_keys import CurrentSigningKeys
from ringback.delivery.delivery_service import DeliveryLimits, DeliveryService
from ringback.delivery.destination_book import DestinationBook
from ringback.delivery.destination_control import DestinationControl
from ringback.delivery.enqueue import DirectBatchQueue
from ringback.delivery.minute_counters import CounterWriter
from ringback.delivery.shadow_sender import ShadowSender
from ringback.delivery.transport_by_scheme import TransportByScheme
from ringback.engine.clock_advancer import ClockAdvancer, ClockDrivenLoop
from ringback.engine.job_runner import JobRunner
from ringback.engine.long_job_runner import LongJobRunner
from ringback.engine.pause_control import PauseControl
from ringback.engine.retention_worker import RetentionWorker
from ringback.engine.supervisor import Supervisor
from ringback.engine.task_runner import ScheduledTaskRunner
from ringback.http_client.http_sender import HttpTransport
from ringback.http_client.sockets_and_tls import SystemNetwork
from ringback.http_client.tls import ClientTls
from ringback.operations.context import OperationContext
from ringback.operations.create_callbacks import send_callbacks
from ringback.operations.destination_events import tell_of_event
from ringback.operations.jobs import do_piece
from ringback.policy.policy_reloader import PolicyReloader
from ringback.policy.stored_policy import StoredPolicy
from ringback.ports import (
    BulkCallbackQueue,
    Clock,
    Cluster,
    LoopWaker,
    News,
    Store,
    TaskHandler,
    Transaction,
)
from ringback.runtime.database_outage import outlast
from ringback.runtime.system_clock import SystemClock, stopwatch
from ringback.runtime.virtual_clock import VirtualClock
from ringback.settings.parsers import UdpGatewayAddress
from ringback.settings.settings import Settings
from ringback.settings.settings_reloader import SettingsReloader

if TYPE_CHECKING:
    from ringback.carrier.udp_gateway import Received, UdpGateway
    from ringback.kinesis_client.kinesis_transport import KinesisTransport

_LOOK_FOR_WORK: Final = timedelta(seconds=1)
"""How often to look for jobs of other processes, and tasks whose announcement got lost."""

_LOOK_AT_CHANGES: Final = 1.0
"""Seconds between two looks at what others change, in case an announcement got lost."""

# The code of the two SIM products is imported when it is needed: a server that sends callbacks only
# starts in less time without it.


@dataclass(frozen=True, slots=True)
class OpenTransports:
    """The open HTTP client and UDP gateway, through which workers reach receivers and devices."""

    sender: HttpTransport
    gateway: "UdpGateway | None"
    """The UDP gateway to the devices, or None if there is none."""

    @classmethod
    def open(cls, process: ProcessDependencies) -> Self:
        """Read the certificates for the HTTP client, and bind the UDP gateway to its address.

        Raises ConfigurationError if a certificate or the address can't be used.
        """
        settings = process.settings
        tls = ClientTls(
            ca_files=() if settings.extra_ca_file is None else (settings.extra_ca_file,),
            client_certificate=settings.client_cert_file,
            client_key=settings.client_key_file,
        )
        sender = HttpTransport(
            stopwatch=stopwatch,
            guard=settings.guard,
            egresses=settings.egresses,
            network=SystemNetwork(tls),
            most_open=process.shares.outgoing,
        )
        # With a database, the process that has the lease on the gateway opens it.
        gateway = None if settings.database is not None else _gateway_of(settings)
        return cls(sender, gateway)

    def close_gateway(self) -> None:
        """Close the socket of the UDP gateway, if there is one."""
        if self.gateway is not None:
            self.gateway.close()


class BackgroundWorkers:
    """Builds, starts and stops all workers of a server.

    If `origin` is given, the workers also reload the policy when the settings file changes.
    """

    def __init__(
        self,
        process: ProcessDependencies,
        storage: OpenStorage,
        network: OpenTransports,
        *,
        origin: SettingsReloader | None = None,
    ) -> None:
        store, clock, cluster = storage.store, process.clock, storage.cluster
        role = process.settings.role
        self.network = network
        self.shadow_sender = _shadow_sender_of(process, store, network.sender)

        def tell(tx: Transaction, event: DestinationEvent, notified: Notified) -> None:
            tell_of_event(tx, event, notified, process.context(self.delivery.queue))

        destinations = DestinationControl(
            process.book, clock=clock, random_source=process.random_source, tell=tell
        )
        self._transport = TransportByScheme(
            network.sender, partial(_kinesis_transport_of, process, store)
        )
        self.delivery = _delivery_of(
            process, storage, self._transport, self.shadow_sender, destinations
        )
        self.batch_queue: BulkCallbackQueue
        if cluster.is_shared:
            self.batch_queue = DirectBatchQueue(
                store=store, queue=self.delivery.queue, add=send_callbacks
            )
        else:
            self.batch_queue = _batch_queue_of(process, store, self.delivery)
        context = partial(process.context, self.delivery.queue)
        self._gateway_at = process.settings.gateway if cluster.is_shared else None
        self._gateway_duty = None
        if self._gateway_at is not None and role is not Role.API:
            self._gateway_duty = GatewayDuty(
                cluster=cluster,
                open_gateway=partial(_open_gateway, self._gateway_at),
                drain=process.settings.drain,
            )
        look_every = _LOOK_FOR_WORK if cluster.is_shared else None
        self.task_runner = ScheduledTaskRunner(
            store=store,
            carrier=self._gateway_duty or network.gateway or SimulatedCarrier(),
            handler_of=_handler_of,
            context=context,
            clock=clock,
            look_every=look_every,
            gate=process.gate,
            checkpoint=process.checkpoint,
        )
        self.job_runner = JobRunner(
            store=store,
            do_piece=do_piece,
            context=context,
            clock=clock,
            look_every=look_every,
            most_per_second=process.settings.rate_limit,
            are_others_there=lambda: self.delivery.is_shared,
            gate=process.gate,
            checkpoint=process.checkpoint,
        )
        """Works on jobs, but not in the role API: another process then finds them."""
        self.receiver_checker = ReceiverChecker(process, network.sender)
        """Checks receivers, for plans and for requests."""
        self.plan_runner = LongJobRunner(
            kinds=(JobKind.MIGRATION,),
            work=PlanWorker(process, store, self.receiver_checker, context).carry_out,
            store=store,
            clock=clock,
            # A command can create such a job in the data of this server.
            look_every=_LOOK_FOR_WORK,
            is_shared=cluster.is_shared,
            gate=process.gate,
            checkpoint=process.checkpoint,
        )
        self._receive = _receiver(store, clock, self.task_runner, context)
        self.notifier: LoopWaker = self.task_runner
        """Wakes a loop that carries out scheduled tasks, in this process or another."""
        if role is Role.API:
            self.notifier = TaskAnnouncer(cluster)
        else:
            cluster.listen(lambda news: self.task_runner.wake() if news.has_tasks else None)
        self.counter_writer = CounterWriter(
            process.counters.by_minute, store=store, clock=clock, cluster=cluster
        )
        self.policy_monitor = process.policy_monitor(store)
        self.stored_policy = process.stored_policy(store)
        self.pause_control = PauseControl(store, process.gate, clock=clock)
        self.policy_reloader = _policy_reloader_of(origin, process, self.stored_policy)
        """Reloads the policy when the settings file changes; None if there is no settings file."""
        jobs = self.job_runner, self.plan_runner
        loops = (self.task_runner, *jobs, self.delivery, self.shadow_sender)
        self.clock_advancer = _clock_advancer_of(clock, loops, destinations)
        """Advances the clock; None if the clock is the machine's."""
        self.retention = RetentionWorker(
            store,
            cluster=cluster,
            clock=clock,
            stopwatch=stopwatch,
            in_settings=process.settings.retention,
            gate=process.gate,
            weeks=storage.retire_weeks,
        )
        """Deletes what has been kept for long enough."""
        self.supervisor = self._supervised(process, storage)
        self._policy_part = process.settings.policy_part
        self._starts_paused = process.settings.start_paused
        self._drain = process.settings.drain

    def _supervised(self, process: ProcessDependencies, storage: OpenStorage) -> Supervisor:
        """Return the supervisor of all loops that this process runs."""
        beside = [storage.outage.run, self.counter_writer.run, self.policy_monitor.run]
        beside.append(partial(process.signing_keys.run, storage.store))
        if isinstance(self.batch_queue, BatchIngestionQueue):
            beside.append(self.batch_queue.run)
        if self._gateway_duty is not None:
            run_tasks = self.task_runner.run
            beside.append(partial(self._gateway_duty.run, run_tasks, self._receive))
        if storage.cluster.is_shared:
            follower = ChangeFollower(
                process.signing_keys,
                process.book,
                self.stored_policy,
                self.pause_control,
                store=storage.store,
                cluster=storage.cluster,
            )
            beside.append(follower.run)
        if self.policy_reloader is not None:
            beside.append(self.policy_reloader.run)
        is_worker = process.settings.role is not Role.API
        if is_worker:
            beside.append(self.retention.run)
        return Supervisor(
            self.task_runner if is_worker and self._gateway_duty is None else None,
            self.delivery,
            clock=process.clock,
            before_recovery=self.counter_writer.count_again,
            beside=beside,
            after_recovery=(self.job_runner.run, self.plan_runner.run) if is_worker else (),
        )

    def add_loop(self, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a further loop beside the others; to be called before `start`."""
        self.supervisor.beside = (*self.supervisor.beside, run)

    @property
    def gateway_address(self) -> str | None:
        """The `host:port` that devices send datagrams to; None without a UDP gateway."""
        if self.network.gateway is not None:
            return self.network.gateway.shown_address
        return self._gateway_at and f"{self._gateway_at.host}:{self._gateway_at.port}"

    @property
    def open_gateway(self) -> "UdpGateway | None":
        """The UDP gateway, if there is one and this process has it."""
        return self.network.gateway or (self._gateway_duty and self._gateway_duty.gateway)

    async def start(self) -> None:
        """Recover the work of a dead process, then begin to send callbacks and accept datagrams.

        Before that, find out whether the server is paused, and activate the newest version of the
        policy. Raises ConfigurationError if this process can't use it, or if there is none, or the
        server has to be paused, and the database can't be written to.
        """
        await self.pause_control.look()
        if self._starts_paused:
            await self.pause_control.pause("the server was started with start_paused")
        try:
            await self.stored_policy.offer(self._policy_part)
        except StoreUnavailable:
            await self.stored_policy.look()
            if self.policy_reloader is None or self.stored_policy.active.version is None:
                raise
            # The file's new policy is stored as soon as the database can be written to; usually, no
            # callbacks are accepted until then.
            self.policy_reloader.look_now()
        await self.supervisor.start()
        if self.network.gateway is not None:
            self.network.gateway.start(self._receive)

    def break_off(self) -> None:
        """Interrupt a running advance of the clock, since it would delay the server's stop."""
        if self.clock_advancer is not None:
            self.clock_advancer.break_off()

    async def stop(self) -> None:
        """Begin no new work, let the work under way end, and close the sockets."""
        self.break_off()
        gateway, within = self.network.gateway, self._drain
        if gateway is not None:
            await gateway.stop_receiving(within=within)
        await asyncio.gather(
            self.supervisor.stop(within=within), self.shadow_sender.stop(within=within)
        )
        await self.counter_writer.stop()
        self.network.close_gateway()
        await self._transport.close()
        await self.network.sender.close()


class ChangeFollower:
    """Learns what other processes change.

    It is the policy, the pause, what is set for destinations, and the secrets of accounts.
    """

    def __init__(
        self,
        signing_keys: CurrentSigningKeys,
        book: DestinationBook,
        policy: StoredPolicy,
        pause: PauseControl,
        *,
        store: Store,
        cluster: Cluster,
    ) -> None:
        """Also announce the changes of this process."""
        self._signing_keys = signing_keys
        self._book = book
        self._policy = policy
        self._pause = pause
        self._store = store
        self._has_changes = asyncio.Event()
        signing_keys.announce = lambda: cluster.announce(News(has_changes=True))
        policy.active.listen(signing_keys.announce)
        pause.announce = book.announce = signing_keys.announce
        cluster.listen(self._hear)

    def _hear(self, news: News) -> None:
        if news.has_changes:
            self._has_changes.set()

    async def run(self) -> None:
        """Follow changes as they are announced; look at most of them each second; for ever."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AT_CHANGES):
                    await self._has_changes.wait()
            are_announced = self._has_changes.is_set()
            self._has_changes.clear()
            with suppress(StoreUnavailable):
                await self._pause.look()
                await self._policy.look()
                await self._book.refresh(self._store)
                if are_announced:
                    await self._signing_keys.refresh(self._store)


@dataclass(frozen=True, slots=True)
class TaskAnnouncer:
    """Implements `ports.LoopWaker`: wakes the loops for tasks of other processes."""

    cluster: Cluster

    def wake(self) -> None:
        """Announce new tasks."""
        self.cluster.announce(News(has_tasks=True))


@dataclass(frozen=True, slots=True)
class JobRunners:
    """Implements `ports.LoopWaker`: wakes the loops that work on jobs."""

    loops: Sequence[LoopWaker]

    def wake(self) -> None:
        """Make them look for jobs at once."""
        for loop in self.loops:
            loop.wake()


def _handler_of(kind: TaskKind) -> TaskHandler[OperationContext]:
    from ringback.operations.task_handlers import TASK_HANDLERS  # noqa: PLC0415 (for the first task)

    return TASK_HANDLERS[kind]


def _gateway_of(settings: Settings) -> "UdpGateway | None":
    return None if settings.gateway is None else _open_gateway(settings.gateway)


def _open_gateway(at: UdpGatewayAddress) -> "UdpGateway":
    from ringback.carrier.udp_gateway import UdpGateway  # noqa: PLC0415 (if there is one)

    host, port, else_any = at
    gateway_at = partial(UdpGateway, host, behind=SimulatedCarrier(), stopwatch=stopwatch)
    try:
        return gateway_at(port)
    except ConfigurationError:
        if not else_any:
            raise
        return gateway_at(0)


def _shadow_sender_of(
    process: ProcessDependencies, store: Store, sender: HttpTransport
) -> ShadowSender:
    return ShadowSender(
        process.settings.shadows,
        store=store,
        transport=sender,
        signing_keys=process.signing_keys,
        clock=process.clock,
        random_source=process.random_source,
        counters=process.counters,
        sources=process.settings.sources,
        gate=process.gate,
        checkpoint=process.checkpoint,
    )


def _delivery_of(
    process: ProcessDependencies,
    storage: OpenStorage,
    transport: TransportByScheme,
    shadow_sender: ShadowSender,
    destinations: DestinationControl,
) -> DeliveryService:
    settings = process.settings
    limits = DeliveryLimits(
        # A callback that would have to wait for a connection is better left in the store.
        at_once=min(settings.at_once, process.shares.outgoing),
        per_destination=settings.per_destination,
        backlog=BacklogLimits(settings.backlog, settings.backlog_per_account),
    )
    return DeliveryService(
        store=storage.store,
        cluster=storage.cluster,
        transport=transport,
        clock=process.clock,
        random_source=process.random_source,
        schedule=settings.schedule,
        limits=limits,
        counters=process.counters,
        sources=settings.sources,
        signing_keys=process.signing_keys,
        destinations=destinations,
        first_settled=shadow_sender.consider,
        recover_copies=shadow_sender.recover,
        streams=settings.streams,
        gate=process.gate,
        checkpoint=process.checkpoint,
    )


def _kinesis_transport_of(process: ProcessDependencies, store: Store) -> "KinesisTransport":
    from ringback.kinesis_client.kinesis_transport import KinesisTransport  # noqa: PLC0415 (if there is a Kinesis sink)
    from ringback.kinesis_client.record_writer import KinesisWriter  # noqa: PLC0415 (likewise)

    # AWS says when credentials end, by the real time.
    writer = KinesisWriter(endpoint=process.settings.kinesis_endpoint, now=SystemClock().now)
    return KinesisTransport(writer, store, stopwatch=stopwatch)


def _batch_queue_of(
    process: ProcessDependencies, store: Store, delivery: DeliveryService
) -> BatchIngestionQueue:
    return BatchIngestionQueue(
        store=store,
        clock=process.clock,
        stopwatch=stopwatch,
        queue=delivery.queue,
        add=send_callbacks,
        are_others_there=lambda: delivery.is_shared,
    )


def _policy_reloader_of(
    origin: SettingsReloader | None, process: ProcessDependencies, stored: StoredPolicy
) -> PolicyReloader | None:
    if origin is None or origin.path is None:
        return None
    reload = partial(origin.reload_policy, process.settings)
    return PolicyReloader(origin.path, reload, stored, clock=process.clock)


def _clock_advancer_of(
    clock: Clock, loops: Sequence[ClockDrivenLoop], destinations: DestinationControl
) -> ClockAdvancer | None:
    if not isinstance(clock, VirtualClock):
        return None
    # Their rates count in the time of the event loop, which nobody can set.
    clock.listen(destinations.skip)
    return ClockAdvancer(clock, loops)


def _receiver(
    store: Store, clock: Clock, task_runner: LoopWaker, context: Callable[[], OperationContext]
) -> "Received":
    """Return a function that saves a device's datagram; during a database outage, it waits."""
    outage = asyncio.Lock()

    async def receive(address: str, port: int, payload: bytes) -> None:
        from ringback.operations.supersim.device_actions import receive_datagram_from  # noqa: PLC0415 (for the first datagram)

        now = context()

        def keep(tx: Transaction) -> None:
            receive_datagram_from(tx, address, payload, port=port, context=now)

        try:
            await store.transact(keep)
        except StoreUnavailable:
            # Only one of the waiting datagrams polls the database.
            async with outage:
                await outlast(lambda: store.transact(keep), clock=clock)
        task_runner.wake()

    return receive
