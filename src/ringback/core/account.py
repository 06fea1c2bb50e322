"""Who owns the resources, and what proves it: to us, and to the receivers of callbacks."""

from dataclasses import dataclass, field
from datetime import datetime

from ringback.core.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Account:
    """A customer, with the secrets that sign its callbacks."""

    sid: str
    name: str
    auth_token: str = field(repr=False)
    """Signs callbacks from Twilio's infrastructure, and signs in with the Account SID."""
    kore_secret: str = field(repr=False)
    """The active webhook secret, which signs callbacks from KORE's; empty where there is none."""
    uses_static_proxy: bool
    """Whether Twilio's infrastructure sends its callbacks through the static proxy."""
    date_created: datetime
    schedule: Schedule | None = None
    """When its callbacks are tried again; None for the server's own schedule."""
    parent_sid: str | None = None
    """The account whose subaccount it is; new SIMs can be moved between them."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Credentials of an account that can be given away and taken back one by one."""

    sid: str
    account_sid: str
    secret: str = field(repr=False)
