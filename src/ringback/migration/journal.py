"""What has been done of a plan: a file beside it that only grows.

Laws of this file. What is about to change is written and on the disk before a URL changes, and how
it ended after. So whoever reads it knows of every URL that may have changed, wherever the work
was cut off. A last line that was cut off has never been acted on, and is none.
"""

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from ringback.core.errors import ConfigurationError
from ringback.migration.plan import read_edit
from ringback.migration.url_source import UrlEdit, UrlLocation
from ringback.runtime.disk_sync import sync
from ringback.runtime.os_error_messages import refusing
from ringback.runtime.undo import on_failure

Reasons = Mapping[UrlLocation, str]


class JournalEntryType(StrEnum):
    """The kinds of lines."""

    BEGAN = "began"
    """A plan is applied: its id, the shares of the canary, and the soak."""
    STEP = "step"
    """A step of it: what moves up to a share."""
    MOVING = "moving"
    """These edits are about to be made."""
    MOVED = "moved"
    LEFT = "left"
    """These turned out to be changed by somebody else, gone, or not moved after all."""
    SKIPPED = "skipped"
    """The receivers of these are not ready."""
    SOAKING = "soaking"
    """All of the step has moved, and is watched from now on."""
    PASSED = "passed"
    """The step is done; what stays moved delivers no worse than before."""
    WORSE = "worse"
    """Deliveries of these got worse: they go back, and stay there."""
    STOPPED = "stopped"
    """Too many got worse: all of the step goes back."""
    RETURNING = "returning"
    """These edits are about to be undone."""
    RETURNED = "returned"
    WENT_BACK = "went back"
    """All of the step is undone."""
    REVERTING = "reverting"
    """All of the plan is to be undone."""


@dataclass(frozen=True, slots=True)
class ApplyBegan:
    """How a plan is applied."""

    shares: tuple[int, ...]
    """Of the canary, in percent; empty where there is none."""
    soak: float
    """Seconds."""


@dataclass(slots=True)
class PlanStep:
    """Edits that move and are watched together."""

    share: int
    began: datetime
    places: set[UrlLocation] = field(default_factory=set[UrlLocation])
    watched_until: datetime | None = None
    is_stopped: bool = False


@dataclass(slots=True)
class JournalSummary:
    """The sum of all lines of a journal."""

    plan_id: str | None = None
    began: ApplyBegan | None = None
    edits: dict[UrlLocation, UrlEdit] = field(default_factory=dict[UrlLocation, UrlEdit])
    """All that ever began to move; a plan may have been shortened since."""
    marks: dict[UrlLocation, JournalEntryType] = field(
        default_factory=dict[UrlLocation, JournalEntryType]
    )
    """What was said last of an edit: moving, moved, skipped, returning or returned."""
    whys: dict[UrlLocation, str] = field(default_factory=dict[UrlLocation, str])
    """Why an edit was skipped."""
    behind: dict[UrlLocation, str] = field(default_factory=dict[UrlLocation, str])
    """Those whose deliveries got worse, with the figures; they are not moved again."""
    step: PlanStep | None = None
    """The one that is under way."""

    def take(self, line: Mapping[str, Any]) -> None:
        """Apply a line; raises KeyError, TypeError or ValueError where it isn't a valid one."""
        what, at = JournalEntryType(line["ringback_journal"]), datetime.fromisoformat(line["at"])
        match what:
            case JournalEntryType.BEGAN:
                self.plan_id = line["plan"]
                self.began = ApplyBegan(tuple(line["shares"]), line["soak"])
            case JournalEntryType.REVERTING:
                self.began, self.step = None, None
            case JournalEntryType.STEP:
                self.step = PlanStep(line["share"], at)
            case JournalEntryType.PASSED | JournalEntryType.WENT_BACK:
                self.step = None
            case JournalEntryType.STOPPED:
                self.open_step.is_stopped = True
            case JournalEntryType.SOAKING:
                self.open_step.watched_until = datetime.fromisoformat(line["until"])
            case JournalEntryType.MOVING:
                self._begin_to_move([read_edit(edit) for edit in line["edits"]])
            case _:
                self._mark(what, _places(line))

    @property
    def open_step(self) -> PlanStep:
        """The step that is under way; raises ValueError where none is."""
        if self.step is None:
            raise ValueError("no step is under way")
        return self.step

    def _begin_to_move(self, edits: Sequence[UrlEdit]) -> None:
        for edit in edits:
            self.edits[edit.place] = edit
            self.marks[edit.place] = JournalEntryType.MOVING
            self.open_step.places.add(edit.place)

    def _mark(self, what: JournalEntryType, places: Reasons) -> None:
        match what:
            case JournalEntryType.WORSE:
                self.behind |= places
            case JournalEntryType.LEFT:
                self.marks = {at: mark for at, mark in self.marks.items() if at not in places}
            case _:
                self.marks |= dict.fromkeys(places, what)
        if what is JournalEntryType.SKIPPED:
            self.whys |= places
        # What was about to move and then didn't is not watched.
        if what in (JournalEntryType.LEFT, JournalEntryType.SKIPPED) and self.step is not None:
            self.step.places -= places.keys()


