"""Auth Tokens, rotated as Twilio has it: a secondary one beside the primary, then in its place.

Both sign in. Only the primary one signs callbacks, so the promotion is the instant at which
receivers have to know the other one.
(twilio.com/docs/iam/api/authtoken)
"""

from dataclasses import replace

from ringback.core.accounts.account import Account
from ringback.core.errors import NotFound
from ringback.operations.accounts import fetch_account, keep_changed, make_auth_token
from ringback.operations.context import AccountContext
from ringback.ports import Transaction


def create_secondary(tx: Transaction, account_sid: str, context: AccountContext) -> Account:
    """Make a secondary Auth Token, in place of the one that there may be; raises NotFound."""
    account = fetch_account(tx, account_sid)
    return keep_changed(
        tx, replace(account, secondary_auth_token=make_auth_token(context.chance)), context
    )


def promote_secondary(tx: Transaction, account_sid: str, context: AccountContext) -> Account:
    """Have the secondary Auth Token be the primary one, which is gone at once.

    Raises NotFound where there is no such account, or no secondary token.
    """
    account = fetch_account(tx, account_sid)
    promoted = replace(account, auth_token=_secondary_of(account), secondary_auth_token=None)
    return keep_changed(tx, promoted, context)


def delete_secondary(tx: Transaction, account_sid: str, context: AccountContext) -> Account:
    """Take the secondary Auth Token back.

    Raises NotFound where there is no such account, or no secondary token.
    """
    account = fetch_account(tx, account_sid)
    _secondary_of(account)
    return keep_changed(tx, replace(account, secondary_auth_token=None), context)


def _secondary_of(account: Account) -> str:
    if account.secondary_auth_token is None:
        raise NotFound(f"account {account.sid} has no secondary Auth Token; create one first")
    return account.secondary_auth_token
