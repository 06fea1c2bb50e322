"""Accounts, and what signs in to them, in plain dictionaries."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ringback.core.accounts.account import Account, ApiKey
from ringback.core.accounts.client_credentials import ClientCredentials
from ringback.ports import TokenSigningKey


@dataclass
class MemoryAccounts:
    """Answers `ports.Accounts`."""

    accounts: dict[str, Account] = field(default_factory=dict[str, Account])
    keys: dict[str, ApiKey] = field(default_factory=dict[str, ApiKey])

    def add(self, account: Account, keys: Sequence[ApiKey]) -> None:
        self.accounts[account.sid] = account
        self.keys |= {key.sid: key for key in keys}

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

    def add_key(self, key: ApiKey) -> None:
        self.keys[key.sid] = key

    def key(self, sid: str) -> ApiKey | None:
        return self.keys.get(sid)

    def keys_of(self, account_sid: str | None) -> list[ApiKey]:
        return [key for key in self.keys.values() if key.account_sid == account_sid]

    def remove_key(self, sid: str) -> None:
        self.keys.pop(sid, None)


@dataclass
class MemoryApiClients:
    """Answers `ports.ApiClients`."""

    clients: dict[str, ClientCredentials] = field(default_factory=dict[str, ClientCredentials])
    signing: TokenSigningKey | None = None

    def add(self, client: ClientCredentials) -> None:
        self.clients[client.sid] = client

    def get(self, sid: str) -> ClientCredentials | None:
        return self.clients.get(sid)

    def of(self, account_sid: str) -> list[ClientCredentials]:
        return [one for one in self.clients.values() if one.account_sid == account_sid]

    def remove(self, sid: str) -> None:
        self.clients.pop(sid, None)

    def token_key(self) -> TokenSigningKey | None:
        return self.signing

    def keep_token_key(self, key: TokenSigningKey) -> None:
        self.signing = key
