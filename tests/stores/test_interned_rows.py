"""Rows that many others refer to: stored once for each account, and never missing."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.callbacks.retry import NoRetryNeeded
from ringback.core.errors import StoreUnavailable
from ringback.core.http.http_exchange import ReceiverResponseRecord
from ringback.core.policy.source_policy import Source
from ringback.ports import Lane, Transaction
from ringback.stores.row_ids import RowIds, ids_in
from ringback.stores.sql.interned_rows import InternedRows
from ringback.stores.sql.write_batch import BulkStatement
from ringback.stores.sqlite import callbacks as callbacks_module
from ringback.stores.sqlite.write_batch import SqliteWriteBatch
from tests.fakes import NOW, claim_from
from tests.stores.asking import dangling, ended, rendered
from tests.stores.records import HOST, OUR_LANE, OURS, THEIR_LANE, THEIRS, account, callback
from tests.stores.test_group_commit import BEFORE_IT_FAILS, Bench, Work, break_off, then

DAY = 24 * 3_600_000
ANSWER = ReceiverResponseRecord(200, (("X", "y"),), b"thanks")


class Clock:
    """Milliseconds since 1970 that a test sets."""

    def __init__(self) -> None:
        self.now = 1_720_000_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of all ids that are made."""
    clock = Clock()
    monkeypatch.setattr(callbacks_module, "steady_milliseconds", clock)
    return clock


@pytest.fixture
def bench(clock: Clock) -> Iterator[Bench]:
    """A committer on a database in memory, with two accounts."""
    bench = Bench()
    bench.do(lambda tx: tx.accounts.add(account(THEIRS), []))
    yield bench
    assert dangling(bench.connection) == []
    bench.committer.close()


def add(*callbacks: CallbackRecord) -> Work:
    def work(tx: Transaction) -> None:
        for one in callbacks:
            tx.callbacks.add(one)

    return work


def send(lane: Lane = OUR_LANE, answer: ReceiverResponseRecord = ANSWER) -> Work:
    """Return work that claims a callback, and settles it as delivered with this answer."""

    def work(tx: Transaction) -> None:
        (claim,) = claim_from(tx, lane, NOW, limit=1)
        request = rendered(claim)
        tx.callbacks.settle([ended(claim, NoRetryNeeded(), response=answer, request=request)])

    return work


def counts(bench: Bench) -> tuple[int, ...]:
    """Return how many targets, heads, results and bodies of answers are stored."""
    row = bench.connection.execute(
        "SELECT (SELECT count(*) FROM callback_targets), (SELECT count(*) FROM request_heads),"
        " (SELECT count(*) FROM attempt_results), (SELECT count(*) FROM answer_bodies)"
    ).fetchone()
    return tuple(row)


# ---- sharing


def test_equal_values_are_stored_once(bench: Bench) -> None:
    bench.do(*(add(callback(number)) for number in range(9)))
    bench.do(send(), send())
    bench.do(send())
    assert counts(bench) == (1, 1, 1, 1)


@pytest.mark.parametrize(
    ("other", "more"),
    [
        (callback(2, url=f"{HOST}/path?foo=baz#cbs=kore"), (1, 1)),
        (callback(2, url="http://a:b@127.0.0.1:9000/path?foo=bar#cbs=kore"), (1, 1)),
        (callback(2)._replace(source=Source.TWILIO), (1, 1)),
        (callback(2)._replace(source_reason="another"), (1, 0)),
        (callback(2)._replace(event="sim.active"), (1, 0)),
        (callback(2)._replace(sim_sid="HS2", body="A=2"), (0, 0)),
    ],
    ids=["another URL", "credentials", "another source", "a reason", "an event", "its own values"],
)
def test_other_values_get_another_row(
    bench: Bench, other: CallbackRecord, more: tuple[int, int]
) -> None:
    bench.do(add(callback(1), other))
    bench.do(send(), send())
    assert counts(bench) == (1 + more[0], 1 + more[1], 1, 1)
    assert bench.result(lambda tx: tx.callbacks.find(other.sid)).url == other.url


@pytest.mark.parametrize(
    ("answer", "more"),
    [
        (ANSWER._replace(headers=()), (1, 1)),
        (ANSWER._replace(is_cut=True), (1, 1)),
        (ANSWER._replace(body=b""), (1, 0)),
    ],
)
def test_another_answer_gets_another_row(
    bench: Bench, answer: ReceiverResponseRecord, more: tuple[int, int]
) -> None:
    bench.do(add(callback(1), callback(2)))
    bench.do(send(), send(answer=answer))
    assert counts(bench) == (1, 1, 1 + more[0], 1 + more[1])
    (attempt,) = bench.result(lambda tx: tx.callbacks.attempts(callback(2).sid))
    assert attempt.response == answer


def test_accounts_share_no_row(bench: Bench) -> None:
    bench.do(add(callback(1), callback(2, THEIRS)))
    bench.do(send(), send(THEIR_LANE))
    assert counts(bench) == (2, 2, 2, 2)
    owners = bench.connection.execute(
        "SELECT account_sid, count(*) FROM (SELECT account_sid FROM callback_targets"
        " UNION ALL SELECT account_sid FROM request_heads"
        " UNION ALL SELECT account_sid FROM attempt_results) GROUP BY account_sid"
    )
    assert [tuple(row) for row in owners] == [(OURS, 3), (THEIRS, 3)]


def test_long_answers_share_no_row(bench: Bench) -> None:
    long = ANSWER._replace(body=bytes(5000))
    bench.do(add(callback(1), callback(2)))
    bench.do(send(answer=long), send(answer=long))
    assert counts(bench) == (1, 1, 2, 2)
    for number in (1, 2):
        (attempt,) = bench.result(
            lambda tx, number=number: tx.callbacks.attempts(callback(number).sid)
        )
        assert attempt.response == long


