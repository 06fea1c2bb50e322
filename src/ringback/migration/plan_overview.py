"""An overview of a plan from its journal, for pictures: its steps, and the state of each URL."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from ringback.core.errors import ConfigurationError
from ringback.migration.canary_evaluation import DeliveriesBeforeAndAfter
from ringback.migration.canary_step import ALL, up_to
from ringback.migration.journal import JournalEntryType, JournalLine, JournalSummary
from ringback.migration.plan import MigrationPlan
from ringback.migration.progress import EditSkipped, ProgressReader
from ringback.migration.url_source import UrlEdit, UrlLocation


class MoveState(StrEnum):
    """The state of a URL of a plan; those that need somebody come first."""

    WORSE = "worse"
    """It delivered worse, so it went back, and is not moved again."""
    SKIPPED = "skipped"
    """Its receiver was not ready."""
    LEFT = "left"
    """It was changed or removed meanwhile, or can't be edited where it stands."""
    RETURNED = "returned"
    MOVING = "moving"
    """It is being moved, or moved back."""
    WATCHED = "watched"
    """It has moved, and its deliveries are being watched."""
    MOVED = "moved"
    TO_COME = "to come"


class StepState(StrEnum):
    """The state of a step of a plan."""

    DONE = "done"
    WENT_BACK = "went back"
    MOVING = "moving"
    WATCHING = "watching"
    WAITING = "waiting"
    """Too few callbacks have come; it waits for more."""
    UNPROVEN = "unproven"
    """Too few callbacks came, and the apply ended in this step."""
    TO_COME = "to come"


class MoveVerdict(StrEnum):
    """What the deliveries to a moved URL show."""

    WORSE = "worse"
    NO_WORSE = "no worse"
    NO_BASELINE = "no baseline"
    """Callbacks came since the move, and none before it."""
    NOT_CALLED = "not called yet"


class StepOverview(NamedTuple):
    """A step of a plan."""

    share: int
    """The percentage of the plan's URLs that are moved by its end."""
    state: StepState
    until: datetime | None
    """Until when it is watched, or waits; None if neither."""
    urls: int


class UrlOverview(NamedTuple):
    """A URL of a plan."""

    edit: UrlEdit
    state: MoveState
    why: str | None
    """Why it was skipped, left or moved back, as a sentence."""


