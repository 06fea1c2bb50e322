"""`ringback accounts`: who may use this server. Works on the data folder, beside a server too."""

from collections.abc import Iterable
from typing import Any, Final

import click

from ringback.cli.accounts import output
from ringback.cli.accounts.auth_token import token
from ringback.cli.accounts.clients import clients
from ringback.cli.accounts.keys import keys
from ringback.cli.base_command import argument, group, option
from ringback.cli.data_file import SealedDataFile, account_context, with_data_file
from ringback.cli.options import json_lines_option, prints_record, read_by
from ringback.cli.output import Output
from ringback.core.accounts.account import Account, AccountStatus, ApiKey
from ringback.core.accounts.client_credentials import ClientCredentials
from ringback.core.retry_schedule import RetrySchedule
from ringback.data_folder import new_seal_key
from ringback.operations.accounts import (
    CreatedAccount,
    add_credentials,
    create_account,
    fetch_account,
    list_accounts,
    set_status,
)
from ringback.ports import Transaction

_CREATED: Final = """\
account {name!r}; its secrets are shown now, and never again:

  Account SID          {account_sid}
  KORE account id      {kore_id}
  Auth Token           {auth_token}"""

_CREDENTIALS: Final = """
  API key              {api_key_sid}
  API key secret       {api_key_secret}
  KORE webhook secret  {kore_secret}"""


@group()
def accounts() -> None:
    """Make accounts, and see to their credentials; also while `ringback serve` runs.

    SID is an account's SID (AC…), or its id at KORE (acct_…).
    """


accounts.add_command(keys)
accounts.add_command(token)
accounts.add_command(clients)


@accounts.command("create")
@argument("name")
@with_data_file
@option(
    "--schedule",
    callback=read_by(RetrySchedule.parse),
    metavar="SCHEDULE",
    help="When its callbacks are tried again: faithful, persistent or waits like 5s,1m;"
    " without it, as the server's setting says.",
)
@option(
    "--parent", metavar="SID", help="The account whose subaccount it is to be; SIMs can move there."
)
@option("--bare", is_flag=True, help="As KORE makes them: without a webhook secret or an API key.")
@prints_record
def create(
    *,
    name: str,
    file: SealedDataFile,
    schedule: RetrySchedule | None,
    parent: str | None,
    bare: bool,
) -> Output:
    """Make an account and print its credentials, once."""
    context = account_context()

    def make(tx: Transaction) -> Account | CreatedAccount:
        account = create_account(
            tx, name=name, schedule=schedule, context=context, parent_sid=parent
        )
        return account if bare else add_credentials(tx, account, context)

    made = file.transact(make)
    account, api_key = (made, None) if isinstance(made, Account) else (made.account, made.api_key)
    record = {
        **output.account_record(account),
        "auth_token": account.auth_token,
        "api_key_sid": api_key and api_key.key.sid,
        "api_key_secret": api_key and api_key.secret,
        "kore_secret": account.kore_secret or None,
    }
    words = _CREATED if bare else _CREATED + _CREDENTIALS
    return record, words.format(**record)


@accounts.command("list")
@with_data_file
@json_lines_option
def list_(*, file: SealedDataFile, as_json: bool) -> None:
    """List all accounts, oldest first; no secrets."""
    found = file.transact(list_accounts)
    nothing = "no accounts; `ringback accounts create NAME` makes one"
    output.say_all(
        found, output.account_record, output.account_row, nothing=nothing, as_json=as_json
    )


@accounts.command("show")
@argument("sid")
@with_data_file
@prints_record
def show(*, sid: str, file: SealedDataFile) -> Output:
    """Show an account and what signs in to it; no secrets."""

    def look(tx: Transaction) -> tuple[Account, list[ApiKey], list[ClientCredentials]]:
        account = fetch_account(tx, sid)
        return account, tx.accounts.keys.of(account.sid), tx.api_clients.of(account.sid)

    account, its_keys, its_clients = file.transact(look)
    record = {
        **output.account_record(account),
        "has_secondary_auth_token": account.secondary_auth_token is not None,
        "api_keys": [output.key_record(key) for key in its_keys],
        "api_clients": [output.client_record(client) for client in its_clients],
        "webhook_secrets": output.secret_records(account),
    }
    return record, _lines(record, its_keys, its_clients)


@accounts.command("suspend")
@argument("sid")
@with_data_file
def suspend(*, sid: str, file: SealedDataFile) -> None:
    """Let nobody sign in to an account, nor to its subaccounts.

    What was promised before is kept: its callbacks are still sent.
    """
    _set_status(file, sid, AccountStatus.SUSPENDED)


@accounts.command("resume")
@argument("sid")
@with_data_file
def resume(*, sid: str, file: SealedDataFile) -> None:
    """Have a suspended account be active again."""
    _set_status(file, sid, AccountStatus.ACTIVE)


@accounts.command("new-key")
def new_key() -> None:
    """Print a new key to seal the secrets of a data file with; it is kept nowhere."""
    click.echo(new_seal_key())


def _set_status(file: SealedDataFile, sid: str, status: AccountStatus) -> None:
    account = file.transact(lambda tx: set_status(tx, sid, status, account_context()))
    click.echo(f"account {account.sid} ({account.name}) is {status.value}")


def _lines(
    record: dict[str, Any], its_keys: list[ApiKey], its_clients: list[ClientCredentials]
) -> list[str]:
    secondary = "one, which signs nothing yet" if record["has_secondary_auth_token"] else "none"
    secrets = [
        f"{secret['id']}  {secret['last_modified']}  {secret['name']}  {secret['status']}"
        for secret in record["webhook_secrets"]
    ]
    return [
        f"account {record['name']!r}",
        "",
        f"  Account SID           {record['account_sid']}",
        f"  KORE account id       {record['kore_id']}",
        f"  status                {record['status']}",
        f"  subaccount of         {record['parent_sid'] or 'none'}",
        f"  schedule              {record['schedule'] or 'as the server has it'}",
        f"  made                  {record['date_created']}",
        f"  secondary Auth Token  {secondary}",
        *_listed("API keys", map(output.key_row, its_keys)),
        *_listed("API clients", map(output.client_row, its_clients)),
        *_listed("webhook secrets", secrets),
    ]


def _listed(what: str, rows: Iterable[str]) -> list[str]:
    return ["", f"  {what}", *(f"    {row}" for row in list(rows) or ["none"])]
