"""Rotate Auth Tokens as Twilio does: create a secondary token, then promote it to primary.

Clients can sign in with either token. Only the primary token signs callbacks, so receivers have to
know the secondary token before it is promoted. (twilio.com/docs/iam/api/authtoken)
"""

from dataclasses import replace

from ringback.core.accounts.account import Account
from ringback.core.errors import Conflict, NotFound
from ringback.operations.accounts import change_account, fetch_account, make_auth_token
from ringback.operations.context import AccountOperationContext
from ringback.ports import Transaction


def create_secondary(
    tx: Transaction, account_sid: str, context: AccountOperationContext
) -> Account:
    """Create a secondary Auth Token, which replaces any earlier one, and return the account.

    Raises NotFound if there is no such account.
    """
    account = fetch_account(tx, account_sid)
    changed = replace(account, secondary_auth_token=make_auth_token(context.random_source))
    return change_account(tx, "CreateSecondaryToken", account, changed, context)


def promote_secondary(
    tx: Transaction, account_sid: str, context: AccountOperationContext
) -> Account:
    """Make the secondary Auth Token the primary one; the old primary becomes invalid at once.

    Raises NotFound if there is no such account, or if it has no secondary token.
    """
    account = fetch_account(tx, account_sid)
    promoted = replace(account, auth_token=_intact_secondary_of(account), secondary_auth_token=None)
    return change_account(tx, "PromoteSecondaryToken", account, promoted, context)


def delete_secondary(
    tx: Transaction, account_sid: str, context: AccountOperationContext
) -> Account:
    """Delete the secondary Auth Token, and return the account.

    Raises NotFound if there is no such account, or if it has no secondary token.
    """
    account = fetch_account(tx, account_sid)
    _secondary_of(account)
    changed = replace(account, secondary_auth_token=None)
    return change_account(tx, "DeleteSecondaryToken", account, changed, context)


def _secondary_of(account: Account) -> str:
    if account.secondary_auth_token is None:
        raise NotFound(f"account {account.sid} has no secondary Auth Token; create one first")
    return account.secondary_auth_token


def _intact_secondary_of(account: Account) -> str:
    secondary = _secondary_of(account)
    if not secondary:
        raise Conflict(
            f"the secondary Auth Token of account {account.sid} can't be decrypted; create another"
            " one first"
        )
    return secondary
