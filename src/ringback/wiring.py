"""Settings -> the running parts of a server."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Self

from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from ringback.api.app import create_app
from ringback.api.callback_urls import UrlReader
from ringback.api.health import Health, health_routes
from ringback.api.http.open_connections import OpenConnections
from ringback.api.metrics import ClientConnections, Metrics, metrics_routes
from ringback.api.portal.clock import ClockResource
from ringback.api.portal.policy import PolicyResource
from ringback.api.rate_limit import RateLimit
from ringback.api.services import Services
from ringback.api.shared_work import SharedWork
from ringback.api.sign_in import SignIns
from ringback.carrier.simulated import SimulatedCarrier
from ringback.carrier.udp import Received, UdpGateway
from ringback.core.account import EVERY
from ringback.core.descriptors import DescriptorShares, divide
from ringback.core.errors import StoreUnavailable, Unusable
from ringback.core.source import Phase
from ringback.core.transition import Transition
from ringback.data_folder import open_to_serve
from ringback.engine.backlog import Bounds
from ringback.engine.batch_intake import BatchIntake
from ringback.engine.descriptors import open_files_limit
from ringback.engine.dispatcher import Dispatcher, Limits
from ringback.engine.foresight import Foresight
from ringback.engine.keyring import Keyring
from ringback.engine.network import SystemNetwork
from ringback.engine.outage import StoreOutage, outlast
from ringback.engine.policy_in_force import PolicyInForce
from ringback.engine.progress import Progress
from ringback.engine.sender import Sender
from ringback.engine.shadowing import Shadowing
from ringback.engine.supervisor import Supervisor
from ringback.engine.system import SystemChance, SystemClock, stopwatch
from ringback.engine.tally import Tally
from ringback.engine.timelapse import Timelapse
from ringback.engine.tls import Tls
from ringback.engine.virtual_clock import VirtualClock
from ringback.operations.life import Life
from ringback.operations.moment import Moment
from ringback.operations.sending import send_callbacks
from ringback.operations.supersim.devices import receive_datagram_from
from ringback.operations.totals import count_last_week
from ringback.ports import Chance, Clock, Store, Transaction, no_checkpoint
from ringback.settings import Origin, Reloading, Settings, policy_of
from ringback.stores.sqlite.store import SqliteStore

_SYSTEM_CLOCK: Final = SystemClock()
_SYSTEM_CHANCE: Final = SystemChance()
_BETWEEN_PROBES: Final = 0.1
"""Seconds between two times that somebody who asks `/readyz` has the database written to."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that runs."""

    app: ASGIApp
    phase: Phase
    """The phase of the transition in which everything started."""
    supervisor: Supervisor
    shadowing: Shadowing
    sender: Sender
    store: SqliteStore
    drain: timedelta
    timelapse: Timelapse | None
    """What lets time pass; None where time is the machine's."""
    services: Services
    gateway: UdpGateway | None
    """Where devices send to, and get from; None without a gateway."""
    foresight: Foresight
    reloading: Reloading | None
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
        chance: Chance = _SYSTEM_CHANCE,
        checkpoint: Callable[[str], None] = no_checkpoint,
        origin: Origin | None = None,
        accept_data_loss: bool = False,
    ) -> Self:
        """Open the data file and start the engine; a VirtualClock can be advanced over HTTP, too.

        Where the settings came from a file, its policy is in force also when it changes. With
        `accept_data_loss`, a data file that is missing, or has lost something, is no reason not to.

        Raises Unusable where the data folder, a file or the gateway's address can't be used.
        """
        tally = Tally()
        shares = divide(open_files_limit(), settings.connections_wanted)
        connections = OpenConnections(shares.incoming)
        sender = _sender_of(settings, shares)
        in_force = PolicyInForce(_transition_of(settings, clock.now()))
        gateway = _gateway_of(settings)
        outage = StoreOutage(
            lambda: store.transact(lambda tx: tx.write_nothing()),
            clock=clock,
            stopwatch=stopwatch,
        )
        try:
            store = open_to_serve(
                settings.data,
                seal_key=settings.seal_key,
                seal_key_file=settings.seal_key_file,
                committed=tally.committed,
                unavailable=outage.failed,
                budget=settings.storage_budget,
                accept_data_loss=accept_data_loss,
            )
        except BaseException:
            if gateway is not None:
                gateway.close()
            raise
        keyring = Keyring()
        shadowing = Shadowing(
            settings.shadows,
            store=store,
            transport=sender,
            keyring=keyring,
            clock=clock,
            chance=chance,
            tally=tally,
            sources=settings.sources,
            checkpoint=checkpoint,
        )
        dispatcher = Dispatcher(
            store=store,
            transport=sender,
            clock=clock,
            chance=chance,
            schedule=settings.schedule,
            limits=_limits_of(settings, shares),
            tally=tally,
            sources=settings.sources,
            keyring=keyring,
            first_settled=shadowing.consider,
            checkpoint=checkpoint,
        )

        batch_intake = BatchIntake(
            store=store,
            clock=clock,
            stopwatch=stopwatch,
            intake=dispatcher.intake,
            add=send_callbacks,
            are_others_there=lambda: dispatcher.is_shared,
        )

        def moment() -> Moment:
            return Moment(
                clock.now(),
                chance,
                keyring,
                in_force.transition,
                dispatcher.intake,
                settings.simulation,
            )

        progress = Progress(
            store=store,
            carrier=gateway or SimulatedCarrier(),
            life=Life(moment),
            clock=clock,
            checkpoint=checkpoint,
        )
        foresight = Foresight(
            in_force,
            count=partial(count_last_week, store),
            clock=clock,
            before=settings.warn_before,
        )
        reloading = _reloading_of(origin, in_force, settings)
        supervisor = Supervisor(
            progress,
            dispatcher,
            clock=clock,
            recover=shadowing.recover,
            beside=[
                batch_intake.run,
                outage.run,
                foresight.run,
                *([] if reloading is None else [reloading.run]),
            ],
        )
        services = Services(
            store=store,
            clock=clock,
            moment=moment,
            progress=progress,
            intake=dispatcher.intake,
            batch_intake=batch_intake,
            read_url=UrlReader(settings.guard, settings.egresses, tuple(settings.sources)),
            sources=settings.sources,
            skipped_copies=tally.skipped_copies,
            response_storage=settings.storage_budget,
            rate_limit=RateLimit(settings.rate_limit),
            gateway=gateway and gateway.shown_address,
            refused=outage.refused,
        )
        timelapse = None
        if isinstance(clock, VirtualClock):
            timelapse = Timelapse(clock, (progress, dispatcher, shadowing))
        beside = _operators_routes(
            store=store,
            outage=outage,
            clock=clock,
            tally=tally,
            supervisor=supervisor,
            dispatcher=dispatcher,
            sender=sender,
            gateway=gateway,
            foresight=foresight,
            sign_ins=services.sign_ins,
            connections=connections,
        )
        portal = PolicyResource(services, foresight).operations()
        if timelapse is not None:
            portal += ClockResource(services, timelapse).operations()
        app = create_app(services, portal=portal, beside=beside)
        await supervisor.start()
        if gateway is not None:
            gateway.start(_receiver(store, services))
        return cls(
            app=app,
            phase=in_force.transition.phase_at(clock.now()),
            supervisor=supervisor,
            shadowing=shadowing,
            sender=sender,
            store=store,
            drain=settings.drain,
            timelapse=timelapse,
            services=services,
            gateway=gateway,
            foresight=foresight,
            reloading=reloading,
            connections=connections,
            shares=shares,
        )

    def break_off(self) -> None:
        """End what would keep a request waiting for as long as the engine runs."""
        if self.timelapse is not None:
            self.timelapse.break_off()

    async def stop(self) -> None:
        """Drain the engine, and let go of the data file."""
        self.break_off()
        if self.gateway is not None:
            await self.gateway.stop_receiving(within=self.drain)
        await asyncio.gather(
            self.supervisor.stop(within=self.drain), self.shadowing.stop(within=self.drain)
        )
        if self.gateway is not None:
            self.gateway.close()
        await self.sender.close()
        await self.store.close()


