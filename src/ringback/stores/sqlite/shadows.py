"""Stores shadows in SQLite: copies of callbacks that are sent from another source.

The database compares the answers to a shadow and to its callback, so that Python doesn't have to
read whole bodies.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.callbacks.callback_serialization import read_url
from ringback.core.policy.source_policy import source_named
from ringback.core.shadows.shadow import ShadowCallback
from ringback.core.shadows.shadow_report import EXCERPT, AnswerComparison, ComparableResult
from ringback.ports import ComparedShadow, PageWindow, RecordPage, ShadowCallbackFilter
from ringback.stores.sqlite.callback_rows import ATTEMPT_COLUMNS, read_attempt, write_attempt
from ringback.stores.sqlite.field_columns import from_us, maybe_to_us, to_us
from ringback.stores.sqlite.pagination import SqliteListQuery, read_page, whose
from ringback.stores.sqlite.response_overflow import SqliteResponseOverflows
from ringback.stores.sqlite.write_batch import BulkStatement, Row, WriteBatch

_OPENED: Final = BulkStatement.insert(
    "shadows",
    "sid, callback_sid, account_sid, source, idempotency_token, url, credentials, started_us,"
    " result",
)
_SETTLED: Final = BulkStatement.update("shadows", ATTEMPT_COLUMNS)

TABLES: Final = (_OPENED, _SETTLED)
"""The SQL statements that write queued rows; they run after those for callbacks."""


def _excerpt(body: str) -> str:
    # substr of an empty blob is NULL.
    return f"coalesce(substr({body}, 1, {EXCERPT}), {body})"


def _of_callback(column: str) -> str:
    return f"(SELECT {column} FROM callbacks WHERE callbacks.sid = callback_sid)"


def _of_first(what: str) -> str:
    return (
        f"(SELECT {what} FROM attempts AS first"
        " WHERE first.callback_sid = shadows.callback_sid AND first.number = 1)"
    )


def _of_long(column: str, *, sid: str) -> str:
    return f"(SELECT {column} FROM long_responses WHERE sid = {sid} AND number = 1)"


def _of_kept(column: str) -> str:
    return f"(SELECT kept.{column} FROM kept_responses AS kept WHERE kept.sid = shadows.sid)"


_OWN: Final = "sid, callback_sid, account_sid, source, idempotency_token, url, credentials"
_TOLD: Final = f"{_of_callback('method')}, {_of_callback('body')}"
_APART: Final = ", ".join(
    [
        *(_of_long(column, sid="shadows.sid") for column in ("headers_left_out", "body_left_out")),
        *map(_of_kept, ("head", "body")),
    ]
)
# If the stored first parts of two bodies are equal, the digests show whether the whole bodies are.
_IS_SAME_BODY: Final = (
    "CASE first.response_body = shadows.response_body WHEN 0 THEN 0 WHEN 1 THEN"
    f" {_of_long('digest', sid='shadows.callback_sid')} IS {_of_long('digest', sid='shadows.sid')}"
    " END"
)

# These are subqueries, since `read_page` finds the rows of a page by the columns of one table.
_COMPARED: Final = ", ".join(
    [
        "sid, callback_sid, source, started_us, result, status_code, failure, total_ms",
        *map(_of_callback, ("url", "source")),
        *map(_of_first, ("result", "status_code", "failure", "total_ms")),
        _of_first(_IS_SAME_BODY),
        _of_first(_excerpt("first.response_body")),
        _excerpt("response_body"),
    ]
)


class SqliteShadowCallbacks:
    """Implements `ports.ShadowCallbacks` in SQLite."""

    def __init__(self, session: WriteBatch, responses: SqliteResponseOverflows) -> None:
        self._session = session
        self._responses = responses

    def open(self, shadows: Sequence[ShadowCallback]) -> None:
        for shadow in shadows:
            self._session.queue(_OPENED, _write_opened(shadow))

    def settle(self, shadows: Sequence[ShadowCallback]) -> None:
        for shadow in shadows:
            self._session.touch(shadow.sid)
            answer = self._responses.write(shadow.sid, shadow.attempt, is_last=True)
            head = shadow.attempt.request and shadow.attempt.request.head
            columns = write_attempt(shadow.attempt, head, answer)
            self._session.queue(_SETTLED, (shadow.sid, *columns))
        self._responses.keep_within_budget()

    def left_open(self) -> list[ShadowCallback]:
        rows = self._session.read_queued(
            f"SELECT {_OWN}, 'POST', '', {ATTEMPT_COLUMNS}, NULL, NULL, NULL, NULL FROM shadows"
            " WHERE result = 'open' ORDER BY seq"
        )
        return [_read(row) for row in rows]

    def page(
        self, account_sid: str, which: ShadowCallbackFilter, window: PageWindow
    ) -> RecordPage[ComparedShadow]:
        columns = f"{_OWN}, {_TOLD}, {ATTEMPT_COLUMNS}, {_APART}, {_COMPARED}"
        rows, stopped_at = self._page(columns, account_sid, which, window)
        compared = (ComparedShadow(_read(row), _read_comparison(row)) for row in rows)
        return RecordPage(compared, stopped_at)

    def comparisons(self, account_sid: str, window: PageWindow) -> list[AnswerComparison]:
        rows, _ = self._page(_COMPARED, account_sid, ShadowCallbackFilter(), window)
        return [_read_comparison(row) for row in rows]

    def _page(
        self, columns: str, account_sid: str, which: ShadowCallbackFilter, window: PageWindow
    ) -> tuple[Sequence[sqlite3.Row], str | None]:
        owner, callback = whose(account_sid), ("callback_sid = ?", which.callback_sid)
        found, looked_at = ([owner], []) if which.callback_sid is None else ([callback], [owner])
        listing = SqliteListQuery(
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


def _write_opened(shadow: ShadowCallback) -> Row:
    attempt = shadow.attempt
    return (
        shadow.sid,
        attempt.callback_sid,
        attempt.account_sid,
        shadow.source,
        shadow.idempotency_token,
        shadow.url.shown,
        shadow.url.credentials,
        to_us(attempt.date_started),
        attempt.result,
    )


def _read(row: sqlite3.Row) -> ShadowCallback:
    sid, callback_sid, account_sid, source, token, url, credentials, method, body, *columns = row
    parsed, is_post = read_url(url, credentials, "[]"), method == HttpMethod.POST
    attempt = read_attempt(
        columns,
        of=(callback_sid, account_sid, 1),
        called=parsed if is_post else parsed.with_parameters(body),
        body=body if is_post else "",
    )
    return ShadowCallback(sid, source_named(source), token, parsed, attempt)


def _read_comparison(row: sqlite3.Row) -> AnswerComparison:
    (sid, callback_sid, source, started, result, status_code, failure, total_ms, *rest) = row[-17:]
    first_url, first_source, *first, is_same_body, first_excerpt, excerpt = rest
    return AnswerComparison(
        sid,
        callback_sid,
        first_url,
        from_us(started),
        (source_named(first_source), source_named(source)),
        ComparableResult(*first),
        ComparableResult(result, status_code, failure, total_ms),
        None if is_same_body is None else bool(is_same_body),
        (first_excerpt, excerpt),
    )
