"""An account and its subaccounts: what KORE's own APIs let an account see."""

from ringback.core.account import Account
from ringback.core.errors import NotFound
from ringback.ports import Transaction


def family_of(tx: Transaction, account: Account) -> list[Account]:
    """Return an account, as it is now, and its subaccounts, oldest first."""
    return [tx.accounts.get(account.sid) or account, *tx.accounts.children_of(account.sid)]


def in_family(tx: Transaction, account: Account, kore_id: str) -> Account:
    """Return the account with this id, which is the account itself or a subaccount of it.

    Raises NotFound for any other, whether there is one or not.
    """
    for one in family_of(tx, account):
        if one.kore_id == kore_id:
            return one
    raise NotFound(f"there is no account {kore_id!r} among {account.kore_id} and its subaccounts")
