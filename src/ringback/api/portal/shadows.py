"""The portal's operations that list shadow copies, and compare the responses to them."""

from collections.abc import Mapping
from typing import Any, Final

from ringback.api.authentication import signed_in
from ringback.api.endpoint_group import ApiRequest, EndpointGroup, Listing
from ringback.api.operation_definition import ApiOperation, OperationParameter
from ringback.api.portal.callback_json import CALLBACK_SID, HEADERS, MILLISECONDS, RESULT, exchange
from ringback.api.portal.callbacks import OF_SOURCE, read_source
from ringback.api.schema_pieces import (
    COUNTS,
    FLAG,
    INSTANT,
    SOURCE,
    TEXT,
    list_of,
    number,
    object_of,
    one_of,
    or_null,
    refer,
    sid_of,
)
from ringback.api.serializers import (
    CustomJsonSerializer,
    SerializedField,
    Serializer,
    field,
    maybe,
    worked_out,
)
from ringback.core.http.http_exchange import SentRequestRecord
from ringback.core.policy.policy_impact import UrlGrouping
from ringback.core.policy.urls_in_use import UrlUse
from ringback.core.shadows.shadow_report import (
    AnswerComparison,
    UrlShadowSummary,
    meaning_of,
    percentiles,
)
from ringback.core.sids import SidKind
from ringback.operations.shadow_reports import ShadowedUrl, group_shadowed, report_on
from ringback.ports import ComparedShadow, PageWindow, RecordPage, ShadowCallbackFilter, Transaction

MOST_URLS: Final = 500
"""Maximum number of URLs in a report; the URLs with most differences are shown."""


def _answer(name: str, at: int) -> SerializedField[Any]:
    """Return the field that shows the response to the callback (`at` 0) or to its copy (`at` 1)."""
    shown = Serializer[AnswerComparison](
        "answer",
        "",
        worked_out("source", SOURCE, lambda pair: pair.sources[at]),
        field("result", RESULT, f"{name}.result"),
        maybe("status_code", number(), f"{name}.status_code"),
        maybe("failure", TEXT, f"{name}.failure"),
        field("duration_ms", MILLISECONDS, f"{name}.milliseconds"),
        worked_out("body_excerpt", or_null(TEXT), lambda pair: _text_of(pair.excerpts[at])),
    )
    return worked_out(name, shown.schema, shown.show_by(str))


def _text_of(excerpt: bytes | None) -> str | None:
    return None if excerpt is None else excerpt.decode("utf-8", "replace")


COMPARISON: Final = Serializer[AnswerComparison](
    "comparison",
    "comparisons",
    CALLBACK_SID,
    field("shadow_sid", sid_of(SidKind.SHADOW)),
    field("url"),
    _answer("first", 0),
    _answer("copy", 1),
    field("is_known", FLAG),
    worked_out("is_same", FLAG, lambda pair: pair.is_known and pair.is_same),
    worked_out("meaning", TEXT, meaning_of),
)
_show_comparison: Final = COMPARISON.show_by(str)


def _show_head(request: SentRequestRecord | None) -> Mapping[str, object] | None:
    if request is None:
        return None
    return {"line": request.head.partition("\r\n")[0], "headers": request.headers}


SHADOW: Final = Serializer[ComparedShadow](
    "shadow",
    "shadows",
    field("sid", sid_of(SidKind.SHADOW)),
    field("callback_sid", sid_of(SidKind.CALLBACK), "shadow.attempt.callback_sid"),
    field("account_sid", sid_of(SidKind.ACCOUNT), "shadow.account_sid"),
    field("source", SOURCE, "shadow.source"),
    field("idempotency_token", attribute="shadow.idempotency_token"),
    field("url", attribute="shadow.url.shown"),
    maybe("body", TEXT, "shadow.body"),
    *exchange(
        worked_out(
            "request",
            or_null(object_of(line=TEXT, headers=HEADERS)),
            lambda one: _show_head(one.shadow.attempt.request),
        ),
        of="shadow.attempt.",
    ),
    worked_out("comparison", refer(COMPARISON.name), lambda one: _show_comparison(one.comparison)),
    parts=(COMPARISON,),
)

_TIMES: Final = or_null(object_of(p50_ms=MILLISECONDS, p95_ms=MILLISECONDS))
_DIFFERENCE: Final = object_of(
    first=TEXT, copy=TEXT, meaning=TEXT, count=number(1), example=refer(COMPARISON.name)
)


def _show_times(times: list[float]) -> dict[str, float] | None:
    found = percentiles(times)
    return None if found is None else {"p50_ms": found.p50, "p95_ms": found.p95}


def _show_differences(one: UrlShadowSummary) -> list[dict[str, Any]]:
    return [
        {
            "first": kind.first,
            "copy": kind.copy,
            "meaning": meaning_of(one.examples[kind]),
            "count": count,
            "example": _show_comparison(one.examples[kind]),
        }
        for kind, count in one.differing.most_common()
    ]


