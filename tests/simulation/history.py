"""A database with a history: made once by SQL in each process, then copied for each run.

A million rows take two seconds to make, half a second to copy, and 325 MB of disk. The files are
unlinked as soon as they are open, so nothing is left of them, however a process ends.
"""

import shutil
import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Final

OWNER: Final = f"AC{1:032}"
"""The account that the old callbacks belong to; it is added later."""
_OWNER_ID: Final = 2
"""The number that the account gets, since it is the second one."""
# A month older than the start of the simulation; one in fifty has failed.
_ROWS: Final = (
    "INSERT INTO lanes VALUES (1, :owner, 'http://old.example:80')",
    """
    INSERT INTO callback_targets (id, account_sid, url, warnings, method, source, source_reason,
        is_test)
    VALUES (1, :owner, 'http://old.example/', '[]', 'POST', 'twilio', 'made up', 0)
    """,
    """
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers LIMIT :count)
    INSERT INTO callbacks (id, sid, account_id, lane_id, target_id, created_us, idempotency_token,
        body)
    SELECT n, format('CB%032x', n), :owner_id, 1, 1, 1726000000000000 + n * 1000,
        format('%x', n), 'A=1'
    FROM numbers
    """,
    """
    INSERT INTO outcomes (id, account_id, status, attempt_count, round_number, updated_us)
    SELECT id, account_id, CASE id % 50 WHEN 0 THEN 2 ELSE 1 END, 1, 0, created_us FROM callbacks
    """,
)


def copy_of_history(empty: sqlite3.Connection, count: int) -> sqlite3.Connection:
    """Return a copy of the empty database, with this many ended callbacks."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "copy.db")
        original = _original(empty, count)
        original.seek(0)
        with path.open("wb") as copy:
            shutil.copyfileobj(original, copy, 1 << 20)
        return _open(path)


@cache
def _original(empty: sqlite3.Connection, count: int) -> IO[bytes]:
    with TemporaryDirectory() as folder:
        path = Path(folder, "history.db")
        with closing(_open(path)) as connection:
            empty.backup(connection)
            _fill(connection, count)
        return path.open("rb")


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, cached_statements=256)
    connection.execute("PRAGMA journal_mode = MEMORY")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def _fill(connection: sqlite3.Connection, count: int) -> None:
    """Write the rows first and their indexes afterwards, which is several times as fast."""
    indexes = connection.execute(
        "SELECT name, sql FROM sqlite_master"
        " WHERE type = 'index' AND tbl_name IN ('callbacks', 'outcomes') AND sql IS NOT NULL"
    ).fetchall()
    connection.execute("BEGIN")
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    for statement in _ROWS:
        connection.execute(statement, {"count": count, "owner": OWNER, "owner_id": _OWNER_ID})
    for _, statement in indexes:
        connection.execute(statement)
    connection.execute("COMMIT")
