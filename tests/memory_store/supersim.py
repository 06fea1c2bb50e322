"""The tables of Super SIM in plain dictionaries."""

from dataclasses import dataclass, field

from ringback.core.supersim.command import IpCommand, SmsCommand
from ringback.core.supersim.esim_profile import EsimProfile
from ringback.core.supersim.fleet import Fleet, NetworkAccessProfile
from ringback.core.supersim.settings_update import SettingsUpdate
from ringback.core.supersim.sim import Sim
from ringback.core.supersim.sim_update import SimUpdate
from ringback.core.supersim.usage import BillingPeriod, DataSession
from tests.memory_store.records import (
    MemoryFlows,
    MemoryNamedRecords,
    MemoryRecords,
    MemoryUpdates,
)


@dataclass
class MemorySuperSim:
    """Answers `ports.SuperSimTables`."""

    access_profiles: MemoryNamedRecords[NetworkAccessProfile] = field(
        default_factory=MemoryNamedRecords[NetworkAccessProfile]
    )
    fleets: MemoryNamedRecords[Fleet] = field(default_factory=MemoryNamedRecords[Fleet])
    sims: MemoryNamedRecords[Sim] = field(default_factory=MemoryNamedRecords[Sim])
    sim_updates: MemoryUpdates[SimUpdate] = field(default_factory=MemoryUpdates[SimUpdate])
    sms_commands: MemoryRecords[SmsCommand] = field(default_factory=MemoryRecords[SmsCommand])
    ip_commands: MemoryRecords[IpCommand] = field(default_factory=MemoryRecords[IpCommand])
    esim_profiles: MemoryRecords[EsimProfile] = field(default_factory=MemoryRecords[EsimProfile])
    settings_updates: MemoryRecords[SettingsUpdate] = field(
        default_factory=MemoryRecords[SettingsUpdate]
    )
    billing_periods: MemoryRecords[BillingPeriod] = field(
        default_factory=MemoryRecords[BillingPeriod]
    )
    sessions: MemoryFlows[DataSession] = field(default_factory=MemoryFlows[DataSession])
