"""The tables of Programmable Wireless in plain dictionaries."""

from collections import Counter
from dataclasses import dataclass, field

from ringback.core.wireless.command import Command
from ringback.core.wireless.data_session import WirelessSession
from ringback.core.wireless.rate_plan import RatePlan
from ringback.core.wireless.sim import WirelessSim
from ringback.core.wireless.sim_update import WirelessUpdate
from ringback.core.wireless.usage import CommandUse, Question, Tally
from tests.memory_store.records import (
    MemoryFlows,
    MemoryNamedRecords,
    MemoryRecords,
    MemoryUpdates,
)


@dataclass
class MemoryCommandUses:
    """Answers `ports.tables.CommandUses`."""

    uses: list[CommandUse] = field(default_factory=list[CommandUse])

    def add(self, use: CommandUse) -> None:
        self.uses.append(use)

    def tally(self, account_sid: str, sim_sid: str | None, question: Question) -> list[Tally]:
        span = question.span or question.end - question.start
        counted = Counter(
            ((use.at - question.start) // span, use.network_sid, use.direction)
            for use in self.uses
            if use.account_sid == account_sid
            and sim_sid in (None, use.sim_sid)
            and question.start <= use.at < question.end
        )
        return [Tally(*key, count) for key, count in sorted(counted.items())]


@dataclass
class MemoryWireless:
    """Answers `ports.WirelessTables`."""

    rate_plans: MemoryNamedRecords[RatePlan] = field(default_factory=MemoryNamedRecords[RatePlan])
    sims: MemoryNamedRecords[WirelessSim] = field(default_factory=MemoryNamedRecords[WirelessSim])
    commands: MemoryRecords[Command] = field(default_factory=MemoryRecords[Command])
    command_uses: MemoryCommandUses = field(default_factory=MemoryCommandUses)
    sim_updates: MemoryUpdates[WirelessUpdate] = field(
        default_factory=MemoryUpdates[WirelessUpdate]
    )
    sessions: MemoryFlows[WirelessSession] = field(default_factory=MemoryFlows[WirelessSession])
