"""The tables of Super SIM in plain dictionaries."""

# Tests look into the tables, so their types are narrower here; nobody replaces them.
# pyright: reportIncompatibleVariableOverride=false

from dataclasses import dataclass, field

from ringback.core.supersim.command import IpCommand, SmsCommand
from ringback.core.supersim.esim_profile import EsimProfile
from ringback.core.supersim.fleet import Fleet, NetworkAccessProfile
from ringback.core.supersim.pending_sim_update import PendingSuperSimUpdate
from ringback.core.supersim.settings_update import OtaSettingsUpdate
from ringback.core.supersim.sim import SuperSim
from ringback.core.supersim.usage import BillingPeriod, SuperSimDataSession
from ringback.ports import SuperSimTables
from tests.memory_store.records import (
    MemoryDataSessions,
    MemoryNamedRecords,
    MemoryRecords,
    MemoryUpdates,
)


@dataclass
class MemorySuperSim(SuperSimTables):
    """The tables of Super SIM, empty at first."""

    access_profiles: MemoryNamedRecords[NetworkAccessProfile] = field(
        default_factory=MemoryNamedRecords[NetworkAccessProfile]
    )
    fleets: MemoryNamedRecords[Fleet] = field(default_factory=MemoryNamedRecords[Fleet])
    sims: MemoryNamedRecords[SuperSim] = field(default_factory=MemoryNamedRecords[SuperSim])
    sim_updates: MemoryUpdates[PendingSuperSimUpdate] = field(
        default_factory=MemoryUpdates[PendingSuperSimUpdate]
    )
    sms_commands: MemoryRecords[SmsCommand] = field(default_factory=MemoryRecords[SmsCommand])
    ip_commands: MemoryRecords[IpCommand] = field(default_factory=MemoryRecords[IpCommand])
    esim_profiles: MemoryRecords[EsimProfile] = field(default_factory=MemoryRecords[EsimProfile])
    settings_updates: MemoryRecords[OtaSettingsUpdate] = field(
        default_factory=MemoryRecords[OtaSettingsUpdate]
    )
    billing_periods: MemoryRecords[BillingPeriod] = field(
        default_factory=MemoryRecords[BillingPeriod]
    )
    sessions: MemoryDataSessions[SuperSimDataSession] = field(
        default_factory=MemoryDataSessions[SuperSimDataSession]
    )
