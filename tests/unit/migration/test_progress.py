"""The progress of a plan, as the lines of its journal report it."""

from datetime import timedelta
from typing import Any

import pytest

from ringback.migration.journal import (
    JournalEntryType,
    JournalLine,
    JournalSummary,
    Reasons,
    journal_line,
)
from ringback.migration.plan import edit_record
from ringback.migration.progress import (
    CanaryStarted,
    CanaryStopped,
    CanaryWaits,
    DeliveriesWorsened,
    EditSkipped,
    EditsMoved,
    EditsReverted,
    ProgressEvent,
    ProgressReader,
    RefusedSentAgain,
    SilentReceiversTried,
)
from ringback.migration.url_source import UrlEdit, UrlLocation
from tests.fakes import NOW

UNTIL = NOW + timedelta(hours=1)
PLACES = [UrlLocation(f"fleet {number}", "AC1") for number in range(4)]
T = JournalEntryType


class Reading:
    """A journal that is read as it grows."""

    def __init__(self) -> None:
        self.summary, self.reader = JournalSummary(), ProgressReader()

    def events(
        self, what: JournalEntryType, places: Reasons | None = None, **more: Any
    ) -> list[ProgressEvent]:
        """Add a line, and return what it reports."""
        return self.take(journal_line(what, NOW, places, **more))

    def take(self, line: JournalLine) -> list[ProgressEvent]:
        self.summary.take(line)
        return list(self.reader.read(line, self.summary))

    def moving(self, *numbers: int) -> list[ProgressEvent]:
        edits = [UrlEdit(PLACES[n], f"https://{n}/", f"https://{n}/#cbs=kore") for n in numbers]
        return self.events(T.MOVING, edits=[edit_record(edit) for edit in edits])

    def moved(self, *numbers: int) -> list[ProgressEvent]:
        assert self.moving(*numbers) == []
        return self.events(T.MOVED, of(*numbers))


def of(*numbers: int, why: str = "") -> Reasons:
    return {PLACES[number]: why for number in numbers}


@pytest.fixture
def reading() -> Reading:
    return Reading()


@pytest.fixture
def step(reading: Reading) -> Reading:
    """A step in which all of four URLs have moved."""
    reading.events(T.STEP, share=50, edits=4)
    reading.moved(0, 1, 2, 3)
    return reading


def test_a_step_reports_what_was_moved_and_skipped(reading: Reading) -> None:
    assert reading.events(T.BEGAN, plan="p1", shares=[50], soak=0.0) == []
    assert reading.events(T.STEP, share=50, edits=4) == [EditsMoved(50, 0, 0, 4)]
    assert reading.moved(0, 1) == [EditsMoved(50, 2, 2, 4)]
    assert reading.events(T.SKIPPED, of(2, why="it refuses kore")) == [
        EditSkipped(PLACES[2], "it refuses kore"),
        EditsMoved(50, 2, 3, 4),
    ]
    assert reading.moving(3) == []
    assert reading.events(T.LEFT, of(3, why="gone")) == [
        EditSkipped(PLACES[3], "the URL doesn't exist any more"),
        EditsMoved(50, 2, 4, 4),
    ]
    assert reading.events(T.PASSED) == []


def test_a_step_that_goes_on_counts_what_it_has_moved_already(reading: Reading) -> None:
    reading.events(T.STEP, share=50, edits=4)
    reading.moved(0, 1)
    assert reading.events(T.CONTINUED, job="JO1") == []
    assert reading.events(T.GOES_ON, edits=2) == [EditsMoved(50, 2, 2, 4)]
    assert reading.moved(2, 3) == [EditsMoved(50, 4, 4, 4)]


def test_a_soak_that_goes_on_says_so_again(step: Reading) -> None:
    started = CanaryStarted(50, 4, UNTIL)
    assert step.events(T.SOAKING, until=UNTIL.isoformat()) == [started]
    assert step.events(T.GOES_ON, edits=0) == [started]


