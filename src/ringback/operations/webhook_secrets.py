"""Create, rename and activate webhook secrets, as KORE's API does.

See `core/accounts/webhook_secret` for their life cycle.
"""

from dataclasses import replace

from ringback.core.accounts.account import Account
from ringback.core.accounts.webhook_secret import (
    AccountWebhookSecrets,
    WebhookSecret,
    WebhookSecretStatus,
)
from ringback.core.errors import PLATFORM, Conflict, InvalidParameter, NotFound
from ringback.operations.accounts import keep_changed, make_secret
from ringback.operations.context import AccountOperationContext
from ringback.operations.unique_names import check_label
from ringback.ports import Transaction

SecretAndStatus = tuple[WebhookSecretStatus, WebhookSecret]
"""A webhook secret and its status."""


def create_secret(
    tx: Transaction, account: Account, name: str, context: AccountOperationContext
) -> SecretAndStatus:
    """Create a webhook secret: an account's first is active at once, each later one is pending.

    A new pending secret replaces an earlier one. Raises InvalidParameter if the name is not 1 to 64
    printable characters.
    """
    check_label(name, "a secret's name", code=PLATFORM.invalid)
    secret = make_secret(name, context)
    secrets = account.webhook_secrets.with_new(secret)
    keep_changed(tx, replace(account, webhook_secrets=secrets), context)
    held = _held(secrets.find(secret.id), secret.id)
    context.record(
        *(tx, "CreateSecret", secret.id),
        account_sid=account.sid,
        after={**_shown(held), "replaces": _replaced(account.webhook_secrets, secrets)},
    )
    return held


def change_secret(
    tx: Transaction,
    account: Account,
    secret_id: str,
    *,
    name: str | None,
    status: WebhookSecretStatus | None,
    context: AccountOperationContext,
) -> SecretAndStatus:
    """Rename a webhook secret, activate it, or both; None leaves the name or status as it is.

    Activating a secret ends the previously active one for good. Raises NotFound if there is no such
    secret, and InvalidParameter if the name is not 1 to 64 printable characters, or if an active
    secret would become pending again.
    """
    secrets = account.webhook_secrets
    before = had, _ = _held(secrets.find(secret_id), secret_id)
    if name is not None:
        check_label(name, "a secret's name", code=PLATFORM.invalid)
        secrets = secrets.with_name(secret_id, name, context.now)
    match had, status:
        case WebhookSecretStatus.PENDING, WebhookSecretStatus.ACTIVE:
            if secret_id in account.damaged_secrets:
                raise Conflict(
                    f"the webhook secret {secret_id} can't be decrypted; create another one"
                )
            secrets = secrets.with_activated(context.now)
        case WebhookSecretStatus.ACTIVE, WebhookSecretStatus.PENDING:
            raise InvalidParameter(
                f"Status='pending': {secret_id} is active, and that can't be undone; create another"
                " secret and activate that",
                code=PLATFORM.invalid,
            )
        case _:
            pass
    if secrets != account.webhook_secrets:
        keep_changed(tx, replace(account, webhook_secrets=secrets), context)
    held = _held(secrets.find(secret_id), secret_id)
    replaced = _replaced(account.webhook_secrets, secrets)
    context.record(
        *(tx, "UpdateSecret", secret_id),
        account_sid=account.sid,
        before=_shown(before),
        after={**_shown(held), **({"replaces": replaced} if replaced else {})},
    )
    return held


def _held(found: SecretAndStatus | None, secret_id: str) -> SecretAndStatus:
    if found is None:
        raise NotFound(f"there is no webhook secret {secret_id!r}")
    return found


def _shown(held: SecretAndStatus) -> dict[str, object]:
    """Return the fields of a secret that audit entries show."""
    status, secret = held
    return {"name": secret.name, "status": status}


def _replaced(before: AccountWebhookSecrets, after: AccountWebhookSecrets) -> str | None:
    """Return the id of the secret that is deleted by a change; None if none is."""
    left = {secret.id for _, secret in after.all}
    return next((secret.id for _, secret in before.all if secret.id not in left), None)
