"""Virtual time, and what happens next in it.

Whatever happens in a simulation is an entry in here: each step of each task, each packet, each
commit. Of those that are ready the seed picks the next one. Entries of one origin (the callbacks
of one future, what comes in over one connection, the answers of one store) keep their order, as
every event loop keeps it. Entries of different origins may swap: outside they depend on threads,
sockets and timers that race, so that correct code has to be content with any order.

Time stands still but for a tick at each step, jumps to the next timer when nothing is ready, and
now and then jumps a bit further, as it does for a process that the machine does not let run. What
one process does goes through a gate, which can be shut while the rest of the world goes on.
"""

import heapq
from collections.abc import Callable
from contextvars import Context
from enum import Enum
from itertools import count
from random import Random
from typing import Any, Final

_A_STALL: Final = (0.01, 3.0)
"""Seconds, from and to."""


class Order(Enum):
    """How the next of the ready entries is picked."""

    FIRST = 0.0
    """As event loops do."""
    OFTEN_FIRST = 0.2
    ANY = 1.0


class Gate:
    """Through which goes all that one process does: while it is shut, the process is stopped."""

    def __init__(self) -> None:
        self.is_shut = False
        self.held = list["Entry"]()
        """What was to happen since it was shut."""


class Entry:
    """Something that is to happen."""

    __slots__ = (
        "_action",
        "_args",
        "_at",
        "_context",
        "_fail",
        "gate",
        "is_cancelled",
        "is_input",
        "origin",
    )

    def __init__(
        self,
        origin: object,
        action: Callable[..., object],
        args: tuple[Any, ...] = (),
        *,
        at: float = 0.0,
        context: Context | None = None,
        fail: Callable[[BaseException], None] | None = None,
        gate: Gate | None = None,
        is_input: bool = False,
    ) -> None:
        self.origin = origin
        self.gate = gate
        self.is_input = is_input
        """Whether it hands over what the machine has buffered for the process."""
        self.is_cancelled = False
        self._action = action
        self._args = args
        self._at = at
        self._context = context
        self._fail = fail

    # The names are those of asyncio's handles, since an event loop hands entries out as such.

    def cancel(self) -> None:
        self.is_cancelled = True

    def cancelled(self) -> bool:
        return self.is_cancelled

    def when(self) -> float:
        return self._at

    def run(self) -> None:
        try:
            if self._context is None:
                self._action(*self._args)
            else:
                self._context.run(self._action, *self._args)
        except Exception as error:
            if self._fail is None:
                raise
            self._fail(error)


class Scheduler:
    """Runs one entry after the other."""

    def __init__(
        self, random: Random, *, order: Order = Order.FIRST, tick: float = 0.0, stalls: float = 0.0
    ) -> None:
        self.now = 0.0
        """Seconds since the beginning."""
        self.steps = 0
        self.may_stall = True
        self.is_stopped = False
        self.on_step = dict[int, Callable[[], None]]()
        """What to do before the step of this number."""
        self._random_source = random.random
        self._reordered = order.value
        self._tick = tick
        self._stalls = stalls
        self._ready = list[Entry]()
        self._timers: list[tuple[float, int, Entry]] = []
        self._order = count()

    def soon(self, entry: Entry) -> None:
        """Let it happen at this instant, in some order with all else that is ready."""
        self._ready.append(entry)

    def at(self, when: float, entry: Entry) -> None:
        """Let it happen at this time; what has the same time becomes ready in this order."""
        heapq.heappush(self._timers, (when, next(self._order), entry))

    def do(
        self,
        action: Callable[..., object],
        *args: Any,
        at: float,
        origin: object,
        gate: Gate | None = None,
        is_input: bool = False,
    ) -> Entry:
        """Let something of the world happen at this time, or what a process does by its gate."""
        entry = Entry(origin, action, args, gate=gate, is_input=is_input)
        self.at(at, entry)
        return entry

    def open(self, gate: Gate) -> None:
        """Let a process go on: with the input that was buffered, or the timers that are late.

        Event loops differ in what they do first; either is done before anything that follows.
        """
        held, gate.held, gate.is_shut = gate.held, [], False
        is_input_first = self._random_source() < 0.5
        for entry in sorted(held, key=lambda entry: entry.is_input is not is_input_first):
            if not entry.is_cancelled:
                entry.run()

    def run(self, until: float) -> None:
        """Let everything happen up to this time, unless it is stopped before."""
        while not self.is_stopped and self._step(until):
            pass

    def _step(self, until: float) -> bool:
        if not self._ready and not self._jump(until):
            return False
        timers, now = self._timers, self.now
        while timers and timers[0][0] <= now:
            entry = heapq.heappop(timers)[2]
            if not entry.is_cancelled:
                self._ready.append(entry)
        if not self._ready:
            return True
        entry = self._ready.pop(self._pick())
        if entry.gate is not None and entry.gate.is_shut:
            entry.gate.held.append(entry)
        elif not entry.is_cancelled:
            if self.on_step:
                before = self.on_step.pop(self.steps, None)
                if before is not None:
                    before()
            self.steps += 1
            entry.run()
            self.now += self._tick
            if self._stalls and self.may_stall and self._random_source() < self._stalls:
                low, high = _A_STALL
                self.now += low + (high - low) * self._random_source() ** 4
        return True

    def _jump(self, until: float) -> bool:
        timers = self._timers
        while timers and timers[0][2].is_cancelled:
            heapq.heappop(timers)
        if not timers or timers[0][0] > until:
            self.now = max(self.now, until)
            return False
        self.now = max(self.now, timers[0][0])
        return True

    def _pick(self) -> int:
        ready = self._ready
        if len(ready) == 1 or not self._reordered or self._random_source() >= self._reordered:
            return 0
        origin = ready[int(self._random_source() * len(ready))].origin
        for index, entry in enumerate(ready):
            if entry.origin is origin:
                return index
        return 0
