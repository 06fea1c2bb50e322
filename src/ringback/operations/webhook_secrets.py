"""Webhook secrets, as KORE's API has them; see `core.webhook_secret` for their life cycle."""

from dataclasses import replace
from typing import Final

from ringback.core.account import Account
from ringback.core.codes import PLATFORM
from ringback.core.errors import Invalid, NotFound
from ringback.core.kore_ids import ULID_BYTES, KoreKind, make_kore_id
from ringback.core.webhook_secret import SecretStatus, WebhookSecret
from ringback.operations.changing import keep_changed
from ringback.operations.moment import AccountContext
from ringback.operations.names import check_label
from ringback.ports import Transaction

# The samples in KORE's documentation have 18 hex digits.
_VALUE_BYTES: Final = 9

Held = tuple[SecretStatus, WebhookSecret]
"""A secret, and where it is in its life."""


def make_secret(name: str, moment: AccountContext) -> WebhookSecret:
    """Return a new secret, which nobody has yet."""
    secret_id = make_kore_id(KoreKind.WEBHOOK_SECRET, moment.now, moment.chance.bytes(ULID_BYTES))
    return WebhookSecret(secret_id, name, moment.chance.bytes(_VALUE_BYTES).hex(), moment.now)


def create_secret(tx: Transaction, account: Account, name: str, moment: AccountContext) -> Held:
    """Make a secret: the first is active at once, a later one is pending.

    A secret that was pending is gone. Raises Invalid for a name that nobody could read.
    """
    check_label(name, "a secret's name", code=PLATFORM.invalid)
    secret = make_secret(name, moment)
    secrets = account.webhook_secrets.with_new(secret)
    keep_changed(tx, replace(account, webhook_secrets=secrets), moment)
    return _held(secrets.find(secret.id), secret.id)


def change_secret(
    tx: Transaction,
    account: Account,
    secret_id: str,
    *,
    name: str | None,
    status: SecretStatus | None,
    moment: AccountContext,
) -> Held:
    """Give a secret another name, activate it, or both; None leaves things as they are.

    Activating ends the active secret at once, for good. Raises NotFound, and Invalid for a name
    that nobody could read, or where an active secret would become pending again.
    """
    secrets = account.webhook_secrets
    had, _ = _held(secrets.find(secret_id), secret_id)
    if name is not None:
        check_label(name, "a secret's name", code=PLATFORM.invalid)
        secrets = secrets.with_name(secret_id, name, moment.now)
    match had, status:
        case SecretStatus.PENDING, SecretStatus.ACTIVE:
            secrets = secrets.with_activated(moment.now)
        case SecretStatus.ACTIVE, SecretStatus.PENDING:
            raise Invalid(
                f"Status='pending': {secret_id} is active, and that can't be undone; create another"
                " secret and activate that",
                code=PLATFORM.invalid,
            )
        case _:
            pass
    if secrets != account.webhook_secrets:
        keep_changed(tx, replace(account, webhook_secrets=secrets), moment)
    return _held(secrets.find(secret_id), secret_id)


def _held(found: Held | None, secret_id: str) -> Held:
    if found is None:
        raise NotFound(f"there is no webhook secret {secret_id!r}")
    return found
