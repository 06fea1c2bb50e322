"""Callbacks as a service: an operator's own events, kept and sent like all others."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from ringback.core.announcement import ANNOUNCEMENT_BYTES, compose
from ringback.core.callback import Callback
from ringback.core.callback_url import CallbackUrl
from ringback.core.method import Method
from ringback.core.transition import Transition
from ringback.ports import Chance, Intake, Transaction


class NewCallback(NamedTuple):
    """What somebody wants sent."""

    url: CallbackUrl
    method: Method
    body: str
    """The encoded parameters."""
    idempotency_key: str | None = None
    due: datetime | None = None
    """When to send it; None for at once."""


def send_callbacks(
    tx: Transaction,
    account_sid: str,
    wanted: Sequence[NewCallback],
    *,
    transition: Transition,
    now: datetime,
    chance: Chance,
    intake: Intake,
) -> list[Callback]:
    """Keep these callbacks, have them sent, and return their records in the same order.

    For a key that was seen before, in this list too, nothing is made: the first one's record is
    returned, whatever it told.
    """
    # All keys are looked up before anything is added, so that a store may write all in one go.
    first_with = _known(tx, account_sid, wanted)
    records = list[Callback]()
    for new in wanted:
        record = first_with.get(new.idempotency_key)
        if record is None:
            record = compose(
                new.body,
                account_sid=account_sid,
                to=new.url,
                method=new.method,
                transition=transition,
                chance=chance.bytes(ANNOUNCEMENT_BYTES),
                now=now,
                due=new.due,
                idempotency_key=new.idempotency_key,
            )
            intake.take(tx, record)
            if new.idempotency_key is not None:
                first_with[new.idempotency_key] = record
        records.append(record)
    return records


def _known(
    tx: Transaction, account_sid: str, wanted: Sequence[NewCallback]
) -> dict[str | None, Callback]:
    """Return the callbacks that were made with these keys, by key; none has the key None."""
    known = dict[str | None, Callback]()
    for new in wanted:
        key = new.idempotency_key
        if key is not None and key not in known:
            found = tx.callbacks.with_key(account_sid, key)
            if found is not None:
                known[key] = found
    return known
