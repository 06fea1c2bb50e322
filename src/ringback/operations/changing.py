"""Changing an account: what everything that signs by it has to hear of."""

from dataclasses import replace

from ringback.core.account import Account
from ringback.operations.moment import AccountContext
from ringback.ports import Transaction


def keep_changed(tx: Transaction, account: Account, moment: AccountContext) -> Account:
    """Keep the new state of an account, have callbacks be signed by it, and return it."""
    changed = replace(account, revision=account.revision + 1)
    tx.accounts.save(changed)
    tx.afterwards(lambda: moment.keyring.learn(changed))
    return changed
