"""Apply a plan to the configured URLs, or revert it.

The journal is written before and after each change of a URL. If the process dies, each URL has
either its old or its new form, and the next process continues from there. If moved URLs deliver
worse, they are rolled back before any other URL moves.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Protocol, TypeVar

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.errors import StoreUnavailable
from ringback.migration.canary_evaluation import CanaryResult
from ringback.migration.canary_step import ALL, CanarySettings, up_to
from ringback.migration.edit_status import MAY_MOVE, EditState, EditWithState, edit_statuses
from ringback.migration.journal import ApplyBegan, JournalEntryType, PlanJournal, PlanStep
from ringback.migration.plan import MigrationPlan, edit_record
from ringback.migration.redaction import with_credentials_of
from ringback.migration.url_source import EditOutcome, UrlEdit, UrlEntry, UrlLocation, UrlSource
from ringback.ports import Clock, no_checkpoint

T = TypeVar("T")

_LEAST_BATCH: Final = 50
_MOST_BATCHES: Final = 100
"""The maximum number of batches, since each batch may rewrite the same file."""
_PROBES_AT_ONCE: Final = 25
_SETTLE_AGAIN: Final = timedelta(seconds=1)
_log = logging.getLogger(__name__)


ReceiverReadinessCheck = Callable[[UrlEntry], Awaitable[str | None]]
"""Returns None if a URL's receiver is ready for the new source, or a sentence saying why not."""


class ApplyOutcome(StrEnum):
    """How an apply ended."""

    DONE = "done"
    """All steps are done."""
    WENT_BACK = "went back"
    """The last step was rolled back."""
    UNPROVEN = "unproven"
    """Too few callbacks came in a step, and its receivers may not be probed: it is still open."""


class UndeliveredCallbacks(Protocol):
    """Deals with what receivers refused while their URLs were moved, after these have gone back."""

    async def settle(self) -> bool:
        """Send again what can be sent by now; return True if nothing is left to deal with."""
        ...


class StepWatcher(Protocol):
    """Another process that watches a step beside this one, and goes on if this one is killed."""

    async def begin(self) -> None:
        """Let it begin: all URLs of the step have moved."""
        ...

    async def end(self) -> None:
        """Let it end: this process has judged the step."""
        ...


class TestEvents(Protocol):
    """Sends test events to URLs that had no callbacks."""

    async def send(self, entries: Sequence[UrlEntry]) -> Mapping[UrlLocation, str]:
        """Send one to each of these URLs, and wait until all have ended.

        Returns why it was not delivered, as a sentence, for each place where it was not.
        """
        ...


# ---- the move ------------------------------------------------------------------------------------


Due = tuple[UrlEdit, UrlEntry]
"""An edit to make or undo, and the URL that is configured in its place now."""


