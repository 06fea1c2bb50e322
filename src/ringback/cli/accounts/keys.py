"""`ringback accounts keys`: API keys, given away and taken back one by one."""

from typing import Final

import click

from ringback.cli.accounts.output import key_record, key_row, say_all
from ringback.cli.base_command import argument, group, option
from ringback.cli.data_file import SealedDataFile, account_context, with_data_file
from ringback.cli.options import json_lines_option, prints_record, with_options
from ringback.cli.output import Output
from ringback.operations.accounts import fetch_account
from ringback.operations.api_keys import create_key, delete_key
from ringback.ports import Transaction

_CREATED: Final = """\
API key {name!r} of {owner}; its secret is shown now, and never again:

  API key         {sid}
  API key secret  {secret}"""

_OPERATOR: Final = "the operator"

_of_somebody: Final = with_options(
    option("--account", metavar="SID", help="An account's."),
    option("--operator", is_flag=True, help="The operator's, who sees every account."),
)
"""The options that say whose the keys are; exactly one of them has to be given."""


@group()
def keys() -> None:
    """Make API keys, list them, and take them back."""


@keys.command("create")
@with_data_file
@_of_somebody
@option("--name", default="unnamed", show_default=True, metavar="NAME", help="What to know it by.")
@prints_record
def create(*, file: SealedDataFile, account: str | None, operator: bool, name: str) -> Output:
    """Make an API key and print its secret, once."""
    _check_whose(account, operator=operator)
    made = file.transact(lambda tx: create_key(tx, _owner(tx, account), name, account_context()))
    record = {**key_record(made.key), "secret": made.secret}
    owner = made.key.account_sid or _OPERATOR
    return record, _CREATED.format(**record, owner=owner)


@keys.command("list")
@with_data_file
@_of_somebody
@json_lines_option
def list_(*, file: SealedDataFile, account: str | None, operator: bool, as_json: bool) -> None:
    """List API keys, oldest first; no secrets."""
    _check_whose(account, operator=operator)
    found = file.transact(lambda tx: tx.accounts.keys.of(_owner(tx, account)))
    nothing = f"no API keys of {account or _OPERATOR}"
    say_all(found, key_record, key_row, nothing=nothing, as_json=as_json)


@keys.command("delete")
@argument("sid")
@with_data_file
def delete(*, sid: str, file: SealedDataFile) -> None:
    """Take the API key SID (SK…) back: nobody signs in with it any more."""
    key = file.transact(lambda tx: delete_key(tx, sid))
    click.echo(f"API key {key.sid} ({key.name}) of {key.account_sid or _OPERATOR} is gone")


def _check_whose(account: str | None, *, operator: bool) -> None:
    if (account is not None) == operator:
        raise click.UsageError("say whose: give --account SID, or --operator")


def _owner(tx: Transaction, account: str | None) -> str | None:
    return None if account is None else fetch_account(tx, account).sid
