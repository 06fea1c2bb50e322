"""Carries out plans in a server: gives their jobs the store, the HTTP client and the queue."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ringback.application.process_dependencies import ProcessDependencies
from ringback.application.receiver_checker import ReceiverChecker
from ringback.core.audit import SERVER
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.job import Job
from ringback.core.policy.source_policy import SourceName
from ringback.operations.callback_destinations import CallbackUrlAndMethod
from ringback.operations.context import OperationContext
from ringback.ports import Clock, Store

if TYPE_CHECKING:
    from ringback.migration.executor import ReceiverReadinessCheck
    from ringback.migration.url_source import UrlEntry

# The code of the migration is imported for the first job: few servers need it.


@dataclass(frozen=True, slots=True)
class PlanWorker:
    """The work of jobs that carry out a plan."""

    process: ProcessDependencies
    store: Store
    checker: ReceiverChecker
    context: Callable[[], OperationContext]
    """Returns the context in which callbacks are sent again."""

    async def carry_out(self, job: Job, clock: Clock) -> str | None:
        """Do all work of a job; returns why it failed, or None. Raises JobStopped."""
        from ringback.migration.plan_carrier import PlanCarrier  # noqa: PLC0415 (see above)

        by = SERVER._replace(name=job.sid)
        carrier = PlanCarrier(
            store=self.store,
            readiness=self._readiness,
            context=lambda: replace(self.context(), actor=by),
            checkpoint=self.process.checkpoint,
        )
        return await carrier.carry_out(job, clock)

    def _readiness(self, to: SourceName) -> "ReceiverReadinessCheck":
        async def check(entry: "UrlEntry") -> str | None:
            sid = entry.place.account_sid or ""
            account = await self.store.read(lambda tx: tx.accounts.get(sid))
            if account is None:
                return f"account {sid} does not exist any more"
            url = CallbackUrl.parse(entry.url, sources=None)
            found = await self.checker.check(account, CallbackUrlAndMethod(url, entry.method), to)
            await self.store.transact(lambda tx: tx.receiver_checks.save(found))
            return found.words or None

        return check
