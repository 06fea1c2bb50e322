"""The audit entries, in a plain dictionary."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count

from ringback.core.accounts.account import EVERY
from ringback.core.audit import SIGN_INS, AuditEntry, seq_of
from ringback.core.errors import PageNotFound
from ringback.ports import AuditFilter, PageWindow, RecordPage
from tests.memory_store.records import first_of


@dataclass
class MemoryAuditLog:
    """Implements `ports.AuditLog`."""

    entries: dict[int, AuditEntry] = field(default_factory=dict[int, AuditEntry])
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def add(self, entry: AuditEntry) -> None:
        seq = next(self.numbers)
        self.entries[seq] = replace(entry, seq=seq)

    def page(
        self, account_sid: str, which: AuditFilter, window: PageWindow
    ) -> RecordPage[AuditEntry]:
        own = [one for one in self.entries.values() if account_sid in (EVERY, one.account_sid)]
        edge = window.after or window.before
        place = None if edge is None else seq_of(edge)
        if edge is not None and place is None:
            raise PageNotFound(edge)
        if window.before is not None:
            newer = [one for one in own if _seq(one) > (place or 0)]
            page = first_of(newer, lambda one: _fits(one, which), window.size, window.examining)
            return RecordPage(page[::-1], page.stopped_at)
        older = [one for one in own if place is None or _seq(one) < place][::-1]
        return first_of(older, lambda one: _fits(one, which), window.size, window.examining)

    def remove_sign_ins_before(self, instant: datetime, *, limit: int) -> int:
        old = [
            seq
            for seq, one in self.entries.items()
            if one.action in SIGN_INS and one.date_created < instant
        ]
        return self._remove_oldest(old, limit)

    def remove_before(self, instant: datetime, *, limit: int) -> int:
        old = [seq for seq, one in self.entries.items() if one.date_created < instant]
        return self._remove_oldest(old, limit)

    def _remove_oldest(self, old: list[int], limit: int) -> int:
        for seq in sorted(old, key=lambda seq: self.entries[seq].date_created)[:limit]:
            del self.entries[seq]
        return min(len(old), limit)


def _seq(entry: AuditEntry) -> int:
    return entry.seq or 0


def _fits(entry: AuditEntry, which: AuditFilter) -> bool:
    wanted = {name: getattr(which, name) for name in ("actor", "actor_kind", "action", "subject")}
    return (
        all(value in (None, getattr(entry, name)) for name, value in wanted.items())
        and (which.since is None or which.since <= entry.date_created)
        and (which.until is None or entry.date_created < which.until)
    )
