"""`ringback accounts`: who may use this server. Works on the data folder, beside a server too."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import click

from ringback.cli.options import data_folder
from ringback.cli.schedules import schedule_in_words
from ringback.core.account import Account
from ringback.core.schedule import Schedule
from ringback.engine.system import SystemChance, SystemClock
from ringback.operations.accounts import NewAccount, create_account, list_accounts
from ringback.ports import Transaction
from ringback.wiring import open_beside

T = TypeVar("T")

_CREATED: Final = """\
account {name!r}; its secrets are shown now, and never again:

  Account SID          {account_sid}
  Auth Token           {auth_token}
  API key              {api_key_sid}
  API key secret       {api_key_secret}
  KORE webhook secret  {kore_secret}
"""

_data = data_folder("The data folder; made where there is none.")


def _read_schedule(
    _ctx: click.Context, _param: click.Parameter, text: str | None
) -> Schedule | None:
    try:
        return None if text is None else Schedule.parse(text)
    except ValueError as problem:
        raise click.BadParameter(str(problem)) from problem


@click.group()
def accounts() -> None:
    """Make accounts, and list them; also while `ringback serve` runs."""


@accounts.command("create")
@click.argument("name")
@_data
@click.option(
    "--schedule",
    callback=_read_schedule,
    metavar="SCHEDULE",
    help="When its callbacks are tried again: faithful, persistent or waits like 5s,1m;"
    " without it, as the server's setting says.",
)
@click.option(
    "--parent", metavar="SID", help="The account whose subaccount it is to be; SIMs can move there."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def create(
    *, name: str, data: Path, schedule: Schedule | None, parent: str | None, as_json: bool
) -> None:
    """Make an account and print its credentials, once."""
    now, chance = SystemClock().now(), SystemChance()
    made = _transact(
        data,
        lambda tx: create_account(
            tx, name=name, schedule=schedule, now=now, chance=chance, parent_sid=parent
        ),
    )
    shown = _credentials(made)
    click.echo(json.dumps(shown) if as_json else _CREATED.format(**shown), nl=as_json)


@accounts.command("list")
@_data
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each line.")
def list_(*, data: Path, as_json: bool) -> None:
    """List all accounts, oldest first; no secrets."""
    found = _transact(data, list_accounts)
    for account in found:
        click.echo(json.dumps(_shown(account)) if as_json else _row(account))
    if not found and not as_json:
        click.echo("no accounts; `ringback accounts create NAME` makes one")


def _transact(data: Path, work: Callable[[Transaction], T]) -> T:
    async def transact() -> T:
        store = open_beside(data)
        try:
            return await store.transact(work)
        finally:
            await store.close()

    return asyncio.run(transact())


def _credentials(made: NewAccount) -> dict[str, str | None]:
    account = made.account
    return {
        **_shown(account),
        "auth_token": account.auth_token,
        "api_key_sid": made.api_key.sid,
        "api_key_secret": made.api_key.secret,
        "kore_secret": account.kore_secret,
    }


def _shown(account: Account) -> dict[str, str | None]:
    return {
        "account_sid": account.sid,
        "name": account.name,
        "schedule": account.schedule and schedule_in_words(account.schedule),
        "parent_sid": account.parent_sid,
        "date_created": f"{account.date_created:%Y-%m-%dT%H:%M:%SZ}",
    }


def _row(account: Account) -> str:
    shown = _shown(account)
    schedule = f"  {shown['schedule']}" if shown["schedule"] else ""
    parent = f"  of {shown['parent_sid']}" if shown["parent_sid"] else ""
    return f"{shown['account_sid']}  {shown['date_created']}  {shown['name']}{schedule}{parent}"
