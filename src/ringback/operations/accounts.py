"""Create, find and change accounts and subaccounts, and make their secrets."""

from dataclasses import dataclass, field, replace
from typing import Final

from ringback.core.accounts.account import EVERY, Account, AccountStatus
from ringback.core.accounts.webhook_secret import NO_SECRETS, WebhookSecret
from ringback.core.errors import InvalidParameter, NotFound
from ringback.core.kore_ids import ULID_BYTES, KoreIdKind, make_kore_id
from ringback.core.retry_schedule import RetrySchedule
from ringback.core.sids import SID_BYTES, SidKind, make_sid
from ringback.core.sims.sim_updated import AnySim
from ringback.operations.api_keys import CreatedApiKey, create_key
from ringback.operations.context import AccountOperationContext
from ringback.operations.unique_names import check_label
from ringback.ports import RandomSource, Transaction

_INVALID_VALUE: Final = 83600
_FIRST: Final = "first"
_TOKEN_BYTES: Final = 16
_SECRET_BYTES: Final = 9
"""The number of random bytes in a secret: 18 hex digits, like KORE's documented samples."""


@dataclass(frozen=True, slots=True)
class CreatedAccount:
    """An account and its first API key, with their secrets."""

    account: Account
    api_key: CreatedApiKey = field(repr=False)


def create_account(
    tx: Transaction,
    *,
    name: str,
    context: AccountOperationContext,
    schedule: RetrySchedule | None = None,
    sid: str | None = None,
    parent_sid: str | None = None,
) -> Account:
    """Create an account as KORE does: with an Auth Token, but no webhook secret and no API key.

    If `sid` is None, the SID is random. Raises InvalidParameter if the name is not 1 to 64
    printable characters, and if the parent does not exist or is a subaccount itself.
    """
    check_label(name, "an account's name")
    _check_parent(tx, parent_sid)
    account = Account(
        sid=sid or make_sid(SidKind.ACCOUNT, context.random_source.bytes(SID_BYTES)),
        name=name,
        auth_token=make_auth_token(context.random_source),
        uses_static_proxy=False,
        date_created=context.now,
        schedule=schedule,
        parent_sid=parent_sid,
    )
    tx.accounts.add(account, [])
    # The parent, which can create subaccounts, sees the entries that are about the parent.
    context.record(
        tx, "CreateAccount", account.sid, account_sid=parent_sid or account.sid, after=account
    )
    return account


def add_credentials(
    tx: Transaction, bare: Account, context: AccountOperationContext
) -> CreatedAccount:
    """Create a new account's first webhook secret and API key; return the account with both."""
    secret = make_secret(_FIRST, context)
    account = replace(bare, webhook_secrets=NO_SECRETS.with_new(secret))
    tx.accounts.save(account)
    context.record(tx, "CreateSecret", secret.id, account_sid=account.sid, after=secret)
    return CreatedAccount(account, create_key(tx, account.sid, _FIRST, context))


def list_accounts(tx: Transaction) -> list[Account]:
    """Return all accounts, oldest first."""
    return tx.accounts.all()


def fetch_account(tx: Transaction, sid_or_kore_id: str) -> Account:
    """Return an account by its SID or KORE id; raises NotFound if there is none."""
    account = tx.accounts.get(sid_or_kore_id) or tx.accounts.with_kore_id(sid_or_kore_id)
    if account is None:
        raise NotFound(f"there is no account {sid_or_kore_id!r}; an id is like AC… or acct_…")
    return account


def set_status(
    tx: Transaction, sid_or_kore_id: str, status: AccountStatus, context: AccountOperationContext
) -> Account:
    """Suspend or reactivate an account, and return it; raises NotFound if there is none.

    Nobody can sign in to a suspended account or to its subaccounts, and their sessions of the
    console end. Its callbacks that were created before are still sent.
    """
    account = fetch_account(tx, sid_or_kore_id)
    changed = replace(account, status=status)
    if changed.is_suspended:
        for one in with_subaccounts(tx, account):
            for credential in (one.sid, *(key.sid for key in tx.accounts.keys.of(one.sid))):
                tx.console_sessions.remove_of(credential)
    action = "SuspendAccount" if changed.is_suspended else "ResumeAccount"
    return change_account(tx, action, account, changed, context)


