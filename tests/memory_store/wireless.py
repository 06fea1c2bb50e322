"""The tables of Programmable Wireless in plain dictionaries."""

# Tests look into the tables, so their types are narrower here; nobody replaces them.
# pyright: reportIncompatibleVariableOverride=false

from collections import Counter
from dataclasses import dataclass, field

from ringback.core.wireless.command import WirelessCommand
from ringback.core.wireless.data_session import WirelessDataSession
from ringback.core.wireless.pending_sim_update import PendingWirelessSimUpdate
from ringback.core.wireless.rate_plan import RatePlan
from ringback.core.wireless.sim import WirelessSim
from ringback.core.wireless.usage import CommandCount, MeteredCommand, WirelessUsageQuery
from ringback.ports import WirelessTables
from tests.memory_store.records import (
    MemoryDataSessions,
    MemoryNamedRecords,
    MemoryRecords,
    MemoryUpdates,
)


@dataclass
class MemoryCommandUses:
    """Implements `ports.CommandUsageTable`."""

    uses: list[MeteredCommand] = field(default_factory=list[MeteredCommand])

    def add(self, record: MeteredCommand) -> None:
        self.uses.append(record)

    def count(
        self, account_sid: str, sim_sid: str | None, query: WirelessUsageQuery
    ) -> list[CommandCount]:
        span = query.span or query.end - query.start
        counted = Counter(
            ((use.at - query.start) // span, use.network_sid, use.direction)
            for use in self.uses
            if use.account_sid == account_sid
            and sim_sid in (None, use.sim_sid)
            and query.start <= use.at < query.end
        )
        return [CommandCount(*key, count) for key, count in sorted(counted.items())]


@dataclass
class MemoryWireless(WirelessTables):
    """The tables of Programmable Wireless, empty at first."""

    rate_plans: MemoryNamedRecords[RatePlan] = field(default_factory=MemoryNamedRecords[RatePlan])
    sims: MemoryNamedRecords[WirelessSim] = field(default_factory=MemoryNamedRecords[WirelessSim])
    commands: MemoryRecords[WirelessCommand] = field(default_factory=MemoryRecords[WirelessCommand])
    command_uses: MemoryCommandUses = field(default_factory=MemoryCommandUses)
    sim_updates: MemoryUpdates[PendingWirelessSimUpdate] = field(
        default_factory=MemoryUpdates[PendingWirelessSimUpdate]
    )
    sessions: MemoryDataSessions[WirelessDataSession] = field(
        default_factory=MemoryDataSessions[WirelessDataSession]
    )
