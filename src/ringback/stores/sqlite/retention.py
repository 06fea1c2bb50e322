"""Retention in an SQLite file, whose free pages are given back a few at a time."""

from ringback.ports import FreeSpace
from ringback.stores.sql.retention import SqlRetention

_INCREMENTAL = 2
"""The value of `auto_vacuum` of files that can give back pages without being copied."""


class SqliteRetention(SqlRetention):
    """Implements `ports.Retention` in SQLite."""

    def free_space(self) -> FreeSpace:
        size, pages, free, kind = (
            self._session.read(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_size", "page_count", "freelist_count", "auto_vacuum")
        )
        return FreeSpace(pages * size, free * size, can_shrink=kind == _INCREMENTAL)

    def give_back(self, most: int) -> None:
        (size,) = self._session.read("PRAGMA page_size").fetchone()
        # Each row of the result is a page that was given back. The file itself becomes smaller when
        # the write-ahead log is copied into it.
        self._session.write(f"PRAGMA incremental_vacuum({most // size})").fetchall()
