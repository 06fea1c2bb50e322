"""Callbacks as a service: an operator's own events, kept and sent like all others."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import OutgoingCallback
from ringback.core.callbacks.create_callback import ANNOUNCEMENT_BYTES, compose
from ringback.operations.context import OperationContext
from ringback.ports import CallbackQueue, Transaction


class NewCallback(NamedTuple):
    """What somebody wants sent."""

    url: CallbackUrl
    method: HttpMethod
    body: str
    """The encoded parameters."""
    idempotency_key: str | None = None
    due: datetime | None = None
    """When to send it; None for at once."""


def prepare_callback(
    new: NewCallback, account_sid: str, context: OperationContext
) -> OutgoingCallback:
    """Return the callback that this wants sent; nobody keeps it yet."""
    return compose(
        new.body,
        account_sid=account_sid,
        to=new.url,
        method=new.method,
        policy=context.policy,
        sources=context.sources,
        chance=context.chance.bytes(ANNOUNCEMENT_BYTES),
        now=context.now,
        due=new.due,
        idempotency_key=new.idempotency_key,
    )


def send_callbacks(
    tx: Transaction, callbacks: Sequence[OutgoingCallback], intake: CallbackQueue
) -> list[OutgoingCallback]:
    """Keep these new callbacks, have them sent, and return their records in the same order.

    One with a key that was seen before, in this list too, is not kept: the first one's record is
    returned, whatever it told. All are prepared before, so that the transaction is short.
    """
    # All keys are looked up before anything is added, so that a store may write all in one go.
    first_with = _known(tx, callbacks)
    records = list[OutgoingCallback]()
    for callback in callbacks:
        record = first_with.get(callback.idempotency_key)
        if record is None:
            record = callback
            intake.take(tx, callback)
            if callback.idempotency_key is not None:
                first_with[callback.idempotency_key] = callback
        records.append(record)
    return records


def _known(
    tx: Transaction, callbacks: Sequence[OutgoingCallback]
) -> dict[str | None, OutgoingCallback]:
    """Return the callbacks that were made with these keys, by key; none has the key None."""
    known = dict[str | None, OutgoingCallback]()
    for callback in callbacks:
        key = callback.idempotency_key
        if key is not None and key not in known:
            found = tx.callbacks.with_key(callback.account_sid, key)
            if found is not None:
                known[key] = found
    return known
