"""Keeps the newest known state of each account, whose secrets sign its callbacks.

A callback is claimed together with its account, and may then wait. If the account's secrets change
in the meantime, the new secrets must sign the callback, also if another process changed them.
"""

from collections.abc import Callable

from ringback.core.accounts.account import Account
from ringback.ports import Store, nothing


class CurrentSigningKeys:
    """Keeps the newest known state of each account; implements `ports.CallbackSigningKeys`."""

    def __init__(self) -> None:
        self._newest = dict[str, Account]()
        self.announce: Callable[[], None] = nothing
        """Called after each change, to notify other processes."""
        self.changed: Callable[[Account], None] = _ignore
        """Called with the new state of an account that was known in an older one."""

    def learn(self, account: Account) -> None:
        """Use this state of an account for signing from now on, unless a newer one is known."""
        self.newest(account)
        self.announce()

    def newest(self, account: Account) -> Account:
        """Return the newest known state of an account: the given one, or one from `learn`."""
        known = self._newest.get(account.sid)
        if known is None or known.revision < account.revision:
            self._newest[account.sid] = account
            if known is not None:
                self.changed(account)
            return account
        return known

    async def refresh(self, store: Store) -> None:
        """Read the known accounts again, since another process has changed some.

        Raises StoreUnavailable if the database can't be used at the moment.
        """
        sids = list(self._newest)
        for account in await store.read(lambda tx: [tx.accounts.get(sid) for sid in sids]):
            if account is not None:
                self.newest(account)


def _ignore(_: Account) -> None:
    """Stand in for a function that is set later."""
