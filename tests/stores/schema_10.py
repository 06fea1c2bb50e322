"""A data file with schema 10 that has all kinds of rows, and a reader for its callbacks.

The reader knows only the columns of schema 10: what it returns is what a newer version has to read
after an upgrade.
"""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import (
    FORGED,
    Attempt,
    CallbackRecord,
    CallbackStatus,
    DeliveryProgress,
    begin,
)
from ringback.core.callbacks.callback_serialization import read_url, write_new, write_warnings
from ringback.core.callbacks.rendering import render
from ringback.core.events.event_kinds import TEST_EVENT, event_and_sim
from ringback.core.http.http_exchange import (
    ReceiverResponseRecord,
    RequestTimings,
    SentRequestRecord,
)
from ringback.core.policy.source_policy import Source, source_named
from ringback.core.sources.source_definition import (
    BUILT_IN,
    SIGNATURE_SCHEMES,
    CallbackSourceDefinition,
    HeaderTemplate,
)
from ringback.stores.sql.field_columns import from_us, maybe_from_us, maybe_to_us, to_us
from tests.fakes import NOW
from tests.stores.old_files import insert, insert_many, write_old_file
from tests.stores.records import ODD_INSTANT, ODD_URL, OURS, SECOND, THEIRS, account, callback, sim

DELIVERED, FAILED = CallbackStatus.DELIVERED, CallbackStatus.FAILED
NUMBER: Final = 77
"""The number of the last commit to the file."""
_LONG: Final = bytes(range(256)) * 20
"""The body of an answer from before only the first part of an answer was stored."""
_STANDARD: Final = source_named("standard")
_SOURCES: Final = {
    **BUILT_IN,
    _STANDARD: CallbackSourceDefinition(
        tuple(
            map(
                HeaderTemplate.parse,
                (
                    *("Host: {host}", "webhook-id: {token}", "webhook-timestamp: {timestamp}"),
                    *("webhook-signature: {signature}", "Content-Length: {length}"),
                ),
            )
        ),
        SIGNATURE_SCHEMES["standard-webhooks"],
        BUILT_IN[Source.KORE].token,
    ),
}
_LONG_HEAD: Final = 2048


class OldCallback(NamedTuple):
    """A callback as schema 10 has it."""

    record: CallbackRecord
    """With the progress from before the attempt under way, if a claim wrote only that attempt."""
    started_us: int | None = None
    """When the attempt under way began."""
    attempts: tuple[dict[str, Any], ...] = ()
    """The columns of the ended attempts."""


def write_rich_file(path: Path) -> Path:
    """Make a file with schema 10 that has all kinds of rows."""
    path.write_bytes(_rich_file())
    return path


@cache
def _rich_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = write_old_file(Path(folder) / "ringback.db", schema=10)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(
                "INSERT INTO accounts SELECT ?, 'Another', auth_token, 1, created_us, NULL, ?,"
                " 'other', NULL, 'active', 3 FROM accounts",
                (THEIRS, OURS),
            )
            connection.execute(f"PRAGMA application_id = {NUMBER}")
        for one in old_callbacks():
            _insert_callback(path, one)
        _insert_others(path)
        return path.read_bytes()


