"""Work on the data file itself, whether a server runs or not."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

from ringback.cli.options import data_folder, handing, seal_key_file_option
from ringback.core.accounts.account import Account
from ringback.data_folder import DataFolder
from ringback.operations.context import AccountOperationContext
from ringback.ports import Store, Transaction
from ringback.runtime.system_clock import SystemClock, SystemRandomSource
from ringback.settings import ENVIRONMENT
from ringback.settings.setting_definitions import SEAL_KEY

T = TypeVar("T")


class SealedDataFile(DataFolder):
    """A data folder, for commands that work on it and serve nothing."""

    def transact(self, work: Callable[[Transaction], T]) -> T:
        """Do the work in one commit, and return its result.

        Raises ConfigurationError where the folder or the file can't be used, and what the work
        raises.
        """
        return self.use(lambda store: store.transact(work))

    def use(self, work: Callable[[Store], Awaitable[T]]) -> T:
        """Do work that takes several commits; otherwise like `transact`."""

        async def use() -> T:
            store = self.open_beside()
            try:
                return await work(store)
            finally:
                await store.close()

        return asyncio.run(use())


class NullSigningKeys:
    """Answers `ports.CallbackSigningKeys` where this process signs nothing.

    The server beside it needs no notice: with each callback that it claims it reads the account
    again, and signs with the secrets found there.
    """

    def learn(self, account: Account) -> None:
        """Do nothing."""


def account_context() -> AccountOperationContext:
    """Return the context of an operation on accounts that begins now."""
    return AccountOperationContext(SystemClock().now(), SystemRandomSource(), NullSigningKeys())


def data_file_in(data: Path, seal_key_file: Path | None) -> SealedDataFile:
    """Return the data file of a folder; the key may be in the environment."""
    return SealedDataFile(data, ENVIRONMENT.get(SEAL_KEY.variable) or None, seal_key_file)


with_data_file: Final = handing(
    "file",
    data_file_in,
    data_folder("The data folder; made where there is none."),
    seal_key_file_option(),
)
"""Gives a command the options that say which data file is meant, and hands it the `file`."""
