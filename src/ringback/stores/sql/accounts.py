"""Stores accounts, API keys and API clients.

Secrets that Ringback has to read again, such as Auth Tokens, are encrypted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, TypeVar

from ringback.core.accounts.account import EVERY, Account, AccountStatus, ApiKey, DamagedSecret
from ringback.core.accounts.client_credentials import ClientCredentials
from ringback.core.accounts.webhook_secret import (
    AccountWebhookSecrets,
    WebhookSecret,
    WebhookSecretStatus,
)
from ringback.core.newest_entries import NewestEntries
from ringback.core.retry_schedule import RetrySchedule
from ringback.ports import TokenSigningKey
from ringback.stores.encryption import SecretCipher
from ringback.stores.sql.field_columns import from_us, to_us
from ringback.stores.sql.record_tables import RowMapping, SqlTable
from ringback.stores.sql.sealed_columns import (
    AUTH_TOKEN,
    SECONDARY_AUTH_TOKEN,
    TOKEN_KEY,
    WEBHOOK_SECRET,
    SealedColumn,
)
from ringback.stores.sql.write_batch import Row, SqlRow, WriteBatch

T = TypeVar("T")

_MOST_KNOWN: Final = 1000
_KEYS: Final = RowMapping("api_keys", ApiKey, order="rowid")
_CLIENTS: Final = RowMapping("api_clients", ClientCredentials, order="rowid")


class SqlCredentials(SqlTable[T]):
    """Implements `ports.CredentialTable`."""

    def of(self, account_sid: str | None) -> list[T]:
        condition, values = "account_sid = ?", [account_sid]
        if account_sid in (None, EVERY):
            condition, values = "account_sid IS NULL" if account_sid is None else "true", []
        rows = self._session.read(
            f"SELECT * FROM {self._mapping.table} WHERE {condition} ORDER BY rowid", values
        )
        return [self._mapping.read(row) for row in rows]


class SqlApiKeys(SqlCredentials[ApiKey]):
    """Implements `ports.ApiKeys`."""

    def end(self, sid: str, at: datetime) -> None:
        self._session.write(
            "UPDATE api_keys SET ended_us = ?, secret_hash = '' WHERE sid = ?", [to_us(at), sid]
        )

    def note_uses(self, last: Mapping[str, datetime]) -> None:
        for sid, at in last.items():
            self._session.write(
                "UPDATE api_keys SET last_used_us = ?"
                " WHERE sid = ? AND coalesce(last_used_us, 0) < ?",
                [to_us(at), sid, to_us(at)],
            )


class SqlAccounts:
    """Implements `ports.Accounts`."""

    def __init__(self, session: WriteBatch, cipher: SecretCipher) -> None:
        self._session = session
        self._cipher = cipher
        self._known = NewestEntries[str, Account](_MOST_KNOWN)
        self._ids = NewestEntries[str, int](_MOST_KNOWN)
        self._version: int | None = None
        """The database's number of changes by others."""
        self.keys = SqlApiKeys(session, _KEYS)

    def begin_commit(self, version: int) -> bool:
        """Clear the cache of accounts if `version` shows that others may have changed accounts.

        Returns True if the version is as before.
        """
        is_as_before = version == self._version
        if not is_as_before:
            self._version = version
            self.forget()
        return is_as_before

    def forget(self) -> None:
        """Clear the cache of accounts."""
        self._known.clear()
        self._ids.clear()

    def add(self, account: Account, keys: Sequence[ApiKey]) -> None:
        self._session.write(
            "INSERT INTO accounts (name, auth_token, secondary_auth_token, uses_static_proxy,"
            " schedule, parent_sid, status, revision, sid, kore_id, created_us)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*self._written(account), account.kore_id, to_us(account.date_created)),
        )
        self._write_secrets(account)
        for key in keys:
            self.keys.add(key)

    def get(self, sid: str) -> Account | None:
        if account := self._known.get(sid):
            return account
        account = self._first("sid = ?", sid)
        if account is not None:
            self._known[sid] = account
        return account

    def id_of(self, sid: str) -> int | None:
        """Return the number by which callbacks refer to an account; None for an unknown one."""
        known = self._ids.get(sid)
        if known is None:
            row = self._session.read("SELECT id FROM accounts WHERE sid = ?", [sid]).fetchone()
            if row is not None:
                self._ids[sid] = known = row[0]
        return known

    def all(self) -> list[Account]:
        return self._some("true")

    def save(self, account: Account) -> None:
        self._known.clear()
        self._cipher.note_damaged(_words_for(account.sid), account.damaged_secrets)
        self._session.write(
            "UPDATE accounts SET name = ?, auth_token = ?, secondary_auth_token = ?,"
            " uses_static_proxy = ?, schedule = ?, parent_sid = ?, status = ?, revision = ?"
            " WHERE sid = ?",
            self._written(account),
        )
        self._session.write("DELETE FROM webhook_secrets WHERE account_sid = ?", [account.sid])
        self._write_secrets(account)

    def with_kore_id(self, kore_id: str) -> Account | None:
        return self._first("kore_id = ?", kore_id)

    def children_of(self, sid: str) -> list[Account]:
        return self._some("parent_sid = ?", sid)

    def _first(self, condition: str, value: str) -> Account | None:
        return next(iter(self._some(condition, value)), None)

    def _some(self, condition: str, *values: str) -> list[Account]:
        rows = self._session.read_secrets(
            f"SELECT * FROM accounts WHERE {condition} ORDER BY id", values
        )
        return [self._read(row) for row in rows]

    def _read(self, row: SqlRow) -> Account:
        sid, schedule = row["sid"], row["schedule"]
        damaged = list[DamagedSecret]()
        account = Account(
            sid=sid,
            name=row["name"],
            auth_token=self._opened(row["auth_token"], AUTH_TOKEN, sid, damaged),
            uses_static_proxy=bool(row["uses_static_proxy"]),
            date_created=from_us(row["created_us"]),
            webhook_secrets=self._secrets_of(sid, damaged),
            secondary_auth_token=None
            if row["secondary_auth_token"] is None
            else self._opened(row["secondary_auth_token"], SECONDARY_AUTH_TOKEN, sid, damaged),
            schedule=None if schedule is None else RetrySchedule.parse(schedule),
            parent_sid=row["parent_sid"],
            status=AccountStatus(row["status"]),
            revision=row["revision"],
        )
        if damaged:
            account = replace(account, unopened=tuple(damaged))
        if damaged or self._cipher.damaged:
            self._cipher.note_damaged(_words_for(sid), account.damaged_secrets)
        return account

    def _opened(
        self, sealed: str, column: SealedColumn, owner: str, damaged: list[DamagedSecret]
    ) -> str:
        """Return a secret; if it is damaged, return an empty text, and add it to `damaged`."""
        secret = self._cipher.open_intact(sealed, column.place(owner))
        if secret is None:
            name = owner if column is WEBHOOK_SECRET else column.column
            damaged.append(DamagedSecret(name, sealed))
        return secret or ""

    def _written(self, account: Account) -> Row:
        """Return an account's values for the columns that can change, followed by its SID."""
        schedule = account.schedule
        return (
            account.name,
            account.kept_seal("auth_token")
            or self._seal(account.auth_token, AUTH_TOKEN, account.sid),
            account.kept_seal("secondary_auth_token")
            or self._seal(account.secondary_auth_token, SECONDARY_AUTH_TOKEN, account.sid),
            account.uses_static_proxy,
            None if schedule is None else str(schedule),
            account.parent_sid,
            account.status,
            account.revision,
            account.sid,
        )

    def _seal(self, secret: str | None, column: SealedColumn, owner: str) -> str | None:
        return None if secret is None else self._cipher.seal(secret, column.place(owner))

    def _secrets_of(self, account_sid: str, damaged: list[DamagedSecret]) -> AccountWebhookSecrets:
        rows = self._session.read_secrets(
            "SELECT * FROM webhook_secrets WHERE account_sid = ?", [account_sid]
        )
        found = {row["status"]: self._read_secret(row, damaged) for row in rows}
        return AccountWebhookSecrets(
            found.get(WebhookSecretStatus.ACTIVE), found.get(WebhookSecretStatus.PENDING)
        )

    def _read_secret(self, row: SqlRow, damaged: list[DamagedSecret]) -> WebhookSecret:
        value = self._opened(row["value"], WEBHOOK_SECRET, row["id"], damaged)
        return WebhookSecret(row["id"], row["name"], value, from_us(row["modified_us"]))

    def _write_secrets(self, account: Account) -> None:
        for status, secret in account.webhook_secrets.all:
            self._session.write(
                "INSERT INTO webhook_secrets VALUES (?, ?, ?, ?, ?, ?)",
                (
                    secret.id,
                    account.sid,
                    status,
                    secret.name,
                    account.kept_seal(secret.id)
                    or self._seal(secret.value, WEBHOOK_SECRET, secret.id),
                    to_us(secret.last_modified),
                ),
            )


def _words_for(account_sid: str) -> str:
    return f"account {account_sid}"


class SqlApiClients(SqlCredentials[ClientCredentials]):
    """Implements `ports.ApiClients`."""

    def __init__(self, session: WriteBatch, cipher: SecretCipher) -> None:
        super().__init__(session, _CLIENTS)
        self._cipher = cipher

    def token_key(self) -> TokenSigningKey | None:
        row = next(iter(self._session.read_secrets("SELECT * FROM token_keys")), None)
        if row is None:
            return None
        opened = self._cipher.open_intact(row["private_key"], TOKEN_KEY.place(row["id"]))
        # A damaged key is as good as none: the next token makes a new one in its place.
        self._cipher.note_damaged("bearer tokens", () if opened else (row["id"],))
        return None if opened is None else TokenSigningKey(row["id"], opened)

    def keep_token_key(self, key: TokenSigningKey) -> None:
        sealed = self._cipher.seal(key.private_key, TOKEN_KEY.place(key.id))
        self._cipher.note_damaged("bearer tokens", ())
        self._session.write("DELETE FROM token_keys")
        self._session.write("INSERT INTO token_keys VALUES (?, ?)", (key.id, sealed))
