"""The portal's operations that draft plans, list them, and show how far they are."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

from ringback.api.dependencies import ApiDependencies
from ringback.api.endpoint_group import ApiRequest, EndpointGroup
from ringback.api.operation_definition import ApiOperation, OperationParameter, required
from ringback.api.portal.plans import PLANS
from ringback.api.schema_pieces import (
    COUNTS,
    INSTANT,
    SECONDS,
    SOURCE,
    TEXT,
    list_of,
    number,
    object_of,
    one_of,
    or_null,
    sid_of,
    text,
)
from ringback.api.serializers import CustomJsonSerializer
from ringback.core.accounts.account import EVERY
from ringback.core.job import Job, JobStatus
from ringback.core.policy.receiver_evidence import ReceiverVerdict
from ringback.core.sids import SidKind
from ringback.operations.plan_jobs import PlanAction
from ringback.ports import PageWindow, Transaction

_MOST_LISTED: Final = 100
_LONGEST_URL: Final = 4096
_MOST_CONDITIONS: Final = 20

_ACCOUNT: Final = or_null(sid_of(SidKind.ACCOUNT))
_EDIT: Final = {"account_sid": _ACCOUNT, "place": TEXT, "method": TEXT, "url": TEXT, "new": TEXT}
PLAN_DRAFT: Final = CustomJsonSerializer(
    "plan_draft",
    object_of(
        id=TEXT,
        to=SOURCE,
        phase=TEXT,
        edits=number(0),
        lines=list_of(TEXT),
        digest=TEXT,
        left_out=COUNTS,
        without_effect=COUNTS,
        first=list_of(object_of(**_EDIT)),
    ),
)
_JOB: Final = object_of(
    sid=sid_of(SidKind.JOB),
    action=one_of(PlanAction),
    status=one_of(JobStatus),
    status_reason=or_null(TEXT),
    counts=COUNTS,
    date_created=INSTANT,
    date_updated=INSTANT,
)
PLAN_LIST: Final = CustomJsonSerializer(
    "plans",
    object_of(
        plans=list_of(
            object_of(id=TEXT, account_sid=_ACCOUNT, to=or_null(SOURCE), edits=number(0), job=_JOB)
        )
    ),
)
_DELIVERED: Final = or_null(object_of(delivered=number(0), total=number(0)))
_CHECK: Final = object_of(
    verdict=one_of(ReceiverVerdict),
    words=TEXT,
    fault=or_null(TEXT),
    fix=or_null(TEXT),
    date=INSTANT,
)
PLAN_OVERVIEW: Final = CustomJsonSerializer(
    "plan_overview",
    object_of(
        id=TEXT,
        account_sid=_ACCOUNT,
        job=or_null(_JOB),
        to=or_null(SOURCE),
        date_created=or_null(INSTANT),
        date_updated=or_null(INSTANT),
        problem=or_null(TEXT),
        edits=number(0),
        left_out=COUNTS,
        soak_seconds=SECONDS,
        least=number(0),
        wait_seconds=SECONDS,
        steps=list_of(
            object_of(share=number(1, 100), state=TEXT, until=or_null(INSTANT), urls=number(0))
        ),
        counts=COUNTS,
        callbacks=COUNTS,
        deliveries_counted=or_null(INSTANT),
        urls=list_of(
            object_of(
                **_EDIT,
                state=TEXT,
                words=or_null(TEXT),
                verdict=or_null(TEXT),
                before=_DELIVERED,
                since=_DELIVERED,
                check=or_null(_CHECK),
            )
        ),
        urls_left_out=number(0),
    ),
)
_DRAFT: Final = (
    required("To", SOURCE, "The source to move URLs to."),
    OperationParameter(
        "Select",
        {**list_of(TEXT), "maxItems": _MOST_CONDITIONS},
        "A condition for the URLs, like `source=none` or `url!=https://a.example/*`, as for"
        " `ringback migrate plan`; can be repeated.",
    ),
    OperationParameter("AccountSid", sid_of(SidKind.ACCOUNT), "Only URLs of this account."),
    OperationParameter(
        "UrlPrefix", text(longest=_LONGEST_URL), "Only URLs that begin with this text."
    ),
    OperationParameter(
        "Percent", number(1, 100), "Move only this percentage of the receivers (default 100)."
    ),
)
_LIST: Final = (
    OperationParameter("PageSize", number(1, _MOST_LISTED), "The most plans (default 50)."),
)


class PlanDraftOrder(NamedTuple):
    """What a plan is asked for."""

    to: str
    conditions: Sequence[str]
    """The conditions for URLs, as texts."""
    percent: int


class PlanViewer(Protocol):
    """Drafts plans, and shows how far they are."""

    async def draft(self, account_sid: str, order: PlanDraftOrder) -> dict[str, Any]:
        """Return a plan, for JSON; raises InvalidParameter."""
        ...

    def target_of(self, tx: Transaction, account_sid: str, plan_id: str) -> str | None:
        """Return the source that a plan moves URLs to; None if it is unknown."""
        ...

    async def overview(self, account_sid: str, plan_id: str) -> dict[str, Any]:
        """Return how far a plan is, for JSON; raises NotFound or Conflict."""
        ...


class PlanViewEndpoints(EndpointGroup):
    """The operations that draft plans, list them, and show how far they are."""

    def __init__(self, dependencies: ApiDependencies, viewer: PlanViewer) -> None:
        super().__init__(dependencies)
        self._viewer = viewer

    def operations(self) -> list[ApiOperation]:
        """Return the operations that draft and show plans."""
        return [
            self.answers(
                *(f"{PLANS}/drafts", "DraftPlan"),
                "Make a plan from the URLs that are configured now, and store nothing. Its `lines`"
                " are what `POST /portal/v1/plans` takes as `plan`.",
                *(PLAN_DRAFT, self._draft),
                verb="POST",
                takes=_DRAFT,
                for_all=True,
            ),
            self.answers(
                *(PLANS, "ListPlans"),
                "List the plans that jobs have carried out, each with its newest job; the newest"
                " first.",
                *(PLAN_LIST, self._list),
                takes=_LIST,
                for_all=True,
            ),
            self.answers(
                *(f"{PLANS}/{{plan_id}}", "FetchPlan"),
                "Show how far a plan is: its steps, and the state of each URL; those first that"
                " need somebody, and at most 1,000.",
                *(PLAN_OVERVIEW, self._fetch),
                conflicts=True,
                for_all=True,
            ),
        ]

    async def _draft(self, call: ApiRequest) -> dict[str, Any]:
        given = call.given
        named = call.named_account("an account can move only its own URLs")
        prefix = given.text("UrlPrefix")
        conditions = [*given.all("Select")]
        if len(conditions) > _MOST_CONDITIONS:
            raise given.wrong(f"Select is given more than {_MOST_CONDITIONS} times")
        conditions += [] if named == EVERY else [f"account={named}"]
        conditions += [f"url={prefix}*"] if prefix else []
        percent = given.number("Percent", 1, 100, default=100)
        order = PlanDraftOrder(given.required("To"), conditions, percent)
        return await self._viewer.draft(call.account_sid, order)

    async def _list(self, call: ApiRequest) -> dict[str, Any]:
        size = call.given.number("PageSize", 1, _MOST_LISTED, default=50)

        def look(tx: Transaction) -> list[dict[str, Any]]:
            return [
                {
                    "id": job.plan_id,
                    "account_sid": job.owner,
                    "to": self._viewer.target_of(tx, job.account_sid, job.plan_id or ""),
                    "edits": job.estimate,
                    "job": _job_record(job),
                }
                for job in tx.jobs.newest_of_plans(call.account_sid, limit=size)
            ]

        return {"plans": await self.read(call.account_sid, look)}

    async def _fetch(self, call: ApiRequest) -> dict[str, Any]:
        record = await self._viewer.overview(call.account_sid, call.sid)
        which = {"plan_id": call.sid}
        jobs = await self.read(
            call.account_sid, lambda tx: tx.jobs.page(call.account_sid, which, PageWindow(1))
        )
        return {
            "id": call.sid,
            "account_sid": call.owner,
            "job": _job_record(jobs[0]) if jobs else None,
            **record,
        }


def _job_record(job: Job) -> dict[str, Any]:
    return {
        "sid": job.sid,
        "action": job.parameters["action"],
        "status": job.status,
        "status_reason": job.status_reason,
        "counts": job.counts,
        "date_created": job.date_created,
        "date_updated": job.date_updated,
    }
