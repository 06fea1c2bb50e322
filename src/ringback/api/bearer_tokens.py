"""Issues and verifies bearer tokens: signed JWTs that API clients get for their credentials.

Like KORE's tokens, they are signed with RS256 and contain the claims that KORE documents. A token
contains its permissions, and keeps them until it expires.

Standards: RFC 7519, and RFC 6749, section 4.4.
"""

import asyncio
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, cast

import jwt
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import rsa

from ringback.core.accounts.account import Account
from ringback.core.accounts.client_credentials import (
    EVERYTHING,
    PRODUCTS,
    ApiClientType,
    ApiScope,
    ClientCredentials,
    Principal,
)
from ringback.core.errors import InvalidBearerToken
from ringback.operations.authentication import check_active
from ringback.ports import Clock, RandomSource, Store, TokenSigningKey, Transaction

_ISSUER: Final = "ringback"
_ALGORITHM: Final = "RS256"
_BITS: Final = 2048
_ID_BYTES: Final = 16
_ADMIN: Final = ("API Clients", "Accounts", "Webhooks")
_ACCESS: Final = ("Read", "Write", "Modify", "Delete")
_CLAIMS: Final = ["iss", "aud", "sub", "exp", "iat", "jti", "client_id", "scopes"]
_TEXTS: Final = ("sub", "jti", "client_id", "account-id", "client-type")
_LAST_SECOND: Final = 253_402_300_799
"""The latest time that a claim may contain: 9999-12-31T23:59:59Z, the end of Python's datetime."""


class _Loaded(NamedTuple):
    """The key with which this server signs tokens, read from the store and parsed."""

    id: str
    private_key: rsa.RSAPrivateKey


class _Claims(NamedTuple):
    """The claims of a token, parsed and checked."""

    client_sid: str
    areas: frozenset[ApiScope]
    begins: datetime | None
    until: datetime


