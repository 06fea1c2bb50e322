"""API clients, which sign in to KORE's APIs, and what whoever is signed in may do."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from ringback.core.accounts.account import Account
from ringback.core.accounts.secret_hash import is_secret_of


class AccessScope(StrEnum):
    """What somebody may be let in to."""

    SUPER_SIM = "SuperSIM"
    WIRELESS = "ProgrammableWireless"
    GLOBAL = "GlobalResources"
    """Accounts, API clients and webhook secrets at KORE; all that is ours alone as well."""


PRODUCTS: Final = (AccessScope.SUPER_SIM, AccessScope.WIRELESS)
"""What a client of type standard can be given."""
EVERYTHING: Final = frozenset(AccessScope)


class ClientType(StrEnum):
    """What kind of client it is: one for products alone, or one for everything."""

    ADMIN = "admin"
    STANDARD = "standard"


LIFETIMES: Final = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "30d": timedelta(days=30),
    "24mo": timedelta(days=730),
}
"""How long a client's tokens can be good for: KORE has these four to choose from."""


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """Credentials of an account that are exchanged for tokens."""

    sid: str
    """`apiclient_…`"""
    account_sid: str
    name: str
    secret_hash: str = field(repr=False)
    type: ClientType
    products: frozenset[AccessScope]
    date_created: datetime
    lifetime: timedelta = LIFETIMES["1h"]
    """How long each of its tokens is good for."""
    locked: bool | None = None
    """Kept as it was given: nothing of a client can be changed here anyway."""

    @property
    def areas(self) -> frozenset[AccessScope]:
        """What its tokens are good for."""
        return EVERYTHING if self.type is ClientType.ADMIN else self.products

    def opens_with(self, secret: str) -> bool:
        """Whether this is its secret, compared in constant time."""
        return is_secret_of(self.secret_hash, secret)


@dataclass(frozen=True, slots=True)
class Principal:
    """An account's own credentials, or the operator's."""

    account: Account | None
    """None for the operator, who sees every account."""
    areas: frozenset[AccessScope] = EVERYTHING
    until: datetime | None = None
    """When the credentials end; None for those that don't by themselves."""

    def may(self, area: AccessScope) -> bool:
        """Whether the credentials are good for this."""
        return area in self.areas


OPERATOR: Final = Principal(None)
"""Whoever has an operator's key."""
