"""The journal of a plan: it records each change of a URL, line by line.

Before a URL changes, the planned change is written durably; afterwards, its outcome. So the journal
names every URL that may have changed, even after a crash. A `JournalFile` is a file beside the
plan. Where a server moves the URLs, its store has the journal (`stored_journal`), with the plan.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

from ringback.core.errors import ConfigurationError
from ringback.core.visible_text import visible_json
from ringback.migration.plan import read_edit
from ringback.migration.url_source import EditOutcome, UrlEdit, UrlLocation
from ringback.runtime.disk_sync import sync
from ringback.runtime.os_error_messages import refuse_windows, refusing
from ringback.runtime.undo import on_failure

if sys.platform != "win32":
    import fcntl

Reasons = Mapping[UrlLocation, str]
JournalLine = Mapping[str, Any]
"""A line of a journal: a JSON object."""


class JournalEntryType(StrEnum):
    """The type of a journal line: what happened to the plan, or to the URLs in the line."""

    BEGAN = "began"
    """An apply began. The line has the plan's id, the shares of the canary, and the soak."""
    STEP = "step"
    """A step of an apply began. The line has the share of edits that are made by its end, and the
    number of edits to make."""
    GOES_ON = "goes on"
    """A later apply continues the step, and has this number of edits still to make."""
    MOVING = "moving"
    """These edits are about to be made."""
    MOVED = "moved"
    LEFT = "left"
    """These URLs are not moved: they were changed or removed meanwhile, or the edit wasn't made."""
    SKIPPED = "skipped"
    """The receivers of these URLs are not ready."""
    SOAKING = "soaking"
    """All URLs of the step have moved; from now on, their deliveries are watched."""
    PASSED = "passed"
    """The step is done; its URLs deliver no worse than before, or were rolled back."""
    WORSE = "worse"
    """These URLs deliver worse: they will be rolled back, and not moved again."""
    STOPPED = "stopped"
    """Too many URLs deliver worse: the whole step will be rolled back."""
    RETURNING = "returning"
    """These edits are about to be undone."""
    RETURNED = "returned"
    WENT_BACK = "went back"
    """The whole step has been undone."""
    PLAN = "plan"
    """Lines of the plan itself; `is_first` marks those with which it begins."""
    CONTINUED = "continued"
    """A process began or continues the work of this job; any other process has to stop."""
    WAITING = "waiting"
    """Too few callbacks came during the soak: the canary goes on, until this time at most."""
    PROVED = "proved"
    """What the canary did to judge the step, with figures, before the step passed."""
    UNPROVEN = "unproven"
    """Too few callbacks came, and receivers may not be probed: the apply ended in this step."""
    SENT_AGAIN = "sent again"
    """Callbacks that receivers refused while their URLs were moved are sent by the old source.

    The line has numbers by what happened to callbacks, and the SIDs of those that a person has to
    look at."""
    SETTLED = "settled"
    """All callbacks to these URLs, which have gone back, are dealt with."""
    REVERTING = "reverting"
    """A revert began: all edits of the plan will be undone.

    With `replay`, all callbacks that were not delivered meanwhile are sent again."""


def journal_line(
    what: JournalEntryType, at: datetime, places: Reasons | None = None, **more: Any
) -> JournalLine:
    """Return the line of an entry; `places` are the URLs that it is about, each with a reason."""
    if places is not None:
        more["places"] = [[place.account_sid, place.name, why] for place, why in places.items()]
    return {"ringback_journal": what.value, "at": at.isoformat(), **more}


def places_in(line: JournalLine) -> Reasons:
    """Return the URLs that a line is about, each with the reason; the reason may be empty."""
    return {UrlLocation(name, account_sid): why for account_sid, name, why in line["places"]}


@dataclass(frozen=True, slots=True)
class ApplyBegan:
    """The entry for the beginning of an apply, with the canary settings that it uses."""

    shares: tuple[int, ...]
    """The shares of the canary, in percent; empty if there is no canary."""
    soak: float
    """How long each step is watched, in seconds."""
    least: int = 0
    """How many callbacks each step needs."""
    wait: float = 0.0
    """How long to wait for them after the soak, in seconds."""


@dataclass(slots=True)
class PlanStep:
    """A step of an apply: the edits that move together and are watched together."""

    share: int
    began: datetime
    places: set[UrlLocation] = field(default_factory=set[UrlLocation])
    watched_until: datetime | None = None
    waits_until: datetime | None = None
    """Until when the canary waits for more callbacks than came until `watched_until`."""
    is_continued: bool = False
    """True if a later process went on with it."""
    is_stopped: bool = False
    is_unproven: bool = False
    """True if the last apply ended because too few callbacks came."""


class MovedPeriod(NamedTuple):
    """The time for which a URL was moved, before it went back."""

    began: datetime
    ended: datetime