class BearerTokens:
    """Issues and verifies bearer tokens."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._loaded: _Loaded | None = None

    async def make(
        self, client: ClientCredentials, account: Account, random_source: RandomSource
    ) -> str:
        """Return a new bearer token for an API client of this account.

        If the server has no signing key yet, a new key is stored first.
        """
        key = await self._key(random_source)
        now = self._clock.now()
        claims = {
            "iss": _ISSUER,
            "aud": _ISSUER,
            "sub": client.sid,
            "iat": int(now.timestamp()),
            "exp": int((now + client.lifetime).timestamp()),
            "jti": random_source.bytes(_ID_BYTES).hex(),
            "account-id": account.kore_id,
            "client-type": client.type.value,
            "client_id": client.sid,
            "scopes": _scopes_of(client),
        }
        return jwt.encode(claims, key.private_key, _ALGORITHM, headers={"kid": key.id})

    async def caller_of(self, token: str) -> Principal:
        """Return the client that a token authenticates.

        Raises InvalidBearerToken if this server did not sign the token, a claim is malformed, the
        token is not valid yet or has expired, or its client was deleted; raises Forbidden if the
        account is suspended.
        """
        key = self._loaded or await self._kept()
        if key is None:
            raise InvalidBearerToken("this server did not issue this token")
        try:
            verified = _verified(token, key)
        except InvalidBearerToken:
            # Another process may have replaced a damaged key.
            newest = await self._kept()
            if newest is None or newest.id == key.id:
                raise
            verified = _verified(token, newest)
        claims = _read_claims(verified)
        now = self._clock.now()
        if claims.begins is not None and claims.begins > now:
            raise InvalidBearerToken(
                f"the token is not valid before {claims.begins:%Y-%m-%dT%H:%M:%SZ}"
            )
        if claims.until <= now:
            ended = f"{claims.until:%Y-%m-%dT%H:%M:%SZ}"
            raise InvalidBearerToken(f"the token expired at {ended}; request a new one")
        client, account = await self._store.read(lambda tx: _owner_of(tx, claims.client_sid))
        return Principal(account, client.actor, claims.areas, claims.until)

    async def _key(self, random_source: RandomSource) -> _Loaded:
        if self._loaded is None and await self._kept() is None:
            # Making a key takes a tenth of a second: a thread leaves the event loop free.
            new = TokenSigningKey(random_source.bytes(8).hex(), await asyncio.to_thread(_new_pem))
            self._loaded = _load(await self._store.transact(lambda tx: _keep_first(tx, new)))
        return cast("_Loaded", self._loaded)

    async def _kept(self) -> _Loaded | None:
        key = await self._store.read(lambda tx: tx.api_clients.token_key())
        self._loaded = key and _load(key)
        return self._loaded


def _owner_of(tx: Transaction, client_sid: str) -> tuple[ClientCredentials, Account]:
    client = tx.api_clients.get(client_sid)
    if client is None:
        raise InvalidBearerToken(
            "the API client of this token was deleted; request a token with another client"
        )
    return client, check_active(tx, tx.accounts.get(client.account_sid))


def _keep_first(tx: Transaction, key: TokenSigningKey) -> TokenSigningKey:
    """Store a signing key if the store has none yet, and return the stored key."""
    known = tx.api_clients.token_key()
    if known is None:
        tx.api_clients.keep_token_key(key)
    return known or key


def _new_pem() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    written = (pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    return key.private_bytes(*written).decode()


def _load(key: TokenSigningKey) -> _Loaded:
    text = key.private_key.encode()
    # Ringback made the key itself; to check it would block the event loop for a tenth of a second.
    loaded = pem.load_pem_private_key(text, None, unsafe_skip_rsa_key_validation=True)
    return _Loaded(key.id, cast("rsa.RSAPrivateKey", loaded))


def _scopes_of(client: ClientCredentials) -> dict[str, Any]:
    scopes: dict[str, Any] = {"products": sorted(client.areas - {ApiScope.GLOBAL})}
    if client.type is ApiClientType.ADMIN:
        scopes["globalResources"] = [
            {"resourceName": name, "access": list(_ACCESS)} for name in _ADMIN
        ]
    return scopes


def _verified(token: str, key: _Loaded) -> dict[str, Any]:
    """Return the raw claims of a token; raise InvalidBearerToken if this key did not sign it."""
    try:
        return jwt.decode(
            token,
            key.private_key.public_key(),
            [_ALGORITHM],
            audience=_ISSUER,
            issuer=_ISSUER,
            # Times are checked elsewhere: the server's clock may be ahead of the machine's.
            options={
                "require": _CLAIMS,
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    # JSON can be nested too deeply for the parser.
    except (jwt.InvalidTokenError, RecursionError):
        raise InvalidBearerToken("this server did not issue this token") from None


def _read_claims(claims: dict[str, Any]) -> _Claims:
    """Parse the claims of a token whose signature is valid.

    Raises InvalidBearerToken if a claim has a wrong type: another program may have used the signing
    key. The message names the claim, but does not repeat its value.
    """
    for name in _TEXTS:
        given = claims.get(name, "")
        if not isinstance(given, str) or not given.isascii():
            raise _odd(name, "be ASCII text")
    _instant_in(claims, "iat")
    return _Claims(
        client_sid=claims["client_id"],
        areas=_areas_in(claims["scopes"]),
        begins=_instant_in(claims, "nbf") if "nbf" in claims else None,
        until=_instant_in(claims, "exp"),
    )


def _instant_in(claims: dict[str, Any], name: str) -> datetime:
    seconds = claims[name]
    # A bool is an int too.
    if type(seconds) is not int or not 0 <= seconds <= _LAST_SECOND:
        raise _odd(name, f"be a whole number of seconds since 1970, up to {_LAST_SECOND}")
    return datetime.fromtimestamp(seconds, UTC)


def _areas_in(scopes: object) -> frozenset[ApiScope]:
    if not isinstance(scopes, dict):
        raise _odd("scopes", "be an object")
    held = cast("dict[str, object]", scopes)
    areas = frozenset(map(_area, _list_in(held, "products")))
    if "globalResources" not in held:
        return areas
    if not all(isinstance(each, dict) for each in _list_in(held, "globalResources")):
        raise _odd("scopes.globalResources", "be a list of objects")
    return EVERYTHING


def _list_in(scopes: dict[str, object], name: str) -> list[object]:
    given = scopes.get(name)
    if not isinstance(given, list):
        raise _odd(f"scopes.{name}", "be a list")
    return cast("list[object]", given)


def _area(product: object) -> ApiScope:
    area = next((one for one in PRODUCTS if one == product), None)
    if area is None:
        raise _odd("scopes.products", f"contain only {', '.join(PRODUCTS)}")
    return area


def _odd(name: str, right: str) -> InvalidBearerToken:
    return InvalidBearerToken(f"the token's claim {name} must {right}; request a new token")
