"""The plan of every SQL statement: which index finds its rows, and in which order.

A walk runs all methods of all tables, with every combination of filters, and must reach every place
in the code that runs a statement. So a new statement is examined too, or the test fails. SQLite
explains the statements as they are run: with their values bound, not written out, since it plans
differently if it sees a value.
"""

import ast
import re
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import combinations, product
from pathlib import Path
from types import ModuleType
from typing import Any, Final, cast

import pytest

from ringback import ports
from ringback.core.accounts.account import EVERY
from ringback.core.calendar import DAY
from ringback.core.callback_counts import CallbackCounts, CountedMinute, CountSpan
from ringback.core.callbacks.callback import (
    UNDELIVERED,
    CallbackStatus,
    DeliveryProgress,
    begin,
    discard,
)
from ringback.core.callbacks.response_storage import ResponseStorageBudget
from ringback.core.callbacks.retry import NoRetryNeeded, RetryLater
from ringback.core.destinations.destination_state import WELL, DestinationState
from ringback.core.http.http_exchange import ReceiverResponseRecord
from ringback.core.http.outcome import DeliveredOutcome, RefusedOutcome
from ringback.core.job import JobStatus
from ringback.core.policy.policy_version import OPERATOR, PolicyPart, PolicyVersion
from ringback.core.policy.source_policy import NOTICE, Source
from ringback.core.retention import RetentionTimes, TimeSubject
from ringback.core.sims.scenario import TaskKind
from ringback.core.supersim.usage import BillingPeriod
from ringback.core.wireless.usage import WirelessUsageQuery
from ringback.ports import (
    AuditFilter,
    CallbackFilter,
    CountFilter,
    CountSplit,
    DeliveryClaim,
    Lane,
    LanePlace,
    PageWindow,
    SendingPause,
    ShadowCallbackFilter,
    StreamEventFilter,
    Transaction,
    lane_of,
)
from ringback.stores.sql.streams import SqlStreamEvents
from ringback.stores.sql.transaction import CommitJob
from ringback.stores.sqlite import callbacks as callbacks_module
from ringback.stores.sqlite.callbacks import SqliteCallbacks
from ringback.stores.sqlite.group_commit import GroupCommitter
from ringback.stores.sqlite.store import connect
from ringback.stores.sqlite.write_batch import SqliteWriteBatch
from tests.destinations import set_at_run_time
from tests.fakes import NOW, VAULT, an_api_client, an_audit_entry, claim_from, next_due_in
from tests.stores.asking import add, ended, rendered, table_of
from tests.stores.records import (
    FLEETS,
    OUR_LANE,
    OURS,
    PROFILES,
    RATE_PLANS,
    SECOND,
    SIMS,
    WIRELESS_SIMS,
    account,
    api_key,
    callback,
    command_use,
    console_session,
    job,
    receiver_check,
    session,
    shadow,
    task,
    update_of,
    wireless_session,
)
from tests.stores.test_query_plans import FILTERS, RECORDS
from tests.stores.test_shadows import settled
from tests.streams import a_batch, a_sink, a_subscription, add_stream, an_event_of
from tests.wireless_fakes import a_wireless_update

Work = Callable[[Transaction], Any]
Place = tuple[str, int]
"""A file of the store, and a line in it."""

STORE: Final = Path(callbacks_module.__file__).parents[1]

