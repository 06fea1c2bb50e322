"""Checks credentials, and finds the account or operator that they belong to."""

from ringback.core.accounts.account import Account, ApiKey, ApiKeyRole
from ringback.core.accounts.client_credentials import Principal
from ringback.core.accounts.secret_hash import is_same
from ringback.core.audit import Actor, ActorKind
from ringback.core.errors import Forbidden, Unauthorized
from ringback.core.sids import SidKind
from ringback.ports import Transaction

_NOT_ACTIVE = 20005


def sign_in(tx: Transaction, username: str, password: str) -> Principal:
    """Return the account or operator with these credentials.

    Valid credentials are an account's SID with its primary or secondary Auth Token, or an API key's
    SID with its secret. Raises Unauthorized for others, and Forbidden for a suspended account.
    """
    if username.startswith(SidKind.API_KEY):
        return _by_api_key(tx, username, password)
    account = tx.accounts.get(username)
    if account is None or not _has_token(account, password):
        raise Unauthorized(
            "wrong credentials: sign in with an Account SID and its Auth Token,"
            " or an API key SID (SK…) and its secret"
        )
    return caller_with_token(tx, account)


def caller_with_token(tx: Transaction, account: Account) -> Principal:
    """Return the account whose Auth Token signed in; raises Forbidden if it is suspended."""
    return Principal(check_active(tx, account), actor_with_token(account))


def actor_with_token(account: Account) -> Actor:
    """Return an account's Auth Token, as audit entries name it."""
    return Actor(ActorKind.AUTH_TOKEN, account.sid, account.name)


def actor_with_key(key: ApiKey) -> Actor:
    """Return an API key, as audit entries name it."""
    kind = ActorKind.OPERATOR_KEY if key.account_sid is None else ActorKind.API_KEY
    return Actor(kind, key.sid, key.name)


def check_active(tx: Transaction, account: Account | None) -> Account:
    """Return the account; raises Forbidden if it is None, or if it or its parent is suspended."""
    if account is None:
        raise Forbidden("the account of these credentials no longer exists", code=_NOT_ACTIVE)
    parent = tx.accounts.get(account.parent_sid) if account.parent_sid else None
    for one in filter(None, (account, parent)):
        if one.is_suspended:
            raise Forbidden(
                f"account {one.sid} is suspended; its operator can activate it again",
                code=_NOT_ACTIVE,
            )
    return account


def _by_api_key(tx: Transaction, key_sid: str, secret: str) -> Principal:
    key = tx.accounts.keys.get(key_sid)
    if key is not None and key.opens_with(secret):
        return caller_with_key(tx, key)
    account = tx.accounts.get(key.account_sid) if key and key.account_sid else None
    if account is not None and _has_token(account, secret):
        raise Unauthorized(
            "wrong credentials: the user name is an API key SID, so the password"
            " must be that key's secret; to use the Auth Token, sign in with"
            " the Account SID"
        )
    raise Unauthorized("wrong credentials: there is no such API key with this secret")


def caller_with_key(tx: Transaction, key: ApiKey) -> Principal:
    """Return the account or operator of an API key; raises Forbidden for a suspended account."""
    is_operators = key.account_sid is None
    account = None if is_operators else check_active(tx, tx.accounts.get(key.account_sid or ""))
    is_read_only = key.role is ApiKeyRole.READ_ONLY
    return Principal(account, actor_with_key(key), is_read_only=is_read_only)


def _has_token(account: Account, given: str) -> bool:
    """Return True if this is one of the account's Auth Tokens; compares both in constant time."""
    tokens = (account.auth_token, account.secondary_auth_token or account.auth_token)
    # A damaged token is empty, and nobody can sign in with it.
    return any([is_same(token, given) and token != "" for token in tokens])  # noqa: C419 (it would stop early)
