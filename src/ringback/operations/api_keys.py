"""API keys of an account or of the operator: creating and deleting them."""

from dataclasses import dataclass, field
from typing import Final

from ringback.core.accounts.account import ApiKey
from ringback.core.accounts.secret_hash import hash_secret
from ringback.core.errors import NotFound
from ringback.core.sids import SID_BYTES, SidKind, make_sid
from ringback.operations.context import AccountOperationContext
from ringback.operations.unique_names import check_label
from ringback.ports import Transaction

_SECRET_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class CreatedApiKey:
    """A key with its secret; only a hash of the secret is saved."""

    key: ApiKey
    secret: str = field(repr=False)


def create_key(
    tx: Transaction, account_sid: str | None, name: str, context: AccountOperationContext
) -> CreatedApiKey:
    """Make a key for an account; for None one for the operator, who sees every account.

    Raises InvalidParameter for an unreadable name.
    """
    check_label(name, "a key's name")
    secret = context.random_source.bytes(_SECRET_BYTES).hex()
    key = ApiKey(
        sid=make_sid(SidKind.API_KEY, context.random_source.bytes(SID_BYTES)),
        account_sid=account_sid,
        name=name,
        secret_hash=hash_secret(secret),
        date_created=context.now,
    )
    tx.accounts.keys.add(key)
    return CreatedApiKey(key, secret)


def delete_key(tx: Transaction, sid: str) -> ApiKey:
    """Delete a key and return it; raises NotFound."""
    key = tx.accounts.keys.get(sid)
    if key is None:
        raise NotFound(f"there is no API key {sid!r}")
    tx.accounts.keys.remove(sid)
    return key