ALLOWED: Final = (
    # a pattern of the statement, a pattern of the plan's step, and why the step is allowed
    (
        r"",
        r"SCAN (new|wanted|\d+-ROW VALUES CLAUSE|\d+ CONSTANT ROWS?|CONSTANT ROW)",
        "its own values",
    ),
    (r"started_us IS NOT NULL$", r"SCAN waiting$", "all that wait, once, at the start"),
    (r"FROM sent_at_once", r"SCAN (open|sent_at_once|listed)$", "few that are being sent"),
    (r"FROM sent_at_once", r"USE TEMP B-TREE FOR GROUP BY", "once, at the start"),
    (
        r"FROM jobs WHERE status = 'running'",
        r"SCAN jobs USING INDEX jobs_running",
        "only running ones",
    ),
    (
        r"FROM batched_callbacks",
        r"SCAN batched_callbacks",
        "all remaining ones, once, at the start",
    ),
    (
        r"FROM shadows WHERE result = 'open'",
        r"SCAN shadows USING INDEX shadows_open",
        "only open ones",
    ),
    (
        r"SELECT min\(accounts.sid\), count",
        r"SCAN .* INDEX waiting_of_account",
        "once, at the start",
    ),
    (
        r"FROM accounts CROSS JOIN outcomes",
        r"SCAN accounts USING COVERING INDEX",
        "of all accounts, once, at the start after a kill",
    ),
    (r"FROM waiting WHERE updated_us >= ", r"SCAN waiting$", "likewise"),
    (r"SELECT total\(due_us", r"SCAN waiting$", "now and then, beside commits"),
    (r"FROM accounts WHERE true", r"SCAN accounts", "the query is for all accounts"),
    (r"FROM api_keys WHERE true", r"SCAN api_keys", "the query is for all accounts"),
    (r"token_keys", r"SCAN token_keys", "has one row"),
    (r"id_leases", r"SCAN id_leases", "has one row"),
    (r"FROM retention_times", r"SCAN retention_times", "a few for some accounts"),
    (
        r"FROM jobs WHERE plan_id IS NOT NULL AND NOT EXISTS",
        r"SCAN jobs USING INDEX jobs_with_plan$",
        "of all accounts, in the order of the index",
    ),
    (
        r"FROM receiver_checks ORDER BY checked_us",
        r"SCAN receiver_checks USING INDEX receiver_checks_by_date",
        "of all accounts, in the order of the index",
    ),
    (r"FROM stream_subscriptions ORDER", r"SCAN stream_subscriptions$", "the query is for all"),
    (r"FROM stream_subscriptions WHERE EXISTS", r"SCAN stream_sub", "few, once at the start"),
    (
        r"FROM stream_batches ORDER BY first_event_id",
        r"SCAN stream_batches USING COVERING INDEX stream_batches_by_event",
        "the first ones, in the order of the index",
    ),
    (r"AS nearest", r"SCAN nearest$", "at most as many as its limit says"),
    (r"DELETE FROM destination_settings", r"SCAN destination_settings$", "few, once in a pass"),
    (r"FROM destination_states", r"SCAN destination_states$", "few, when shards are taken over"),
    (r"FROM \( ?SELECT", r"SCAN (kept|listed|copies|counted)$", "a part that an index has found"),
    (r"GROUP BY target_id", r"USE TEMP B-TREE FOR GROUP BY", "of one part of a period"),
    (r"FROM command_uses", r"USE TEMP B-TREE", "of the time that is asked for"),
    (r"sum\(accepted\)", r"USE TEMP B-TREE FOR GROUP BY", "of the time that is asked for"),
    (r"_sessions_ending WHERE sim_sid", r"USE TEMP B-TREE FOR ORDER BY", "few that have not ended"),
    (
        r"^SELECT (?!.*account_s?id = \?).* ORDER BY (seq|\w+\.id) (ASC|DESC) LIMIT",
        r"SCAN \w+( USING INDEX (outcomes_undelivered_of_all|jobs_running))?$",
        "of all accounts, in its own order, and no more than a page may look at",
    ),
)


# ---- recording statements ------------------------------------------------------------------------


