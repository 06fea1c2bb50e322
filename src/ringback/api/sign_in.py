"""HTTP Basic: from a request's Authorization header to its account."""

import base64
import binascii
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Final, NamedTuple

from starlette.requests import Request

from ringback.core.account import Account
from ringback.core.errors import NotSignedIn
from ringback.operations.sign_in import sign_in
from ringback.ports import Clock, Store

_REMEMBERED_FOR: Final = timedelta(seconds=1)
_MOST: Final = 10_000


class _SignedIn(NamedTuple):
    account: Account
    since: datetime


class SignIns:
    """Signs requests in, and remembers for a second who signed in with what.

    So a changed token takes effect within a second, and a client that makes thousands of calls
    costs the store one transaction a second for it. What is kept of a password is a digest; what
    was wrong is not remembered.
    """

    def __init__(self, store: Store, clock: Clock, *, most: int = _MOST) -> None:
        self._store = store
        self._clock = clock
        self._most = most
        # The oldest first: each is put at the end, and dictionaries keep that order.
        self._remembered = dict[bytes, _SignedIn]()

    async def account_of(self, authorization: str | None) -> Account:
        """Return the account that an Authorization header signs in to.

        Raises NotSignedIn where it is missing, malformed or wrong.
        """
        digest = blake2b((authorization or "").encode(), digest_size=32).digest()
        now = self._clock.now()
        known = self._remembered.get(digest)
        # A clock that was set back is no reason to remember for longer.
        if known is not None and known.since <= now < known.since + _REMEMBERED_FOR:
            return known.account
        username, password = _read_basic(authorization)
        account = await self._store.transact(lambda tx: sign_in(tx, username, password))
        self._remember(digest, _SignedIn(account, now))
        return account

    def _remember(self, digest: bytes, signed_in: _SignedIn) -> None:
        self._remembered.pop(digest, None)
        if len(self._remembered) >= self._most:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[digest] = signed_in


async def account_of(request: Request, sign_ins: SignIns) -> Account:
    """Return the account that a request is signed in to.

    Raises NotSignedIn where its credentials are missing, malformed or wrong.
    """
    return await sign_ins.account_of(request.headers.get("authorization"))


def _read_basic(header: str | None) -> tuple[str, str]:
    if not header:
        raise NotSignedIn(
            "no credentials were given; use HTTP Basic with an Account SID and its Auth Token,"
            " or an API key SID (SK…) and its secret"
        )
    scheme, _, encoded = header.partition(" ")
    try:
        if scheme.lower() != "basic":
            raise ValueError
        username, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (ValueError, binascii.Error):
        raise NotSignedIn("the Authorization header is not HTTP Basic as RFC 7617 has it") from None
    return username, password