def read_rich_file(path: Path) -> list[tuple[CallbackRecord, list[Attempt]]]:
    """Return all callbacks in a file with schema 10, in order, with their attempts."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        rows = connection.execute(
            "SELECT * FROM callbacks LEFT JOIN open_attempts ON callback_sid = sid ORDER BY seq"
        ).fetchall()
        return [_read_with_attempts(connection, row) for row in rows]


def old_callbacks() -> Iterator[OldCallback]:
    """Yield callbacks of all kinds, in the order in which they were added."""
    number = 0

    def new(**changed: Any) -> CallbackRecord:
        nonlocal number
        number += 1
        return callback(number)._replace(**changed)

    def waiting(**progress: Any) -> DeliveryProgress:
        return DeliveryProgress(NOW, due=NOW)._replace(**progress)

    later = NOW + timedelta(hours=1)
    # In the order of a clock that was set back, and of one far ahead.
    yield OldCallback(new(date_created=NOW + 9 * SECOND, progress=waiting()))
    yield OldCallback(new())
    yield OldCallback(new(date_created=NOW + timedelta(days=365_000)))
    yield OldCallback(new(progress=waiting(due=later)))
    yield OldCallback(new(progress=waiting(due=later, date_updated=NOW + SECOND)))
    yield OldCallback(new(account_sid=THEIRS, idempotency_key="key", url=ODD_URL, body="Ä=✓&x=%0A"))
    retry = waiting(attempt_count=2, due=later, round_attempts=2, round_began=ODD_INSTANT)
    yield OldCallback(new(progress=retry), None, (_refused(1), _refused(2)))
    yield OldCallback(new(idempotency_key="key", progress=retry), to_us(later), (_refused(1),))
    under_way = retry._replace(due=None, attempt_count=1, round_number=4, date_updated=later)
    yield OldCallback(new(progress=under_way), to_us(later))
    ended = DeliveryProgress(later, FAILED, "the receiver answered 410 Gone", 7, round_number=3)
    yield OldCallback(new(progress=ended, replay_of=callback(1).sid))
    discarded = ended._replace(status=CallbackStatus.DISCARDED, status_reason=None)
    yield OldCallback(new(progress=discarded, source_asked=None))
    done = DeliveryProgress(later, DELIVERED, attempt_count=1)
    test = {"is_test": True, "body": '{"a": 1}', "progress": done}
    for source in (Source.TWILIO, Source.KORE, _STANDARD):
        for method in HttpMethod:
            for url in (callback(1).url, ODD_URL, CallbackUrl.parse("https://a.example")):
                yield _sent(new(source=source, method=method, url=url, progress=done))
                yield _sent(new(source=source, method=method, url=url, body="", progress=done))
            for body in ("A=" + "long" * 999, "AccountSid=ä"):
                yield _sent(new(source=source, method=method, body=body, progress=done))
        yield _sent(new(source=source, account_sid=THEIRS, progress=done))
    for method in HttpMethod:
        yield _sent(new(method=method, secret_id=FORGED, **test))
    yield _sent(new(url=CallbackUrl.parse(f"https://a.example/{'p' * 3000}"), progress=done))
    heads = (
        *("POST /path?foo=bar HTTP/1.1\r\nX: \x01\x02\x03\x04\x05\x06", "", "nothing", "\x04"),
        "POST /another HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\nKore-Signature: ",
        "POST /path?foo=bar HTTP/1.1\r\nDate: Tue, 15 Oct 2024\r\nX-Twilio-Signature: a b\r\nX: y",
        "POST /path?foo=bar HTTP/1.1\r\nDate: 2024-07-03T14:40:58.5Z\r\nKore-Signature: 1\nDate: ",
        "POST /path?foo=bar HTTP/1.1\r\nDate: 2024-07-03\r\nContent-Length: ",
    )
    for head in heads:
        attempt = _ended(1, request_head=head)
        yield OldCallback(new(progress=done, idempotency_token=""), None, (attempt,))
    answers = (
        {"response_head": "204", "response_body": b""},
        {"response_head": "200\nX: a: b\nX: ", "response_body": _LONG, "response_is_cut": 1},
        {"response_head": "200\nX: y", "response_body": b"first part"},
    )
    for answer in answers:
        yield OldCallback(new(progress=done), None, (_ended(1, **answer),))


def _sent(one: CallbackRecord) -> OldCallback:
    """Return a delivered callback with the request that a server sent."""
    owner = replace(account(one.account_sid), uses_static_proxy=one.account_sid == THEIRS)
    head = render(one, account=owner, at=ODD_INSTANT, sources=_SOURCES).recorded().head
    target = f"{one.method} {one.called.target} "
    if len(head) > _LONG_HEAD:
        head = head.replace(target, f"{one.method}  ", 1)
    timings = {"total_ms": 4.5, "look_up_ms": 0.25, "first_byte_ms": 3.0}
    return OldCallback(one, None, (_ended(1, request_head=head, **timings),))


def _ended(number: int, **changed: Any) -> dict[str, Any]:
    given = {
        "number": number,
        "started_us": to_us(ODD_INSTANT),
        "result": "delivered",
        "status_code": 200,
        "reason": "the receiver answered 200 OK",
        "local_address": "127.0.0.1",
        "response_is_cut": 0,
    }
    return given | changed


def _refused(number: int) -> dict[str, Any]:
    why = {"status_code": None, "error_code": 11205, "failure": "closed", "reason": "«closed»"}
    return _ended(number, result="refused", proxy="http://proxy:3128", tls_ms=1.5, **why)


def _insert_callback(path: Path, one: OldCallback) -> None:
    record, progress = one.record, one.record.progress
    insert(
        path,
        "callbacks",
        sid=record.sid,
        account_sid=record.account_sid,
        destination=record.url.destination,
        url=record.url.shown,
        credentials=record.url.credentials,
        warnings=write_warnings(record.url),
        method=record.method,
        body=record.body,
        source=record.source,
        source_asked=record.source_asked,
        source_reason=record.source_reason,
        idempotency_token=record.idempotency_token,
        idempotency_key=record.idempotency_key,
        replay_of=record.replay_of,
        is_test=record.is_test,
        secret_id=record.secret_id,
        created_us=to_us(record.date_created),
        status=progress.status,
        status_reason=progress.status_reason,
        attempt_count=progress.attempt_count,
        due_us=maybe_to_us(progress.due),
        round_attempts=progress.round_attempts,
        round_began_us=maybe_to_us(progress.round_began),
        round_number=progress.round_number,
        updated_us=to_us(progress.date_updated),
    )
    for attempt in one.attempts:
        insert(path, "attempts", callback_sid=record.sid, **attempt)
    if one.started_us is not None:
        number = progress.attempt_count + (progress.due is not None)
        told = {"callback_sid": record.sid, "number": number, "started_us": one.started_us}
        insert(path, "open_attempts", **told)


def _insert_others(path: Path) -> None:
    last = list(old_callbacks())[-1].record.sid
    long = {"sid": last, "number": 1}
    insert(path, "long_responses", **long, headers_left_out=2, body_left_out=3, digest=b"digest")
    kept = {"account_sid": OURS, "started_us": to_us(NOW), "size": 1024}
    insert(path, "kept_responses", **long, **kept, head="Y: z\nY: ", body=b"and the rest")
    for number, result in enumerate(("open", "delivered"), 1):
        insert(
            path,
            "shadows",
            sid=f"SH{number}",
            callback_sid=last,
            account_sid=OURS,
            source="twilio",
            idempotency_token="token",
            url="http://127.0.0.1:9000/",
            started_us=to_us(NOW),
            result=result,
        )
    batched = (write_new(callback(number)) for number in (5000, 5001))
    insert_many(path, "batched_callbacks", [{"number": None, "callback": one} for one in batched])
    row = {"account_sid": OURS, "created_us": to_us(NOW), "updated_us": to_us(NOW)}
    for number in (3, 1, 2):
        own = {"sid": sim(number).sid, "iccid": sim(number).iccid, "status": "new"}
        insert(path, "sims", **own, device_ip=f"127.64.0.{number}", **row)
        task = {"subject_sid": sim(number).sid, "step": "renew_period", "due_us": number}
        insert(path, "tasks", **task, account_sid=OURS)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM sims WHERE seq = 3")
        connection.execute("DELETE FROM tasks WHERE seq = 2")
        connection.execute("INSERT INTO removed VALUES (9, 'sims', ?, ?, 3)", (sim(2).sid, OURS))


def _read_with_attempts(
    connection: sqlite3.Connection, row: sqlite3.Row
) -> tuple[CallbackRecord, list[Attempt]]:
    one = _read_callback(row)
    ended = connection.execute(
        "SELECT attempts.*, headers_left_out, body_left_out, kept.head, kept.body FROM attempts"
        " LEFT JOIN long_responses AS long"
        " ON long.sid = callback_sid AND long.number = attempts.number"
        " LEFT JOIN kept_responses AS kept ON kept.sid = callback_sid"
        " WHERE callback_sid = ? ORDER BY attempts.number",
        [one.sid],
    )
    attempts = [_read_attempt(attempt, one) for attempt in ended]
    if row["started_us"] is not None:
        began = from_us(row["started_us"])
        attempts.append(Attempt(one.sid, one.account_sid, row["number"], began))
    return one, attempts


def _read_callback(row: sqlite3.Row) -> CallbackRecord:
    url = read_url(row["url"], row["credentials"], row["warnings"])
    progress = DeliveryProgress(
        from_us(row["updated_us"]),
        CallbackStatus(row["status"]),
        row["status_reason"],
        row["attempt_count"],
        maybe_from_us(row["due_us"]),
        row["round_attempts"],
        maybe_from_us(row["round_began_us"]),
        row["round_number"],
    )
    if row["started_us"] is not None and row["due_us"] is not None:
        limit = url.connection.total_timeout
        progress = begin(progress, from_us(row["started_us"]), total_timeout=limit)
    asked, is_test = row["source_asked"], bool(row["is_test"])
    # These two are told from what schema 10 has.
    event, sim_sid = (TEST_EVENT, None) if is_test else event_and_sim(row["body"])
    return CallbackRecord(
        sid=row["sid"],
        account_sid=row["account_sid"],
        url=url,
        method=HttpMethod(row["method"]),
        body=row["body"],
        source=source_named(row["source"]),
        source_asked=None if asked is None else source_named(asked),
        source_reason=row["source_reason"],
        idempotency_token=row["idempotency_token"],
        date_created=from_us(row["created_us"]),
        progress=progress,
        idempotency_key=row["idempotency_key"],
        replay_of=row["replay_of"],
        is_test=is_test,
        secret_id=row["secret_id"],
        event=event,
        sim_sid=sim_sid,
    )


def _read_attempt(row: sqlite3.Row, of: CallbackRecord) -> Attempt:
    timings = (row[f"{step}_ms"] for step in ("total", "look_up", "connect", "tls", "first_byte"))
    return Attempt(
        of.sid,
        of.account_sid,
        row["number"],
        from_us(row["started_us"]),
        row["result"],
        row["status_code"],
        row["error_code"],
        row["failure"],
        row["reason"],
        None if row["total_ms"] is None else RequestTimings(*timings),
        row["local_address"],
        row["proxy"],
        _read_request(row["request_head"], of),
        _read_response(row),
    )


def _read_request(head: str | None, of: CallbackRecord) -> SentRequestRecord | None:
    """Return the request; the head of a long one was stored without its target."""
    if head is None:
        return None
    without = f"{of.method}  HTTP/1.1"
    if head.startswith(without):
        head = f"{of.method} {of.called.target} HTTP/1.1{head.removeprefix(without)}"
    return SentRequestRecord(of.method, of.called.wire, head, of.sent_body)


def _read_response(row: sqlite3.Row) -> ReceiverResponseRecord | None:
    if row["response_head"] is None:
        return None
    status, *lines = row["response_head"].split("\n")
    body, left_out = row["response_body"], (row["headers_left_out"], row["body_left_out"])
    if row["body"] is not None:
        lines, body, left_out = [*lines, *row["head"].split("\n")], body + row["body"], (0, 0)
    headers = tuple((name, value) for name, _, value in (line.partition(": ") for line in lines))
    counts = (count or 0 for count in left_out)
    return ReceiverResponseRecord(int(status), headers, body, bool(row["response_is_cut"]), *counts)
