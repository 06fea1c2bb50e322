"""Callbacks and attempts in SQLite.

A callback with an attempt under way has no due time, so that nobody claims it again. One process
owns the file: after a start, every attempt that is still open was a dead process's.
"""

import json
import sqlite3
from datetime import datetime
from typing import Any

from ringback.core.callback import (
    Attempt,
    Callback,
    CallbackStatus,
    Method,
    RecordedRequest,
    RecordedResponse,
    begin_attempt,
)
from ringback.core.source import Source
from ringback.ports import CallbackFilter, Claim, Window
from ringback.stores.sqlite.accounts import read_account
from ringback.stores.sqlite.columns import (
    from_us,
    maybe_from_us,
    maybe_to_us,
    read_url,
    to_us,
    write_warnings,
)
from ringback.stores.sqlite.pages import read_page


class SqliteCallbacks:
    """Answers `ports.Callbacks`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, callback: Callback) -> None:
        self._connection.execute(
            "INSERT INTO callbacks (sid, account_sid, url, credentials, warnings, method, body,"
            " source, source_asked, source_reason, idempotency_token, status, status_reason,"
            " attempt_count, due_us, round_attempts, round_began_us, created_us, updated_us)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                callback.sid,
                callback.account_sid,
                callback.url.shown,
                callback.url.credentials,
                write_warnings(callback.url),
                callback.method,
                callback.body,
                callback.source,
                callback.source_asked,
                callback.source_reason,
                callback.idempotency_token,
                callback.status,
                callback.status_reason,
                callback.attempt_count,
                maybe_to_us(callback.due),
                callback.round_attempts,
                maybe_to_us(callback.round_began),
                to_us(callback.date_created),
                to_us(callback.date_updated),
            ),
        )

    def get(self, account_sid: str, sid: str) -> Callback | None:
        row = self._connection.execute(
            "SELECT * FROM callbacks WHERE account_sid = ? AND sid = ?", (account_sid, sid)
        ).fetchone()
        return row and _read_callback(row)

    def page(self, account_sid: str, which: CallbackFilter, window: Window) -> list[Callback]:
        conditions = (
            ("status = ?", which.status),
            ("source = ?", which.source),
            ("idempotency_token = ?", which.idempotency_token),
        )
        rows = read_page(self._connection, "callbacks", account_sid, conditions, window)
        return [_read_callback(row) for row in rows]

    def attempts(self, callback_sid: str) -> list[Attempt]:
        rows = self._connection.execute(
            "SELECT * FROM attempts WHERE callback_sid = ? ORDER BY number", [callback_sid]
        )
        return [_read_attempt(row) for row in rows]

    def claim(self, now: datetime, *, limit: int) -> list[Claim]:
        rows = self._connection.execute(
            "SELECT * FROM callbacks WHERE due_us <= ? ORDER BY due_us, seq LIMIT ?",
            (to_us(now), limit),
        ).fetchall()
        return [self._begin(_read_callback(row), now) for row in rows]

    def _begin(self, callback: Callback, now: datetime) -> Claim:
        begun, attempt = begin_attempt(callback, now)
        self._save(begun)
        self._connection.execute(
            "INSERT INTO attempts (callback_sid, account_sid, number, started_us, result)"
            " VALUES (?, ?, ?, ?, ?)",
            (attempt.callback_sid, attempt.account_sid, attempt.number, to_us(now), attempt.result),
        )
        account = self._connection.execute(
            "SELECT * FROM accounts WHERE sid = ?", [callback.account_sid]
        ).fetchone()
        return Claim(begun, attempt, read_account(account))

    def settle(self, callback: Callback, attempt: Attempt) -> None:
        self._save(callback)
        response = attempt.response
        self._connection.execute(
            "UPDATE attempts SET result = ?, status_code = ?, error_code = ?, failure = ?,"
            " reason = ?, duration_ms = ?, request = ?, response = ?, response_body = ?"
            " WHERE callback_sid = ? AND number = ?",
            (
                attempt.result,
                attempt.status_code,
                attempt.error_code,
                attempt.failure,
                attempt.reason,
                attempt.duration_ms,
                _write_request(attempt.request),
                _write_response(response),
                response and response.body,
                attempt.callback_sid,
                attempt.number,
            ),
        )

    def left_open(self) -> list[tuple[Callback, Attempt]]:
        rows = self._connection.execute("SELECT * FROM attempts WHERE result = 'open'").fetchall()
        attempts = [_read_attempt(row) for row in rows]
        return [(self._callback_of(attempt), attempt) for attempt in attempts]

    def next_due(self) -> datetime | None:
        row = self._connection.execute(
            "SELECT min(due_us) AS due_us FROM callbacks WHERE due_us IS NOT NULL"
        ).fetchone()
        return maybe_from_us(row["due_us"])

    def _callback_of(self, attempt: Attempt) -> Callback:
        row = self._connection.execute(
            "SELECT * FROM callbacks WHERE sid = ?", [attempt.callback_sid]
        ).fetchone()
        return _read_callback(row)

    def _save(self, callback: Callback) -> None:
        self._connection.execute(
            "UPDATE callbacks SET status = ?, status_reason = ?, attempt_count = ?, due_us = ?,"
            " round_attempts = ?, round_began_us = ?, updated_us = ? WHERE sid = ?",
            (
                callback.status,
                callback.status_reason,
                callback.attempt_count,
                maybe_to_us(callback.due),
                callback.round_attempts,
                maybe_to_us(callback.round_began),
                to_us(callback.date_updated),
                callback.sid,
            ),
        )


def _read_callback(row: sqlite3.Row) -> Callback:
    asked = row["source_asked"]
    return Callback(
        sid=row["sid"],
        account_sid=row["account_sid"],
        url=read_url(row["url"], row["credentials"], row["warnings"]),
        method=Method(row["method"]),
        body=row["body"],
        source=Source(row["source"]),
        source_asked=asked and Source(asked),
        source_reason=row["source_reason"],
        idempotency_token=row["idempotency_token"],
        date_created=from_us(row["created_us"]),
        date_updated=from_us(row["updated_us"]),
        status=CallbackStatus(row["status"]),
        status_reason=row["status_reason"],
        attempt_count=row["attempt_count"],
        due=maybe_from_us(row["due_us"]),
        round_attempts=row["round_attempts"],
        round_began=maybe_from_us(row["round_began_us"]),
    )


def _read_attempt(row: sqlite3.Row) -> Attempt:
    return Attempt(
        callback_sid=row["callback_sid"],
        account_sid=row["account_sid"],
        number=row["number"],
        date_started=from_us(row["started_us"]),
        result=row["result"],
        status_code=row["status_code"],
        error_code=row["error_code"],
        failure=row["failure"],
        reason=row["reason"],
        duration_ms=row["duration_ms"],
        request=_read_request(row["request"]),
        response=_read_response(row["response"], row["response_body"]),
    )


def _write_request(request: RecordedRequest | None) -> str | None:
    if request is None:
        return None
    return json.dumps([request.method, request.url, request.headers, request.body])


def _read_request(text: str | None) -> RecordedRequest | None:
    if text is None:
        return None
    method, url, headers, body = json.loads(text)
    return RecordedRequest(method, url, _read_headers(headers), body)


def _write_response(response: RecordedResponse | None) -> str | None:
    if response is None:
        return None
    return json.dumps([response.status, response.headers, response.is_cut])


def _read_response(text: str | None, body: bytes | None) -> RecordedResponse | None:
    if text is None:
        return None
    status, headers, is_cut = json.loads(text)
    return RecordedResponse(status, _read_headers(headers), body or b"", is_cut)


def _read_headers(pairs: Any) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in pairs)
