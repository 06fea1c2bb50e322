"""A file from an older Ringback is read as if this version had written it."""

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import (
    Attempt,
    CallbackRecord,
    CallbackStatus,
    DeliveryProgress,
)
from ringback.core.errors import ConfigurationError
from ringback.core.http.http_exchange import (
    ReceiverResponseRecord,
    RequestTimings,
    SentRequestRecord,
)
from ringback.core.policy.source_policy import Source
from ringback.ports import CallbackFilter, Lane, LaneDue, PageWindow
from ringback.stores.sql.field_columns import to_us
from ringback.stores.sqlite.schema_upgrade import bring_up_to_date
from ringback.stores.sqlite.store import SqliteStore
from tests.fakes import NOW, VAULT, claim_from
from tests.stores.asking import opened
from tests.stores.old_files import (
    NEWEST,
    NOW_US,
    definitions_of,
    insert,
    insert_callback,
    schema_of,
    upgraded,
    write_old_file,
)
from tests.stores.records import OURS, SECOND, api_key, callback

EARLIER = NOW - timedelta(hours=1)
BEFORE = to_us(EARLIER)


def test_a_new_file_is_as_if_it_had_taken_all_steps() -> None:
    def made(until: int | None) -> tuple[dict[str, list[str]], list[str]]:
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
            bring_up_to_date(connection, until=until)
            rows = [line for line in connection.iterdump() if line.startswith("INSERT")]
            # A step that rebuilds a table leaves a counter at 0.
            rows = [row for row in rows if "sqlite_sequence" not in row]
            # Each file has a fingerprint of its own.
            (fingerprint,) = connection.execute("SELECT fingerprint FROM installation").fetchone()
            rows = [row.replace(fingerprint, "its fingerprint") for row in rows]
            return definitions_of(connection), rows

    assert made(None) == made(NEWEST)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with schema 1 and one account."""
    return write_old_file(tmp_path / "ringback.db", schema=1)


def insert_attempt(path: Path, number: int, **changed: object) -> None:
    """Write the row of an attempt of callback 1."""
    given = {
        "callback_sid": callback(1).sid,
        "account_sid": OURS,
        "number": number,
        "started_us": BEFORE,
        "result": "delivered",
    }
    insert(path, "attempts", **(given | changed))


async def callback_in(path: Path, number: int = 1) -> CallbackRecord | None:
    async with opened(path) as store:
        return await store.transact(lambda tx: tx.callbacks.get(OURS, callback(number).sid))


async def attempts_in(path: Path) -> list[Attempt]:
    async with opened(path) as store:
        return await store.transact(lambda tx: tx.callbacks.attempts(callback(1).sid))


# ---- everything but callbacks


async def test_an_account_has_the_schedule_of_the_server(path: Path) -> None:
    async with opened(path) as store:
        assert await store.transact(lambda tx: tx.accounts.all()) == [upgraded()]


async def test_keys_are_unchanged(path: Path) -> None:
    insert(path, "api_keys", sid=api_key(1).sid, account_sid=OURS, secret="secret 1")
    async with opened(path) as store:
        assert await store.transact(lambda tx: tx.accounts.keys.of(OURS)) == [api_key(1)]


# ---- callbacks


async def test_a_waiting_callback_is_unchanged(path: Path) -> None:
    insert_callback(path, 1)
    assert await callback_in(path) == callback(1)


async def test_a_callback_that_has_ended_is_unchanged_but_for_its_last_round(path: Path) -> None:
    insert_callback(
        path,
        1,
        url="https://a.example:8443/p#cbs=twilio&new=1",
        credentials="user:p%C3%A4ss",
        warnings="[\"the fragment key 'new' is unknown and has no effect\"]",
        method="GET",
        body="A=1",
        source="kore",
        source_asked="twilio",
        source_reason="the URL asks for twilio, but twilio ended on 2024-11-02",
        idempotency_token="RQ0",
        status="failed",
        status_reason="the receiver answered 410 Gone",
        attempt_count=7,
        due_us=None,
        round_attempts=2,
        round_began_us=BEFORE,
        created_us=BEFORE,
        updated_us=NOW_US + 1,
    )
    assert await callback_in(path) == CallbackRecord(
        sid=callback(1).sid,
        account_sid=OURS,
        url=CallbackUrl.parse("https://user:p%C3%A4ss@a.example:8443/p#cbs=twilio&new=1"),
        method=HttpMethod.GET,
        body="A=1",
        source=Source.KORE,
        source_asked=Source.TWILIO,
        source_reason="the URL asks for twilio, but twilio ended on 2024-11-02",
        idempotency_token="RQ0",
        date_created=EARLIER,
        progress=DeliveryProgress(
            date_updated=NOW + timedelta(microseconds=1),
            status=CallbackStatus.FAILED,
            status_reason="the receiver answered 410 Gone",
            attempt_count=7,
        ),
        idempotency_key=None,
        replay_of=None,
    )


async def test_a_callback_to_a_url_that_would_be_refused_now_still_exists(path: Path) -> None:
    insert_callback(path, 1, url="http://a.example/#ct=1")
    kept = await callback_in(path)
    assert kept is not None
    assert kept.url.wire == "http://a.example/"


async def test_callbacks_keep_their_order(path: Path) -> None:
    for number in (5, 1, 3):
        insert_callback(path, number)
    async with opened(path) as store:
        page = await store.transact(
            lambda tx: tx.callbacks.page(OURS, CallbackFilter(), PageWindow(9))
        )
    assert [one.sid for one in page] == [callback(number).sid for number in (3, 1, 5)]


async def test_a_due_callback_waits_in_the_lane_of_its_url(path: Path) -> None:
    insert_callback(path, 1, due_us=NOW_US + 1_000_000)
    insert_callback(path, 2, url="HTTPS://B.Example/p")
    insert_callback(path, 3, url="https://b.example:443", due_us=BEFORE)
    insert_callback(path, 4, status="delivered", due_us=None)
    ours, theirs = Lane(OURS, "http://127.0.0.1:9000"), Lane(OURS, "https://b.example:443")
    async with opened(path) as store:
        waiting = await store.transact(lambda tx: tx.callbacks.waiting())
        claims = await store.transact(lambda tx: claim_from(tx, theirs, NOW, limit=9))
    assert waiting == [LaneDue(ours, NOW + SECOND), LaneDue(theirs, EARLIER)]
    assert [claim.callback.sid for claim in claims] == [callback(3).sid, callback(2).sid]


# ---- attempts


async def test_an_open_attempt_stays_open(path: Path) -> None:
    insert_callback(
        path,
        1,
        attempt_count=1,
        due_us=None,
        round_attempts=1,
        round_began_us=BEFORE,
        updated_us=BEFORE,
    )
    insert_attempt(path, 1, result="open")
    async with opened(path) as store:
        (left_open,) = await store.transact(lambda tx: tx.callbacks.left_open())
        attempts = await store.transact(lambda tx: tx.callbacks.attempts(callback(1).sid))
    opened_row = Attempt(callback(1).sid, OURS, 1, EARLIER, result="open")
    assert left_open.attempt == opened_row
    assert attempts == [opened_row]


async def test_ended_attempts_come_before_an_open_one(path: Path) -> None:
    insert_callback(path, 1, attempt_count=3, due_us=None)
    insert_attempt(path, 3, result="open")
    insert_attempt(path, 1, result="refused")
    insert_attempt(path, 2, result="unknown")
    results = [(one.number, one.result) for one in await attempts_in(path)]
    assert results == [(1, "refused"), (2, "unknown"), (3, "open")]


HEADERS = [["Host", "127.0.0.1:9000"], ["Kore-Signature", ""], ["Date", "2024-07-03T14:40:58Z"]]


async def test_every_field_of_an_attempt_is_unchanged(path: Path) -> None:
    insert_callback(path, 1)
    url = "http://127.0.0.1:9000/path?foo=bar"
    insert_attempt(
        path,
        1,
        result="refused",
        status_code=503,
        error_code=11217,
        failure="closed",
        reason="the receiver answered 503: «später»",
        duration_ms=12.5,
        request=json.dumps(["POST", url, HEADERS, callback(1).body]),
        response=json.dumps([503, [["Set-Cookie", "a"], ["Set-Cookie", ""]], True]),
        response_body=b"\x00\xff",
    )
    assert await attempts_in(path) == [
        Attempt(
            callback_sid=callback(1).sid,
            account_sid=OURS,
            number=1,
            date_started=EARLIER,
            result="refused",
            status_code=503,
            error_code=11217,
            failure="closed",
            reason="the receiver answered 503: «später»",
            timings=RequestTimings(12.5),
            request=SentRequestRecord(
                "POST",
                url,
                "POST /path?foo=bar HTTP/1.1\r\nHost: 127.0.0.1:9000\r\nKore-Signature: \r\n"
                "Date: 2024-07-03T14:40:58Z",
                callback(1).body,
            ),
            response=ReceiverResponseRecord(
                503, (("Set-Cookie", "a"), ("Set-Cookie", "")), b"\x00\xff", is_cut=True
            ),
        )
    ]


@pytest.mark.parametrize(
    ("url", "request_url", "line"),
    [
        ("http://a.example", "http://a.example?A=1", "GET /?A=1 HTTP/1.1"),
        ("http://a.example/p", "http://a.example/p?A=1", "GET /p?A=1 HTTP/1.1"),
        ("http://a.example:80/p?x=1", "http://a.example:80/p?x=1&A=1", "GET /p?x=1&A=1 HTTP/1.1"),
    ],
)
async def test_the_request_line_is_made_from_the_url(
    path: Path, url: str, request_url: str, line: str
) -> None:
    insert_callback(path, 1, url=url, method="GET", body="A=1")
    insert_attempt(path, 1, request=json.dumps(["GET", request_url, [["Host", "a.example"]], ""]))
    (attempt,) = await attempts_in(path)
    assert attempt.request == SentRequestRecord(
        "GET", request_url, f"{line}\r\nHost: a.example", ""
    )


async def test_unknown_values_of_an_attempt_stay_unknown(path: Path) -> None:
    insert_callback(path, 1)
    insert_attempt(path, 1, result="unknown")
    assert await attempts_in(path) == [Attempt(callback(1).sid, OURS, 1, EARLIER, result="unknown")]


async def test_a_complete_response_stays_complete(path: Path) -> None:
    insert_callback(path, 1)
    insert_attempt(path, 1, response=json.dumps([204, [], False]), response_body=b"")
    (attempt,) = await attempts_in(path)
    assert attempt.response == ReceiverResponseRecord(204, (), b"")


# ---- the file


async def test_a_file_is_upgraded_once(path: Path) -> None:
    assert schema_of(path) == 1
    async with opened(path):
        pass
    assert schema_of(path) == NEWEST
    assert await callback_in(path) is None


def test_a_file_that_cannot_be_upgraded_is_left_unchanged(path: Path) -> None:
    insert_callback(path, 1, url="this was never a URL")
    insert_attempt(path, 1, result="open")
    with pytest.raises(ConfigurationError, match="can't be used as Ringback's data file"):
        SqliteStore.open(path, VAULT)
    assert schema_of(path) == 1
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT number, result FROM attempts").fetchall() == [(1, "open")]
