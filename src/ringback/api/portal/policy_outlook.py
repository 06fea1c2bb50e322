"""The portal's operations on what the policy changes ahead: which URLs get another source, when."""

import asyncio
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_right
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, TypeVar

from ringback.api.dependencies import ApiDependencies
from ringback.api.endpoint_group import ApiRequest, EndpointGroup
from ringback.api.operation_definition import ApiOperation, OperationParameter
from ringback.api.schema_pieces import (
    COUNTS,
    FLAG,
    INSTANT,
    SOURCE,
    TEXT,
    YES_OR_NO,
    list_of,
    number,
    object_of,
    one_of,
    or_null,
    sid_of,
    text,
)
from ringback.api.serializers import CustomJsonSerializer
from ringback.core.errors import SUPER_SIM, InvalidParameter
from ringback.core.policy.dated_changes import POLICY_CHANGE_KINDS, PolicyChange
from ringback.core.policy.policy_impact import (
    SelectionReason,
    UrlForecast,
    UrlGrouping,
    forecast_urls,
    source_at,
)
from ringback.core.policy.receiver_evidence import (
    ReceiverCheck,
    ReceiverEvidence,
    ReceiverFinding,
    ReceiverVerdict,
    judge_receiver,
)
from ringback.core.policy.source_policy import Policy, SourceName
from ringback.core.policy.urls_in_use import DeliveryKey, UrlDeliveryTotals, UrlInUse, UrlUse
from ringback.core.sids import SidKind
from ringback.operations.urls_left import next_date, policy_outlook, url_record
from ringback.policy.policy_monitor import CountedUrls, PolicyMonitor
from ringback.ports import Clock, Transaction

T = TypeVar("T")

_PATH: Final = "/portal/v1/policy"
_KEPT_FOR: Final = timedelta(seconds=10)
"""How long an answer is used again, since computing it can take long."""
_MOST_KEPT: Final = 4
_MOST_LISTED: Final = 500
_MOST_SHOWN: Final = 10
"""The most receivers that are shown with a change, those first that it would break."""
_MOST_CHECKS: Final = 10_000
"""The newest checks of receivers that count for the numbers of an outlook."""
_SHOWN: Final = 80

