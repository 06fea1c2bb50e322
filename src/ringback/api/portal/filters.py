"""Which callbacks a request is about."""

from collections.abc import Collection
from typing import Final

from ringback.api.forms import Parameters
from ringback.api.operation import Parameter
from ringback.api.schemas import INSTANT, TEXT, one_of
from ringback.core.callback import UNDELIVERED, CallbackStatus
from ringback.core.callback_url import CallbackUrl
from ringback.core.errors import Invalid, InvalidCallbackUrl
from ringback.core.source import Source, SourceName
from ringback.ports import CallbackFilter

STATUSES: Final = {
    **{status.value: frozenset({status}) for status in CallbackStatus},
    "undelivered": UNDELIVERED,
}
"""What a parameter may say of the status, and what it stands for."""

STATUS: Final = Parameter(
    "Status", {"type": "string", "enum": list(STATUSES)}, "Only those with this status."
)
OF_SOURCE: Final = Parameter(
    "Source", one_of(Source), "Only those from this source; one that the settings add will do, too."
)
DESTINATION: Final = Parameter("Destination", TEXT, "Only those to the host of this URL.")
FILTERS: Final = (
    OF_SOURCE,
    Parameter("IdempotencyToken", TEXT, "Only the one with this token."),
    DESTINATION,
    Parameter("CreatedAfter", INSTANT, "Only those from this instant on."),
    Parameter("CreatedBefore", INSTANT, "Only those before this instant."),
)
"""The parameters of a list of callbacks beside its status and paging."""


def read_filter(
    query: Parameters,
    *,
    statuses: frozenset[CallbackStatus] | None,
    sources: Collection[SourceName],
) -> CallbackFilter:
    """Return what the parameters of a list ask for."""
    return CallbackFilter(
        statuses=statuses,
        source=read_source(query, sources),
        idempotency_token=query.text("IdempotencyToken"),
        destination=read_destination(query),
        since=query.instant("CreatedAfter"),
        until=query.instant("CreatedBefore"),
    )


def read_source(parameters: Parameters, sources: Collection[SourceName]) -> SourceName | None:
    """Return the source that callbacks have to be from, or None where none was given."""
    return parameters.meaning("Source", {name: name for name in sources})


def read_destination(parameters: Parameters) -> str | None:
    """Return the scheme, host and port of a URL in one spelling, or None where none was given."""
    text = parameters.text("Destination")
    if text is None:
        return None
    try:
        return CallbackUrl.parse(text).destination
    except InvalidCallbackUrl as refusal:
        raise Invalid(f"Destination: {refusal.message}", code=83600) from None
