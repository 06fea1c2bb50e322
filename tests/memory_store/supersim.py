"""The tables of Super SIM in plain dictionaries."""

# Tests look into the tables, so their types are narrower here; nobody replaces them.
# pyright: reportIncompatibleVariableOverride=false

from dataclasses import dataclass, field, replace

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
class MemorySuperSimSessions(MemoryDataSessions[SuperSimDataSession]):
    """Implements `ports.SuperSimSessions`."""

    def note_report(self, session: SuperSimDataSession) -> None:
        self.sessions[session.sid] = replace(
            self.sessions[session.sid],
            reported_until=session.reported_until,
            reported_upload=session.reported_upload,
            reported_download=session.reported_download,
        )

    def followed(self, sim_sid: str) -> list[SuperSimDataSession]:
        own = [session for session in self.sessions.values() if session.sim_sid == sim_sid]
        return [session for session in own if session.reported_until is not None]


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
    sessions: MemorySuperSimSessions = field(default_factory=MemorySuperSimSessions)
