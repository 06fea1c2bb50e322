"""Accounts, and their credentials, in plain dictionaries."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ringback.core.accounts.account import Account, ApiKey
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
        return [one for one in self.records.values() if one.account_sid == account_sid]

    def remove(self, sid: str) -> None:
        self.records.pop(sid, None)


@dataclass
class MemoryAccounts:
    """Implements `ports.Accounts`."""

    accounts: dict[str, Account] = field(default_factory=dict[str, Account])
    keys: MemoryCredentials[ApiKey] = field(default_factory=MemoryCredentials[ApiKey])

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
