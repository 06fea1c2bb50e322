"""What has expired goes with the partitions of its week; all else stays, whatever happens."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain, count
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.conninfo import make_conninfo

from ringback.core.callbacks.callback import CallbackStatus, discard, replay
from ringback.core.callbacks.response_storage import ResponseStorageBudget
from ringback.core.callbacks.retry import Decision, GiveUp, NoRetryNeeded, RetryLater
from ringback.core.callbacks.shards import Role
from ringback.core.errors import StoreUnavailable
from ringback.core.http.http_exchange import ReceiverResponseRecord
from ringback.core.retention import RetentionPolicy, RetentionTimes
from ringback.data_folder import DataFolder
from ringback.ports import Transaction
from ringback.postgres_database import PostgresDatabase
from ringback.runtime.system_clock import SystemClock
from ringback.stores.postgres import (
    retired_weeks,
    schema,
    store,
    week_cleanup,
    week_copy,
    week_exchange,
    week_marks,
)
from ringback.stores.postgres.connections import Connection, Dsn, execute
from ringback.stores.postgres.group_commit import (
    TABLES,
    Isolation,
    PostgresCommitter,
    PostgresTransaction,
)
from ringback.stores.postgres.leases import WorkerIdentity, leave, renew
from ringback.stores.postgres.partitions import (
    OF_CALLBACKS,
    PARTITIONED,
    ids_of_week,
    make_partitions,
    make_partitions_of,
    partitions_of,
)
from ringback.stores.postgres.retired_weeks import retire_weeks
from ringback.stores.postgres.week_work import RetiredWeek, WeeksBusy
from ringback.stores.postgres.write_batch import PostgresWriteBatch, types_of_columns
from ringback.stores.row_ids import RowIds
from ringback.stores.sql.transaction import CommitJob
from tests.databases import a_pgbouncer
from tests.fakes import VAULT, claim_from
from tests.stores.asking import ended, rendered
from tests.stores.records import OUR_LANE, OURS, SECOND, THEIR_LANE, THEIRS, account, callback

DAY, WEEK = timedelta(days=1), timedelta(weeks=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
THIS_WEEK = EPOCH + (SystemClock().now() - EPOCH) // WEEK * WEEK
"""When this week begins: nothing is removed before its week has ended for two days."""
MONTH = RetentionTimes(7 * DAY, 30 * DAY, 30 * DAY, 90 * DAY)
WHOLE = MONTH._replace(answers=None, attempts=None)
"""The same times for callbacks; what belongs to them stays as long as they do."""
FOREVER = RetentionTimes()
KEEPS_THEIRS = RetentionPolicy(WHOLE, {THEIRS: FOREVER})
DELIVERED = NoRetryNeeded()
ANSWER = ReceiverResponseRecord(200, (("X", "y"),), b"thanks")
LONG = ReceiverResponseRecord(200, (("X", "y"),), bytes(range(256)) * 40)
BUDGET = ResponseStorageBudget()
_numbers = count(1)


def weeks_ago(weeks: int) -> datetime:
    return THIS_WEEK - weeks * WEEK


class Past:
    """A database, in which a process works at any time of the past, and old weeks are removed."""

    def __init__(self, dsn: Dsn) -> None:
        self.dsn = dsn
        self.connection = dsn.connect()
        self.now = THIS_WEEK
        self._own = WorkerIdentity("past", Role.ALL, timedelta(hours=1), timedelta(0))
        self._own.register(self.connection)
        renew(self.connection, self._own)
        self.ids = RowIds(2, milliseconds=lambda: round(self.now.timestamp() * 1000))
        self.quick, self.other = map(self._committer, Isolation)
        self._known = set[datetime]()
        self.sids = dict[int, str]()
        """The SIDs of the callbacks, by their numbers."""
        for sid in (OURS, THEIRS):
            self.do(lambda tx, sid=sid: tx.accounts.add(account(sid), []))

    def _committer(self, isolation: Isolation) -> PostgresCommitter:
        types, own, ids = types_of_columns(self.connection), self._own, self.ids
        session = PostgresWriteBatch(TABLES, types, ids.make)
        transaction = PostgresTransaction(session, VAULT, BUDGET, own, ids)
        return PostgresCommitter(
            self.dsn, isolation, transaction, session, is_closing=lambda: False
        )

    def at(self, instant: datetime) -> "Past":
        """Set the time; ids get it, too."""
        self.now = instant
        week = EPOCH + (instant - EPOCH) // WEEK * WEEK
        if week not in self._known:
            self._known.add(week)
            with self.connection.transaction():
                for table in PARTITIONED:
                    make_partitions_of(self.connection, table, [ids_of_week(week)[0]])
        return self

    def do(self, work: Callable[[Transaction], Any], *, is_quick: bool = False) -> Any:
        job = CommitJob(work)
        (self.quick if is_quick else self.other).commit([job])
        if job.failure is not None:
            raise job.failure
        return job.result

    def add(
        self, *numbers: int, whose: str = OURS, due: datetime | None = None, key: str | None = None
    ) -> None:
        made = {
            one: callback(one, whose, created=self.now, due=due or self.now, key=key)
            for one in numbers
        }
        self.do(lambda tx: [tx.callbacks.add(one) for one in made.values()], is_quick=True)
        self.sids |= {one: each.sid for one, each in made.items()}

    def send(
        self,
        decision: Decision = DELIVERED,
        *,
        whose: str = OURS,
        answer: ReceiverResponseRecord = ANSWER,
        limit: int = 100,
    ) -> None:
        """Send what is due, and settle it like this."""

        def work(tx: Transaction) -> None:
            lane = OUR_LANE if whose == OURS else THEIR_LANE
            claims = claim_from(tx, lane, self.now, limit=limit)
            tx.callbacks.settle(
                [
                    ended(one, decision, self.now, response=answer, request=rendered(one))
                    for one in claims
                ]
            )

        self.do(work, is_quick=True)

    def replay(self, number: int) -> None:
        def work(tx: Transaction) -> None:
            one = tx.callbacks.find(self.sids[number])
            assert one is not None
            tx.callbacks.change(one.having(replay(one.progress, self.now)))

        self.do(work)

    def discard(self, number: int) -> None:
        def work(tx: Transaction) -> None:
            one = tx.callbacks.find(self.sids[number])
            assert one is not None
            tx.callbacks.change(one.having(discard(one.progress, "enough", self.now)))

        self.do(work)

    def retire(
        self, policy: RetentionPolicy | RetentionTimes, now: datetime = THIS_WEEK, **more: Any
    ) -> list[RetiredWeek]:
        """Remove old weeks without a pause."""
        if isinstance(policy, RetentionTimes) and not isinstance(policy, RetentionPolicy):
            policy = RetentionPolicy(policy, {})
        done = retire_weeks(self.dsn.connect, policy, now, **{"pause": lambda _: None, **more})
        return [week for weeks in done for week in weeks]

    def public(self) -> dict[int, Any]:
        """Return what can be read of each callback that is left, by its number."""

        def work(tx: Transaction) -> dict[int, Any]:
            found = {number: tx.callbacks.find(sid) for number, sid in self.sids.items()}
            return {
                number: (one, tx.callbacks.attempts(one.sid))
                for number, one in found.items()
                if one is not None
            }

        return self.do(work)

    def rows(self, table: str) -> int:
        return self.value(f"SELECT count(*) FROM {table}")  # noqa: S608 (its own names)

    def value(self, query: str) -> Any:
        (value,) = self.connection.execute(query.encode()).fetchone() or (None,)
        return value

    def weeks(self, table: str) -> set[datetime]:
        """Return which weeks of the past have a partition."""
        found = {begins for begins, _ in partitions_of(self.connection, table)}
        return {begins for begins in found if begins < weeks_ago(1)}

    def strays(self) -> list[str]:
        """Return the references that lead to no row, and the tables that are left behind."""
        counts = {what: self.rows(where) for what, where in STRAYS.items()}
        found = [f"{what} {number}" for what, number in counts.items() if number]
        names = self.connection.execute(
            b"SELECT relname FROM pg_class WHERE relname ~ '_(gone|new)$' AND relkind = 'r'"
        )
        return [*found, *(name for (name,) in names)]

    def close(self) -> None:
        self.quick.close()
        self.other.close()
        if not self.connection.closed:
            leave(self.connection, self._own)
            self.connection.close()


def _without(table: str, column: str, target: str, key: str = "id") -> str:
    return (
        f"{table} AS one WHERE {column} IS NOT NULL AND NOT EXISTS ("
        f"SELECT FROM {target} AS other WHERE other.{key} = one.{column})"
    )


STRAYS = {
    "attempts of no callback": _without("attempts", "callback_id", "callbacks"),
    "outcomes of no callback": _without("outcomes", "id", "callbacks"),
    "waiting of no callback": _without("waiting", "id", "callbacks"),
    "open attempts of no callback": _without("open_attempts", "id", "callbacks"),
    "keys of no callback": _without("idempotency", "callback_id", "callbacks"),
    "copies of no callback": _without("shadows", "callback_sid", "callbacks", "sid"),
    "attempts without a result": _without("attempts", "result_id", "attempt_results"),
    "attempts without a head": _without("attempts", "head_id", "request_heads"),
    "callbacks without a target": _without("callbacks", "target_id", "callback_targets"),
    "callbacks without a key": (
        "callbacks AS one WHERE idempotency_key IS NOT NULL AND NOT EXISTS ("
        "SELECT FROM idempotency AS key WHERE key.callback_id = one.id)"
    ),
    "callbacks without a state": (
        "callbacks AS one WHERE NOT EXISTS (SELECT FROM outcomes WHERE outcomes.id = one.id)"
        " AND NOT EXISTS (SELECT FROM attempts WHERE callback_id = one.id AND number = 1)"
        " AND NOT EXISTS (SELECT FROM waiting WHERE waiting.id = one.id)"
        " AND NOT EXISTS (SELECT FROM open_attempts WHERE open_attempts.id = one.id)"
    ),
    "outcomes of unended callbacks": (
        "outcomes JOIN (SELECT id FROM waiting UNION ALL SELECT id FROM open_attempts) AS one"
        " USING (id)"
    ),
    "bodies without a result": _without("answer_bodies", "id", "attempt_results"),
    "long answers of nobody": (
        "(SELECT sid FROM long_responses UNION SELECT sid FROM kept_responses) AS one"
        " WHERE sid NOT IN (SELECT sid FROM callbacks UNION SELECT sid FROM shadows)"
    ),
}


@contextmanager
def a_database(server: str, template: str = "template0") -> Iterator[str]:
    name = f"past_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        yield name
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture(scope="session")
def past_template(postgres_dsn: str) -> Iterator[str]:
    with a_database(postgres_dsn) as name:
        schema.upgrade(Dsn(make_conninfo(postgres_dsn, dbname=name)), VAULT)
        yield name


@pytest.fixture
def past(postgres_dsn: str, past_template: str) -> Iterator[Past]:
    with (
        a_database(postgres_dsn, past_template) as name,
        closing(Past(Dsn(make_conninfo(postgres_dsn, dbname=name)))) as past,
    ):
        yield past


# ---- what goes, and what stays -------------------------------------------------------------------


def test_a_week_goes_with_all_that_belongs_to_it(past: Past) -> None:
    past.at(weeks_ago(6)).add(1, key="a key")
    past.send(answer=LONG)
    past.add(2, whose=THEIRS)
    past.send(whose=THEIRS)
    past.at(weeks_ago(1)).add(3)
    past.send()
    before = past.public()
    done = past.retire(MONTH)
    assert past.public() == {3: before[3]}
    assert past.strays() == []
    left = ("callbacks", "attempts", "callback_targets", "request_heads", "attempt_results")
    assert {table: past.rows(table) for table in left} == dict.fromkeys(left, 1)
    gone = ("idempotency", "long_responses", "kept_responses", "outcomes")
    assert {table: past.rows(table) for table in gone} == dict.fromkeys(gone, 0)
    assert past.value("SELECT sum(bytes) FROM kept_bytes") == 0
    assert all(past.weeks(table) == set() for table in PARTITIONED if table != "bodies")
    assert {table for one in done for table in one.tables} == set(PARTITIONED)
    assert all(one.kept == 0 and one.freed > 0 and 0 < one.locked < 1 for one in done)
    past.at(THIS_WEEK).add(4, key="a key")
    assert past.retire(MONTH) == []


def test_a_week_goes_behind_a_pooler(past: Past) -> None:
    past.at(weeks_ago(6)).add(1, key="a key")
    past.send(answer=LONG)
    past.at(weeks_ago(6)).add(2)
    folder = Path(past.connection.info.host)
    with a_pgbouncer(folder) as pooler:
        pooled = Dsn(make_conninfo(past.dsn.text, host=str(pooler.folder)))
        connect = pooled.without_prepared_statements().connect
        done = [*chain(*retire_weeks(connect, RetentionPolicy(MONTH, {}), THIS_WEEK))]
    # The second one still waits.
    assert next(one.kept for one in done if "callbacks" in one.tables) == 1
    assert (past.rows("callbacks"), past.rows("idempotency"), past.strays()) == (1, 0, [])


async def test_after_work_that_took_long_the_rest_is_left_for_the_next_pass(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (6, 7, 8):
        past.at(weeks_ago(number)).add(number)
        past.send()
    monkeypatch.setattr(store, "_LONG", -1.0)
    opened = store.PostgresStore.open(past.dsn, VAULT, store.PostgresOptions(role=Role.API))
    try:
        policy = RetentionPolicy(MONTH, {})
        assert await opened.retire_weeks(policy, THIS_WEEK) is True
        assert past.rows("callbacks") >= 2  # weeks without callbacks may come first
        turns = 1
        while await opened.retire_weeks(policy, THIS_WEEK):
            turns += 1
    finally:
        await opened.close()
    assert turns >= 3
    assert past.rows("callbacks") == 0


def test_nothing_goes_before_its_time(past: Past) -> None:
    past.at(weeks_ago(6) + 6 * DAY).add(1, key="a key")
    past.send()
    before = past.public()
    # The week ends five weeks ago.
    late = MONTH._replace(attempts=35 * DAY + SECOND, delivered=36 * DAY, answers=34 * DAY + SECOND)
    past.retire(late)
    past.retire(FOREVER)
    assert (past.public(), past.strays()) == (before, [])


def test_what_is_kept_longer_stays(past: Past) -> None:
    past.at(weeks_ago(10)).add(1, 2)
    past.send()
    past.add(3)
    past.send(GiveUp("no"))
    past.add(4, whose=THEIRS)
    past.send(whose=THEIRS)
    past.add(5, whose=THEIRS, key="kept")
    past.discard(5)
    past.at(weeks_ago(3)).replay(2)
    past.send()
    before = past.public()
    done = past.retire(KEEPS_THEIRS)
    assert past.public() == {number: before[number] for number in (2, 3, 4, 5)}
    assert past.strays() == []
    assert next(one for one in done if "callbacks" in one.tables).kept == 4
    # A week later, it is looked at again.
    assert past.retire(KEEPS_THEIRS, THIS_WEEK + 6 * DAY) == []
    past.retire(KEEPS_THEIRS, THIS_WEEK + 30 * DAY)
    assert set(past.public()) == {4, 5}
    # Other times are in force at once.
    past.retire(WHOLE, THIS_WEEK + 30 * DAY)
    assert set(past.public()) == set()
    assert past.strays() == []
    assert past.weeks("callbacks") == set()


def test_what_is_due_in_a_year_survives_and_is_delivered(past: Past) -> None:
    past.at(weeks_ago(60)).add(1)
    past.send()
    past.add(2, due=weeks_ago(8), key="a key")
    past.at(weeks_ago(58)).add(3, due=THIS_WEEK)
    before = past.public()
    past.retire(WHOLE, weeks_ago(9))
    assert past.public() == {number: before[number] for number in (2, 3)}
    past.at(weeks_ago(8)).send()
    (ended_now,) = (one for one, _ in past.public().values() if one.sid == past.sids[2])
    assert ended_now.progress.status is CallbackStatus.DELIVERED
    before = past.public()
    past.retire(WHOLE, weeks_ago(7))
    assert past.public() == before
    past.retire(WHOLE, weeks_ago(3))
    assert past.public() == {3: before[3]}
    assert past.strays() == []
    past.at(THIS_WEEK).send()
    past.retire(WHOLE, THIS_WEEK + 5 * WEEK)
    assert (past.public(), past.strays(), past.weeks("attempts")) == ({}, [], set())


def test_attempts_go_before_their_callbacks(past: Past) -> None:
    times = MONTH._replace(answers=None, delivered=100 * DAY, undelivered=100 * DAY)
    past.at(weeks_ago(8)).add(5)
    past.send(GiveUp("no"))
    past.add(6, due=THIS_WEEK + WEEK)
    past.at(weeks_ago(7)).add(1, 2)
    past.send(RetryLater(past.now + SECOND, 1), answer=LONG)
    past.at(past.now + SECOND).send(GiveUp("no"), answer=LONG)
    past.add(3, due=past.now + 2 * DAY)
    past.at(past.now + 2 * DAY).send()
    past.add(4, due=THIS_WEEK + WEEK)
    past.at(weeks_ago(2)).replay(2)
    past.send(GiveUp("no"))
    before = past.public()
    past.retire(times)
    after = past.public()
    assert {number: len(attempts) for number, (_, attempts) in before.items()} == {
        1: 2, 2: 3, 3: 1, 4: 0, 5: 1, 6: 0,
    }  # fmt: skip
    assert after == before | {number: (before[number][0], []) for number in (1, 3, 5)}
    assert past.strays() == []
    assert past.rows("long_responses") == 2, "those of the callback that was replayed"
    past.at(THIS_WEEK).replay(3)
    past.send()
    past.at(THIS_WEEK + WEEK).send()
    after = past.public()
    assert [len(after[number][1]) for number in (4, 6)] == [1, 1]


def test_bodies_of_answers_go_first(past: Past) -> None:
    past.at(weeks_ago(5)).add(1)
    past.send(GiveUp("no"))
    past.add(2, 3, whose=THEIRS)
    past.send(whose=THEIRS)
    past.add(4)
    past.send(GiveUp("no"), answer=ANSWER._replace(body=b"another"))
    past.at(THIS_WEEK - 5 * DAY).replay(4)
    past.send()
    before = past.public()
    week = MONTH._replace(attempts=None, delivered=None)
    done = past.retire(RetentionPolicy(week, {THEIRS: FOREVER}))
    assert [one.tables for one in done] == [("answer_bodies",)]
    after = past.public()
    bodies = {n: [one.response.body for one in attempts] for n, (_, attempts) in after.items()}
    assert bodies == {1: [b""], 2: [b"thanks"], 3: [b"thanks"], 4: [b"another", b"thanks"]}
    assert {number: len(attempts) for number, (_, attempts) in before.items()} == {
        number: len(attempts) for number, (_, attempts) in after.items()
    }
    assert past.strays() == []


INTERNED = ("callback_targets", "request_heads", "attempt_results", "answer_bodies")


def test_rows_that_others_refer_to_stay_while_one_does(past: Past) -> None:
    """A row is used for a day, also by callbacks of the next week and of much earlier ones."""
    past.at(weeks_ago(9)).add(1, due=weeks_ago(7) - SECOND, whose=THEIRS)
    past.at(weeks_ago(7) - SECOND).add(2)
    past.send()
    past.send(whose=THEIRS)
    past.at(weeks_ago(7) + SECOND).add(3)
    past.send()
    assert [past.rows(table) for table in INTERNED] == [2, 2, 2, 2]
    past.at(weeks_ago(6)).at(weeks_ago(3)).replay(3)
    past.send()
    before = past.public()
    # The week in which 3 was created is due, but not yet the one after it.
    past.retire(KEEPS_THEIRS, weeks_ago(6) + 30 * DAY)
    assert past.public() == {number: before[number] for number in (1, 3)}
    assert past.strays() == []
    # The last one is of the replay.
    assert [past.rows(table) for table in INTERNED] == [2, 3, 3, 3]
    past.retire(WHOLE, THIS_WEEK + 6 * WEEK)
    assert [past.rows(table) for table in INTERNED] == [0, 0, 0, 0]


def test_a_row_stays_that_was_made_just_after_the_week_of_its_callback(past: Past) -> None:
    past.at(weeks_ago(7))
    with past.connection.transaction():
        make_partitions_of(past.connection, "callbacks", [ids_of_week(weeks_ago(8))[0]])
    ticks = count(round(weeks_ago(7).timestamp() * 1000) - 1)
    past.now = weeks_ago(7)
    past.ids._milliseconds = lambda: next(ticks)
    past.add(1, whose=THEIRS)
    (first, target) = past.connection.execute(
        b"SELECT id, target_id FROM callbacks"
    ).fetchone() or (0, 0)
    assert first < ids_of_week(weeks_ago(7))[0] <= target
    past.retire(KEEPS_THEIRS)
    assert past.strays() == []


def test_copies_from_other_sources_go_with_the_attempts(past: Past) -> None:
    past.at(weeks_ago(7)).add(1, 2)
    past.send()
    past.at(weeks_ago(2)).replay(2)
    past.send()
    statement = (
        "INSERT INTO shadows (seq, sid, callback_sid, account_sid, source, idempotency_token, url,"
        " started_us, result) VALUES (?, ?, ?, ?, 'kore', 'token', 'http://h/', 0, 'delivered')"
    )
    for number in (1, 2):
        execute(past.connection, statement, [number, f"CS{number}", past.sids[number], OURS])
        left_out = "INSERT INTO long_responses VALUES (?, 1, 0, 9, NULL)"
        execute(past.connection, left_out, [f"CS{number}"])
    past.retire(MONTH._replace(delivered=35 * DAY + SECOND))
    assert past.value("SELECT string_agg(sid, ' ') FROM shadows") == "CS2"
    assert past.value("SELECT string_agg(sid, ' ') FROM long_responses") == "CS2"
    assert past.strays() == []


# ---- beside others -------------------------------------------------------------------------------


def before_the_lock(monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> None:
    """Have others do something once, after the rows of a week were copied."""
    original, is_done = week_exchange.WeekExchange._lock, list[bool]()

    def lock(self: Any, *given: Any) -> Any:
        if not is_done:
            is_done.append(True)
            work()
        return original(self, *given)

    monkeypatch.setattr(week_exchange.WeekExchange, "_lock", lock)


def delete(past: Past, number: int) -> None:
    """Delete the rows of a callback, one by one."""
    (row_id,) = execute(
        past.connection, "SELECT id FROM callbacks WHERE sid = ?", [past.sids[number]]
    ).fetchone()
    for table, key in (("attempts", "callback_id"), ("outcomes", "id"), ("callbacks", "id")):
        statement = f"DELETE FROM {table} WHERE {key} = ?"  # noqa: S608 (its own names)
        execute(past.connection, statement, [row_id])


def test_what_others_change_meanwhile_is_not_lost(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    past.at(weeks_ago(20)).add(1, 2, key=None)
    past.send(limit=1)
    past.send(GiveUp("no"))
    past.add(3, due=THIS_WEEK)
    past.add(4, 5, 6, 7, whose=THEIRS)
    past.send(whose=THEIRS)
    past.add(8, 9, 10)
    past.send()
    left = dict[int, Any]()

    def change() -> None:
        past.at(THIS_WEEK).send()  # 3
        past.replay(2)
        past.send(GiveUp("not again"))
        for number in (4, 5):
            past.replay(number)
        past.discard(4)
        past.send(RetryLater(THIS_WEEK + DAY, 1), whose=THEIRS)  # 5
        for number in (6, 10):
            past.replay(number)
        past.do(lambda tx: claim_from(tx, THEIR_LANE, past.now, limit=1), is_quick=True)
        past.do(lambda tx: claim_from(tx, OUR_LANE, past.now, limit=1), is_quick=True)
        past.replay(8)
        delete(past, 7)
        left.update(past.public())

    before_the_lock(monkeypatch, change)
    past.retire(KEEPS_THEIRS)
    del left[1], left[9]
    assert set(left) == {2, 3, 4, 5, 6, 8, 10}
    assert past.public() == left
    assert past.strays() == []
    assert past.value("SELECT count(*) FROM retirement_changes") == 0


def test_a_transaction_that_began_before_sees_all_that_is_kept(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    past.at(weeks_ago(20)).add(1)
    past.send()
    past.add(2, 3, whose=THEIRS)
    past.send(whose=THEIRS)
    with past.dsn.connect() as reader:
        reader.execute(b"BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM changes")
        before_the_lock(monkeypatch, lambda: past.at(THIS_WEEK).replay(3))
        past.retire(KEEPS_THEIRS)
        assert past.rows("callbacks") == 2
        for table in ("callbacks", "attempts", "callback_targets", "attempt_results"):
            seen = len(reader.execute(f"TABLE {table}".encode()).fetchall())
            assert seen == past.rows(table), table


def test_a_long_reader_delays_it_and_others_go_on(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    past.at(weeks_ago(20)).add(1)
    past.send()
    pauses = list[float]()

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        assert other.execute(b"SELECT count(*) FROM callbacks").fetchone() == (1,)

    with past.dsn.connect() as other, past.dsn.connect() as reader:
        other.execute(b"SET lock_timeout = 1")
        reader.execute(b"BEGIN; SELECT FROM attempts")
        assert past.retire(MONTH, pause=pause) == []
        assert len(pauses) == 12
        assert (past.rows("callbacks"), past.strays()) == (1, [])
        reader.execute(b"COMMIT")
        # It may also begin during the copy.
        before_the_lock(monkeypatch, lambda: reader.execute(b"BEGIN; SELECT FROM outcomes"))
        monkeypatch.setattr(week_exchange, "_TRIES", ((10, 0.1), (20, 0.5)))
        pauses.clear()
        assert past.retire(MONTH, pause=pause) == []
        assert pauses == [0.1, 0.5]
        assert (past.rows("callbacks"), past.strays()) == (1, [])
        reader.execute(b"COMMIT")
        assert past.retire(MONTH, pause=lambda _: None)[0].tables == OF_CALLBACKS_GONE
    assert past.strays() == []


OF_CALLBACKS_GONE = ("callbacks", "outcomes", "attempts")


def test_it_makes_room_for_an_upgrade(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    past.at(weeks_ago(20)).add(1, whose=THEIRS)
    past.send(whose=THEIRS)
    past.add(2)
    past.send()

    def upgrade() -> None:
        past.connection.execute(b"CREATE INDEX another ON callbacks (created_us)")

    before_the_lock(monkeypatch, upgrade)
    assert past.retire(KEEPS_THEIRS) == []
    done = past.retire(KEEPS_THEIRS)
    assert [one.kept for one in done if "callbacks" in one.tables] == [1]
    (name,) = (
        name
        for begins, name in partitions_of(past.connection, "callbacks")
        if begins < weeks_ago(9)
    )
    indexed = f"SELECT count(*) FROM pg_index WHERE indrelid = '{name}'::regclass"  # noqa: S608 (ours)
    assert past.value(indexed) == 5


def test_two_processes_do_not_do_the_same(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    past.at(weeks_ago(20)).add(1)
    past.send()
    others = list[Any]()
    before_the_lock(monkeypatch, lambda: others.append(past.retire(MONTH)))
    assert past.retire(MONTH) != []
    assert others == [[]]
    assert past.strays() == []


def test_data_that_was_copied_elsewhere_stays_as_it_is(past: Past) -> None:
    past.at(weeks_ago(20)).add(1)
    past.send()
    past.connection.execute(b"SELECT fence_data()")
    with pytest.raises(StoreUnavailable) as refused:
        past.retire(MONTH)
    assert "copies or has copied the data" in refused.value.detail
    past.connection.execute(b"SELECT unfence_data()")
    assert (past.rows("callbacks"), past.strays()) == (1, [])


_HISTORY = """
WITH made AS (
    INSERT INTO callbacks (id, sid, account_id, lane_id, target_id, created_us, idempotency_token,
        idempotency_key, body)
    SELECT id, dated || lpad(to_hex(n), 22, '0'), account_id, lane_id, target_id, created_us,
        n::text, n::text, repeat('A=1&', 40)
    FROM (
        SELECT n, {first} + (n::bigint << 21) AS id, substr(sid, 1, 12) AS dated, lane_id,
            target_id,
            CASE WHEN n % 20 = 0 THEN {theirs} ELSE account_id END AS account_id, created_us
        FROM (SELECT * FROM callbacks ORDER BY id LIMIT 1) AS one,
            generate_series({number} + 1, {number} + {count}) AS n
    ) AS numbers
    RETURNING id, account_id, created_us, idempotency_key
), keys AS (
    INSERT INTO idempotency SELECT account_id, idempotency_key, id FROM made
), tried AS (
    INSERT INTO attempts (callback_id, number, started_us, result_id, head_id, delivered_us)
    SELECT made.id, 1, created_us, result_id, head_id, created_us
    FROM made, (SELECT result_id, head_id FROM attempts LIMIT 1) AS one
)
INSERT INTO outcomes (id, account_id, status, attempt_count, round_number, updated_us)
SELECT id, account_id, 1, 2, 0, created_us FROM made WHERE idempotency_key::bigint % 10 < 2
"""


def work_beside_it(past: Past, weeks: range, count: int) -> tuple[list[RetiredWeek], list[float]]:
    """Remove weeks with so many callbacks each, one of 20 of which is kept, beside others.

    Returns what was done, and how long each commit and each read of the others took.
    """
    theirs = past.value(f"SELECT id FROM accounts WHERE sid = '{THEIRS}'")  # noqa: S608 (a SID)
    for place, week in enumerate(weeks):
        if not place:
            past.at(weeks_ago(week)).add(1)
            past.send()
        first, _ = ids_of_week(past.at(weeks_ago(week)).now)
        past.connection.execute(
            _HISTORY.format(first=first, theirs=theirs, number=place * count, count=count).encode()
        )
    past.connection.execute(b"VACUUM ANALYZE")
    kept = past.rows("callbacks AS one WHERE account_id <> 1")
    assert kept == count * len(weeks) // 20
    is_over, took, troubles = threading.Event(), list[float](), list[object]()

    def write(past: Past) -> None:
        past.at(THIS_WEEK)
        for number in range(10**6, 2 * 10**6):
            if is_over.is_set():
                return
            began = perf_counter()
            past.add(number)
            past.send()
            past.replay(number)
            past.send()
            took.append((perf_counter() - began) / 4)

    def read(_: Past) -> None:
        with past.dsn.connect() as connection:
            while not is_over.is_set():
                began = perf_counter()
                with connection.transaction():
                    connection.execute(b"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                    connection.execute(b"SELECT FROM changes")
                    row = connection.execute(
                        b"SELECT count(*) FROM (SELECT account_id FROM callbacks"
                        b" WHERE account_id = $1 ORDER BY id LIMIT 500) AS page",
                        [theirs],
                    ).fetchone()
                took.append(perf_counter() - began)
                if row is None or row[0] != min(kept, 500):
                    troubles.append(row)

    def watched(work: Callable[[Past], None]) -> None:
        try:
            work(past)
        except Exception as trouble:  # noqa: BLE001 (the test reports it)
            troubles.append(trouble)

    others = [threading.Thread(target=watched, args=(one,)) for one in (write, read, read)]
    for one in others:
        one.start()
    try:
        done = past.retire(KEEPS_THEIRS, pause=sleep)
    finally:
        is_over.set()
        for one in others:
            one.join()
    assert troubles == []
    assert past.rows("callbacks AS one WHERE account_id <> 1") == kept
    assert past.strays() == []
    return done, took


def test_readers_and_writers_go_on_meanwhile(past: Past) -> None:
    done, took = work_beside_it(past, range(12, 10, -1), 1_000)
    assert [one.kept for one in done if "callbacks" in one.tables] == [50, 50]
    assert past.rows("idempotency") == 100
    assert max(one.locked for one in done) < 0.5
    assert max(took) < 2
    assert len(took) > 50


@pytest.mark.long
@pytest.mark.timeout(600)
def test_readers_and_writers_of_a_large_database_hardly_notice_it(past: Past) -> None:
    done, took = work_beside_it(past, range(12, 10, -1), 400_000)
    assert [one.kept for one in done if "callbacks" in one.tables] == [20_000] * 2
    locked, waited = max(one.locked for one in done), sorted(took)
    print(f"locked for up to {locked * 1000:.0f} ms; p95 {waited[len(took) * 19 // 20]:.4f} s")
    print(f"longest {waited[-1]:.3f} s of {len(took)}")
    assert locked < 0.2
    assert waited[-1] < 1


# ---- interruptions -------------------------------------------------------------------------------


def interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a call end right after it has exchanged the partitions of a week."""
    calls = count(1)

    def clean_up(*given: Any) -> None:
        if next(calls) == 2:
            raise WeeksBusy
        week_cleanup.clean_up(*given)

    monkeypatch.setattr(retired_weeks, "clean_up", clean_up)


