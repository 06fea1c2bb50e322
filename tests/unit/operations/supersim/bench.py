"""A small world of plain tables, in which time passes when a test says so."""

from datetime import datetime, timedelta
from ipaddress import IPv4Network
from typing import Final

from ringback.core.callback_url import CallbackUrl
from ringback.core.errand import Errand
from ringback.core.scenario import Ending, Step
from ringback.core.simulation import Simulation
from ringback.core.supersim.fleet import Fleet
from ringback.core.supersim.sim import Sim, SimStatus
from ringback.core.task import Later
from ringback.operations.life import Life
from ringback.operations.moment import Moment
from ringback.operations.supersim.life_of_sims import follow
from ringback.operations.supersim.sims import UpdateRequest, update_sim
from ringback.ports import CallbackFilter, Window
from ringback.stores.memory import MemoryTransaction
from tests.fakes import (
    ACCOUNT_SID,
    NOW,
    SIM_SID,
    TAKES,
    SeededChance,
    a_fleet,
    a_moment,
    a_profile,
    a_sim,
    an_account,
)

TO: Final = "http://127.0.0.1:9000/commands"
URL: Final = CallbackUrl.parse(TO)
INSTANT: Final = timedelta(microseconds=1)
DAY: Final = timedelta(days=1)
ICCID: Final = "89883070000123456789"


class World:
    """An account with a fleet and a SIM in it; what comes due is done one instant after another."""

    def __init__(
        self,
        sim: Sim | None = None,
        fleet: Fleet | None = None,
        *,
        data_per_day: int = 0,
        devices: str = "100.64.0.0/10",
    ) -> None:
        self.tx = MemoryTransaction()
        self.now = NOW
        self.endings = dict[Step, Ending]()
        """How the network ends steps, whatever the scenario."""
        self.simulation = Simulation(TAKES, IPv4Network(devices), data_per_day=data_per_day)
        self._chance = SeededChance()
        self.tx.accounts.add(an_account(), [])
        self.tx.supersim.access_profiles.add(a_profile())
        self.tx.supersim.fleets.add(fleet or a_fleet())
        self.tx.supersim.sims.add(sim or a_sim(status=SimStatus.NEW))
        follow(self.tx, self.sim, self.moment())

    @property
    def sim(self) -> Sim:
        found = self.tx.supersim.sims.get(SIM_SID)
        assert found is not None
        return found

    def moment(self) -> Moment:
        return a_moment(now=self.now, chance=self._chance, simulation=self.simulation)

    def advance(self, by: timedelta) -> None:
        """Let time pass, and have done whatever comes due meanwhile, in its order."""
        until = self.now + by
        while (due := self.tx.tasks.next_due()) is not None and due <= until:
            self.now = max(self.now, due)
            self.step()
        self.now = until

    def step(self) -> None:
        """Have done what is due now, all at a time, as the loop does it."""
        life = Life(self.moment)
        due = self.tx.tasks.due(self.now, limit=100)
        begun = [(task, life.begin(self.tx, task)) for task in due]
        for task, errand in begun:
            if isinstance(errand, Later):
                self.tx.tasks.put(task._replace(due=errand.until))
                continue
            ending = self._carried_out(errand) if isinstance(errand, Errand) else errand
            if self.tx.tasks.take(task) and ending is not None:
                life.end(self.tx, task, ending)

    def update(self, status: SimStatus | None = None, *, url: CallbackUrl | None = None) -> None:
        """Ask for another status of the SIM."""
        asked = UpdateRequest(status=status, callback_url=url)
        update_sim(self.tx, ACCOUNT_SID, SIM_SID, asked, self.moment())

    def become(self, *statuses: SimStatus) -> None:
        """Give the SIM these statuses, one after the other."""
        for status in statuses:
            self.update(status)
            self.advance(TAKES)
            assert self.sim.status is status

    def told(self) -> list[dict[str, str]]:
        """Return what was told, in its order."""
        newest_first = self.tx.callbacks.page(ACCOUNT_SID, CallbackFilter(), Window(999))
        return [dict(callback.parameters) for callback in newest_first[::-1]]

    def due(self, step: Step, sid: str = SIM_SID) -> datetime | None:
        """Return when a step of the SIM, or of another resource, is due."""
        task = self.tx.tasks.tasks.get((sid, step))
        return None if task is None else task.due

    def _carried_out(self, errand: Errand) -> Ending:
        return self.endings.get(errand.step) or errand.scenario.ending_of(errand.step)
