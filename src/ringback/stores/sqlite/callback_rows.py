"""Converts callbacks and attempts to database rows, and back."""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import (
    Attempt,
    CallbackRecord,
    CallbackStatus,
    DeliveryProgress,
    begin,
)
from ringback.core.callbacks.callback_serialization import read_url, write_warnings
from ringback.core.http.http_exchange import (
    ReceiverResponseRecord,
    RequestTimings,
    SentRequestRecord,
)
from ringback.core.policy.source_policy import source_named
from ringback.stores.sqlite.field_columns import from_us, maybe_from_us, maybe_to_us, to_us
from ringback.stores.sqlite.write_batch import Row

_FIXED: Final = (
    "sid, account_sid, url, credentials, warnings, method, body, source, source_asked,"
    " source_reason, idempotency_token, idempotency_key, replay_of, is_test, secret_id, created_us"
)
PROGRESS_COLUMNS: Final = (
    "status, status_reason, attempt_count, due_us, round_attempts, round_began_us, round_number,"
    " updated_us"
)
"""The columns of a callback that can change; `write_progress` returns their values."""
NEW_COLUMNS: Final = f"destination, {_FIXED}, {PROGRESS_COLUMNS}"
"""The columns of a new callback; `write_callback` returns their values."""
COLUMNS: Final = f"{_FIXED}, {PROGRESS_COLUMNS}, started_us"
"""The columns that `read_callback` needs, of a callback and of its attempt under way."""
OUTCOME_COLUMNS: Final = (
    "started_us, result, status_code, error_code, failure, reason, total_ms, look_up_ms,"
    " connect_ms, tls_ms, first_byte_ms"
)
"""The columns that `read_outcome` needs."""
ATTEMPT_COLUMNS: Final = (
    f"{OUTCOME_COLUMNS}, local_address, proxy, request_head, response_head, response_body,"
    " response_is_cut"
)
"""The columns of an attempt; `write_attempt` returns their values."""
_LONG_HEAD: Final = 2048
_STATUSES: Final = {status.value: status for status in CallbackStatus}
_METHODS: Final = {method.value: method for method in HttpMethod}


def write_callback(callback: CallbackRecord) -> Row:
    """Return a new callback's row: the values of `NEW_COLUMNS`."""
    # Converted by hand and not with a `RowMapping`, which is slower: every callback passes here.
    url = callback.url
    return (
        url.destination,
        callback.sid,
        callback.account_sid,
        url.shown,
        url.credentials,
        write_warnings(url),
        callback.method,
        callback.body,
        callback.source,
        callback.source_asked,
        callback.source_reason,
        callback.idempotency_token,
        callback.idempotency_key,
        callback.replay_of,
        callback.is_test,
        callback.secret_id,
        to_us(callback.date_created),
        *write_progress(callback.progress),
    )


def write_progress(progress: DeliveryProgress) -> Row:
    """Return the delivery progress as the values of `PROGRESS_COLUMNS`."""
    return (
        progress.status,
        progress.status_reason,
        progress.attempt_count,
        maybe_to_us(progress.due),
        progress.round_attempts,
        maybe_to_us(progress.round_began),
        progress.round_number,
        to_us(progress.date_updated),
    )


def read_callback(row: sqlite3.Row) -> CallbackRecord:
    """Return the callback in a row of `COLUMNS`, including an attempt under way."""
    sid, account_sid, url, credentials, warnings, method, body, *rest = row
    source, source_asked, source_reason, token, key, replay_of, *rest = rest
    is_test, secret_id, created, status, status_reason, attempt_count, due, *rest = rest
    round_attempts, began, number, updated, started, *_ = rest
    progress = DeliveryProgress(
        from_us(updated),
        _STATUSES[status],
        status_reason,
        attempt_count,
        maybe_from_us(due),
        round_attempts,
        maybe_from_us(began),
        number,
    )
    parsed = read_url(url, credentials, warnings)
    if started is not None and due is not None:
        limit = parsed.connection.total_timeout
        progress = begin(progress, from_us(started), total_timeout=limit)
    return CallbackRecord(
        sid,
        account_sid,
        parsed,
        _METHODS[method],
        body,
        source_named(source),
        source_asked and source_named(source_asked),
        source_reason,
        token,
        from_us(created),
        progress,
        key,
        replay_of,
        bool(is_test),
        secret_id,
    )


