"""No SQLite query reads a whole table or sorts its result: an index has the rows in order.

The statements are those that the store really runs; SQLite itself explains its plan.
`test_every_statement.py` makes sure that there are no others.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import combinations
from typing import Any

import pytest

from ringback.core.accounts.account import EVERY
from ringback.core.accounts.shared_link import SharedLink
from ringback.core.callbacks.response_storage import ResponseStorageBudget
from ringback.core.callbacks.retry import NoRetryNeeded, RetryLater
from ringback.core.http.http_exchange import ReceiverResponseRecord
from ringback.core.job import Job, JobStatus
from ringback.core.policy.source_policy import Source
from ringback.core.sims.message import Direction, MessageStatus
from ringback.core.sims.scenario import TaskKind
from ringback.core.supersim.command import IpCommand, IpStatus, SmsCommand
from ringback.core.supersim.esim_profile import EsimProfile, EsimStatus
from ringback.core.supersim.fleet import Fleet, NetworkAccessProfile
from ringback.core.supersim.settings_update import OtaSettingsUpdate, OtaSettingsUpdateStatus
from ringback.core.supersim.sim import SimStatus, SuperSim
from ringback.core.supersim.usage import BillingPeriod
from ringback.core.wireless.command import CommandTransport, WirelessCommand
from ringback.core.wireless.rate_plan import RatePlan
from ringback.core.wireless.sim import WirelessSim, WirelessStatus
from ringback.core.wireless.usage import WirelessUsageQuery
from ringback.ports import FieldFilter, PageWindow, ShadowCallbackFilter, Transaction
from ringback.stores.sql.transaction import CommitJob
from ringback.stores.sqlite.group_commit import GroupCommitter
from ringback.stores.sqlite.store import connect
from tests.fakes import NOW, VAULT, claim_from
from tests.stores.asking import add, ended, table_of
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
    billing_period,
    callback,
    command,
    esim_profile,
    fleet,
    ip_command,
    job,
    profile,
    rate_plan,
    session,
    settings_update,
    shared_link,
    sim,
    sms_command,
    task,
    wireless_session,
    wireless_sim,
)

SIM_SID, ICCID = SIMS[OURS].sid, SIMS[OURS].iccid
WIRELESS_SID, WIRELESS_ICCID = WIRELESS_SIMS[OURS].sid, WIRELESS_SIMS[OURS].iccid
PLAN_SID = RATE_PLANS[OURS].sid
FILTERS: dict[type, FieldFilter] = {
    NetworkAccessProfile: {},
    Fleet: {"network_access_profile_sid": PROFILES[OURS].sid},
    SuperSim: {"status": SimStatus.READY, "fleet_sid": FLEETS[OURS].sid, "iccid": ICCID},
    SmsCommand: {"sim_sid": SIM_SID, "status": MessageStatus.SENT, "direction": Direction.TO_SIM},
    IpCommand: {
        "sim_sid": SIM_SID,
        "sim_iccid": ICCID,
        "status": IpStatus.SENT,
        "direction": Direction.TO_SIM,
    },
    EsimProfile: {"eid": "0" * 32, "sim_sid": SIM_SID, "status": EsimStatus.NEW},
    OtaSettingsUpdate: {"sim_sid": SIM_SID, "status": OtaSettingsUpdateStatus.SCHEDULED},
    BillingPeriod: {"sim_sid": SIM_SID},
    RatePlan: {},
    WirelessSim: {
        "status": WirelessStatus.ACTIVE,
        "iccid": WIRELESS_ICCID,
        "rate_plan_sid": PLAN_SID,
        "eid": "0" * 32,
        "registration_code": "H3LL0W0RLD",
    },
    WirelessCommand: {
        "sim_sid": WIRELESS_SID,
        "status": MessageStatus.SENT,
        "direction": Direction.TO_SIM,
        "transport": CommandTransport.SMS,
    },
    Job: {"status": JobStatus.RUNNING},
    SharedLink: {},
}
"""The filters that the API offers for each kind of record."""
LISTS = [
    pytest.param(kind, dict(some), id=f"{kind.__name__} by {', '.join(dict(some)) or 'nothing'}")
    for kind, which in FILTERS.items()
    for size in range(len(which) + 1)
    for some in combinations(which.items(), size)
    # Billing Periods are listed for one SIM.
    if kind is not BillingPeriod or size
]
RECORDS: list[Any] = [
    profile(1),
    fleet(1),
    sim(1),
    sms_command(1),
    ip_command(1),
    esim_profile(1),
    settings_update(1),
    billing_period(1),
    rate_plan(1),
    wireless_sim(1),
    command(1),
    job(1),
    shared_link(1),
]


class Plans:
    """A database with one account and its records, which reports the plans of its queries."""

    def __init__(self) -> None:
        self.connection = connect(":memory:", VAULT)
        self.committer = GroupCommitter(self.connection, VAULT)
        self._do(lambda tx: tx.accounts.add(account(), []))
        own = [each[OURS] for each in (PROFILES, FLEETS, SIMS, RATE_PLANS, WIRELESS_SIMS)]
        for record in (*own, *RECORDS, session(1), wireless_session(1)):
            self._do(lambda tx, record=record: add(tx, record))

    def of(self, work: Callable[[Transaction], Any]) -> list[str]:
        """Return the plan steps of all statements that some work runs."""
        statements = list[str]()
        self.connection.set_trace_callback(statements.append)
        self._do(work)
        self.connection.set_trace_callback(None)
        return [step for statement in statements for step in self._steps(statement)]

    def traced(self, work: Callable[[Transaction], Any], *words: str) -> list[str]:
        """Return the statements that some work runs and that contain one of these words."""
        statements = list[str]()
        self.connection.set_trace_callback(statements.append)
        self._do(work)
        self.connection.set_trace_callback(None)
        # SQLite reports a statement that runs triggers once more for each trigger.
        return [one for one in dict.fromkeys(statements) if any(word in one for word in words)]

    def _steps(self, statement: str) -> list[str]:
        if statement.split(maxsplit=1)[0] in ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE"):
            return []
        return [row["detail"] for row in self.connection.execute(f"EXPLAIN QUERY PLAN {statement}")]

    def _do(self, work: Callable[[Transaction], Any]) -> None:
        job = CommitJob(work)
        self.committer.commit([job])
        assert job.failure is None


@pytest.fixture
def plans() -> Iterator[Plans]:
    plans = Plans()
    yield plans
    plans.committer.close()


def check(steps: list[str]) -> None:
    """Check that each of one or more steps finds its rows by an index in their order."""
    assert steps
    assert [step for step in steps if "SCAN" in step or "TEMP B-TREE" in step] == []


def test_a_step_that_reads_a_whole_table_is_detected(plans: Plans) -> None:
    with pytest.raises(AssertionError):
        check(plans.of(lambda tx: tx.supersim.sims.first({"sms_while_ready": 3})))


def test_a_step_that_sorts_is_detected(plans: Plans) -> None:
    with pytest.raises(AssertionError):
        check(plans._steps("SELECT * FROM sims WHERE account_sid = '' ORDER BY updated_us"))


@pytest.mark.parametrize("edge", ["newest", "after", "before"])
@pytest.mark.parametrize(("kind", "which"), LISTS)
def test_a_list_finds_its_page_by_an_index(
    plans: Plans, kind: type, which: FieldFilter, edge: str
) -> None:
    sid = next(one.sid for one in RECORDS if isinstance(one, kind))
    window = PageWindow(50) if edge == "newest" else replace(PageWindow(50), **{edge: sid})
    check(plans.of(lambda tx: table_of(tx, kind).page(OURS, which, window)))


READY, FROM_SIM = SimStatus.READY, Direction.FROM_SIM
FLEET_SID = FLEETS[OURS].sid


@pytest.mark.parametrize(
    ("kind", "which", "columns"),
    [
        (SuperSim, {"status": READY}, "status"),
        (SuperSim, {"fleet_sid": FLEET_SID}, "fleet_sid"),
        (SuperSim, {"status": READY, "fleet_sid": FLEET_SID}, "fleet_sid, status"),
        (SmsCommand, {"direction": FROM_SIM}, "direction"),
        (SmsCommand, {"status": MessageStatus.SENT, "direction": FROM_SIM}, "status"),
        (SmsCommand, FILTERS[SmsCommand], "sim_sid"),
        (IpCommand, {"direction": FROM_SIM}, "direction"),
        (IpCommand, {"sim_iccid": ICCID, "status": IpStatus.SENT}, "sim_iccid"),
        (IpCommand, FILTERS[IpCommand], "sim_sid"),
        (EsimProfile, {"sim_sid": SIM_SID, "status": EsimStatus.NEW}, "sim_sid"),
        (EsimProfile, FILTERS[EsimProfile], "eid"),
        (OtaSettingsUpdate, FILTERS[OtaSettingsUpdate], "sim_sid"),
        (WirelessSim, {"status": WirelessStatus.ACTIVE}, "status"),
        (WirelessSim, {"rate_plan_sid": PLAN_SID}, "rate_plan_sid"),
        (WirelessSim, {"registration_code": "H3LL0W0RLD"}, "registration_code"),
        (WirelessSim, {"eid": "0" * 32}, "eid"),
        (
            WirelessSim,
            {"status": WirelessStatus.ACTIVE, "rate_plan_sid": PLAN_SID},
            "rate_plan_sid, status",
        ),
        (WirelessCommand, {"transport": CommandTransport.SMS}, "transport"),
        (WirelessCommand, {"direction": FROM_SIM}, "direction"),
        (WirelessCommand, {"direction": FROM_SIM, "transport": CommandTransport.SMS}, "direction"),
        (WirelessCommand, {"status": MessageStatus.SENT, "direction": FROM_SIM}, "status"),
        (WirelessCommand, {"sim_sid": WIRELESS_SID}, "sim_sid"),
        (WirelessCommand, FILTERS[WirelessCommand], "sim_sid, status"),
        (Job, FILTERS[Job], "status"),
    ],
)
def test_a_list_uses_the_filter_that_leaves_the_fewest_rows(
    plans: Plans, kind: type, which: FieldFilter, columns: str
) -> None:
    (step,) = plans.of(lambda tx: table_of(tx, kind).page(OURS, which, PageWindow(50)))
    terms = " AND ".join(f"{column}=?" for column in ("account_sid", *columns.split(", ")))
    assert step.endswith(f"({terms})")


@pytest.mark.parametrize("kind", [SuperSim, WirelessSim])
def test_a_list_prefers_an_iccid_to_any_other_filter(plans: Plans, kind: type) -> None:
    (step,) = plans.of(lambda tx: table_of(tx, kind).page(OURS, FILTERS[kind], PageWindow(50)))
    assert step.endswith("(iccid=?)")


@pytest.mark.parametrize("edge", ["after", "before"])
def test_a_page_at_a_removed_record_is_found_by_an_index(plans: Plans, edge: str) -> None:
    window = replace(PageWindow(50), **{edge: command(1).sid})

    def work(tx: Transaction) -> None:
        tx.wireless.commands.remove(command(1).sid)
        tx.wireless.commands.page(OURS, {}, window)

    check(plans.of(work))


@pytest.mark.parametrize(
    "record", [rate_plan(1), wireless_sim(1), command(1)], ids=lambda one: type(one).__name__
)
def test_removing_finds_one_row_and_examines_no_other(plans: Plans, record: Any) -> None:
    check(plans.of(lambda tx: table_of(tx, type(record)).remove(record.sid)))


@pytest.mark.parametrize("record", RECORDS, ids=[type(one).__name__ for one in RECORDS])
def test_getting_and_saving_find_one_row_and_examine_no_other(plans: Plans, record: Any) -> None:
    table = type(record)
    check(plans.of(lambda tx: table_of(tx, table).get(record.sid)))
    changed = replace(record, date_created=NOW + SECOND)
    check(plans.of(lambda tx: table_of(tx, table).save(changed)))


@pytest.mark.parametrize("kind", [NetworkAccessProfile, Fleet, SuperSim, RatePlan, WirelessSim])
@pytest.mark.parametrize("name", [sim(1).sid, "a name"])
def test_a_name_is_found_by_an_index(plans: Plans, kind: type, name: str) -> None:
    check(plans.of(lambda tx: table_of(tx, kind).find(OURS, name)))


@pytest.mark.parametrize("edge", ["newest", "after", "before"])
@pytest.mark.parametrize("kind", FILTERS, ids=lambda kind: kind.__name__)
def test_a_list_over_all_accounts_is_read_in_its_own_order(
    plans: Plans, kind: type, edge: str
) -> None:
    sid = next(one.sid for one in RECORDS if isinstance(one, kind))
    window = PageWindow(50) if edge == "newest" else replace(PageWindow(50), **{edge: sid})
    steps = plans.of(lambda tx: table_of(tx, kind).page(EVERY, {}, window))
    assert [step for step in steps if "TEMP B-TREE" in step] == []
    # It begins at the given record, and reads no more rows than a page has.
    assert re.match("SCAN|SEARCH .* USING INTEGER PRIMARY KEY", steps[-1])


OTHER: dict[str, Callable[[Transaction], Any]] = {
    "an account": lambda tx: tx.accounts.get(account().sid),
    "an account by its id at KORE": lambda tx: tx.accounts.with_kore_id(account().kore_id),
    "subaccounts": lambda tx: tx.accounts.children_of(OURS),
    "a change of an account": lambda tx: tx.accounts.save(account()),
    "an API key": lambda tx: tx.accounts.keys.get(api_key(1).sid),
    "the API keys of an account": lambda tx: tx.accounts.keys.of(OURS),
    "the operator's API keys": lambda tx: tx.accounts.keys.of(None),
    "a revoked API key": lambda tx: tx.accounts.keys.remove(api_key(1).sid),
    "an API client": lambda tx: tx.api_clients.get("apiclient_1"),
    "the API clients of an account": lambda tx: tx.api_clients.of(OURS),
    "a revoked API client": lambda tx: tx.api_clients.remove("apiclient_1"),
    "changes made by a clock ahead": lambda tx: tx.callbacks.changed_after(NOW, limit=9),
    "a callback": lambda tx: tx.callbacks.find("CB1"),
    "an ICCID": lambda tx: tx.supersim.sims.first({"iccid": ICCID}),
    "an address": lambda tx: tx.supersim.sims.first({"device_ip": "127.64.0.1"}),
    "a change": lambda tx: tx.supersim.sim_updates.get(SIM_SID),
    "the end of a change": lambda tx: tx.supersim.sim_updates.remove(SIM_SID),
    "a job by its idempotency key": lambda tx: tx.jobs.first(
        {"account_sid": OURS, "idempotency_key": "key"}
    ),
    "a session of the console": lambda tx: tx.console_sessions.first({"token_hash": "hash"}),
    "uses of sessions of the console": lambda tx: tx.console_sessions.note_uses({"hash": NOW}),
    "the sessions of a credential": lambda tx: tx.console_sessions.remove_of(OURS),
    "the oldest sessions of a credential": lambda tx: tx.console_sessions.remove_oldest_of(
        OURS, keep=9, limit=9
    ),
    "entries of sign-ins": lambda tx: tx.audit.remove_sign_ins_before(NOW, limit=9),
    "old sessions of the console": lambda tx: tx.console_sessions.remove_unused_since(NOW, limit=9),
    "a link by its token": lambda tx: tx.shared_links.first({"token_hash": "hash"}),
    "links that expired long ago": lambda tx: tx.shared_links.remove_expired_before(NOW, limit=9),
    "jobs that ended long ago": lambda tx: tx.jobs.remove_ended_before(NOW, limit=9),
    "tasks that are due": lambda tx: tx.tasks.claim(NOW, limit=9),
    "a task that is taken": lambda tx: tx.tasks.take(task(1)),
    "a task that is dropped": lambda tx: tx.tasks.drop(SIM_SID, TaskKind.UPDATE_SIM),
    "a scenario": lambda tx: tx.scenarios.get(OURS),
    "a session": lambda tx: tx.supersim.sessions.get(session(1).sid),
    "the end of a session": lambda tx: tx.supersim.sessions.end(session(1).sid, NOW),
    "sessions in a period": lambda tx: tx.supersim.sessions.between(
        OURS, {}, NOW, NOW, PageWindow(9)
    ),
    "a wireless ICCID": lambda tx: tx.wireless.sims.first({"iccid": WIRELESS_ICCID}),
    "a SIM with a plan": lambda tx: tx.wireless.sims.first({"rate_plan_sid": PLAN_SID}),
    "a change to a plan": lambda tx: tx.wireless.sim_updates.first({"to_rate_plan_sid": PLAN_SID}),
    "a wireless change": lambda tx: tx.wireless.sim_updates.get(WIRELESS_SID),
    "the end of a wireless change": lambda tx: tx.wireless.sim_updates.remove(WIRELESS_SID),
    "a wireless session": lambda tx: tx.wireless.sessions.get(wireless_session(1).sid),
    "the end of a wireless session": (
        lambda tx: tx.wireless.sessions.end(wireless_session(1).sid, NOW)
    ),
    "wireless sessions in a period": (
        lambda tx: tx.wireless.sessions.between(
            OURS, {"sim_sid": WIRELESS_SID}, NOW, NOW, PageWindow(9)
        )
    ),
}


@pytest.mark.parametrize("work", OTHER.values(), ids=OTHER)
def test_all_other_lookups_use_an_index(plans: Plans, work: Callable[[Transaction], Any]) -> None:
    check(plans.of(work))


@pytest.mark.parametrize(
    ("which", "column"),
    [
        ({"sim_sid": SIM_SID}, "sim_sid"),
        ({"fleet_sid": FLEET_SID}, "fleet_sid"),
        ({"sim_sid": SIM_SID, "fleet_sid": FLEET_SID}, "sim_sid"),
    ],
)
def test_sessions_in_a_period_are_found_among_those_of_a_sim_or_a_fleet(
    plans: Plans, which: FieldFilter, column: str
) -> None:
    (step,) = plans.of(
        lambda tx: tx.supersim.sessions.between(OURS, which, NOW, NOW, PageWindow(9))
    )
    assert f"{column}=?" in step


@pytest.mark.parametrize(
    ("which", "terms"),
    [
        (ShadowCallbackFilter(), "(account_sid=?)"),
        (ShadowCallbackFilter(source=Source.KORE, since=NOW), "(account_sid=?)"),
        (ShadowCallbackFilter(callback_sid="CB1"), "(callback_sid=?)"),
    ],
)
def test_copies_and_their_first_attempts_are_found_by_indexes(
    plans: Plans, which: ShadowCallbackFilter, terms: str
) -> None:
    steps = plans.of(lambda tx: tx.shadows.page(OURS, which, PageWindow(9)))
    check([step.replace("CORRELATED SCALAR SUBQUERY", "") for step in steps])
    assert steps[0].endswith(terms)


def test_copies_left_open_are_found_without_the_others(plans: Plans) -> None:
    (step,) = plans.of(lambda tx: tx.shadows.left_open())
    assert step == "SCAN shadows USING INDEX shadows_open"


def test_changes_of_a_clock_ahead_are_found_among_those_that_are_not_due(plans: Plans) -> None:
    early = NOW - timedelta(days=1)
    plans.of(lambda tx: tx.callbacks.add(callback(1)))
    _, step, *_ = plans.of(lambda tx: tx.callbacks.changed_after(early, limit=9))
    assert step == "SEARCH waiting USING PRIMARY KEY (lane_id=? AND due_us>? AND due_us<?)"


@pytest.mark.parametrize("key", [None, "SIM"])
def test_only_callbacks_with_an_order_key_need_statements_about_it(
    plans: Plans, key: str | None
) -> None:
    def work(tx: Transaction) -> None:
        tx.callbacks.add(callback(1)._replace(order_key=key))
        (taken,) = claim_from(tx, OUR_LANE, NOW, limit=1)
        tx.callbacks.settle([ended(taken, NoRetryNeeded())])
        tx.callbacks.change(callback(1)._replace(order_key=key))

    assert bool(plans.traced(work, "order_heads", "order_place")) is (key is not None)


def test_the_next_due_task_is_read_from_the_end_of_an_index(plans: Plans) -> None:
    (step,) = plans.of(lambda tx: tx.tasks.next_due())
    assert step == "SEARCH tasks USING COVERING INDEX tasks_due"


def test_the_end_of_a_part_is_found_by_the_index_of_sids(plans: Plans) -> None:
    (step,) = plans.of(lambda tx: tx.callbacks.date_of(10_000, since=NOW))
    assert step.startswith("SEARCH callbacks USING INDEX")
    assert step.endswith("(sid>?)")


def test_stored_rests_of_long_responses_are_found_counted_and_dropped_by_indexes(
    plans: Plans,
) -> None:
    plans._do(lambda tx: tx.callbacks.add(callback(1)))
    plans.committer = GroupCommitter(plans.connection, VAULT, budget=ResponseStorageBudget(0, 0))

    long = ReceiverResponseRecord(200, (), bytes(9999))

    def settle_twice(tx: Transaction) -> None:
        for _ in range(2):
            (taken,) = claim_from(tx, OUR_LANE, NOW, limit=1)
            tx.callbacks.settle([ended(taken, RetryLater(NOW, 1), response=long)])
        tx.callbacks.attempts(callback(1).sid)

    statements = plans.traced(settle_twice, "kept_", "long_")
    assert len(statements) == 9
    steps = [step for one in statements for step in plans._steps(one)]
    # The new values are a list of their own, of one row here.
    check([step for step in steps if step != "SCAN CONSTANT ROW"])
    triggers = plans.connection.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'")
    counting = [row[0].split("BEGIN")[1].split(";")[0] for row in triggers]
    (update,) = [one for one in counting if "UPDATE kept_bytes" in one]
    check(plans._steps(update.replace("old.size", "1").replace("old.account_sid", "'AC1'")))


@pytest.mark.parametrize("account_sid", [None, OURS])
def test_totals_are_found_by_the_time_in_the_sids(plans: Plans, account_sid: str | None) -> None:
    steps = plans.of(lambda tx: tx.callbacks.totals(since=NOW, until=NOW, account_sid=account_sid))
    counting, reading, *rest = [step for step in steps if "accounts" not in step]
    # Which of them it is depends on the version of SQLite; it is read once either way.
    assert counting in ("CO-ROUTINE counted", "MATERIALIZE counted")
    assert reading.startswith("SEARCH callbacks USING INDEX")
    assert reading.endswith("(sid>? AND sid<?)")
    assert "SEARCH callback_targets USING INTEGER PRIMARY KEY (rowid=?)" in rest
    assert [step for step in rest if "SCAN" in step or "ORDER BY" in step] == ["SCAN counted"]


@pytest.mark.parametrize(
    ("sim_sid", "terms"),
    [
        (None, "(account_sid=? AND at_us>? AND at_us<?)"),
        (WIRELESS_SID, "(sim_sid=? AND at_us>? AND at_us<?)"),
    ],
    ids=["an account", "a SIM"],
)
def test_commands_are_counted_by_the_time_of_their_use(
    plans: Plans, sim_sid: str | None, terms: str
) -> None:
    question = WirelessUsageQuery(NOW, NOW + SECOND, SECOND)
    reading, *sorting = plans.of(lambda tx: tx.wireless.command_uses.count(OURS, sim_sid, question))
    assert reading.startswith("SEARCH command_uses USING INDEX")
    assert reading.endswith(terms)
    # The rows found are grouped, and no index has them in that order.
    assert all(step.startswith("USE TEMP B-TREE") for step in sorting)
