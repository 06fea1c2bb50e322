"""Jobs that share a commit don't affect each other, however they end."""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from ringback.core.callbacks.callback import CallbackStatus, DeliveryProgress
from ringback.core.callbacks.retry import NoRetryNeeded
from ringback.core.errors import StoreUnavailable
from ringback.core.http.http_exchange import ReceiverResponseRecord
from ringback.ports import CallbackFilter, DeliveryClaim, PageWindow, Settlement, Transaction
from ringback.stores.sql.transaction import CommitJob
from ringback.stores.sqlite.group_commit import GroupCommitter
from ringback.stores.sqlite.store import connect
from tests.fakes import NOW, VAULT, claim_from
from tests.stores.asking import ended, numbers_of, rendered
from tests.stores.records import OUR_LANE, OURS, account, callback, sim

Work = Callable[[Transaction], Any]


class Broken(Exception):
    """The error that makes a job fail."""


class Bench:
    """A committer on a database in memory, with one account."""

    def __init__(self) -> None:
        self.connection = connect(":memory:", VAULT)
        self.committer = GroupCommitter(self.connection, VAULT)
        self.do(lambda tx: tx.accounts.add(account(), []))

    def do(self, *works: Work) -> list[CommitJob]:
        """Run these jobs in one commit, and call the functions registered with `on_commit`."""
        jobs = [CommitJob(work) for work in works]
        self.committer.commit(jobs)
        for job in jobs:
            job.end()
        return jobs

    def failures(self, *works: Work) -> list[type[Exception] | None]:
        """Run these jobs in one commit; return the type of each failure, or None."""
        return [job.failure and type(job.failure) for job in self.do(*works)]

    def result(self, work: Work) -> Any:
        (job,) = self.do(work)
        assert job.failure is None
        return job.result

    def numbers(self) -> list[int]:
        """Return the numbers of the stored callbacks, oldest first."""
        oldest = self.result(
            lambda tx: tx.callbacks.oldest(OURS, CallbackFilter(), after=None, limit=99)
        )
        return numbers_of(oldest)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.committer.close()


def add(*numbers: int, key: str | None = None) -> Work:
    def work(tx: Transaction) -> None:
        for number in numbers:
            tx.callbacks.add(callback(number, key=key))

    return work


def then(*steps: Work) -> Work:
    def work(tx: Transaction) -> None:
        for step in steps:
            step(tx)

    return work


def look(tx: Transaction) -> None:
    tx.callbacks.page(OURS, CallbackFilter(), PageWindow(9))


def write_at_once(tx: Transaction) -> None:
    tx.supersim.sims.add(sim(9))


def break_off(tx: Transaction) -> None:
    raise Broken


def claim(tx: Transaction) -> list[DeliveryClaim]:
    return claim_from(tx, OUR_LANE, NOW, limit=9)


BEFORE_IT_FAILS = [
    pytest.param([], id="nothing"),
    pytest.param([add(8)], id="adding"),
    pytest.param([look], id="looking"),
    pytest.param([write_at_once], id="writing at once"),
    pytest.param([add(8), look], id="adding, then looking"),
    pytest.param([look, add(8)], id="looking, then adding"),
    pytest.param([add(8), write_at_once, add(7)], id="adding, writing at once, adding"),
    pytest.param([add(8), look, add(7), look, write_at_once], id="all of it"),
    pytest.param([claim], id="claiming what another one added"),
    pytest.param([add(8), claim, add(7)], id="claiming what it has added itself"),
]


@pytest.mark.parametrize("steps", BEFORE_IT_FAILS)
def test_failing_work_does_not_undo_the_others(bench: Bench, steps: list[Work]) -> None:
    failures = bench.failures(add(1), add(2, 3), then(*steps, break_off), add(4), look, add(5))
    assert failures == [None, None, Broken, None, None, None]
    assert bench.numbers() == [1, 2, 3, 4, 5]
    assert bench.result(lambda tx: tx.supersim.sims.get(sim(9).sid)) is None
    assert bench.result(lambda tx: tx.callbacks.left_open()) == []


