"""Keeps the newest known state of each account, whose secrets sign its callbacks.

A callback is claimed together with its account, and may then wait. If the account's secrets change
in the meantime, the new secrets must sign the callback.
"""

from ringback.core.accounts.account import Account


class CurrentSigningKeys:
    """Keeps the newest known state of each account; implements `ports.CallbackSigningKeys`."""

    def __init__(self) -> None:
        self._newest = dict[str, Account]()

    def learn(self, account: Account) -> None:
        """Use this state of an account for signing from now on, unless a newer one is known."""
        self.newest(account)

    def newest(self, account: Account) -> Account:
        """Return the newest known state of an account: the given one, or one from `learn`."""
        known = self._newest.get(account.sid)
        if known is None or known.revision < account.revision:
            self._newest[account.sid] = known = account
        return known
