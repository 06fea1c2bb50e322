"""The state of each edit of a plan, such as pending, moved or skipped.

The state follows from the URL that is configured now. The journal shows what the URL can't: who
changed it, and why an edit was not made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ringback.migration.journal import JournalEntryType, JournalSummary
from ringback.migration.plan import MigrationPlan
from ringback.migration.redaction import shown
from ringback.migration.url_source import UrlEdit, UrlEntry, UrlLocation


class EditState(StrEnum):
    """The state of one edit of a plan."""

    PENDING = "pending"
    MOVED = "moved"
    THERE = "there already"
    """The URL has its new form, but not because of this plan, so a revert doesn't change it."""
    SKIPPED = "skipped"
    """The receiver was not ready; the next apply tries again."""
    BEHIND = "stays behind"
    """Deliveries got worse, so the edit was undone; it is not made again."""
    CHANGED = "changed by somebody else"
    GONE = "gone"
    RETURNED = "gone back"


MAY_MOVE = frozenset({EditState.PENDING, EditState.SKIPPED, EditState.RETURNED})
"""The states of edits that the next apply makes."""
LEFT_BEHIND = frozenset({EditState.SKIPPED, EditState.BEHIND, EditState.CHANGED, EditState.GONE})
"""The states of edits that an apply did not make, or has undone."""


_OURS = frozenset({JournalEntryType.MOVING, JournalEntryType.MOVED, JournalEntryType.RETURNING})


@dataclass(frozen=True, slots=True)
class EditWithState:
    """One edit of a plan, and its state."""

    edit: UrlEdit
    state: EditState
    entry: UrlEntry | None
    """The URL that is configured in this place now; None if there is none."""
    why: str | None = None
    """The reason for the state, as a sentence; None if there is nothing to explain."""

    @property
    def is_back(self) -> bool:
        """True if a revert has nothing to do here: the URL is old, or not new by this plan."""
        if self.state is EditState.THERE:
            return True
        return self.entry is not None and shown(self.entry.url) == self.edit.old


def edit_statuses(
    plan: MigrationPlan, summary: JournalSummary, entries: Sequence[UrlEntry]
) -> dict[UrlLocation, EditWithState]:
    """Return the state of each edit of the plan, by the place of its URL.

    Includes edits that were made, but have been deleted from the plan's file since.
    """
    edits = {edit.place: edit for edit in plan.edits} | summary.edits
    now = {entry.place: entry for entry in entries}
    return {place: _status_of(edit, summary, now.get(place)) for place, edit in edits.items()}


def count(found: Mapping[UrlLocation, EditWithState]) -> dict[EditState, int]:
    """Return the number of edits in each state; states without edits are left out."""
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
            return EditWithState(edit, EditState.CHANGED, entry, "the URL was changed back")
        case edit.old if behind is not None:
            return EditWithState(edit, EditState.BEHIND, entry, behind)
        case edit.old if mark is JournalEntryType.SKIPPED:
            return EditWithState(edit, EditState.SKIPPED, entry, summary.whys[edit.place])
        case edit.old if mark in (JournalEntryType.RETURNING, JournalEntryType.RETURNED):
            return EditWithState(edit, EditState.RETURNED, entry)
        case edit.old:
            return EditWithState(edit, EditState.PENDING, entry)
        case other:
            return EditWithState(edit, EditState.CHANGED, entry, f"the URL is {other} now")
