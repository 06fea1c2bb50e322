"""Authenticates requests by their Authorization header, and checks what the client may do."""

import asyncio
import base64
import binascii
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cached_property, partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

from starlette.requests import Request

from ringback.api.host_routing import EVENTS, SUPER_SIM, WIRELESS, names_in_path
from ringback.api.login_rate_limiter import LoginAttempt, LoginRateLimiter
from ringback.api.rate_limit import AccountRateLimit
from ringback.core.accounts.account import EVERY, Account
from ringback.core.accounts.client_credentials import ApiScope, Principal
from ringback.core.accounts.secret_hash import hash_secret
from ringback.core.audit import Actor, ActorKind
from ringback.core.errors import (
    Forbidden,
    InvalidParameter,
    NotFound,
    StoreUnavailable,
    Unauthorized,
)
from ringback.core.newest_entries import NewestEntries
from ringback.operations.accounts import fetch_account
from ringback.operations.authentication import sign_in
from ringback.operations.console_sessions import session_caller
from ringback.operations.lookups import is_operators_key, owner_of
from ringback.ports import Clock, Store, Transaction
from ringback.runtime.system_clock import SystemClock

if TYPE_CHECKING:
    from ringback.api.bearer_tokens import BearerTokens

ACT_FOR: Final = "Ringback-Account"
"""The header that names the account for which a request with an operator's key acts."""

READING: Final = frozenset({"GET", "HEAD"})
"""The HTTP methods of requests that change nothing; an API key that can only read has no others."""

SIGNED_IN: Final = "ringback.signed_in"
"""The key of the ASGI scope for a client that signed in otherwise (`Principal`).

The console puts the client of its session there when it calls the application in this process. No
request from outside can do so, since the HTTP server makes its scope.
"""

PLAN_ID: Final = "plan_id"
"""The name of the part of a path that is the id of a plan."""
_CALLER: Final = "ringback.caller"
"""The key of the ASGI scope under which the authenticated client (`Principal`) is stored."""
_REMEMBERED_FOR: Final = timedelta(seconds=1)
_BETWEEN_WRITES: Final = 60
"""Seconds between two writes of when API keys have signed in last."""
_MOST: Final = 10_000
_AREAS: Final = (
    (f"{SUPER_SIM}/", ApiScope.SUPER_SIM),
    (f"{WIRELESS}/", ApiScope.WIRELESS),
    # All events are about Super SIMs.
    (f"{EVENTS}/", ApiScope.SUPER_SIM),
)


class _SignedIn(NamedTuple):
    caller: Principal
    since: datetime

    def holds_at(self, now: datetime) -> bool:
        """Return True if this sign-in may be reused at `now` without a new check."""
        has_ended = self.caller.until is not None and self.caller.until <= now
        # After the clock was set back, the sign-in is not remembered for longer than usual.
        return not has_ended and self.since <= now < self.since + _REMEMBERED_FOR


