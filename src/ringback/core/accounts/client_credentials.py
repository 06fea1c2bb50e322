"""API clients, which sign in to KORE's APIs, and the parts of the APIs that a caller may use."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from ringback.core.accounts.account import Account
from ringback.core.accounts.secret_hash import is_secret_of
from ringback.core.audit import Actor, ActorKind


class ApiScope(StrEnum):
    """A part of the APIs; credentials give access to some or all parts."""

    SUPER_SIM = "SuperSIM"
    WIRELESS = "ProgrammableWireless"
    GLOBAL = "GlobalResources"
    """KORE's accounts, API clients and webhook secrets, and all routes that only Ringback has."""


PRODUCTS: Final = (ApiScope.SUPER_SIM, ApiScope.WIRELESS)
"""The APIs of SIMs: those that an API client of type `standard` can have access to."""
EVERYTHING: Final = frozenset(ApiScope)


class ApiClientType(StrEnum):
    """The type of an API client: `standard` for the APIs of SIMs, `admin` for all APIs."""

    ADMIN = "admin"
    STANDARD = "standard"


LIFETIMES: Final = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "30d": timedelta(days=30),
    "24mo": timedelta(days=730),
}
"""The lifetimes that an API client's tokens can have: KORE offers these four."""


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """An API client: credentials of an account that are exchanged for bearer tokens."""

    sid: str
    """The API client's id: `apiclient_…`."""
    account_sid: str
    name: str
    secret_hash: str = field(repr=False)
    type: ApiClientType
    products: frozenset[ApiScope]
    date_created: datetime
    lifetime: timedelta = LIFETIMES["1h"]
    """How long each of the client's tokens is valid."""
    locked: bool | None = None
    """The API's `locked` field: saved, but without effect, since no operation changes a client."""

    @property
    def areas(self) -> frozenset[ApiScope]:
        """The parts of the APIs that the client's tokens give access to."""
        return EVERYTHING if self.type is ApiClientType.ADMIN else self.products

    @property
    def actor(self) -> Actor:
        """The client, as audit entries name it."""
        return Actor(ActorKind.API_CLIENT, self.sid, self.name)

    def opens_with(self, secret: str) -> bool:
        """Return True if `secret` is the client's secret; compares in constant time."""
        return is_secret_of(self.secret_hash, secret)


@dataclass(frozen=True, slots=True)
class Principal:
    """The signed-in caller, an account or the operator, with the parts of the APIs it may use."""

    account: Account | None
    """The account that is signed in; None for the operator, who sees every account."""
    actor: Actor
    """The credentials that signed in, as audit entries name them."""
    areas: frozenset[ApiScope] = EVERYTHING
    until: datetime | None = None
    """When the credentials expire; None if they don't."""
    is_read_only: bool = False
    """True if the caller may change nothing."""

    def may(self, area: ApiScope) -> bool:
        """Return True if the caller has access to this part of the APIs."""
        return area in self.areas
