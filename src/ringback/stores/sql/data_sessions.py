"""Stores the Data Sessions of SIMs, and finds those in a period."""

from datetime import datetime

from ringback.ports import F, FieldFilter, PageWindow, RecordPage
from ringback.stores.sql.field_columns import maybe_to_us, to_us
from ringback.stores.sql.record_tables import SqlTable


class SqlDataSessions(SqlTable[F]):
    """Implements `ports.DataSessions` for a table with the columns `created_us` and `ended_us`.

    The table needs an index, named with `_ending`, that orders the sessions of each SIM by their
    end.
    """

    def end(self, sid: str, at: datetime | None) -> None:
        self._session.write(
            f"UPDATE {self._mapping.table} SET ended_us = ? WHERE sid = ?", (maybe_to_us(at), sid)
        )

    def of_sim(self, sim_sid: str, *, since: datetime) -> list[F]:
        # Two parts, so that the index finds the few open sessions without reading those that ended.
        own = f"SELECT * FROM {self._mapping.table} INDEXED BY {self._mapping.table}_ending"
        rows = self._session.read(
            f"{own} WHERE sim_sid = ? AND ended_us IS NULL"
            f" UNION ALL {own} WHERE sim_sid = ? AND ended_us > ? ORDER BY seq",
            (sim_sid, sim_sid, to_us(since)),
        )
        return [self._mapping.read(row) for row in rows]

    def between(
        self,
        account_sid: str,
        which: FieldFilter,
        start: datetime,
        end: datetime,
        window: PageWindow,
    ) -> RecordPage[F]:
        overlapping = [
            ("created_us < ?", to_us(end)),
            ("(ended_us IS NULL OR ended_us > ?)", to_us(start)),
        ]
        return self._listed(account_sid, which, window, overlapping)
