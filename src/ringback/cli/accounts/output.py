"""How accounts and their credentials are printed: never with a secret that was shown before."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import click

from ringback.cli.output import instant, say, schedule_in_words
from ringback.core.accounts.account import Account, ApiKey
from ringback.core.accounts.client_credentials import LIFETIMES, ClientCredentials, ClientType

Record = Mapping[str, Any]

_LIFETIME_NAMES: Final = {lifetime: name for name, lifetime in LIFETIMES.items()}


def say_all(records: Iterable[tuple[Record, str]], nothing: str, *, as_json: bool) -> None:
    """Print each record with its words on a line of its own; what `nothing` says without any."""
    found = list(records)
    for record, words in found:
        say(record, words, as_json=as_json)
    if not found and not as_json:
        click.echo(nothing)


def account_record(account: Account) -> dict[str, str | None]:
    """Return what everybody may know of an account."""
    return {
        "account_sid": account.sid,
        "kore_id": account.kore_id,
        "name": account.name,
        "status": account.status.value,
        "schedule": account.schedule and schedule_in_words(account.schedule),
        "parent_sid": account.parent_sid,
        "date_created": instant(account.date_created),
    }


def account_row(account: Account) -> str:
    """Return an account on one line."""
    said = [account.sid, instant(account.date_created), account.name]
    said += [schedule_in_words(account.schedule)] if account.schedule else []
    said += [f"of {account.parent_sid}"] if account.parent_sid else []
    said += [account.status.value] if account.is_suspended else []
    return "  ".join(said)


def key_record(key: ApiKey) -> dict[str, str | None]:
    """Return what everybody may know of an API key; an operator's is no account's."""
    return {
        "sid": key.sid,
        "account_sid": key.account_sid,
        "name": key.name,
        "date_created": instant(key.date_created),
    }


def key_row(key: ApiKey) -> str:
    """Return an API key on one line."""
    return f"{key.sid}  {instant(key.date_created)}  {key.name}"


def client_record(client: ClientCredentials) -> dict[str, Any]:
    """Return what everybody may know of an API client."""
    return {
        "client_id": client.sid,
        "account_sid": client.account_sid,
        "name": client.name,
        "type": client.type.value,
        "products": sorted(product.value for product in client.products),
        "lifetime": _LIFETIME_NAMES.get(client.lifetime, str(client.lifetime)),
        "date_created": instant(client.date_created),
    }


def client_row(client: ClientCredentials) -> str:
    """Return an API client on one line."""
    return f"{client.sid}  {instant(client.date_created)}  {client.name}  {client_scope(client)}"


def client_scope(client: ClientCredentials) -> str:
    """Say what a client's tokens are good for, and how long."""
    record = client_record(client)
    is_admin = client.type is ClientType.ADMIN
    scope = "admin" if is_admin else ",".join(record["products"])
    return f"{scope}  tokens for {record['lifetime']}"


def secret_records(account: Account) -> list[dict[str, str]]:
    """Return what everybody may know of an account's webhook secrets."""
    return [
        {
            "id": secret.id,
            "name": secret.name,
            "status": status.value,
            "last_modified": instant(secret.last_modified),
        }
        for status, secret in account.webhook_secrets.all
    ]