class Authenticator:
    """Authenticates requests, and remembers each successful sign-in for a second.

    When an API key signs in, it only notes this in memory; `write_uses` stores it later.

    A client that makes thousands of calls therefore causes only one read of the store per second.
    If another process changes or deletes credentials, this takes effect within a second. Only a
    digest of the credentials is kept.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        rate_limit: AccountRateLimit | None = None,
        most: int = _MOST,
        outside: Clock | None = None,
    ) -> None:
        """Authenticate by what is in the store, at the times of `clock`.

        Sessions of the console end by the clock `outside`, which is the system's by default.
        """
        self.store = store
        self.outside = outside or SystemClock()
        self.of_passwords, self.of_tokens, self.of_clients = (LoginRateLimiter() for _ in range(3))
        self.rate_limit = rate_limit or AccountRateLimit()
        self._clock = clock
        self._remembered = NewestEntries[bytes, _SignedIn](most)
        self._sessions = NewestEntries[bytes, _SignedIn](most)
        self._used = dict[str, datetime]()
        """When API keys have signed in last, by their SIDs; only those that are not stored yet."""
        self._used_sessions = dict[str, datetime]()
        """The same for the last uses of sessions, by the hashes of their tokens."""

    @cached_property
    def tokens(self) -> "BearerTokens":
        """Issues and verifies bearer tokens."""
        # Imported late: the library for tokens would make the start slower.
        from ringback.api.bearer_tokens import BearerTokens  # noqa: PLC0415 (see above)

        return BearerTokens(self.store, self._clock)

    @property
    def refusals(self) -> Mapping[tuple[str, ...], int]:
        """The number of requests refused since the start, by reason: `sign_in` or `rate_limit`.

        `sign_in` counts sign-ins after too many wrong credentials, `rate_limit` counts requests
        beyond an account's limit.
        """
        limiters = (self.of_passwords, self.of_tokens, self.of_clients)
        return {
            ("sign_in",): sum(each.refused for each in limiters),
            ("rate_limit",): self.rate_limit.refused,
        }

    async def let_in(self, caller: Principal) -> None:
        """Count a request of this client against its account's rate limit.

        Raises TooManyRequests, after a pause, if the account is over its limit. Requests of the
        operator are not limited.
        """
        if self.rate_limit.is_on and caller.account is not None:
            await self.rate_limit.let_in(caller.account.sid, self._clock.now())

    def charge(self, caller: Principal, cost: int, *, may_owe: bool = False) -> None:
        """Count the extra cost of a request, such as a batch, against its account's rate limit.

        Raises TooManyRequests if the cost is more than the account has left. With `may_owe`, the
        account may go into debt: TooManyRequests is raised only if it is in debt already.
        """
        if self.rate_limit.is_on and caller.account is not None:
            self.rate_limit.take(caller.account.sid, cost, self._clock.now(), may_owe=may_owe)

    async def caller_of(self, authorization: str | None, address: str = "") -> Principal:
        """Return the client whose credentials are in an Authorization header.

        `address` is the IP address of the client.

        Raises Unauthorized if the header is missing, malformed or wrong, Forbidden if the account
        is suspended, and LoginRateLimited after too many wrong credentials.
        """
        known = self.remembered(authorization)
        if known is not None:
            return known
        signed_in = await self._sign_in(authorization, address, self._clock.now())
        self._remembered[_digest(authorization)] = signed_in
        self._note_use(signed_in)
        return signed_in.caller

    async def check_password(self, username: str, password: str, address: str) -> None:
        """Check credentials that are not in a header, such as those of a form.

        Counts as a request of the account. Raises the errors of `caller_of` and `let_in`.
        """
        signed_in = await self._sign_in_with(username, password, address, self._clock.now())
        await self.let_in(signed_in.caller)
        self._note_use(signed_in)

    async def session_caller(self, token: str, address: str = "") -> Principal:
        """Return the client of the session of the console whose token this is.

        `address` is the IP address of the client. Put the result into the ASGI scope, under
        `SIGNED_IN`, to call the application for this client.

        Raises Unauthorized if the session has ended, Forbidden if the account is suspended, and
        LoginRateLimited for a wrong token after too many others from this address.
        """
        now = self.outside.now()
        known = self._sessions.get(_digest(token))
        if known is not None and known.holds_at(now):
            return known.caller

        async def look() -> _SignedIn:
            found = await self.store.read(lambda tx: session_caller(tx, token, now))
            return _SignedIn(found, now)

        tried = LoginAttempt.of(token, "", address)
        signed_in = await self.of_tokens.look_at_token(tried, now, look)
        self._sessions[_digest(token)] = signed_in
        self._used_sessions[hash_secret(token)] = now
        return signed_in.caller

    def forget_sessions(self) -> None:
        """Look up each session in the store again, since one has ended."""
        self._sessions.clear()

    async def write_uses(self) -> None:
        """Store when API keys have signed in and sessions were used last, in one transaction.

        If the database can't be used at the moment, nothing is lost: the next call stores it.
        """
        if not self._used and not self._used_sessions:
            return
        used, self._used = self._used, dict[str, datetime]()
        sessions, self._used_sessions = self._used_sessions, dict[str, datetime]()

        def note(tx: Transaction) -> None:
            tx.accounts.keys.note_uses(used)
            tx.console_sessions.note_uses(sessions)

        try:
            await self.store.transact(note)
        except StoreUnavailable:
            self._used = used | self._used
            self._used_sessions = sessions | self._used_sessions

    async def run(self) -> None:
        """Call `write_uses` every minute, for ever, and once more when it is cancelled."""
        try:
            while True:
                await asyncio.sleep(_BETWEEN_WRITES)
                await self.write_uses()
        finally:
            await self.write_uses()

    def remembered(self, authorization: str | None) -> Principal | None:
        """Return the client whose credentials are in this header if it signed in just now."""
        known = self._remembered.get(_digest(authorization))
        return known.caller if known is not None and known.holds_at(self._clock.now()) else None

    async def _sign_in(self, authorization: str | None, address: str, now: datetime) -> _SignedIn:
        scheme, given = _read(authorization)
        username, _, password = given.partition(":")

        async def look_at_token() -> _SignedIn:
            return _SignedIn(await self.tokens.caller_of(given), now)

        if scheme == "bearer":
            # Each token counts as a separate user name: an expired one must not block others.
            return await self.of_tokens.look(
                LoginAttempt.of(given, "", address), now, look_at_token
            )
        return await self._sign_in_with(username, password, address, now)

    async def _sign_in_with(
        self, username: str, password: str, address: str, now: datetime
    ) -> _SignedIn:
        async def look() -> _SignedIn:
            work = partial(sign_in, username=username, password=password)
            return _SignedIn(await self.store.read(work), now)

        tried = LoginAttempt.of(username, password, address)
        return await self.of_passwords.look(tried, now, look)

    def _note_use(self, signed_in: _SignedIn) -> None:
        actor = signed_in.caller.actor
        if actor.kind in (ActorKind.API_KEY, ActorKind.OPERATOR_KEY) and actor.id is not None:
            self._used[actor.id] = signed_in.since


async def caller_of(request: Request, authenticator: Authenticator) -> Principal:
    """Return the client that makes a request, and count the request against its rate limit.

    That is the client in the ASGI scope (`SIGNED_IN`), or else that of the Authorization header.

    Raises the errors of `Authenticator.caller_of`, TooManyRequests if the client is over its rate
    limit, and Forbidden if the credentials are valid but not for this API, or can only read, and
    the request would change something.
    """
    caller = request.scope.get(SIGNED_IN)
    if caller is None:
        header = request.headers.get("authorization")
        caller = await authenticator.caller_of(header, address_of(request))
    if caller.is_read_only and request.method not in READING:
        raise Forbidden(
            f"this API key can only read, so it can't {request.method} anything: sign in with a key"
            " whose role is full"
        )
    await authenticator.let_in(caller)
    request.scope[_CALLER] = caller
    path = request.scope["path"]
    area = next((area for prefix, area in _AREAS if path.startswith(prefix)), ApiScope.GLOBAL)
    if not caller.may(area):
        good_for = ", ".join(sorted(caller.areas)) or "nothing"
        raise Forbidden(f"this token is valid for {good_for}, not for {area}")
    return caller


async def account_of(request: Request, authenticator: Authenticator) -> Account:
    """Return the account that a request is about: the account that is signed in.

    An operator's key can act for any account. Its request names the account in a header, or has a
    path to a resource of the account.

    Raises the errors of `caller_of`, and InvalidParameter if a request with an operator's key names
    no account.
    """
    account = await _account_asked_for(request, authenticator)
    if account is None:
        raise InvalidParameter(
            f"an operator's key works for every account; name the account in the header {ACT_FOR}",
            code=20002,
        )
    return account


async def reach_of(request: Request, authenticator: Authenticator) -> str:
    """Return the SID of the account whose records a request may list; EVERY means all accounts.

    EVERY is returned only for an operator's key, if its request names no account. Raises the errors
    of `caller_of`.
    """
    account = await _account_asked_for(request, authenticator)
    return EVERY if account is None else account.sid


async def _account_asked_for(request: Request, authenticator: Authenticator) -> Account | None:
    """Return the account that is signed in or that an operator's request is about, or None."""
    caller = await caller_of(request, authenticator)
    if caller.account is not None:
        return caller.account
    return await authenticator.store.read(lambda tx: _named(tx, request), asked_by=EVERY)


