"""Virtual time, and the order of events in it.

Whatever happens in a simulation is an entry here: each step of each task, each packet, each commit.
The seed picks the next one of the entries that are ready. Entries of one origin (the callbacks of
one future, the data from one connection, the answers of one store) keep their order, as every event
loop keeps it. Entries of different origins may swap: in reality they depend on threads, sockets and
timers that race, so correct code has to work with any order.

Time advances by a tick at each step, jumps to the next timer when nothing is ready, and now and
then jumps a bit further, as for a process that the machine delays. The steps of one process go
through a gate, which can be shut while the rest of the world goes on.
"""

import heapq
from collections.abc import Callable
from contextvars import Context
from datetime import timedelta
from enum import Enum
from itertools import count
from random import Random
from typing import Any, Final

_A_STALL: Final = (0.01, 3.0)
"""The shortest and longest delay by the machine, in seconds."""


class Order(Enum):
    """How the next of the ready entries is picked."""

    FIRST = 0.0
    """In the order in which they became ready, as event loops do."""
    OFTEN_FIRST = 0.2
    ANY = 1.0


class Gate:
    """All steps of one process go through it: while it is shut, the process is stopped."""

    def __init__(self, enter: Callable[[], None]) -> None:
        self.enter = enter
        """Called before each step of the process."""
        self.is_shut = False
        self.rest = list[Callable[[], None]]()
        """The rest of the step in which it was shut."""
        self.held = list["Entry"]()
        """Entries that became ready while it was shut."""


class Entry:
    """An event in the future."""

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
        """True if it passes on input that the machine has buffered for the process."""
        self.is_cancelled = False
        self._action = action
        self._args = args
        self._at = at
        self._context = context
        self._fail = fail

    # The methods have the names of asyncio's handles, since an event loop returns entries as
    # handles.

    def cancel(self) -> None:
        self.is_cancelled = True

    def cancelled(self) -> bool:
        return self.is_cancelled

    def when(self) -> float:
        return self._at

    def run(self) -> None:
        if self.gate is not None:
            self.gate.enter()
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
        """Virtual seconds since the start."""
        self.steps = 0
        self.may_stall = True
        self.is_stopped = False
        self.on_step = dict[int, Callable[[], None]]()
        """The action to run before the step with this number."""
        self._random_source = random.random
        self._reordered = order.value
        self._tick = tick
        self._stalls = stalls
        self._ready = list[Entry]()
        self._timers: list[tuple[float, int, Entry]] = []
        self._order = count()

    @property
    def elapsed(self) -> timedelta:
        """Virtual time since the start."""
        return timedelta(seconds=self.now)

    def soon(self, entry: Entry) -> None:
        """Schedule an entry for now, in some order with all others that are ready."""
        self._ready.append(entry)

    def at(self, when: float, entry: Entry) -> None:
        """Schedule an entry; entries for the same time become ready in the order of these calls."""
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
        """Schedule an action of the world or, with a gate, of a process."""
        entry = Entry(origin, action, args, gate=gate, is_input=is_input)
        self.at(at, entry)
        return entry

    def open(self, gate: Gate) -> None:
        """Let a process go on: either its buffered input or its late timers come first.

        Event loops differ in the order of the two; both are done before anything later.
        """
        held, gate.held, gate.is_shut = gate.held, [], False
        rest, gate.rest = gate.rest, []
        for action in rest:
            gate.enter()
            action()
        is_input_first = self._random_source() < 0.5
        for entry in sorted(held, key=lambda entry: entry.is_input is not is_input_first):
            if not entry.is_cancelled:
                entry.run()

    def run(self, until: float) -> None:
        """Run all entries up to this time, unless stopped before."""
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