# ---- work that is undone


def check_all(bench: Bench, *numbers: int) -> None:
    """Check that these callbacks, and no others, are stored, and that each can be sent."""
    assert bench.numbers() == list(numbers)
    assert dangling(bench.connection) == []
    failures = bench.failures(*(send() for _ in numbers))
    assert set(failures) <= {None}
    for number in numbers:
        (attempt,) = bench.result(
            lambda tx, number=number: tx.callbacks.attempts(callback(number).sid)
        )
        assert attempt.request is not None
        assert attempt.response == ANSWER


@pytest.mark.parametrize("steps", BEFORE_IT_FAILS)
def test_rows_of_failing_work_are_not_referred_to(bench: Bench, steps: list[Work]) -> None:
    failing = then(add(callback(50)), *steps, send(), break_off)
    bench.do(failing, add(callback(1)), failing, add(callback(2)))
    bench.do(failing, add(callback(3)))
    check_all(bench, 1, 2, 3)


def test_rows_of_work_that_the_database_refuses_are_not_referred_to(bench: Bench) -> None:
    bench.do(add(callback(1)))
    refused = then(add(callback(9, url=f"{HOST}/new"), callback(1)))
    url = f"{HOST}/new"
    failures = bench.failures(refused, add(callback(2, url=url)), refused, add(callback(3)))
    assert failures == [sqlite3.IntegrityError, None, sqlite3.IntegrityError, None]
    check_all(bench, 1, 2, 3)


def deny_commits(action: int, name: str | None, *_: Any) -> int:
    is_commit = (action, name) == (sqlite3.SQLITE_TRANSACTION, "COMMIT")
    return sqlite3.SQLITE_DENY if is_commit else sqlite3.SQLITE_OK


@pytest.mark.parametrize(
    "fail",
    [
        lambda connection: connection.set_authorizer(deny_commits),
        lambda connection: connection.execute("PRAGMA max_page_count = 1"),
    ],
    ids=["the commit fails", "the disk is full"],
)
def test_rows_of_a_commit_that_failed_are_not_referred_to(
    bench: Bench, fail: Callable[[sqlite3.Connection], object]
) -> None:
    many = [callback(number)._replace(body="A=" + "a" * 5000) for number in range(50, 70)]
    fail(bench.connection)
    failures = bench.failures(add(*many[:10]), then(add(*many[10:]), send()))
    assert failures == [StoreUnavailable, StoreUnavailable]
    bench.connection.set_authorizer(None)
    bench.connection.execute("PRAGMA max_page_count = 1000000")
    bench.do(add(callback(1)), add(callback(2)))
    check_all(bench, 1, 2)


# ---- for how long, and how many


def test_a_row_is_used_for_a_day(bench: Bench, clock: Clock) -> None:
    for number, later in enumerate((0, DAY, 1, DAY - 2, DAY)):
        clock.now += later
        bench.do(add(callback(number)))
    assert counts(bench)[0] == 3
    check_all(bench, *range(5))


def test_a_row_is_never_more_than_a_day_older_than_those_that_refer_to_it(
    bench: Bench, clock: Clock
) -> None:
    for number in range(40):
        bench.do(add(callback(number)), send())
        clock.now += DAY // 3 if number % 7 else 3 * DAY
    (most,) = bench.connection.execute(
        "SELECT max(callbacks.id - min(target_id, head_id, result_id))"
        " FROM callbacks JOIN attempts ON callback_id = callbacks.id"
    ).fetchone()
    assert 0 < most <= ids_in(hours=24)


NOTES = BulkStatement.insert("notes", "id, account_sid, text")


@pytest.fixture
def notes(clock: Clock) -> Iterator[InternedRows]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute(
            "CREATE TABLE notes (id INTEGER PRIMARY KEY, account_sid TEXT, text TEXT)"
        )
        yield InternedRows(SqliteWriteBatch(connection, [NOTES]), NOTES)


def remembered(notes: InternedRows, ids: RowIds, account_sid: str, count: int) -> list[int]:
    return [
        number
        for number in range(count)
        if notes.find(account_sid, (f"note {number}",), ids) is not None
    ]


def add_notes(notes: InternedRows, ids: RowIds, account_sid: str, count: int) -> list[int]:
    return [notes.id_of(account_sid, (f"note {number}",), ids) for number in range(count)]


def test_of_each_account_the_newest_rows_are_remembered(notes: InternedRows, clock: Clock) -> None:
    ids = RowIds(1, milliseconds=clock)
    (few,) = add_notes(notes, ids, "AC2", 1)
    add_notes(notes, ids, "AC1", 600)
    assert remembered(notes, ids, "AC1", 600) == list(range(100, 600))
    assert notes.find("AC2", ("note 0",), ids) == few


def test_a_limited_number_of_rows_is_remembered(notes: InternedRows, clock: Clock) -> None:
    ids = RowIds(1, milliseconds=clock)
    for number in range(150):
        add_notes(notes, ids, f"AC{number}", 100)
    found = [len(remembered(notes, ids, f"AC{number}", 100)) for number in range(150)]
    assert found[-1] == 100
    assert sum(found) <= 10_000


def test_rows_with_one_key_are_different_rows_after_they_were_forgotten(
    notes: InternedRows, clock: Clock
) -> None:
    ids = RowIds(1, milliseconds=clock)
    (first,) = add_notes(notes, ids, "AC1", 1)
    notes.forget()
    assert notes.find("AC1", ("note 0",), ids) is None
    (second,) = add_notes(notes, ids, "AC1", 1)
    assert first < second == notes.find("AC1", ("note 0",), ids)
