"""`ringback accounts`: manages accounts in a data folder, also while a server uses it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from ringback.cli.accounts.auth_token import token
from ringback.cli.accounts.clients import clients
from ringback.cli.accounts.keys import keys
from ringback.cli.base_command import argument, command, group, option, option_group
from ringback.cli.data_file import account_context, with_data_file
from ringback.cli.options import json_lines_option, prints_record, read_by
from ringback.cli.output import Output, confirm
from ringback.core.retry_schedule import RetrySchedule

if TYPE_CHECKING:
    from ringback.core.accounts.account import Account, AccountStatus, ApiKey
    from ringback.core.accounts.client_credentials import ClientCredentials
    from ringback.data_folder import StoredData
    from ringback.operations.accounts import CreatedAccount
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

_sid: Final = argument("sid", help="The account's SID (AC…), or its id at KORE (acct_…).")


@group()
def accounts() -> None:
    """Manage accounts and their credentials.

    The commands work on the data folder, also while `ringback serve` uses it. They create a missing
    data folder.
    """


@command(
    "create",
    examples={
        "ringback accounts create 'Acme Ltd'": (
            "Make an account named Acme Ltd, and print its credentials."
        ),
        "ringback accounts create 'Acme Ltd' --yes --json > acme.json": (
            "Make another account with the same name; keep its credentials in a file."
        ),
    },
)
@argument("name", help="A name for the account, for example Acme Ltd.")
@with_data_file
@option_group(
    "The account",
    option(
        "--schedule",
        callback=read_by(RetrySchedule.parse),
        metavar="SCHEDULE",
        help="When the account's failed callbacks are sent again: faithful (never), persistent"
        " (for 27 hours), or after waits like 5s,1m. Default: the server's setting.",
    ),
    option(
        "--parent",
        metavar="SID",
        help="Make the account a subaccount of the account with this SID (AC…). SIMs can be moved"
        " to a subaccount.",
    ),
    option(
        "--bare",
        is_flag=True,
        help="Make no webhook secret and no API key for the account, as KORE does. Without this"
        " option, both are made.",
    ),
    option(
        "--yes",
        is_flag=True,
        help="Make the account without asking, even if another one has this name.",
    ),
)
@prints_record
def create(
    *,
    name: str,
    file: "StoredData",
    schedule: RetrySchedule | None,
    parent: str | None,
    bare: bool,
    yes: bool,
) -> Output:
    """Make an account and print its credentials, which are shown only once.

    If there is already an account with this name, the command asks you first.
    """
    from ringback.cli.accounts import output
    from ringback.core.accounts.account import Account
    from ringback.operations.accounts import add_credentials, create_account, list_accounts

    context = account_context()
    if not yes:
        namesakes = [each.sid for each in file.transact(list_accounts) if each.name == name]
        if namesakes:
            taken = f"there is already an account {name!r} ({', '.join(namesakes)})"
            confirm(f"{taken[0].upper()}{taken[1:]}. Make another one?", taken)

    def make(tx: "Transaction") -> "Account | CreatedAccount":
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


@command(
    "list",
    examples={
        "ringback accounts list": "List the accounts of `ringback dev` or `ringback serve`.",
        "ringback accounts list --json": "List all accounts as JSON.",
    },
)
@with_data_file
@option_group("Output", json_lines_option)
def list_(*, file: "StoredData", as_json: bool) -> None:
    """List all accounts, oldest first, without secrets."""
    from ringback.cli.accounts import output
    from ringback.operations.accounts import list_accounts

    found = file.transact(list_accounts)
    nothing = "no accounts; `ringback accounts create NAME` makes one"
    output.say_all(
        found, output.account_record, output.account_row, nothing=nothing, as_json=as_json
    )


@command(
    "show",
    examples={'ringback accounts show "$ACCOUNT_SID"': "Show the account of `ringback dev`."},
)
@_sid
@with_data_file
@prints_record
def show(*, sid: str, file: "StoredData") -> Output:
    """Show an account and its credentials, without secrets."""
    from ringback.cli.accounts import output
    from ringback.operations.accounts import fetch_account

    def look(tx: "Transaction") -> "tuple[Account, list[ApiKey], list[ClientCredentials]]":
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


@command(
    "suspend",
    examples={
        'ringback accounts suspend "$ACCOUNT_SID"': "Suspend the account of `ringback dev`.",
        'ringback accounts resume "$ACCOUNT_SID"': (
            "Resume the suspended account of `ringback dev`: it can sign in again."
        ),
    },
)
@_sid
@with_data_file
@prints_record
def suspend(*, sid: str, file: "StoredData") -> Output:
    """Suspend an account: nobody can sign in to it.

    Nobody can sign in to its subaccounts either. Callbacks that the account already has are still
    sent.
    """
    from ringback.core.accounts.account import AccountStatus

    return _set_status(file, sid, AccountStatus.SUSPENDED)


@command(
    "resume",
    examples={'ringback accounts resume "$ACCOUNT_SID"': "Resume the account of `ringback dev`."},
)
@_sid
@with_data_file
@prints_record
def resume(*, sid: str, file: "StoredData") -> Output:
    """Resume a suspended account: it can sign in again."""
    from ringback.core.accounts.account import AccountStatus

    return _set_status(file, sid, AccountStatus.ACTIVE)


@command(
    "new-key",
    examples={
        "ringback accounts new-key > ringback.key": (
            "Make a new encryption key for a data file, and save it as ringback.key."
        )
    },
)
@prints_record
def new_key() -> Output:
    """Print a new key that can encrypt the secrets of a data file.

    The command doesn't store the key. Give the key to the server as the setting `seal_key` or
    `seal_key_file`.
    """
    from ringback.data_folder import new_seal_key

    key = new_seal_key()
    return {"key": key}, key


for _command in (create, list_, show, suspend, resume, new_key, keys, token, clients):
    accounts.add_command(_command)


def _set_status(file: "StoredData", sid: str, status: "AccountStatus") -> Output:
    from ringback.cli.accounts import output
    from ringback.operations.accounts import set_status

    account = file.transact(lambda tx: set_status(tx, sid, status, account_context()))
    words = f"account {account.sid} ({account.name}) is {status.value}"
    return output.account_record(account), words


def _lines(
    record: dict[str, Any], its_keys: "list[ApiKey]", its_clients: "list[ClientCredentials]"
) -> list[str]:
    from ringback.cli.accounts import output

    damaged = record["damaged_secrets"]
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
        f"  schedule              {record['schedule'] or 'that of the server'}",
        f"  created               {record['date_created']}",
        f"  secondary Auth Token  {secondary}",
        *([f"  can't be decrypted    {', '.join(damaged)}"] if damaged else []),
        *_listed("API keys", map(output.key_row, its_keys)),
        *_listed("API clients", map(output.client_row, its_clients)),
        *_listed("webhook secrets", secrets),
    ]


def _listed(what: str, rows: Iterable[str]) -> list[str]:
    return ["", f"  {what}", *(f"    {row}" for row in list(rows) or ["none"])]
