"""Settings -> the running parts of a server."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Self

from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from ringback.api.app import create_app
from ringback.api.authentication import Authenticator
from ringback.api.callback_url_reader import CallbackUrlReader
from ringback.api.dependencies import ApiDependencies
from ringback.api.health import HealthChecks, health_routes
from ringback.api.http.open_connections import OpenConnections
from ringback.api.metrics import ClientConnectionCounts, PrometheusMetrics, metrics_routes
from ringback.api.portal.clock import ClockEndpoints
from ringback.api.portal.policy import PolicyEndpoints
from ringback.api.rate_limit import AccountRateLimit
from ringback.api.single_flight import SingleFlight
from ringback.carrier.simulated_carrier import SimulatedCarrier
from ringback.carrier.udp_gateway import Received, UdpGateway
from ringback.core.accounts.account import EVERY
from ringback.core.errors import ConfigurationError, StoreUnavailable
from ringback.core.http.open_file_shares import DescriptorShares, divide
from ringback.core.policy.source_policy import Phase, Policy
from ringback.delivery.backlog import BacklogLimits
from ringback.delivery.batch_queue import BatchQueue
from ringback.delivery.counters import Counters
from ringback.delivery.delivery_service import DeliveryLimits, DeliveryService
from ringback.delivery.shadow_sender import ShadowSender
from ringback.delivery.signing_keys import CurrentSigningKeys
from ringback.engine.clock_advancer import ClockAdvancer
from ringback.engine.supervisor import Supervisor
from ringback.engine.task_runner import TaskRunner
from ringback.http_client.http_sender import HttpSender
from ringback.http_client.network_backend import SystemNetwork
from ringback.http_client.tls import ClientTls
from ringback.operations.context import OperationContext
from ringback.operations.create_callbacks import send_callbacks
from ringback.operations.delivery_totals import count_last_week
from ringback.operations.supersim.device_actions import receive_datagram_from
from ringback.operations.task_handlers import TASK_HANDLERS
from ringback.policy.active_policy import ActivePolicy
from ringback.policy.policy_monitor import PolicyMonitor
from ringback.policy.policy_reloader import PolicyReloader
from ringback.ports import Clock, RandomSource, Store, Transaction, no_checkpoint
from ringback.runtime.database_outage import DatabaseOutage, outlast
from ringback.runtime.open_files import open_files_limit
from ringback.runtime.system_clock import SystemClock, SystemRandomSource, stopwatch
from ringback.runtime.virtual_clock import VirtualClock
from ringback.settings import Settings, SettingsSource
from ringback.storage import open_to_serve
from ringback.stores.sqlite.store import SqliteStore

_SYSTEM_CLOCK: Final = SystemClock()
_SYSTEM_CHANCE: Final = SystemRandomSource()
_BETWEEN_PROBES: Final = 0.1
"""Seconds between two times that somebody who asks `/readyz` has the database written to."""


@dataclass(frozen=True, slots=True)
class Application:
    """Everything that runs."""

    app: ASGIApp
    phase: Phase
    """The phase of the transition in which everything started."""
    supervisor: Supervisor
    shadow_sender: ShadowSender
    sender: HttpSender
    store: SqliteStore
    drain: timedelta
    clock_advancer: ClockAdvancer | None
    """What lets time pass; None where time is the machine's."""
    dependencies: ApiDependencies
    gateway: UdpGateway | None
    """Where devices send to, and get from; None without a gateway."""
    policy_monitor: PolicyMonitor
    policy_reloader: PolicyReloader | None
    """What takes over a changed policy; None where there is no settings file."""
    connections: OpenConnections
    """Those of clients."""
    shares: DescriptorShares
    """How many connections there may be, of clients and to receivers."""

    @classmethod
    async def start(
        cls,
        settings: Settings,
        *,
        clock: Clock = _SYSTEM_CLOCK,
        chance: RandomSource = _SYSTEM_CHANCE,
        checkpoint: Callable[[str], None] = no_checkpoint,
        origin: SettingsSource | None = None,
        accept_data_loss: bool = False,
    ) -> Self:
        """Open the data file and start the engine; a VirtualClock can be advanced over HTTP, too.

        Where the settings came from a file, its policy is in force also when it changes. With
        `accept_data_loss`, a data file that is missing, or has lost something, is no reason not to.

        Raises ConfigurationError where the data folder, a file or the gateway's address can't be
        used.
        """
        counters = Counters()
        shares = divide(open_files_limit(), settings.connections_wanted)
        connections = OpenConnections(shares.incoming)
        sender = _sender_of(settings, shares)
        active_policy = ActivePolicy(_policy_from(settings, clock.now()))
        gateway = _gateway_of(settings)
        outage = DatabaseOutage(
            lambda: store.transact(lambda tx: tx.write_nothing()),
            clock=clock,
            stopwatch=stopwatch,
        )
        try:
            store = open_to_serve(
                settings.data,
                seal_key=settings.seal_key,
                seal_key_file=settings.seal_key_file,
                committed=counters.committed,
                unavailable=outage.failed,
                budget=settings.storage_budget,
                accept_data_loss=accept_data_loss,
            )
        except BaseException:
            if gateway is not None:
                gateway.close()
            raise
        signing_keys = CurrentSigningKeys()
        shadow_sender = ShadowSender(
            settings.shadows,
            store=store,
            transport=sender,
            signing_keys=signing_keys,
            clock=clock,
            chance=chance,
            counters=counters,
            sources=settings.sources,
            checkpoint=checkpoint,
        )
        delivery = DeliveryService(
            store=store,
            transport=sender,
            clock=clock,
            chance=chance,
            schedule=settings.schedule,
            limits=_limits_of(settings, shares),
            counters=counters,
            sources=settings.sources,
            signing_keys=signing_keys,
            first_settled=shadow_sender.consider,
            checkpoint=checkpoint,
        )

        batch_queue = BatchQueue(
            store=store,
            clock=clock,
            stopwatch=stopwatch,
            intake=delivery.queue,
            add=send_callbacks,
            are_others_there=lambda: delivery.is_shared,
        )

        def context() -> OperationContext:
            return OperationContext(
                clock.now(),
                chance,
                signing_keys,
                active_policy.policy,
                delivery.queue,
                settings.simulation,
                settings.sources,
            )

        progress = TaskRunner(
            store=store,
            carrier=gateway or SimulatedCarrier(),
            handlers=TASK_HANDLERS,
            context=context,
            clock=clock,
            checkpoint=checkpoint,
        )
        policy_monitor = PolicyMonitor(
            active_policy,
            count=partial(count_last_week, store),
            clock=clock,
            before=settings.warn_before,
        )
        policy_reloader = _policy_reloader_of(origin, active_policy, settings)
        supervisor = Supervisor(
            progress,
            delivery,
            clock=clock,
            recover=shadow_sender.recover,
            beside=[
                batch_queue.run,
                outage.run,
                policy_monitor.run,
                *([] if policy_reloader is None else [policy_reloader.run]),
            ],
        )
        dependencies = ApiDependencies(
            store=store,
            clock=clock,
            context=context,
            progress=progress,
            intake=delivery.queue,
            batch_queue=batch_queue,
            read_url=CallbackUrlReader(settings.guard, settings.egresses, tuple(settings.sources)),
            sources=settings.sources,
            skipped_copies=counters.skipped_copies,
            response_storage=settings.storage_budget,
            rate_limit=AccountRateLimit(settings.rate_limit),
            gateway=gateway and gateway.shown_address,
            refused=outage.refused,
        )
        clock_advancer = None
        if isinstance(clock, VirtualClock):
            clock_advancer = ClockAdvancer(clock, (progress, delivery, shadow_sender))
        beside = _operators_routes(
            store=store,
            outage=outage,
            clock=clock,
            counters=counters,
            supervisor=supervisor,
            delivery=delivery,
            sender=sender,
            gateway=gateway,
            policy_monitor=policy_monitor,
            authenticator=dependencies.authenticator,
            connections=connections,
        )
        portal = PolicyEndpoints(dependencies, policy_monitor).operations()
        if clock_advancer is not None:
            portal += ClockEndpoints(dependencies, clock_advancer).operations()
        app = create_app(dependencies, portal=portal, beside=beside)
        await supervisor.start()
        if gateway is not None:
            gateway.start(_receiver(store, dependencies))
        return cls(
            app=app,
            phase=policy_monitor.policy.general_phase(policy_monitor.date),
            supervisor=supervisor,
            shadow_sender=shadow_sender,
            sender=sender,
            store=store,
            drain=settings.drain,
            clock_advancer=clock_advancer,
            dependencies=dependencies,
            gateway=gateway,
            policy_monitor=policy_monitor,
            policy_reloader=policy_reloader,
            connections=connections,
            shares=shares,
        )

    def break_off(self) -> None:
        """End what would keep a request waiting for as long as the engine runs."""
        if self.clock_advancer is not None:
            self.clock_advancer.break_off()

    async def stop(self) -> None:
        """Drain the engine, and let go of the data file."""
        self.break_off()
        if self.gateway is not None:
            await self.gateway.stop_receiving(within=self.drain)
        await asyncio.gather(
            self.supervisor.stop(within=self.drain), self.shadow_sender.stop(within=self.drain)
        )
        if self.gateway is not None:
            self.gateway.close()
        await self.sender.close()
        await self.store.close()


