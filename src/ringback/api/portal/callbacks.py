"""The portal's operations that list and fetch callbacks, and the filters of the list."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from ringback.api.authentication import signed_in
from ringback.api.endpoint_group import ApiRequest, EndpointGroup
from ringback.api.operation_definition import ApiOperation, OperationParameter, PageResponseSchema
from ringback.api.paging import PageMeta, whole_list
from ringback.api.portal.callback_json import ATTEMPT, CALLBACK, LISTED_CALLBACK, show_callback
from ringback.api.portal.destination_json import DestinationViewer
from ringback.api.request_parameters import RequestParameters
from ringback.api.schema_pieces import (
    INSTANT,
    META,
    SIM_SID,
    STREAM_SID,
    TEXT,
    object_of,
    one_of,
    or_null,
    text,
)
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.callbacks.callback import UNDELIVERED, CallbackStatus
from ringback.core.errors import InvalidCallbackUrl
from ringback.core.events.event_kinds import EVENT_KINDS
from ringback.core.policy.source_policy import Source, SourceName
from ringback.core.sids import SidKind, is_sid
from ringback.operations.lookups import fetch_attempts, fetch_callback
from ringback.ports import CallbackFilter, ListedCallback, PageWindow, RecordPage, Transaction

_Listing = Callable[[Transaction, str, PageWindow], "_SearchedPage"]

CALLBACKS: Final = "/portal/v1/callbacks"
LONGEST_TEXT: Final = 200
"""The most characters of a text to search for."""

STATUSES: Final = {
    **{status.value: frozenset({status}) for status in CallbackStatus},
    "undelivered": UNDELIVERED,
}
"""The values of the parameter Status, each with the statuses that it selects."""

STATUS: Final = OperationParameter(
    "Status", {"type": "string", "enum": list(STATUSES)}, "Only callbacks with this status."
)
OF_SOURCE: Final = OperationParameter(
    "Source", one_of(Source), "Only callbacks from this source; also a source from the settings."
)
SHARED_FILTERS: Final = (
    OF_SOURCE,
    OperationParameter(
        "Destination", TEXT, "Only callbacks to the scheme, host and port of this URL."
    ),
    OperationParameter(
        "Event",
        {"type": "string", "enum": list(EVENT_KINDS)},
        "Only callbacks that report this kind of event.",
    ),
    OperationParameter("SimSid", SIM_SID, "Only callbacks about the SIM with this SID."),
    OperationParameter(
        "Stream",
        STREAM_SID,
        "Only batches of the event stream with this SID: a subscription or a streaming rule; or"
        " test events of a sink or a destination.",
    ),
    OperationParameter(
        "Text",
        text(longest=LONGEST_TEXT),
        "Only callbacks with this text in their URL, body, token or SIDs. Upper and lower case are"
        " the same, and the text may be encoded in the body. The events in batches of event streams"
        " are not searched; `GET /portal/v1/streams/events` finds those.",
    ),
)
"""The filters that lists and replays of callbacks have in common."""
FILTERS: Final = (
    *SHARED_FILTERS,
    OperationParameter("IdempotencyToken", TEXT, "Only the callback with this token."),
    OperationParameter("UrlPrefix", TEXT, "Only callbacks whose URL begins with this text."),
    OperationParameter("CreatedAfter", INSTANT, "Only callbacks created at or after this instant."),
    OperationParameter("CreatedBefore", INSTANT, "Only callbacks created before this instant."),
)
"""The filters of a list of callbacks, except the filter by status."""


class _SearchedPage(RecordPage[ListedCallback]):
    """A page of callbacks, and how far the search for them came."""

    def __init__(
        self,
        records: Iterable[ListedCallback],
        stopped_at: str | None,
        searched_to: datetime | None,
    ) -> None:
        super().__init__(records, stopped_at)
        self.searched_to = searched_to


def _searched_to(page: _SearchedPage) -> dict[str, object]:
    return {"searched_to": page.searched_to}


_SEARCHED: Final = PageMeta(
    object_of(
        **META["properties"],
        searched_to={
            **or_null(INSTANT),
            "description": "If the page ended because the most records were examined for it: the"
            " creation of the last one. Callbacks beyond it may match, too; see `next_page_url`.",
        },
    ),
    _searched_to,
)


class CallbackEndpoints(EndpointGroup):
    """The operations that show callbacks."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations that list and fetch callbacks."""
        listed = self.on(CALLBACKS, "Callback", LISTED_CALLBACK)
        undelivered = self.on("/portal/v1/undelivered", "Undelivered", LISTED_CALLBACK)
        return [
            listed.lists_for(
                "List callbacks, newest first.",
                self._list,
                takes=(STATUS, *FILTERS),
                meta=_SEARCHED,
            ),
            self.answers(
                *(f"{CALLBACKS}/{{sid}}", "FetchCallback", "Fetch a callback."),
                *(CALLBACK, self._fetch),
            ),
            undelivered.lists_for(
                "List callbacks that failed or were discarded, newest first.",
                lambda call: self._listing(call, UNDELIVERED),
                takes=FILTERS,
                meta=_SEARCHED,
            ),
            self.answers(
                *(f"{CALLBACKS}/{{sid}}/attempts", "ListAttempt"),
                "List a callback's attempts, oldest first, with requests and responses.",
                *(PageResponseSchema(ATTEMPT), self._attempts),
            ),
        ]

    def _list(self, call: ApiRequest) -> _Listing:
        return self._listing(call, call.given.meaning("Status", STATUSES))

    def _listing(self, call: ApiRequest, statuses: frozenset[CallbackStatus] | None) -> _Listing:
        dependencies = self._dependencies
        which = replace(read_filters(call.given, dependencies.sources), statuses=statuses)

        def page(tx: Transaction, reach: str, window: PageWindow) -> _SearchedPage:
            found = tx.callbacks.page(reach, which, window)
            last = tx.callbacks.last_attempts(found)
            viewer = DestinationViewer(tx, dependencies.destinations, dependencies.clock.now())
            listed = (
                ListedCallback(one, last.get(one.sid), viewer.waits_because(one)) for one in found
            )
            stopped_at = found.stopped_at
            stopped = None if stopped_at is None else tx.callbacks.find(stopped_at)
            return _SearchedPage(listed, stopped_at, stopped and stopped.date_created)

        return page

    async def _fetch(self, call: ApiRequest) -> dict[str, Any]:
        parts = self._dependencies

        def fetch(tx: Transaction) -> dict[str, Any]:
            callback = fetch_callback(tx, call.account_sid, call.sid)
            viewer = DestinationViewer(tx, parts.destinations, parts.clock.now())
            return show_callback(callback) | {"waits_because": viewer.waits_because(callback)}

        return await self.read(call.account_sid, fetch)

    async def _attempts(self, call: ApiRequest) -> dict[str, Any]:
        attempts = await self.read(
            call.account_sid, lambda tx: fetch_attempts(tx, call.account_sid, call.sid)
        )
        if signed_in(call.request).account is not None:
            attempts = [one.for_account for one in attempts]
        shown = list(map(ATTEMPT.at(call.request), attempts))
        return whole_list("attempts", shown, request=call.request)


