"""The portal's operation that reads what was counted of callbacks, by minute, hour or day."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from ringback.api.endpoint_group import ApiRequest, EndpointGroup
from ringback.api.operation_definition import ApiOperation, OperationParameter
from ringback.api.portal.callbacks import OF_SOURCE, SHARED_FILTERS, read_shared_filters
from ringback.api.request_parameters import RequestParameters
from ringback.api.schema_pieces import (
    COUNTS,
    FLAG,
    INSTANT,
    SECONDS,
    SOURCE,
    TEXT,
    list_of,
    number,
    object_of,
    one_of,
    or_null,
    sid_of,
)
from ringback.api.serializers import CustomJsonSerializer
from ringback.core import calendar
from ringback.core.callback_counts import (
    ATTEMPT_SECONDS,
    DELAY_SECONDS,
    MOST_SPANS,
    PLAIN_COUNTS,
    CountGap,
    CountSpan,
    CountSum,
    quantile,
)
from ringback.core.counted import counted
from ringback.core.errors import StoreUnavailable
from ringback.core.sids import SidKind
from ringback.ports import CountFilter, CountSplit, Transaction

MOST_COUNTERS: Final = 2000
"""Maximum number of counters in an answer."""


class _By(StrEnum):
    """The values of the parameter By: the spans of time, or the whole of it."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    ALL = "all"


_QUANTILES: Final = {"p50": 0.5, "p95": 0.95}
_COUNTER: Final = object_of(
    began=INSTANT,
    ended=INSTANT,
    is_incomplete=FLAG,
    account_sid=or_null(sid_of(SidKind.ACCOUNT)),
    destination=or_null(TEXT),
    source=or_null(SOURCE),
    **{name: number(0) for name in PLAIN_COUNTS},
    failures=COUNTS,
    attempt_seconds=COUNTS,
    delivery_seconds=COUNTS,
    **{f"attempt_{name}": or_null(SECONDS) for name in _QUANTILES},
    **{f"delivery_{name}": or_null(SECONDS) for name in _QUANTILES},
)
COUNTERS: Final = CustomJsonSerializer(
    "counters",
    object_of(
        by=one_of(_By),
        since=INSTANT,
        until=INSTANT,
        incomplete=list_of(object_of(began=INSTANT, ended=INSTANT)),
        counters=list_of(_COUNTER),
    ),
)
_OF_DESTINATION: Final = next(each for each in SHARED_FILTERS if each.name == "Destination")
_TAKES: Final = (
    OperationParameter("Since", INSTANT, "Count from this instant on (default: a day ago)."),
    OperationParameter("Until", INSTANT, "Count what was before this instant (default: now)."),
    OperationParameter("By", one_of(_By), "The spans to count (default: hour)."),
    OperationParameter(
        "Split", one_of(CountSplit), "Count each account, destination or source by itself."
    ),
    _OF_DESTINATION,
    OF_SOURCE,
)


class CounterEndpoints(EndpointGroup):
    """The operation that reads the stored counters, of one account or of all."""

    def operations(self) -> list[ApiOperation]:
        """Return the operation that reads the stored counters."""
        return [
            self.answers(
                *("/portal/v1/counters", "FetchCounters"),
                "Count callbacks and attempts by minute, hour or day: accepted, delivered, failed"
                " and so on, and how long they took. `incomplete` has the times of which counts are"
                " missing, since a process was killed or can't write them.",
                *(COUNTERS, self._counters),
                takes=_TAKES,
                for_all=True,
            )
        ]

    async def _counters(self, call: ApiRequest) -> Mapping[str, object]:
        query, dependencies = call.given, self._dependencies
        by, split = query.choice("By", _By) or _By.HOUR, query.choice("Split", CountSplit)
        span, since, until = _period(query, by, dependencies.clock.now())
        filters = read_shared_filters(query, dependencies.sources)
        which = CountFilter(since, until, call.owner, filters.destination, filters.source)

        def work(tx: Transaction) -> tuple[list[CountGap], list[dict[str, Any]]]:
            gaps = tx.counters.gaps(since, until, now=dependencies.clock.now())
            sums = tx.counters.sums(
                *(which, span),
                split=() if split is None else (split,),
                is_total=by is _By.ALL,
                limit=MOST_COUNTERS,
            )
            if len(sums) > MOST_COUNTERS:
                raise query.wrong(
                    f"there are more than {MOST_COUNTERS} counters in this time; ask for a shorter"
                    " time, longer spans (By), or one destination"
                )
            return gaps, [_show(one, which, span, gaps) for one in sums]

        with suppress(StoreUnavailable):
            await dependencies.write_counters()
        gaps, shown = await self.read(call.account_sid, work)
        incomplete = [gap._asdict() for gap in gaps]
        about = {"by": by, "since": since, "until": until}
        return {**about, "incomplete": incomplete, "counters": shown}


def _period(
    query: RequestParameters, by: _By, now: datetime
) -> tuple[CountSpan, datetime, datetime]:
    """Return the spans to read, and the time that they cover: whole spans that were asked for.

    Raises InvalidParameter if that is too long ago, or too much.
    """
    until = min(query.instant("Until") or now, now)
    since = query.instant("Since") or until - calendar.DAY
    if since >= until:
        raise query.wrong(
            f"Since={calendar.exact(since)}: Since must be before Until"
            f" ({calendar.exact(until)}) and before now"
        )
    span = CountSpan.for_total(since, until, now) if by is _By.ALL else CountSpan(by)
    begin = span.begin_of(since)
    if now - since > span.kept_for + span.length:
        raise query.wrong(
            f"Since={calendar.exact(since)}: the counters of {span}s are kept for"
            f" {span.kept_for.days} days; give a later Since, or longer spans (By)"
        )
    spans = -((begin - until) // span.length)
    if spans > MOST_SPANS:
        raise query.wrong(
            f"By={by}: {counted(spans, span)} are too many to read at once, the most are"
            f" {MOST_SPANS}; give a later Since, or longer spans (By)"
        )
    return span, begin, begin + spans * span.length


def _show(
    one: CountSum, which: CountFilter, span: CountSpan, gaps: Sequence[CountGap]
) -> dict[str, Any]:
    began, account_sid, destination, source, counts = one
    time = (which.since, which.until) if began is None else (began, began + span.length)
    times = {
        "attempt": (counts.attempt_seconds, ATTEMPT_SECONDS),
        "delivery": (counts.delivery_seconds, DELAY_SECONDS),
    }
    return {
        "began": time[0],
        "ended": time[1],
        "is_incomplete": any(gap.overlaps(*time) for gap in gaps),
        "account_sid": account_sid or which.account_sid,
        "destination": destination or which.destination,
        "source": source or which.source,
        **{name: getattr(counts, name) for name in PLAIN_COUNTS},
        "failures": counts.failures,
        **{f"{name}_seconds": _histogram(*found) for name, found in times.items()},
        **{
            f"{name}_{short}": quantile(*found, part)
            for name, found in times.items()
            for short, part in _QUANTILES.items()
        },
    }


def _histogram(counts: Sequence[int], bounds: Sequence[float]) -> dict[str, int]:
    """Return how many values there are up to each bound, and above the one before it."""
    names = (*(f"{bound:g}" for bound in bounds), "more")
    return {name: count for name, count in zip(names, counts, strict=True) if count}