@dataclass(slots=True)
class JournalSummary:
    """The state of a plan, computed from all lines of its journal."""

    plan_id: str | None = None
    began: ApplyBegan | None = None
    edits: dict[UrlLocation, UrlEdit] = field(default_factory=dict[UrlLocation, UrlEdit])
    """All edits that were ever begun, even those deleted from the plan since."""
    marks: dict[UrlLocation, JournalEntryType] = field(
        default_factory=dict[UrlLocation, JournalEntryType]
    )
    """The last entry about each edit: moving, moved, skipped, returning or returned."""
    moved_at: dict[UrlLocation, datetime] = field(default_factory=dict[UrlLocation, datetime])
    """When each edit was begun last."""
    whys: dict[UrlLocation, str] = field(default_factory=dict[UrlLocation, str])
    """For each skipped edit, the reason as a sentence."""
    behind: dict[UrlLocation, str] = field(default_factory=dict[UrlLocation, str])
    """For each URL that delivered worse, its figures; these URLs are not moved again."""
    step: PlanStep | None = None
    """The step that is not finished yet; None if there is none."""
    job: str | None = None
    """The SID of the last job that worked on the plan; None if there was none."""
    went_back: bool = False
    """True if the last step that ended has been undone, by that job if there is one."""
    plan_lines: list[str] = field(default_factory=list[str])
    """The lines of the plan itself, if the journal has them."""
    returned: dict[UrlLocation, MovedPeriod] = field(default_factory=dict[UrlLocation, MovedPeriod])
    """The URLs that have gone back, and when they were moved."""
    settled: set[UrlLocation] = field(default_factory=set[UrlLocation])
    """Those of which all callbacks that their receivers refused are dealt with."""
    fates: Counter[str] = field(default_factory=Counter[str])
    """What happened to callbacks that receivers refused while their URLs were moved; numbers."""
    maybe_acted_on: dict[str, None] = field(default_factory=dict[str, None])
    """The SIDs of the callbacks of these that their receivers may have acted on, in order."""

    def take(self, line: JournalLine) -> None:
        """Update this summary with a journal line.

        Raises KeyError, TypeError or ValueError if the line isn't valid.
        """
        what, at = JournalEntryType(line["ringback_journal"]), datetime.fromisoformat(line["at"])
        match what:
            case JournalEntryType.BEGAN:
                self.plan_id = line["plan"]
                more = line.get("least", 0), line.get("wait", 0.0)
                self.began = ApplyBegan(tuple(line["shares"]), line["soak"], *more)
            case JournalEntryType.REVERTING:
                self.began, self.step = None, None
                if line.get("replay"):
                    self._settle_anew()
            case JournalEntryType.PLAN:
                self.plan_lines = [*([] if line["is_first"] else self.plan_lines), *line["lines"]]
            case JournalEntryType.MOVING:
                self._begin_to_move([read_edit(edit) for edit in line["edits"]], at)
            case JournalEntryType.SENT_AGAIN:
                self.fates.update(line["fates"])
                self.maybe_acted_on |= dict.fromkeys(line["maybe_acted_on"])
            case JournalEntryType.CONTINUED:
                self.went_back = self.went_back and line["job"] == self.job
                self.job = line["job"]
            case JournalEntryType.PROVED:
                pass
            case _ if "places" in line:
                self._mark(what, places_in(line), at)
                self.fates.update(line.get("fates", {}))
            case _:
                self._take_step(what, line, at)

    def _take_step(self, what: JournalEntryType, line: JournalLine, at: datetime) -> None:
        """Update the step that is under way with a line about the whole step."""
        match what:
            case JournalEntryType.STEP:
                self.step = PlanStep(line["share"], at)
            case JournalEntryType.SOAKING:
                self.open_step.watched_until = datetime.fromisoformat(line["until"])
            case JournalEntryType.WAITING:
                self.open_step.waits_until = datetime.fromisoformat(line["until"])
            case JournalEntryType.STOPPED:
                self.open_step.is_stopped = True
            case JournalEntryType.UNPROVEN:
                self.open_step.is_unproven = True
            case JournalEntryType.GOES_ON:
                self.open_step.is_continued = True
                if self.open_step.is_unproven:
                    self.open_step.is_unproven, self.open_step.waits_until = False, None
            case JournalEntryType.PASSED | JournalEntryType.WENT_BACK:
                self.step, self.went_back = None, what is JournalEntryType.WENT_BACK
            case _:
                raise ValueError(f"a line of the type {what} needs places")

    @property
    def open_step(self) -> PlanStep:
        """The step that is not finished yet; raises ValueError if there is none."""
        if self.step is None:
            raise ValueError("no step is under way")
        return self.step

    def _settle_anew(self) -> None:
        """Forget what was decided about callbacks that receivers may have acted on."""
        self.settled.clear()
        self.maybe_acted_on.clear()
        self.fates.pop("maybe_acted_on", None)

    @property
    def is_unproven(self) -> bool:
        """True if the last apply ended in a step in which too few callbacks came."""
        return self.step is not None and self.step.is_unproven

    @property
    def unsettled(self) -> Mapping[UrlLocation, MovedPeriod]:
        """The URLs that have gone back, and what their receivers refused is not all dealt with."""
        return {place: one for place, one in self.returned.items() if place not in self.settled}

    def _begin_to_move(self, edits: Sequence[UrlEdit], at: datetime) -> None:
        for edit in edits:
            self.moved_at[edit.place] = at
            self.edits[edit.place] = edit
            self.marks[edit.place] = JournalEntryType.MOVING
            self.open_step.places.add(edit.place)

    def _leave(self, places: Reasons) -> None:
        """Take a URL that could not go back as moved still, and any other one as not moved."""
        for place, why in places.items():
            mark = self.marks.pop(place, None)
            if mark is JournalEntryType.RETURNING and why == EditOutcome.BY_HAND:
                self.marks[place] = JournalEntryType.MOVED

    def _mark(self, what: JournalEntryType, places: Reasons, at: datetime) -> None:
        match what:
            case JournalEntryType.WORSE:
                self.behind |= places
            case JournalEntryType.SETTLED:
                self.settled |= places.keys()
            case JournalEntryType.LEFT:
                self._leave(places)
            case _:
                self.marks |= dict.fromkeys(places, what)
        if what is JournalEntryType.SKIPPED:
            self.whys |= places
        if what is JournalEntryType.RETURNED:
            self.settled -= places.keys()
            for place in places:
                began = self.moved_at.get(place, at)
                earlier = self.returned.get(place)
                self.returned[place] = MovedPeriod(earlier.began if earlier else began, at)
        # A URL that didn't move after all is not watched.
        if what in (JournalEntryType.LEFT, JournalEntryType.SKIPPED) and self.step is not None:
            self.step.places -= places.keys()


