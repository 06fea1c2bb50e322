"""Stores shadows: copies of callbacks that are sent from another source.

The database compares the answers to a shadow and to its callback, so that Python doesn't have to
read whole bodies.
"""

from collections.abc import Sequence
from typing import ClassVar, Final

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.callbacks.callback_serialization import read_url
from ringback.core.http.http_exchange import RequestTimings, SentRequestRecord
from ringback.core.policy.source_policy import source_named
from ringback.core.shadows.shadow import ShadowCallback
from ringback.core.shadows.shadow_report import EXCERPT, AnswerComparison, ComparableResult
from ringback.ports import ComparedShadow, PageWindow, RecordPage, ShadowCallbackFilter
from ringback.stores.sql.callback_rows import (
    BODY,
    ENDED_COLUMNS,
    read_outcome,
    read_response,
    write_response_head,
)
from ringback.stores.sql.field_columns import from_us, maybe_to_us, to_us
from ringback.stores.sql.pagination import SqlListQuery, read_page, whose
from ringback.stores.sql.response_overflow import SqlResponseOverflows
from ringback.stores.sql.write_batch import BulkStatement, Row, SqlRow, WriteBatch

_ATTEMPT_COLUMNS: Final = (
    f"{ENDED_COLUMNS}, local_address, proxy, request_head, response_head, response_body,"
    " response_is_cut"
)
OPENED_COLUMNS: Final = (
    "seq, sid, callback_sid, account_sid, source, idempotency_token, url, credentials, body,"
    " started_us, result"
)
"""The columns of a new copy; `write_opened` returns the values of all but the first."""
_OPENED: Final = BulkStatement.insert("shadows", OPENED_COLUMNS)
_SETTLED: Final = BulkStatement.update("shadows", _ATTEMPT_COLUMNS)

TABLES: Final = (_OPENED, _SETTLED)
"""The SQL statements that write queued rows; they run after those for callbacks."""


def _excerpt(body: str) -> str:
    # substr of an empty blob is NULL.
    return f"coalesce(substr({body}, 1, {EXCERPT}), {body})"


def _of_callback(column: str) -> str:
    return (
        f"(SELECT {column} FROM callbacks JOIN callback_targets ON callback_targets.id = target_id"
        " WHERE callbacks.sid = callback_sid)"
    )


def _of_first(what: str) -> str:
    return (
        f"(SELECT {what} FROM callbacks"
        " JOIN attempts AS first ON callback_id = callbacks.id AND first.number = 1"
        " JOIN attempt_results AS ended ON ended.id = result_id"
        " LEFT JOIN answer_bodies ON answer_bodies.id = result_id"
        " WHERE callbacks.sid = shadows.callback_sid)"
    )


def _of_long(column: str, *, sid: str) -> str:
    return f"(SELECT {column} FROM long_responses WHERE sid = {sid} AND number = 1)"


def _digest(sid: str) -> str:
    """Return the digest of the whole body of a long answer; empty if there is none."""
    return f"coalesce({_of_long('digest', sid=sid)}, x'')"


def _of_kept(column: str) -> str:
    return f"(SELECT kept.{column} FROM kept_responses AS kept WHERE kept.sid = shadows.sid)"


_OWN: Final = "sid, callback_sid, account_sid, source, idempotency_token, url, credentials"
_TOLD: Final = (
    f"{_of_callback('method')}, coalesce(shadows.body, {_of_callback(BODY)}), shadows.body"
)
_APART: Final = ", ".join(
    [
        *(_of_long(column, sid="shadows.sid") for column in ("headers_left_out", "body_left_out")),
        *map(_of_kept, ("head", "body")),
    ]
)
_FIRST_BODY: Final = (
    "CASE WHEN ended.response_head IS NOT NULL THEN coalesce(answer_bodies.body, x'') END"
)
# If the stored first parts of two bodies are equal, the digests show whether the whole bodies are.
_IS_SAME_BODY: Final = (
    f"CASE WHEN {_FIRST_BODY} = shadows.response_body THEN {_digest('shadows.callback_sid')}"
    f" = {_digest('shadows.sid')} WHEN {_FIRST_BODY} <> shadows.response_body THEN false END"
)

# These are subqueries, since `read_page` finds the rows of a page by the columns of one table.
_COMPARED: Final = ", ".join(
    [
        "sid, callback_sid, account_sid, source, started_us",
        "result, status_code, failure, total_ms",
        *map(_of_callback, ("url", "source")),
        *map(_of_first, ("ended.result", "ended.status_code", "ended.failure", "first.total_ms")),
        _of_first(_IS_SAME_BODY),
        _of_first(_excerpt(f"({_FIRST_BODY})")),
        _excerpt("response_body"),
    ]
)


