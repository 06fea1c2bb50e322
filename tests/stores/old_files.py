"""Data files as an older Ringback wrote them."""

import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from itertools import groupby, product
from operator import itemgetter
from pathlib import Path
from typing import Final

from ringback.core.accounts.account import Account
from ringback.core.accounts.webhook_secret import AccountWebhookSecrets
from ringback.stores.sql.field_columns import to_us
from ringback.stores.sqlite.migration_functions import (
    FUNCTIONS,
    DeviceAddressBackfill,
    id_of_secret,
)
from ringback.stores.sqlite.schema_upgrade import pending_migrations
from tests.fakes import NOW
from tests.stores.records import OURS, account, callback

NOW_US = to_us(NOW)
NEWEST = pending_migrations(0)[-1].version
"""The newest schema version."""

_UNDONE_BY: Final = {
    12: "DROP TABLE policy_versions",
    13: "DROP TABLE data_copies",
    14: "DROP TABLE audit; ALTER TABLE api_keys DROP COLUMN role;"
    " ALTER TABLE api_keys DROP COLUMN ended_us; ALTER TABLE api_keys DROP COLUMN last_used_us",
    15: "DROP TABLE counters",
    16: "DROP TABLE jobs",
    17: "DROP TABLE retention_times; DROP INDEX outcomes_ended",
    18: "DROP TABLE installation",
    19: "; ".join(
        f"ALTER TABLE {table} DROP COLUMN {column}"
        for tables, columns in (
            ("callback_targets sms_commands ip_commands esim_profiles commands", "created_by"),
            ("sims wireless_sims", "update_asked_us update_asked_by"),
        )
        for table, column in product(tables.split(), columns.split())
    ),
    20: "ALTER TABLE shadows DROP COLUMN body; ALTER TABLE installation DROP COLUMN fingerprint;"
    " DELETE FROM installation WHERE paused_us IS NULL",
    21: "DROP TABLE plan_lines; DROP INDEX jobs_of_plan; ALTER TABLE jobs DROP COLUMN plan_id;"
    " PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql,"
    " 'account_sid TEXT NOT NULL', 'account_sid TEXT NOT NULL REFERENCES accounts (sid)')"
    " WHERE name = 'jobs'; PRAGMA writable_schema = RESET",
    22: (
        "DROP TABLE destination_settings; DROP TABLE destination_states; DROP TABLE order_heads;"
        " DROP INDEX waiting_in_order; ALTER TABLE waiting DROP COLUMN order_key;"
        " ALTER TABLE waiting DROP COLUMN order_place; ALTER TABLE waiting DROP COLUMN own_due_us;"
        " ALTER TABLE installation DROP COLUMN destinations_revision"
    ),
    23: "DROP TABLE console_sessions; DROP TABLE shared_links",
    24: "DROP TABLE receiver_checks; DROP INDEX jobs_with_plan;"
    " DROP INDEX jobs_with_plan_of_account",
    25: "DROP INDEX data_sessions_followed;"
    " ALTER TABLE data_sessions DROP COLUMN reported_until_us;"
    " ALTER TABLE data_sessions DROP COLUMN reported_upload;"
    " ALTER TABLE data_sessions DROP COLUMN reported_download;"
    " DROP TABLE stream_sinks; DROP TABLE stream_subscriptions; DROP TABLE stream_events;"
    " DROP TABLE stream_pending; DROP TABLE stream_batches;"
    " ALTER TABLE callback_targets DROP COLUMN stream_sid",
    26: "DROP INDEX audit_of_sign_ins",
}
"""The statements that undo each migration since schema 11."""


def go_back(path: Path, *, schema: int) -> None:
    """Make a file of this schema, which is 11 or later, of one with the newest schema."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for version in range(NEWEST, schema, -1):
            connection.executescript(_UNDONE_BY[version])
        connection.execute(f"PRAGMA user_version = {schema}")


def write_old_file(path: Path, *, schema: int) -> Path:
    """Make a data file with this schema version and one account."""
    # Schema 5 moved the secrets that an account signs with; older schemas have them in its row.
    _migrate(path, until=min(schema, 4))
    insert_account(path, OURS)
    _migrate(path, until=schema)
    return path


def _migrate(path: Path, *, until: int) -> None:
    steps = pending_migrations(schema_of(path))
    with closing(sqlite3.connect(path)) as connection:
        for function in FUNCTIONS:
            count = function.__code__.co_argcount
            connection.create_function(function.__name__, count, function)
        connection.create_function("device_ip_of", 1, DeviceAddressBackfill().device_ip_of)
        for step in steps:
            if step.version <= until:
                connection.executescript(f"{step.sql}; PRAGMA user_version = {step.version};")


def upgraded(account_sid: str = OURS) -> Account:
    """Return the account as a newer Ringback reads it: its secret has an id."""
    one = account(account_sid)
    assert one.webhook_secrets.active is not None
    secret_id = id_of_secret(one.sid, to_us(one.date_created))
    secret = replace(one.webhook_secrets.active, id=secret_id)
    return replace(one, webhook_secrets=AccountWebhookSecrets(secret))


def insert_account(path: Path, account_sid: str) -> None:
    one = account(account_sid)
    insert(
        path,
        "accounts",
        sid=one.sid,
        name=one.name,
        auth_token=one.auth_token,
        kore_secret=one.kore_secret,
        uses_static_proxy=0,
        created_us=NOW_US,
    )


def insert_callback(path: Path, number: int, **changed: object) -> None:
    """Write the row of a waiting callback, with the columns that schema 1 has."""
    one = callback(number)
    given: dict[str, object] = {
        "sid": one.sid,
        "account_sid": OURS,
        "url": one.url.configured,
        "credentials": None,
        "warnings": "[]",
        "method": "POST",
        "body": one.body,
        "source": "kore",
        "source_asked": "kore",
        "source_reason": one.source_reason,
        "idempotency_token": one.idempotency_token,
        "status": "scheduled",
        "status_reason": None,
        "attempt_count": 0,
        "due_us": NOW_US,
        "round_attempts": 0,
        "round_began_us": None,
        "created_us": NOW_US,
        "updated_us": NOW_US,
    }
    insert(path, "callbacks", **(given | changed))


def insert(path: Path, table: str, **values: object) -> None:
    """Write one row into a table of the old file."""
    insert_many(path, table, [values])


def insert_many(path: Path, table: str, rows: list[dict[str, object]]) -> None:
    """Write rows with the same columns into a table of the old file."""
    names, marks = ", ".join(rows[0]), ", ".join("?" * len(rows[0]))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            f"INSERT INTO {table} ({names}) VALUES ({marks})",  # noqa: S608 (both names are ours)
            [tuple(row.values()) for row in rows],
        )


def schema_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    return version


def definitions_of(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """Return the words of all definitions by table, of its indexes and triggers in their order."""
    found = connection.execute(
        "SELECT tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY tbl_name, rowid"
    ).fetchall()
    return {
        table: [" ".join(re.findall(r'\w+|[^\s\w"]', sql)) for _, sql in each]
        for table, each in groupby(found, key=itemgetter(0))
    }
