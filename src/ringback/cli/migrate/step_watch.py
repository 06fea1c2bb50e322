"""Lets a server watch URLs that a command moves elsewhere: in files, or in a table.

Only the command can move them back. But if its terminal is closed, the server goes on watching, and
reports what it finds.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ringback.cli.output import echo
from ringback.migration.canary_step import CanarySettings
from ringback.migration.journal import journal_of, lines_of
from ringback.migration.plan import MigrationPlan, plan_lines
from ringback.operations.plan_jobs import PlanAction, PlanWork
from ringback.portal_client import PortalClient, PortalClientError
from ringback.ports import UrlDeliveryTotals


@dataclass(frozen=True, slots=True)
class PortalDeliveries:
    """Implements `UrlDeliveryHistory` by the portal of the server that sends to the URLs."""

    portal: PortalClient

    async def totals(self, *, since: datetime, until: datetime) -> Sequence[UrlDeliveryTotals]:
        """Return the totals of the callbacks created in this period."""
        query = {"Since": since.isoformat(), "Until": until.isoformat()}
        page = await asyncio.to_thread(self.portal.get, "totals", query=query)
        return [UrlDeliveryTotals.of_record(record) for record in page["totals"]]


@dataclass(slots=True)
class ServerStepWatcher:
    """Implements `StepWatcher`: a job of the server watches each step."""

    plan: MigrationPlan
    path: Path
    canary: CanarySettings
    portal: PortalClient
    _sid: str | None = field(default=None, init=False)

    async def begin(self) -> None:
        """Create the job, and print how it is followed."""
        work = PlanWork(
            action=PlanAction.WATCH,
            shares=self.canary.shares,
            soak=self.canary.soak,
            least=self.canary.least,
            wait=self.canary.wait,
            go_back=f"ringback migrate revert {self.path} --write",
        )
        body = {
            "plan": plan_lines(self.path),
            "journal": lines_of(journal_of(self.path)),
            **work.parameters(),
        }
        job = await asyncio.to_thread(self.portal.send_json, "POST", "plans", body=body)
        self._sid = job["sid"]
        echo(
            f"the server watches, too, if this command ends: `ringback jobs follow {self._sid}`",
            err=True,
        )

    async def end(self) -> None:
        """End the job, since the command has judged the step."""
        if self._sid is None:
            return
        with suppress(PortalClientError):  # it may have ended by itself
            await asyncio.to_thread(self.portal.post, "jobs", self._sid, "cancel")
        self._sid = None
