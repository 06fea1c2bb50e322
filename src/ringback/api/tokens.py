"""Bearer tokens: signed JWTs that API clients get for their credentials (RFC 7519, 6749 §4.4).

They are signed with an RSA key of this server, RS256 as KORE's are, and hold the claims that KORE
documents. Whoever shows one is the client; what it may do stands in the token, so that a client's
old tokens keep their rights until they end.
"""

import asyncio
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, cast

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from ringback.core.account import Account
from ringback.core.api_client import EVERYTHING, ApiClient, Area, ClientType
from ringback.core.caller import Caller
from ringback.core.errors import TokenRefused
from ringback.operations.sign_in import check_active
from ringback.ports import Chance, Clock, Store, TokenKey, Transaction

_ISSUER: Final = "ringback"
_ALGORITHM: Final = "RS256"
_BITS: Final = 2048
_ID_BYTES: Final = 16
_ADMIN: Final = ("API Clients", "Accounts", "Webhooks")
_ACCESS: Final = ("Read", "Write", "Modify", "Delete")
_CLAIMS: Final = ["iss", "aud", "sub", "exp", "iat", "jti", "client_id", "scopes"]


class _Loaded(NamedTuple):
    id: str
    private_key: rsa.RSAPrivateKey


class Tokens:
    """Makes tokens, and reads them."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._loaded: _Loaded | None = None

    async def make(self, client: ApiClient, account: Account, chance: Chance) -> str:
        """Return a new token of a client of this account."""
        key = await self._key(chance)
        now = self._clock.now()
        claims = {
            "iss": _ISSUER,
            "aud": _ISSUER,
            "sub": client.sid,
            "iat": int(now.timestamp()),
            "exp": int((now + client.lifetime).timestamp()),
            "jti": chance.bytes(_ID_BYTES).hex(),
            "account-id": account.kore_id,
            "client-type": client.type.value,
            "client_id": client.sid,
            "scopes": _scopes_of(client),
        }
        return jwt.encode(claims, key.private_key, _ALGORITHM, headers={"kid": key.id})

    async def caller_of(self, token: str) -> Caller:
        """Return who shows this token.

        Raises TokenRefused where it is none of ours, has ended, or its client is gone; Forbidden
        where the account is suspended.
        """
        key = self._loaded or await self._kept()
        if key is None:
            raise TokenRefused("this is no token of this server")
        try:
            claims = jwt.decode(
                token,
                key.private_key.public_key(),
                [_ALGORITHM],
                audience=_ISSUER,
                issuer=_ISSUER,
                # The time is the server's own, which may be ahead of the machine's.
                options={"require": _CLAIMS, "verify_exp": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError:
            raise TokenRefused("this is no token of this server") from None
        until = datetime.fromtimestamp(claims["exp"], UTC)
        if until <= self._clock.now():
            raise TokenRefused(f"the token ended at {until:%Y-%m-%dT%H:%M:%SZ}; ask for another")
        account = await self._store.read(lambda tx: _account_of(tx, claims["client_id"]))
        return Caller(account, _areas_in(claims["scopes"]), until)

    async def _key(self, chance: Chance) -> _Loaded:
        if self._loaded is None and await self._kept() is None:
            # It takes a tenth of a second, in which others want to be served.
            pem = await asyncio.to_thread(_new_pem)
            new = TokenKey(chance.bytes(8).hex(), pem)
            self._loaded = _load(await self._store.transact(lambda tx: _keep_first(tx, new)))
        return cast("_Loaded", self._loaded)

    async def _kept(self) -> _Loaded | None:
        key = await self._store.read(lambda tx: tx.api_clients.token_key())
        self._loaded = key and _load(key)
        return self._loaded


def _account_of(tx: Transaction, client_sid: str) -> Account:
    client = tx.api_clients.get(client_sid)
    if client is None:
        raise TokenRefused("the API client of this token is gone")
    return check_active(tx, tx.accounts.get(client.account_sid))


def _keep_first(tx: Transaction, key: TokenKey) -> TokenKey:
    """Keep a key, and return it; where there is one already, that one."""
    known = tx.api_clients.token_key()
    if known is None:
        tx.api_clients.keep_token_key(key)
    return known or key


def _new_pem() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _load(key: TokenKey) -> _Loaded:
    loaded = load_pem_private_key(key.private_key.encode(), None)
    return _Loaded(key.id, cast("rsa.RSAPrivateKey", loaded))


def _scopes_of(client: ApiClient) -> dict[str, Any]:
    scopes: dict[str, Any] = {"products": sorted(client.areas - {Area.GLOBAL})}
    if client.type is ClientType.ADMIN:
        scopes["globalResources"] = [
            {"resourceName": name, "access": list(_ACCESS)} for name in _ADMIN
        ]
    return scopes


def _areas_in(scopes: dict[str, Any]) -> frozenset[Area]:
    if "globalResources" in scopes:
        return EVERYTHING
    return frozenset(map(Area, scopes["products"]))
