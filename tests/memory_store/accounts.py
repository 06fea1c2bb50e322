"""Accounts, and their credentials, in plain dictionaries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Generic, TypeVar

from ringback.core.accounts.account import EVERY, Account, ApiKey
from ringback.core.accounts.client_credentials import ClientCredentials
from ringback.ports import FieldFilter, TokenSigningKey
from tests.memory_store.records import has

T = TypeVar("T", ApiKey, ClientCredentials)


@dataclass
class MemoryCredentials(Generic[T]):
    """Implements `ports.CredentialTable`."""

    records: dict[str, T] = field(default_factory=dict[str, T])

    def add(self, record: T) -> None:
        self.records[record.sid] = record

    def get(self, sid: str) -> T | None:
        return self.records.get(sid)

    def first(self, which: FieldFilter) -> T | None:
        return next((one for one in self.records.values() if has(one, which)), None)

    def of(self, account_sid: str | None) -> list[T]:
        return [one for one in self.records.values() if account_sid in (EVERY, one.account_sid)]

    def remove(self, sid: str) -> None:
        self.records.pop(sid, None)


@dataclass
class MemoryApiKeys(MemoryCredentials[ApiKey]):
    """Implements `ports.ApiKeys`."""

    def end(self, sid: str, at: datetime) -> None:
        self.records[sid] = replace(self.records[sid], date_ended=at, secret_hash="")

    def note_uses(self, last: Mapping[str, datetime]) -> None:
        for sid, at in last.items():
            key = self.records.get(sid)
            if key is not None and (key.date_last_used is None or key.date_last_used < at):
                self.records[sid] = replace(key, date_last_used=at)


@dataclass
class MemoryAccounts:
    """Implements `ports.Accounts`."""

    accounts: dict[str, Account] = field(default_factory=dict[str, Account])
    keys: MemoryApiKeys = field(default_factory=MemoryApiKeys)

    def add(self, account: Account, keys: Sequence[ApiKey]) -> None:
        self.accounts[account.sid] = account
        for key in keys:
            self.keys.add(key)

    def get(self, sid: str) -> Account | None:
        return self.accounts.get(sid)

    def all(self) -> list[Account]:
        return list(self.accounts.values())

    def save(self, account: Account) -> None:
        self.accounts[account.sid] = account

    def with_kore_id(self, kore_id: str) -> Account | None:
        return next((one for one in self.accounts.values() if one.kore_id == kore_id), None)

    def children_of(self, sid: str) -> list[Account]:
        return [one for one in self.accounts.values() if one.parent_sid == sid]


@dataclass
class MemoryApiClients(MemoryCredentials[ClientCredentials]):
    """Implements `ports.ApiClients`."""

    signing: TokenSigningKey | None = None

    def token_key(self) -> TokenSigningKey | None:
        return self.signing

    def keep_token_key(self, key: TokenSigningKey) -> None:
        self.signing = key
