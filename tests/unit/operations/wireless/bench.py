"""A Programmable Wireless account in memory, whose time passes only when a test advances it."""

from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import Final

from ringback.core.callback_urls.callback_target import NO_TARGET, CallbackTarget
from ringback.core.sims.scenario import NetworkScenario, TaskKind
from ringback.core.sims.simulated_network import SimulationSettings
from ringback.core.wireless.command import WirelessCommand
from ringback.core.wireless.rate_plan import RatePlan, RoamingZone, zone_of
from ringback.core.wireless.sim import CONNECTED, FINAL, WirelessSim, WirelessStatus
from ringback.operations.scenario_selection import choose_scenario
from ringback.operations.wireless.commands import NewWirelessCommand, send_command
from ringback.operations.wireless.device_actions import transfer_data
from ringback.operations.wireless.sim_lifecycle import follow
from ringback.operations.wireless.sims import WirelessUpdateRequest, update_sim
from tests.fakes import ACCOUNT_SID, NOW, TAKES, a_context
from tests.unit.operations.worlds import TimedWorld
from tests.wireless_fakes import WIRELESS_SIM_SID, a_rate_plan, a_target, a_wireless_sim

THEIRS: Final = "AC" + "f" * 32
OTHER_SIM: Final = "DE" + "e" * 32
OTHER_PLAN: Final = "WP" + "d" * 32
ASKS_URL: Final = "http://127.0.0.1:9000/asks"
ASKS: Final = a_target(ASKS_URL)


class World(TimedWorld):
    """An account with a rate plan and a SIM."""

    def __init__(
        self, sim: WirelessSim | None = None, plan: RatePlan | None = None, *, data_per_day: int = 0
    ) -> None:
        super().__init__(data_per_day=data_per_day)
        self.tx.wireless.rate_plans.add(plan or a_rate_plan())
        self.tx.wireless.sims.add(sim or sim_that_is(WirelessStatus.NEW))
        follow(self.tx, self.sim, self.context())

    @property
    def sim(self) -> WirelessSim:
        found = self.tx.wireless.sims.get(WIRELESS_SIM_SID)
        assert found is not None
        return found

    def update(
        self,
        status: WirelessStatus | None = None,
        *,
        rate_plan: str | None = None,
        resets: bool = False,
        told: CallbackTarget = NO_TARGET,
    ) -> WirelessSim:
        """Request another status or plan of the SIM, or a reset."""
        asked = WirelessUpdateRequest(status=status, rate_plan=rate_plan, resets=resets, told=told)
        return update_sim(self.tx, ACCOUNT_SID, WIRELESS_SIM_SID, asked, self.context())

    def become(self, *statuses: WirelessStatus) -> None:
        """Give the SIM these statuses, one after the other."""
        for status in statuses:
            self.update(status)
            self.advance(TAKES)
            assert self.sim.status is status

    def send(self, text: str = "wake up", *, told: CallbackTarget = NO_TARGET) -> WirelessCommand:
        """Send a Command to the SIM's device."""
        new = NewWirelessCommand(WIRELESS_SIM_SID, text, told=told)
        return send_command(self.tx, ACCOUNT_SID, new, self.context())

    def command(self) -> WirelessCommand:
        """Return the only Command in the store."""
        (command,) = self.tx.wireless.commands.records.values()
        return command

    def use(self, upload: int, download: int = 0) -> None:
        """Let the SIM's device use data."""
        transfer_data(self.tx, self.sim, upload=upload, download=download, context=self.context())

    def choose(self, scenario: NetworkScenario | None) -> None:
        """Choose how the simulated network behaves for the SIM."""
        choose_scenario(
            self.tx, ACCOUNT_SID, sim=WIRELESS_SIM_SID, scenario=scenario, context=a_context()
        )

    def due(self, step: TaskKind, sid: str = WIRELESS_SIM_SID) -> datetime | None:
        """Return when a step of the SIM, or of another resource, is due."""
        return self.due_of(step, sid)

    def reported_where(self) -> list[tuple[str, str]]:
        """Return the paths and statuses of the callbacks about SIMs, in order."""
        return [
            (callback.url.wire, dict(callback.parameters)["SimStatus"])
            for callback in self.callbacks()
        ]


def sim_that_is(status: WirelessStatus, *, iccid: str | None = None) -> WirelessSim:
    """Return a SIM that has this status from now on, with all that follows from it."""
    sim = a_wireless_sim(
        status=status,
        status_since=NOW if status in FINAL else None,
        metered_since=NOW if status in CONNECTED else None,
    )
    return sim if iccid is None else replace(sim, iccid=iccid)


def a_card_in(zone: RoamingZone, plan: RatePlan) -> str:
    """Return the ICCID of a card whose network under this plan is in a zone."""
    simulation = SimulationSettings(TAKES)
    cards = (f"890134{number:013}" for number in count())
    return next(
        card for card in cards if zone_of(simulation.network_for(card, plan.networks)) is zone
    )
