"""Which callbacks a request is about."""

from typing import Final

from ringback.api.forms import Parameters
from ringback.core.callback import UNDELIVERED, CallbackStatus
from ringback.core.callback_url import CallbackUrl
from ringback.core.errors import Invalid, InvalidCallbackUrl
from ringback.core.source import Source
from ringback.ports import CallbackFilter

STATUSES: Final = {
    **{status.value: frozenset({status}) for status in CallbackStatus},
    "undelivered": UNDELIVERED,
}
"""What a parameter may say of the status, and what it stands for."""

FILTERS: Final = ("Source", "IdempotencyToken", "Destination", "CreatedAfter", "CreatedBefore")
"""The parameters of a list of callbacks beside its status and paging."""


def read_filter(query: Parameters, *, statuses: frozenset[CallbackStatus] | None) -> CallbackFilter:
    """Return what the parameters of a list ask for."""
    return CallbackFilter(
        statuses=statuses,
        source=query.choice("Source", Source),
        idempotency_token=query.text("IdempotencyToken"),
        destination=read_destination(query),
        since=query.instant("CreatedAfter"),
        until=query.instant("CreatedBefore"),
    )


def read_destination(parameters: Parameters) -> str | None:
    """Return the scheme, host and port of a URL in one spelling, or None where none was given."""
    text = parameters.text("Destination")
    if text is None:
        return None
    try:
        return CallbackUrl.parse(text).destination
    except InvalidCallbackUrl as refusal:
        raise Invalid(f"Destination: {refusal.message}", code=83600) from None
