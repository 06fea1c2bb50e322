"""Jobs that carry out plans: what they store, and which make way for which."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from ringback.core.accounts.account import EVERY
from ringback.core.errors import Conflict
from ringback.core.job import Job, JobKind, JobStatus, pause
from ringback.core.sids import SidKind, is_sid
from ringback.operations.jobs import MOST_UNFINISHED
from ringback.operations.plan_jobs import PlanAction, PlanOrder, PlanUnderWay, PlanWork
from ringback.ports import AuditFilter, PageWindow
from tests.fakes import A_KEY, ACCOUNT_SID, NOW, SeededRandomness, a_context, an_account
from tests.memory_store import MemoryTransaction
from tests.stores.records import job

PLAN = "p1"
LINES = ("header", "first edit", "second édit")
SECOND = timedelta(seconds=1)
APPLY = PlanWork(action=PlanAction.APPLY)
REVERT = PlanWork(action=PlanAction.REVERT)


@pytest.fixture
def tx() -> MemoryTransaction:
    tx = MemoryTransaction()
    tx.accounts.add(an_account(), [])
    return tx


@dataclass
class Operator:
    """Creates jobs of plans, a second after each other."""

    tx: MemoryTransaction
    account_sid: str = ACCOUNT_SID
    jobs: int = 0

    def create(
        self,
        work: PlanWork = APPLY,
        *,
        plan_id: str = PLAN,
        lines: Sequence[str] = LINES,
        journal: Sequence[str] = (),
    ) -> Job:
        self.jobs += 1
        random_source = SeededRandomness(self.jobs)
        context = replace(
            a_context(now=NOW + self.jobs * SECOND, random_source=random_source), actor=A_KEY
        )
        order = PlanOrder(plan_id=plan_id, lines=lines, edits=2, work=work, journal=journal)
        return order.create(
            self.tx, context, account_sid=self.account_sid, created_by="the operator"
        )

    def save(self, job: Job) -> None:
        self.tx.jobs.save(job)

    def journal(self, plan_id: str = PLAN) -> list[str]:
        return self.tx.plans.after(self.account_sid, plan_id, 0)


@pytest.fixture(params=[ACCOUNT_SID, EVERY], ids=["of an account", "of the operator"])
def operator(request: pytest.FixtureRequest, tx: MemoryTransaction) -> Operator:
    return Operator(tx, request.param)


# ---- what was asked for


@pytest.mark.parametrize(
    "work",
    [
        APPLY,
        REVERT,
        PlanWork(action=PlanAction.REVERT, is_all_sent_again=True),
        PlanWork(action=PlanAction.APPLY, is_probed=False),
        PlanWork(action=PlanAction.WATCH, shares=(50,), go_back="ringback migrate revert a.plan"),
        PlanWork(
            action=PlanAction.APPLY,
            shares=(10, 50),
            soak=timedelta(seconds=90.5),
            least=7,
            wait=timedelta(hours=2),
            sends_test_events=True,
        ),
    ],
)
def test_the_parameters_of_the_work_are_read_back(work: PlanWork) -> None:
    assert PlanWork.of(json.loads(json.dumps(work.parameters()))) == work


def test_the_parameters_have_only_what_was_asked_for() -> None:
    assert APPLY.parameters() == {"action": "apply", "probe": True}
    assert PlanWork(action=PlanAction.REVERT, is_all_sent_again=True).parameters() == {
        "action": "revert",
        "replay": True,
    }


# ---- creating


def test_a_new_job_has_the_plan_and_runs(operator: Operator) -> None:
    created = operator.create()
    assert created == operator.tx.jobs.get(created.sid)
    assert is_sid(created.sid, SidKind.JOB)
    assert (created.kind, created.status, created.plan_id) == (
        *(JobKind.MIGRATION, JobStatus.RUNNING, PLAN),
    )
    assert (created.account_sid, created.created_by) == (operator.account_sid, "the operator")
    assert (created.estimate, created.is_exact, dict(created.counts)) == (2, True, {})
    assert PlanWork.of(created.parameters) == APPLY
    (line,) = map(json.loads, operator.journal())
    assert line == {
        "ringback_journal": "plan",
        "at": "2024-07-03T14:40:59+00:00",
        "is_first": True,
        "lines": list(LINES),
    }


def test_the_creation_is_in_the_audit(operator: Operator) -> None:
    created = operator.create()
    (entry,) = operator.tx.audit.page(EVERY, AuditFilter(), PageWindow(9))
    assert (entry.action, entry.subject, entry.actor) == ("CarryOutPlan", created.sid, A_KEY.id)
    assert entry.account_sid == (None if operator.account_sid == EVERY else ACCOUNT_SID)


def test_a_long_plan_is_stored_in_pieces(operator: Operator) -> None:
    lines = [f"line {number}" for number in range(1201)]
    operator.create(lines=lines)
    pieces = list(map(json.loads, operator.journal()))
    assert [(piece["is_first"], len(piece["lines"])) for piece in pieces] == [
        *((True, 500), (False, 500), (False, 201))
    ]
    assert [line for piece in pieces for line in piece["lines"]] == lines


def test_the_journal_of_an_earlier_version_comes_before_the_plan(operator: Operator) -> None:
    old = ['{"ringback_journal": "began"}', '{"ringback_journal": "step"}']
    operator.create(journal=old)
    *first, plan = operator.journal()
    assert first == old
    assert json.loads(plan)["lines"] == list(LINES)


def test_a_journal_is_taken_over_once(operator: Operator) -> None:
    old = ['{"ringback_journal": "began"}']
    operator.save(operator.create(journal=old).completed(NOW))
    operator.create(REVERT, journal=old)
    assert operator.journal().count(old[0]) == 1


# ---- again


def test_the_next_job_of_the_same_plan_does_not_store_it_again(operator: Operator) -> None:
    operator.save(operator.create().failed("a step was rolled back", NOW))
    before = operator.journal()
    second = operator.create()
    assert operator.journal() == before
    assert second.parameters["plan_digest"] == operator.create(REVERT).parameters["plan_digest"]


def test_a_plan_that_was_edited_is_stored_anew(operator: Operator) -> None:
    operator.save(operator.create().completed(NOW))
    operator.save(operator.create(lines=LINES[:2]).completed(NOW))
    operator.create()  # the deleted line is there again
    assert [json.loads(line)["lines"] for line in operator.journal()] == [
        *(list(LINES), list(LINES[:2]), list(LINES))
    ]


def test_plans_have_journals_of_their_own(operator: Operator) -> None:
    operator.create()
    operator.create(plan_id="p2", lines=["another"])
    assert len(operator.journal()) == len(operator.journal("p2")) == 1


# ---- beside another job


@pytest.mark.parametrize("work", [APPLY, REVERT])
@pytest.mark.parametrize("is_paused", [False, True])
def test_the_same_work_is_not_done_twice(
    operator: Operator, work: PlanWork, is_paused: bool
) -> None:
    first = operator.create(work)
    if is_paused:
        operator.save(pause(first, NOW))
    before = operator.journal()
    with pytest.raises(PlanUnderWay) as refused:
        operator.create(work)
    assert (refused.value.job_sid, refused.value.action) == (first.sid, work.action)
    assert f"the job {first.sid} carries out this plan already" in str(refused.value)
    assert operator.journal() == before


@pytest.mark.parametrize("is_paused", [False, True])
def test_a_revert_cancels_the_apply(operator: Operator, is_paused: bool) -> None:
    first = operator.create()
    if is_paused:
        operator.save(first := pause(first, NOW))
    revert = operator.create(REVERT)
    cancelled = operator.tx.jobs.get(first.sid)
    assert cancelled is not None
    assert (cancelled.status, cancelled.date_ended) == (JobStatus.CANCELLED, revert.date_created)
    assert revert.status is JobStatus.RUNNING
    actions = [one.action for one in operator.tx.audit.page(EVERY, AuditFilter(), PageWindow(9))]
    assert sorted(actions) == ["CancelJob", "CarryOutPlan", "CarryOutPlan"]


def test_an_apply_does_not_cancel_the_revert(operator: Operator) -> None:
    revert = operator.create(REVERT)
    with pytest.raises(PlanUnderWay) as refused:
        operator.create()
    assert (refused.value.job_sid, refused.value.action) == (revert.sid, PlanAction.REVERT)
    assert operator.tx.jobs.get(revert.sid) == revert


def test_jobs_that_have_ended_and_other_plans_are_in_no_ones_way(operator: Operator) -> None:
    operator.save(operator.create().completed(NOW))
    operator.create(REVERT, plan_id="p2", lines=["another"])
    operator.create()


def test_a_plan_counts_as_one_of_the_unfinished_jobs(tx: MemoryTransaction) -> None:
    operator = Operator(tx)
    for number in range(MOST_UNFINISHED):
        tx.jobs.add(job(number, ACCOUNT_SID))
    with pytest.raises(Conflict, match="jobs of this account have not ended"):
        operator.create()
