"""Carries out the plan of a job in the server: the job outlives the terminal, and any process.

It moves URLs that are in the store, watches their deliveries, and moves those back that deliver
worse. What their receivers refused meanwhile is sent again by the old source.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from ringback.core.audit import SERVER
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.callbacks.callback import CallbackRecord, CallbackStatus
from ringback.core.errors import BacklogFull, ConfigurationError
from ringback.core.job import Job
from ringback.core.policy.source_policy import Source, SourceName
from ringback.migration.canary_step import CanarySettings
from ringback.migration.executor import ApplyOutcome, PlanExecutor, ReceiverReadinessCheck
from ringback.migration.journal import (
    JournalEntryType,
    JournalLine,
    JournalSummary,
    MovedPeriod,
    journal_line,
)
from ringback.migration.plan import MigrationPlan
from ringback.migration.stored_journal import StoredJournal
from ringback.migration.url_source import (
    EditOutcome,
    UrlDeliveryHistory,
    UrlEdit,
    UrlEntry,
    UrlLocation,
    UrlSourceSpec,
)
from ringback.migration.url_sources.own_data import OwnDataUrlSource
from ringback.operations.context import OperationContext
from ringback.operations.kore_test_events import send_test_event
from ringback.operations.plan_jobs import PlanAction, PlanWork
from ringback.operations.refused_callbacks import (
    RefusedCallbackFate,
    RefusedCallbacks,
    RefusedCallbacksPiece,
    ReturnedUrl,
)
from ringback.ports import Clock, Store, Transaction, no_checkpoint

_PIECE: Final = 50
"""How many callbacks one transaction deals with."""
_LOOK_AGAIN: Final = timedelta(milliseconds=200)
_PATIENCE: Final = timedelta(hours=1)
"""How long after the return of a URL its job waits for attempts to end."""
_RECORDED_AT_ONCE: Final = (RefusedCallbackFate.SENT_AGAIN, RefusedCallbackFate.MAYBE_ACTED_ON)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanCarrier:
    """Carries out the plans of jobs, in a server or in a command while no server runs."""

    store: Store
    readiness: Callable[[SourceName], ReceiverReadinessCheck]
    """Returns the check of receivers before their URLs move to a source, if the job asks for it."""
    context: Callable[[], OperationContext] | None
    """Returns the context in which callbacks are sent again; None if none can be sent here."""
    checkpoint: Callable[[str], None] = no_checkpoint

    async def carry_out(self, job: Job, clock: Clock) -> str | None:
        """Do all work of a job; returns why it failed, or None.

        Raises JobStopped if the job is paused, cancelled, or continued by another process.
        """
        journal = await StoredJournal.open(self.store, job, now=clock.now())
        plan = MigrationPlan.of_lines(journal.summary.plan_lines, f"plan {job.plan_id}")
        work = PlanWork.of(job.parameters)
        urls = OwnDataUrlSource(
            self.store,
            folder="",
            clock=clock,
            account_sid=job.owner,
            actor=SERVER._replace(name=job.sid),
            guard=journal.guard,
        )
        executor = PlanExecutor(plan, urls, journal, clock, self.checkpoint)
        if self.context is not None:
            executor.undelivered = StoredUndelivered(
                journal, plan, clock, self.context, is_all=work.is_all_sent_again
            )
            if work.sends_test_events:
                executor.test_events = StoredTestEvents(self.store, clock, self.context, plan.to)
        elif work.sends_test_events:
            raise ConfigurationError(
                "only a server sends test events, and none uses this data: start it, or leave out"
                " --test-event"
            )
        if work.action is PlanAction.WATCH:
            executor.url_source, executor.undelivered = Elsewhere(), None
            outcome = await executor.watch(self._canary(work, urls))
            return _watched(outcome, journal.summary, work.go_back)
        outcome = await self._carry_out(executor, plan, work, urls)
        await journal.save_counts(at=clock.now())
        return _in_words(outcome, journal.summary)

    async def _carry_out(
        self, executor: PlanExecutor, plan: MigrationPlan, work: PlanWork, urls: OwnDataUrlSource
    ) -> ApplyOutcome:
        if work.action is PlanAction.REVERT:
            await executor.revert(is_all_sent_again=work.is_all_sent_again)
            return ApplyOutcome.DONE
        if executor.journal.summary.went_back:
            # This job was stopped after it had rolled back a step, so it must not move any more.
            await executor.settle()
            return ApplyOutcome.WENT_BACK
        canary = self._canary(work, urls) if work.shares else None
        readiness = self.readiness(plan.to) if work.is_probed else None
        return await executor.apply(readiness=readiness, canary=canary)

    @staticmethod
    def _canary(work: PlanWork, deliveries: UrlDeliveryHistory) -> CanarySettings:
        return CanarySettings(work.shares, work.soak, deliveries, work.least, work.wait)


def _watched(outcome: ApplyOutcome, summary: JournalSummary, go_back: str) -> str | None:
    """Return why a step that was only watched has to go back; None if it need not."""
    step = summary.open_step
    worse = len(step.places & summary.behind.keys())
    if outcome is ApplyOutcome.UNPROVEN:
        return f"{step.share} %: too few callbacks came to say that its URLs deliver well"
    if not worse:
        return None
    return (
        f"{step.share} %: {worse} of {len(step.places)} URLs deliver worse than before; to go back:"
        f" {go_back}"
    )


def _in_words(outcome: ApplyOutcome, summary: JournalSummary) -> str | None:
    match outcome:
        case ApplyOutcome.DONE:
            return None
        case ApplyOutcome.WENT_BACK:
            return "deliveries got worse, and a step was rolled back"
        case ApplyOutcome.UNPROVEN:
            step = summary.open_step
            return (
                f"{step.share} %: too few callbacks came to say that its URLs deliver well, and"
                " their receivers may not be probed; the step stays as it is"
            )


class Elsewhere:
    """Implements `UrlSource` for URLs that are elsewhere, where the server can't change them."""

    spec: UrlSourceSpec = {}  # noqa: RUF012 (a mapping that nobody changes)

    async def entries(self) -> Sequence[UrlEntry]:
        """Return nothing."""
        return ()

    async def replace(self, edits: Sequence[UrlEdit]) -> Sequence[EditOutcome]:
        """Change nothing."""
        return [EditOutcome.GONE for _ in edits]


