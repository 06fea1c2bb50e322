"""Stores the pause in which servers send nothing."""

from typing import Final

from ringback.ports import SendingPause
from ringback.stores.sql.field_columns import from_us, to_us
from ringback.stores.sql.write_batch import WriteBatch

BEGIN_PAUSE: Final = (
    "INSERT INTO installation (number, paused_us, paused_reason) VALUES (1, ?, ?)"
    " ON CONFLICT (number) DO UPDATE SET paused_us = excluded.paused_us,"
    " paused_reason = excluded.paused_reason WHERE installation.paused_us IS NULL"
)
"""Begins a pause at a time in microseconds, for a reason, unless there is one already."""


class SqlStoredPause:
    """Implements `ports.StoredPause`, in the one row of the table `installation`."""

    def __init__(self, session: WriteBatch) -> None:
        self._session = session

    def get(self) -> SendingPause | None:
        row = self._session.read(
            "SELECT paused_us, paused_reason FROM installation"
            " WHERE number = 1 AND paused_us IS NOT NULL"
        ).fetchone()
        return row and SendingPause(from_us(row["paused_us"]), row["paused_reason"])

    def begin(self, pause: SendingPause) -> SendingPause:
        self._session.write(BEGIN_PAUSE, (to_us(pause.since), pause.reason))
        return self.get() or pause

    def end(self) -> SendingPause | None:
        ended = self.get()
        self._session.write(
            "UPDATE installation SET paused_us = NULL, paused_reason = NULL WHERE number = 1"
        )
        return ended
