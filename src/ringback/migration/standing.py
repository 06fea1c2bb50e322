"""How each edit of a plan stands: what its journal says, and what is in the record now.

The record decides. The journal tells only what the record can't: whether it was us, and why not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ringback.migration.credentials import shown
from ringback.migration.journal import Mark, Progress
from ringback.migration.plan import Plan
from ringback.migration.record import Edit, Entry, Place


class Standing(StrEnum):
    """Where an edit stands."""

    PENDING = "pending"
    MOVED = "moved"
    THERE = "there already"
    """It has the new form, and not by this plan: it stays when the plan is reverted."""
    SKIPPED = "skipped"
    """Its receiver was not ready; it is tried again by the next apply."""
    BEHIND = "stays behind"
    """Its deliveries got worse; it is not tried again."""
    CHANGED = "changed by somebody else"
    GONE = "gone"
    RETURNED = "gone back"


MAY_MOVE = frozenset({Standing.PENDING, Standing.SKIPPED, Standing.RETURNED})
"""What apply has still to do."""
LEFT_BEHIND = frozenset({Standing.SKIPPED, Standing.BEHIND, Standing.CHANGED, Standing.GONE})
"""What is not where the plan wants it."""


@dataclass(frozen=True, slots=True)
class Stand:
    """One edit, and how it stands."""

    edit: Edit
    standing: Standing
    entry: Entry | None
    """What is in its place now."""
    why: str | None = None


def stands(plan: Plan, progress: Progress, entries: Sequence[Entry]) -> dict[Place, Stand]:
    """Return how all edits stand: the plan's, and those moved that were deleted from it since."""
    edits = {edit.place: edit for edit in plan.edits} | progress.edits
    now = {entry.place: entry for entry in entries}
    return {place: _stand(edit, progress, now.get(place)) for place, edit in edits.items()}


def count(found: Mapping[Place, Stand]) -> dict[Standing, int]:
    """Return how many stand in each way, those that there are."""
    standings = [stand.standing for stand in found.values()]
    return {each: standings.count(each) for each in Standing if each in standings}


def _stand(edit: Edit, progress: Progress, entry: Entry | None) -> Stand:
    mark = progress.marks.get(edit.place)
    behind = progress.behind.get(edit.place)
    if entry is None:
        return Stand(edit, Standing.GONE, None)
    match shown(entry.url):
        case edit.new if mark in (Mark.MOVING, Mark.MOVED, Mark.RETURNING):
            return Stand(edit, Standing.MOVED, entry)
        case edit.new:
            return Stand(edit, Standing.THERE, entry)
        case edit.old if mark is Mark.MOVED:
            return Stand(edit, Standing.CHANGED, entry, "it was put back")
        case edit.old if behind is not None:
            return Stand(edit, Standing.BEHIND, entry, behind)
        case edit.old if mark is Mark.SKIPPED:
            return Stand(edit, Standing.SKIPPED, entry, progress.whys[edit.place])
        case edit.old if mark in (Mark.RETURNING, Mark.RETURNED):
            return Stand(edit, Standing.RETURNED, entry)
        case edit.old:
            return Stand(edit, Standing.PENDING, entry)
        case other:
            return Stand(edit, Standing.CHANGED, entry, f"it is {other} now")
