"""Settings -> the running parts of a server: the only module that names a store."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

from starlette.types import ASGIApp

from ringback.api.app import create_app
from ringback.api.services import Services
from ringback.carrier.simulated import SimulatedCarrier
from ringback.core.errors import Unusable
from ringback.core.source import Phase, Transition
from ringback.engine.dispatcher import Dispatcher
from ringback.engine.progress import Progress
from ringback.engine.sender import Sender
from ringback.engine.supervisor import Supervisor
from ringback.engine.system import SystemChance, SystemClock, stopwatch
from ringback.operations.seeding import Seed, find_or_seed
from ringback.ports import no_checkpoint
from ringback.settings import Settings
from ringback.stores.sqlite.store import SqliteStore

DATA_FILE: Final = "ringback.db"

# With what the server takes to close, it all has to end within two seconds.
_DRAIN: Final = timedelta(milliseconds=750)


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that runs."""

    app: ASGIApp
    seed: Seed
    phase: Phase
    """The phase of the transition in which everything started."""
    supervisor: Supervisor
    sender: Sender
    store: SqliteStore

    @classmethod
    async def start(
        cls, settings: Settings, *, checkpoint: Callable[[str], None] = no_checkpoint
    ) -> Self:
        """Open the data file and start the engine.

        Raises Unusable where the data folder or file can't be used.
        """
        store = _open_store(settings)
        clock, chance = SystemClock(), SystemChance()
        transition = _transition_of(settings, clock.now())
        sender = Sender(stopwatch=stopwatch, allowed=settings.allow)
        carrier = SimulatedCarrier(settings.update_takes)
        dispatcher = Dispatcher(store=store, transport=sender, clock=clock, checkpoint=checkpoint)
        progress = Progress(
            store=store,
            carrier=carrier,
            transition=transition,
            clock=clock,
            chance=chance,
            dispatcher=dispatcher,
            checkpoint=checkpoint,
        )
        seed = await store.transact(
            lambda tx: find_or_seed(
                tx, uses_static_proxy=settings.static_proxy, now=clock.now(), chance=chance
            )
        )
        services = Services(store, carrier, transition, clock, chance, progress, dispatcher)
        supervisor = Supervisor(progress, dispatcher)
        await supervisor.start()
        phase = transition.phase_at(clock.now())
        return cls(create_app(services), seed, phase, supervisor, sender, store)

    async def stop(self) -> None:
        """Drain the engine, and let go of the data file."""
        await self.supervisor.stop(within=_DRAIN)
        await self.sender.close()
        await self.store.close()


def _open_store(settings: Settings) -> SqliteStore:
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
    except OSError as failure:
        raise Unusable(
            f"the data folder {settings.data} can't be made: {failure.strerror};"
            " choose another with --data"
        ) from failure
    return SqliteStore.open(settings.data / DATA_FILE)


def _transition_of(settings: Settings, now: datetime) -> Transition:
    if settings.phase is not None:
        return Transition(settings.policy.held_in(settings.phase))
    ahead = timedelta(0) if settings.at is None else settings.at - now
    return Transition(settings.policy, ahead)