class Recorded:
    """A connection that records each statement, its values and the line of code that ran it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.statements = dict[str, Sequence[Any]]()

    @property
    def in_transaction(self) -> bool:
        return self.connection.in_transaction

    def execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        self.statements.setdefault(statement, values)
        return self.connection.execute(statement, values)

    def faults(self) -> list[tuple[str, str]]:
        """Return each statement whose plan has a forbidden step, with that step."""
        return [
            (statement, step)
            for statement in self.statements
            for step in self.steps(statement)
            if _is_fault(statement, step)
        ]

    def first_step(self, statement: str) -> str:
        """Return the first step of the plan of a statement."""
        return self.steps(statement)[0]

    def steps(self, statement: str) -> list[str]:
        """Return the steps of the plan of a recorded statement."""
        if not statement.startswith(
            ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "\n    SELECT")
        ):
            return []
        plan = self.connection.execute(
            f"EXPLAIN QUERY PLAN {statement}", self.statements[statement]
        )
        return [row["detail"] for row in plan]


def _is_fault(statement: str, step: str) -> bool:
    words = " ".join(statement.split())
    if "INDEX callbacks_of_account" in step and "LIMIT" not in statement:
        return True
    if "SCAN" not in step and "TEMP B-TREE" not in step:
        return False
    if "SCALAR SUBQUERY" in step:
        return False
    return not any(
        re.search(about, words) and re.search(allowed, step) for about, allowed, _ in ALLOWED
    )


class Walk:
    """A database with records of all kinds, and all statements that were run on it."""

    def __init__(self) -> None:
        self.recorded = Recorded(connect(":memory:", VAULT))
        nothing = ResponseStorageBudget(in_all=0, per_account=0)
        self.committer = GroupCommitter(
            cast("sqlite3.Connection", self.recorded), VAULT, budget=nothing
        )
        self.do(lambda tx: tx.accounts.add(account(), []))
        own = [each[OURS] for each in (PROFILES, FLEETS, SIMS, RATE_PLANS, WIRELESS_SIMS)]
        for record in (*own, *RECORDS, session(1), wireless_session(1)):
            self.do(lambda tx, record=record: add(tx, record))
        for number in range(1, 9):
            self.do(lambda tx, number=number: tx.callbacks.add(callback(number, key=str(number))))

    def do(self, work: Work) -> Any:
        job = CommitJob(work)
        self.committer.commit([job])
        if job.failure is not None:
            raise job.failure
        return job.result


# ---- the walk ------------------------------------------------------------------------------------

EDGES: Final = ({}, {"after": 1}, {"before": 1})
OTHER_HOST: Final = "http://127.0.0.1:9001"
STATUSES: Final = (None, *(frozenset({one}) for one in CallbackStatus), UNDELIVERED)


def windows(sid: str) -> Iterator[PageWindow]:
    for edge, examining in product(EDGES, (None, 1)):
        yield replace(PageWindow(3, examining=examining), **dict.fromkeys(edge, sid))


def lists_of_callbacks(tx: Transaction) -> None:
    filters = product(
        STATUSES, (None, Source.KORE), (None, "token"), (None, "d"), (None, NOW), (None, NOW)
    )
    prefixed = CallbackFilter(destination="d", url_prefix="d/p")
    with_text = [CallbackFilter(some, text=text) for some in STATUSES for text in ("a", "a b")]
    for which in (prefixed, *with_text, *(CallbackFilter(*some) for some in filters)):
        for whose in (OURS, EVERY):
            for window in windows(callback(1).sid):
                tx.callbacks.page(whose, which, window)
                if which.statuses and which.statuses <= UNDELIVERED:
                    tx.callbacks.undelivered(whose, which, window)
        for examining in (None, 1):
            sid = callback(1).sid
            for after in (sid, 1):
                tx.callbacks.oldest(OURS, which, after=after, limit=9, examining=examining)


def lists_of_copies(tx: Transaction) -> None:
    tx.shadows.open([shadow(1)])
    filters = product((None, Source.KORE), (None, callback(1).sid), (None, NOW))
    for some, whose in product(filters, (OURS, EVERY)):
        for window in windows(shadow(1).sid):
            tx.shadows.page(whose, ShadowCallbackFilter(*some), window)
            tx.shadows.comparisons(whose, window)


def lists_of(kind: type) -> Work:
    """Return the walk through the lists of one kind of record."""

    def work(tx: Transaction) -> None:
        sid = next(one.sid for one in RECORDS if isinstance(one, kind))
        some = FILTERS[kind].items()
        # Billing Periods are listed for one SIM.
        for size in range(kind is BillingPeriod, len(some) + 1):
            for which in map(dict[str, object], combinations(some, size)):
                for whose in (OURS, EVERY):
                    for window in windows(sid):
                        table_of(tx, kind).page(whose, which, window)

    return work


def sessions(tx: Transaction) -> None:
    for sessions, one, filters in (
        (tx.supersim.sessions, session(1), ("sim_sid", "fleet_sid")),
        (tx.wireless.sessions, wireless_session(1), ("sim_sid",)),
    ):
        for size in range(len(filters) + 1):
            for names in combinations(filters, size):
                which = {name: getattr(one, name) for name in names}
                for window in windows(one.sid):
                    sessions.between(OURS, which, NOW, NOW + SECOND, window)
        sessions.of_sim(one.sim_sid, since=NOW)
        sessions.get(one.sid)
        sessions.end(one.sid, NOW)
    tx.supersim.sessions.note_report(session(1))
    tx.supersim.sessions.followed(session(1).sim_sid)


def attempts(tx: Transaction) -> None:
    first, second, third = claim_from(tx, OUR_LANE, NOW, limit=3)
    tx.callbacks.settle([ended(first, NoRetryNeeded())])
    retried = ended(second, RetryLater(NOW + SECOND, 1))
    tx.callbacks.settle([retried])
    tx.callbacks.put_back([third], NOW)
    tx.callbacks.last_attempts([second.callback.having(retried.progress), third.callback])
    tx.callbacks.attempts(first.callback.sid)
    for number in (41, 42):
        new = callback(number)
        new = new.having(begin(new.progress, NOW, total_timeout=SECOND))
        claimed = DeliveryClaim(new, account(), OUR_LANE, row_id=tx.callbacks.add(new), is_new=True)
        if number == 41:
            tx.callbacks.settle([ended(claimed, NoRetryNeeded())])
    tx.callbacks.left_open()


def in_order(tx: Transaction) -> None:
    for number in range(51, 56):
        tx.callbacks.add(callback(number, url=OTHER_HOST)._replace(order_key="SIM"))
    waiting = [tx.callbacks.find(callback(number).sid) for number in (52, 53)]
    for one in filter(None, waiting):
        tx.callbacks.change(one.having(discard(one.progress, "enough", NOW)))
    tx.callbacks.change(callback(52, url=OTHER_HOST)._replace(order_key="SIM"))
    for _ in range(4):
        (taken,) = claim_from(tx, Lane(OURS, OTHER_HOST), NOW, limit=1)
        tx.callbacks.settle([ended(taken, NoRetryNeeded())])
    tx.callbacks.restore_order(limit=9)


def long_answers(tx: Transaction) -> None:
    (taken,) = claim_from(tx, OUR_LANE, NOW, limit=1)
    answer = ReceiverResponseRecord(200, (), bytes(9999))
    tx.callbacks.settle([ended(taken, RetryLater(NOW, 1), response=answer)])
    (taken,) = claim_from(tx, OUR_LANE, NOW, limit=1)
    tx.callbacks.settle([ended(taken, NoRetryNeeded(), response=answer, request=rendered(taken))])
    tx.callbacks.attempts(taken.callback.sid)
    tx.kept_responses.bytes_of(OURS)
    tx.kept_responses.largest(limit=9)


def copies(tx: Transaction) -> None:
    tx.shadows.open([shadow(2), shadow(3)])
    tx.shadows.left_open()
    tx.shadows.settle(
        [settled(shadow(2), DeliveredOutcome(200)), settled(shadow(3), RefusedOutcome(500))]
    )


def engine(tx: Transaction) -> None:
    for lane in (OUR_LANE, Lane(OURS, "x")):
        next_due_in(tx, lane)
    tx.callbacks.waiting()
    tx.callbacks.waiting(after=OUR_LANE, limit=1)
    tx.callbacks.changed_after(NOW, limit=9)
    tx.callbacks.left_open()
    tx.callbacks.unfinished()
    tx.callbacks.due_before([NOW, NOW])
    tx.callbacks.date_of(5, since=NOW)
    tx.callbacks.changed_after(NOW - timedelta(days=1), limit=9)
    for whose in (OURS, None):
        tx.callbacks.totals(since=NOW, until=NOW, account_sid=whose)


def batches(tx: Transaction) -> None:
    tx.batches.add(["a", "b"])
    tx.batches.all()
    tx.batches.is_empty()
    tx.batches.remove([1])


def one_callback(tx: Transaction) -> None:
    tx.callbacks.get(OURS, callback(1).sid)
    tx.callbacks.find(callback(1).sid)
    tx.callbacks.change(callback(8))
    tx.callbacks.add(callback(99).having(discard(callback(99).progress, "enough", NOW)))
    tx.callbacks.with_key(OURS, "none")
    tx.callbacks.with_key(OURS, "1")


def accounts(tx: Transaction) -> None:
    tx.accounts.get(OURS)
    tx.accounts.all()
    tx.accounts.with_kore_id("x")
    tx.accounts.children_of(OURS)
    tx.accounts.save(account())
    tx.accounts.keys.add(api_key(1))
    tx.accounts.keys.get(api_key(1).sid)
    tx.accounts.keys.of(OURS)
    tx.accounts.keys.of(None)
    tx.accounts.keys.of(EVERY)
    tx.accounts.keys.note_uses({api_key(1).sid: NOW})
    tx.accounts.keys.end(api_key(1).sid, NOW)
    tx.accounts.keys.remove(api_key(1).sid)


def audit(tx: Transaction) -> None:
    for _ in range(9):
        tx.audit.add(an_audit_entry())
    entry = tx.audit.page(EVERY, AuditFilter(), PageWindow(1))[0]
    filters = product(
        (None, entry.actor),
        (None, entry.actor_kind),
        (None, entry.action),
        (None, entry.subject),
        (None, NOW),
        (None, NOW + SECOND),
    )
    for some, whose in product(filters, (OURS, EVERY)):
        for window in windows(entry.sid):
            tx.audit.page(whose, AuditFilter(*some), window)
    tx.audit.remove_sign_ins_before(NOW + SECOND, limit=9)
    tx.audit.remove_before(NOW + SECOND, limit=9)


def clients(tx: Transaction) -> None:
    client = replace(an_api_client(), account_sid=OURS)
    tx.api_clients.add(client)
    tx.api_clients.get(client.sid)
    tx.api_clients.of(OURS)
    tx.api_clients.remove(client.sid)
    tx.api_clients.keep_token_key(ports.TokenSigningKey("1", "key"))
    tx.api_clients.token_key()


def tasks(tx: Transaction) -> None:
    tx.tasks.put(task(1))
    tx.tasks.claim(NOW, limit=9)
    tx.tasks.next_due()
    tx.tasks.count_due(NOW)
    tx.tasks.due_of(task(1).subject_sid, TaskKind.UPDATE_SIM)
    tx.tasks.take(task(1))
    tx.tasks.drop(task(1).subject_sid, TaskKind.UPDATE_SIM)
    for name in ("none", None):
        tx.scenarios.put(OURS, name)
    tx.scenarios.get(OURS)


def jobs(tx: Transaction) -> None:
    tx.jobs.claim()
    tx.jobs.save(replace(job(1), status=JobStatus.DONE, date_ended=NOW - SECOND, plan_id="plan"))
    tx.jobs.first({"account_sid": OURS, "plan_id": "plan"})
    for whose in (OURS, EVERY):
        tx.jobs.newest_of_plans(whose, limit=9)
    tx.plans.add(OURS, "plan", 1, ["a line"])
    tx.plans.after(OURS, "plan", 0)
    tx.plans.last(OURS, "plan")
    tx.jobs.first({"account_sid": OURS, "idempotency_key": "key"})
    for have_plans in (True, False):
        tx.jobs.remove_ended_before(NOW, limit=9, have_plans=have_plans)


def console_access(tx: Transaction) -> None:
    one = console_session(1)
    tx.console_sessions.add(one)
    tx.console_sessions.first({"token_hash": one.token_hash})
    tx.console_sessions.note_uses({one.token_hash: NOW})
    tx.console_sessions.remove_oldest_of(OURS, keep=9, limit=9)
    tx.console_sessions.remove_unused_since(NOW, limit=9)
    tx.console_sessions.remove_of(OURS)
    tx.console_sessions.remove(one.sid)
    tx.shared_links.first({"token_hash": "hash"})
    tx.shared_links.remove_expired_before(NOW + 9 * SECOND, limit=9)


def policies(tx: Transaction) -> None:
    first = PolicyVersion.of_part(PolicyPart(NOTICE, "ringback.toml"), 1, NOW)
    for version in (first, first, PolicyVersion(2, NOTICE, NOW, OPERATOR)):
        tx.policies.add(version)
    tx.policies.newest()
    tx.policies.made_until(NOW, below=2)
    tx.policies.made_by(first.file_hash or "")


def pauses(tx: Transaction) -> None:
    tx.pause.begin(SendingPause(NOW, "maintenance"))
    tx.pause.end()
    tx.fingerprint()


def records(tx: Transaction) -> None:
    for record in RECORDS:
        table = table_of(tx, type(record))
        table.get(record.sid)
        table.save(record)
        if hasattr(record, "unique_name"):
            table.find(OURS, record.sid)
            table.find(OURS, "a name")
    sim, wireless = SIMS[OURS], WIRELESS_SIMS[OURS]
    tx.supersim.sims.first({"iccid": sim.iccid})
    tx.supersim.sims.first({"device_ip": "127.64.0.1"})
    tx.wireless.sims.first({"iccid": wireless.iccid})
    tx.wireless.sims.first({"rate_plan_sid": RATE_PLANS[OURS].sid})
    tx.wireless.commands.remove("CC")


def updates(tx: Transaction) -> None:
    tx.supersim.sim_updates.add(update_of(SIMS[OURS]))
    tx.wireless.sim_updates.add(
        a_wireless_update(sim_sid=WIRELESS_SIMS[OURS].sid, account_sid=OURS)
    )
    tx.supersim.sim_updates.get("x")
    tx.supersim.sim_updates.remove("x")
    tx.wireless.sim_updates.get("x")
    tx.wireless.sim_updates.first({"to_rate_plan_sid": "x"})
    tx.wireless.sim_updates.remove("x")


def uses(tx: Transaction) -> None:
    sim = WIRELESS_SIMS[OURS].sid
    tx.wireless.command_uses.add(command_use())
    question = WirelessUsageQuery(NOW, NOW + SECOND, SECOND)
    for sim_sid in (None, sim):
        tx.wireless.command_uses.count(OURS, sim_sid, question)


def counters(tx: Transaction) -> None:
    for _ in range(2):
        tx.counters.begin(limit=9999)
    tx.counters.mark(NOW)
    counted = CountedMinute(NOW, *OUR_LANE, Source.KORE, CallbackCounts(accepted=1))
    tx.counters.add([counted, counted])
    for whose, where in product((None, OURS), (None, OUR_LANE.destination)):
        which = CountFilter(NOW - DAY, NOW + DAY, whose, where)
        for span, split, is_total in product(CountSpan, ((), tuple(CountSplit)), (False, True)):
            tx.counters.sums(which, span, split=split, is_total=is_total, limit=9)
    tx.counters.roll_up(CountSpan.HOUR, NOW + DAY, limit=1)
    tx.counters.remove(CountSpan.MINUTE, NOW + DAY, limit=1)
    tx.counters.note_unclear(NOW)
    tx.counters.note_lost([NOW])
    tx.counters.begin(limit=9999)
    tx.counters.end()
    tx.counters.mark(NOW)
    tx.counters.begin(limit=0)
    tx.counters.gaps(NOW - DAY, NOW + DAY, now=NOW)
    for span in (*CountSpan, *CountSpan):
        tx.counters.remove(span, NOW + DAY, limit=9)


def destinations(tx: Transaction) -> None:
    tables = tx.destinations
    own = set_at_run_time(OUR_LANE.destination, account_sid=OURS, notify="https://n.example/")
    tables.save(own)
    tables.find(own.owner, OURS, own.pattern)
    tables.changed_since(tables.revision() - 1)
    tables.number_set(own.owner, OURS)
    tables.forget_empty(NOW, limit=9)
    tables.forget_states(NOW, limit=9)
    for state in (DestinationState(opened=NOW), WELL):
        tables.save_state(OUR_LANE, state)
        tables.state_of(OUR_LANE)
        tables.states()
    tables.has_lane(OUR_LANE)
    for account_sid, after in product((OURS, EVERY), (None, OUR_LANE)):
        tables.lanes(account_sid, after=after, used_since=NOW, limit=9, examining=9)
    tables.waiting_totals(OUR_LANE, limit=9)
    for place in (None, LanePlace(NOW, 1)):
        tables.waiting_in(OUR_LANE, due_by=NOW, after=place, limit=9)


def retention(tx: Transaction) -> None:
    keys = [TimeSubject(OURS, "answers")]
    tx.retention.set_times({keys[0]: SECOND}, NOW)
    tx.retention.times()
    tx.retention.unset_times(keys)
    # Attempts go alone first, and bodies before them.
    past = RetentionTimes(*4 * [timedelta(days=-1)]).before(NOW)
    for cutoffs in (past._replace(attempts=None, delivered=None, undelivered=None), past):
        for its in (cutoffs._replace(delivered=None, undelivered=None), cutoffs):
            rows, *_ = tx.retention.find_expired(OURS, its, limit=99)
            tx.retention.remove_expired(rows, its)
        place: object = None
        while True:
            unused, place = tx.retention.find_unused({OURS: cutoffs}, place, limit=99)
            tx.retention.remove_unused(unused)
            if place is None:
                break
    tx.retention.remove_unused([("attempt_results", 1)])
    tx.retention.free_space()
    tx.retention.give_back(1 << 20)


def receiver_checks(tx: Transaction) -> None:
    check = receiver_check()
    tx.receiver_checks.save(check)
    tx.receiver_checks.of_url(OURS, check.url)
    for whose in (OURS, EVERY):
        tx.receiver_checks.newest(whose, limit=9)
    tx.receiver_checks.remove_before(NOW, limit=9)


def streams(tx: Transaction) -> None:
    sink, subscription = a_sink(1, account_sid=OURS), a_subscription(1, account_sid=OURS)
    add_stream(tx, sink, subscription)
    tx.streams.sinks.save(sink)
    tx.streams.subscriptions.save(subscription)
    for whose in (OURS, EVERY):
        tx.streams.subscriptions.of_account(whose)
    tx.streams.sinks.destinations(OURS)
    tx.streams.subscriptions.first({"account_sid": OURS, "sink_sid": sink.sid})
    for which in ({}, {"source": Source.KORE}, {"sink_sid": sink.sid}):
        tx.streams.subscriptions.page(OURS, which, PageWindow(9))
    for number in (1, 2, 3):
        event = an_event_of(number, account_sid=OURS)
        tx.streams.events.add(event, [subscription.sid])
    events = tx.streams.events
    tx.streams.events.waited_for()
    first, second, third = [one.number for one in events.pending(subscription.sid, limit=9)]
    events.count_pending(subscription.sid, limit=9)
    batch = a_batch(tx, 9, subscription, [first, second])
    tx.callbacks.add(batch)
    events.take(subscription.sid, [first, second])
    cast("SqlStreamEvents", events).forget()
    events.numbered([first, second])
    events.batches_with(event.sid, examining=9)
    events.unaware_servers()
    events.unattempted(lane_of(batch), subscription.sid)
    events.get(event.sid)
    filters = product((None, event.sim_sid), (None, event.type), (None, NOW), (None, NOW + SECOND))
    for some, whose in product(filters, (OURS, EVERY)):
        for window in windows(event.sid):
            events.page(whose, StreamEventFilter(*some), window)
    events.drop_pending(subscription.sid, limit=9)
    events.remove_before(NOW + SECOND, limit=9)
    tx.callbacks.change(batch.having(DeliveryProgress(NOW, CallbackStatus.FAILED)))
    tx.retention.remove_expired(
        tx.retention.find_expired(
            OURS, RetentionTimes(*4 * [timedelta(days=-1)]).before(NOW), limit=999
        )[0],
        RetentionTimes(*4 * [timedelta(days=-1)]).before(NOW),
    )
    events.remove_before(NOW + SECOND, limit=9)
    tx.streams.subscriptions.remove(subscription.sid)
    tx.streams.sinks.remove(sink.sid)
    assert third


STEPS: Final[dict[str, Work]] = {
    "attempts": attempts,
    "in order": in_order,
    "long answers": long_answers,
    "copies": copies,
    "the engine": engine,
    "batches": batches,
    "one callback": one_callback,
    "lists of callbacks": lists_of_callbacks,
    "lists of copies": lists_of_copies,
    **{f"lists of {kind.__name__}": lists_of(kind) for kind in FILTERS},
    "sessions": sessions,
    "accounts": accounts,
    "audit": audit,
    "clients": clients,
    "tasks": tasks,
    "policies": policies,
    "pauses": pauses,
    "records": records,
    "jobs": jobs,
    "access to the console": console_access,
    "updates": updates,
    "uses": uses,
    "counters": counters,
    "nothing": lambda tx: tx.write_nothing(),
    "destinations": destinations,
    "receiver checks": receiver_checks,
    "retention": retention,
    "streams": streams,
}


# ---- the lines of code that run statements -------------------------------------------------------


def places_in(tree: ast.AST, name: str) -> Iterator[tuple[str, int, int]]:
    """Yield the calls in the code that run a statement, directly or indirectly."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        by_name = isinstance(node.func, ast.Name) and node.func.id in ("read", "queue")
        called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if by_name or called in ("read", "read_queued", "write", "queue"):
            owner = ast.unparse(node.func)
            if by_name or "session" in owner:
                yield name, node.lineno, node.end_lineno or node.lineno


