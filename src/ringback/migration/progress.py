"""The progress of a plan, as its journal's lines report it: what has moved, and what stayed.

A server writes the journal, and a command that follows it reads the lines; a command that moves
URLs itself gets its own lines. So both print the same.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ringback.migration.journal import (
    JournalEntryType,
    JournalLine,
    JournalSummary,
    PlanStep,
    places_in,
)
from ringback.migration.url_source import EditOutcome, UrlLocation


@dataclass(frozen=True, slots=True)
class EditsMoved:
    """Reports the progress of a step, which has `of` edits.

    Of these, `moved` have been made, and `done` have been made or skipped. At the end of the step,
    `share` percent of the plan's edits have been made.
    """

    share: int
    moved: int
    done: int
    of: int


@dataclass(frozen=True, slots=True)
class EditSkipped:
    """Reports that the edit of this place was left out; `why` is the reason, as a sentence."""

    place: UrlLocation
    why: str


@dataclass(frozen=True, slots=True)
class CanaryStarted:
    """Reports that deliveries to the `count` moved URLs of a step are watched until this time."""

    share: int
    count: int
    until: datetime


@dataclass(frozen=True, slots=True)
class CanaryWaits:
    """Reports that only this many callbacks came in a step, and until when more are waited for."""

    share: int
    callbacks: int
    until: datetime


@dataclass(frozen=True, slots=True)
class SilentReceiversTried:
    """Reports that too few callbacks came, so that the receivers without any were tried."""

    share: int
    callbacks: int
    called: int
    """The number of URLs of the step that had callbacks."""
    probed: int
    """The number of URLs whose receivers were probed."""
    tested: int
    """The number of URLs to which a test event was sent."""
    refused: int
    """The number of URLs whose receivers are not ready."""


@dataclass(frozen=True, slots=True)
class RefusedSentAgain:
    """Reports what happened to callbacks that were not delivered while their URLs were moved."""

    sent_again: int
    maybe_acted_on: int


@dataclass(frozen=True, slots=True)
class CanaryStopped:
    """Reports that too many URLs of a step deliver worse, so the whole step is rolled back."""

    share: int
    worse: int
    called: int
    """The number of URLs of the step that had callbacks."""


@dataclass(frozen=True, slots=True)
class DeliveriesWorsened:
    """Reports that some URLs of a step deliver worse; they are rolled back, and not moved again."""

    share: int
    count: int
    """The number of edits in the step."""
    behind: Mapping[UrlLocation, str]
    """The places of the URLs that deliver worse, each with a sentence that gives the numbers."""


@dataclass(frozen=True, slots=True)
class EditsReverted:
    """Reports the progress of going back, which has `of` edits to undo.

    Of these, `returned` have been undone, and `done` have been undone or skipped.
    """

    returned: int
    done: int
    of: int


ProgressEvent = (
    EditsMoved
    | EditSkipped
    | CanaryStarted
    | CanaryWaits
    | SilentReceiversTried
    | DeliveriesWorsened
    | CanaryStopped
    | EditsReverted
    | RefusedSentAgain
)

_LEFT_IN_WORDS: Final[Mapping[str, str]] = {
    EditOutcome.CHANGED.value: "somebody else changed the URL in the meantime",
    EditOutcome.GONE.value: "the URL doesn't exist any more",
    EditOutcome.BY_HAND.value: (
        "it can't be edited there any more: `ringback migrate inventory` says why; change it by"
        " hand"
    ),
}


@dataclass(slots=True)
class ProgressReader:
    """Turns the lines of a journal into progress, as they are added."""

    _of: int = 0
    """The number of edits that will be made, or undone, in what is going on."""
    _done: int = 0
    _returned: int = 0
    _goes_back: bool = False

    def read(self, line: JournalLine, summary: JournalSummary) -> Iterator[ProgressEvent]:
        """Yield what a new line reports; `summary` is the state after it."""
        what, step = JournalEntryType(line["ringback_journal"]), summary.step
        match what:
            case JournalEntryType.RETURNING:
                yield from self._go_back(line)
            case JournalEntryType.SKIPPED | JournalEntryType.LEFT:
                for place, why in places_in(line).items():
                    yield EditSkipped(place, _LEFT_IN_WORDS.get(why, why))
                yield from self._count(line, step)
            case JournalEntryType.MOVED | JournalEntryType.RETURNED:
                yield from self._count(line, step)
            case JournalEntryType.SENT_AGAIN:
                fates = line["fates"]
                yield RefusedSentAgain(fates["sent_again"], fates["maybe_acted_on"])
            case JournalEntryType.STEP | JournalEntryType.GOES_ON if step is not None:
                yield from self._go_on(line, step)
            case _ if step is not None:
                yield from _of_canary(what, line, step)
            case _:
                pass

    def _go_on(self, line: JournalLine, step: PlanStep) -> Iterator[ProgressEvent]:
        self._goes_back, self._done = False, len(step.places)
        self._of = self._done + line.get("edits", 0)
        if step.watched_until is not None:
            yield from _watching(step)
        else:
            yield EditsMoved(step.share, self._done, self._done, self._of)

    def _go_back(self, line: JournalLine) -> Iterator[ProgressEvent]:
        if not self._goes_back:
            self._goes_back, self._done, self._returned = True, 0, 0
            self._of = line.get("of", len(line["places"]))
            yield EditsReverted(0, 0, self._of)

    def _count(self, line: JournalLine, step: PlanStep | None) -> Iterator[ProgressEvent]:
        """Count the places of a line as done, and yield how far that is."""
        self._done += len(line["places"])
        if self._goes_back:
            if line["ringback_journal"] == JournalEntryType.RETURNED:
                self._returned += len(line["places"])
            yield EditsReverted(self._returned, self._done, self._of)
            self._goes_back = self._done < self._of
        elif step is not None:
            yield EditsMoved(step.share, len(step.places), self._done, self._of)


def _of_canary(
    what: JournalEntryType, line: JournalLine, step: PlanStep
) -> Iterator[ProgressEvent]:
    """Yield what a line about the canary of a step reports."""
    match what:
        case JournalEntryType.SOAKING:
            yield from _watching(step)
        case JournalEntryType.WAITING if step.waits_until is not None:
            yield CanaryWaits(step.share, line["callbacks"], step.waits_until)
        case JournalEntryType.PROVED:
            names = "callbacks", "called", "probed", "tested", "refused"
            yield SilentReceiversTried(step.share, *(line[name] for name in names))
        case JournalEntryType.WORSE:
            yield DeliveriesWorsened(step.share, len(step.places), places_in(line))
        case JournalEntryType.STOPPED:
            yield CanaryStopped(step.share, line.get("worse", 0), line.get("called", 0))
        case _:
            pass


def _watching(step: PlanStep) -> Iterator[ProgressEvent]:
    if step.watched_until is not None:
        yield CanaryStarted(step.share, len(step.places), step.watched_until)
