"""Sends KORE's test events, which try out a URL or a new webhook secret."""

from collections.abc import Sequence

from ringback.core.accounts.account import Account
from ringback.core.accounts.webhook_secret import WebhookSecret
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import FORGED, CallbackRecord
from ringback.core.callbacks.create_callback import TEST_CALLBACK_BYTES, compose_test
from ringback.core.errors import Conflict, NotFound
from ringback.operations.accounts import fetch_account
from ringback.operations.callback_destinations import CallbackUrlAndMethod
from ringback.operations.context import OperationContext
from ringback.ports import Transaction


def send_test_event(
    tx: Transaction,
    account: Account,
    url: CallbackUrl,
    method: HttpMethod,
    *,
    secret_id: str | None = None,
    context: OperationContext,
) -> CallbackRecord:
    """Queue a test event for a URL, and return its record.

    The event is signed with the webhook secret `secret_id`, or, if that is None, with the active
    secret. FORGED makes a forgery of it. Raises NotFound if the account has no such secret.
    """
    if secret_id not in (None, FORGED) and account.webhook_secrets.find(secret_id) is None:
        raise NotFound(f"there is no webhook secret {secret_id!r}")
    if secret_id in account.damaged_secrets:
        raise Conflict(f"the webhook secret {secret_id} can't be decrypted; create another one")
    callback = compose_test(
        account_sid=account.sid,
        to=url,
        method=method,
        secret_id=secret_id,
        random_bytes=context.random_source.bytes(TEST_CALLBACK_BYTES),
        now=context.now,
        created_by=context.actor.id,
    )
    context.queue.take(tx, callback)
    return callback


def rehearse(
    tx: Transaction,
    account_sid: str,
    destinations: Sequence[CallbackUrlAndMethod],
    context: OperationContext,
    *,
    forges: bool = False,
) -> tuple[WebhookSecret, list[CallbackRecord], list[CallbackRecord]]:
    """Queue a test event, signed with the pending webhook secret, for each destination.

    If `forges`, also queues a forged test event for each. Returns the secret, the events and the
    forgeries, in the order of the destinations. Raises Conflict if no secret is pending.
    """
    account = fetch_account(tx, account_sid)
    pending = pending_of(account)

    def send(secret_id: str) -> list[CallbackRecord]:
        return [
            send_test_event(
                tx, account, each.url, each.method, secret_id=secret_id, context=context
            )
            for each in destinations
        ]

    return pending, send(pending.id), send(FORGED) if forges else []


def pending_of(account: Account) -> WebhookSecret:
    """Return the pending webhook secret of an account; raises Conflict if there is none."""
    pending = account.webhook_secrets.pending
    if pending is None:
        raise Conflict(
            "no webhook secret is pending, so there is nothing to test; create a new secret first"
        )
    return pending
