"""Accounts, which own resources, and their secrets for signing in and for signing callbacks."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from ringback.core.accounts.secret_hash import is_secret_of
from ringback.core.accounts.webhook_secret import NO_SECRETS, AccountWebhookSecrets
from ringback.core.kore_ids import id_of_account
from ringback.core.retry_schedule import RetrySchedule

EVERY: Final = "*"
"""Stands for all accounts in place of an account's SID; only lists accept it."""


class AccountStatus(StrEnum):
    """Whether an account may do anything."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class Account:
    """A customer, with the secrets that sign its callbacks."""

    sid: str
    name: str
    auth_token: str = field(repr=False)
    """The primary token: it signs callbacks from Twilio's infrastructure, and can sign in."""
    uses_static_proxy: bool
    """Whether Twilio's infrastructure sends its callbacks through the static proxy."""
    date_created: datetime
    webhook_secrets: AccountWebhookSecrets = NO_SECRETS
    """The active one signs callbacks from KORE's infrastructure."""
    secondary_auth_token: str | None = field(default=None, repr=False)
    """It can sign in as well, but signs no callbacks until it is promoted."""
    schedule: RetrySchedule | None = None
    """When its callbacks are tried again; None for the server's own schedule."""
    parent_sid: str | None = None
    """The account whose subaccount it is; new SIMs can be moved between them."""
    status: AccountStatus = AccountStatus.ACTIVE
    revision: int = 0
    """How often it was changed, which tells the newer of two states."""

    @property
    def kore_id(self) -> str:
        """What KORE's APIs call it: `acct_…`."""
        return id_of_account(self.sid, self.date_created)

    @property
    def kore_secret(self) -> str:
        """The value of the active webhook secret; empty where there is none."""
        active = self.webhook_secrets.active
        return "" if active is None else active.value

    @property
    def is_suspended(self) -> bool:
        """Whether nobody can sign in to it."""
        return self.status is AccountStatus.SUSPENDED


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Credentials that can be created and deleted one by one."""

    sid: str
    account_sid: str | None
    """Whose it is; None for an operator's key, which sees every account."""
    name: str
    secret_hash: str = field(repr=False)
    date_created: datetime

    def opens_with(self, secret: str) -> bool:
        """Whether this is its secret, compared in constant time."""
        return is_secret_of(self.secret_hash, secret)


class AccountOwnedRecord(Protocol):
    """A record of an account."""

    @property
    def sid(self) -> str:
        """Which record it is."""
        ...

    @property
    def account_sid(self) -> str:
        """Whose it is."""
        ...


class NamedRecord(AccountOwnedRecord, Protocol):
    """A record that can have a unique name."""

    @property
    def unique_name(self) -> str | None:
        """The name, which no other record of the account and its kind has."""
        ...
