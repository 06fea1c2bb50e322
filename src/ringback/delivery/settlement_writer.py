"""Saves the results of attempts; all attempts that end during one commit share the next commit."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from ringback.core.accounts.account import Account
from ringback.core.callbacks.callback import put_back
from ringback.ports import (
    Clock,
    DeliveryClaim,
    Lane,
    SettledAttempts,
    Settlement,
    StateChange,
    Store,
    Transaction,
)
from ringback.runtime.database_outage import outlast

_log = logging.getLogger(__name__)


def _forget_change(tx: Transaction, change: StateChange) -> None:
    """Do not save what an attempt has made of its destination."""


class SettlementWriter:
    """Saves settlements (results of attempts) in order, then calls `settled` for each of them.

    If the callback's next attempt is under way, `settled` also gets the account's current state.
    `outdated` is called instead for a settlement whose callback another process has taken over.
    `save_change` is called, in the same transaction, with what attempts have made of destinations.
    `waits` is called for each lane in which it is a callback's turn now, since one of its order key
    has ended, and gets the time when that callback is due.
    """

    def __init__(
        self,
        settled: Callable[[Settlement, Account | None], None],
        store: Store,
        clock: Clock,
        *,
        outdated: Callable[[Settlement], None],
        waits: Callable[[Lane, datetime], None],
        save_change: Callable[[Transaction, StateChange], None] = _forget_change,
    ) -> None:
        self._save_change = save_change
        self._outdated = outdated
        self._waits = waits
        self._store = store
        self._clock = clock
        self._settled = settled
        self._waiting = list[Settlement]()
        self._is_urgent = False
        """True if a waiting settlement begins the next attempt of its callback."""
        self._writing: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """True if all added settlements are durable, and `settled` was called for each."""
        return self._writing is None

    def add(self, settlement: Settlement) -> None:
        """Queue a settlement to be saved soon."""
        self._waiting.append(settlement)
        self._is_urgent = self._is_urgent or settlement.progress.is_under_way
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())

    def put_back(self, claim: DeliveryClaim, due: datetime) -> None:
        """Let a claimed callback wait again, until `due`; its attempt does not count."""
        now = self._clock.now()
        self.add(Settlement(claim, put_back(claim.callback.progress, now, due=due)))

    async def finish(self) -> None:
        """Wait until all added settlements are durable."""
        if self._writing is not None:
            await asyncio.wait((self._writing,))

    async def _write(self) -> None:
        try:
            while self._waiting:
                settlements, self._waiting = self._waiting, []
                is_urgent, self._is_urgent = self._is_urgent, False
                await self._settle(settlements, may_wait=not is_urgent)
        finally:
            self._writing = None

    async def _settle(self, settlements: list[Settlement], *, may_wait: bool) -> None:
        try:
            (outdated, turns), accounts = await outlast(
                lambda: self._store.transact(
                    lambda tx: _settle(tx, settlements, self._save_change),
                    is_quick=True,
                    may_wait=may_wait,
                ),
                clock=self._clock,
            )
        except Exception as failure:  # noqa: BLE001 (one that fails must not stop the others)
            await self._settle_one_by_one(settlements, failure)
        else:
            for settlement in settlements:
                if settlement in outdated:
                    self._outdated(settlement)
                else:
                    self._settled(settlement, accounts.get(settlement.claim.callback.account_sid))
            for lane, due in turns:
                self._waits(lane, due)

    async def _settle_one_by_one(self, settlements: list[Settlement], failure: Exception) -> None:
        if len(settlements) > 1:
            for settlement in settlements:
                await self._settle([settlement], may_wait=False)
        else:
            _log.error(
                "the result of an attempt of callback %s can't be stored; the next"
                " start of the server settles the attempt",
                settlements[0].claim.callback.sid,
                exc_info=failure,
            )


def _settle(
    tx: Transaction,
    settlements: list[Settlement],
    save_change: Callable[[Transaction, StateChange], None],
) -> tuple[SettledAttempts, dict[str, Account | None]]:
    """Save the results of attempts; return what has become of them, and accounts.

    The accounts are those of callbacks whose next attempt has begun. The keys are their SIDs; the
    value is None if the account was deleted.
    """
    settled = tx.callbacks.settle(settlements)
    for settlement in settlements:
        if settlement.change is not None and settlement not in settled.outdated:
            save_change(tx, settlement.change)
    going_on = {one.claim.callback.account_sid for one in settlements if one.progress.is_under_way}
    return settled, {sid: tx.accounts.get(sid) for sid in going_on}
