"""Moves SIMs on: carries due changes out, and in one transaction ends each and calls back.

Checkpoints: `carried_out`, before the transaction; `announced`, after it.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final

from ringback.core.announcement import ANNOUNCEMENT_BYTES, announce
from ringback.core.sim_update import CarrierFailure, SimUpdate, UpdateEnding, finish
from ringback.core.source import Transition
from ringback.engine.bell import Bell
from ringback.engine.outage import outlast
from ringback.ports import Carrier, Chance, Clock, Intake, Store, Transaction, no_checkpoint

_AT_ONCE: Final = 100

_log = logging.getLogger(__name__)

Ended = tuple[SimUpdate, UpdateEnding]


class Progress:
    """The loop that carries due changes out."""

    def __init__(
        self,
        *,
        store: Store,
        carrier: Carrier,
        transition: Transition,
        clock: Clock,
        chance: Chance,
        intake: Intake,
        checkpoint: Callable[[str], None] = no_checkpoint,
    ) -> None:
        self._store = store
        self._carrier = carrier
        self._transition = transition
        self._clock = clock
        self._chance = chance
        self._intake = intake
        self._checkpoint = checkpoint
        self._bell = Bell(clock)

    def wake(self) -> None:
        """Let the loop see a new change."""
        self._bell.wake()

    async def run(self) -> None:
        """Carry changes out as they come due, until cancelled."""
        while True:
            await outlast(self._step_or_wait, clock=self._clock)

    async def _step_or_wait(self) -> None:
        if not await self.step():
            await self._bell.wait(await self._store.transact(_next_due))

    async def step(self) -> int:
        """Carry out what is due now; return how many changes that were."""
        now = self._clock.now()
        due = await self._store.transact(lambda tx: tx.sims.due_updates(now, limit=_AT_ONCE))
        if due:
            endings = await asyncio.gather(*(self._carry_out(update) for update in due))
            ended = list(zip(due, endings, strict=True))
            self._checkpoint("carried_out")
            await self._store.transact(lambda tx: self._end(tx, ended))
            self._checkpoint("announced")
        return len(due)

    async def _carry_out(self, update: SimUpdate) -> UpdateEnding:
        try:
            return await self._carrier.carry_out(update)
        except Exception:  # noqa: BLE001 (a change has to end, whatever is wrong with the carrier)
            _log.exception("the change of SIM %s failed", update.sim_sid)
            return CarrierFailure(83004, "the update failed internally")

    def _end(self, tx: Transaction, ended: list[Ended]) -> None:
        now = self._clock.now()
        for update, ending in ended:
            sim = tx.sims.get(update.sim_sid)
            if tx.sims.end_update(update.sim_sid) is None or sim is None:
                continue
            finished, event = finish(sim, update, ending, now)
            tx.sims.save(finished)
            if update.callback_url is not None:
                callback = announce(
                    event,
                    to=update.callback_url,
                    method=update.callback_method,
                    transition=self._transition,
                    chance=self._chance.bytes(ANNOUNCEMENT_BYTES),
                    now=now,
                )
                self._intake.take(tx, callback)


def _next_due(tx: Transaction) -> datetime | None:
    return tx.sims.next_update_due()
