"""The tables of both SIM products."""

from dataclasses import dataclass
from typing import Protocol

from ringback.core.supersim.command import IpCommand, SmsCommand
from ringback.core.supersim.esim_profile import EsimProfile
from ringback.core.supersim.fleet import Fleet, NetworkAccessProfile
from ringback.core.supersim.pending_sim_update import PendingSuperSimUpdate
from ringback.core.supersim.settings_update import OtaSettingsUpdate
from ringback.core.supersim.sim import SuperSim
from ringback.core.supersim.usage import BillingPeriod, SuperSimDataSession
from ringback.core.wireless.command import WirelessCommand
from ringback.core.wireless.data_session import WirelessDataSession
from ringback.core.wireless.pending_sim_update import PendingWirelessSimUpdate
from ringback.core.wireless.rate_plan import RatePlan
from ringback.core.wireless.sim import WirelessSim
from ringback.core.wireless.usage import CommandCount, MeteredCommand, WirelessUsageQuery
from ringback.ports.record_tables import DataSessions, NamedRecords, Records, RecordTable


@dataclass
class SuperSimTables:
    """What accounts have of Super SIM."""

    access_profiles: NamedRecords[NetworkAccessProfile]
    fleets: NamedRecords[Fleet]
    sims: NamedRecords[SuperSim]
    sim_updates: RecordTable[PendingSuperSimUpdate]
    """Changes that the network is carrying out, by their SIMs: each has at most one."""
    sms_commands: Records[SmsCommand]
    ip_commands: Records[IpCommand]
    esim_profiles: Records[EsimProfile]
    settings_updates: Records[OtaSettingsUpdate]
    billing_periods: Records[BillingPeriod]
    sessions: DataSessions[SuperSimDataSession]


class CommandUsageTable(Protocol):
    """The Commands that count as usage; they stay when the Commands are deleted."""

    def add(self, record: MeteredCommand) -> None:
        """Save one more."""
        ...

    def count(
        self, account_sid: str, sim_sid: str | None, query: WirelessUsageQuery
    ) -> list[CommandCount]:
        """Return the numbers for an account or one of its SIMs, by time, network and direction."""
        ...


@dataclass
class WirelessTables:
    """What accounts have of Programmable Wireless."""

    rate_plans: NamedRecords[RatePlan]
    sims: NamedRecords[WirelessSim]
    sim_updates: RecordTable[PendingWirelessSimUpdate]
    """Changes that wait for the network, or that it is carrying out: at most one of each SIM."""
    commands: Records[WirelessCommand]
    command_uses: CommandUsageTable
    sessions: DataSessions[WirelessDataSession]
