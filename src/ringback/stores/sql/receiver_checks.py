"""Stores the last quick check of each receiver for each source."""

from collections.abc import Sequence
from datetime import datetime

from ringback.core.accounts.account import EVERY
from ringback.core.policy.receiver_evidence import ReceiverCheck
from ringback.core.policy.source_policy import source_named
from ringback.stores.sql.field_columns import from_us, to_us
from ringback.stores.sql.write_batch import SqlRow, WriteBatch


class SqlReceiverChecks:
    """Implements `ports.ReceiverChecks`."""

    def __init__(self, session: WriteBatch) -> None:
        self._session = session

    def save(self, check: ReceiverCheck) -> None:
        self._session.write(
            "INSERT INTO receiver_checks (account_sid, url, source, checked_us, fault, words)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (account_sid, url, source) DO UPDATE SET"
            " checked_us = excluded.checked_us, fault = excluded.fault, words = excluded.words",
            (
                check.account_sid,
                check.url,
                check.source,
                to_us(check.date),
                check.fault,
                check.words,
            ),
        )

    def of_url(self, account_sid: str, url: str) -> Sequence[ReceiverCheck]:
        rows = self._session.read(
            "SELECT * FROM receiver_checks WHERE account_sid = ? AND url = ? ORDER BY source",
            (account_sid, url),
        )
        return [_read(row) for row in rows.fetchall()]

    def newest(self, account_sid: str, *, limit: int) -> Sequence[ReceiverCheck]:
        whose, values = (
            ("", [limit])
            if account_sid == EVERY
            else ("WHERE account_sid = ? ", [account_sid, limit])
        )
        rows = self._session.read_queued(
            f"SELECT * FROM receiver_checks {whose}"
            "ORDER BY checked_us DESC, account_sid, url, source LIMIT ?",
            values,
        )
        return [_read(row) for row in rows.fetchall()]

    def remove_before(self, instant: datetime, *, limit: int) -> int:
        removed = self._session.write(
            "DELETE FROM receiver_checks WHERE (account_sid, url, source) IN (SELECT account_sid,"
            " url, source FROM receiver_checks WHERE checked_us < ? ORDER BY checked_us LIMIT ?)",
            (to_us(instant), limit),
        )
        return removed.rowcount


def _read(row: SqlRow) -> ReceiverCheck:
    return ReceiverCheck(
        row["account_sid"],
        row["url"],
        source_named(row["source"]),
        from_us(row["checked_us"]),
        row["fault"],
        row["words"],
    )