def change_account(
    tx: Transaction, action: str, before: Account, after: Account, context: AccountOperationContext
) -> Account:
    """Do the same as `keep_changed`, and add the audit entry of this action."""
    context.record(tx, action, before.sid, account_sid=before.sid, before=before, after=after)
    return keep_changed(tx, after, context)


def keep_changed(tx: Transaction, account: Account, context: AccountOperationContext) -> Account:
    """Save an account's new state, sign callbacks with its secrets from now on, and return it."""
    # The signing keys change only after the commit: a receiver must not see a signature by a secret
    # that a crash could still undo. The revision shows which of two commits is later.
    changed = replace(account, revision=account.revision + 1)
    tx.accounts.save(changed)
    tx.on_commit(lambda: context.signing_keys.learn(changed))
    return changed


def with_subaccounts(tx: Transaction, account: Account) -> list[Account]:
    """Return an account's current state in the store, and then its subaccounts, oldest first."""
    return [tx.accounts.get(account.sid) or account, *tx.accounts.children_of(account.sid)]


def visible_account(tx: Transaction, account_sid: str, sid: str) -> Account:
    """Return the account or subaccount with this SID or KORE id, as `account_sid` may see it.

    For `account_sid`, EVERY is the operator, who sees all. Raises NotFound for any other id,
    whether it exists or not.
    """
    if account_sid == EVERY:
        return fetch_account(tx, sid)
    family = with_subaccounts(tx, fetch_account(tx, account_sid))
    found = next((one for one in family if sid in (one.sid, one.kore_id)), None)
    if found is None:
        raise NotFound(
            f"there is no account {sid!r} among the account that is signed in and its subaccounts"
        )
    return found


def own_or_subaccount(tx: Transaction, account: Account, kore_id: str) -> Account:
    """Return the account itself, or its subaccount, whichever has this KORE id.

    Raises NotFound for any other id, whether it exists or not, so that nobody can probe for ids.
    """
    for one in with_subaccounts(tx, account):
        if one.kore_id == kore_id:
            return one
    raise NotFound(f"there is no account {kore_id!r} among {account.kore_id} and its subaccounts")


def check_transfer(
    tx: Transaction, sim: AnySim, account_sid: str, *, not_permitted: int, not_new: int
) -> None:
    """Raise InvalidParameter if the account that owns a SIM can't move it to this account.

    The error code is `not_permitted` if the account is not a subaccount of the SIM's account, and
    `not_new` if the SIM is not new any more.
    """
    target = tx.accounts.get(account_sid)
    if target is None or target.parent_sid != sim.account_sid:
        raise InvalidParameter(
            f"AccountSid={account_sid!r}: a SIM can be moved only to {sim.account_sid} or one of"
            " its subaccounts",
            code=not_permitted,
        )
    if sim.status.value != "new":
        raise InvalidParameter(
            f"SIM {sim.sid} is {sim.status}; only a SIM that is new can be moved"
            " to another account",
            code=not_new,
        )


def make_auth_token(random_source: RandomSource) -> str:
    """Return a new random Auth Token."""
    return random_source.bytes(_TOKEN_BYTES).hex()


def make_secret(name: str, context: AccountOperationContext) -> WebhookSecret:
    """Return a new random webhook secret; the caller has to save it."""
    secret_id = make_kore_id(
        KoreIdKind.WEBHOOK_SECRET, context.now, context.random_source.bytes(ULID_BYTES)
    )
    return WebhookSecret(
        secret_id, name, context.random_source.bytes(_SECRET_BYTES).hex(), context.now
    )


def _check_parent(tx: Transaction, sid: str | None) -> None:
    if sid is None:
        return
    parent = tx.accounts.get(sid)
    if parent is None:
        raise InvalidParameter(
            f"there is no account {sid!r}; the parent must be an existing account",
            code=_INVALID_VALUE,
        )
    if parent.parent_sid is not None:
        raise InvalidParameter(
            f"account {sid} is a subaccount of {parent.parent_sid}, so it can't"
            " be a parent; choose an account that is not a subaccount",
            code=_INVALID_VALUE,
        )
