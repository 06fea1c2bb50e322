"""Converts callbacks and attempts to database rows, and back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import (
    Attempt,
    CallbackRecord,
    CallbackStatus,
    DeliveryProgress,
    StreamBatch,
    under_way,
)
from ringback.core.callbacks.callback_serialization import read_url, write_warnings
from ringback.core.http.http_exchange import (
    HeadTemplate,
    ReceiverResponseRecord,
    RequestTimings,
    SentRequestRecord,
)
from ringback.core.http.outcome import Outcome, code_of, describe, failure_of, status_of
from ringback.core.policy.source_policy import Source, SourceName, source_named
from ringback.core.streams.event_references import EventsByNumber, body_of_references
from ringback.core.streams.stream_retries import STREAM_RETRIES, stream_code_of
from ringback.stores.sql.field_columns import from_us, maybe_from_us, maybe_to_us, to_us
from ringback.stores.sql.write_batch import Row, SqlRow

STATUSES: Final = tuple(CallbackStatus)
"""The statuses of callbacks, in the order of their numbers in the database."""
NUMBERS: Final = {status: number for number, status in enumerate(STATUSES)}
"""The numbers of the statuses in the database."""

TARGET_COLUMNS: Final = (
    "url, credentials, warnings, method, source, source_asked, source_reason, event, is_test,"
    " secret_id, created_by, stream_sid"
)
"""The columns of what many callbacks of an account have in common."""
NEW_COLUMNS: Final = (
    "id, sid, account_id, lane_id, target_id, created_us, idempotency_token, idempotency_key,"
    " sim_sid, replay_of, order_key, body"
)
"""The columns of a new callback; `write_callback` returns their values."""
WAITING_COLUMNS: Final = (
    "lane_id, due_us, id, account_id, started_us, is_appointed, attempt_count, round_attempts,"
    " round_number, round_began_us, updated_us"
)
"""The columns of a callback that has not ended; `write_waiting` returns their values."""
BLOCKED_COLUMNS: Final = "order_key, order_place, own_due_us"
"""The further columns of one that waits for others of its order key."""
OUTCOME_COLUMNS: Final = (
    "id, account_id, status, status_reason, attempt_count, round_number, updated_us"
)
"""The columns of a callback that has ended; `write_outcome` returns their values."""
BEGUN: Final = 2**63 - 1
"""The `due_us` of a callback in `waiting` whose attempt under way was not begun by a claim."""
BLOCKED: Final = to_us(datetime.max.replace(tzinfo=UTC))
"""The `due_us` of a callback in `waiting` that another one of its order key has to end before.

It is a time that never comes, and not a number without one: servers of the version before, which
may share the database, make a time of it.
"""
BODY: Final = "coalesce(body, (SELECT bodies.body FROM bodies WHERE bodies.id = body_id))"
"""A callback's parameters: its own or, if it has none, those that it shares with others."""
_OWN: Final = (
    "callbacks.id, sid, target_id, created_us, idempotency_token, idempotency_key, sim_sid,"
    f" replay_of, {BODY}, callbacks.order_key, callbacks.lane_id"
)
_PROGRESS: Final = (
    "waiting.due_us, waiting.started_us, waiting.attempt_count, waiting.round_attempts,"
    " waiting.round_number, waiting.round_began_us, waiting.updated_us"
)
WAITING: Final = f"{_OWN}, {_PROGRESS}"
"""The columns that `read_callback` needs of a callback that waits."""


@dataclass(frozen=True, slots=True)
class UnendedCallbacks:
    """Where a database stores the callbacks that have not ended, as parts of queries."""

    joined: str
    """The joins that follow `callbacks`, to a table `waiting`, or what looks like it."""
    beside: str
    """The table of further callbacks that have not ended, with their ids and accounts."""
    is_unended: str
    """The condition that a callback has not ended."""
    begun_at_once: str
    """When the first attempt of a callback began that is not in `waiting`; NULL if all are."""
    first_attempts: str
    """The condition that a row of `beside` is about a callback's first attempt."""
    in_lane: str
    """The condition that a row of `waiting` is in the lane of `lanes`."""
    waits_in_lane: str
    """The condition that a row of `waiting` is in the lane of `lanes`, and not being sent."""

    @property
    def states(self) -> str:
        """Follows `callbacks` in a query: the rows that say what has become of a callback."""
        return (
            f"{self.joined} LEFT JOIN outcomes ON outcomes.id = callbacks.id"
            " LEFT JOIN attempts AS first ON first.callback_id = callbacks.id AND first.number = 1"
        )

    @property
    def columns(self) -> str:
        """The columns that `read_callback` needs, from `callbacks` and the tables in `states`."""
        own = "coalesce(waiting.own_due_us, waiting.due_us)"
        waiting = WAITING.replace("waiting.due_us", own)
        return (
            f"{waiting}, outcomes.status, outcomes.status_reason, outcomes.attempt_count,"
            f" outcomes.round_number, outcomes.updated_us, {self.begun_at_once}, first.delivered_us"
        )

    @property
    def status(self) -> str:
        """The number of a callback's status, from the tables in `states`."""
        return f"(CASE WHEN {self.is_unended} THEN 0 ELSE coalesce(outcomes.status, 1) END)"