def test_a_key_is_free_as_soon_as_its_callback_has_gone(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    past.at(weeks_ago(20)).add(1, key="a key")
    past.add(2, key="another")
    past.send(answer=LONG)
    interrupted(monkeypatch)
    past.retire(MONTH)
    assert (past.public(), past.rows("idempotency")) == ({}, 2)
    past.at(THIS_WEEK)
    new = callback(3, created=THIS_WEEK, key="a key")

    def create(tx: Transaction) -> None:
        assert tx.callbacks.with_key(OURS, "a key") is None
        tx.callbacks.add(new)

    past.do(create)
    past.do(lambda tx: tx.callbacks.with_key(OURS, "a key"))
    past.retire(MONTH)
    assert past.strays() == []
    found = past.do(lambda tx: tx.callbacks.with_key(OURS, "a key"))
    assert (found and found.sid, past.rows("idempotency")) == (new.sid, 1)


def test_data_can_be_copied_between_two_steps(
    past: Past, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    past.at(weeks_ago(20)).add(1, key="a key")
    past.send()
    past.add(2, whose=THEIRS, due=THIS_WEEK)
    interrupted(monkeypatch)
    past.retire(MONTH)
    assert past.strays()[0] == "keys of no callback 1"
    past.close()
    database = PostgresDatabase(past.dsn.text, VAULT.keys[0])
    folder = DataFolder(tmp_path / "copy", VAULT.keys[0])
    assert database.copy_to(folder, lambda _: None).copied > 0


def test_callbacks_of_a_copy_have_partitions_for_what_comes_later(past: Past) -> None:
    week = weeks_ago(70)
    with past.connection.transaction():
        make_partitions_of(past.connection, "callbacks", [ids_of_week(week)[0]])
    assert all(week in past.weeks(table) for table in OF_CALLBACKS)
    assert week not in past.weeks("request_heads")


def kill_at(monkeypatch: pytest.MonkeyPatch, statement: int) -> None:
    """Break the connection instead of running this statement."""
    numbers = count(1)

    def run(connection: Connection, *given: Any, **options: Any) -> Any:
        if next(numbers) == statement:
            connection.close()
        return execute(connection, *given, **options)

    for module in (week_cleanup, week_copy, week_exchange, week_marks):
        monkeypatch.setattr(module, "execute", run)


def kill_again_and_again(
    past: Past, monkeypatch: pytest.MonkeyPatch, steps: range, least: int
) -> None:
    """Break off at all these statements, one after the other, then let a call finish."""
    past.at(weeks_ago(20)).add(1, 2, key=None)
    past.send(answer=LONG)
    past.add(3, key="a key", due=past.now + DAY)
    past.at(past.now + DAY).send()
    past.add(4, whose=THEIRS)
    past.send(whose=THEIRS)
    past.at(weeks_ago(15)).add(5, key="b")
    past.send(GiveUp("no"))
    past.add(6, due=THIS_WEEK)
    past.at(weeks_ago(2)).add(7)
    past.send()
    before, kept = past.public(), {4, 6, 7}
    kills = 0
    for step in steps:
        kill_at(monkeypatch, step)
        with suppress(StoreUnavailable):
            past.retire(KEEPS_THEIRS)
            break
        kills += 1
        left = past.public()
        assert set(left) >= kept
        assert left == {number: before[number] for number in left}
        strays = [one for one in past.strays() if "_gone" not in one]
        assert {one[:-2] for one in strays} <= {"keys of no callback", "long answers of nobody"}
    monkeypatch.undo()
    past.retire(KEEPS_THEIRS)
    assert past.public() == {number: before[number] for number in kept}
    assert past.strays() == []
    assert kills >= least


def test_killed_at_any_statement_nothing_is_half_gone(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_again_and_again(past, monkeypatch, range(6, 400, 6), 10)


@pytest.mark.long
@pytest.mark.parametrize("first", [1, 2, 3, 4])
def test_killed_a_hundred_times_nothing_is_half_gone(
    past: Past, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    kill_again_and_again(past, monkeypatch, range(first, 400, 2), 30)


# ---- the rule ------------------------------------------------------------------------------------


@dataclass
class Known:
    """What a test knows of a callback."""

    whose: str
    created: datetime
    due: datetime | None
    ended: datetime | None = None
    is_undelivered: bool = False
    made: int = 0
    """How many attempts were made."""
    bodies: dict[int, datetime] = field(default_factory=dict[int, datetime])
    """The attempts that are left, with the time of their answers."""


class History:
    """Callbacks that live on at random, while old weeks are removed, and what is known of them."""

    def __init__(self, past: Past) -> None:
        self._past = past.at(weeks_ago(60))
        self._callbacks = dict[int, Known]()
        self._numbers = count(1)
        self._looked_at = {"delivered": set[datetime](), "attempts": set[datetime]()}
        """The weeks that were looked at, by what was due then."""

    def do(self, step: str, *given: Any) -> None:
        getattr(self, step)(*given)

    def add(self, whose: str, delay: timedelta) -> None:
        number, now = next(self._numbers), self._past.now
        self._past.add(number, whose=whose, due=now + delay, key=f"key {number}")
        self._callbacks[number] = Known(whose, now, now + delay)

    def go_on(self, time: timedelta) -> None:
        self._past.at(min(self._past.now + time, weeks_ago(2)))

    def send(self, whose: str, decision: Decision, answer: int) -> None:
        past = self._past
        if isinstance(decision, RetryLater):
            decision = RetryLater(past.now + DAY, 1)
        body = f"{answer} {past.now}".encode()  # so that no other week uses it
        past.send(decision, whose=whose, answer=ANSWER._replace(body=body))
        for one in self._callbacks.values():
            if one.whose == whose and one.due is not None and one.due <= past.now:
                one.made += 1
                one.bodies[one.made] = past.now
                one.due = past.now + DAY if isinstance(decision, RetryLater) else None
                one.ended = past.now if one.due is None else None
                one.is_undelivered = isinstance(decision, GiveUp)

    def replay(self, place: int) -> None:
        ended_ones = {number: one for number, one in self._callbacks.items() if one.ended}
        if ended_ones:
            number = sorted(ended_ones)[place % len(ended_ones)]
            self._past.replay(number)
            one = ended_ones[number]
            one.ended, one.due = None, self._past.now

    def discard(self, place: int) -> None:
        waiting = [number for number, one in self._callbacks.items() if one.due is not None]
        if waiting:
            number = waiting[place % len(waiting)]
            self._past.discard(number)
            one = self._callbacks[number]
            one.ended, one.due, one.is_undelivered = self._past.now, None, True

    def retire(self, server: RetentionTimes, theirs: RetentionTimes | None) -> None:
        # An account of its own makes each policy another one, so all weeks are looked at again.
        own = {f"AC{next(self._numbers)}": FOREVER} | ({THEIRS: theirs} if theirs else {})
        policy = RetentionPolicy(server, own)
        self._past.retire(policy, self._past.now)
        self._forget(policy)
        self.check()

    def _forget(self, policy: RetentionPolicy) -> None:
        server = policy.server
        whole = [time for time in (server.delivered, server.undelivered) if time is not None]
        for number, one in [*self._callbacks.items()]:
            times = policy.of(one.whose)
            kept_for = times.undelivered if one.is_undelivered else times.delivered
            is_due = self._is_due("delivered", one.created, min(whole, default=None))
            attempts_due = self._is_due("attempts", one.created, server.attempts) or is_due
            if attempts_due:
                self._looked_at["attempts"].add(week_of(one.created))
            if is_due and self._has_passed(one, kept_for):
                del self._callbacks[number]
            elif attempts_due and self._has_passed(one, times.attempts, kept_for):
                one.bodies.clear()

    def _is_due(self, what: str, made: datetime, time: timedelta | None) -> bool:
        week = week_of(made)
        if time is not None and week + WEEK + time <= self._past.now:
            self._looked_at[what].add(week)
        return week in self._looked_at[what]

    def _has_passed(self, one: Known, *times: timedelta | None) -> bool:
        shortest = min((time for time in times if time is not None), default=None)
        return (
            one.ended is not None
            and shortest is not None
            and one.ended + shortest <= self._past.now
        )

    def check(self) -> None:
        found = self._past.connection.execute(
            b"SELECT idempotency_token, coalesce(array_agg(number) FILTER (WHERE number > 0), '{}')"
            b" FROM callbacks LEFT JOIN attempts ON callback_id = id GROUP BY 1"
        )
        rows = {int(token.split()[1]): {*numbers} for token, numbers in found.fetchall()}
        assert rows == {number: {*one.bodies} for number, one in self._callbacks.items()}
        assert self._past.strays() == []


def week_of(instant: datetime) -> datetime:
    return EPOCH + (instant - EPOCH) // WEEK * WEEK


_times = st.sampled_from([None, DAY, 9 * DAY, 30 * DAY, 90 * DAY])
_long_times = st.sampled_from([None, 8 * DAY, 30 * DAY, 90 * DAY])
TIMES = st.builds(RetentionTimes, _times, _times, _long_times, _long_times)
ACCOUNTS = st.sampled_from([OURS, THEIRS])
STEPS = st.one_of(
    st.tuples(
        st.just("add"),
        ACCOUNTS,
        st.sampled_from([timedelta(0), timedelta(0), timedelta(hours=2), 3 * DAY, 300 * DAY]),
    ),
    st.tuples(st.just("go_on"), st.sampled_from([timedelta(hours=1), DAY, 5 * DAY, 20 * DAY])),
    st.tuples(
        st.just("send"),
        ACCOUNTS,
        st.sampled_from([DELIVERED, DELIVERED, GiveUp("no"), RetryLater(THIS_WEEK, 1)]),
        st.integers(0, 3),
    ),
    st.tuples(st.just("replay"), st.integers(0, 9)),
    st.tuples(st.just("discard"), st.integers(0, 9)),
    st.tuples(st.just("retire"), TIMES, st.none() | TIMES),
)


def live_through(server: str, template: str, steps: list[Any]) -> None:
    with (
        a_database(server, template) as name,
        closing(Past(Dsn(make_conninfo(server, dbname=name)))) as past,
    ):
        history = History(past)
        for step in steps:
            history.do(*step)
        history.go_on(30 * DAY)
        history.retire(MONTH, None)


@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(STEPS, min_size=15, max_size=30))
def test_exactly_what_has_expired_goes(
    postgres_dsn: str, past_template: str, steps: list[Any]
) -> None:
    live_through(postgres_dsn, past_template, steps)


@pytest.mark.long
@pytest.mark.timeout(900)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(STEPS, min_size=20, max_size=60))
def test_exactly_what_has_expired_goes_in_many_histories(
    postgres_dsn: str, past_template: str, steps: list[Any]
) -> None:
    live_through(postgres_dsn, past_template, steps)


# ---- partitions ----------------------------------------------------------------------------------


def test_weeks_without_rows_go_and_new_ones_stay(past: Past) -> None:
    past.at(weeks_ago(6)).at(weeks_ago(9))
    future = {begins for begins, _ in partitions_of(past.connection, "callbacks")}
    past.retire(MONTH)
    assert all(past.weeks(table) == set() for table in PARTITIONED)
    left = {begins for begins, _ in partitions_of(past.connection, "callbacks")}
    assert left == future - {weeks_ago(6), weeks_ago(9)}
    for _ in range(2):
        with past.connection.transaction():
            make_partitions(past.connection)
        assert past.retire(MONTH) == [], "none is made again and again"


def test_many_weeks_go_in_one_call(past: Past) -> None:
    for week in range(11, 6, -1):
        past.at(weeks_ago(week)).add(week)
        past.send()
    past.retire(MONTH)
    assert all(past.weeks(table) == set() for table in PARTITIONED)
    assert past.strays() == []


def test_without_the_server_s_times_no_week_is_due(past: Past) -> None:
    """Accounts with shorter times lose their rows one by one."""
    past.at(weeks_ago(50)).add(1)
    past.send()
    assert past.retire(RetentionPolicy(FOREVER, {OURS: MONTH})) == []


def nodes_in(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes_in(child)


@pytest.mark.parametrize("table", week_cleanup._CLEAN)
def test_what_belongs_to_removed_rows_is_found_by_index(past: Past, table: str) -> None:
    like = "shadows" if table == "shadows" else table
    past.connection.execute(f"CREATE TABLE gone (LIKE {like} INCLUDING ALL)".encode())
    if table == "shadows":
        past.connection.execute(b"ALTER TABLE gone RENAME seq TO id")
    statement = week_cleanup._CLEAN[table].format(gone="gone").replace("?", "1")
    past.connection.execute(b"SET enable_seqscan = off; SET enable_hashjoin = off")
    past.connection.execute(b"SET enable_mergejoin = off")
    plan = past.value(f"EXPLAIN (FORMAT JSON) {statement}")
    faults = [
        (node["Node Type"], node.get("Relation Name"))
        for node in nodes_in(plan[0]["Plan"])
        if node["Node Type"] in ("Seq Scan", "Hash Join", "Merge Join")
        or ("Index" in node["Node Type"] and "Index Cond" not in node)
    ]
    assert faults == []