@pytest.mark.parametrize("steps", BEFORE_IT_FAILS)
def test_if_each_piece_of_work_fails_nothing_is_left(bench: Bench, steps: list[Work]) -> None:
    failing = then(*steps, break_off)
    assert bench.failures(failing, failing, failing) == [Broken, Broken, Broken]
    assert bench.numbers() == []


def test_work_sees_the_changes_of_the_work_before_it(bench: Bench) -> None:
    *_, counted = bench.do(add(1), add(2), lambda tx: tx.callbacks.unfinished())
    assert counted.result == {OURS: 2}


def test_reading_other_records_does_not_split_the_writes_of_callbacks(bench: Bench) -> None:
    statements = list[str]()
    bench.connection.set_trace_callback(statements.append)
    bench.do(then(add(1), lambda tx: tx.supersim.sims.page(OURS, {}, PageWindow(9)), add(2, 3, 4)))
    written = [one for one in statements if one.startswith("INSERT INTO callbacks")]
    assert len(written) == 1
    assert bench.numbers() == [1, 2, 3, 4]


def test_work_does_not_see_changes_that_failed_before_it(bench: Bench) -> None:
    *_, counted = bench.do(
        add(1), then(add(2), look, break_off), lambda tx: tx.callbacks.unfinished()
    )
    assert counted.result == {OURS: 1}


def test_a_key_that_failing_work_used_is_free(bench: Bench) -> None:
    *_, looking, _ = bench.do(
        then(add(1, key="x"), break_off),
        lambda tx: tx.callbacks.with_key(OURS, "x"),
        add(2, key="x"),
    )
    assert looking.result is None
    assert bench.numbers() == [2]


def test_a_key_that_other_work_used_is_still_taken_after_a_failure(bench: Bench) -> None:
    *_, looking = bench.do(
        add(1, key="x"), then(add(2), break_off), lambda tx: tx.callbacks.with_key(OURS, "x")
    )
    assert looking.result == callback(1, key="x")


def test_callbacks_that_failing_work_had_claimed_can_be_claimed(bench: Bench) -> None:
    *_, claiming = bench.do(add(1, 2), then(claim, break_off), claim)
    assert [one.callback.sid for one in claiming.result] == [callback(1).sid, callback(2).sid]


def test_an_account_whose_save_was_undone_is_not_seen(bench: Bench) -> None:
    def save_look_and_break(tx: Transaction) -> None:
        tx.accounts.save(replace(account(), auth_token="undone"))
        tx.accounts.get(OURS)
        raise Broken

    *_, looked = bench.do(save_look_and_break, lambda tx: tx.accounts.get(OURS))
    assert looked.result == account()


# ---- what the database refuses


@pytest.mark.parametrize(
    "refused",
    [
        pytest.param(add(1), id="an existing callback"),
        pytest.param(add(9, key="taken"), id="a key that is taken"),
        pytest.param(then(add(9, key="taken"), look), id="a key that is taken, seen at once"),
        pytest.param(lambda tx: tx.supersim.sims.add(sim(1)), id="an existing SIM"),
    ],
)
def test_only_the_work_that_the_database_refuses_fails(bench: Bench, refused: Work) -> None:
    bench.do(add(1), add(2, key="taken"), lambda tx: tx.supersim.sims.add(sim(1)))
    failures = bench.failures(add(3), refused, add(4), look)
    assert failures == [None, sqlite3.IntegrityError, None, None]
    assert bench.numbers() == [1, 2, 3, 4]


def test_a_repeated_claim_claims_the_same(bench: Bench) -> None:
    bench.do(add(1, 2))
    claiming, refused, claiming_more = bench.do(
        lambda tx: claim_from(tx, OUR_LANE, NOW, limit=1), add(1), claim
    )
    assert type(refused.failure) is sqlite3.IntegrityError
    assert [one.callback.sid for one in claiming.result] == [callback(1).sid]
    assert [one.callback.sid for one in claiming_more.result] == [callback(2).sid]