RESULT_COLUMNS: Final = (
    "result, status_code, error_code, failure, reason, local_address, proxy, response_head,"
    " response_is_cut"
)
"""The columns of how an attempt ended, which many attempts have in common."""
ENDED_COLUMNS: Final = (
    "started_us, result, status_code, error_code, failure, reason, total_ms, look_up_ms,"
    " connect_ms, tls_ms, first_byte_ms"
)
"""The columns that `read_outcome` needs."""
ATTEMPT_COLUMNS: Final = (
    "callback_id, number, started_us, result_id, head_id, signature, sent_us, delivered_us,"
    " total_ms, look_up_ms, connect_ms, tls_ms, first_byte_ms"
)
"""The columns of an attempt."""
_METHODS: Final = {method.value: method for method in HttpMethod}


class StoredTarget(NamedTuple):
    """What many callbacks of an account have in common, as a row of `callback_targets` has it."""

    account_sid: str
    url: CallbackUrl
    method: HttpMethod
    source: SourceName
    source_asked: SourceName | None
    source_reason: str
    event: str | None
    is_test: bool
    secret_id: str | None
    created_by: str | None
    stream_sid: str | None


def write_target(callback: CallbackRecord) -> Row:
    """Return the values of `TARGET_COLUMNS`."""
    url, method, _, source, asked, reason = callback[2:8]
    is_test, secret_id, event, _, by, _, _, stream = callback[13:]
    shown = url.shown, url.credentials, write_warnings(url)
    stream_sid = None if stream is None else stream.stream_sid
    return (*shown, method, source, asked, reason, event, is_test, secret_id, by, stream_sid)


def read_target(row: Sequence[Any]) -> StoredTarget:
    """Return the target in a row of an account's SID and `TARGET_COLUMNS`."""
    account_sid, *shown, method, source, asked, reason, event, is_test, secret_id, by, stream = row
    sources, url = (source_named(source), asked and source_named(asked)), read_url(*shown)
    if stream is not None:
        url = url.of_stream(STREAM_RETRIES[source].connection)
    sent = url, _METHODS[method], *sources
    return StoredTarget(account_sid, *sent, reason, event, bool(is_test), secret_id, by, stream)


def write_callback(
    callback: CallbackRecord, row_id: int, account_id: int | None, lane_id: int, target_id: int
) -> Row:
    """Return a new callback's row: the values of `NEW_COLUMNS`."""
    sid, body, token, created = callback[0], callback[4], callback[8], callback[9]
    key, replay_of, sim_sid = callback[11], callback[12], callback[16]
    order_key, stream = callback[18], callback[20]
    if stream is not None and stream.references:
        body = stream.references
    own = row_id, sid, account_id, lane_id, target_id, to_us(created)
    return (*own, token, key, sim_sid, replay_of, order_key, body)


def write_waiting(
    progress: DeliveryProgress,
    row_id: int,
    account_id: int | None,
    lane_id: int,
    *,
    is_appointed: bool = False,
) -> Row:
    """Return the values of `WAITING_COLUMNS` for a callback that has not ended."""
    when, _, _, attempts, due, round_attempts, began, number = progress
    updated = to_us(when)
    due_us, started = (BEGUN, updated) if due is None else (to_us(due), None)
    own = lane_id, due_us, row_id, account_id, started, is_appointed
    return (*own, attempts, round_attempts, number, maybe_to_us(began), updated)


def write_outcome(progress: DeliveryProgress, row_id: int, account_id: int | None) -> Row:
    """Return the values of `OUTCOME_COLUMNS` for a callback that has ended."""
    when, status, why, attempts, _, _, _, number = progress
    return row_id, account_id, NUMBERS[status], why, attempts, number, to_us(when)


