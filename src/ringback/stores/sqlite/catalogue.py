"""Compares the tables of a data file with those that its schema makes, before anything uses them.

A file can be whole by SQLite's checks and still be wrong: somebody may have added a trigger that
changes what is sent, or a tool that copied it may have left out indexes.
"""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Final

from ringback.stores.sql.catalogue import CatalogueDifference, CatalogueEntry, compare
from ringback.stores.sqlite.schema_upgrade import bring_up_to_date, newest, version_of

_COLUMNS: Final = """
    SELECT s.name, c.name, upper(c.type), c."notnull", c.dflt_value, c.pk, c.hidden
    FROM sqlite_schema AS s, pragma_table_xinfo(s.name) AS c WHERE s.type = 'table'
"""
_INDEXES: Final = """
    SELECT s.name, i.name, i.origin, i."unique", iif(i.partial, own.sql, ''),
        group_concat(coalesce(c.name, '?') || ' ' || c.coll || iif(c.desc, ' DESC', ''))
    FROM sqlite_schema AS s, pragma_index_list(s.name) AS i, pragma_index_xinfo(i.name) AS c
    LEFT JOIN sqlite_schema AS own ON own.name = i.name
    WHERE s.type = 'table' AND c.key GROUP BY s.name, i.name
"""
_FOREIGN_KEYS: Final = """
    SELECT s.name, group_concat(f."from"), f."table", group_concat(coalesce(f."to", '')),
        f.on_update, f.on_delete
    FROM sqlite_schema AS s, pragma_foreign_key_list(s.name) AS f
    WHERE s.type = 'table' GROUP BY s.name, f.id
"""
_KINDS: Final = """
    SELECT name, type, wr, strict FROM pragma_table_list WHERE schema = 'main'
"""
_OTHERS: Final = "SELECT type, tbl_name, name, sql FROM sqlite_schema WHERE type <> 'index'"
_OWN: Final = ("sqlite_", "backup_note")
"""How the names begin of tables that SQLite or a backup makes."""
_TOKEN: Final = re.compile(
    r"""--[^\n]*|/\*.*?\*/|\s+|('(?:[^']|'')*')|"((?:[^"]|"")*)"|`([^`]*)`|\[([^\]]*)\]"""
    r"""|([\w$]+|[<>=!|&]+|.)""",
    re.DOTALL,
)
_GROWS: Final = re.compile(r"\bAUTOINCREMENT\b", re.IGNORECASE)
_PLAIN: Final = 0
"""The value of `hidden` of a column that is neither generated nor hidden."""


def difference_of(connection: sqlite3.Connection) -> CatalogueDifference:
    """Return how an open data file differs from what its version of the schema makes.

    Raises ConfigurationError if the schema is newer than this Ringback.
    """
    return compare(_wanted(version_of(connection)), entries_of(connection))


def refuse_altered(path: Path | str, connection: sqlite3.Connection) -> None:
    """Raise ConfigurationError if the open data file lacks something, or has foreign triggers."""
    if version_of(connection):
        difference_of(connection).refuse(f"the data in {path}")


@lru_cache(maxsize=1)
def _wanted(version: int) -> Sequence[CatalogueEntry]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        bring_up_to_date(fresh, until=None if version == newest() else version)
        return entries_of(fresh)


def entries_of(connection: sqlite3.Connection) -> Sequence[CatalogueEntry]:
    """Return the entries of an open file, except those that SQLite makes by itself."""
    with closing(connection.cursor()) as cursor:
        cursor.row_factory = None
        found = [*_read(cursor)]
    return [entry for entry in found if not entry.table.startswith(_OWN)]


def _read(cursor: sqlite3.Cursor) -> Iterator[CatalogueEntry]:
    for table, name, kind, not_null, default, key, hidden in cursor.execute(_COLUMNS):
        what = "column" if hidden == _PLAIN else "generated column"
        told = f"{name} {kind} {not_null} {default} {key}"
        yield CatalogueEntry(what, table, name, told)
    for table, name, origin, unique, sql, columns in cursor.execute(_INDEXES):
        # Statements name these. Those that a table makes by itself have only numbers.
        called = name if origin == "c" else ""
        where = " ".join(_tokens(sql)).partition(" where ")[2]
        yield CatalogueEntry("index", table, name, f"{called} {unique} ({columns}) {where}")
    for table, columns, to, others, *acting in cursor.execute(_FOREIGN_KEYS):
        told = f"({columns}) {to} ({others}) {' '.join(acting)}"
        yield CatalogueEntry("foreign key", table, columns, told)
    kinds = {name: f"{kind} {wr} {strict}" for name, kind, wr, strict in cursor.execute(_KINDS)}
    for kind, table, name, sql in cursor.execute(_OTHERS):
        if kind == "table":
            yield CatalogueEntry(kind, name, name, f"{kinds.get(name)} {bool(_GROWS.search(sql))}")
        else:
            yield CatalogueEntry(kind, table, name, " ".join(_tokens(sql)))


def _tokens(sql: str) -> list[str]:
    """Return the words and signs of a statement, without its comments, spaces and quotes.

    >>> _tokens('CREATE TRIGGER "Gone" AFTER DELETE ON a -- all of them')
    ['create', 'trigger', 'gone', 'after', 'delete', 'on', 'a']
    """
    found = [match.groups(default="") for match in _TOKEN.finditer(sql)]
    parts = [(text, "".join(names).lower()) for text, *names in found]
    return [text or name for text, name in parts if text or name]