def all_places() -> set[tuple[str, int, int]]:
    files = [path for folder in ("sql", "sqlite") for path in (STORE / folder).glob("*.py")]
    return {place for file in files for place in places_in(ast.parse(file.read_text()), file.name)}


@pytest.fixture(scope="module")
def walked() -> Iterator[tuple[Walk, set[Place]]]:
    """Walk once; yield the recorded statements, and the lines of code that ran them."""
    passed = set[Place]()

    def noting(method: Any) -> Any:
        def note(*args: Any) -> Any:
            frame = sys._getframe(1)
            passed.add((Path(frame.f_code.co_filename).name, frame.f_lineno))
            return method(*args)

        return note

    with pytest.MonkeyPatch.context() as patch:
        for name in ("read", "read_queued", "write", "queue"):
            patch.setattr(SqliteWriteBatch, name, noting(getattr(SqliteWriteBatch, name)))
        walk = Walk()
        for step in STEPS.values():
            walk.do(step)
    yield walk, passed
    walk.recorded.connection.close()


def test_no_statement_reads_a_whole_table_or_sorts_what_it_found(
    walked: tuple[Walk, set[Place]],
) -> None:
    recorded = walked[0].recorded
    assert len(recorded.statements) > 300
    assert recorded.faults() == []


def test_a_page_is_read_by_the_index_by_which_its_end_was_found(
    walked: tuple[Walk, set[Place]],
) -> None:
    recorded, pairs = walked[0].recorded, 0
    for end in recorded.statements:
        found = re.fullmatch(
            r"SELECT (?:seq, sid|\w+\.id, \(.+?\)) FROM (.+?) +WHERE (.+) ORDER BY .*", end
        )
        if found is None:
            continue
        table, where = map(re.escape, found.groups())
        page_of = re.compile(
            rf".* FROM {table} +((CROSS|LEFT) JOIN .*)?WHERE {where} AND \? .= (seq|\w+\.id).*"
        )
        for page in filter(page_of.fullmatch, recorded.statements):
            steps = [recorded.first_step(statement) for statement in (end, page)]
            assert re.search(r"(seq|rowid|\bid)[<>]|\(iccid=", steps[1])  # of which there is one
            assert _index_in(steps[0]) == _index_in(steps[1]), (page, steps)
            pairs += 1
    assert pairs > 100