@dataclass(slots=True)
class PlanExecutor:
    """Applies or reverts one plan: edits URLs where they are configured, and writes the journal."""

    plan: MigrationPlan
    url_source: UrlSource
    journal: PlanJournal
    clock: Clock
    checkpoint: Callable[[str], None] = no_checkpoint
    undelivered: UndeliveredCallbacks | None = None
    """None if no callbacks can be sent here: the journal then says which URLs are not settled."""
    test_events: TestEvents | None = None
    """None if the canary must not send test events, or none can be sent here."""
    watcher: StepWatcher | None = None
    """Watches beside this process, if that may be killed and nobody goes on; else None."""
    _skipped: set[UrlLocation] = field(default_factory=set[UrlLocation])
    """The places of URLs whose receivers were not ready during this apply."""

    async def apply(
        self, *, readiness: ReceiverReadinessCheck | None, canary: CanarySettings | None = None
    ) -> ApplyOutcome:
        """Move the URLs that haven't moved yet, step by step.

        Continues where an earlier apply stopped. Without `readiness`, no receiver is checked.
        Without a canary, all edits are one step, which isn't watched. Ends when all callbacks are
        dealt with that receivers refused while their URLs were moved.

        Raises ConfigurationError if the URLs or the journal can't be used; another apply can
        continue.
        """
        await self._begin(canary)
        await self._see_what_was_cut_off()
        outcome = await self._apply_steps(readiness, canary)
        await self.settle()
        return outcome

    async def watch(self, canary: CanarySettings) -> ApplyOutcome:
        """Only watch the step that is under way, and write what is found into the journal."""
        is_continued = self.journal.summary.open_step.is_continued
        await self._note(JournalEntryType.GOES_ON, edits=0)
        result = await self._watch(canary, is_continued=is_continued)
        if result is None:
            return ApplyOutcome.WENT_BACK
        if result.callbacks < canary.least:
            await self._note(JournalEntryType.UNPROVEN, callbacks=result.callbacks)
            return ApplyOutcome.UNPROVEN
        return ApplyOutcome.DONE

    async def revert(self, *, is_all_sent_again: bool = False) -> None:
        """Undo all edits that this plan made; continues where an earlier revert stopped.

        With `is_all_sent_again`, callbacks that receivers may have acted on are sent again, too.
        """
        await self._note(JournalEntryType.REVERTING, replay=is_all_sent_again)
        await self._see_what_was_cut_off()
        await self._return(self.journal.summary.edits)
        await self.settle()

    async def settle(self) -> None:
        """Deal with callbacks that receivers refused, until there are none any more."""
        while not await self._settle_some():
            await self.clock.sleep_until(self.clock.now() + _SETTLE_AGAIN)

    async def statuses(self) -> dict[UrlLocation, EditWithState]:
        """Return the current state of each edit of the plan, by the place of its URL."""
        return edit_statuses(self.plan, self.journal.summary, await self.url_source.entries())

    @property
    def _step(self) -> PlanStep | None:
        return self.journal.summary.step

    async def _note(self, what: JournalEntryType, **more: Any) -> None:
        await self.journal.append(what, at=self.clock.now(), **more)
        self.checkpoint(what.value)

    async def _note_places(
        self, what: JournalEntryType, places: Mapping[UrlLocation, str], **more: Any
    ) -> None:
        if places:
            await self._note(what, places=places, **more)

    async def _begin(self, canary: CanarySettings | None) -> None:
        """Write the canary's shares and soak into the journal, if they aren't there yet."""
        soak = canary.soak if canary else timedelta(0)
        began = ApplyBegan(
            canary.shares if canary else (),
            soak.total_seconds(),
            canary.least if canary else 0,
            canary.wait.total_seconds() if canary else 0.0,
        )
        if self.journal.summary.began != began:
            await self._note(JournalEntryType.BEGAN, plan=self.plan.id, **asdict(began))

    async def _see_what_was_cut_off(self) -> None:
        """Write into the journal the outcome of edits that an earlier process left unfinished."""
        marks = self.journal.summary.marks
        unsure = [place for place, mark in marks.items() if mark in _UNDER_WAY]
        if not unsure:
            return
        found = await self.statuses()
        for what, states in _AS_FOUND.items():
            so = {place: "" for place in unsure if found[place].state in states}
            await self._note_places(what, so)

    # ---- forward

    async def _apply_steps(
        self, readiness: ReceiverReadinessCheck | None, canary: CanarySettings | None
    ) -> ApplyOutcome:
        if self._step is not None and self._step.is_stopped:
            return await self._go_back()
        shares = [*(canary.shares if canary else ()), ALL]
        if self._step is not None:
            # A step that was cut off goes on first, with its own share.
            own = self._step.share
            shares = [own, *(share for share in shares if share > own)]
        for share in shares:
            if not await self._move(share, readiness):
                continue
            if canary is not None:
                result = await self._watch_beside(canary)
                if result is not None and result.callbacks < canary.least:
                    if readiness is None and self.test_events is None:
                        await self._note(JournalEntryType.UNPROVEN, callbacks=result.callbacks)
                        return ApplyOutcome.UNPROVEN
                    result = await self._try_silent(result, canary, readiness)
                if result is None:
                    return await self._go_back()
            await self._note(JournalEntryType.PASSED)
        return ApplyOutcome.DONE

    async def _move(self, share: int, readiness: ReceiverReadinessCheck | None) -> bool:
        """Move URLs until this percentage of the plan's URLs has moved.

        Returns True if it began or continued a step, which the caller must watch and end; False if
        there was nothing to move.
        """
        if self._step is not None and self._step.watched_until is not None:
            await self._note(JournalEntryType.GOES_ON, edits=0)
            return True
        meant = up_to(share, self.plan.edits) - self._skipped
        due = await self._due(meant, MAY_MOVE)
        if self._step is None:
            if not due:
                return False
            await self._note(JournalEntryType.STEP, share=share, edits=len(due))
        else:
            await self._note(JournalEntryType.GOES_ON, edits=len(due))
        check = None if readiness is None else _once_for_each_receiver(readiness)
        for batch in _batches(due):
            if ready := await self._admitted(batch, check):
                records = [edit_record(edit) for edit, _ in ready]
                await self._note(JournalEntryType.MOVING, edits=records)
                edits = [exact(edit, entry) for edit, entry in ready]
                await self._replace(ready, edits, JournalEntryType.MOVED)
        return True

    async def _due(
        self, places: Collection[UrlLocation], states: Collection[EditState]
    ) -> list[Due]:
        """Return the edits in these places whose state is one of `states`, to make or undo them."""
        found = (await self.statuses()).items()
        return [
            (status.edit, status.entry)
            for place, status in found
            if place in places and status.state in states and status.entry is not None
        ]

    async def _admitted(
        self, batch: Sequence[Due], check: ReceiverReadinessCheck | None
    ) -> Sequence[Due]:
        """Check the receivers of these edits, and return the edits whose receivers are ready.

        The other edits are written into the journal as skipped.
        """
        refused = await self._probe(batch, check)
        self._skipped |= refused.keys()
        await self._note_places(JournalEntryType.SKIPPED, refused)
        return [due for due in batch if due[0].place not in refused]

    async def _replace(
        self, batch: Sequence[Due], edits: Sequence[UrlEdit], done: JournalEntryType
    ) -> None:
        """Make these edits, and write their outcomes into the journal."""
        endings = await self.url_source.replace(edits)
        self.checkpoint("replaced")
        ended = [(edit.place, how) for (edit, _), how in zip(batch, endings, strict=True)]
        made = {place: "" for place, how in ended if how is EditOutcome.DONE}
        left = {place: how.value for place, how in ended if how is not EditOutcome.DONE}
        await self._note_places(done, made)
        await self._note_places(JournalEntryType.LEFT, left)

    # ---- watching

    async def _watch_beside(self, canary: CanarySettings) -> CanaryResult | None:
        """Do the same as `_watch`, while another process watches, too, if there is one."""
        step = self.journal.summary.open_step
        is_continued = step.watched_until is not None
        if self.watcher is None or not step.places:
            return await self._watch(canary, is_continued=is_continued)
        await self._begin_to_soak(canary)
        await self.watcher.begin()
        result = await self._watch(canary, is_continued=is_continued)
        await self.watcher.end()
        return result

    async def _watch(self, canary: CanarySettings, *, is_continued: bool) -> CanaryResult | None:
        """Watch the step's deliveries until the soak is over, and enough callbacks have come.

        Also ends if too few have come when the canary has waited for them as long as it may.
        Returns the last result, or None as soon as the whole step must be rolled back. If another
        process has begun to watch the step, it may have been stopped while it sent.
        """
        step = self.journal.summary.open_step
        if not step.places:
            return CanaryResult(callbacks=canary.least)
        if is_continued:
            await self.clock.sleep_until(self.clock.now() + canary.settles_after_stop)
        until = step.watched_until or await self._begin_to_soak(canary)
        edits = [self.journal.summary.edits[place] for place in step.places]
        before = await self._patiently(canary, lambda: canary.before(step.began))
        while True:
            result = await self._patiently(
                canary, lambda: canary.look(edits, before, began=step.began, now=self.clock.now())
            )
            ends = until
            if self.clock.now() >= until and result.callbacks < canary.least:
                more = self.clock.now() + canary.wait
                ends = step.waits_until or await self._wait_for_more(more, result)
            is_over = self.clock.now() >= ends
            # Before that, there are too few URLs with callbacks to say that a share is general.
            is_general = result.is_general if is_over else result.is_surely_general
            await self._leave_behind(step, result, is_general=is_general)
            if step.is_stopped:
                return None
            self.checkpoint("looked")
            await self._settle_some()
            if is_over:
                return result
            await self.clock.sleep_until(min(self.clock.now() + canary.pause, ends))

    async def _begin_to_soak(self, canary: CanarySettings) -> datetime:
        """Note until when the step is watched, unless that is noted already; return it."""
        step = self.journal.summary.open_step
        if step.watched_until is None:
            until = self.clock.now() + canary.soak
            await self._note(JournalEntryType.SOAKING, until=until.isoformat())
            return until
        return step.watched_until

    async def _wait_for_more(self, until: datetime, result: CanaryResult) -> datetime:
        """Note that too few callbacks have come, and until when to wait for more; return that."""
        await self._note(
            JournalEntryType.WAITING, until=until.isoformat(), callbacks=result.callbacks
        )
        return until

    async def _patiently(self, canary: CanarySettings, look: Callable[[], Awaitable[T]]) -> T:
        """Return the result of `look`, which is tried again while the database can't give it."""
        while True:
            try:
                return await look()
            except StoreUnavailable as failure:
                _log.warning("the canary can't read the deliveries, and tries again: %s", failure)
                await self.clock.sleep_until(self.clock.now() + canary.pause)

    async def _try_silent(
        self, result: CanaryResult, canary: CanarySettings, readiness: ReceiverReadinessCheck | None
    ) -> CanaryResult | None:
        """Try the step's receivers that had no callbacks, and roll back those that are not ready.

        They are probed, and get a test event if that is asked for. Returns the result with those,
        or None if the whole step must be rolled back.
        """
        step = self.journal.summary.open_step
        due = await self._due(step.places - result.called, {EditState.MOVED})
        check = None if readiness is None else _once_for_each_receiver(readiness)
        refused = await self._probe(due, check)
        ready = [entry for edit, entry in due if edit.place not in refused]
        if self.test_events is not None:
            refused |= await self.test_events.send(ready)
        await self._note(
            JournalEntryType.PROVED,
            callbacks=result.callbacks,
            called=len(result.called),
            probed=0 if readiness is None else len(due),
            tested=0 if self.test_events is None else len(ready),
            refused=len(refused),
        )
        tried = CanaryResult(
            {**result.worse, **{at: f"no callback came, and {why}" for at, why in refused.items()}},
            result.called | {edit.place for edit, _ in due},
            canary.least,
        )
        await self._leave_behind(step, tried, is_general=tried.is_general)
        return None if step.is_stopped else tried

    async def _probe(
        self, due: Sequence[Due], check: ReceiverReadinessCheck | None
    ) -> dict[UrlLocation, str]:
        """Probe the receivers of these URLs, and return why those are not ready that aren't."""
        if check is None:
            return {}
        whys = await asyncio.gather(*(check(entry) for _, entry in due))
        return {edit.place: why for (edit, _), why in zip(due, whys, strict=True) if why}

    async def _leave_behind(
        self, step: PlanStep, result: CanaryResult, *, is_general: bool
    ) -> None:
        """Roll back the URLs that deliver worse; if `is_general`, stop the whole step."""
        summary = self.journal.summary
        worse = {place: why for place, why in result.worse.items() if place not in summary.behind}
        await self._note_places(JournalEntryType.WORSE, worse)
        if is_general:
            figures = {"worse": len(result.worse), "called": len(result.called)}
            await self._note(JournalEntryType.STOPPED, **figures)
        elif there := [
            place
            for place in step.places & summary.behind.keys()
            if summary.marks.get(place) is JournalEntryType.MOVED
        ]:
            await self._return(there)

    # ---- back

    async def _go_back(self) -> ApplyOutcome:
        await self._return(self.journal.summary.open_step.places)
        await self._note(JournalEntryType.WENT_BACK)
        return ApplyOutcome.WENT_BACK

    async def _return(self, places: Collection[UrlLocation]) -> None:
        due = await self._due(places, {EditState.MOVED})
        for batch in _batches(due):
            these = {edit.place: "" for edit, _ in batch}
            await self._note_places(JournalEntryType.RETURNING, these, of=len(due))
            back = [exact(edit.back(), entry) for edit, entry in batch]
            await self._replace(batch, back, JournalEntryType.RETURNED)

    async def _settle_some(self) -> bool:
        """Deal with those that can be dealt with by now; return True if none are left."""
        if self.undelivered is None or not self.journal.summary.unsettled:
            return True
        return await self.undelivered.settle()


