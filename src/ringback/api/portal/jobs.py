"""The portal's operations on jobs: preview, create, list, fetch, pause, resume and cancel them."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any, Final

from ringback.api.authentication import Principal, signed_in
from ringback.api.endpoint_group import ApiRequest, Change, EndpointGroup
from ringback.api.operation_definition import ApiOperation, OperationParameter, filtered, required
from ringback.api.portal.callbacks import SHARED_FILTERS, STATUS
from ringback.api.portal.replay_request import AS_OTHER, read_replay_of_all
from ringback.api.request_parameters import RequestParameters
from ringback.api.schema_pieces import (
    COUNTS,
    FLAG,
    INSTANT,
    SOURCE,
    TEXT,
    list_of,
    number,
    object_of,
    one_of,
    sid_of,
    text,
)
from ringback.api.serializers import CustomJsonSerializer, Serializer, field, maybe
from ringback.core.calendar import exact
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.callbacks.undelivered_groups import KEY_LENGTH
from ringback.core.job import Job, JobKind, JobStatus, cancel, pause, resume
from ringback.core.policy.source_policy import SourceName
from ringback.core.sids import SidKind
from ringback.operations.context import OperationContext
from ringback.operations.jobs import BulkReplay, change_job, create_job, fetch_job
from ringback.operations.replay import (
    BulkReplayTotals,
    Replay,
    only_look,
    only_look_at_other,
    replay_oldest,
)
from ringback.ports import PageWindow, RecordPage, Transaction
from ringback.runtime.system_clock import stopwatch

JOBS: Final = "/portal/v1/jobs"

COUNTED_AT_ONCE: Final = 1000
"""Maximum number of callbacks that one read of the database counts."""
_COUNTED_FOR: Final = 2.0
"""Seconds after which the count of a preview ends, even if there may be more."""
_Destinations = Counter[tuple[str, SourceName]]
"""The numbers of callbacks by destination and source."""
_MOST_DESTINATIONS: Final = 500
"""Maximum number of destinations in a preview: those with the most callbacks."""
_MOST: Final = 1_000_000_000
_HIGHEST_RATE: Final = 1_000_000
_LONGEST_KEY: Final = 255
_MOST_GROUPS: Final = 100
_KEY: Final = re.compile(f"^[0-9a-f]{{{KEY_LENGTH}}}$")
"""The form of the key of a group of undelivered callbacks."""


JOB: Final = Serializer[Job](
    "job",
    "jobs",
    field("sid", sid_of(SidKind.JOB)),
    maybe("account_sid", sid_of(SidKind.ACCOUNT), "owner"),
    field("kind", one_of(JobKind)),
    field("parameters", {"type": "object"}),
    field("status", one_of(JobStatus)),
    maybe("status_reason"),
    field("done", number(0)),
    field("counts", COUNTS),
    field("estimate", number(0)),
    field("is_exact", FLAG),
    maybe("rate", number(1)),
    field("created_by"),
    field("date_created", INSTANT),
    field("date_updated", INSTANT),
    maybe("date_ended", INSTANT),
    maybe("plan_id"),
)
PREVIEW: Final = CustomJsonSerializer(
    "job_preview",
    object_of(
        kind=one_of(JobKind),
        estimate=number(0),
        is_exact=FLAG,
        skipped=COUNTS,
        destinations=list_of(object_of(destination=TEXT, source=SOURCE, count=number(1))),
        until=INSTANT,
    ),
)


class _CreatedKind(StrEnum):
    """The kinds of jobs that this API creates by parameters."""

    REPLAY = JobKind.REPLAY.value


_WHICH: Final = (
    required("Kind", one_of(_CreatedKind), "What the job does: replay sends callbacks again."),
    required("Since", INSTANT, "Only callbacks created at or after this instant."),
    OperationParameter(
        "Until", INSTANT, "Only callbacks created before this instant (default and latest: now)."
    ),
    STATUS,
    *SHARED_FILTERS,
    AS_OTHER,
    OperationParameter(
        "Groups",
        {**list_of(text(pattern=_KEY.pattern)), "maxItems": _MOST_GROUPS},
        "Only callbacks of the group with this key, from the list of groups of undelivered"
        f" callbacks. It can be given up to {_MOST_GROUPS} times.",
    ),
    OperationParameter("Most", number(1, _MOST), "The most callbacks to send again."),
)
_HOW: Final = (
    OperationParameter(
        "Rate", number(1, _HIGHEST_RATE), "The most callbacks to send again in a second."
    ),
    OperationParameter(
        "IdempotencyKey",
        text(longest=_LONGEST_KEY),
        "Of several requests with the same key, only the first creates a job.",
    ),
)


class JobEndpoints(EndpointGroup):
    """The operations on jobs."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations on jobs."""
        jobs, one = self.on(JOBS, "Job", JOB), f"{JOBS}/{{sid}}"
        creates = "Create a job, which runs in the server, and respond while it runs."
        moves = (
            ("pause", "PauseJob", "Pause a job.", pause),
            ("resume", "ResumeJob", "Let a paused job go on.", resume),
            ("cancel", "CancelJob", "End a job; what it has done stays as it is.", cancel),
        )
        return [
            # Before the path of one job, which it looks like.
            self.answers(
                *(f"{JOBS}/preview", "PreviewJob", "Count what a job would do, and do nothing."),
                *(PREVIEW, self._preview),
                takes=_WHICH,
            ),
            jobs.lists(
                "List jobs, newest first.",
                _list,
                filtered("Status", "Only jobs with this status.", JobStatus),
                filtered("PlanId", "Only jobs that carry out the plan with this id."),
            ),
            self.answers(*(one, "FetchJob", "Fetch a job.", JOB, self._fetch), for_all=True),
            self.answers(
                *(JOBS, "CreateJob", creates, JOB, self._create),
                verb="POST",
                statuses=(201,),
                takes=(*_WHICH, *_HOW),
                conflicts=True,
            ),
            *(
                self.changes(
                    *(f"{one}/{verb}", name, meaning, JOB, partial(self._move, move, name)),
                    conflicts=True,
                    for_all=True,
                )
                for verb, name, meaning, move in moves
            ),
        ]

    async def _fetch(self, call: ApiRequest) -> dict[str, Any]:
        job = await self.read(
            call.account_sid, lambda tx: fetch_job(tx, call.account_sid, call.sid)
        )
        return JOB.at(call.request)(job)

    async def _preview(self, call: ApiRequest) -> dict[str, Any]:
        replay = self._read(call.given, self._dependencies.clock.now())
        destinations = _Destinations()
        found = await self._count(call.account_sid, replay, destinations)
        return {
            "kind": JobKind.REPLAY,
            "estimate": _estimate(found, replay),
            "is_exact": not found.has_more,
            "skipped": found.skipped,
            "destinations": [
                {"destination": destination, "source": source, "count": count}
                for (destination, source), count in destinations.most_common(_MOST_DESTINATIONS)
            ],
            "until": replay.which.until and exact(replay.which.until),
        }

    async def _create(self, call: ApiRequest) -> dict[str, Any]:
        now, given = self._dependencies.clock.now(), call.given
        replay = self._read(given, now)
        rate = given.number("Rate", 1, _HIGHEST_RATE, default=None)
        key = given.label("IdempotencyKey", longest=_LONGEST_KEY) or None
        found = await self._count(call.account_sid, replay)
        job = Job(
            sid=self._dependencies.context().sid(SidKind.JOB),
            account_sid=call.account_sid,
            kind=JobKind.REPLAY,
            parameters=replay.parameters(),
            rate=rate,
            estimate=_estimate(found, replay),
            is_exact=not found.has_more,
            counts={},
            created_by=who_created(signed_in(call.request)),
            idempotency_key=key,
            date_created=now,
            date_updated=now,
        )
        saved = await self.change(call.request, lambda tx, context: create_job(tx, job, context))
        self._dependencies.wake_jobs()
        return JOB.at(call.request)(saved)

    def _read(self, given: RequestParameters, now: datetime) -> BulkReplay:
        given.required("Kind")
        given.choice("Kind", _CreatedKind)
        return BulkReplay(
            which=read_replay_of_all(given, now=now, sources=self._dependencies.sources),
            is_from_other_source=given.is_yes("AsOtherSource"),
            most=given.number("Most", 1, _MOST, default=None),
            groups=_read_groups(given),
        )

    async def _count(
        self, account_sid: str, replay: BulkReplay, destinations: _Destinations | None = None
    ) -> BulkReplayTotals:
        """Count the callbacks to replay; the totals have more if that takes too long.

        They are counted in `destinations`, too.
        """
        look = only_look_at_other if replay.is_from_other_source else only_look
        if destinations is not None:
            look = _counting(look, destinations, most=replay.most)
        found, until = BulkReplayTotals(has_more=True), stopwatch() + _COUNTED_FOR
        while found.has_more and not _is_enough(found, replay):
            found += await self.read(
                account_sid,
                lambda tx, after=found.last_place: replay_oldest(
                    *(tx, account_sid, replay.which, look),
                    after=after,
                    limit=COUNTED_AT_ONCE,
                    selection=replay.selection,
                ),
            )
            if stopwatch() > until:
                return found
        return replace(found, has_more=False)

    def _move(
        self, move: Callable[[Job, datetime], Job], action: str, call: ApiRequest
    ) -> Change[Job]:
        def change(tx: Transaction, context: OperationContext) -> Job:
            tx.on_commit(self._dependencies.wake_jobs)
            return change_job(tx, call.account_sid, call.sid, move, context, action=action)

        return change