_IMPACT: Final = {"accounts": number(0), "urls": number(0), "callbacks": number(0)}
_USES: Final = {**_IMPACT, "stored": number(0), "requests": number(0)}
_AHEAD: Final = object_of(
    date=INSTANT,
    change={"type": "string", "enum": [change.label for change in POLICY_CHANGE_KINDS]},
    meaning=TEXT,
    seconds_left={"type": "number"},
)
FINDING: Final = {
    "source": SOURCE,
    "verdict": one_of(ReceiverVerdict),
    "words": TEXT,
    "evidence": one_of(ReceiverEvidence),
    "date": or_null(INSTANT),
    "fault": or_null(TEXT),
}
"""The fields of a finding about a receiver, for a source."""
_RECEIVERS: Final = object_of(
    **{verdict.value: number(0) for verdict in ReceiverVerdict},
    first=list_of(object_of(account_sid=sid_of(SidKind.ACCOUNT), url=TEXT, **FINDING)),
)
_COUNTED_CHANGE: Final = {
    **_AHEAD,
    "properties": {**_AHEAD["properties"], **_IMPACT, "receivers": _RECEIVERS},
}
_GROUP: Final = object_of(
    name=TEXT, urls=number(0), depending=number(0), changing=number(0), callbacks=number(0)
)
_OF_SOURCE: Final = object_of(source=SOURCE, **_USES)
_URLS: Final = object_of(
    **_IMPACT,
    sources=list_of(_OF_SOURCE),
    sources_then=list_of(_OF_SOURCE),
    ending=list_of(
        object_of(
            source=SOURCE, ends=or_null(INSTANT), seconds_left=or_null({"type": "number"}), **_USES
        )
    ),
    changing=object_of(**_USES),
    sent=object_of(
        since=INSTANT,
        callbacks=number(0),
        sources=COUNTS,
        would_move=number(0),
        changed_since=object_of(urls=number(0), callbacks=number(0)),
    ),
    groups=object_of(**{by.value: list_of(_GROUP) for by in UrlGrouping}),
)
_WHEN: Final = {
    "now": INSTANT,
    "at": INSTANT,
    "stays_in": or_null(TEXT),
    "counted": or_null(INSTANT),
    "callbacks_counted": or_null(INSTANT),
}
OUTLOOK: Final = CustomJsonSerializer(
    "policy_outlook",
    object_of(
        **_WHEN,
        phase_now=TEXT,
        phase=TEXT,
        ahead=list_of(_COUNTED_CHANGE),
        ahead_left_out=number(0),
        urls=or_null(_URLS),
    ),
)
_CHOICE: Final = object_of(source=SOURCE, reason=TEXT)
URLS_IN_USE: Final = CustomJsonSerializer(
    "urls_in_use",
    object_of(
        **_WHEN,
        urls=list_of(
            object_of(
                account_sid=sid_of(SidKind.ACCOUNT),
                url=TEXT,
                source_asked=or_null(SOURCE),
                use=one_of((UrlUse.STORED, UrlUse.REQUESTS)),
                places=number(0),
                callbacks=number(0),
                sent=COUNTS,
                last=or_null(INSTANT),
                would_move=number(0),
                now=_CHOICE,
                why_now=one_of(SelectionReason),
                then=_CHOICE,
                changes=FLAG,
                receiver=or_null(object_of(**FINDING)),
                in_phases={"type": "object", "additionalProperties": SOURCE},
            )
        ),
        found=number(0),
        changing=number(0),
        next_page_token=or_null(TEXT),
    ),
)
_AT: Final = OperationParameter(
    "At",
    {**TEXT, "examples": ["2027-06-01", "2027-06-01T12:00:00Z"]},
    "The date to compare with now, in the policy's calendar (default: the next change ahead).",
)
_LIST: Final = (
    _AT,
    OperationParameter("Url", text(longest=4096), "Only URLs that contain this text."),
    OperationParameter("Changing", YES_OR_NO, "`yes`: only URLs that get another source."),
    OperationParameter(
        "PageSize", number(1, _MOST_LISTED), "Maximum number of URLs in a page (default 50)."
    ),
    OperationParameter(
        "PageToken", TEXT, "Where the page begins: the `next_page_token` of the page before it."
    ),
)

_PlaceInList = tuple[bool, str, str, str]
"""The place of a URL in the list: those that change come first, then by account and URL."""


class _Look(NamedTuple):
    """What a request looks at: a policy, the date now and another one, and the URLs in use."""

    policy: Policy
    now: datetime
    then: datetime | None
    stays_in: str | None
    urls: CountedUrls | None
    account_sid: str | None

    @property
    def key(self) -> tuple[Hashable, ...]:
        """What the answer follows from, apart from the time that passes."""
        counted = None if self.urls is None else self.urls.counted
        return self.policy, self.then, counted, self.account_sid

    @property
    def record(self) -> dict[str, Any]:
        """The fields that every answer has."""
        urls = self.urls
        return {
            "stays_in": self.stays_in,
            "counted": None if urls is None else urls.counted,
            "callbacks_counted": None if urls is None else urls.callbacks_counted,
        }

    @property
    def used(self) -> Sequence[UrlInUse] | None:
        """The URLs of the account, or of all; None before the first count."""
        return None if self.urls is None else self.urls.of(self.account_sid)


class _Forecasts(NamedTuple):
    """The URLs in use at two dates, in the order of the list."""

    now: datetime
    at: datetime
    urls: Sequence[UrlForecast]