def read_source(
    parameters: RequestParameters, sources: Collection[SourceName]
) -> SourceName | None:
    """Return the source in the parameter `Source`, or None if it was not given."""
    return parameters.meaning("Source", {name: name for name in sources})


def read_filters(parameters: RequestParameters, sources: Collection[SourceName]) -> CallbackFilter:
    """Return the filter in the parameters `FILTERS`; raises InvalidParameter."""
    return replace(
        read_shared_filters(parameters, sources),
        idempotency_token=parameters.text("IdempotencyToken"),
        since=parameters.instant("CreatedAfter"),
        until=parameters.instant("CreatedBefore"),
        url_prefix=parameters.text("UrlPrefix"),
    )


def read_shared_filters(
    parameters: RequestParameters, sources: Collection[SourceName]
) -> CallbackFilter:
    """Return the filter in the parameters `SHARED_FILTERS`; raises InvalidParameter."""
    return CallbackFilter(
        source=read_source(parameters, sources),
        destination=_read_destination(parameters),
        event=parameters.meaning("Event", {kind: kind for kind in EVENT_KINDS}),
        sim_sid=_read_sim(parameters),
        stream_sid=read_stream_sid(parameters),
        text=read_text(parameters),
    )


def read_text(parameters: RequestParameters) -> str | None:
    """Return the text to search for in the parameter `Text`, or None; raises InvalidParameter."""
    text = parameters.text("Text") or None
    if text is not None and len(text) > LONGEST_TEXT:
        raise parameters.wrong(
            f"Text has {len(text)} characters; the text to search for has at most {LONGEST_TEXT}"
        )
    return text


def _read_sim(parameters: RequestParameters) -> str | None:
    sid = parameters.text("SimSid")
    if sid is None or any(is_sid(sid, kind) for kind in (SidKind.SIM, SidKind.WIRELESS_SIM)):
        return sid
    raise parameters.wrong(
        f"SimSid={sid!r}: SimSid must be the SID of a SIM: HS (Super SIM) or DE (Programmable"
        " Wireless), and 32 hexadecimal digits"
    )


def read_stream_sid(parameters: RequestParameters) -> str | None:
    """Return the SID in the parameter `Stream`, or None; raises InvalidParameter."""
    sid = parameters.text("Stream")
    kinds = (SidKind.STREAM_SUBSCRIPTION, SidKind.STREAM_SINK)
    if sid is None or any(is_sid(sid, kind) for kind in kinds):
        return sid
    raise parameters.wrong(
        f"Stream={sid!r}: Stream must be the SID of a subscription (DF) or a sink (DG): two letters"
        " and 32 hexadecimal digits"
    )


def _read_destination(parameters: RequestParameters) -> str | None:
    """Return the scheme, host and port of the URL in `Destination`, in normalized form."""
    text = parameters.text("Destination")
    if text is None:
        return None
    try:
        return CallbackUrl.parse(text).destination
    except InvalidCallbackUrl as refusal:
        raise parameters.wrong(f"Destination: {refusal.message}") from None
