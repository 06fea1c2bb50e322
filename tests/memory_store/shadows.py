"""Copies of callbacks in a plain dictionary."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ringback.core.callbacks.callback import Attempt
from ringback.core.http.http_exchange import ReceiverResponseRecord
from ringback.core.shadows.shadow import ShadowCallback
from ringback.core.shadows.shadow_report import EXCERPT, AnswerComparison, ComparableResult
from ringback.ports import ComparedShadow, PageWindow, RecordPage, ShadowCallbackFilter
from tests.memory_store.callbacks import MemoryCallbacks
from tests.memory_store.kept_responses import MemoryKeptResponses
from tests.memory_store.records import of_account, page_of

_ALL = ShadowCallbackFilter()


@dataclass
class MemoryShadows:
    """Implements `ports.ShadowCallbacks`."""

    callbacks: MemoryCallbacks
    responses: MemoryKeptResponses
    shadows: dict[str, ShadowCallback] = field(default_factory=dict[str, ShadowCallback])

    def open(self, shadows: Sequence[ShadowCallback]) -> None:
        self.shadows |= {shadow.sid: shadow for shadow in shadows}

    def settle(self, shadows: Sequence[ShadowCallback]) -> None:
        for shadow in shadows:
            self.shadows[shadow.sid] = shadow
            self.responses.replace(shadow.sid, shadow.account_sid, 1, shadow.attempt.response)
        self.responses.keep_within_budget()

    def left_open(self) -> list[ShadowCallback]:
        return [shadow for shadow in self.shadows.values() if shadow.attempt.result == "open"]

    def page(
        self, account_sid: str, which: ShadowCallbackFilter, window: PageWindow
    ) -> RecordPage[ComparedShadow]:
        own = of_account(account_sid, self.shadows.values())
        page = page_of(own, lambda shadow: _is_wanted(shadow, which), window)
        compared = (ComparedShadow(self._shown(shadow), self._compare(shadow)) for shadow in page)
        return RecordPage(compared, page.stopped_at)

    def comparisons(self, account_sid: str, window: PageWindow) -> list[AnswerComparison]:
        return [comparison for _, comparison in self.page(account_sid, _ALL, window)]

    def _shown(self, shadow: ShadowCallback) -> ShadowCallback:
        response = self.responses.shown(shadow.sid, 1, shadow.attempt.response)
        return shadow._replace(attempt=shadow.attempt._replace(response=response))

    def _compare(self, shadow: ShadowCallback) -> AnswerComparison:
        copy = shadow.attempt
        callback = self.callbacks.callbacks[copy.callback_sid]
        first = self.callbacks.rows[callback.sid, 1]
        return AnswerComparison(
            shadow.sid,
            callback.sid,
            callback.account_sid,
            callback.url.shown,
            copy.date_started,
            (callback.source, shadow.source),
            _answer(first),
            _answer(copy),
            _is_same(first.response, copy.response),
            (_excerpt(first.response), _excerpt(copy.response)),
        )


def _answer(row: Attempt) -> ComparableResult:
    milliseconds = None if row.timings is None else row.timings.total
    return ComparableResult(row.result, row.status_code, row.failure, milliseconds)


def _is_same(
    first: ReceiverResponseRecord | None, copy: ReceiverResponseRecord | None
) -> bool | None:
    return None if first is None or copy is None else first.body == copy.body


def _excerpt(response: ReceiverResponseRecord | None) -> bytes | None:
    return None if response is None else response.body[:EXCERPT]


def _is_wanted(shadow: ShadowCallback, which: ShadowCallbackFilter) -> bool:
    return (
        which.source in (None, shadow.source)
        and which.callback_sid in (None, shadow.attempt.callback_sid)
        and (which.since is None or which.since <= shadow.attempt.date_started)
    )