def _counting(look: Replay, destinations: _Destinations, *, most: int | None) -> Replay:
    """Return `look`, and count the destination of each callback that would be sent again."""

    def count(tx: Transaction, callback: CallbackRecord) -> CallbackRecord:
        found = look(tx, callback)
        if most is None or destinations.total() < most:
            destinations[callback.destination, callback.source] += 1
        return found

    return count


def _read_groups(given: RequestParameters) -> tuple[str, ...]:
    keys = tuple(dict.fromkeys(given.all("Groups")))
    wrong = next((key for key in keys if not _KEY.fullmatch(key)), None)
    if wrong is not None:
        raise given.wrong(
            f"Groups={wrong!r}: it must be the `key` of a group, from"
            " GET /portal/v1/undelivered/groups"
        )
    if len(keys) > _MOST_GROUPS:
        raise given.wrong(f"Groups names {len(keys)} groups; at most {_MOST_GROUPS} can be named")
    return keys


def who_created(caller: Principal) -> str:
    """Return the creator of a job, in words."""
    return "the operator" if caller.account is None else f"account {caller.account.sid}"


def _list(
    tx: Transaction,
    account_sid: str,
    window: PageWindow,
    *,
    status: str | None,
    plan_id: str | None,
) -> RecordPage[Job]:
    return tx.jobs.page(account_sid, {"status": status, "plan_id": plan_id}, window)


def _is_enough(found: BulkReplayTotals, replay: BulkReplay) -> bool:
    return replay.most is not None and found.replayed >= replay.most


def _estimate(found: BulkReplayTotals, replay: BulkReplay) -> int:
    return found.replayed if replay.most is None else min(found.replayed, replay.most)
