"""Who is asking: credentials to an account."""

import hmac

from ringback.core.account import Account
from ringback.core.errors import NotSignedIn
from ringback.core.sids import Kind
from ringback.ports import Transaction


def sign_in(tx: Transaction, username: str, password: str) -> Account:
    """Return the account of an Account SID with its Auth Token, or an API key SID with its secret.

    Raises NotSignedIn for anything else.
    """
    if username.startswith(Kind.API_KEY):
        return _by_api_key(tx, username, password)
    account = tx.accounts.get(username)
    if account is None or not _is_same(account.auth_token, password):
        raise NotSignedIn(
            "wrong credentials: sign in with an Account SID and its Auth Token,"
            " or an API key SID (SK…) and its secret"
        )
    return account


def _by_api_key(tx: Transaction, key_sid: str, secret: str) -> Account:
    key = tx.accounts.key(key_sid)
    account = tx.accounts.get(key.account_sid) if key else None
    if key is not None and account is not None:
        if _is_same(key.secret, secret):
            return account
        if _is_same(account.auth_token, secret):
            raise NotSignedIn(
                "wrong credentials: the user name is an API key SID, so the password has to be"
                " that key's secret; the Auth Token goes with the Account SID"
            )
    raise NotSignedIn("wrong credentials: there is no such API key with this secret")


def _is_same(known: str, given: str) -> bool:
    return hmac.compare_digest(known.encode(), given.encode())