@dataclass(frozen=True, slots=True)
class ReceiverJudge:
    """Says whether receivers are ready for a source, by their checks and by recent callbacks."""

    checks: Mapping[DeliveryKey, ReceiverCheck]
    deliveries: Mapping[DeliveryKey, UrlDeliveryTotals]

    def judge(self, used: UrlInUse, source: SourceName) -> ReceiverFinding:
        """Return whether the receiver at a URL is ready for a source."""
        key = used.account_sid, used.wire, source
        return judge_receiver(source, self.checks.get(key), self.deliveries.get(key))

    def record(self, used: UrlInUse, source: SourceName) -> dict[str, Any]:
        """Return the same, for JSON."""
        return {"source": source, **self.judge(used, source)._asdict()}

    def of_all(self, new: Iterable[tuple[UrlInUse, SourceName]]) -> dict[str, Any]:
        """Return how many receivers are ready for their new sources, and the first that aren't."""
        found = [(used, source, self.judge(used, source)) for used, source in new]
        verdicts = Counter(finding.verdict for *_, finding in found)
        found.sort(key=lambda one: _IN_ORDER.index(one[2].verdict))
        return {
            **{verdict.value: verdicts[verdict] for verdict in ReceiverVerdict},
            "first": [
                {
                    "account_sid": used.account_sid,
                    "url": used.url,
                    "source": source,
                    **finding._asdict(),
                }
                for used, source, finding in found[:_MOST_SHOWN]
                if finding.verdict is not ReceiverVerdict.READY
            ],
        }


_IN_ORDER: Final = (ReceiverVerdict.FAULT, ReceiverVerdict.UNKNOWN, ReceiverVerdict.READY)


def by_key(checks: Iterable[ReceiverCheck]) -> dict[DeliveryKey, ReceiverCheck]:
    """Return checks by account, URL and source."""
    return {(one.account_sid, one.url, one.source): one for one in checks}


class _KeptAnswers:
    """Remembers the last few results for some seconds, so that polling costs nothing."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._found = OrderedDict[Hashable, tuple[datetime, Any]]()
        self._lock = asyncio.Lock()

    async def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the result for this key, which is made in a thread unless it is remembered."""
        # One at a time: each takes the processor from the requests that are sent meanwhile.
        async with self._lock:
            now, known = self._clock.now(), self._found.pop(key, None)
            if known is None or not known[0] <= now < known[0] + _KEPT_FOR:
                known = now, await asyncio.to_thread(make)
            self._found[key] = known
            while len(self._found) > _MOST_KEPT:
                self._found.popitem(last=False)
            return known[1]


