"""Inventories, plans and progress as lines for people, as JSON and as CSV."""

import csv
import io
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import click

from ringback.migration.edit_status import LEFT_BEHIND, EditState, EditWithState, count
from ringback.migration.executor import (
    CanaryStarted,
    CanaryStopped,
    DeliveriesWorsened,
    EditSkipped,
    EditsMoved,
    EditsReverted,
    ProgressEvent,
)
from ringback.migration.inventory import InventoryLine
from ringback.migration.migration_effect import RollbackPreview
from ringback.migration.plan import MigrationPlan
from ringback.migration.url_source import UrlLocation

_COLORS: Final = {
    EditState.MOVED: "green",
    EditState.SKIPPED: "yellow",
    EditState.BEHIND: "red",
    EditState.CHANGED: "yellow",
    EditState.GONE: "yellow",
}


def json_line(record: Mapping[str, Any]) -> str:
    """Return a record on one line."""
    return json.dumps(record, ensure_ascii=False)


# ---- inventory -----------------------------------------------------------------------------------


def inventory_lines(found: Sequence[InventoryLine]) -> Iterator[str]:
    """Yield an inventory for people: a block for each URL, and how many there are."""
    for line in found:
        account = f"  {line.entry.place.account_sid}" if line.entry.place.account_sid else ""
        yield click.style(line.entry.place.name, bold=True) + account
        yield f"  {line.entry.method} {line.url}"
        if line.sources:
            asked = f"asks for {line.asked}" if line.asked else "asks for nothing"
            phases = ", ".join(f"{phase}: {source}" for phase, source in line.sources.items())
            yield f"  {asked}; sent from  {phases}"
        yield from (click.style(f"  warning: {text}", fg="yellow") for text in line.warnings)
    warned = sum(bool(line.warnings) for line in found)
    yield f"{_counted(len(found), 'callback URL')}, {warned} with warnings"


def inventory_table(found: Sequence[InventoryLine]) -> str:
    """Return an inventory as CSV; a column for each phase says where a URL is sent from."""
    phases = list(dict.fromkeys(phase for line in found for phase in line.sources))
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    keys = ("place", "account_sid", "method", "url", "fragment", "source_asked")
    table.writerow([*keys, *phases, "warnings"])
    for line in found:
        record = line.record
        sources = [line.sources.get(phase, "") for phase in phases]
        table.writerow([*(record[key] for key in keys), *sources, "; ".join(line.warnings)])
    return text.getvalue()


# ---- plans ---------------------------------------------------------------------------------------


def plan_lines(plan: MigrationPlan, path: str, in_vain: Mapping[str, int]) -> Iterator[str]:
    """Yield a plan's summary; `in_vain` counts the edits without an effect, by the reason."""
    urls = _counted(len(plan.edits), "URL")
    yield f"{path}: {urls} to move to {plan.to}; nothing is changed yet"
    for why, number in plan.left_out.items():
        yield f"  {number} left out: {why}"
    for why, number in in_vain.items():
        yield click.style(f"  {number} would not be sent from {plan.to}: {why}", fg="yellow")


def status_record(status: EditWithState) -> dict[str, Any]:
    """Return an edit and its state as a JSON object."""
    return {
        "place": status.edit.place.name,
        "account_sid": status.edit.place.account_sid,
        "url": status.edit.old,
        "new": status.edit.new,
        "status": status.state.value,
        "why": status.why,
    }


def status_lines(
    found: Mapping[UrlLocation, EditWithState], *, reported: Collection[UrlLocation] = ()
) -> Iterator[str]:
    """Yield how many edits are in each state, and those left behind that aren't in `reported`."""
    for state, number in count(found).items():
        yield click.style(f"{number:>7}  {state}", fg=_COLORS.get(state))
    for each in found.values():
        if each.state in LEFT_BEHIND and each.edit.place not in reported:
            why = f": {each.why}" if each.why else ""
            yield f"{each.edit.place.name}  {each.edit.old}\n  {each.state}{why}"


def rollback_lines(preview: RollbackPreview, to: str) -> Iterator[str]:
    """Yield the effect of going back, by the policy."""
    until = preview.open_until
    end = (
        "" if until is None else f", until {to} sends the first of them at {until:%Y-%m-%d %H:%M}Z"
    )
    if preview.returning:
        urls = _counted(preview.returning, "URL")
        yield f"to be sent from the old source again: {urls}{end}"
    for why, number in preview.staying.items():
        urls = _counted(number, "URL")
        yield f"to get the old form, and still be sent from {to}: {urls}: {why}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


# ---- while it runs -------------------------------------------------------------------------------


@dataclass(slots=True)
class ProgressPrinter:
    """Prints what happens while a plan is carried out."""

    is_terminal: bool
    """Whether a line of progress can overwrite the one before."""
    reported: set[UrlLocation] = field(default_factory=set[UrlLocation])
    """The edits whose reason not to move was printed, so that the summary doesn't repeat it."""
    _is_open: bool = False

    def __call__(self, event: ProgressEvent) -> None:
        """Print an event."""
        match event:
            case EditsMoved(share, moved, of):
                self._progress(f"{share} %: moved {moved} of {of}")
            case EditsReverted(returned, of):
                self._progress(f"went back: {returned} of {of}")
            case EditSkipped(edit, why):
                self.reported.add(edit.place)
                self._say(f"not moved: {edit.place.name}  {edit.old}\n  {why}", fg="yellow")
            case CanaryStarted(share, number, until):
                self._say(f"{share} %: watching {number} until {until:%Y-%m-%dT%H:%M:%SZ}")
            case DeliveriesWorsened(share, number, behind):
                words = f"{share} %: {len(behind)} of {number} deliver worse than before"
                self._say(f"{words}, and go back", fg="red")
                for place, why in behind.items():
                    self.reported.add(place)
                    self._say(f"{place.name}\n  stays behind: {why}")
            case CanaryStopped(share, worse, called):
                words = f"{share} %: {worse} of the {called} that were called got worse"
                self._say(f"{words}: all go back", fg="red")

    def end(self) -> None:
        """End a line of progress."""
        if self._is_open:
            click.echo()
        self._is_open = False

    def _progress(self, text: str) -> None:
        if self.is_terminal:
            click.echo(f"\r{text}\033[K", nl=False)
            self._is_open = True
        else:
            click.echo(text)

    def _say(self, text: str, *, fg: str | None = None) -> None:
        self.end()
        click.echo(click.style(text, fg=fg))
