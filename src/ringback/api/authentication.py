"""From a request's Authorization header to who asks, and what they may ask for."""

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from hashlib import blake2b
from typing import Final, NamedTuple

from starlette.requests import Request

from ringback.api.bearer_tokens import BearerTokens
from ringback.api.host_routing import SUPER_SIM, WIRELESS, names_in_path
from ringback.api.login_rate_limiter import LoginAttempt, LoginRateLimiter
from ringback.api.rate_limit import AccountRateLimit
from ringback.core.accounts.account import EVERY, Account
from ringback.core.accounts.client_credentials import ApiScope, Principal
from ringback.core.errors import Forbidden, InvalidParameter, NotFound, Unauthorized
from ringback.core.newest_entries import NewestEntries
from ringback.operations.accounts import fetch_account
from ringback.operations.authentication import sign_in
from ringback.operations.lookups import owner_of
from ringback.ports import Clock, Store, Transaction

ACT_FOR: Final = "Ringback-Account"
"""The header by which an operator's key says for which account it asks."""

_CALLER: Final = "ringback.caller"
"""Where a request's scope has who makes it."""
_REMEMBERED_FOR: Final = timedelta(seconds=1)
_MOST: Final = 10_000
_AREAS: Final = ((f"{SUPER_SIM}/", ApiScope.SUPER_SIM), (f"{WIRELESS}/", ApiScope.WIRELESS))


class _SignedIn(NamedTuple):
    caller: Principal
    since: datetime

    def holds_at(self, now: datetime) -> bool:
        """Whether the sign-in is still valid without asking the store again."""
        has_ended = self.caller.until is not None and self.caller.until <= now
        # A clock that was set back is no reason to remember for longer.
        return not has_ended and self.since <= now < self.since + _REMEMBERED_FOR


