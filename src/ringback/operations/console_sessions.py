"""Begin, check and end sessions of the console.

See `core/accounts/console_session` for when a session ends by itself. It also ends if the API key
that signed in is ended, or if the Auth Token is replaced.

Sessions end by the time outside, not by the server's clock, which may be a virtual one: nobody is
signed out because the clock of `ringback dev` is advanced. So they are not deleted by retention,
but when others begin.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, NamedTuple

from ringback.core.accounts.client_credentials import Principal
from ringback.core.accounts.console_session import (
    LONGEST_UNUSED,
    MOST_SESSIONS,
    TOKEN_BYTES,
    ConsoleSession,
    make_token,
    proof_of,
)
from ringback.core.accounts.secret_hash import hash_secret
from ringback.core.audit import Actor
from ringback.core.errors import Unauthorized
from ringback.core.sids import SID_BYTES, SidKind, make_sid
from ringback.operations.accounts import fetch_account
from ringback.operations.authentication import (
    actor_with_key,
    actor_with_token,
    caller_with_key,
    caller_with_token,
    sign_in,
)
from ringback.operations.context import AccountOperationContext
from ringback.ports import Transaction

_REMOVED_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class BegunSession:
    """A new session, who signed in, and the browser's token; the store has only its hash."""

    session: ConsoleSession
    caller: Principal
    token: str = field(repr=False)


class _Credential(NamedTuple):
    """What signed in: an API key, or an account's Auth Tokens."""

    name: str
    """The credential, as messages name it."""
    actor: Actor
    account_sid: str | None
    secret_hashes: Sequence[str]
    caller: Callable[[], Principal]
    """Returns the client that signed in with it; raises Forbidden for a suspended account."""


def begin_session(
    tx: Transaction,
    username: str,
    password: str,
    context: AccountOperationContext,
    *,
    outside: datetime,
    address: str = "",
) -> BegunSession:
    """Sign in with these credentials, and begin a session.

    `outside` is the time by the system's clock, and `address` the IP address of the client. Deletes
    sessions that have ended by themselves, and the oldest of a credential that has too many. Raises
    the errors of `sign_in`.
    """
    caller = sign_in(tx, username, password)
    token = make_token(context.random_source.bytes(TOKEN_BYTES))
    session = ConsoleSession(
        sid=make_sid(SidKind.CONSOLE_SESSION, context.random_source.bytes(SID_BYTES)),
        token_hash=hash_secret(token),
        credential=username,
        proof=proof_of(token, hash_secret(password)),
        address=address or None,
        date_created=outside,
        date_last_used=outside,
    )
    tx.console_sessions.remove_unused_since(outside - LONGEST_UNUSED, limit=_REMOVED_AT_ONCE)
    tx.console_sessions.remove_oldest_of(username, keep=MOST_SESSIONS - 1, limit=_REMOVED_AT_ONCE)
    tx.console_sessions.add(session)
    signed_in = replace(context, actor=caller.actor.at(address))
    account_sid = caller.account and caller.account.sid
    signed_in.record(tx, "SignIn", session.sid, account_sid=account_sid, after=session)
    return BegunSession(session, caller, token)


def session_caller(tx: Transaction, token: str, outside: datetime) -> Principal:
    """Return the account or operator of the session whose token this is.

    `outside` is the time by the system's clock. `until` says when the session ends, unless it is
    used again. Raises Unauthorized if it has ended, or if its credential is not valid any more, and
    Forbidden if the account is suspended.
    """
    session = tx.console_sessions.first({"token_hash": hash_secret(token)})
    if session is None:
        raise Unauthorized("there is no such session, or it has ended: sign in again")
    why = session.why_ended(outside)
    if why is not None:
        raise Unauthorized(f"the session has ended, because {why}: sign in again")
    credential = _credential_of(tx, session)
    if not session.is_proven_by(token, credential.secret_hashes):
        raise Unauthorized(
            f"the session has ended, because {credential.name} is not valid any more: sign in again"
        )
    return replace(credential.caller(), until=session.ends)


def end_session(
    tx: Transaction,
    token: str,
    context: AccountOperationContext,
    *,
    address: str = "",
    everywhere: bool = False,
) -> None:
    """End the session whose token this is, if there is one.

    With `everywhere`, also end all other sessions that the same API key or Auth Token has begun.
    `address` is the IP address of the client.
    """
    session = tx.console_sessions.first({"token_hash": hash_secret(token)})
    if session is None:
        return
    credential = _credential_of(tx, session)
    signed_out = replace(context, actor=credential.actor.at(address))
    signed_out.record(
        tx, "SignOut", session.sid, account_sid=credential.account_sid, before=session
    )
    if everywhere:
        tx.console_sessions.remove_of(session.credential)
    else:
        tx.console_sessions.remove(session.sid)


def _credential_of(tx: Transaction, session: ConsoleSession) -> _Credential:
    key = tx.accounts.keys.get(session.credential)
    if key is not None:
        return _Credential(
            f"the API key {key.sid} ({key.name})",
            actor_with_key(key),
            key.account_sid,
            [key.secret_hash],
            lambda: caller_with_key(tx, key),
        )
    account = fetch_account(tx, session.credential)
    tokens = filter(None, (account.auth_token, account.secondary_auth_token))
    return _Credential(
        f"that Auth Token of account {account.sid}",
        actor_with_token(account),
        account.sid,
        [*map(hash_secret, tokens)],
        lambda: caller_with_token(tx, account),
    )
