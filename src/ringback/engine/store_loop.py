"""The loop of a worker that finds its work in the store: does what is due, then waits for more."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ringback.ports import Clock, Store, no_checkpoint
from ringback.runtime.database_outage import outlast
from ringback.runtime.sending_gate import SendingGate
from ringback.runtime.wakeup import Wakeup


@dataclass(eq=False, kw_only=True)
class StoreLoop(ABC):
    """Base class of such loops; a subclass says what a step does, and when the next one is due."""

    store: Store
    clock: Clock
    look_every: timedelta | None = None
    """How often to look for work that other processes have added; None if there are none."""
    gate: SendingGate = field(default_factory=SendingGate)
    """While it is closed, no work is begun."""
    checkpoint: Callable[[str], None] = no_checkpoint

    def __post_init__(self) -> None:
        """Create the object that wakes the loop when there is work."""
        self._wakeup = Wakeup(self.clock)
        self.gate.listen(self._wakeup.wake)

    @property
    def is_still(self) -> bool:
        """True while the loop waits until the next work is due."""
        return self._wakeup.is_quiet

    def wake(self) -> None:
        """Let the loop look for new work at once."""
        self._wakeup.wake()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await outlast(self._step_or_wait, clock=self.clock)

    async def next_due(self) -> datetime | None:
        """Return when the next work is due; None if there is none, or while paused."""
        return await self._first_due() if self.gate.is_open else None

    @abstractmethod
    async def step(self) -> int:
        """Do what is due now, and return how much that was."""

    @abstractmethod
    async def _first_due(self) -> datetime | None:
        """Return when the next work is due, or None if there is none."""

    async def _step_or_wait(self) -> None:
        if not self.gate.is_open:
            await self._wakeup.wait(None)
        elif not await self.step():
            due = await self.next_due()
            if self.look_every is not None:
                look = self.clock.now() + self.look_every
                due = min(due or look, look)
            await self._wakeup.wait(due)
