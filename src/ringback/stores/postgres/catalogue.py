"""Compares the tables of a database with those that the schema makes.

A dump that was restored in part looks whole to most statements: it lacks indexes, triggers and
constraints, which come last. What the schema makes is in the file `catalogue.txt`: a database that
is in use can't make a fresh schema beside its own. A test compares the file with a fresh database.
"""

from collections.abc import Sequence
from importlib.resources import files
from typing import Final

from ringback.stores.postgres.connections import Connection, execute
from ringback.stores.sql.catalogue import CatalogueDifference, CatalogueEntry, compare

FILE: Final = files("ringback.stores.postgres") / "catalogue.txt"
"""What the schema makes: a line for each entry, with tabs between its fields."""
_NONE: Final = CatalogueDifference((), (), ())
# `named` are the tables, `ours` are they and their partitions. Names of constraints do not matter,
# and those of indexes neither. Triggers that a copy or the exchange of weeks makes are ours.
_READ: Final = """
    WITH place AS (
        SELECT relnamespace AS id FROM pg_class WHERE oid = to_regclass('schema_versions')
    ), named AS (
        SELECT pg_class.* FROM pg_class JOIN place ON relnamespace = place.id
        WHERE relname = ANY(?) AND relkind <> 'i'
    ), children AS (
        SELECT child.*, named.relname AS parent, named.relkind AS kind_of_parent
        FROM pg_inherits JOIN named ON named.oid = inhparent
        JOIN pg_class AS child ON child.oid = inhrelid
    ), ours AS (
        SELECT oid, relname, relrowsecurity, relforcerowsecurity, false AS is_part FROM named
        UNION ALL SELECT oid, relname, relrowsecurity, relforcerowsecurity, true FROM children
    )
    SELECT 'table' AS kind, relname::text, relname::text AS name, concat_ws(
        ' ', relkind, relpersistence, pg_get_partkeydef(oid)
    ) AS properties FROM named
    UNION ALL SELECT CASE attgenerated WHEN '' THEN 'column' ELSE 'generated column' END,
        relname, attname, concat_ws(
            ' ', attname, format_type(atttypid, atttypmod),
            CASE WHEN attnotnull THEN 'not null' END, 'collate ' || nullif(collname, 'default'),
            'identity ' || nullif(attidentity::text, ''), 'default ' || pg_get_expr(adbin, adrelid)
        )
    FROM named JOIN pg_attribute ON attrelid = named.oid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    LEFT JOIN pg_collation ON pg_collation.oid = attcollation
    WHERE attnum > 0 AND NOT attisdropped AND named.relkind <> 'v'
    UNION ALL SELECT CASE contype WHEN 'f' THEN 'foreign key' ELSE 'check' END,
        named.relname, conname, concat_ws(
            ' ', CASE WHEN NOT convalidated THEN 'not validated' END, (
                SELECT string_agg(attname, ',' ORDER BY place) FROM pg_attribute
                JOIN unnest(conkey) WITH ORDINALITY AS key (number, place) ON attnum = number
                WHERE attrelid = conrelid
            ), target.relname, (
                SELECT string_agg(attname, ',' ORDER BY place) FROM pg_attribute
                JOIN unnest(confkey) WITH ORDINALITY AS key (number, place) ON attnum = number
                WHERE attrelid = confrelid
            ), CASE contype WHEN 'f' THEN concat(confupdtype, confdeltype, condeferrable) END,
            pg_get_expr(conbin, conrelid)
        )
    FROM named JOIN pg_constraint ON conrelid = named.oid
    LEFT JOIN pg_class AS target ON target.oid = confrelid WHERE contype IN ('f', 'c')
    UNION ALL SELECT 'index', named.relname, own.relname, concat_ws(
        ' ', CASE WHEN NOT indisvalid THEN 'not valid' END, amname,
        CASE WHEN indisprimary THEN 'primary key' WHEN indisunique THEN 'unique' END, (
            SELECT string_agg(concat_ws(
                ' ', pg_get_indexdef(indexrelid, place, false), nullif(indoption[place - 1], 0),
                CASE WHEN NOT opcdefault THEN opcname END, nullif(collname, 'default')
            ), ',' ORDER BY place) FROM generate_series(1, indnkeyatts) AS place
            JOIN pg_opclass ON pg_opclass.oid = indclass[place - 1]
            LEFT JOIN pg_collation ON pg_collation.oid = indcollation[place - 1]
        ), 'and ' || nullif(indnatts - indnkeyatts, 0)::text,
        'where ' || pg_get_expr(indpred, indrelid)
    ) FROM named JOIN pg_index ON indrelid = named.oid JOIN pg_class AS own ON own.oid = indexrelid
    JOIN pg_am ON pg_am.oid = own.relam
    UNION ALL SELECT 'function', proname, proname, concat_ws(
        ' ', pg_get_function_identity_arguments(pg_proc.oid), format_type(prorettype, NULL),
        lanname, provolatile, proisstrict, prosecdef, proconfig, left(encode(sha256(convert_to(
            regexp_replace(regexp_replace(prosrc, '--[^\n]*', '', 'g'), '[[:space:]]+', ' ', 'g'),
        'UTF8')), 'hex'), 16)
    ) FROM pg_proc JOIN place ON pronamespace = place.id
    JOIN pg_language ON pg_language.oid = prolang WHERE proname = ANY(?)
    UNION ALL SELECT CASE WHEN tgisinternal THEN 'disabled trigger' ELSE 'trigger' END,
        relname, tgname, concat_ws(
            ' ', tgname, tgenabled, tgtype, proname, encode(tgargs, 'escape'),
            CASE WHEN pronamespace <> place.id THEN 'elsewhere' END,
            CASE WHEN tgqual IS NOT NULL THEN 'with a condition' END
        )
    FROM ours JOIN pg_trigger ON tgrelid = ours.oid JOIN pg_proc ON pg_proc.oid = tgfoid, place
    WHERE CASE WHEN tgisinternal THEN tgenabled <> 'O' ELSE tgparentid = 0 END
        AND NOT (pronamespace = place.id AND (tgname, proname) IN (
            ('fence', 'refuse_change'), ('note_changes', 'note_retirement_change')
        ))
    UNION ALL SELECT 'rule', relname, rulename, ''
    FROM ours JOIN pg_rewrite ON ev_class = ours.oid WHERE rulename <> '_RETURN'
    UNION ALL SELECT DISTINCT 'view', ours.relname, view.relname, ''
    FROM ours JOIN pg_depend ON refclassid = 'pg_class'::regclass AND refobjid = ours.oid
    JOIN pg_rewrite ON classid = 'pg_rewrite'::regclass AND objid = pg_rewrite.oid
    JOIN pg_class AS view ON view.oid = ev_class AND view.relkind IN ('v', 'm')
    UNION ALL SELECT 'policy', relname, polname, ''
    FROM ours JOIN pg_policy ON polrelid = ours.oid
    UNION ALL SELECT 'row-level security', relname, relname, '' FROM ours
    WHERE relrowsecurity OR relforcerowsecurity
    UNION ALL SELECT 'child table', parent, relname, '' FROM children
    WHERE relkind <> 'r' OR kind_of_parent <> 'p' OR relname !~ ('^' || parent || '_[0-9]{8}$')
"""


def difference_of(connection: Connection, *, is_newer: bool) -> CatalogueDifference:
    """Return how a database differs from what the schema makes.

    With `is_newer`, a newer Ringback has changed the schema: only that one knows what belongs to
    it, and it has left what this version needs.
    """
    if is_newer:
        return _NONE
    expected = wanted()
    functions = {entry.table for entry in expected if entry.kind == "function"}
    tables = {entry.table for entry in expected} - functions
    return compare(expected, entries_of(connection, sorted(tables), sorted(functions)))


def wanted() -> Sequence[CatalogueEntry]:
    """Return the entries that the newest schema makes."""
    lines = FILE.read_text("utf-8").splitlines()
    return [CatalogueEntry(*line.split("\t")) for line in lines]


def entries_of(
    connection: Connection, tables: Sequence[str], functions: Sequence[str]
) -> Sequence[CatalogueEntry]:
    """Return the entries of these tables and functions."""
    rows = execute(connection, _READ, [[*tables], [*functions]], prepare=False)
    return [CatalogueEntry(*row) for row in rows]
