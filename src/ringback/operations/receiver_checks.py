"""Finds the receivers that an account may have checked, and stores what a check has found."""

from collections.abc import Sequence
from typing import Final

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.policy.receiver_evidence import ReceiverCheck
from ringback.operations.callback_destinations import CallbackUrlAndMethod
from ringback.operations.context import AccountOperationContext
from ringback.ports import CallbackFilter, PageWindow, Store, Transaction

_NEWEST: Final = 100
_EXAMINED: Final = 10_000
"""How many of the newest callbacks are searched for a URL that is configured nowhere."""


async def find_receiver(
    store: Store, account_sid: str, url: CallbackUrl
) -> CallbackUrlAndMethod | None:
    """Return a URL that an account has configured or was sent callbacks to; None if there is none.

    It is the same as `url` but for its fragment and its credentials, which are those of the
    account. Raises StoreUnavailable.
    """
    # Imported late: a server needs the products' records only for requests about them.
    from ringback.operations.callback_urls import FIRST, configured_urls  # noqa: PLC0415 (see above)

    start = FIRST
    while start is not None:
        page = await store.read(
            lambda tx, start=start: configured_urls(tx, start, account_sid=account_sid),
            asked_by=account_sid,
        )
        for one in page.found:
            if one.url.wire == url.wire:
                return CallbackUrlAndMethod(one.url, one.method)
        start = page.next
    which = CallbackFilter(destination=url.destination, url_prefix=url.wire)
    window = PageWindow(_NEWEST, examining=_EXAMINED)
    sent = await store.read(
        lambda tx: tx.callbacks.page(account_sid, which, window), asked_by=account_sid
    )
    return next(
        (
            CallbackUrlAndMethod(one.url, one.method)
            for one in sent
            # A test event may go to a URL that somebody only tries out. A stream sends no callback.
            if one.url.wire == url.wire and not one.has_events
        ),
        None,
    )


def save_checks(
    tx: Transaction, checks: Sequence[ReceiverCheck], context: AccountOperationContext
) -> None:
    """Store the checks of one receiver that somebody asked for, which sent requests to it."""
    for check in checks:
        tx.receiver_checks.save(check)
    found = {check.source: check.fault or "ready" for check in checks}
    context.record(
        *(tx, "CheckReceiver", checks[0].url), account_sid=checks[0].account_sid, after=found
    )
