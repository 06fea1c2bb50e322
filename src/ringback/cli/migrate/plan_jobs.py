"""The jobs of one plan: in a store beside the server, or behind the server's portal."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ringback.cli.data_file import account_context
from ringback.core.job import UNFINISHED, Job, JobStatus
from ringback.operations.plan_jobs import PlanAction, PlanOrder, PlanUnderWay
from ringback.portal_client import JsonObject, NoServerAnswers, PortalClient, RouteNotFound
from ringback.ports import Clock, PageWindow, Store, Transaction


class PlanJob(NamedTuple):
    """A job that carries out a plan, as far as a command needs it."""

    sid: str
    action: PlanAction
    status: JobStatus
    reason: str | None
    """Why it failed, or what it waits for."""

    @property
    def has_ended(self) -> bool:
        """True if nothing more of it is done."""
        return self.status not in UNFINISHED


class ServerState(NamedTuple):
    """The server that works on the jobs."""

    is_there: bool
    """True if a server answers, or uses the store."""
    paused: str | None = None
    """Why servers are paused, so that they work on no job; None if they are not."""


class PlanJobs(ABC):
    """The jobs of one plan, and its journal."""

    @abstractmethod
    async def create(self, order: PlanOrder) -> PlanJob:
        """Create a job, and return it; return the one that does the same work, if there is one.

        Raises Conflict or PortalClientError if it can't be created.
        """

    @abstractmethod
    async def newest(self) -> PlanJob | None:
        """Return the newest job of the plan; None if there is none."""

    @abstractmethod
    async def lines(self, after: int) -> Sequence[str]:
        """Return some lines of the journal after the one with this number; none at its end."""

    @abstractmethod
    async def server_state(self) -> ServerState:
        """Return whether a server is there that works on the job, and whether it is paused."""


@dataclass(frozen=True, slots=True)
class StorePlanJobs(PlanJobs):
    """The jobs of a plan in a store that a server may be using."""

    store: Store
    account_sid: str
    plan_id: str
    clock: Clock
    is_in_use: Callable[[], bool]

    async def create(self, order: PlanOrder) -> PlanJob:
        """Create the job in the store: a server finds it within a second."""
        context = replace(account_context(), now=self.clock.now())

        def create(tx: Transaction) -> Job:
            owner = self.account_sid
            return order.create(tx, context, account_sid=owner, created_by="the operator")

        try:
            return _of_record(await self.store.transact(create))
        except PlanUnderWay as under_way:
            newest = await self.newest()
            if newest is None or under_way.action is not order.work.action:
                raise
            return newest

    async def newest(self) -> PlanJob | None:
        """Return the newest job of the plan in the store."""
        which = {"plan_id": self.plan_id}
        jobs = await self.store.read(
            lambda tx: tx.jobs.page(self.account_sid, which, PageWindow(1))
        )
        return _of_record(jobs[0]) if jobs else None

    async def lines(self, after: int) -> Sequence[str]:
        """Return some lines of the journal in the store."""
        return await self.store.read(
            lambda tx: tx.plans.after(self.account_sid, self.plan_id, after)
        )

    async def server_state(self) -> ServerState:
        """Return whether a server uses the store, and whether it is paused."""
        pause = await self.store.read(lambda tx: tx.pause.get())
        return ServerState(self.is_in_use(), pause and pause.reason)


@dataclass(frozen=True, slots=True)
class PortalPlanJobs(PlanJobs):
    """The jobs of a plan behind the portal of a server."""

    portal: PortalClient
    plan_id: str

    async def create(self, order: PlanOrder) -> PlanJob:
        """Ask the server for the job."""
        newest = await self.newest()
        if newest is not None and not newest.has_ended and newest.action is order.work.action:
            return newest
        body = {"plan": order.lines, "journal": order.journal, **order.work.parameters()}
        return _of_json(await asyncio.to_thread(self.portal.send_json, "POST", "plans", body=body))

    async def newest(self) -> PlanJob | None:
        """Return the newest job of the plan that the server has."""
        query = {"PlanId": self.plan_id, "PageSize": "1"}
        page = await asyncio.to_thread(self.portal.get, "jobs", query=query)
        return _of_json(page["jobs"][0]) if page["jobs"] else None

    async def lines(self, after: int) -> Sequence[str]:
        """Return some lines of the journal that the server has."""
        query = {"After": str(after)}
        try:
            page = await asyncio.to_thread(
                self.portal.get, "plans", self.plan_id, "journal", query=query
            )
        except RouteNotFound:  # the plan has no job yet
            return []
        return page["lines"]

    async def server_state(self) -> ServerState:
        """Return whether the server answers, and whether it is paused."""
        try:
            state = await asyncio.to_thread(self.portal.for_api("readyz").get)
        except NoServerAnswers:
            return ServerState(is_there=False)
        return ServerState(is_there=True, paused=state.get("paused"))


def _of_record(job: Job) -> PlanJob:
    action = PlanAction(job.parameters["action"])
    return PlanJob(job.sid, action, job.status, job.status_reason)


def _of_json(job: JsonObject) -> PlanJob:
    action, status = PlanAction(job["parameters"]["action"]), JobStatus(job["status"])
    return PlanJob(job["sid"], action, status, job["status_reason"])
