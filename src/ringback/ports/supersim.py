"""The tables of Super SIM."""

from typing import Protocol

from ringback.core.supersim.access_profile import NetworkAccessProfile
from ringback.core.supersim.billing import BillingPeriod
from ringback.core.supersim.command import IpCommand, SmsCommand
from ringback.core.supersim.esim_profile import EsimProfile
from ringback.core.supersim.fleet import Fleet
from ringback.core.supersim.settings_update import SettingsUpdate
from ringback.core.supersim.sim import Sim
from ringback.core.supersim.sim_update import SimUpdate
from ringback.core.supersim.usage import DataSession
from ringback.ports.records import Flows, NamedRecords, Records, Updates


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
    def sims(self) -> NamedRecords[Sim]:
        """The SIMs."""
        ...

    @property
    def sim_updates(self) -> Updates[SimUpdate]:
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
    def sessions(self) -> Flows[DataSession]:
        """The data sessions."""
        ...