@dataclass(slots=True)
class PlanOverview:
    """The state of a plan, updated with each line of its journal."""

    name: str
    """The name of the plan in errors."""
    summary: JournalSummary = field(default_factory=JournalSummary)
    plan: MigrationPlan | None = None
    problem: str | None = None
    """Why the plan can't be read; None if it can."""
    updated: datetime | None = None
    """When the last line was written."""
    _reader: ProgressReader = field(default_factory=ProgressReader)
    _left: dict[UrlLocation, str] = field(default_factory=dict[UrlLocation, str])
    _ended: dict[int, StepState] = field(default_factory=dict[int, StepState])
    """How the steps of this apply have ended, by their shares."""
    _lines: Sequence[str] | None = None
    """The lines that `plan` was read from."""

    def take(self, line: JournalLine) -> None:
        """Update this with a line; raises KeyError, TypeError or ValueError if it isn't valid."""
        summary = self.summary
        began, step = summary.began, summary.step
        summary.take(line)
        self.updated = datetime.fromisoformat(line["at"])
        for event in self._reader.read(line, summary):
            if isinstance(event, EditSkipped):
                self._left[event.place] = event.why
        if summary.began != began:
            self._ended.clear()
        elif step is not None and summary.step is None:
            self._ended[step.share] = StepState.WENT_BACK if summary.went_back else StepState.DONE

    def read_plan(self) -> None:
        """Read the plan again, if the journal has new lines of it; this can take long."""
        lines = self.summary.plan_lines
        if lines is self._lines:
            return
        self._lines = lines
        try:
            self.plan, self.problem = MigrationPlan.of_lines(lines, self.name), None
        except ConfigurationError as problem:
            self.plan, self.problem = None, str(problem)

    @property
    def edits(self) -> Mapping[UrlLocation, UrlEdit]:
        """The edits of the plan, and others that were made; by the places of their URLs."""
        of_plan = () if self.plan is None else self.plan.edits
        return {**self.summary.edits, **{edit.place: edit for edit in of_plan}}

    @property
    def steps(self) -> list[StepOverview]:
        """The steps of the apply that began last; empty before it, and after a revert began."""
        if self.summary.began is None:
            return []
        edits = [*self.edits.values()]
        found, before = list[StepOverview](), 0
        for share in (*self.summary.began.shares, ALL):
            number = len(up_to(share, edits))
            found.append(StepOverview(share, *self._state_of_step(share), number - before))
            before = number
        return found

    def urls(self) -> list[UrlOverview]:
        """Return the URLs of the plan, those first that need somebody."""
        found = list(self._urls())
        order = {state: place for place, state in enumerate(MoveState)}
        return sorted(found, key=lambda one: order[one.state])

    def counts(self) -> Mapping[MoveState, int]:
        """Return the number of URLs in each state."""
        found = Counter(one.state for one in self._urls())
        return {state: found[state] for state in MoveState}

    @property
    def watched(self) -> list[UrlEdit]:
        """The edits whose deliveries are compared: those of the step that is under way."""
        step = self.summary.step
        return [] if step is None else [self.summary.edits[place] for place in step.places]

    def _state_of_step(self, share: int) -> tuple[StepState, datetime | None]:
        step = self.summary.step
        if step is None or step.share != share:
            # A step without anything to move leaves no trace.
            later = [*self._ended, *([] if step is None else [step.share])]
            is_past = any(share < other for other in later)
            return self._ended.get(share, StepState.DONE if is_past else StepState.TO_COME), None
        if step.is_stopped:
            return StepState.WENT_BACK, None
        if step.is_unproven:
            return StepState.UNPROVEN, None
        if step.waits_until is not None:
            return StepState.WAITING, step.waits_until
        if step.watched_until is not None:
            return StepState.WATCHING, step.watched_until
        return StepState.MOVING, None

    def _urls(self) -> Iterator[UrlOverview]:
        for place, edit in self.edits.items():
            state = self._state_of(place)
            match state:
                case MoveState.WORSE:
                    why = self.summary.behind[place]
                case MoveState.SKIPPED | MoveState.LEFT:
                    why = self._left.get(place)
                case _:
                    why = None
            yield UrlOverview(edit, state, why)

    def _state_of(self, place: UrlLocation) -> MoveState:
        summary = self.summary
        match summary.marks.get(place):
            case JournalEntryType.RETURNED if place in summary.behind:
                return MoveState.WORSE
            case JournalEntryType.RETURNED:
                return MoveState.RETURNED
            case JournalEntryType.SKIPPED:
                return MoveState.SKIPPED
            case JournalEntryType.MOVING | JournalEntryType.RETURNING:
                return MoveState.MOVING
            case JournalEntryType.MOVED:
                step = summary.step
                is_watched = step is not None and place in step.places and step.watched_until
                return MoveState.WATCHED if is_watched else MoveState.MOVED
            case _:
                return MoveState.LEFT if place in self._left else MoveState.TO_COME


def verdict_of(one: UrlOverview, deliveries: DeliveriesBeforeAndAfter | None) -> MoveVerdict | None:
    """Return the verdict about a URL that is watched, or that went back; None for any other.

    `deliveries` are those of a URL that is watched.
    """
    match one.state:
        case MoveState.WORSE:
            return MoveVerdict.WORSE
        case MoveState.WATCHED if deliveries is not None:
            if not deliveries.after.tried:
                return MoveVerdict.NOT_CALLED
            if deliveries.is_worse:
                return MoveVerdict.WORSE
            return MoveVerdict.NO_WORSE if deliveries.before.tried else MoveVerdict.NO_BASELINE
        case _:
            return None
