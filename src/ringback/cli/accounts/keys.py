"""`ringback accounts keys`: creates, lists and deletes API keys."""

from typing import TYPE_CHECKING, Final

import click

from ringback.cli.base_command import argument, command, group, option, option_group
from ringback.cli.data_file import account_context, with_data_file
from ringback.cli.options import json_lines_option, prints_record
from ringback.cli.output import Output

if TYPE_CHECKING:
    from ringback.data_folder import StoredData
    from ringback.ports import Transaction

_CREATED: Final = """\
API key {name!r} of {owner}; its secret is shown now, and never again:

  API key         {sid}
  API key secret  {secret}"""

_OPERATOR: Final = "the operator"

_owner_options: Final = (
    option(
        "--account",
        metavar="SID",
        help="The account that the API keys belong to: its SID (AC…) or KORE id (acct_…).",
    ),
    option(
        "--operator",
        is_flag=True,
        help="The API keys belong to the operator, who runs the server, instead of to an account."
        " They can see all accounts.",
    ),
)
"""The options that name the owner of the keys; exactly one of them must be given."""


@group()
def keys() -> None:
    """Manage API keys, which sign in to the APIs.

    An API key is a SID (SK…) and a secret. It belongs to one account, or to the operator.
    """


@command(
    "create",
    examples={
        'ringback accounts keys create --account "$ACCOUNT_SID" --name deploy': (
            "Make an API key for an account, named `deploy`."
        ),
        "ringback accounts keys create --operator": (
            "Make an API key for the operator, which can see all accounts."
        ),
    },
)
@with_data_file
@option_group(
    "Which key",
    *_owner_options,
    option(
        "--name",
        default="unnamed",
        show_default=True,
        metavar="NAME",
        help="A name for the API key.",
    ),
)
@prints_record
def create(*, file: "StoredData", account: str | None, operator: bool, name: str) -> Output:
    """Make an API key and print its secret, which is shown only once."""
    from ringback.cli.accounts.output import key_record
    from ringback.operations.api_keys import create_key

    _check_owner(account, operator=operator)
    made = file.transact(lambda tx: create_key(tx, _owner(tx, account), name, account_context()))
    record = {**key_record(made.key), "secret": made.secret}
    owner = made.key.account_sid or _OPERATOR
    return record, _CREATED.format(**record, owner=owner)


@command(
    "list",
    examples={
        'ringback accounts keys list --account "$ACCOUNT_SID"': (
            "List the API keys of an account."
        ),
        "ringback accounts keys list --operator": (
            "List the operator's API keys, which can see all accounts."
        ),
    },
)
@with_data_file
@option_group("Which keys", *_owner_options)
@option_group("Output", json_lines_option)
def list_(*, file: "StoredData", account: str | None, operator: bool, as_json: bool) -> None:
    """List API keys, oldest first, without their secrets."""
    from ringback.cli.accounts.output import key_record, key_row, say_all

    _check_owner(account, operator=operator)
    found = file.transact(lambda tx: tx.accounts.keys.of(_owner(tx, account)))
    nothing = f"no API keys of {account or _OPERATOR}"
    say_all(found, key_record, key_row, nothing=nothing, as_json=as_json)


@command(
    "delete",
    examples={
        "KEY=$(ringback accounts keys list --operator | tail -n 1 | cut -d ' ' -f 1)\n"
        'ringback accounts keys delete "$KEY"': "Delete the operator's newest API key."
    },
)
@argument("sid", help="The SID of the API key (SK…).")
@with_data_file
@prints_record
def delete(*, sid: str, file: "StoredData") -> Output:
    """Delete an API key: it can no longer sign in."""
    from ringback.cli.accounts.output import key_record
    from ringback.operations.api_keys import delete_key

    key = file.transact(lambda tx: delete_key(tx, sid))
    words = f"API key {key.sid} ({key.name}) of {key.account_sid or _OPERATOR} is deleted"
    return key_record(key), words


for _command in (create, list_, delete):
    keys.add_command(_command)


def _check_owner(account: str | None, *, operator: bool) -> None:
    if (account is not None) == operator:
        raise click.UsageError("name the owner of the keys: give --account SID, or --operator")


def _owner(tx: "Transaction", account: str | None) -> str | None:
    from ringback.operations.accounts import fetch_account

    return None if account is None else fetch_account(tx, account).sid
