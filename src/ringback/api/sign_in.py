"""HTTP Basic: from a request's Authorization header to its account."""

import base64
import binascii

from starlette.requests import Request

from ringback.core.account import Account
from ringback.core.errors import NotSignedIn
from ringback.operations.sign_in import sign_in
from ringback.ports import Store


async def account_of(request: Request, store: Store) -> Account:
    """Return the account that a request is signed in to.

    Raises NotSignedIn where its credentials are missing, malformed or wrong.
    """
    username, password = _read_basic(request.headers.get("authorization"))
    return await store.transact(lambda tx: sign_in(tx, username, password))


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