def write_attempt(attempt: Attempt, head: str | None, answer: Row) -> Row:
    """Return the values of `ATTEMPT_COLUMNS`: those of `attempt`, with this head and answer.

    `head` is the request line and headers of the sent request.
    """
    timings: RequestTimings | tuple[None, ...] = attempt.timings or (None,) * 5
    return (
        to_us(attempt.date_started),
        attempt.result,
        attempt.status_code,
        attempt.error_code,
        attempt.failure,
        attempt.reason,
        *timings,
        attempt.local_address,
        attempt.proxy,
        head,
        *answer,
    )


def write_request_head(request: SentRequestRecord, callback: CallbackRecord) -> str:
    """Return the request line and headers as text, without the target if the text is long.

    The target of a GET contains all parameters, so it is not stored again for each attempt:
    `read_attempt` takes a missing target from the callback.
    """
    head = request.head
    if len(head) <= _LONG_HEAD:
        return head
    line = _line(request.method, callback.called.target)
    return head.replace(line, _line(request.method, ""), 1) if head.startswith(line) else head


def _line(method: str, target: str) -> str:
    return f"{method} {target} HTTP/1.1"


def write_response_head(response: ReceiverResponseRecord) -> str:
    """Return the status and the headers of an answer as text for the column `response_head`."""
    return "\n".join([str(response.status), *map(": ".join, response.headers)])


def write_headers(rest: ReceiverResponseRecord) -> str:
    """Return headers as text, one per line, for the separately stored part of a long answer."""
    return "\n".join(map(": ".join, rest.headers))


def read_attempt(
    columns: Sequence[Any], *, of: tuple[str, str, int], called: CallbackUrl, body: str
) -> Attempt:
    """Return the attempt in these columns: `ATTEMPT_COLUMNS`, and four more for a long answer.

    `of` is the callback SID, the account SID and the number of the attempt. `called` and `body`
    come from the callback. For the last four columns, see `read_response`.
    """
    local_address, proxy, head, *answer = columns[11:21]
    return read_outcome(columns[:11], of=of)._replace(
        local_address=local_address,
        proxy=proxy,
        request=None if head is None else _read_request(head, called, body),
        response=read_response(answer),
    )


def read_outcome(columns: Sequence[Any], *, of: tuple[str, str, int]) -> Attempt:
    """Return the attempt of `OUTCOME_COLUMNS`, without its request and answer."""
    started, result, status_code, error_code, failure, reason, *timings = columns
    return Attempt(
        *of,
        from_us(started),
        result,
        status_code,
        error_code,
        failure,
        reason,
        None if timings[0] is None else RequestTimings(*timings),
    )


def _read_request(head: str, called: CallbackUrl, body: str) -> SentRequestRecord:
    method = head.partition(" ")[0]
    if head.startswith(_line(method, "")):
        head = head.replace(_line(method, ""), _line(method, called.target), 1)
    return SentRequestRecord(method, called.wire, head, body)


def read_response(columns: Sequence[Any]) -> ReceiverResponseRecord | None:
    """Return the answer in these columns, or None if there was no answer.

    The columns are:

    - `response_head`, `response_body` and `response_is_cut`;
    - how many headers and body bytes are missing from these; None unless the answer is long;
    - the missing headers and the rest of the body; None if they are not stored.
    """
    head, body, is_cut, headers_left_out, body_left_out, more_headers, more_body = columns
    if head is None:
        return None
    status, *lines = head.split("\n")
    if more_body is not None:
        lines += more_headers.split("\n") if more_headers else []
        body += more_body
        headers_left_out = body_left_out = None
    pairs = (line.partition(": ") for line in lines)
    headers = tuple((name, value) for name, _, value in pairs)
    return ReceiverResponseRecord(
        int(status), headers, body, bool(is_cut), headers_left_out or 0, body_left_out or 0
    )
