"""Creates the account with which `ringback dev` starts: the example of KORE's migration notice."""

from dataclasses import dataclass, replace
from typing import Final

from ringback.core.accounts.account import Account
from ringback.operations.accounts import (
    CreatedAccount,
    add_credentials,
    create_account,
    keep_changed,
)
from ringback.operations.api_keys import CreatedApiKey, create_key, end_key
from ringback.operations.context import OperationContext
from ringback.operations.supersim import seed_data as supersim
from ringback.operations.wireless import seed_data as wireless
from ringback.ports import Transaction

ACCOUNT_SID: Final = "AC3ba717b1d236e6c4a835e46130267eb4"
_ACCOUNT_NAME: Final = "The notice's account"
_KEY_NAME: Final = "first"
_OPERATORS_NAME: Final = "ringback dev"


@dataclass(frozen=True, slots=True)
class SeededAccount:
    """The account that `ringback dev` starts with, an API key, and a SIM of each product."""

    account: Account
    api_key: CreatedApiKey
    sim_sid: str
    wireless_sim_sid: str


def find_or_seed(
    tx: Transaction,
    context: OperationContext,
    *,
    uses_static_proxy: bool,
    known: tuple[str, str] | None = None,
) -> SeededAccount:
    """Return the example account of KORE's migration notice, creating it if it doesn't exist.

    `known` is the SID and secret of the API key that was returned last time. The key is kept if it
    is still valid. Otherwise a new one is created, since only a hash of the secret is saved.
    """
    account, made = tx.accounts.get(ACCOUNT_SID), None
    if account is None:
        made = _seed(tx, context)
        account = made.account
    if account.uses_static_proxy != uses_static_proxy:
        changed = replace(account, uses_static_proxy=uses_static_proxy)
        account = keep_changed(tx, changed, context)
    supersim.address_first_sim(tx)
    wireless.seed_where_missing(tx, ACCOUNT_SID, context)
    if made is None:
        key = _find_or_make_key(tx, context, ACCOUNT_SID, _KEY_NAME, known)
    else:
        key = made.api_key
    return SeededAccount(account, key, supersim.SIM_SID, wireless.SIM_SID)


def find_or_make_operators_key(
    tx: Transaction, context: OperationContext, known: tuple[str, str] | None
) -> CreatedApiKey:
    """Return the operator's key of `ringback dev`; `known` is as for `find_or_seed`."""
    return _find_or_make_key(tx, context, None, _OPERATORS_NAME, known)


def _find_or_make_key(
    tx: Transaction,
    context: OperationContext,
    account_sid: str | None,
    name: str,
    known: tuple[str, str] | None,
) -> CreatedApiKey:
    """Return the known key, or else create one, and end those that were created before."""
    sid, secret = known or ("", "")
    key = tx.accounts.keys.get(sid)
    if key is not None and key.account_sid == account_sid and key.opens_with(secret):
        return CreatedApiKey(key, secret)
    for key in tx.accounts.keys.of(account_sid):
        if key.name == name and key.date_ended is None:
            end_key(tx, key.sid, context)
    return create_key(tx, account_sid, name, context)


def _seed(tx: Transaction, context: OperationContext) -> CreatedAccount:
    account = create_account(tx, name=_ACCOUNT_NAME, context=context, sid=ACCOUNT_SID)
    created = add_credentials(tx, account, context)
    supersim.seed(tx, ACCOUNT_SID, context)
    return created
