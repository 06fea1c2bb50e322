"""Create, find and delete API clients, and check their credentials."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from ringback.core.accounts.account import Account
from ringback.core.accounts.client_credentials import (
    LIFETIMES,
    ApiClientType,
    ApiScope,
    ClientCredentials,
)
from ringback.core.accounts.secret_hash import hash_secret
from ringback.core.errors import PLATFORM, NotFound, Unauthorized
from ringback.core.kore_ids import ULID_BYTES, KoreIdKind, make_kore_id
from ringback.operations.authentication import check_active
from ringback.operations.context import AccountOperationContext
from ringback.operations.unique_names import check_label
from ringback.ports import Transaction

_SECRET_BYTES: Final = 24
_USUAL_LIFETIME: Final = LIFETIMES["1h"]


@dataclass(frozen=True, slots=True)
class CreatedApiClient:
    """A new API client and its secret; the store has only a hash of the secret."""

    client: ClientCredentials
    secret: str = field(repr=False)


def create_client(
    tx: Transaction,
    account_sid: str,
    name: str,
    *,
    type: ApiClientType,  # noqa: A002 (the name of the field)
    products: Collection[ApiScope],
    context: AccountOperationContext,
    lifetime: timedelta = _USUAL_LIFETIME,
    locked: bool | None = None,
) -> CreatedApiClient:
    """Create an API client of an account.

    Raises InvalidParameter if the name is not 1 to 64 printable characters.
    """
    check_label(name, "a client's name", code=PLATFORM.invalid)
    secret = context.random_source.bytes(_SECRET_BYTES).hex()
    client = ClientCredentials(
        sid=make_kore_id(
            KoreIdKind.API_CLIENT, context.now, context.random_source.bytes(ULID_BYTES)
        ),
        account_sid=account_sid,
        name=name,
        secret_hash=hash_secret(secret),
        type=type,
        products=frozenset(products),
        date_created=context.now,
        lifetime=lifetime,
        locked=locked,
    )
    tx.api_clients.add(client)
    context.record_of(tx, "CreateClient", after=client)
    return CreatedApiClient(client, secret)


def fetch_client(tx: Transaction, sid: str, owners: Collection[str]) -> ClientCredentials:
    """Return an API client; raises NotFound unless it exists and belongs to one of `owners`."""
    client = tx.api_clients.get(sid)
    if client is None or client.account_sid not in owners:
        raise NotFound(f"there is no API client {sid!r}")
    return client


def delete_client(tx: Transaction, sid: str, context: AccountOperationContext) -> ClientCredentials:
    """Delete an API client and return it; its tokens become invalid.

    Raises NotFound if there is no such client.
    """
    client = tx.api_clients.get(sid)
    if client is None:
        raise NotFound(f"there is no API client {sid!r}")
    tx.api_clients.remove(sid)
    context.record_of(tx, "DeleteClient", before=client)
    return client


def sign_in_client(tx: Transaction, sid: str, secret: str) -> tuple[ClientCredentials, Account]:
    """Return the API client with this id and secret, and its account.

    Raises Unauthorized if id or secret is wrong, and Forbidden if the account is suspended.
    """
    client = tx.api_clients.get(sid)
    if client is None or not client.opens_with(secret):
        raise Unauthorized("Invalid client or Invalid client credentials")
    return client, check_active(tx, tx.accounts.get(client.account_sid))
