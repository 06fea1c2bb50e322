"""Sends the events about destinations, such as `destination.opened`, as callbacks."""

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.callbacks.shards import origin_of
from ringback.core.destinations.destination_events import DestinationEvent
from ringback.core.destinations.effective_settings import Notified
from ringback.core.events.event_kinds import OF_DESTINATIONS
from ringback.core.form_encoding import encode
from ringback.operations.context import OperationContext
from ringback.ports import Transaction


def tell_of_event(
    tx: Transaction, event: DestinationEvent, notified: Notified, context: OperationContext
) -> None:
    """Queue a callback about an event for each URL that gets such events.

    None goes to the destination that the event is about, since that may be what fails. There is
    also none about the failure of a callback that is itself about such an event.
    """
    if event.callback_sid is not None:
        failed = tx.callbacks.find(event.callback_sid)
        if failed is not None and failed.event in OF_DESTINATIONS:
            return
    origin, body = origin_of(event.destination), encode(event.parameters())
    for sender, url in notified:
        account = tx.accounts.get(sender or event.account_sid)
        if account is None or url.destination == origin:
            continue
        callback = context.compose(body, account.sid, url, HttpMethod.POST)
        # The general search for the kind, which each new callback waits for, leaves these out.
        context.queue.take(tx, callback._replace(event=event.kind.value))
