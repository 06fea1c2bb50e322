"""`ringback accounts clients`: what is exchanged for the tokens of KORE's APIs."""

from typing import Final

import click

from ringback.cli.accounts.output import client_record, client_row, client_scope, say_all
from ringback.cli.base_command import argument, group, option
from ringback.cli.data_file import SealedDataFile, account_context, with_data_file
from ringback.cli.options import json_lines_option, prints_record
from ringback.cli.output import Output
from ringback.core.accounts.client_credentials import LIFETIMES, PRODUCTS, ApiClientType, ApiScope
from ringback.operations.accounts import fetch_account
from ringback.operations.api_clients import create_client, delete_client

_CREATED: Final = """\
API client {name!r} of account {account_sid}; its secret is shown now, and never again:

  client_id      {client_id}
  client_secret  {client_secret}
  good for       {scope}"""


@group()
def clients() -> None:
    """Make API clients, list them, and take them back."""


@clients.command("create")
@argument("sid")
@argument("name")
@with_data_file
@option(
    "--admin", is_flag=True, help="For everything: global resources such as webhook secrets, too."
)
@option(
    "--product",
    "products",
    multiple=True,
    type=click.Choice([product.value for product in PRODUCTS]),
    help="For this product alone; can be given twice. Without it, both.",
)
@option(
    "--lifetime",
    type=click.Choice(list(LIFETIMES)),
    default="1h",
    show_default=True,
    help="How long each of its tokens is good for.",
)
@prints_record
def create(
    *,
    sid: str,
    name: str,
    file: SealedDataFile,
    admin: bool,
    products: tuple[str, ...],
    lifetime: str,
) -> Output:
    """Make an API client of the account SID and print its secret, once."""
    if admin and products:
        raise click.UsageError("an admin client is good for everything: leave --product out")
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


@clients.command("list")
@argument("sid")
@with_data_file
@json_lines_option
def list_(*, sid: str, file: SealedDataFile, as_json: bool) -> None:
    """List the API clients of the account SID, oldest first; no secrets."""
    found = file.transact(lambda tx: tx.api_clients.of(fetch_account(tx, sid).sid))
    nothing = "no API clients; `ringback accounts clients create SID NAME` makes one"
    say_all(found, client_record, client_row, nothing=nothing, as_json=as_json)


@clients.command("delete")
@argument("client_id")
@with_data_file
def delete(*, client_id: str, file: SealedDataFile) -> None:
    """Take an API client (apiclient_…) back; its tokens are good no longer."""
    client = file.transact(lambda tx: delete_client(tx, client_id))
    click.echo(f"API client {client.sid} ({client.name}) of {client.account_sid} is gone")
