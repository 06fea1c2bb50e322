"""The options and the context of commands that work on a data file, without a server."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from ringback.cli.base_command import option_group
from ringback.cli.options import data_folder, handing, seal_key_file_option
from ringback.settings import ENVIRONMENT
from ringback.settings.setting_definitions import SEAL_KEY

if TYPE_CHECKING:
    from ringback.core.accounts.account import Account
    from ringback.data_folder import DataFolder
    from ringback.operations.context import AccountOperationContext


class NullSigningKeys:
    """Implements `ports.CallbackSigningKeys` for a process that signs nothing.

    A server that uses the data meanwhile needs no notice: with each callback that it sends, it
    reads the account again, and signs with the secrets that it finds.
    """

    def learn(self, account: "Account") -> None:
        """Do nothing."""


def account_context() -> "AccountOperationContext":
    """Return the context of an operation on accounts that begins now."""
    from ringback.operations.context import AccountOperationContext
    from ringback.runtime.system_clock import SystemClock, SystemRandomSource

    return AccountOperationContext(SystemClock().now(), SystemRandomSource(), NullSigningKeys())


def data_file_in(data: Path, seal_key_file: Path | None) -> "DataFolder":
    """Return a data folder with the key of these options, or of the environment."""
    from ringback.data_folder import DataFolder

    return DataFolder(data, ENVIRONMENT.get(SEAL_KEY.variable) or None, seal_key_file)


with_data_file: Final = handing(
    "file",
    data_file_in,
    option_group(
        "Which data",
        data_folder("Folder of the data file, ringback.db, that the command works on."),
        seal_key_file_option(),
    ),
)
"""Gives a command the options that name a data folder, and passes it as `file`."""
