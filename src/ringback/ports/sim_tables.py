"""The tables of the two SIM products, Super SIM and Programmable Wireless."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ringback.ports.record_tables import DataSessions, NamedRecords, Records, RecordTable

if TYPE_CHECKING:
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


class SuperSimSessions(DataSessions["SuperSimDataSession"], Protocol):
    """The table of Super SIMs' Data Sessions, with what event streams have got of each."""

    def note_report(self, session: "SuperSimDataSession") -> None:
        """Save until when event streams have got a session's usage, and how much that was."""
        ...

    def followed(self, sim_sid: str) -> "list[SuperSimDataSession]":
        """Return a SIM's sessions that event streams follow, oldest first."""
        ...


@dataclass
class SuperSimTables:
    """The tables of all accounts' Super SIM resources."""

    access_profiles: "NamedRecords[NetworkAccessProfile]"
    fleets: "NamedRecords[Fleet]"
    sims: "NamedRecords[SuperSim]"
    sim_updates: "RecordTable[PendingSuperSimUpdate]"
    """Changes that the network is carrying out, by SIM: at most one for each SIM."""
    sms_commands: "Records[SmsCommand]"
    ip_commands: "Records[IpCommand]"
    esim_profiles: "Records[EsimProfile]"
    settings_updates: "Records[OtaSettingsUpdate]"
    billing_periods: "Records[BillingPeriod]"
    sessions: SuperSimSessions


class CommandUsageTable(Protocol):
    """The table of Commands counted as usage; its records stay when the Commands are deleted."""

    def add(self, record: "MeteredCommand") -> None:
        """Save one more Command as usage."""
        ...

    def count(
        self, account_sid: str, sim_sid: str | None, query: "WirelessUsageQuery"
    ) -> "list[CommandCount]":
        """Count the Commands of an account, or of one SIM, by period, network and direction."""
        ...


@dataclass
class WirelessTables:
    """The tables of all accounts' Programmable Wireless resources."""

    rate_plans: "NamedRecords[RatePlan]"
    sims: "NamedRecords[WirelessSim]"
    sim_updates: "RecordTable[PendingWirelessSimUpdate]"
    """Changes that wait for the network or that it is carrying out: at most one for each SIM."""
    commands: "Records[WirelessCommand]"
    command_uses: CommandUsageTable
    sessions: "DataSessions[WirelessDataSession]"