def test_the_first_of_two_with_one_key_is_stored(bench: Bench) -> None:
    failures = bench.failures(add(1, key="x"), add(2, key="x"), add(3, key="y"))
    assert failures == [None, sqlite3.IntegrityError, None]
    assert bench.numbers() == [1, 3]


# SQLite can store neither value: the text can't be encoded in UTF-8, the number is too large.
UNWRITABLE = [
    pytest.param(callback(9, key="\ud800"), id="half a character"),
    pytest.param(
        callback(9).having(DeliveryProgress(NOW, attempt_count=1 << 63)),
        id="a number beyond 64 bits",
    ),
]


@pytest.mark.parametrize("unwritable", UNWRITABLE)
def test_only_the_work_that_used_an_unstorable_value_fails(bench: Bench, unwritable: Any) -> None:
    failures = bench.failures(
        add(1), lambda tx: tx.callbacks.add(unwritable), look, then(add(2), look), add(3)
    )
    assert failures == [None, sqlite3.DataError, None, None, None]
    assert bench.numbers() == [1, 2, 3]


def test_work_that_the_database_refuses_alone_runs_once(bench: Bench) -> None:
    bench.do(add(1))
    done = list[str]()
    bench.failures(then(lambda tx: done.append("done"), add(1)))
    assert done == ["done"]


# ---- functions to call after the commit


def telling(told: list[str], name: str) -> Work:
    def work(tx: Transaction) -> None:
        tx.on_commit(
            lambda: told.append(f"{name} durable"), undone=lambda: told.append(f"{name} undone")
        )

    return work


def test_each_job_is_notified_of_its_own_result(bench: Bench) -> None:
    told = list[str]()
    bench.do(
        telling(told, "first"), then(telling(told, "second"), break_off), telling(told, "third")
    )
    assert told == ["first durable", "second undone", "third durable"]


def test_repeated_work_reports_each_run_separately(bench: Bench) -> None:
    told = list[str]()
    bench.do(add(1))
    times = iter("abcdef")

    def tell_anew(tx: Transaction) -> None:
        telling(told, next(times))(tx)

    bench.do(tell_anew, then(tell_anew, add(1)), tell_anew)
    # The three share a commit, which the second one's row makes fail; then each runs alone.
    assert sorted(told) == [
        "a undone",
        "b undone",
        "c undone",
        "d durable",
        "e undone",
        "f durable",
    ]


def test_if_the_database_is_unavailable_all_learn_that_nothing_is_durable(bench: Bench) -> None:
    told = list[str]()
    bench.connection.set_authorizer(
        lambda action, table, *_: (
            sqlite3.SQLITE_DENY
            if (action, table) == (sqlite3.SQLITE_INSERT, "callbacks")
            else sqlite3.SQLITE_OK
        )
    )
    failures = bench.failures(
        then(telling(told, "first"), add(*range(999))), telling(told, "second")
    )
    assert failures == [StoreUnavailable, StoreUnavailable]
    assert told == ["first undone", "second undone"]


def test_on_a_full_disk_reads_do_not_suffer_from_writes(bench: Bench) -> None:
    told = list[str]()
    bench.connection.execute("PRAGMA max_page_count = 1")
    failures = bench.failures(
        then(telling(told, "first"), add(*range(999))), telling(told, "second")
    )
    assert failures == [StoreUnavailable, None]
    assert told == ["first undone", "first undone", "second undone", "second durable"]


# ---- rows of one callback within one commit


def attempts_of(number: int) -> Work:
    return lambda tx: tx.callbacks.attempts(callback(number).sid)