class SqlShadowCallbacks:
    """Implements `ports.ShadowCallbacks`."""

    left_open_condition: ClassVar = "result = 'open'"
    """The condition for copies that a process left open that does not run any more."""

    def __init__(self, session: WriteBatch, responses: SqlResponseOverflows) -> None:
        self._session = session
        self._responses = responses

    def open(self, shadows: Sequence[ShadowCallback]) -> None:
        for shadow in shadows:
            self._session.queue(_OPENED, (self._session.new_seq(), *write_opened(shadow)))

    def settle(self, shadows: Sequence[ShadowCallback]) -> None:
        for shadow in shadows:
            self._session.touch(shadow.sid)
            self._session.queue(_SETTLED, (shadow.sid, *self._write_attempt(shadow)))
        self._responses.keep_within_budget()

    def left_open(self) -> list[ShadowCallback]:
        rows = self._session.read_queued(
            f"SELECT {_OWN}, 'POST', '', body, {_ATTEMPT_COLUMNS}, NULL, NULL, NULL, NULL"
            f" FROM shadows WHERE {self.left_open_condition} ORDER BY seq"
        )
        return [_read(row) for row in rows]

    def page(
        self, account_sid: str, which: ShadowCallbackFilter, window: PageWindow
    ) -> RecordPage[ComparedShadow]:
        columns = f"{_OWN}, {_TOLD}, {_ATTEMPT_COLUMNS}, {_APART}, {_COMPARED}"
        rows, stopped_at = self._page(columns, account_sid, which, window)
        compared = (ComparedShadow(_read(row), _read_comparison(row)) for row in rows)
        return RecordPage(compared, stopped_at)

    def comparisons(self, account_sid: str, window: PageWindow) -> list[AnswerComparison]:
        rows, _ = self._page(_COMPARED, account_sid, ShadowCallbackFilter(), window)
        return [_read_comparison(row) for row in rows]

    def _write_attempt(self, shadow: ShadowCallback) -> Row:
        """Return the values of `_ATTEMPT_COLUMNS`."""
        attempt = shadow.attempt
        timings: RequestTimings | tuple[None, ...] = attempt.timings or (None,) * 5
        started, first = to_us(attempt.date_started), attempt.response
        if first is not None:
            owner = attempt.account_sid, attempt.number, started
            first = self._responses.keep(first, shadow.sid, owner, is_last=True)
        row = started, *attempt[4:9], *timings, attempt.local_address, attempt.proxy
        head = attempt.request and attempt.request.head
        if first is None:
            return (*row, head, None, None, False)
        return (*row, head, write_response_head(first), first.body, first.is_cut)

    def _page(
        self, columns: str, account_sid: str, which: ShadowCallbackFilter, window: PageWindow
    ) -> tuple[Sequence[SqlRow], str | None]:
        owner, callback = whose(account_sid), ("callback_sid = ?", which.callback_sid)
        found, looked_at = ([owner], []) if which.callback_sid is None else ([callback], [owner])
        listing = SqlListQuery(
            "shadows",
            found,
            [
                *looked_at,
                ("source = ?", which.source),
                ("started_us >= ?", maybe_to_us(which.since)),
            ],
            columns,
        )
        read = self._session.read_queued
        return read_page(read, listing, account_sid=account_sid, window=window)


def write_opened(shadow: ShadowCallback) -> Row:
    """Return the row of a copy that is about to be sent."""
    attempt = shadow.attempt
    return (
        shadow.sid,
        attempt.callback_sid,
        attempt.account_sid,
        shadow.source,
        shadow.idempotency_token,
        shadow.url.shown,
        shadow.url.credentials,
        shadow.body,
        to_us(attempt.date_started),
        attempt.result,
    )


def _read(row: SqlRow) -> ShadowCallback:
    sid, callback_sid, account_sid, source, token, url, credentials, method, *bodies = row
    body, own_body, *columns = bodies
    parsed, is_post = read_url(url, credentials, "[]"), method == HttpMethod.POST
    local_address, proxy, head, *answer = columns[11:21]
    called = parsed if is_post else parsed.with_parameters(body)
    attempt = read_outcome(columns[:11], of=(callback_sid, account_sid, 1))._replace(
        local_address=local_address,
        proxy=proxy,
        request=None
        if head is None
        else SentRequestRecord(method, called.wire, head, body if is_post else ""),
        response=read_response(answer),
    )
    return ShadowCallback(sid, source_named(source), token, parsed, attempt, own_body)


def _read_comparison(row: SqlRow) -> AnswerComparison:
    sid, callback_sid, account_sid, source, started, *rest = row[-18:]
    result, status_code, failure, total_ms, *rest = rest
    first_url, first_source, *first, is_same_body, first_excerpt, excerpt = rest
    return AnswerComparison(
        sid,
        callback_sid,
        account_sid,
        first_url,
        from_us(started),
        (source_named(first_source), source_named(source)),
        ComparableResult(*first),
        ComparableResult(result, status_code, failure, total_ms),
        None if is_same_body is None else bool(is_same_body),
        (first_excerpt, excerpt),
    )