def _sender_of(settings: Settings, shares: DescriptorShares) -> HttpSender:
    tls = ClientTls(
        ca_files=() if settings.extra_ca_file is None else (settings.extra_ca_file,),
        client_certificate=settings.client_cert_file,
        client_key=settings.client_key_file,
    )
    return HttpSender(
        stopwatch=stopwatch,
        guard=settings.guard,
        egresses=settings.egresses,
        network=SystemNetwork(tls),
        most_open=shares.outgoing,
    )


def _gateway_of(settings: Settings) -> UdpGateway | None:
    if settings.gateway is None:
        return None
    host, port, else_any = settings.gateway
    try:
        return _bind(host, port)
    except ConfigurationError:
        if not else_any:
            raise
        return _bind(host, 0)


def _bind(host: str, port: int) -> UdpGateway:
    return UdpGateway.bind(host, port, behind=SimulatedCarrier(), stopwatch=stopwatch)


def _receiver(store: Store, dependencies: ApiDependencies) -> Received:
    outage = asyncio.Lock()

    async def receive(address: str, port: int, payload: bytes) -> None:
        context = dependencies.context()

        def keep(tx: Transaction) -> None:
            receive_datagram_from(tx, address, payload, port=port, context=context)

        try:
            await store.transact(keep)
        except StoreUnavailable:
            # One asks for all that wait whether the database is back.
            async with outage:
                await outlast(lambda: store.transact(keep), clock=dependencies.clock)
        dependencies.progress.wake()

    return receive


