"""The state of each edit of a plan, by its journal and by what is configured now.

What is configured decides. The journal adds only what that can't show: who changed a URL, and why
an edit was not made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ringback.migration.journal import JournalEntryType, JournalSummary
from ringback.migration.plan import MigrationPlan
from ringback.migration.redaction import shown
from ringback.migration.url_source import UrlEdit, UrlEntry, UrlLocation


class EditState(StrEnum):
    """The state of an edit."""

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
"""The states of edits that apply still has to make."""
LEFT_BEHIND = frozenset({EditState.SKIPPED, EditState.BEHIND, EditState.CHANGED, EditState.GONE})
"""The states of URLs that are not as the plan wants them."""


_OURS = frozenset({JournalEntryType.MOVING, JournalEntryType.MOVED, JournalEntryType.RETURNING})


@dataclass(frozen=True, slots=True)
class EditWithState:
    """One edit, and its state."""

    edit: UrlEdit
    state: EditState
    entry: UrlEntry | None
    """What is in its place now."""
    why: str | None = None


def edit_statuses(
    plan: MigrationPlan, summary: JournalSummary, entries: Sequence[UrlEntry]
) -> dict[UrlLocation, EditWithState]:
    """Return the state of each edit: the plan's, and moved ones that were deleted from it since."""
    edits = {edit.place: edit for edit in plan.edits} | summary.edits
    now = {entry.place: entry for entry in entries}
    return {place: _status_of(edit, summary, now.get(place)) for place, edit in edits.items()}


def count(found: Mapping[UrlLocation, EditWithState]) -> dict[EditState, int]:
    """Return how many edits are in each state, without empty states."""
    states = [status.state for status in found.values()]
    return {each: states.count(each) for each in EditState if each in states}


def _status_of(edit: UrlEdit, summary: JournalSummary, entry: UrlEntry | None) -> EditWithState:
    mark = summary.marks.get(edit.place)
    behind = summary.behind.get(edit.place)
    if entry is None:
        return EditWithState(edit, EditState.GONE, None)
    match shown(entry.url):
        case edit.new if mark in _OURS:
            return EditWithState(edit, EditState.MOVED, entry)
        case edit.new:
            return EditWithState(edit, EditState.THERE, entry)
        case edit.old if mark is JournalEntryType.MOVED:
            return EditWithState(edit, EditState.CHANGED, entry, "it was put back")
        case edit.old if behind is not None:
            return EditWithState(edit, EditState.BEHIND, entry, behind)
        case edit.old if mark is JournalEntryType.SKIPPED:
            return EditWithState(edit, EditState.SKIPPED, entry, summary.whys[edit.place])
        case edit.old if mark in (JournalEntryType.RETURNING, JournalEntryType.RETURNED):
            return EditWithState(edit, EditState.RETURNED, entry)
        case edit.old:
            return EditWithState(edit, EditState.PENDING, entry)
        case other:
            return EditWithState(edit, EditState.CHANGED, entry, f"it is {other} now")
