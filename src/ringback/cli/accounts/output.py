"""Prints accounts and their credentials, without the secrets that were printed once before."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from ringback.cli.output import echo, say
from ringback.core.accounts.account import Account, ApiKey
from ringback.core.accounts.client_credentials import LIFETIMES, ApiClientType, ClientCredentials
from ringback.core.calendar import iso

T = TypeVar("T")
Record = Mapping[str, Any]

_LIFETIME_NAMES: Final = {lifetime: name for name, lifetime in LIFETIMES.items()}


def say_all(
    found: Sequence[T],
    record: Callable[[T], Record],
    row: Callable[[T], str],
    *,
    nothing: str,
    as_json: bool,
) -> None:
    """Print each record on its own line; if there are none, print `nothing`, except as JSON."""
    for each in found:
        say(record(each), row(each), as_json=as_json)
    if not found and not as_json:
        echo(nothing)


def account_record(account: Account) -> dict[str, Any]:
    """Return an account as a JSON object, without secrets."""
    return {
        "account_sid": account.sid,
        "kore_id": account.kore_id,
        "name": account.name,
        "status": account.status.value,
        "schedule": account.schedule and account.schedule.in_words,
        "parent_sid": account.parent_sid,
        "date_created": iso(account.date_created),
        "damaged_secrets": account.damaged_secrets,
    }


def account_row(account: Account) -> str:
    """Return an account on one line."""
    said = [account.sid, iso(account.date_created), account.name]
    said += [account.schedule.in_words] if account.schedule else []
    said += [f"of {account.parent_sid}"] if account.parent_sid else []
    said += [account.status.value] if account.is_suspended else []
    damaged = account.damaged_secrets
    said += [f"can't be decrypted: {', '.join(damaged)}"] if damaged else []
    return "  ".join(said)


def key_record(key: ApiKey) -> dict[str, str | None]:
    """Return an API key as a JSON object, without its secret; an operator's key has no account."""
    return {
        "sid": key.sid,
        "account_sid": key.account_sid,
        "name": key.name,
        "role": key.role.value,
        "date_created": iso(key.date_created),
        "date_last_used": key.date_last_used and iso(key.date_last_used),
        "date_ended": key.date_ended and iso(key.date_ended),
    }


def key_row(key: ApiKey) -> str:
    """Return an API key on one line."""
    role = key.role.value.replace("_", "-")
    used = "never used" if key.date_last_used is None else f"used {iso(key.date_last_used)}"
    ended = "" if key.date_ended is None else f"  ended {iso(key.date_ended)}"
    return f"{key.sid}  {iso(key.date_created)}  {role:<9}  {used}  {key.name}{ended}"


def client_record(client: ClientCredentials) -> dict[str, Any]:
    """Return an API client as a JSON object, without its secret."""
    return {
        "client_id": client.sid,
        "account_sid": client.account_sid,
        "name": client.name,
        "type": client.type.value,
        "products": sorted(product.value for product in client.products),
        "lifetime": _LIFETIME_NAMES.get(client.lifetime, str(client.lifetime)),
        "date_created": iso(client.date_created),
    }


def client_row(client: ClientCredentials) -> str:
    """Return an API client on one line."""
    return f"{client.sid}  {iso(client.date_created)}  {client.name}  {client_scope(client)}"


def client_scope(client: ClientCredentials) -> str:
    """Return the products that a client's tokens are for, and their lifetime, as text."""
    record = client_record(client)
    is_admin = client.type is ApiClientType.ADMIN
    scope = "admin" if is_admin else ",".join(record["products"])
    return f"{scope}  tokens for {record['lifetime']}"


def secret_records(account: Account) -> list[dict[str, str]]:
    """Return an account's webhook secrets as JSON objects, without their values."""
    return [
        {
            "id": secret.id,
            "name": secret.name,
            "status": status.value,
            "last_modified": iso(secret.last_modified),
        }
        for status, secret in account.webhook_secrets.all
    ]
