"""`ringback accounts keys`: creates, lists and ends API keys."""

from copy import copy
from typing import TYPE_CHECKING, Final

import click

from ringback.cli.base_command import argument, command, group, option, option_group
from ringback.cli.data_file import account_context, with_data_file
from ringback.cli.options import json_lines_option, prints_record
from ringback.cli.output import Output
from ringback.core.accounts.account import ApiKeyRole

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
        "ringback accounts keys create --operator --name dashboard --role read-only": (
            "Make an API key that can see all accounts, and change nothing."
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
    option(
        "--role",
        type=click.Choice(["full", "read-only"]),
        default="full",
        show_default=True,
        help="What the API key may do: everything that its owner may, or only read.",
    ),
)
@prints_record
def create(
    *, file: "StoredData", account: str | None, operator: bool, name: str, role: str
) -> Output:
    """Make an API key and print its secret, which is shown only once."""
    from ringback.cli.accounts.output import key_record
    from ringback.operations.api_keys import create_key

    _check_owner(account, operator=operator)
    key_role, context = ApiKeyRole(role.replace("-", "_")), account_context()
    made = file.transact(
        lambda tx: create_key(tx, _owner(tx, account), name, context, role=key_role)
    )
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
    """List API keys, oldest first, without their secrets.

    A line has the SID, the time of creation, the role, when the key signed in last, and the name.
    Keys that have ended stay in the list.
    """
    from ringback.cli.accounts.output import key_record, key_row, say_all

    _check_owner(account, operator=operator)
    found = file.transact(lambda tx: tx.accounts.keys.of(_owner(tx, account)))
    nothing = f"no API keys of {account or _OPERATOR}"
    say_all(found, key_record, key_row, nothing=nothing, as_json=as_json)


_end_examples: Final = {
    "KEY=$(ringback accounts keys list --operator | tail -n 1 | cut -d ' ' -f 1)\n"
    'ringback accounts keys end "$KEY"': "End the operator's newest API key."
}


@command("end", examples=_end_examples)
@argument("sid", help="The SID of the API key (SK…).")
@with_data_file
@prints_record
def end(*, sid: str, file: "StoredData") -> Output:
    """End an API key: it can no longer sign in.

    This can't be undone. The key stays in the list, so that its SID in audit entries still means
    something.
    """
    from ringback.cli.accounts.output import key_record
    from ringback.operations.api_keys import end_key

    key = file.transact(lambda tx: end_key(tx, sid, account_context()))
    words = f"API key {key.sid} ({key.name}) of {key.account_sid or _OPERATOR} has ended"
    return key_record(key), words


# The name of `end` in earlier versions, in which keys that had ended were not listed.
delete: Final = copy(end)
delete.name, delete.hidden = "delete", True

for _command in (create, list_, end, delete):
    keys.add_command(_command)


def _check_owner(account: str | None, *, operator: bool) -> None:
    if (account is not None) == operator:
        raise click.UsageError("name the owner of the keys: give --account SID, or --operator")


def _owner(tx: "Transaction", account: str | None) -> str | None:
    from ringback.operations.accounts import fetch_account

    return None if account is None else fetch_account(tx, account).sid
