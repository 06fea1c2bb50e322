"""Create callbacks about an operator's own events; they are saved and sent like all others."""

from collections.abc import Sequence

from ringback.core.callbacks.callback import CallbackRecord
from ringback.ports import NewCallbackQueue, Transaction


def send_callbacks(
    tx: Transaction, callbacks: Sequence[CallbackRecord], queue: NewCallbackQueue
) -> list[CallbackRecord]:
    """Save and queue these new callbacks, and return their records in the same order.

    A callback whose idempotency key was used before, in this list or earlier, is not saved: the
    record of the first callback with the key is returned, even if its content differs.
    """
    # All keys are looked up before anything is added, so that a store can write all at once.
    first_with = _known(tx, callbacks)
    records = list[CallbackRecord]()
    for callback in callbacks:
        record = first_with.get(callback.idempotency_key)
        if record is None:
            record = callback
            queue.take(tx, callback)
            if callback.idempotency_key is not None:
                first_with[callback.idempotency_key] = callback
        records.append(record)
    return records


def _known(
    tx: Transaction, callbacks: Sequence[CallbackRecord]
) -> dict[str | None, CallbackRecord]:
    """Return the saved callbacks that have the same idempotency keys as these, by key."""
    known = dict[str | None, CallbackRecord]()
    for callback in callbacks:
        key = callback.idempotency_key
        if key is not None and key not in known:
            found = tx.callbacks.with_key(callback.account_sid, key)
            if found is not None:
                known[key] = found
    return known
