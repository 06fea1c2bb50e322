"""SIMs and their changes: the SQLite store compared with its model in memory."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from ringback.core.scheduled_task import ScheduledTask
from ringback.core.sims.scenario import TaskKind
from ringback.core.supersim.sim import SimStatus
from ringback.ports import PageWindow, Transaction
from tests.stores.both_stores import (
    ACCOUNTS,
    AHEAD,
    LIMITS,
    NUMBERS,
    BothStores,
    Part,
    or_refused,
    windows,
)
from tests.stores.records import FLEETS, OURS, sim, update_of

NAMES = st.sampled_from([None, "a", "b", "ü", sim(0).sid, FLEETS[OURS].sid])
UPDATE_SIM = TaskKind.UPDATE_SIM


class SimsInBothStores(BothStores):
    """SIMs, and their pending changes."""

    def __init__(self) -> None:
        self._sims = set[str]()
        super().__init__()

    @rule(number=NUMBERS, account_sid=ACCOUNTS, name=NAMES, status=st.sampled_from(SimStatus))
    def add_sim(self, number: int, account_sid: str, name: str | None, status: SimStatus) -> None:
        added = replace(sim(number, account_sid), unique_name=name, status=status)
        if added.sid not in self._sims:
            self._sims.add(added.sid)
            self.add(
                Part(
                    lambda tx: (
                        None if _is_taken(tx, account_sid, name) else tx.supersim.sims.add(added)
                    ),
                    undone=lambda: self._sims.discard(added.sid),
                )
            )

    @rule(number=NUMBERS, name=NAMES, status=st.sampled_from(SimStatus), has_fleet=st.booleans())
    def save_sim(self, number: int, name: str | None, status: SimStatus, has_fleet: bool) -> None:
        now = self.now

        def work(tx: Transaction) -> None:
            found = tx.supersim.sims.get(sim(number).sid)
            if found is not None and not _is_taken(tx, found.account_sid, name):
                fleet_sid = FLEETS[found.account_sid].sid if has_fleet else None
                tx.supersim.sims.save(
                    replace(
                        found,
                        unique_name=name,
                        status=status,
                        fleet_sid=fleet_sid,
                        date_updated=now,
                    )
                )

        self.add(Part(work))

    @rule(number=NUMBERS, ahead=AHEAD)
    def begin_update(self, number: int, ahead: timedelta) -> None:
        due = self.now + ahead

        def work(tx: Transaction) -> None:
            found = tx.supersim.sims.get(sim(number).sid)
            if found is not None:
                tx.supersim.sim_updates.remove(found.sid)
                tx.supersim.sim_updates.add(update_of(found))
                tx.tasks.put(ScheduledTask(UPDATE_SIM, found.sid, found.account_sid, due))

        self.add(Part(work))

    @rule(number=NUMBERS)
    def end_update(self, number: int) -> None:
        def work(tx: Transaction) -> None:
            tx.supersim.sim_updates.remove(sim(number).sid)
            tx.tasks.drop(sim(number).sid, UPDATE_SIM)

        self.add(Part(work))

    @rule(
        account_sid=ACCOUNTS,
        number=NUMBERS,
        name=NAMES,
        status=st.none() | st.sampled_from(SimStatus),
        fleet_sid=st.sampled_from([None, *(fleet.sid for fleet in FLEETS.values())]),
        window=windows(sim),
        limit=LIMITS,
    )
    def look(
        self,
        *,
        account_sid: str,
        number: int,
        name: str | None,
        status: SimStatus | None,
        fleet_sid: str | None,
        window: PageWindow,
        limit: int,
    ) -> None:
        now, which = self.now, {"status": status, "fleet_sid": fleet_sid}
        self.add(
            Part(
                lambda tx: (
                    tx.supersim.sims.find(account_sid, sim(number).sid),
                    tx.supersim.sims.find(account_sid, name or ""),
                    tx.supersim.sims.get(sim(number).sid),
                    tx.supersim.sims.first({"iccid": sim(number).iccid}),
                    tx.supersim.sims.first({"device_ip": sim(number).device_ip, "status": status}),
                    tx.supersim.sim_updates.get(sim(number).sid),
                    tx.tasks.claim(now, limit=limit),
                    or_refused(lambda: tx.supersim.sims.page(account_sid, which, window)),
                )
            )
        )


def _is_taken(tx: Transaction, account_sid: str, name: str | None) -> bool:
    return name is not None and tx.supersim.sims.find(account_sid, name) is not None


# This takes some seconds, and much longer on a busy machine.
@pytest.mark.timeout(300)
class TestSimsInBothStores(SimsInBothStores.TestCase):
    settings = settings(max_examples=30, stateful_step_count=60, deadline=None)
