"""Create and end API keys of an account or of the operator."""

from dataclasses import dataclass, field, replace
from typing import Final

from ringback.core.accounts.account import ApiKey, ApiKeyRole
from ringback.core.accounts.secret_hash import hash_secret
from ringback.core.calendar import iso
from ringback.core.errors import NotFound
from ringback.core.sids import SID_BYTES, SidKind, make_sid
from ringback.operations.context import AccountOperationContext
from ringback.operations.unique_names import check_label
from ringback.ports import Transaction

_SECRET_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class CreatedApiKey:
    """A new API key and its secret; the store has only a hash of the secret."""

    key: ApiKey
    secret: str = field(repr=False)


def create_key(
    tx: Transaction,
    account_sid: str | None,
    name: str,
    context: AccountOperationContext,
    *,
    role: ApiKeyRole = ApiKeyRole.FULL,
) -> CreatedApiKey:
    """Create an API key of an account, or, if `account_sid` is None, of the operator.

    An operator's key signs in to all accounts. Raises InvalidParameter if the name is not 1 to 64
    printable characters.
    """
    check_label(name, "a key's name")
    secret = context.random_source.bytes(_SECRET_BYTES).hex()
    key = ApiKey(
        sid=make_sid(SidKind.API_KEY, context.random_source.bytes(SID_BYTES)),
        account_sid=account_sid,
        name=name,
        secret_hash=hash_secret(secret),
        date_created=context.now,
        role=role,
    )
    tx.accounts.keys.add(key)
    context.record(tx, "CreateKey", key.sid, account_sid=account_sid, after=key)
    return CreatedApiKey(key, secret)


def end_key(tx: Transaction, sid: str, context: AccountOperationContext) -> ApiKey:
    """End an API key, which then can't sign in any more, and return it; it stays listed.

    Raises NotFound if no key that is valid has this SID.
    """
    key = tx.accounts.keys.get(sid)
    if key is None:
        raise NotFound(f"there is no API key {sid!r}")
    if key.date_ended is not None:
        raise NotFound(f"the API key {sid} ended at {iso(key.date_ended)} already")
    tx.accounts.keys.end(sid, context.now)
    ended = replace(key, date_ended=context.now)
    context.record(tx, "EndKey", sid, account_sid=key.account_sid, before=key, after=ended)
    return ended
