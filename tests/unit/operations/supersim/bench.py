"""A Super SIM account in memory, whose time passes only when a test advances it."""

from datetime import datetime
from typing import Final

from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.sims.scenario import TaskKind
from ringback.core.supersim.fleet import Fleet
from ringback.core.supersim.sim import SimStatus, SuperSim
from ringback.operations.supersim.sim_lifecycle import follow
from ringback.operations.supersim.sims import SuperSimUpdateRequest, update_sim
from tests.fakes import ACCOUNT_SID, SIM_SID, TAKES, a_fleet, a_profile, a_sim
from tests.unit.operations.worlds import TimedWorld

TO: Final = "http://127.0.0.1:9000/commands"
URL: Final = CallbackUrl.parse(TO)
ICCID: Final = "89883070000123456789"


class World(TimedWorld):
    """An account with a fleet and a SIM in it."""

    def __init__(
        self,
        sim: SuperSim | None = None,
        fleet: Fleet | None = None,
        *,
        data_per_day: int = 0,
        devices: str = "100.64.0.0/10",
    ) -> None:
        super().__init__(data_per_day=data_per_day, devices=devices)
        self.tx.supersim.access_profiles.add(a_profile())
        self.tx.supersim.fleets.add(fleet or a_fleet())
        self.tx.supersim.sims.add(sim or a_sim(status=SimStatus.NEW))
        follow(self.tx, self.sim, self.context())

    @property
    def sim(self) -> SuperSim:
        found = self.tx.supersim.sims.get(SIM_SID)
        assert found is not None
        return found

    def update(self, status: SimStatus | None = None, *, url: CallbackUrl | None = None) -> None:
        """Request another status of the SIM."""
        asked = SuperSimUpdateRequest(status=status, callback=CallbackTarget(url))
        update_sim(self.tx, ACCOUNT_SID, SIM_SID, asked, self.context())

    def become(self, *statuses: SimStatus) -> None:
        """Give the SIM these statuses, one after the other."""
        for status in statuses:
            self.update(status)
            self.advance(TAKES)
            assert self.sim.status is status

    def due(self, step: TaskKind, sid: str = SIM_SID) -> datetime | None:
        """Return when a step of the SIM, or of another resource, is due."""
        return self.due_of(step, sid)
