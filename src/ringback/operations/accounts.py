"""Accounts: made here, with secrets that are shown once."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ringback.core.account import Account, ApiKey
from ringback.core.errors import Invalid
from ringback.core.schedule import Schedule
from ringback.core.sids import SID_BYTES, Kind, make_sid
from ringback.ports import Chance, Transaction

_LONGEST_NAME: Final = 64
_INVALID_VALUE: Final = 83600


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account and its first API key, with their secrets."""

    account: Account
    api_key: ApiKey


def create_account(
    tx: Transaction,
    *,
    name: str,
    schedule: Schedule | None,
    now: datetime,
    chance: Chance,
    sid: str | None = None,
    parent_sid: str | None = None,
) -> NewAccount:
    """Make an account with fresh secrets and an API key; its SID is made too, unless one is given.

    Raises Invalid for a name that nobody could read, and for a parent that isn't there or that is a
    subaccount itself.
    """
    _check_name(name)
    _check_parent(tx, parent_sid)
    account = Account(
        sid=sid or make_sid(Kind.ACCOUNT, chance.bytes(SID_BYTES)),
        name=name,
        auth_token=chance.bytes(16).hex(),
        # The samples in KORE's documentation have 18 hex digits.
        kore_secret=chance.bytes(9).hex(),
        uses_static_proxy=False,
        date_created=now,
        schedule=schedule,
        parent_sid=parent_sid,
    )
    key_sid = make_sid(Kind.API_KEY, chance.bytes(SID_BYTES))
    api_key = ApiKey(key_sid, account.sid, chance.bytes(16).hex())
    tx.accounts.add(account, [api_key])
    return NewAccount(account, api_key)


def list_accounts(tx: Transaction) -> list[Account]:
    """Return all accounts, oldest first."""
    return tx.accounts.all()


def _check_name(name: str) -> None:
    if not (1 <= len(name) <= _LONGEST_NAME and name.isprintable() and not name.isspace()):
        raise Invalid(
            f"{name[:_LONGEST_NAME]!r} can't be an account's name; that has 1 to {_LONGEST_NAME}"
            " printable characters",
            code=_INVALID_VALUE,
        )


def _check_parent(tx: Transaction, sid: str | None) -> None:
    if sid is None:
        return
    parent = tx.accounts.get(sid)
    if parent is None:
        raise Invalid(f"there is no account {sid!r} to be the parent", code=_INVALID_VALUE)
    if parent.parent_sid is not None:
        raise Invalid(
            f"account {sid} is a subaccount of {parent.parent_sid}, and has none of its own",
            code=_INVALID_VALUE,
        )
