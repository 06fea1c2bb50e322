"""Retention in an SQLite file, from which free pages are removed a few at a time."""

from typing import Final

from ringback.ports import FreeSpace
from ringback.stores.sql.retention import SqlRetention

INCREMENTAL: Final = 2
"""The value of `auto_vacuum` of files that can become smaller without being copied."""


class SqliteRetention(SqlRetention):
    """Implements `ports.Retention` in SQLite."""

    def free_space(self) -> FreeSpace:
        size, pages, free, kind = (
            self._session.read(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_size", "page_count", "freelist_count", "auto_vacuum")
        )
        return FreeSpace(pages * size, free * size, can_shrink=kind == INCREMENTAL)

    def give_back(self, most: int) -> None:
        (size,) = self._session.read("PRAGMA page_size").fetchone()
        # Each row of the result is a page that was removed. The file itself becomes smaller when
        # the write-ahead log is copied into it.
        self._session.write(f"PRAGMA incremental_vacuum({most // size})").fetchall()
