"""Stores the sessions of the console, and links that are opened without signing in."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from ringback.core.accounts.console_session import ConsoleSession
from ringback.core.accounts.shared_link import SharedLink
from ringback.stores.sql.field_columns import to_us
from ringback.stores.sql.record_tables import RowMapping, SqlRecords, SqlTable
from ringback.stores.sql.write_batch import WriteBatch

_SESSIONS: Final = RowMapping("console_sessions", ConsoleSession)
_LINKS: Final = RowMapping("shared_links", SharedLink)


class SqlConsoleSessions(SqlTable[ConsoleSession]):
    """Implements `ports.ConsoleSessions`."""

    def __init__(self, session: WriteBatch) -> None:
        super().__init__(session, _SESSIONS)

    def note_uses(self, last: Mapping[str, datetime]) -> None:
        for token_hash, at in last.items():
            self._session.write(
                "UPDATE console_sessions SET last_used_us = ?"
                " WHERE token_hash = ? AND last_used_us < ?",
                [to_us(at), token_hash, to_us(at)],
            )

    def remove_of(self, credential: str) -> None:
        self._session.write("DELETE FROM console_sessions WHERE credential = ?", [credential])

    def remove_oldest_of(self, credential: str, *, keep: int, limit: int) -> int:
        removed = self._session.write(
            "DELETE FROM console_sessions WHERE seq IN (SELECT seq FROM console_sessions"
            " WHERE credential = ? ORDER BY seq DESC LIMIT ? OFFSET ?)",
            (credential, limit, keep),
        )
        return removed.rowcount

    def remove_unused_since(self, instant: datetime, *, limit: int) -> int:
        removed = self._session.write(
            "DELETE FROM console_sessions WHERE seq IN (SELECT seq FROM console_sessions"
            " WHERE last_used_us < ? ORDER BY last_used_us LIMIT ?)",
            (to_us(instant), limit),
        )
        return removed.rowcount


class SqlSharedLinks(SqlRecords[SharedLink]):
    """Implements `ports.SharedLinks`."""

    def __init__(self, session: WriteBatch) -> None:
        super().__init__(session, _LINKS)

    def remove_expired_before(self, instant: datetime, *, limit: int) -> int:
        rows = self._session.read(
            "SELECT sid FROM shared_links WHERE expires_us < ? ORDER BY expires_us LIMIT ?",
            (to_us(instant), limit),
        ).fetchall()
        for row in rows:
            self.remove(row["sid"])
        return len(rows)