_NOW: Final = object_of(
    url=TEXT,
    use=one_of((UrlUse.STORED, UrlUse.REQUESTS)),
    source=SOURCE,
    reason=TEXT,
    is_moved=FLAG,
)
_OF_URL: Final = Serializer[ShadowedUrl](
    "url",
    "urls",
    field("account_sid", sid_of(SidKind.ACCOUNT), "summary.account_sid"),
    field("url", attribute="summary.url"),
    worked_out(
        "now",
        _NOW,
        lambda one: {
            "url": one.url_now,
            "use": one.use,
            "source": one.choice.source,
            "reason": one.choice.reason,
            "is_moved": one.is_moved,
        },
    ),
    field("pairs", number(0), "summary.pairs"),
    field("same", number(0), "summary.same"),
    worked_out("differing", number(0), lambda one: one.summary.differing.total()),
    field("unknown", number(0), "summary.unknown"),
    worked_out(
        "times",
        object_of(first=_TIMES, copy=_TIMES),
        lambda one: {
            "first": _show_times(one.summary.times_of_first),
            "copy": _show_times(one.summary.times_of_copy),
        },
    ),
    worked_out("differences", list_of(_DIFFERENCE), lambda one: _show_differences(one.summary)),
)
_show_url: Final = _OF_URL.show_by(str)
_GROUP: Final = object_of(
    name=TEXT, urls=number(1), moved=number(0), pairs=number(1), differing=number(0)
)
REPORT: Final = CustomJsonSerializer(
    "shadow_report",
    object_of(
        since=or_null(INSTANT),
        pairs=number(0),
        same=number(0),
        differing=number(0),
        unknown=number(0),
        moved=number(0),
        groups=object_of(**{by.value: list_of(_GROUP) for by in UrlGrouping}),
        urls=list_of(_OF_URL.schema),
        urls_left_out=number(0),
        skipped=COUNTS,
    ),
    COMPARISON,
)

_SINCE: Final = OperationParameter("Since", INSTANT, "Only copies sent from this instant on.")
_FILTERS: Final = (
    OF_SOURCE,
    OperationParameter("CallbackSid", TEXT, "Only copies of this callback."),
    _SINCE,
)


class ShadowEndpoints(EndpointGroup):
    """The operations that list shadow copies, and compare the responses to them."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations that list shadow copies, and compare the responses to them."""
        shadows = self.on("/portal/v1/shadows", "Shadow", SHADOW)
        return [
            shadows.lists_for(
                "List shadow copies, newest first, each compared with the callback's first attempt."
                " A shadow copy is the same callback from another source.",
                self._list,
                takes=_FILTERS,
            ),
            self.answers(
                *("/portal/v1/shadows/report", "ReportShadows"),
                "Compare the responses to callbacks with those to their shadow copies, by URL, and"
                " show how each URL is configured now. Its `groups` are of all URLs, by account,"
                " host, and the reason for the source that sends now.",
                *(REPORT, self._report),
                takes=(_SINCE,),
                for_all=True,
            ),
        ]

    def _list(self, call: ApiRequest) -> Listing[ComparedShadow]:
        which = ShadowCallbackFilter(
            source=read_source(call.given, self._dependencies.sources),
            callback_sid=call.given.text("CallbackSid"),
            since=call.given.instant("Since"),
        )
        is_operator = signed_in(call.request).account is None

        def page(tx: Transaction, reach: str, window: PageWindow) -> RecordPage[ComparedShadow]:
            found = tx.shadows.page(reach, which, window)
            shown = found if is_operator else (one.for_account for one in found)
            return RecordPage(shown, found.stopped_at)

        return page

    async def _report(self, call: ApiRequest) -> dict[str, Any]:
        since, dependencies = call.given.instant("Since"), self._dependencies
        context = dependencies.context()
        policy, date = context.policy, context.policy.date_at(context.now)
        store, owner = dependencies.store, call.account_sid
        urls = await report_on(store, owner, since=since, policy=policy, date=date)
        compared = [one.summary for one in urls]
        return {
            "since": since,
            "pairs": sum(one.pairs for one in compared),
            "same": sum(one.same for one in compared),
            "differing": sum(one.differing.total() for one in compared),
            "unknown": sum(one.unknown for one in compared),
            "moved": sum(one.is_moved for one in urls),
            "groups": {
                by.value: [group._asdict() for group in group_shadowed(urls, by)]
                for by in UrlGrouping
            },
            "urls": list(map(_show_url, urls[:MOST_URLS])),
            "urls_left_out": len(urls[MOST_URLS:]),
            "skipped": dependencies.skipped_copies(call.account_sid),
        }
