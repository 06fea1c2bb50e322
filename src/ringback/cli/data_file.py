"""The options and the context of commands that work on a data file, without a server."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from ringback.cli.base_command import option_group
from ringback.cli.options import data_folder, handing, seal_key_file_option
from ringback.settings import ENVIRONMENT
from ringback.settings.setting_definitions import DATABASE, SEAL_KEY

if TYPE_CHECKING:
    from ringback.core.accounts.account import Account
    from ringback.data_folder import DataFolder, StoredData
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


def data_in(data: Path, seal_key_file: Path | None) -> "StoredData":
    """Return the data folder or the database with the key of these options, or of the environment.

    If RINGBACK_DATABASE names a PostgreSQL database, it is used, unless --data names a folder.
    """
    database = ENVIRONMENT.get(DATABASE.variable)
    is_named = click.get_current_context().get_parameter_source("data") is _COMMAND_LINE
    if not database or is_named:
        return data_file_in(data, seal_key_file)
    from ringback.postgres_database import PostgresDatabase

    seal_key = ENVIRONMENT.get(SEAL_KEY.variable) or None
    return PostgresDatabase(DATABASE.form.read(database), seal_key, seal_key_file, data)


def data_file_in(data: Path, seal_key_file: Path | None) -> "DataFolder":
    """Return a data folder with the key of these options, or of the environment."""
    from ringback.data_folder import DataFolder

    return DataFolder(data, ENVIRONMENT.get(SEAL_KEY.variable) or None, seal_key_file)


_COMMAND_LINE: Final = click.core.ParameterSource.COMMANDLINE
_WHICH_DATA: Final = option_group(
    "Which data",
    data_folder(
        "Folder of the data file, ringback.db, that the command works on. Without this option, a"
        f" database that {DATABASE.variable} names comes first."
    ),
    seal_key_file_option(),
)
with_data_file: Final = handing("file", data_in, _WHICH_DATA)
"""Gives a command the options that name stored data, and passes the data as `file`."""
