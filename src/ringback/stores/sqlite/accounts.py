"""Accounts and API keys in SQLite."""

import sqlite3
from collections.abc import Sequence

from ringback.core.account import Account, ApiKey
from ringback.stores.sqlite.columns import from_us, to_us


class SqliteAccounts:
    """Answers `ports.Accounts`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, account: Account, keys: Sequence[ApiKey]) -> None:
        self._connection.execute(
            "INSERT INTO accounts VALUES (?, ?, ?, ?, ?, ?)",
            (
                account.sid,
                account.name,
                account.auth_token,
                account.kore_secret,
                account.uses_static_proxy,
                to_us(account.date_created),
            ),
        )
        for key in keys:
            self._connection.execute(
                "INSERT INTO api_keys VALUES (?, ?, ?)", (key.sid, key.account_sid, key.secret)
            )

    def get(self, sid: str) -> Account | None:
        row = self._connection.execute("SELECT * FROM accounts WHERE sid = ?", [sid]).fetchone()
        return row and read_account(row)

    def save(self, account: Account) -> None:
        self._connection.execute(
            "UPDATE accounts SET name = ?, auth_token = ?, kore_secret = ?, uses_static_proxy = ?"
            " WHERE sid = ?",
            (
                account.name,
                account.auth_token,
                account.kore_secret,
                account.uses_static_proxy,
                account.sid,
            ),
        )

    def key(self, sid: str) -> ApiKey | None:
        row = self._connection.execute("SELECT * FROM api_keys WHERE sid = ?", [sid]).fetchone()
        return row and ApiKey(**row)

    def keys_of(self, account_sid: str) -> list[ApiKey]:
        rows = self._connection.execute(
            "SELECT * FROM api_keys WHERE account_sid = ? ORDER BY rowid", [account_sid]
        )
        return [ApiKey(**row) for row in rows]


def read_account(row: sqlite3.Row) -> Account:
    """Return the account that a row holds."""
    return Account(
        sid=row["sid"],
        name=row["name"],
        auth_token=row["auth_token"],
        kore_secret=row["kore_secret"],
        uses_static_proxy=bool(row["uses_static_proxy"]),
        date_created=from_us(row["created_us"]),
    )
