"""Accounts, which own resources, and their secrets for signing in and for signing callbacks."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from ringback.core.accounts.secret_hash import is_secret_of
from ringback.core.accounts.webhook_secret import NO_SECRETS, AccountWebhookSecrets
from ringback.core.kore_ids import id_of_account
from ringback.core.retry_schedule import RetrySchedule

EVERY: Final = "*"
"""Stands for all accounts in place of an account's SID.

Functions that read accept it; the operator's jobs, and what an operator sets for all, have it.
"""


def one_account(account_sid: str) -> str | None:
    """Return the SID of one account; None for `EVERY`.

    >>> one_account(EVERY) is None
    True
    """
    return None if account_sid == EVERY else account_sid


class AccountStatus(StrEnum):
    """The status of an account: nobody can sign in to a suspended one."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


class DamagedSecret(NamedTuple):
    """A stored secret that can't be decrypted, and is kept as it is until it is replaced."""

    name: str
    """`auth_token`, `secondary_auth_token`, or the id of a webhook secret."""
    sealed: str
    """What is stored in its place."""


@dataclass(frozen=True, slots=True)
class Account:
    """A customer, with the secrets that sign its callbacks."""

    sid: str
    name: str
    auth_token: str = field(repr=False)
    """The primary token: it signs callbacks from Twilio's infrastructure, and can sign in.

    A secret that is damaged is empty: it can neither sign nor sign in.
    """
    uses_static_proxy: bool
    """True if Twilio's infrastructure sends the account's callbacks through its static proxy."""
    date_created: datetime
    webhook_secrets: AccountWebhookSecrets = NO_SECRETS
    """The account's webhook secrets; the active one signs callbacks from KORE's infrastructure."""
    secondary_auth_token: str | None = field(default=None, repr=False)
    """A second token that can sign in; it signs no callbacks until it becomes the primary one."""
    schedule: RetrySchedule | None = None
    """When the account's callbacks are retried; None for the server's own schedule."""
    parent_sid: str | None = None
    """The SID of the parent account, or None; new SIMs can be moved between the two accounts."""
    status: AccountStatus = AccountStatus.ACTIVE
    revision: int = 0
    """The number of changes so far; of two states, the one with the higher number is newer."""

    unopened: tuple[DamagedSecret, ...] = field(default=(), repr=False, compare=False)
    """The secrets that could not be decrypted when the account was read."""

    @property
    def damaged_secrets(self) -> list[str]:
        """The names of the secrets that can't be decrypted, and have not been replaced since."""
        values = {"auth_token": self.auth_token}
        values |= {secret.id: secret.value for _, secret in self.webhook_secrets.all}
        values["secondary_auth_token"] = self.secondary_auth_token or ""
        if self.secondary_auth_token is None:
            del values["secondary_auth_token"]
        return [one.name for one in self.unopened if values.get(one.name) == ""]

    def kept_seal(self, name: str) -> str | None:
        """Return the stored text of a damaged secret; None if the secret is intact."""
        if not self.unopened or name not in self.damaged_secrets:
            return None
        return next(one.sealed for one in self.unopened if one.name == name)

    @property
    def damaged_signing_secrets(self) -> list[str]:
        """The names of the damaged secrets that callbacks are usually signed with."""
        active = self.webhook_secrets.active
        names = {"auth_token", "" if active is None else active.id}
        return [name for name in self.damaged_secrets if name in names]

    @property
    def kore_id(self) -> str:
        """The account's id in KORE's APIs: `acct_…`."""
        return id_of_account(self.sid, self.date_created)

    @property
    def kore_secret(self) -> str:
        """The value of the active webhook secret; empty if there is none."""
        active = self.webhook_secrets.active
        return "" if active is None else active.value

    @property
    def is_suspended(self) -> bool:
        """True if the account is suspended, so that nobody can sign in to it."""
        return self.status is AccountStatus.SUSPENDED


class ApiKeyRole(StrEnum):
    """What an API key may do: `read_only` ones can change nothing."""

    FULL = "full"
    READ_ONLY = "read_only"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key: a credential with which an account or the operator signs in.

    A key that has ended can't sign in any more. It stays listed, since audit entries name it.
    """

    sid: str
    account_sid: str | None
    """The SID of the account that owns the key; None for a key of the operator."""
    name: str
    secret_hash: str = field(repr=False)
    """The hash of its secret; empty after its end."""
    date_created: datetime
    role: ApiKeyRole = ApiKeyRole.FULL
    date_ended: datetime | None = None
    """When the key was ended; None while it can sign in."""
    date_last_used: datetime | None = None
    """When the key signed in last, to the minute; None if it never did."""

    def opens_with(self, secret: str) -> bool:
        """Return True if `secret` is the key's secret; compares in constant time."""
        return is_secret_of(self.secret_hash, secret)


class AccountOwnedRecord(Protocol):
    """Any stored record that belongs to an account, such as a SIM."""

    @property
    def sid(self) -> str:
        """The record's identifier."""
        ...

    @property
    def account_sid(self) -> str:
        """The SID of the account that owns the record."""
        ...


class NamedRecord(AccountOwnedRecord, Protocol):
    """A record of an account that can have a unique name, such as a SIM."""

    @property
    def unique_name(self) -> str | None:
        """The record's name, unique among the account's records of this kind; None without one."""
        ...