def _sender_of(settings: Settings, shares: DescriptorShares) -> Sender:
    tls = Tls(
        ca_files=() if settings.extra_ca_file is None else (settings.extra_ca_file,),
        client_certificate=settings.client_cert_file,
        client_key=settings.client_key_file,
    )
    return Sender(
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
    except Unusable:
        if not else_any:
            raise
        return _bind(host, 0)


def _bind(host: str, port: int) -> UdpGateway:
    return UdpGateway.bind(host, port, behind=SimulatedCarrier(), stopwatch=stopwatch)


def _receiver(store: Store, services: Services) -> Received:
    outage = asyncio.Lock()

    async def receive(address: str, port: int, payload: bytes) -> None:
        moment = services.moment()

        def keep(tx: Transaction) -> None:
            receive_datagram_from(tx, address, payload, port=port, moment=moment)

        try:
            await store.transact(keep)
        except StoreUnavailable:
            # One asks for all that wait whether the database is back.
            async with outage:
                await outlast(lambda: store.transact(keep), clock=services.clock)
        services.progress.wake()

    return receive


def _limits_of(settings: Settings, shares: DescriptorShares) -> Limits:
    return Limits(
        # One that would have to wait for a connection is better left in the store.
        at_once=min(settings.at_once, shares.outgoing),
        per_destination=settings.per_destination,
        backlog=Bounds(settings.backlog, settings.backlog_per_account),
    )


def _operators_routes(
    *,
    store: Store,
    outage: StoreOutage,
    clock: Clock,
    tally: Tally,
    supervisor: Supervisor,
    dispatcher: Dispatcher,
    sender: Sender,
    gateway: UdpGateway | None,
    foresight: Foresight,
    sign_ins: SignIns,
    connections: OpenConnections,
) -> Sequence[BaseRoute]:
    health = Health(
        commit=SharedWork(outage.commit, pause=_BETWEEN_PROBES),
        is_running=lambda: supervisor.is_running,
    )
    metrics = Metrics(
        tally,
        clock=clock,
        stopwatch=stopwatch,
        due_before=lambda instants: store.read(lambda tx: tx.callbacks.due_before(instants)),
        waiting=lambda: dispatcher.waiting,
        under_way=lambda: dispatcher.under_way,
        open_connections=lambda: sender.open_connections,
        kept_bytes=lambda: store.read(lambda tx: tx.kept_responses.bytes_of(EVERY)),
        datagrams=lambda: {} if gateway is None else gateway.counts,
        refusals=lambda: sign_ins.refusals,
        policy=foresight.figures,
        is_store_up=lambda: outage.is_over,
        of_clients=lambda: ClientConnections(len(connections), connections.evicted),
    )
    return [*health_routes(health), *metrics_routes(metrics)]


def _transition_of(settings: Settings, now: datetime) -> Transition:
    ahead = timedelta(0) if settings.at is None else settings.at - now
    return Transition(policy_of(settings), ahead, settings.sources)


def _reloading_of(
    origin: Origin | None, in_force: PolicyInForce, settings: Settings
) -> Reloading | None:
    if origin is None or origin.path is None:
        return None
    return Reloading(origin, origin.path, in_force, settings)
