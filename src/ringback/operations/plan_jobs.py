"""The jobs that carry out a plan: how one is created, and what it was asked for.

A plan's lines, and the journal of what was done, are in the store. `migration/plan_carrier` does
the work.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Self

from ringback.core.errors import Conflict
from ringback.core.job import UNFINISHED, Job, JobKind, cancel
from ringback.core.sids import SID_BYTES, SidKind, dated, make_sid
from ringback.operations.context import AccountOperationContext
from ringback.operations.jobs import create_job, record_job
from ringback.ports import PageWindow, Transaction

_LINES_IN_ONE: Final = 500
"""The lines of a plan that one line of the journal has."""


class PlanAction(StrEnum):
    """What a job does with a plan."""

    APPLY = "apply"
    REVERT = "revert"
    WATCH = "watch"
    """Only watches the deliveries of a step, whose URLs a command moves elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanWork:
    """What was asked for: the parameters of the job."""

    action: PlanAction
    shares: tuple[int, ...] = ()
    """The shares of the canary, in percent; empty for no canary."""
    soak: timedelta = timedelta(0)
    least: int = 0
    wait: timedelta = timedelta(0)
    is_probed: bool = True
    """False to move URLs without probing their receivers."""
    sends_test_events: bool = False
    """True to send test events to URLs that had no callbacks, if too few came."""
    is_all_sent_again: bool = False
    """True to send again also what receivers may have acted on while their URLs were moved."""
    go_back: str = ""
    """The command that moves the URLs back, if the job only watches."""

    def parameters(self) -> dict[str, Any]:
        """Return this as the parameters of a job."""
        given: dict[str, Any] = {"action": self.action.value}
        if self.action is PlanAction.APPLY:
            given["probe"] = self.is_probed
        if self.shares:
            given |= {
                "canary": list(self.shares),
                "soak_seconds": self.soak.total_seconds(),
                "least": self.least,
                "wait_seconds": self.wait.total_seconds(),
                "test_events": self.sends_test_events,
            }
        given |= {"go_back": self.go_back} if self.go_back else {}
        return given | ({"replay": True} if self.is_all_sent_again else {})

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Self:
        """Return the work that the parameters of a job describe."""
        return cls(
            action=PlanAction(parameters["action"]),
            shares=tuple(parameters.get("canary", ())),
            soak=timedelta(seconds=parameters.get("soak_seconds", 0)),
            least=parameters.get("least", 0),
            wait=timedelta(seconds=parameters.get("wait_seconds", 0)),
            is_probed=parameters.get("probe", True),
            sends_test_events=parameters.get("test_events", False),
            is_all_sent_again=parameters.get("replay", False),
            go_back=parameters.get("go_back", ""),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOrder:
    """A plan to carry out, and how."""

    plan_id: str
    lines: Sequence[str]
    """The lines of the plan."""
    edits: int
    work: PlanWork
    journal: Sequence[str] = ()
    """The lines of a journal file of an earlier version, which the job then continues."""

    def create(
        self,
        tx: Transaction,
        context: AccountOperationContext,
        *,
        account_sid: str,
        created_by: str,
    ) -> Job:
        """Save the plan and its job, and return the job.

        A revert cancels the job that applies the plan. Raises Conflict if a job does the same work
        already.
        """
        for status in UNFINISHED:
            which = {"plan_id": self.plan_id, "status": status}
            for other in tx.jobs.page(account_sid, which, PageWindow(10)):
                self._make_way(tx, other, context)
        newest = tx.jobs.page(account_sid, {"plan_id": self.plan_id}, PageWindow(1))
        digest = hashlib.sha256("\n".join(self.lines).encode()).hexdigest()
        last = tx.plans.last(account_sid, self.plan_id)
        added = [] if last else list(self.journal)
        if not newest or newest[0].parameters.get("plan_digest") != digest:
            added += self._plan_in_pieces(context.now)
        tx.plans.add(account_sid, self.plan_id, last + 1, added)
        sid = dated(context.random_source.bytes(SID_BYTES), context.now)
        job = Job(
            sid=make_sid(SidKind.JOB, sid),
            account_sid=account_sid,
            kind=JobKind.MIGRATION,
            parameters={**self.work.parameters(), "plan_digest": digest},
            estimate=self.edits,
            is_exact=True,
            counts={},
            created_by=created_by,
            date_created=context.now,
            date_updated=context.now,
            plan_id=self.plan_id,
        )
        return create_job(tx, job, context, action="CarryOutPlan")

    def _make_way(self, tx: Transaction, other: Job, context: AccountOperationContext) -> None:
        doing = PlanWork.of(other.parameters).action
        if doing is self.work.action or self.work.action is not PlanAction.REVERT:
            raise PlanUnderWay(other.sid, doing)
        cancelled = cancel(other, context.now)
        tx.jobs.save(cancelled)
        record_job(tx, context, "CancelJob", before=other, after=cancelled)

    def _plan_in_pieces(self, now: datetime) -> list[str]:
        starts = range(0, len(self.lines), _LINES_IN_ONE)
        pieces = [self.lines[start : start + _LINES_IN_ONE] for start in starts]
        lines = (
            {
                "ringback_journal": "plan",
                "at": now.isoformat(),
                "is_first": number == 0,
                "lines": list(piece),
            }
            for number, piece in enumerate(pieces)
        )
        return [json.dumps(line, ensure_ascii=False) for line in lines]


class PlanUnderWay(Conflict):
    """A job carries out the plan already; it has to end, or be cancelled, first."""

    def __init__(self, job_sid: str, action: PlanAction) -> None:
        super().__init__(
            f"the job {job_sid} carries out this plan already ({action}):"
            f" `ringback jobs follow {job_sid}` shows how far it is, and"
            f" `ringback jobs cancel {job_sid}` ends it"
        )
        self.job_sid = job_sid
        self.action = action
