"""Pauses and resumes all servers that use a store: the pause is in the store, so that it lasts."""

import logging
from collections.abc import Callable

from ringback.core.audit import SERVER, Actor
from ringback.operations.sending_pause import begin_pause, end_pause
from ringback.ports import Clock, SendingPause, Store, nothing
from ringback.runtime.sending_gate import SendingGate

_log = logging.getLogger(__name__)


class PauseControl:
    """Keeps the gate of this process the same as the pause in the store, and changes both.

    Assign a function to `announce` if other processes have to learn of changes.
    """

    def __init__(self, store: Store, gate: SendingGate, *, clock: Clock) -> None:
        """Control `gate`; call `look` before anything is sent."""
        self.gate = gate
        self.announce: Callable[[], None] = nothing
        self._store = store
        self._clock = clock
        self._changes = 0
        """How often this process has changed the pause."""

    async def look(self) -> None:
        """Close or open the gate, as the store says.

        Raises StoreUnavailable if the store can't be read at the moment.
        """
        changes, before = self._changes, self.gate.pause
        pause = await self._store.read(lambda tx: tx.pause.get())
        # What was read before a change of this process is outdated.
        if changes == self._changes:
            self.gate.use(pause)
            self._log_change(before)

    async def pause(self, reason: str, actor: Actor = SERVER) -> SendingPause:
        """Let all servers send nothing more, and return the pause; an earlier one stays.

        `actor` is who pauses them, for the audit entry.

        Raises StoreUnavailable if it can't be stored.
        """
        now, before = self._clock.now(), self.gate.pause
        pause = await self._store.transact(lambda tx: begin_pause(tx, reason, now, actor))
        self._use(pause, before)
        return pause

    async def resume(self, actor: Actor = SERVER) -> SendingPause | None:
        """Let all servers send again, and return the pause that has ended; None if there was none.

        `actor` is who resumes them, for the audit entry.

        Raises StoreUnavailable if it can't be stored.
        """
        now, before = self._clock.now(), self.gate.pause
        ended = await self._store.transact(lambda tx: end_pause(tx, now, actor))
        self._use(None, before)
        return ended

    def _use(self, pause: SendingPause | None, before: SendingPause | None) -> None:
        self._changes += 1
        self.gate.use(pause)
        self._log_change(before)
        self.announce()

    def _log_change(self, before: SendingPause | None) -> None:
        pause = self.gate.pause
        if pause is not None and pause != before:
            _log.warning(
                "paused since %s: %s; requests are accepted, but nothing is sent until"
                " `ringback resume`",
                f"{pause.since:%Y-%m-%d %H:%M:%S} UTC",
                pause.reason,
                extra={"paused": pause.reason},
            )
        elif pause is None and before is not None:
            _log.warning("resumed: what waited is sent now")
