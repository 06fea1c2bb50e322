"""API clients, which sign in to KORE's APIs, and the areas that a caller may use."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from ringback.core.accounts.account import Account
from ringback.core.accounts.secret_hash import is_secret_of


class ApiScope(StrEnum):
    """A part of the APIs that a caller can have access to."""

    SUPER_SIM = "SuperSIM"
    WIRELESS = "ProgrammableWireless"
    GLOBAL = "GlobalResources"
    """Accounts, API clients and webhook secrets at KORE, and everything that only Ringback has."""


PRODUCTS: Final = (ApiScope.SUPER_SIM, ApiScope.WIRELESS)
"""The areas that a client of type standard can have."""
EVERYTHING: Final = frozenset(ApiScope)


class ApiClientType(StrEnum):
    """The type of a client: for products only, or for everything."""

    ADMIN = "admin"
    STANDARD = "standard"


LIFETIMES: Final = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "30d": timedelta(days=30),
    "24mo": timedelta(days=730),
}
"""The lifetimes that a client's tokens can have: KORE offers these four."""


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """Credentials of an account that are exchanged for tokens."""

    sid: str
    """`apiclient_…`"""
    account_sid: str
    name: str
    secret_hash: str = field(repr=False)
    type: ApiClientType
    products: frozenset[ApiScope]
    date_created: datetime
    lifetime: timedelta = LIFETIMES["1h"]
    """How long each of its tokens is valid."""
    locked: bool | None = None
    """Saved as given, without effect: a client can't be changed here anyway."""

    @property
    def areas(self) -> frozenset[ApiScope]:
        """The areas that its tokens give access to."""
        return EVERYTHING if self.type is ApiClientType.ADMIN else self.products

    def opens_with(self, secret: str) -> bool:
        """Whether this is its secret, compared in constant time."""
        return is_secret_of(self.secret_hash, secret)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is signed in: an account or the operator, and with access to what."""

    account: Account | None
    """None for the operator, who sees every account."""
    areas: frozenset[ApiScope] = EVERYTHING
    until: datetime | None = None
    """When the credentials expire; None if they don't."""

    def may(self, area: ApiScope) -> bool:
        """Whether the credentials give access to this area."""
        return area in self.areas


OPERATOR: Final = Principal(None)
"""Whoever has an operator's key."""
