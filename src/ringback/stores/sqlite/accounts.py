"""Accounts and API keys in SQLite."""

import sqlite3
from collections.abc import Sequence

from ringback.core.account import Account, ApiKey
from ringback.core.schedule import Schedule
from ringback.stores.sqlite.columns import from_us, to_us
from ringback.stores.sqlite.session import Session


class SqliteAccounts:
    """Answers `ports.Accounts`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known = dict[str, Account]()

    def forget(self) -> None:
        """Read each account anew; it is read once for all that a commit does."""
        self._known.clear()

    def add(self, account: Account, keys: Sequence[ApiKey]) -> None:
        self._session.write(
            "INSERT INTO accounts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                account.sid,
                account.name,
                account.auth_token,
                account.kore_secret,
                account.uses_static_proxy,
                to_us(account.date_created),
                _write_schedule(account),
                account.parent_sid,
            ),
        )
        for key in keys:
            self._session.write(
                "INSERT INTO api_keys VALUES (?, ?, ?)", (key.sid, key.account_sid, key.secret)
            )

    def get(self, sid: str) -> Account | None:
        if account := self._known.get(sid):
            return account
        row = self._session.read("SELECT * FROM accounts WHERE sid = ?", [sid]).fetchone()
        if row is None:
            return None
        self._known[sid] = account = _read_account(row)
        return account

    def all(self) -> list[Account]:
        rows = self._session.read("SELECT * FROM accounts ORDER BY rowid")
        return [_read_account(row) for row in rows]

    def save(self, account: Account) -> None:
        self._known.clear()
        self._session.write(
            "UPDATE accounts SET name = ?, auth_token = ?, kore_secret = ?, uses_static_proxy = ?,"
            " schedule = ?, parent_sid = ? WHERE sid = ?",
            (
                account.name,
                account.auth_token,
                account.kore_secret,
                account.uses_static_proxy,
                _write_schedule(account),
                account.parent_sid,
                account.sid,
            ),
        )

    def key(self, sid: str) -> ApiKey | None:
        row = self._session.read("SELECT * FROM api_keys WHERE sid = ?", [sid]).fetchone()
        return row and ApiKey(**row)

    def keys_of(self, account_sid: str) -> list[ApiKey]:
        rows = self._session.read(
            "SELECT * FROM api_keys WHERE account_sid = ? ORDER BY rowid", [account_sid]
        )
        return [ApiKey(**row) for row in rows]


def _read_account(row: sqlite3.Row) -> Account:
    schedule = row["schedule"]
    return Account(
        sid=row["sid"],
        name=row["name"],
        auth_token=row["auth_token"],
        kore_secret=row["kore_secret"],
        uses_static_proxy=bool(row["uses_static_proxy"]),
        date_created=from_us(row["created_us"]),
        schedule=None if schedule is None else Schedule.parse(schedule),
        parent_sid=row["parent_sid"],
    )


def _write_schedule(account: Account) -> str | None:
    return None if account.schedule is None else str(account.schedule)
