"""Copies of callbacks over HTTP, and how their answers compare."""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from ringback.api.forms import read_query
from ringback.api.paging import PAGING, page_of, read_paging
from ringback.api.portal.filters import read_source
from ringback.api.portal.records import show_response, show_timings
from ringback.api.representation import json_answer, with_unknown
from ringback.api.services import Services
from ringback.api.sign_in import reach_of
from ringback.core.callback import RecordedRequest
from ringback.core.comparison import (
    Answer,
    Comparison,
    OfUrl,
    Percentiles,
    Report,
    meaning_of,
    percentiles,
)
from ringback.core.policy.source_policy import SourceName
from ringback.operations.shadows import report_on
from ringback.ports import Compared, ShadowFilter

MOST_URLS: Final = 500
"""How many URLs a report tells of: those with most differences."""


class ShadowResource:
    """What is known of copies."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._store = services.store

    async def list(self, request: Request) -> Response:
        """List copies, newest first."""
        reach = await reach_of(request, self._services.sign_ins)
        query = read_query(request, ("Source", "CallbackSid", "Since", *PAGING))
        which = ShadowFilter(
            source=read_source(query, self._services.sources),
            callback_sid=query.text("CallbackSid"),
            since=query.instant("Since"),
        )
        paging = read_paging(query)
        found = await self._store.read(
            lambda tx: tx.shadows.page(reach, which, paging.window), asked_by=reach
        )
        page = page_of("shadows", found, _show_shadow, paging=paging, request=request)
        return with_unknown(query, json_answer(page))

    async def report(self, request: Request) -> Response:
        """Compare all answers, URL by URL."""
        reach = await reach_of(request, self._services.sign_ins)
        query = read_query(request, ("Since",))
        since = query.instant("Since")
        report = await report_on(self._store, reach, since=since)
        skipped = self._services.skipped_copies(reach)
        shown = {"since": since, **_show_report(report), "skipped": skipped}
        return with_unknown(query, json_answer(shown))


def _show_shadow(compared: Compared) -> dict[str, Any]:
    shadow, comparison = compared
    timings = shadow.timings
    return {
        "sid": shadow.sid,
        "callback_sid": shadow.callback_sid,
        "account_sid": shadow.account_sid,
        "source": shadow.source,
        "idempotency_token": shadow.idempotency_token,
        "url": shadow.url.shown,
        "date_started": shadow.date_started,
        "duration_ms": timings and timings.total,
        "timings": timings and show_timings(timings),
        "local_address": shadow.local_address,
        "proxy": shadow.proxy,
        "result": shadow.result,
        "status_code": shadow.status_code,
        "error_code": shadow.error_code,
        "failure": shadow.failure,
        "reason": shadow.reason,
        "request": None if shadow.request_head is None else _show_head(shadow.request_head),
        "response": shadow.response and show_response(shadow.response),
        "comparison": _show_comparison(comparison),
    }


def _show_head(head: str) -> dict[str, Any]:
    line = head.partition("\r\n")[0]
    return {"line": line, "headers": RecordedRequest("", "", head, "").headers}


def _show_comparison(pair: Comparison) -> dict[str, Any]:
    callback, copy = pair.sources
    first_excerpt, excerpt = pair.excerpts
    return {
        "callback_sid": pair.callback_sid,
        "shadow_sid": pair.shadow_sid,
        "url": pair.url,
        "first": _show_answer(pair.first, callback, first_excerpt),
        "copy": _show_answer(pair.copy, copy, excerpt),
        "is_known": pair.is_known,
        "is_same": pair.is_known and pair.is_same,
        "meaning": meaning_of(pair),
    }


def _show_answer(answer: Answer, source: SourceName, excerpt: bytes | None) -> dict[str, Any]:
    return {
        "source": source,
        "result": answer.result,
        "status_code": answer.status_code,
        "failure": answer.failure,
        "duration_ms": answer.milliseconds,
        "body_excerpt": None if excerpt is None else excerpt.decode("utf-8", "replace"),
    }


def _show_report(report: Report) -> dict[str, Any]:
    urls = report.urls
    return {
        "pairs": sum(one.pairs for one in urls),
        "same": sum(one.same for one in urls),
        "differing": sum(one.differing.total() for one in urls),
        "unknown": sum(one.unknown for one in urls),
        "urls": [_show_url(one) for one in urls[:MOST_URLS]],
        "urls_left_out": len(urls[MOST_URLS:]),
    }


def _show_url(one: OfUrl) -> dict[str, Any]:
    return {
        "url": one.url,
        "pairs": one.pairs,
        "same": one.same,
        "differing": one.differing.total(),
        "unknown": one.unknown,
        "times": {
            "first": _show_times(percentiles(one.times_of_first)),
            "copy": _show_times(percentiles(one.times_of_copy)),
        },
        "differences": [
            {
                "first": kind.first,
                "copy": kind.copy,
                "meaning": meaning_of(one.examples[kind]),
                "count": count,
                "example": _show_comparison(one.examples[kind]),
            }
            for kind, count in one.differing.most_common()
        ],
    }


def _show_times(times: Percentiles | None) -> dict[str, float] | None:
    return None if times is None else {"p50_ms": times.p50, "p95_ms": times.p95}