_AS_FOUND: Final = {
    JournalEntryType.MOVED: {EditState.MOVED},
    JournalEntryType.RETURNED: {EditState.RETURNED, EditState.BEHIND},
    JournalEntryType.LEFT: {EditState.PENDING, EditState.CHANGED, EditState.GONE},
}
_UNDER_WAY: Final = (JournalEntryType.MOVING, JournalEntryType.RETURNING)


def _once_for_each_receiver(check: ReceiverReadinessCheck) -> ReceiverReadinessCheck:
    """Return a check that keeps its results, so that no receiver of an account is checked twice.

    At most 25 checks run at the same time.
    """
    asked = dict[tuple[str | None, str, str], asyncio.Task[str | None]]()
    slots = asyncio.Semaphore(_PROBES_AT_ONCE)

    async def ask(entry: UrlEntry) -> str | None:
        async with slots:
            return await check(entry)

    async def once(entry: UrlEntry) -> str | None:
        url = CallbackUrl.parse(entry.url, sources=None).wire
        key = (entry.place.account_sid, url, entry.method)
        if key not in asked:
            asked[key] = asyncio.create_task(ask(entry))
        return await asked[key]

    return once


def _batches(due: Sequence[Due]) -> Iterator[Sequence[Due]]:
    size = max(_LEAST_BATCH, -(-len(due) // _MOST_BATCHES))
    for start in range(0, len(due), size):
        yield due[start : start + size]


def exact(edit: UrlEdit, entry: UrlEntry) -> UrlEdit:
    """Return the edit with the configured URL's credentials added to both its URLs."""
    return replace(edit, old=entry.url, new=with_credentials_of(edit.new, entry.url))
