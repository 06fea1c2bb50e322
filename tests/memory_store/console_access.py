"""The sessions of the console, and links, in plain dictionaries."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from ringback.core.accounts.console_session import ConsoleSession
from ringback.core.accounts.shared_link import SharedLink
from ringback.ports import FieldFilter
from tests.memory_store.records import MemoryRecords, has


@dataclass
class MemoryConsoleSessions:
    """Implements `ports.ConsoleSessions`."""

    sessions: dict[str, ConsoleSession] = field(default_factory=dict[str, ConsoleSession])

    def add(self, record: ConsoleSession) -> None:
        self.sessions[record.sid] = record

    def get(self, sid: str) -> ConsoleSession | None:
        return self.sessions.get(sid)

    def first(self, which: FieldFilter) -> ConsoleSession | None:
        return next((one for one in self.sessions.values() if has(one, which)), None)

    def remove(self, sid: str) -> None:
        self.sessions.pop(sid, None)

    def note_uses(self, last: Mapping[str, datetime]) -> None:
        for one in list(self.sessions.values()):
            at = last.get(one.token_hash)
            if at is not None and one.date_last_used < at:
                self.sessions[one.sid] = replace(one, date_last_used=at)

    def remove_of(self, credential: str) -> None:
        for one in list(self.sessions.values()):
            if one.credential == credential:
                del self.sessions[one.sid]

    def remove_oldest_of(self, credential: str, *, keep: int, limit: int) -> int:
        own = [one.sid for one in self.sessions.values() if one.credential == credential]
        gone = own[::-1][keep : keep + limit]
        for sid in gone:
            del self.sessions[sid]
        return len(gone)

    def remove_unused_since(self, instant: datetime, *, limit: int) -> int:
        old = [one for one in self.sessions.values() if one.date_last_used < instant]
        for one in sorted(old, key=lambda one: one.date_last_used)[:limit]:
            del self.sessions[one.sid]
        return min(len(old), limit)


@dataclass
class MemorySharedLinks(MemoryRecords[SharedLink]):
    """Implements `ports.SharedLinks`."""

    def remove_expired_before(self, instant: datetime, *, limit: int) -> int:
        old = [one for one in self.records.values() if one.date_expires < instant]
        for one in sorted(old, key=lambda one: one.date_expires)[:limit]:
            self.remove(one.sid)
        return min(len(old), limit)
