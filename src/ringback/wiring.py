"""Settings -> the running parts of a server: the only module that names a store."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Self

from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from ringback.api.app import create_app
from ringback.api.callback_urls import UrlReader
from ringback.api.health import Health, health_routes
from ringback.api.metrics import Metrics, metrics_routes
from ringback.api.services import Services
from ringback.carrier.simulated import SimulatedCarrier
from ringback.core.errors import Unusable
from ringback.core.source import Phase, Transition
from ringback.engine.backlog import Bounds
from ringback.engine.dispatcher import Dispatcher, Limits
from ringback.engine.network import SystemNetwork
from ringback.engine.progress import Progress
from ringback.engine.sender import Sender
from ringback.engine.supervisor import Supervisor
from ringback.engine.system import SystemChance, SystemClock, stopwatch
from ringback.engine.tally import Tally
from ringback.engine.tls import Tls
from ringback.ports import Clock, Store, no_checkpoint
from ringback.settings import Settings
from ringback.stores.sqlite.store import SqliteStore

DATA_FILE: Final = "ringback.db"


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that runs."""

    app: ASGIApp
    phase: Phase
    """The phase of the transition in which everything started."""
    supervisor: Supervisor
    sender: Sender
    store: SqliteStore
    drain: timedelta

    @classmethod
    async def start(
        cls, settings: Settings, *, checkpoint: Callable[[str], None] = no_checkpoint
    ) -> Self:
        """Open the data file and start the engine.

        Raises Unusable where the data folder or a file can't be used.
        """
        clock, chance, tally = SystemClock(), SystemChance(), Tally()
        sender = _sender_of(settings)
        transition = _transition_of(settings, clock.now())
        carrier = SimulatedCarrier(settings.update_takes)
        store = SqliteStore.open(_data_file(settings.data), committed=tally.committed)
        dispatcher = Dispatcher(
            store=store,
            transport=sender,
            clock=clock,
            chance=chance,
            schedule=settings.schedule,
            limits=_limits_of(settings),
            tally=tally,
            checkpoint=checkpoint,
        )
        progress = Progress(
            store=store,
            carrier=carrier,
            transition=transition,
            clock=clock,
            chance=chance,
            intake=dispatcher.intake,
            checkpoint=checkpoint,
        )
        supervisor = Supervisor(progress, dispatcher)
        services = Services(
            store=store,
            carrier=carrier,
            transition=transition,
            clock=clock,
            chance=chance,
            progress=progress,
            intake=dispatcher.intake,
            read_url=UrlReader(settings.guard, settings.egresses),
        )
        app = create_app(
            services,
            beside=_operators_routes(
                store=store,
                clock=clock,
                tally=tally,
                supervisor=supervisor,
                dispatcher=dispatcher,
                sender=sender,
            ),
        )
        await supervisor.start()
        phase = transition.phase_at(clock.now())
        return cls(app, phase, supervisor, sender, store, settings.drain)

    async def stop(self) -> None:
        """Drain the engine, and let go of the data file."""
        await self.supervisor.stop(within=self.drain)
        await self.sender.close()
        await self.store.close()


def open_beside(folder: Path) -> SqliteStore:
    """Open the data in this folder for short work, also while a server uses it.

    Raises Unusable where the folder or the file can't be used.
    """
    return SqliteStore.beside(_data_file(folder))


def _sender_of(settings: Settings) -> Sender:
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
    )


def _limits_of(settings: Settings) -> Limits:
    return Limits(
        at_once=settings.at_once,
        per_destination=settings.per_destination,
        backlog=Bounds(settings.backlog, settings.backlog_per_account),
    )


def _operators_routes(
    *,
    store: Store,
    clock: Clock,
    tally: Tally,
    supervisor: Supervisor,
    dispatcher: Dispatcher,
    sender: Sender,
) -> Sequence[BaseRoute]:
    health = Health(
        commit=lambda: store.transact(lambda tx: tx.write_nothing()),
        is_running=lambda: supervisor.is_running,
    )
    metrics = Metrics(
        tally,
        clock=clock,
        due_before=lambda instants: store.transact(lambda tx: tx.callbacks.due_before(instants)),
        under_way=lambda: dispatcher.under_way,
        open_connections=lambda: sender.open_connections,
    )
    return [*health_routes(health), *metrics_routes(metrics)]


def _data_file(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as failure:
        raise Unusable(
            f"the data folder {folder} can't be made: {failure.strerror};"
            " choose another with --data"
        ) from failure
    return folder / DATA_FILE


def _transition_of(settings: Settings, now: datetime) -> Transition:
    if settings.phase is not None:
        return Transition(settings.policy.held_in(settings.phase))
    ahead = timedelta(0) if settings.at is None else settings.at - now
    return Transition(settings.policy, ahead)