def test_a_canary_reports_what_it_waits_for_and_what_it_tried(step: Reading) -> None:
    step.events(T.SOAKING, until=NOW.isoformat())
    assert step.events(T.WAITING, until=UNTIL.isoformat(), callbacks=3) == [
        CanaryWaits(50, 3, UNTIL)
    ]
    figures: dict[str, Any] = {"callbacks": 3, "called": 2, "probed": 1, "tested": 0, "refused": 1}
    assert step.events(T.PROVED, **figures) == [SilentReceiversTried(50, 3, 2, 1, 0, 1)]
    assert step.events(T.UNPROVEN, callbacks=3) == []


def test_a_url_that_goes_back_alone_is_named(step: Reading) -> None:
    worse = of(0, why="1 of 1 fail")
    assert step.events(T.WORSE, worse) == [DeliveriesWorsened(50, 4, worse)]
    assert step.events(T.RETURNING, of(0), of=1) == [EditsReverted(0, 0, 1)]
    assert step.events(T.RETURNED, of(0)) == [EditsReverted(1, 1, 1)]
    # Another one goes back later.
    assert step.events(T.RETURNING, of(1), of=1) == [EditsReverted(0, 0, 1)]


def test_a_step_that_goes_back_counts_all_batches(step: Reading) -> None:
    assert step.events(T.STOPPED, worse=2, called=3) == [CanaryStopped(50, 2, 3)]
    assert step.events(T.RETURNING, of(0, 1), of=4) == [EditsReverted(0, 0, 4)]
    assert step.events(T.RETURNED, of(0, 1)) == [EditsReverted(2, 2, 4)]
    assert step.events(T.RETURNING, of(2, 3), of=4) == []
    assert step.events(T.RETURNED, of(2)) == [EditsReverted(3, 3, 4)]
    assert step.events(T.LEFT, of(3, why="changed")) == [
        EditSkipped(PLACES[3], "somebody else changed the URL in the meantime"),
        EditsReverted(3, 4, 4),
    ]
    assert step.events(T.WENT_BACK) == []


def test_a_return_that_was_cut_off_goes_on_with_its_count(step: Reading) -> None:
    step.events(T.REVERTING, replay=False)
    step.events(T.RETURNING, of(0, 1), of=4)
    step.events(T.RETURNED, of(0, 1))
    assert step.events(T.CONTINUED, job="JO1") == []
    assert step.events(T.RETURNING, of(2, 3), of=2) == []
    assert step.events(T.RETURNED, of(2, 3)) == [EditsReverted(4, 4, 4)]


def test_a_move_after_a_return_is_a_new_one(step: Reading) -> None:
    step.events(T.REVERTING, replay=False)
    step.events(T.RETURNING, of(0, 1, 2, 3), of=4)
    step.events(T.RETURNED, of(0, 1, 2, 3))
    assert step.events(T.STEP, share=100, edits=4) == [EditsMoved(100, 0, 0, 4)]
    assert step.moved(0) == [EditsMoved(100, 1, 1, 4)]


def test_what_was_sent_again_is_reported(step: Reading) -> None:
    fates = {"sent_again": 3, "maybe_acted_on": 1}
    assert step.events(T.SENT_AGAIN, fates=fates, maybe_acted_on=["CB1"]) == [
        RefusedSentAgain(3, 1)
    ]
    assert step.events(T.SETTLED, of(0), fates={"stays": 2}) == []


def test_lines_of_an_earlier_version_are_read(reading: Reading) -> None:
    assert reading.events(T.STEP, share=50) == [EditsMoved(50, 0, 0, 0)]
    assert reading.moved(0) == [EditsMoved(50, 1, 1, 0)]
    assert reading.events(T.STOPPED) == [CanaryStopped(50, 0, 0)]
    assert reading.events(T.RETURNING, of(0)) == [EditsReverted(0, 0, 1)]
    assert reading.events(T.RETURNED, of(0)) == [EditsReverted(1, 1, 1)]


@pytest.mark.parametrize("what", [T.CONTINUED, T.PASSED, T.WENT_BACK])
def test_other_lines_report_nothing(step: Reading, what: JournalEntryType) -> None:
    assert step.events(what, job="JO1") == []


def test_the_plan_itself_is_no_progress(reading: Reading) -> None:
    assert reading.events(T.PLAN, is_first=True, lines=["header"]) == []