class PlanJournal:
    """The journal of one plan, which nobody else writes meanwhile."""

    def __init__(self, path: Path, *, plan_id: str) -> None:
        """Open it, or begin a new one.

        Raises ConfigurationError where another process has it, or it is of another plan.
        """
        self.path = path
        with refusing(f"{path} can't be written"):
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        with on_failure(lambda: os.close(self._file)):
            self._lock()
            self.summary = read_journal(path, plan_id=plan_id)
            self._cut_torn_line()
        sync(path.parent)

    def __enter__(self) -> Self:
        """Return the journal."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file, which also releases its lock."""
        os.close(self._file)

    def append(
        self, what: JournalEntryType, *, at: datetime, places: Reasons | None = None, **more: Any
    ) -> None:
        """Add a line, about these places if it is about some; it is on the disk when this returns.

        Raises ConfigurationError where it can't be written: nothing may change then.
        """
        if places is not None:
            more["places"] = [[place.account_sid, place.name, why] for place, why in places.items()]
        line = {"ringback_journal": what.value, "at": at.isoformat(), **more}
        rest = f"{json.dumps(line, ensure_ascii=False)}\n".encode()
        with refusing(f"{self.path} can't be written"):
            # A system call may write less than it was given, on a full disk for instance.
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fsync(self._file)
        self.summary.take(line)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigurationError(
                f"{self.path} is in use: another `ringback migrate` works on this plan;"
                " wait until it has ended"
            ) from None

    def _cut_torn_line(self) -> None:
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.ftruncate(self._file, whole)


def journal_of(plan: Path) -> Path:
    """Return where the journal of a plan is."""
    return plan.with_name(f"{plan.name}.journal")


def read_journal(path: Path, *, plan_id: str) -> JournalSummary:
    """Return what was done so far; nothing where there is no journal yet.

    Raises ConfigurationError, naming the line, where it can't be read or is of another plan.
    """
    summary = JournalSummary()
    with refusing(f"{path} can't be read"):
        content = path.read_bytes() if path.exists() else b""
    # A last line that was cut off is none.
    for at, line in enumerate(content[: content.rfind(b"\n") + 1].splitlines(), 1):
        try:
            summary.take(json.loads(line))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ConfigurationError(
                f"{path}:{at}: this is no line of a journal; was it edited?"
            ) from None
    if summary.plan_id not in (None, plan_id):
        raise ConfigurationError(
            f"{path} is the journal of another plan; it has the way back of that one, so move both"
            " away, or name this plan otherwise"
        )
    return summary


def _places(line: Mapping[str, Any]) -> Reasons:
    return {UrlLocation(name, account_sid): why for account_sid, name, why in line["places"]}
