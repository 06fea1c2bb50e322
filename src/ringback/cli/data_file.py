"""The options and the context of commands that work on a data file, without a server."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from ringback.cli.base_command import option_group
from ringback.cli.options import data_folder, handing, seal_key_file_option
from ringback.core.errors import ConfigurationError
from ringback.runtime.database_address import (
    has_secrets,
    is_database_address,
    parse_database_address,
)
from ringback.settings import ENVIRONMENT
from ringback.settings.mounted_secrets import database_in, read_address, seal_key_in
from ringback.settings.setting_definitions import DATABASE, DATABASE_FILE, SEAL_KEY

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
    from ringback.data_folder import command_line
    from ringback.operations.context import AccountOperationContext
    from ringback.runtime.system_clock import SystemClock, SystemRandomSource

    now, random_source = SystemClock().now(), SystemRandomSource()
    return AccountOperationContext(now, random_source, NullSigningKeys(), actor=command_line())


def data_in(data: Path, seal_key_file: Path | None) -> "StoredData":
    """Return the data folder or the database with the key of these options, or of the environment.

    If RINGBACK_DATABASE or RINGBACK_DATABASE_FILE names a PostgreSQL database, it is used, unless
    --data names a folder. Raises ConfigurationError if what the environment says is not valid.
    """
    is_named = click.get_current_context().get_parameter_source("data") is _COMMAND_LINE
    database = None if is_named else database_in(ENVIRONMENT)
    if database is None:
        return data_file_in(data, seal_key_file)
    from ringback.postgres_database import PostgresDatabase

    seal_key = seal_key_in(ENVIRONMENT, seal_key_file)
    return PostgresDatabase(database, seal_key, seal_key_file, data)


def data_file_in(data: Path, seal_key_file: Path | None) -> "DataFolder":
    """Return a data folder with the key of these options, or of the environment."""
    from ringback.data_folder import DataFolder

    return DataFolder(data, seal_key_in(ENVIRONMENT, seal_key_file), seal_key_file)


def copy_between(
    source: str, target: str, seal_key_file: Path | None, to_seal_key_file: Path | None
) -> "tuple[StoredData, StoredData]":
    """Return the two places of a copy, each a folder, a URL or the variable of a database.

    The secrets of the source can be opened with any of the keys that the options, the environment
    and its folder have. Raises ConfigurationError if a key is missing or a place can't be used.
    """
    from ringback.data_folder import KEY_FILE, keys_in

    given = seal_key_in(ENVIRONMENT, seal_key_file)
    keys = [*(given.split(",") if given else keys_in(seal_key_file) if seal_key_file else ())]
    own, theirs = (Path(place) / KEY_FILE for place in (source, target))
    if to_seal_key_file is not None:
        new = keys_in(to_seal_key_file)
    elif keys or not theirs.exists():
        new = keys
    else:
        new = keys_in(theirs)
    if not new:
        raise ConfigurationError(
            f"{target} needs a key that encrypts the secrets in it: give it in {SEAL_KEY.variable},"
            f" or its file with --seal-key-file or --to-seal-key-file. To keep the key of {source},"
            f" give its key file, such as {own}"
        )
    old = [*keys, *(keys_in(own) if own.exists() else ()), *new]
    return _place(source, old), _place(target, new)


def _place(text: str, keys: Sequence[str]) -> "StoredData":
    """Return the data in a place that an argument names; only a variable may have a password."""
    from ringback.data_folder import DataFolder

    is_variable = text in (DATABASE.variable, DATABASE_FILE.variable)
    if not is_variable and not is_database_address(text):
        return DataFolder(Path(text), ",".join(keys))
    from ringback.postgres_database import PostgresDatabase

    address = database_in(ENVIRONMENT) if is_variable else read_address(text, "the argument")
    if address is None:
        raise click.UsageError(f"{text} is not set: it has to name the database")
    if not is_variable and has_secrets(parse_database_address(address)):
        raise click.UsageError(
            "all users of a machine can read the arguments of its programs, so they can't have a"
            f" password: give the address in {DATABASE.variable}, and write {DATABASE.variable} as"
            " the argument"
        )
    return PostgresDatabase(address, ",".join(keys))


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
