"""The tables of both SIM products."""

from typing import Protocol

from ringback.core.supersim.command import IpCommand, SmsCommand
from ringback.core.supersim.esim_profile import EsimProfile
from ringback.core.supersim.fleet import Fleet, NetworkAccessProfile
from ringback.core.supersim.settings_update import SettingsUpdate
from ringback.core.supersim.sim import SuperSim
from ringback.core.supersim.sim_update import SuperSimUpdate
from ringback.core.supersim.usage import BillingPeriod, SuperSimDataSession
from ringback.core.wireless.command import WirelessCommand
from ringback.core.wireless.data_session import WirelessDataSession
from ringback.core.wireless.rate_plan import RatePlan
from ringback.core.wireless.sim import WirelessSim
from ringback.core.wireless.sim_update import WirelessSimUpdate
from ringback.core.wireless.usage import CommandCount, CommandUsage, WirelessUsageQuery
from ringback.ports.records import DataFlows, NamedRecords, PendingUpdates, Records


class SuperSimTables(Protocol):
    """What accounts have of Super SIM."""

    @property
    def access_profiles(self) -> NamedRecords[NetworkAccessProfile]:
        """The Network Access Profiles."""
        ...

    @property
    def fleets(self) -> NamedRecords[Fleet]:
        """The fleets."""
        ...

    @property
    def sims(self) -> NamedRecords[SuperSim]:
        """The SIMs."""
        ...

    @property
    def sim_updates(self) -> PendingUpdates[SuperSimUpdate]:
        """The changes of SIMs that are being carried out."""
        ...

    @property
    def sms_commands(self) -> Records[SmsCommand]:
        """The SMS Commands."""
        ...

    @property
    def ip_commands(self) -> Records[IpCommand]:
        """The IP Commands."""
        ...

    @property
    def esim_profiles(self) -> Records[EsimProfile]:
        """The eSIM Profiles."""
        ...

    @property
    def settings_updates(self) -> Records[SettingsUpdate]:
        """The Settings Updates."""
        ...

    @property
    def billing_periods(self) -> Records[BillingPeriod]:
        """The Billing Periods."""
        ...

    @property
    def sessions(self) -> DataFlows[SuperSimDataSession]:
        """The data sessions."""
        ...


class CommandUsageTable(Protocol):
    """Which Commands went to devices and came from them."""

    def add(self, use: CommandUsage) -> None:
        """Keep one more."""
        ...

    def tally(
        self, account_sid: str, sim_sid: str | None, question: WirelessUsageQuery
    ) -> list[CommandCount]:
        """Return how many there were of an account, or of one SIM, by period, network and way."""
        ...


class WirelessTables(Protocol):
    """What accounts have of Programmable Wireless."""

    @property
    def rate_plans(self) -> NamedRecords[RatePlan]:
        """The rate plans."""
        ...

    @property
    def sims(self) -> NamedRecords[WirelessSim]:
        """The SIMs."""
        ...

    @property
    def sim_updates(self) -> PendingUpdates[WirelessSimUpdate]:
        """The changes of SIMs that are waited for, or carried out."""
        ...

    @property
    def commands(self) -> Records[WirelessCommand]:
        """The Commands."""
        ...

    @property
    def command_uses(self) -> CommandUsageTable:
        """Which Commands went to devices and came from them."""
        ...

    @property
    def sessions(self) -> DataFlows[WirelessDataSession]:
        """The Data Sessions."""
        ...