class PlanJournal(Protocol):
    """The journal of one plan, to which only one process can add lines."""

    @property
    def summary(self) -> JournalSummary:
        """The state of the plan after all lines."""
        ...

    async def append(
        self, what: JournalEntryType, *, at: datetime, places: Reasons | None = None, **more: Any
    ) -> None:
        """Add a line durably; `places` are the URLs that it is about, each with a reason.

        Raises an exception if the line can't be written, or if another process continues the plan:
        then the caller must not change any URL.
        """
        ...


class JournalFile:
    """Implements `PlanJournal`: an open file, locked against writing by other processes."""

    def __init__(
        self,
        path: Path,
        *,
        plan_id: str,
        follow: Callable[[JournalLine, JournalSummary], None] | None = None,
    ) -> None:
        """Open and lock the journal, or create it.

        `follow` is called with each new line, and the summary after it. Raises ConfigurationError
        if another process uses the file, or it belongs to another plan.
        """
        refuse_windows("`ringback migrate apply` or `revert`")
        self.path = path
        self._follow = follow
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

    async def append(
        self, what: JournalEntryType, *, at: datetime, places: Reasons | None = None, **more: Any
    ) -> None:
        """Add a line to the file, and sync it to disk; otherwise as `PlanJournal.append`.

        Raises ConfigurationError if the line can't be written.
        """
        line = journal_line(what, at, places, **more)
        rest = f"{visible_json(json.dumps(line, ensure_ascii=False))}\n".encode()
        with refusing(f"{self.path} can't be written"):
            # A system call may write less than it was given, on a full disk for instance.
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fsync(self._file)
        self.summary.take(line)
        if self._follow is not None:
            self._follow(line, self.summary)

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
    """Return the path of a plan's journal: the plan's path with `.journal` appended."""
    return plan.with_name(f"{plan.name}.journal")


def lines_of(path: Path) -> Sequence[str]:
    """Return the lines of a journal file, as text; none if there is no file.

    Raises ConfigurationError if it can't be read.
    """
    with refusing(f"{path} can't be read"):
        content = path.read_bytes() if path.exists() else b""
    # A last line without its line break was cut off: ignore it.
    whole = content[: content.rfind(b"\n") + 1]
    return [line.decode(errors="replace") for line in whole.splitlines()]


def read_journal(path: Path, *, plan_id: str) -> JournalSummary:
    """Return the summary of a journal; an empty summary if there is no journal yet.

    Raises ConfigurationError if the journal can't be read, has an invalid line, or belongs to
    another plan.
    """
    summary = JournalSummary()
    for at, line in enumerate(lines_of(path), 1):
        try:
            summary.take(json.loads(line))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ConfigurationError(
                f"{path}:{at}: this is not a journal line; was the file edited?"
            ) from None
    if summary.plan_id not in (None, plan_id):
        raise ConfigurationError(
            f"{path} is the journal of another plan, which needs it to roll back:"
            " move that plan and its journal elsewhere, or give this plan another"
            " name"
        )
    return summary
