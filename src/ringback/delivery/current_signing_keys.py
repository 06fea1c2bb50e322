"""Which secrets sign callbacks: those of the newest known state of their account.

A claim brings the account as it was when the claim was made, and may wait for its turn, or for a
connection. A change that was answered in the meantime has to hold for it: a secret that was
disabled signs nothing more.
"""

from ringback.core.accounts.account import Account


class CurrentSigningKeys:
    """Answers `ports.CallbackSigningKeys`."""

    def __init__(self) -> None:
        self._newest = dict[str, Account]()

    def learn(self, account: Account) -> None:
        """Sign by this state of an account from now on, unless a newer one is known."""
        self.newest(account)

    def newest(self, account: Account) -> Account:
        """Return the newest state of this account: this one, or one that was learned."""
        known = self._newest.get(account.sid)
        if known is None or known.revision < account.revision:
            self._newest[account.sid] = known = account
        return known