class Authenticator:
    """Signs requests in, and remembers each sign-in for a second.

    So a change that another process made takes effect within a second, and a client that makes
    thousands of calls costs the store one read a second for it. Of a password only a digest is
    kept; wrong credentials are not remembered, but counted.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        rate_limit: AccountRateLimit | None = None,
        most: int = _MOST,
    ) -> None:
        self.store = store
        self.tokens = BearerTokens(store, clock)
        self.of_passwords, self.of_tokens, self.of_clients = (LoginRateLimiter() for _ in range(3))
        self.rate_limit = rate_limit or AccountRateLimit()
        self._clock = clock
        self._remembered = NewestEntries[bytes, _SignedIn](most)

    @property
    def refusals(self) -> Mapping[tuple[str, ...], int]:
        """How many requests had to wait since the start, by the reason."""
        limiters = (self.of_passwords, self.of_tokens, self.of_clients)
        return {
            ("sign_in",): sum(each.refused for each in limiters),
            ("rate_limit",): self.rate_limit.refused,
        }

    async def let_in(self, caller: Principal) -> None:
        """Count a request; raises TooManyRequests where it is too much for now, after a pause.

        The operator may ask for as much as they like.
        """
        if self.rate_limit.is_on and caller.account is not None:
            await self.rate_limit.let_in(caller.account.sid, self._clock.now())

    def charge(self, request: Request, cost: int, *, may_owe: bool = False) -> None:
        """Count what a request of somebody who is signed in asks for beside itself.

        Raises TooManyRequests where it is too much for now; where it may be owed, only where
        something is owed already.
        """
        caller: Principal = request.scope[_CALLER]
        if self.rate_limit.is_on and caller.account is not None:
            self.rate_limit.take(caller.account.sid, cost, self._clock.now(), may_owe=may_owe)

    async def caller_of(self, authorization: str | None, address: str = "") -> Principal:
        """Return who an Authorization header signs in, that came from this address.

        Raises Unauthorized where it is missing, malformed or wrong, Forbidden for a suspended
        account, and LoginRateLimited.
        """
        digest = blake2b((authorization or "").encode(), digest_size=32).digest()
        now = self._clock.now()
        known = self._remembered.get(digest)
        if known is not None and known.holds_at(now):
            return known.caller
        signed_in = await self._sign_in(authorization, address, now)
        self._remembered[digest] = signed_in
        return signed_in.caller

    async def _sign_in(self, authorization: str | None, address: str, now: datetime) -> _SignedIn:
        scheme, given = _read(authorization)
        username, _, password = given.partition(":")

        async def look_at_token() -> _SignedIn:
            return _SignedIn(await self.tokens.caller_of(given), now)

        async def look_at_password() -> _SignedIn:
            work = partial(sign_in, username=username, password=password)
            return _SignedIn(await self.store.read(work), now)

        if scheme == "bearer":
            # Each token is counted as a name of its own: an expired one must not block others.
            return await self.of_tokens.look(
                LoginAttempt.of(given, "", address), now, look_at_token
            )
        tried = LoginAttempt.of(username, password, address)
        return await self.of_passwords.look(tried, now, look_at_password)


async def caller_of(request: Request, authenticator: Authenticator) -> Principal:
    """Return who makes a request.

    Raises what `Authenticator.caller_of` does, TooManyRequests where this is one more than the
    caller may make now, and Forbidden where the credentials are good, but not for this API.
    """
    header = request.headers.get("authorization")
    caller = await authenticator.caller_of(header, address_of(request))
    await authenticator.let_in(caller)
    request.scope[_CALLER] = caller
    path = request.scope["path"]
    area = next((area for prefix, area in _AREAS if path.startswith(prefix)), ApiScope.GLOBAL)
    if not caller.may(area):
        good_for = ", ".join(sorted(caller.areas)) or "nothing"
        raise Forbidden(f"this token is good for {good_for}, and not for {area}")
    return caller


async def account_of(request: Request, authenticator: Authenticator) -> Account:
    """Return the account that a request is about: the one that is signed in.

    For an operator's key that is the one that the request names, or that has what its path names.
    Raises what `caller_of` does; InvalidParameter where an operator's key names none.
    """
    account = await _account_asked_for(request, authenticator)
    if account is None:
        raise InvalidParameter(
            f"an operator's key can do this for any account: say for which in the header {ACT_FOR}",
            code=20002,
        )
    return account


async def reach_of(request: Request, authenticator: Authenticator) -> str:
    """Return the SID of the account that a list is about; EVERY for an operator's key.

    Where an operator's request names an account it is about that one alone. Raises what `caller_of`
    does.
    """
    account = await _account_asked_for(request, authenticator)
    return EVERY if account is None else account.sid


async def _account_asked_for(request: Request, authenticator: Authenticator) -> Account | None:
    """Return the account that is signed in, or the one that an operator's request names."""
    caller = await caller_of(request, authenticator)
    if caller.account is not None:
        return caller.account
    return await authenticator.store.read(lambda tx: _named(tx, request), asked_by=EVERY)


def address_of(request: Request) -> str:
    """Return where a request came from."""
    return request.client.host if request.client else ""


def _named(tx: Transaction, request: Request) -> Account | None:
    """Return the account that a request of the operator names, by itself or by what it has."""
    named = request.headers.get(ACT_FOR)
    if named is not None:
        return fetch_account(tx, named)
    owners = (owner_of(tx, sid) for sid in names_in_path(request).values())
    owner = next(filter(None, owners), None)
    if owner is None and names_in_path(request):
        asked = ", ".join(names_in_path(request).values())
        raise NotFound(
            f"no account has anything with the SID {asked!r}; to use a unique name, say whose it is"
            f" in the header {ACT_FOR}"
        )
    return None if owner is None else tx.accounts.get(owner)


def _read(header: str | None) -> tuple[str, str]:
    """Return the scheme of an Authorization header, and what it says."""
    if not header:
        raise Unauthorized(
            "no credentials were given; use HTTP Basic with an Account SID and its Auth Token,"
            " or an API key SID (SK…) and its secret; or a bearer token"
        )
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() == "bearer":
        return "bearer", encoded.strip()
    try:
        if scheme.lower() != "basic":
            raise ValueError
        return "basic", base64.b64decode(encoded, validate=True).decode()
    except (ValueError, binascii.Error):
        raise Unauthorized(
            "the Authorization header is neither HTTP Basic, as RFC 7617 has it, nor a bearer token"
        ) from None