def test_work_may_settle_claims_of_other_work_in_the_same_commit(bench: Bench) -> None:
    bench.do(add(1, 2, 3))
    claims = list[DeliveryClaim]()
    bench.do(
        lambda tx: claims.extend(claim(tx)),
        lambda tx: tx.callbacks.settle([ended(one, NoRetryNeeded()) for one in claims[:2]]),
        lambda tx: tx.callbacks.put_back(claims[2:], NOW),
    )
    page = bench.result(lambda tx: tx.callbacks.page(OURS, CallbackFilter(), PageWindow(9)))
    assert [one.status for one in page] == ["scheduled", "delivered", "delivered"]
    assert bench.result(lambda tx: tx.callbacks.left_open()) == []
    assert [len(bench.result(attempts_of(number))) for number in (1, 2, 3)] == [1, 1, 0]


def test_of_many_changes_of_one_callback_the_last_one_counts(bench: Bench) -> None:
    bench.do(add(1, 2))
    bench.do(
        *(
            lambda tx, n=number: tx.callbacks.change(
                callback(n % 2 + 1).having(DeliveryProgress(NOW, CallbackStatus.FAILED, f"no. {n}"))
            )
            for number in range(99)
        )
    )
    page = bench.result(lambda tx: tx.callbacks.page(OURS, CallbackFilter(), PageWindow(9)))
    assert [one.progress.status_reason for one in page] == ["no. 97", "no. 98"]


# ---- the number of statements


def test_rows_of_many_pieces_of_work_are_written_together(bench: Bench) -> None:
    bench.do(add(100))
    statements = list[str]()
    bench.connection.set_trace_callback(statements.append)
    bench.do(*(add(number) for number in range(64)))
    assert [statement.split("(")[0].strip() for statement in statements] == [
        "BEGIN IMMEDIATE",
        "PRAGMA data_version",
        "INSERT INTO callbacks",
        "INSERT INTO waiting",
        "COMMIT",
    ]


@pytest.mark.parametrize("body", [None, b"", b"x" * 1024], ids=["no answer", "empty", "1 KiB"])
def test_an_answer_like_an_earlier_one_needs_no_additional_statement(
    bench: Bench, body: bytes | None
) -> None:
    response = None if body is None else ReceiverResponseRecord(200, (("X", "y"),), body)
    bench.do(add(1, 2))
    first, second = (
        ended(one, NoRetryNeeded(), response=response, request=rendered(one))
        for one in bench.result(claim)
    )
    statements = list[str]()
    bench.connection.set_trace_callback(statements.append)

    def written(settlement: Settlement) -> list[str]:
        statements.clear()
        bench.do(lambda tx: tx.callbacks.settle([settlement]))
        return [" ".join(one.split()[:3]) for one in statements]

    begun = ["BEGIN IMMEDIATE", "PRAGMA data_version"]
    rest = ["DELETE FROM waiting", "INSERT INTO attempts", "COMMIT"]
    interned = ["INSERT INTO request_heads", "INSERT INTO attempt_results"]
    bodies = ["INSERT INTO answer_bodies"] if body else []
    assert written(first) == [*begun, *interned, *bodies, *rest]
    assert written(second) == [*begun, *rest]


def test_looking_for_keys_does_not_split_the_writes(bench: Bench) -> None:
    statements = list[str]()
    bench.connection.set_trace_callback(statements.append)

    def add_once(tx: Transaction, number: int) -> None:
        if tx.callbacks.with_key(OURS, f"order {number}") is None:
            tx.callbacks.add(callback(number, key=f"order {number}"))

    bench.do(*(lambda tx, n=number: add_once(tx, n % 64) for number in range(128)))
    assert sum(statement.startswith("INSERT INTO callbacks") for statement in statements) == 1
    assert bench.numbers() == list(range(64))


@pytest.mark.parametrize("count", [1, 3, 4, 5, 15, 16, 17, 63, 64, 65, 255, 256, 257, 600])
def test_every_row_is_written_however_many_there_are(bench: Bench, count: int) -> None:
    bench.do(add(*range(count)))
    assert bench.result(lambda tx: tx.callbacks.unfinished()) == {OURS: count}
