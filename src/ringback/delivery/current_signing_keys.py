"""Keeps the newest known state of each account, whose secrets sign its callbacks.

A callback is claimed together with its account, and may then wait. If the account's secrets change
in the meantime, the new secrets must sign the callback, also if another process changed them.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from ringback.core.accounts.account import Account
from ringback.core.errors import StoreUnavailable
from ringback.ports import Store, nothing

_LOOK_EVERY: Final = 1.0
"""Seconds between two looks at damaged secrets, which a command may have replaced."""


class CurrentSigningKeys:
    """Keeps the newest known state of each account; implements `ports.CallbackSigningKeys`."""

    def __init__(self) -> None:
        self._newest = dict[str, Account]()
        self._has_damaged = asyncio.Event()
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
            if account.unopened:
                self._has_damaged.set()
            if known is not None:
                self.changed(account)
            return account
        return known

    async def refresh(self, store: Store) -> None:
        """Read the known accounts again, since another process has changed some.

        Raises StoreUnavailable if the database can't be used at the moment.
        """
        await self._read(store, [*self._newest])

    async def run(self, store: Store) -> None:
        """Read accounts with damaged secrets again, until somebody has replaced them; for ever.

        Their callbacks wait, so that no claim would show a change by another process.
        """
        while True:
            await self._has_damaged.wait()
            await asyncio.sleep(_LOOK_EVERY)
            damaged = [one.sid for one in self._newest.values() if one.damaged_secrets]
            if not damaged:
                self._has_damaged.clear()
            with suppress(StoreUnavailable):
                await self._read(store, damaged)

    async def _read(self, store: Store, sids: list[str]) -> None:
        for account in await store.read(lambda tx: [tx.accounts.get(sid) for sid in sids]):
            if account is not None:
                self.newest(account)


def _ignore(_: Account) -> None:
    """Stand in for a function that is set later."""
