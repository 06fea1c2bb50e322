"""Apply a plan to the configured URLs, or revert it.

The journal is written before and after each change of a URL. If the process dies, each URL has
either its old or its new form, and the next process continues from there. If moved URLs deliver
worse, they are rolled back before any other URL moves.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.migration.canary_evaluation import CanaryResult
from ringback.migration.canary_step import ALL, CanarySettings, up_to
from ringback.migration.edit_status import MAY_MOVE, EditState, EditWithState, edit_statuses
from ringback.migration.journal import ApplyBegan, JournalEntryType, PlanJournal, PlanStep
from ringback.migration.plan import MigrationPlan, edit_record
from ringback.migration.redaction import with_credentials_of
from ringback.migration.url_source import EditOutcome, UrlEdit, UrlEntry, UrlLocation, UrlSource
from ringback.ports import Clock, no_checkpoint

_LEAST_BATCH: Final = 50
_MOST_BATCHES: Final = 100
"""The maximum number of batches, since each batch may rewrite the same file."""
_PROBES_AT_ONCE: Final = 25


ReceiverReadinessCheck = Callable[[UrlEntry], Awaitable[str | None]]
"""Returns None if a URL's receiver is ready for the new source, or a sentence saying why not."""


class ApplyOutcome(StrEnum):
    """How an apply ended: all steps done, or the last step rolled back."""

    DONE = "done"
    WENT_BACK = "went back"


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
    _skipped: set[UrlLocation] = field(default_factory=set[UrlLocation])
    """The places of URLs whose receivers were not ready during this apply."""

    async def apply(
        self, *, readiness: ReceiverReadinessCheck | None, canary: CanarySettings | None = None
    ) -> ApplyOutcome:
        """Move the URLs that haven't moved yet, step by step.

        Continues where an earlier apply stopped. Without `readiness`, no receiver is checked.
        Without a canary, all edits are one step, which isn't watched.

        Raises ConfigurationError if the URLs or the journal can't be used; another apply can
        continue.
        """
        await self._begin(canary)
        await self._see_what_was_cut_off()
        if self._step is not None and self._step.is_stopped:
            return await self._go_back()
        for share in (*(canary.shares if canary else ()), ALL):
            if not await self._move(share, readiness):
                continue
            if canary is not None and not await self._watch(canary):
                return await self._go_back()
            await self._note(JournalEntryType.PASSED)
        return ApplyOutcome.DONE

    async def revert(self) -> None:
        """Undo all edits that this plan made; continues where an earlier revert stopped."""
        await self._note(JournalEntryType.REVERTING)
        await self._see_what_was_cut_off()
        await self._return(self.journal.summary.edits)

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
        began = ApplyBegan(canary.shares if canary else (), soak.total_seconds())
        if self.journal.summary.began != began:
            await self._note(
                JournalEntryType.BEGAN, plan=self.plan.id, shares=began.shares, soak=began.soak
            )

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
        if check is None:
            return batch
        whys = await asyncio.gather(*(check(entry) for _, entry in batch))
        refused = {edit.place: why for (edit, _), why in zip(batch, whys, strict=True) if why}
        self._skipped |= refused.keys()
        await self._note_places(JournalEntryType.SKIPPED, refused)
        return [due for due, why in zip(batch, whys, strict=True) if not why]

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

    async def _watch(self, canary: CanarySettings) -> bool:
        """Watch the step's deliveries until the soak is over.

        Returns True at its end, or False as soon as the whole step must be rolled back.
        """
        step = self.journal.summary.open_step
        if not step.places:
            return True
        until = step.watched_until or self.clock.now() + canary.soak
        if step.watched_until is None:
            await self._note(JournalEntryType.SOAKING, until=until.isoformat())
        edits = [self.journal.summary.edits[place] for place in step.places]
        before = await canary.before(step.began)
        while True:
            result = await canary.look(edits, before, began=step.began, now=self.clock.now())
            await self._leave_behind(step, result)
            if step.is_stopped:
                return False
            self.checkpoint("looked")
            if self.clock.now() >= until:
                return True
            await self.clock.sleep_until(min(self.clock.now() + canary.pause, until))

    async def _leave_behind(self, step: PlanStep, result: CanaryResult) -> None:
        """Roll back the URLs that deliver worse; if there are too many, stop the whole step."""
        summary = self.journal.summary
        worse = {place: why for place, why in result.worse.items() if place not in summary.behind}
        await self._note_places(JournalEntryType.WORSE, worse)
        if result.is_general:
            figures = {"worse": len(result.worse), "called": result.called}
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
