"""An overview of a plan, as the lines of its journal are added."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from ringback.migration.canary_evaluation import DeliveriesBeforeAndAfter, DeliveryCounts
from ringback.migration.journal import JournalEntryType, Reasons, journal_line
from ringback.migration.plan import edit_record, make_plan
from ringback.migration.plan_overview import (
    MoveState,
    MoveVerdict,
    PlanOverview,
    StepState,
    UrlOverview,
    verdict_of,
)
from ringback.migration.url_source import EditOutcome, UrlEdit, UrlEntry, UrlLocation
from tests.fakes import NOW

T = JournalEntryType
UNTIL = NOW + timedelta(hours=1)
ENTRIES = [UrlEntry(UrlLocation(f"fleet {n}", "AC1"), f"https://{n}.example/") for n in range(4)]
PLAN = make_plan(ENTRIES, to="kore", url_source={}, phase="before", now=NOW, plan_id="a plan")
EDITS: Sequence[UrlEdit] = PLAN.edits
PLACES = [edit.place for edit in EDITS]


class Growing(PlanOverview):
    """An overview whose journal grows."""

    def add(self, what: JournalEntryType, places: Reasons | None = None, **more: Any) -> None:
        self.take(json.loads(json.dumps(journal_line(what, NOW, places, **more))))

    def move(self, *numbers: int) -> None:
        self.add(T.MOVING, edits=[edit_record(EDITS[number]) for number in numbers])
        self.add(T.MOVED, of(*numbers))

    def go_back(self, *numbers: int) -> None:
        self.add(T.RETURNING, of(*numbers), of=len(numbers))
        self.add(T.RETURNED, of(*numbers))

    @property
    def states(self) -> list[str]:
        found = {one.edit.place: one.state for one in self.urls()}
        return [found[place].value for place in PLACES]

    @property
    def of_steps(self) -> list[tuple[int, str]]:
        return [(one.share, one.state.value) for one in self.steps]


def of(*numbers: int, why: str = "") -> Reasons:
    return {PLACES[number]: why for number in numbers}


@pytest.fixture
def begun() -> Growing:
    found = Growing("plan a plan")
    found.add(T.PLAN, is_first=True, lines=list(PLAN.lines()))
    found.read_plan()
    found.add(T.BEGAN, plan="a plan", shares=[25, 50], soak=60.0)
    return found


def test_before_the_apply_all_is_to_come() -> None:
    found = Growing("plan a plan")
    found.add(T.PLAN, is_first=True, lines=list(PLAN.lines()))
    found.read_plan()
    assert (found.plan, found.problem, found.steps) == (PLAN, None, [])
    assert found.counts()[MoveState.TO_COME] == 4
    assert found.updated == NOW


def test_steps_are_done_one_after_the_other(begun: Growing) -> None:
    to_come = [(25, "to come"), (50, "to come"), (100, "to come")]
    assert (begun.of_steps, [one.urls for one in begun.steps]) == (to_come, [1, 1, 2])
    begun.add(T.STEP, share=25, edits=1)
    begun.add(T.MOVING, edits=[edit_record(EDITS[0])])
    assert (begun.of_steps[0], begun.states[0]) == ((25, "moving"), "moving")
    begun.add(T.MOVED, of(0))
    assert begun.states == ["moved", "to come", "to come", "to come"]
    begun.add(T.SOAKING, until=UNTIL.isoformat())
    assert begun.steps[0][:3] == (25, StepState.WATCHING, UNTIL)
    assert (begun.states[0], begun.watched) == ("watched", [EDITS[0]])
    begun.add(T.WAITING, until=(2 * (UNTIL - NOW) + NOW).isoformat(), callbacks=1)
    assert begun.steps[0][1:3] == (StepState.WAITING, 2 * (UNTIL - NOW) + NOW)
    begun.add(T.UNPROVEN, callbacks=1)
    assert begun.of_steps[0] == (25, "unproven")
    begun.add(T.GOES_ON, edits=0)
    begun.add(T.PASSED)
    assert begun.of_steps == [(25, "done"), *to_come[1:]]
    assert (begun.states[0], begun.watched) == ("moved", [])
    # The step of 50 % had nothing to move.
    begun.add(T.STEP, share=100, edits=3)
    assert begun.of_steps == [(25, "done"), (50, "done"), (100, "moving")]


def test_a_step_that_goes_back(begun: Growing) -> None:
    begun.add(T.STEP, share=50, edits=2)
    begun.move(0, 1)
    begun.add(T.SOAKING, until=UNTIL.isoformat())
    begun.add(T.WORSE, of(0, why="3 of 3 fail"))
    begun.add(T.STOPPED, worse=1, called=2)
    begun.go_back(0, 1)
    assert begun.of_steps[1] == (50, "went back")
    begun.add(T.WENT_BACK)
    assert begun.of_steps[1] == (50, "went back")
    assert begun.states == ["worse", "returned", "to come", "to come"]
    first = begun.urls()[0]
    assert (first.why, verdict_of(first, None)) == ("3 of 3 fail", MoveVerdict.WORSE)


def test_what_needs_somebody_comes_first_with_the_reason(begun: Growing) -> None:
    begun.add(T.STEP, share=100, edits=4)
    begun.add(T.SKIPPED, of(3, why="a 403 to kore"))
    begun.move(0)
    begun.add(T.MOVING, edits=[edit_record(EDITS[1])])
    begun.add(T.LEFT, of(1, why=EditOutcome.CHANGED.value))
    found = [(PLACES.index(one.edit.place), one.state.value, one.why) for one in begun.urls()]
    assert found == [
        (3, "skipped", "a 403 to kore"),
        (1, "left", "somebody else changed the URL in the meantime"),
        (0, "moved", None),
        (2, "to come", None),
    ]
    counts = {state.value: number for state, number in begun.counts().items() if number}
    assert counts == {"skipped": 1, "left": 1, "moved": 1, "to come": 1}
    begun.move(3)
    assert begun.states[3] == "moved"


def test_a_revert_has_no_steps(begun: Growing) -> None:
    begun.add(T.STEP, share=100, edits=4)
    begun.move(0)
    begun.add(T.REVERTING, replay=False)
    begun.go_back(0)
    assert (begun.steps, begun.states[0]) == ([], "returned")


def test_another_apply_begins_anew(begun: Growing) -> None:
    begun.add(T.STEP, share=25, edits=1)
    begun.add(T.PASSED)
    begun.add(T.BEGAN, plan="a plan", shares=[], soak=0.0)
    assert begun.of_steps == [(100, "to come")]


def test_a_plan_that_cannot_be_read_has_a_problem_and_its_edits() -> None:
    found = Growing("plan b")
    found.add(T.PLAN, is_first=True, lines=["{}"])
    found.read_plan()
    assert found.plan is None
    assert found.problem == ("plan b:1: this is not a plan; `ringback migrate plan` writes one")
    found.add(T.BEGAN, plan="b", shares=[], soak=0.0)
    found.add(T.STEP, share=100, edits=1)
    found.move(0)
    assert [one.state for one in found.urls()] == [MoveState.MOVED]


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (DeliveryCounts(9), DeliveryCounts(12), MoveVerdict.NO_WORSE),
        (DeliveryCounts(14, 3), DeliveryCounts(0, 14), MoveVerdict.WORSE),
        (DeliveryCounts(), DeliveryCounts(2), MoveVerdict.NO_BASELINE),
        (DeliveryCounts(9), DeliveryCounts(), MoveVerdict.NOT_CALLED),
    ],
)
def test_the_verdict_follows_from_the_deliveries(
    before: DeliveryCounts, after: DeliveryCounts, verdict: MoveVerdict
) -> None:
    watched = UrlOverview(EDITS[0], MoveState.WATCHED, None)
    assert verdict_of(watched, DeliveriesBeforeAndAfter(before, after)) is verdict
    assert verdict_of(watched, None) is None
