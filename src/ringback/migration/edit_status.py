"""How each edit of a plan stands: what its journal says, and what is in the record now.

The record decides. The journal tells only what the record can't: whether it was us, and why not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ringback.migration.journal import EditMark, JournalSummary
from ringback.migration.plan import MigrationPlan
from ringback.migration.redaction import shown
from ringback.migration.url_source import UrlEdit, UrlEntry, UrlLocation


class EditState(StrEnum):
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


MAY_MOVE = frozenset({EditState.PENDING, EditState.SKIPPED, EditState.RETURNED})
"""What apply has still to do."""
LEFT_BEHIND = frozenset({EditState.SKIPPED, EditState.BEHIND, EditState.CHANGED, EditState.GONE})
"""What is not where the plan wants it."""


@dataclass(frozen=True, slots=True)
class EditStatus:
    """One edit, and how it stands."""

    edit: UrlEdit
    standing: EditState
    entry: UrlEntry | None
    """What is in its place now."""
    why: str | None = None


def stands(
    plan: MigrationPlan, progress: JournalSummary, entries: Sequence[UrlEntry]
) -> dict[UrlLocation, EditStatus]:
    """Return how all edits stand: the plan's, and those moved that were deleted from it since."""
    edits = {edit.place: edit for edit in plan.edits} | progress.edits
    now = {entry.place: entry for entry in entries}
    return {place: _stand(edit, progress, now.get(place)) for place, edit in edits.items()}


def count(found: Mapping[UrlLocation, EditStatus]) -> dict[EditState, int]:
    """Return how many stand in each way, those that there are."""
    standings = [stand.standing for stand in found.values()]
    return {each: standings.count(each) for each in EditState if each in standings}


def _stand(edit: UrlEdit, progress: JournalSummary, entry: UrlEntry | None) -> EditStatus:
    mark = progress.marks.get(edit.place)
    behind = progress.behind.get(edit.place)
    if entry is None:
        return EditStatus(edit, EditState.GONE, None)
    match shown(entry.url):
        case edit.new if mark in (EditMark.MOVING, EditMark.MOVED, EditMark.RETURNING):
            return EditStatus(edit, EditState.MOVED, entry)
        case edit.new:
            return EditStatus(edit, EditState.THERE, entry)
        case edit.old if mark is EditMark.MOVED:
            return EditStatus(edit, EditState.CHANGED, entry, "it was put back")
        case edit.old if behind is not None:
            return EditStatus(edit, EditState.BEHIND, entry, behind)
        case edit.old if mark is EditMark.SKIPPED:
            return EditStatus(edit, EditState.SKIPPED, entry, progress.whys[edit.place])
        case edit.old if mark in (EditMark.RETURNING, EditMark.RETURNED):
            return EditStatus(edit, EditState.RETURNED, entry)
        case edit.old:
            return EditStatus(edit, EditState.PENDING, entry)
        case other:
            return EditStatus(edit, EditState.CHANGED, entry, f"it is {other} now")