def _index_in(step: str) -> str:
    """Return the index that a step uses; empty if it reads the table in its own order."""
    found = re.search(r"INDEX (\w+)", step.replace("INTEGER PRIMARY KEY", ""))
    return "" if found is None else found[1]


def test_the_walk_reaches_each_place_that_runs_a_statement(walked: tuple[Walk, set[Place]]) -> None:
    passed = walked[1]
    missed = [
        (name, first)
        for name, first, last in all_places()
        if not any((name, line) in passed for line in range(first, last + 1))
    ]
    assert len(all_places()) > 60
    assert missed == []


def test_each_exception_is_needed(walked: tuple[Walk, set[Place]]) -> None:
    recorded = walked[0].recorded
    steps = [
        (" ".join(statement.split()), step)
        for statement in recorded.statements
        for step in recorded.steps(statement)
    ]
    assert [
        why
        for about, allowed, why in ALLOWED
        if not any(re.search(about, words) and re.search(allowed, step) for words, step in steps)
    ] == []


def mutant(module: ModuleType, old: str, new: str) -> dict[str, Any]:
    """Return the names of a module after one piece of its source text was replaced."""
    source = Path(module.__file__ or "").read_text()
    assert source.count(old) == 1
    names: dict[str, Any] = {"__name__": "mutant"}
    exec(compile(source.replace(old, new), "mutant", "exec"), names)  # noqa: S102 (our own source)
    return names


@pytest.mark.parametrize(
    ("method", "old", "new", "step"),
    [
        (SqliteCallbacks._next_due, " ORDER BY due_us, id LIMIT 1", " ORDER BY id LIMIT 1", engine),
        (
            SqliteCallbacks._listing,
            "INDEXED BY callbacks_by_token",
            "NOT INDEXED",
            lists_of_callbacks,
        ),
    ],
    ids=["the next of a lane in another order", "a token without its index"],
)
def test_a_statement_that_scans_the_history_is_detected(
    monkeypatch: pytest.MonkeyPatch, method: Any, old: str, new: str, step: Work
) -> None:
    walk = Walk()
    assert walk.recorded.faults() == []
    owner, _, name = method.__qualname__.partition(".")
    names = mutant(sys.modules[method.__module__], old, new)
    monkeypatch.setattr(SqliteCallbacks, name, vars(names[owner])[name])
    walk.do(step)
    assert walk.recorded.faults() != []
    walk.recorded.connection.close()