def read_callback(
    row: SqlRow,
    target: StoredTarget,
    part: str,
    events: EventsByNumber,
    claimed: datetime | None = None,
) -> CallbackRecord:
    """Return the callback in a row of its columns, including an attempt under way.

    `part` is the path pattern of its lane. `events` looks the events of a batch up. `claimed` is
    when an attempt begins that is not in the row yet; None if none does.
    """
    # Without stars, which would make a list of each part: every callback passes here.
    _, sid, _, created, token, key, sim_sid, replay_of, body, order_key = row[:10]
    due, started, attempts, round_attempts, number, began, updated = row[11:18]
    account_sid, url, method, source, asked, reason, event, is_test, secret_id, by, stream_sid = (
        target
    )
    stream = None
    if stream_sid is not None:
        stream = StreamBatch(stream_sid, "" if is_test else body)
        if stream.references:
            body = body_of_references(body, Source(source), events)
    if attempts is None:
        progress = _read_end(row[18:], url)
    elif claimed is not None or (started is not None and due != BEGUN):
        now, round_began = claimed or from_us(started), maybe_from_us(began)
        limit = url.connection.total_timeout
        progress = under_way(
            now, attempts, round_attempts, round_began, number, total_timeout=limit
        )
    else:
        waits = (
            from_us(updated),
            CallbackStatus.SCHEDULED,
            None,
            attempts,
            None if due == BEGUN else from_us(due),
        )
        progress = DeliveryProgress(*waits, round_attempts, maybe_from_us(began), number)
    sent = sid, account_sid, url, method, body, source, asked, reason, token, from_us(created)
    seen = is_test, secret_id, event, sim_sid, by
    return CallbackRecord(*sent, progress, key, replay_of, *seen, order_key, part, stream)


def _read_end(columns: Sequence[Any], url: CallbackUrl) -> DeliveryProgress:
    """Return the progress of a callback that does not wait: it is being sent, or has ended."""
    status, why, attempts, number, updated, begun, delivered = columns
    if status is not None:
        return DeliveryProgress(
            from_us(updated), STATUSES[status], why, attempts, round_number=number
        )
    if begun is not None:
        return under_way(from_us(begun), 0, 0, None, 0, total_timeout=url.connection.total_timeout)
    return DeliveryProgress(from_us(delivered), CallbackStatus.DELIVERED, None, 1)


def write_result(
    outcome: Outcome,
    response: ReceiverResponseRecord | None,
    local_address: str | None,
    proxy: str | None,
    *,
    is_stream: bool,
) -> Row:
    """Return the values of `RESULT_COLUMNS`; event streams have error codes of their own."""
    code = stream_code_of(outcome) if is_stream else code_of(outcome)
    codes = status_of(outcome), code, failure_of(outcome)
    head = None if response is None else write_response_head(response)
    is_cut = response is not None and response.is_cut
    return outcome.label, *codes, describe(outcome), local_address, proxy, head, is_cut


def write_response_head(response: ReceiverResponseRecord) -> str:
    """Return the status and the headers of an answer as text for the column `response_head`."""
    return "\n".join([str(response.status), *map(": ".join, response.headers)])


def write_headers(rest: ReceiverResponseRecord) -> str:
    """Return headers as text, one per line, for the separately stored part of a long answer."""
    return "\n".join(map(": ".join, rest.headers))


def read_outcome(columns: Sequence[Any], *, of: tuple[str, str, int]) -> Attempt:
    """Return the attempt of `ENDED_COLUMNS`, without its request and answer.

    `of` is the callback SID, the account SID and the number of the attempt.
    """
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


def read_request(
    head: str | None, signature: str | None, sent_us: int | None, of: CallbackRecord
) -> SentRequestRecord | None:
    """Return the request of an attempt, from the head with placeholders and what filled them."""
    if head is None:
        return None
    called, body = of.called, of.sent_body
    text = HeadTemplate(head).fill(
        called.target,
        len(body.encode()),
        of.idempotency_token,
        signature or "",
        from_us(sent_us or 0),
    )
    return SentRequestRecord(of.method, called.wire, text, body)


def read_response(columns: Sequence[Any]) -> ReceiverResponseRecord | None:
    """Return the answer in these columns, or None if there was no answer.

    The columns are:

    - `response_head`, `response_body`, which is None if it is empty, and `response_is_cut`;
    - how many headers and body bytes are missing from these; None unless the answer is long;
    - the missing headers and the rest of the body; None if they are not stored.
    """
    head, body, is_cut, headers_left_out, body_left_out, more_headers, more_body = columns
    if head is None:
        return None
    status, *lines = head.split("\n")
    body = body or b""
    if more_body is not None:
        lines += more_headers.split("\n") if more_headers else []
        body += more_body
        headers_left_out = body_left_out = None
    pairs = (line.partition(": ") for line in lines)
    headers = tuple((name, value) for name, _, value in pairs)
    return ReceiverResponseRecord(
        int(status), headers, body, bool(is_cut), headers_left_out or 0, body_left_out or 0
    )
