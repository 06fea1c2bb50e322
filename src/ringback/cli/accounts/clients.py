"""`ringback accounts clients`: manages API clients, which get the tokens of KORE's APIs."""

from typing import TYPE_CHECKING, Final

import click

from ringback.cli.base_command import argument, command, group, option, option_group
from ringback.cli.data_file import account_context, with_data_file
from ringback.cli.options import json_lines_option, prints_record
from ringback.cli.output import Output
from ringback.core.accounts.client_credentials import LIFETIMES, PRODUCTS, ApiClientType, ApiScope

if TYPE_CHECKING:
    from ringback.data_folder import StoredData

_CREATED: Final = """\
API client {name!r} of account {account_sid}; its secret is shown now, and never again:

  client_id      {client_id}
  client_secret  {client_secret}
  valid for      {scope}"""

_sid: Final = argument("sid", help="The account's SID (AC…), or its id at KORE (acct_…).")


@group()
def clients() -> None:
    """Manage API clients, which sign in to KORE's APIs.

    A program exchanges the id and the secret of its API client for a token, which is valid for a
    limited time.
    """


@command(
    "create",
    examples={
        'ringback accounts clients create "$ACCOUNT_SID" ci': (
            "Make an API client for Super SIM and Programmable Wireless."
        ),
        'ringback accounts clients create "$ACCOUNT_SID" admin --admin --lifetime 24h': (
            "Make an API client that can use all APIs, also that of webhook secrets."
        ),
    },
)
@_sid
@argument("name", help="A name for the API client, for example ci.")
@with_data_file
@option_group(
    "The client",
    option(
        "--admin",
        is_flag=True,
        help="Give the client access to all APIs, also to that of webhook secrets. Default: only"
        " to the APIs of the products.",
    ),
    option(
        "--product",
        "products",
        multiple=True,
        type=click.Choice([product.value for product in PRODUCTS]),
        help="Give the client access to this product only. Default: to Super SIM and Programmable"
        " Wireless.",
    ),
    option(
        "--lifetime",
        type=click.Choice(list(LIFETIMES)),
        default="1h",
        show_default=True,
        help="How long each access token of the client is valid.",
    ),
)
@prints_record
def create(
    *,
    sid: str,
    name: str,
    file: "StoredData",
    admin: bool,
    products: tuple[str, ...],
    lifetime: str,
) -> Output:
    """Make an API client and print its secret, which is shown only once."""
    from ringback.cli.accounts.output import client_record, client_scope
    from ringback.operations.accounts import fetch_account
    from ringback.operations.api_clients import create_client

    if admin and products:
        raise click.UsageError("an admin client has access to all APIs: leave out --product")
    made = file.transact(
        lambda tx: create_client(
            tx,
            fetch_account(tx, sid).sid,
            name,
            type=ApiClientType.ADMIN if admin else ApiClientType.STANDARD,
            products=[ApiScope(product) for product in products] or PRODUCTS,
            context=account_context(),
            lifetime=LIFETIMES[lifetime],
        )
    )
    record = {**client_record(made.client), "client_secret": made.secret}
    words = _CREATED.format(**record, scope=client_scope(made.client))
    return record, words


@command(
    "list",
    examples={
        'ringback accounts clients list "$ACCOUNT_SID"': "List the API clients of an account."
    },
)
@_sid
@with_data_file
@option_group("Output", json_lines_option)
def list_(*, sid: str, file: "StoredData", as_json: bool) -> None:
    """List the API clients of an account, oldest first."""
    from ringback.cli.accounts.output import client_record, client_row, say_all
    from ringback.operations.accounts import fetch_account

    found = file.transact(lambda tx: tx.api_clients.of(fetch_account(tx, sid).sid))
    nothing = "no API clients; `ringback accounts clients create SID NAME` makes one"
    say_all(found, client_record, client_row, nothing=nothing, as_json=as_json)


@command(
    "delete",
    examples={
        'CLIENT_ID=$(ringback accounts clients list "$ACCOUNT_SID" |\n'
        "  tail -n 1 | cut -d ' ' -f 1)\n"
        'ringback accounts clients delete "$CLIENT_ID"': (
            "Delete the newest API client of an account."
        )
    },
)
@argument("client_id", help="The id of the API client (apiclient_…).")
@with_data_file
@prints_record
def delete(*, client_id: str, file: "StoredData") -> Output:
    """Delete an API client: its tokens are no longer valid."""
    from ringback.cli.accounts.output import client_record
    from ringback.operations.api_clients import delete_client

    client = file.transact(lambda tx: delete_client(tx, client_id, account_context()))
    words = f"API client {client.sid} ({client.name}) of {client.account_sid} is deleted"
    return client_record(client), words


for _command in (create, list_, delete):
    clients.add_command(_command)
