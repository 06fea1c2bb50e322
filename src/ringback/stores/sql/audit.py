"""Stores audit entries: who changed what."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from ringback.core.audit import AuditEntry, seq_of, sid_of
from ringback.core.errors import PageNotFound
from ringback.ports import AuditFilter, PageWindow, RecordPage
from ringback.stores.sql.field_columns import maybe_to_us, to_us
from ringback.stores.sql.pagination import PageRange, read_part
from ringback.stores.sql.record_tables import RowMapping
from ringback.stores.sql.write_batch import WriteBatch

_ENTRIES: Final = RowMapping("audit", AuditEntry, "subject", "actor")


class SqlAuditLog:
    """Implements `ports.AuditLog`."""

    def __init__(self, session: WriteBatch) -> None:
        self._session = session

    def add(self, entry: AuditEntry) -> None:
        seq = self._session.new_seq()
        if seq is None:
            # Accounts see the numbers, which must not show how many entries others have.
            (last,) = self._session.read("SELECT coalesce(max(seq), 0) FROM audit").fetchone()
            seq = max(to_us(entry.date_created), last + 1)
        self._session.write(_ENTRIES.insert, _ENTRIES.values(replace(entry, seq=seq), None))

    def page(
        self, account_sid: str, which: AuditFilter, window: PageWindow
    ) -> RecordPage[AuditEntry]:
        # The place of a page is in the SID itself, so that it may begin at a removed entry.
        edge, is_backwards = window.after or window.before, window.before is not None
        place = None if edge is None else seq_of(edge)
        if edge is not None and place is None:
            raise PageNotFound(edge)
        # The plus keeps the database from the index by time, whose rows it would have to sort.
        period = (
            ("+created_us >= ?", maybe_to_us(which.since)),
            ("+created_us < ?", maybe_to_us(which.until)),
        )
        fields = {
            "subject": which.subject,
            "actor": which.actor,
            "actor_kind": which.actor_kind,
            "action": which.action,
        }
        listing = replace(_ENTRIES.listing(account_sid, fields, period), sid="seq")
        part = PageRange(window.size, window.examining, place, is_ascending=is_backwards)
        rows, stopped_at = read_part(self._session.read, listing, part)
        entries = map(_ENTRIES.read, rows[::-1] if is_backwards else rows)
        return RecordPage(entries, None if stopped_at is None else sid_of(stopped_at))

    def remove_sign_ins_before(self, instant: datetime, *, limit: int) -> int:
        # The actions are literals, as in the index `audit_of_sign_ins`, which could not serve else.
        removed = self._session.write(
            "DELETE FROM audit WHERE seq IN (SELECT seq FROM audit"
            " WHERE action IN ('SignIn', 'SignOut') AND created_us < ?"
            " ORDER BY created_us LIMIT ?)",
            (to_us(instant), limit),
        )
        return removed.rowcount

    def remove_before(self, instant: datetime, *, limit: int) -> int:
        removed = self._session.write(
            "DELETE FROM audit WHERE seq IN (SELECT seq FROM audit WHERE created_us < ?"
            " ORDER BY created_us LIMIT ?)",
            (to_us(instant), limit),
        )
        return removed.rowcount