@dataclass(slots=True)
class StoredUndelivered:
    """Implements `UndeliveredCallbacks` for URLs in the store."""

    journal: StoredJournal
    plan: MigrationPlan
    clock: Clock
    context: Callable[[], OperationContext]
    is_all: bool
    """True to send again also what receivers may have acted on."""
    _limit: int = _PIECE

    async def settle(self) -> bool:
        """Deal with the callbacks of all URLs that have gone back."""
        found = dict[str, dict[UrlLocation, MovedPeriod]]()
        for place, period in self.journal.summary.unsettled.items():
            found.setdefault(place.account_sid or "", {})[place] = period
        is_done = True
        for account_sid, places in found.items():
            try:
                is_done &= await self._settle_account(account_sid, places)
            except BacklogFull:
                self._limit, is_done = 1, False
        return is_done

    async def _settle_account(
        self, account_sid: str, places: Mapping[UrlLocation, MovedPeriod]
    ) -> bool:
        edits = self.journal.summary.edits
        refused = RefusedCallbacks(
            account_sid=account_sid,
            source=self.plan.to,
            urls={
                edits[place].new: ReturnedUrl(edits[place].old, period.began)
                for place, period in places.items()
            },
            is_all=self.is_all,
        )
        # Callbacks of a batch may have been accepted, and not be in the queue yet.
        has_all = await self.journal.store.read(lambda tx: tx.batches.is_empty())
        left = await self._send_again(refused, CallbackStatus.SCHEDULED)
        since = self.clock.now() - max(period.ended for period in places.values())
        if not (has_all and not left[RefusedCallbackFate.OPEN]) and since < _PATIENCE:
            return False
        left += await self._send_again(refused, CallbackStatus.FAILED)
        whole = dict.fromkeys(places, "")
        fates = {fate.value: number for fate, number in left.items()}
        await self.journal.append(
            JournalEntryType.SETTLED, at=self.clock.now(), places=whole, fates=fates
        )
        return True

    async def _send_again(
        self, refused: RefusedCallbacks, status: CallbackStatus
    ) -> Counter[RefusedCallbackFate]:
        """Deal with the callbacks of this status; return those that are not in the journal yet."""
        left, after = Counter[RefusedCallbackFate](), None
        while True:
            piece = await self.journal.record(
                lambda tx, after=after: self._piece(tx, refused, status, after)
            )
            for fate, number in piece.fates.items():
                if fate not in _RECORDED_AT_ONCE:
                    left[fate] += number
            after = piece.last_place
            if after is None:
                return left

    def _piece(
        self, tx: Transaction, refused: RefusedCallbacks, status: CallbackStatus, after: int | None
    ) -> tuple[RefusedCallbacksPiece, JournalLine | None]:
        context = self.context()
        piece = refused.send_again(tx, status, context, after=after, limit=self._limit)
        new = [sid for sid in piece.maybe_acted_on if sid not in self._known]
        sent = piece.fates.get(RefusedCallbackFate.SENT_AGAIN, 0)
        if not sent and not new:
            return piece, None
        fates = {
            RefusedCallbackFate.SENT_AGAIN.value: sent,
            RefusedCallbackFate.MAYBE_ACTED_ON.value: len(new),
        }
        line = journal_line(
            JournalEntryType.SENT_AGAIN, context.now, fates=fates, maybe_acted_on=new
        )
        return piece, line

    @property
    def _known(self) -> Set[str]:
        return self.journal.summary.maybe_acted_on.keys()