def _limits_of(settings: Settings, shares: DescriptorShares) -> DeliveryLimits:
    return DeliveryLimits(
        # One that would have to wait for a connection is better left in the store.
        at_once=min(settings.at_once, shares.outgoing),
        per_destination=settings.per_destination,
        backlog=BacklogLimits(settings.backlog, settings.backlog_per_account),
    )


def _operators_routes(
    *,
    store: Store,
    outage: DatabaseOutage,
    clock: Clock,
    counters: Counters,
    supervisor: Supervisor,
    delivery: DeliveryService,
    sender: HttpSender,
    gateway: UdpGateway | None,
    policy_monitor: PolicyMonitor,
    authenticator: Authenticator,
    connections: OpenConnections,
) -> Sequence[BaseRoute]:
    health = HealthChecks(
        commit=SingleFlight(outage.commit, pause=_BETWEEN_PROBES),
        is_running=lambda: supervisor.is_running,
    )
    metrics = PrometheusMetrics(
        counters,
        clock=clock,
        stopwatch=stopwatch,
        due_before=lambda instants: store.read(lambda tx: tx.callbacks.due_before(instants)),
        waiting=lambda: delivery.waiting,
        under_way=lambda: delivery.under_way,
        open_connections=lambda: sender.open_connections,
        kept_bytes=lambda: store.read(lambda tx: tx.kept_responses.bytes_of(EVERY)),
        datagrams=lambda: {} if gateway is None else gateway.counts,
        refusals=lambda: authenticator.refusals,
        policy=policy_monitor.figures,
        is_store_up=lambda: outage.is_over,
        of_clients=lambda: ClientConnectionCounts(len(connections), connections.evicted),
    )
    return [*health_routes(health), *metrics_routes(metrics)]


def _policy_from(settings: Settings, now: datetime) -> Policy:
    """Return the policy of a server that starts now, with its calendar at the date asked for."""
    ahead = timedelta(0) if settings.at is None else settings.at - now
    return replace(settings.effective_policy, ahead=ahead)


def _policy_reloader_of(
    origin: SettingsSource | None, active: ActivePolicy, settings: Settings
) -> PolicyReloader | None:
    if origin is None or origin.path is None:
        return None
    return PolicyReloader(origin.path, partial(origin.reload_policy, settings), active)
