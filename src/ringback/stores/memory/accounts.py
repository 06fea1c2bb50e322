"""Accounts in plain dictionaries."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ringback.core.account import Account, ApiKey


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

    def key(self, sid: str) -> ApiKey | None:
        return self.keys.get(sid)

    def keys_of(self, account_sid: str) -> list[ApiKey]:
        return [key for key in self.keys.values() if key.account_sid == account_sid]