@dataclass(frozen=True, slots=True)
class StoredTestEvents:
    """Implements `TestEvents` for URLs in the store."""

    store: Store
    clock: Clock
    context: Callable[[], OperationContext]
    source: SourceName

    def __post_init__(self) -> None:
        """Raise ConfigurationError if the plan moves URLs to a source that sends no test events."""
        if self.source != Source.KORE:
            raise ConfigurationError(
                f"test events come from kore, and the plan moves URLs to {self.source}: leave out"
                " --test-event"
            )

    async def send(self, entries: Sequence[UrlEntry]) -> Mapping[UrlLocation, str]:
        """Send a test event to each URL, and wait until all have ended."""
        sent = dict[UrlLocation, CallbackRecord]()
        for start in range(0, len(entries), _PIECE):
            some = entries[start : start + _PIECE]
            sent |= await self.store.transact(lambda tx, some=some: self._send(tx, some))
        return {place: why for place, event in sent.items() if (why := await self._why_not(event))}

    def _send(
        self, tx: Transaction, entries: Sequence[UrlEntry]
    ) -> dict[UrlLocation, CallbackRecord]:
        context, sent = self.context(), dict[UrlLocation, CallbackRecord]()
        for entry in entries:
            account = tx.accounts.get(entry.place.account_sid or "")
            if account is not None:
                url = CallbackUrl.parse(entry.url, sources=None)
                event = send_test_event(tx, account, url, entry.method, context=context)
                sent[entry.place] = event
        return sent

    async def _why_not(self, event: CallbackRecord) -> str | None:
        """Wait until a test event has ended; return why it was not delivered, or None."""
        while True:
            found = await self.store.read(lambda tx: tx.callbacks.find(event.sid))
            if found is None or found.progress.is_ended:
                break
            await self.clock.sleep_until(self.clock.now() + _LOOK_AGAIN)
        if found is None or found.status is CallbackStatus.DELIVERED:
            return None
        return f"a test event was not delivered: {found.progress.status_reason}"