def signed_in(request: Request) -> Principal:
    """Return the client that made a request for which `caller_of` was called before."""
    return request.scope[_CALLER]


def actor_of(request: Request) -> Actor:
    """Return the client of a signed-in request, with its address, as audit entries name it."""
    return signed_in(request).actor.at(address_of(request))


def address_of(request: Request) -> str:
    """Return the IP address of the client that sent a request; empty if it is unknown."""
    return request.client.host if request.client else ""


def _named(tx: Transaction, request: Request) -> Account | None:
    """Return the account named by an operator's request, or the owner of the resource in its path.

    Returns None if the request has neither, or if the resource is the operator's own; raises
    NotFound if the account or resource does not exist.
    """
    named = request.headers.get(ACT_FOR)
    if named is not None:
        return fetch_account(tx, named)
    # A plan has no account of its own: the same id may be that of a plan of an account.
    in_path = names_in_path(request).items()
    names = [name for part, name in in_path if part != PLAN_ID]
    owner = next(filter(None, (owner_of(tx, sid) for sid in names)), None)
    if owner is None and names and not any(is_operators_key(tx, sid) for sid in names):
        asked = ", ".join(names)
        raise NotFound(
            f"no account has a resource with the SID {asked!r}; to use a unique name, name"
            f" its account in the header {ACT_FOR}"
        )
    return None if owner is None else tx.accounts.get(owner)


def _digest(authorization: str | None) -> bytes:
    return blake2b((authorization or "").encode(), digest_size=32).digest()


def _read(header: str | None) -> tuple[str, str]:
    """Return the scheme of an Authorization header in lower case, and its decoded credentials.

    Raises Unauthorized if the header is missing or malformed.
    """
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
            "the Authorization header is neither valid HTTP Basic (RFC 7617) nor a bearer token"
        ) from None