class PolicyOutlookEndpoints(EndpointGroup):
    """The operations that show which URLs the policy's changes ahead affect."""

    def __init__(self, dependencies: ApiDependencies, monitor: PolicyMonitor) -> None:
        super().__init__(dependencies)
        self._monitor = monitor
        self._kept = _KeptAnswers(dependencies.clock)

    def operations(self) -> list[ApiOperation]:
        """Return the operations that show what is ahead, and each URL in use."""
        return [
            self.answers(
                *(f"{_PATH}/outlook", "FetchPolicyOutlook"),
                "Show what the policy changes ahead, and which source sends to how many URLs now"
                " and at a date. The answer says when the URLs, and their callbacks of the last"
                " eight days, were counted; they are counted again soon after a request.",
                *(OUTLOOK, self._outlook),
                takes=(_AT,),
                for_all=True,
            ),
            self.answers(
                *(f"{_PATH}/urls", "ListUrlsInUse"),
                "List the URLs in use, each with its source now and at a date; those that get"
                " another source come first.",
                *(URLS_IN_USE, self._urls),
                takes=_LIST,
                for_all=True,
            ),
        ]

    def _look(self, call: ApiRequest) -> _Look:
        self._monitor.ask()
        policy, now, stays_in = self._monitor.by_date()
        return _Look(
            policy=policy,
            now=now,
            then=call.given.instant_or_utc("At"),
            stays_in=stays_in,
            urls=self._monitor.urls,
            account_sid=call.owner,
        )

    async def _outlook(self, call: ApiRequest) -> Mapping[str, object]:
        look = self._look(call)
        concerns = self._monitor.holds_shown_to(look.account_sid)
        last = await self.read(
            call.account_sid, lambda tx: tx.receiver_checks.newest(call.account_sid, limit=1)
        )
        judge = await self._judge(call.account_sid, look)

        def judge_change(change: PolicyChange, changed: Sequence[UrlInUse]) -> dict[str, Any]:
            new = ((one, source_at(look.policy, one, change.at)) for one in changed)
            return {"receivers": judge.of_all(new)}

        def count() -> dict[str, Any]:
            return policy_outlook(
                *(look.policy, look.used),
                now=look.now,
                then=look.then,
                concerns=concerns,
                judge=judge_change,
            )

        # A new check has an effect at once.
        key = "outlook", *last, *look.key
        return {**look.record, **await self._kept.get(key, count)}

    async def _judge(self, account_sid: str, look: _Look) -> ReceiverJudge:
        checks = await self.read(
            account_sid, lambda tx: tx.receiver_checks.newest(account_sid, limit=_MOST_CHECKS)
        )
        return ReceiverJudge(by_key(checks), {} if look.urls is None else look.urls.deliveries)

    async def _urls(self, call: ApiRequest) -> Mapping[str, object]:
        look, given = self._look(call), call.given
        size = given.number("PageSize", 1, _MOST_LISTED, default=50)
        after = _read_token(given.text("PageToken"))
        part, is_changing = given.text("Url"), given.is_yes("Changing")
        concerns = self._monitor.holds_shown_to(look.account_sid)

        def forecast() -> _Forecasts:
            then = look.then or next_date(look.policy, now=look.now, concerns=concerns)
            found = forecast_urls(look.policy, look.used or (), now=look.now, then=then)
            return _Forecasts(look.now, then, sorted(found, key=_place_of))

        def choose(found: _Forecasts) -> tuple[list[UrlForecast], int]:
            meant = [
                one
                for one in found.urls
                if (not is_changing or one.changes) and (not part or part in one.used.url)
            ]
            start = 0 if after is None else bisect_right(meant, after, key=_place_of)
            return meant[start : start + size + 1], len(meant)

        found = await self._kept.get(("urls", *look.key), forecast)
        page, number_found = await asyncio.to_thread(choose, found)
        token = _write_token(_place_of(page[size - 1])) if len(page) > size else None
        shown = page[:size]
        checks = await self.read(call.account_sid, lambda tx: _checks_of(tx, shown))
        judge = ReceiverJudge(checks, {} if look.urls is None else look.urls.deliveries)
        return {
            **look.record,
            "now": found.now,
            "at": found.at,
            "urls": [
                {
                    **url_record(look.policy, one),
                    "receiver": judge.record(one.used, one.then.source) if one.changes else None,
                }
                for one in shown
            ],
            "found": number_found,
            "changing": sum(one.changes for one in found.urls),
            "next_page_token": token,
        }


def _checks_of(tx: Transaction, found: Iterable[UrlForecast]) -> dict[DeliveryKey, ReceiverCheck]:
    urls = {(one.used.account_sid, one.used.wire) for one in found if one.changes}
    return by_key(check for url in urls for check in tx.receiver_checks.of_url(*url))


def _place_of(one: UrlForecast) -> _PlaceInList:
    return not one.changes, one.used.account_sid, one.used.url, one.used.asked or ""


def _write_token(place: _PlaceInList) -> str:
    return urlsafe_b64encode(json.dumps(place).encode()).decode()


def _read_token(token: str | None) -> _PlaceInList | None:
    """Return the place after which a page begins; raises InvalidParameter if it is invalid."""
    if not token:
        return None
    try:
        is_same, account_sid, url, asked = json.loads(urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError, RecursionError):
        raise InvalidParameter(
            f"PageToken={token[:_SHOWN]!a} is not a page token; use the next_page_token of a page",
            code=SUPER_SIM.paging,
        ) from None
    return bool(is_same), str(account_sid), str(url), str(asked)
