"""Prints inventories, plans and progress: as lines for people, as JSON and as CSV."""

import csv
import io
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ringback.cli.output import echo, overwrite, style
from ringback.core.calendar import iso
from ringback.core.counted import counted
from ringback.migration.calls_since_move import CallsSinceMove
from ringback.migration.canary_step import ALL
from ringback.migration.edit_status import LEFT_BEHIND, EditState, EditWithState, count
from ringback.migration.inventory import InventoryLine
from ringback.migration.journal import JournalLine, JournalSummary
from ringback.migration.migration_effect import RollbackPreview
from ringback.migration.plan import ExclusionReason, MigrationPlan
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
from ringback.migration.url_source import UrlEdit, UrlLocation, UrlSource
from ringback.migration.url_sources.file_url_source import FileUrlSource

_COLORS: Final = {
    EditState.MOVED: "green",
    EditState.SKIPPED: "yellow",
    EditState.BEHIND: "red",
    EditState.CHANGED: "yellow",
    EditState.GONE: "yellow",
}


_WHY_LEFT_OUT: Final[Mapping[str, str]] = {
    ExclusionReason.UNREADABLE: "not a URL that can be called; `ringback migrate inventory` says"
    " why",
    ExclusionReason.FIXED: "can't be edited where it is; `ringback migrate inventory` says why",
    ExclusionReason.NOT_SELECTED: "not selected by --select",
    ExclusionReason.OTHER_SERVICE: "callback of another service; `ringback migrate inventory` says"
    " of which",
    ExclusionReason.NOT_IN_SHARE: "not in the share of --percent",
    ExclusionReason.ASKS_ALREADY: "asks for {to} already",
}
_MOST_NOT_CALLED: Final = 10
_FATES: Final[Mapping[str, str]] = {
    "sent_again": "callbacks that receivers refused are sent again by the old source",
    "stays": "refused callbacks stay undelivered: the policy sends from the new source anyway",
    "due_later": "callbacks that the new source has yet to send",
    "open": "callbacks whose attempts had not ended",
    "maybe_acted_on": "callbacks that receivers may have acted on are not sent again",
}
_MOST_NAMED: Final = 10
"""The most callbacks that a text names."""
_OF_OTHERS: Final = "callback of another service, listed above with the reason"
_GIVEN_WITH_REQUESTS: Final = (
    "  a URL that a program gives with each request, like CallbackUrl of a SIM, is not stored:"
    " search the program's source code with `ringback migrate plan PATH`"
)


# ---- inventory -----------------------------------------------------------------------------------


def inventory_lines(found: Sequence[InventoryLine], not_listed: Mapping[str, int]) -> Iterator[str]:
    """Yield an inventory for people: a block for each URL, then the numbers of URLs."""
    for line in found:
        account = f"  {line.entry.place.account_sid}" if line.entry.place.account_sid else ""
        yield style(line.entry.place.name, bold=True) + account
        yield f"  {line.entry.method} {line.url}"
        if line.sources:
            asked = f"asks for {line.asked}" if line.asked else "asks for nothing"
            phases = ", ".join(f"{phase}: {source}" for phase, source in line.sources.items())
            yield f"  {asked}; sent from  {phases}"
        yield from (style(f"  warning: {text}", fg="yellow") for text in line.warnings)
    totals = inventory_totals(found, not_listed)
    urls, by_hand = counted(totals["callback_urls"], "callback URL"), totals["by_hand"]
    more = f", {by_hand} to change by hand" if by_hand else ""
    yield f"{urls}, {totals['with_warnings']} with warnings{more}"
    seen = f"{counted(totals['seen'], 'URL')} seen"
    yield f"{seen}, and left out:" if totals["left_out"] else f"{seen}, none left out"
    for why, number in totals["left_out"].items():
        yield f"{number:>7}  {why}"


def inventory_totals(
    found: Sequence[InventoryLine], not_listed: Mapping[str, int]
) -> dict[str, Any]:
    """Return how many URLs were seen, and how many of them were left out, by the reason.

    `not_listed` counts the URLs that aren't callback URLs. A URL that a program builds counts as
    seen, too.
    """
    own = [line for line in found if not line.entry.service]
    others = len(found) - len(own)
    left_out = {_OF_OTHERS: others} if others else {}
    return {
        "callback_urls": len(own),
        "with_warnings": sum(bool(line.warnings) for line in own),
        "by_hand": sum(bool(line.entry.fixed) for line in own),
        "seen": len(found) + sum(not_listed.values()),
        "left_out": {**left_out, **not_listed},
    }


def searched_lines(source: UrlSource) -> Iterator[str]:
    """Yield lines about a search that found no URL: where it looked, and where URLs may be."""
    match source.spec:
        case {"kind": "store", "data": data, "account": account}:
            owner = "all accounts" if account is None else f"account {account}"
            yield f"searched the fleets and the Programmable Wireless SIMs of {owner} in {data}"
            yield _GIVEN_WITH_REQUESTS
        case {"kind": "api", "account": account}:
            yield f"searched the fleets and the Programmable Wireless SIMs of account {account}"
            yield _GIVEN_WITH_REQUESTS
        case {"kind": "csv", "paths": [path]}:
            yield f"searched the column url, or callback_url, of {path}"
        case {"paths": paths}:
            files = source.searched if isinstance(source, FileUrlSource) else 0
            yield f"searched {counted(files, 'file')} in {', '.join(map(str, paths))}"
            yield (
                "  for names of parameters and variables like CallbackUrl, callback_url,"
                " SMS_COMMANDS_URL or CALLBACK_URL_1 with a URL, and for URLs with #cbs="
            )
        case _:
            return


def inventory_table(found: Sequence[InventoryLine]) -> str:
    """Return an inventory as CSV; it has a column for each phase, with the source of each URL."""
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
    if plan.edits:
        urls = counted(len(plan.edits), "URL")
        yield f"{path}: {urls} to move to {plan.to}; nothing is changed yet"
    else:
        yield f"{path} is empty: there is no URL to move to {plan.to}"
    for reason, number in plan.left_out.items():
        why = _WHY_LEFT_OUT.get(reason, reason).format(to=plan.to)
        yield f"  {counted(number, 'URL')} left out: {why}"
    if not plan.edits and not plan.left_out:
        yield "  no callback URL was found"
    for why, number in in_vain.items():
        urls = counted(number, "URL")
        text = f"  {urls} would not be sent from {plan.to} after the move: {why}"
        yield style(text, fg="yellow")


def status_record(status: EditWithState, called: CallsSinceMove | None = None) -> dict[str, Any]:
    """Return an edit and its state as a JSON object, with the callbacks since the move if known."""
    record = _state_record(status)
    if called is not None:
        last = called.last_delivered
        shown = called._replace(last_delivered=last and iso(last))
        record["since_move"] = shown._asdict()
    return record


def _state_record(status: EditWithState) -> dict[str, Any]:
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
        yield style(f"{number:>7}  {state}", fg=_COLORS.get(state))
    for each in found.values():
        if each.state in LEFT_BEHIND and each.edit.place not in reported:
            why = f": {each.why}" if each.why else ""
            yield f"{each.edit.place.name}  {each.edit.old}"
            yield f"  {each.state}{why}"


def call_lines(
    found: Mapping[UrlLocation, EditWithState], calls: Mapping[UrlLocation, CallsSinceMove]
) -> Iterator[str]:
    """Yield how many moved URLs have got a callback since they moved, and some that have not."""
    if not calls:
        return
    delivered = [each for each in calls.values() if each.delivered]
    number, of = len(delivered), counted(len(calls), "moved URL")
    words = f"called since the move: {number} of {of}"
    if last := max(
        (each.last_delivered for each in delivered if each.last_delivered), default=None
    ):
        total = counted(sum(each.delivered for each in delivered), "callback")
        words += f", {total} delivered, the last of {iso(last)}"
    yield words
    waiting = [place for place, each in calls.items() if not each.delivered]
    for place in waiting[:_MOST_NOT_CALLED]:
        tried = calls[place].callbacks
        why = f"{counted(tried, 'callback')}, none delivered" if tried else "no callback yet"
        yield f"  {place.name}  {found[place].edit.new}  {why}"
    if more := waiting[_MOST_NOT_CALLED:]:
        yield f"  and {counted(len(more), 'URL')} more without one; --json lists all"


def undelivered_lines(summary: JournalSummary, path: Path, *, unsettled: int) -> Iterator[str]:
    """Yield what happened to callbacks that were not delivered while their URLs were moved.

    `unsettled` is the number of URLs that went back while no server could send callbacks again.
    """
    for fate, words in _FATES.items():
        if number := summary.fates[fate]:
            yield f"{number:>7}  {words}"
    if summary.maybe_acted_on:
        yield f"  `ringback migrate revert {path} --replay` sends those from the old source, too:"
        some = list(summary.maybe_acted_on)
        yield from (f"  {sid}" for sid in some[:_MOST_NAMED])
        if len(some) > _MOST_NAMED:
            yield f"  and {len(some) - _MOST_NAMED} more, which --json lists"
    if unsettled:
        yield (
            f"  {counted(unsettled, 'URL')} went back while no server ran:"
            f" `ringback migrate revert {path}` beside a running server sends again what receivers"
            " refused"
        )


def undelivered_record(summary: JournalSummary) -> dict[str, Any]:
    """Return the same as fields of a JSON object."""
    return {"callbacks": dict(summary.fates), "maybe_acted_on": list(summary.maybe_acted_on)}


def rollback_lines(preview: RollbackPreview, to: str) -> Iterator[str]:
    """Yield the effect of a revert by the policy: which URLs really change their source."""
    until = preview.open_until
    end = (
        "" if until is None else f", until {to} sends the first of them at {until:%Y-%m-%d %H:%M}Z"
    )
    if preview.returning:
        urls = counted(preview.returning, "URL")
        yield f"{urls} will be sent from the old source again{end}"
    for why, number in preview.staying.items():
        urls = counted(number, "URL")
        yield f"{urls} will get the old form, but still be sent from {to}: {why}"


def rollback_record(preview: RollbackPreview) -> dict[str, Any]:
    """Return the effect of a revert as a JSON object."""
    until = preview.open_until
    return {
        "returning": preview.returning,
        "until": None if until is None else until.isoformat(),
        "staying": dict(preview.staying),
    }


# ---- while it runs -------------------------------------------------------------------------------


_PAUSE: Final = 10.0
"""Seconds between two lines of progress that is not shown on a terminal."""


def time_left(seconds: float) -> str:
    """Return how long work will still take, rounded.

    >>> time_left(7), time_left(230), time_left(9000)
    ('about 10 s left', 'about 4 min left', 'about 3 h left')
    """
    if seconds < 60:
        return f"about {max(10, round(seconds, -1)):.0f} s left"
    if seconds < 3600:
        return f"about {seconds / 60:.0f} min left"
    return f"about {math.ceil(seconds / 3600)} h left"


@dataclass(slots=True)
class ProgressPrinter:
    """Prints the progress of a plan: on a terminal in one line, else in a line now and then."""

    edits: Mapping[UrlLocation, UrlEdit]
    """The edits of the plan, by the place of their URL."""
    is_terminal: bool
    """True if a line of progress can overwrite the one before."""
    stopwatch: Callable[[], float] = time.monotonic
    """Returns the seconds since some fixed moment."""
    err: bool = False
    """True to print on stderr, so that only JSON is on stdout."""
    reported: set[UrlLocation] = field(default_factory=set[UrlLocation])
    """The edits whose reason not to move was printed, so that the summary doesn't repeat it."""
    _reader: ProgressReader = field(default_factory=ProgressReader)
    _is_open: bool = False
    _began: tuple[float, int] = (0.0, 0)
    """The time at which the present step began, and the edits that were done by then."""
    _last: tuple[int, int] = (0, 0)
    """The edits that were done, and all edits of the step, at the last event of progress."""
    _printed: float = 0.0
    """The time of the last line of progress."""

    def follow(self, line: JournalLine, summary: JournalSummary) -> None:
        """Print what a new line of the journal reports; `summary` is the state after it."""
        for event in self._reader.read(line, summary):
            self(event)

    def __call__(self, event: ProgressEvent) -> None:
        """Print what happened: one event of `apply` or `revert`."""
        match event:
            case EditsMoved(share, moved, done, of):
                step = "" if share == ALL else f"{share} %: "
                skipped = f", skipped {done - moved}" if done > moved else ""
                self._progress(f"{step}moved {moved} of {of}{skipped}", done, of)
            case EditsReverted(returned, done, of):
                self._progress(f"moved back {returned} of {of}", done, of)
            case EditSkipped(place, why):
                self.reported.add(place)
                edit = self.edits.get(place)
                url = f"  {edit.old}" if edit else ""
                self._say(f"not moved: {place.name}{url}", f"  {why}", fg="yellow")
            case CanaryStarted(share, number, until):
                urls = counted(number, "URL")
                self._say(f"{share} %: watching {urls} until {until:%Y-%m-%dT%H:%M:%SZ}")
            case CanaryWaits(share, callbacks, until):
                came = counted(callbacks, "callback")
                self._say(
                    f"{share} %: only {came} came, so it waits for more, until"
                    f" {until:%Y-%m-%dT%H:%M:%SZ} at most"
                )
            case SilentReceiversTried(share, callbacks, called, probed, tested, refused):
                came, to = counted(callbacks, "callback"), counted(called, "URL")
                silent = counted(max(probed, tested), "receiver")
                how = [*(["probed"] if probed else []), *(["got a test event"] if tested else [])]
                ready = f"{refused} not ready" if refused else "all are ready"
                self._say(
                    f"{share} %: only {came} came, to {to}; {silent} without any"
                    f" {' and '.join(how)}: {ready}"
                )
            case RefusedSentAgain(sent_again, maybe):
                again = counted(sent_again, "refused callback")
                self._say(
                    f"{again} sent again from the old source; {maybe} may have been acted on, and"
                    " not sent again"
                )
            case DeliveriesWorsened(share, number, behind):
                words = f"{share} %: {len(behind)} of {number} deliver worse than before"
                self._say(f"{words}, and go back", fg="red")
                for place, why in behind.items():
                    self.reported.add(place)
                    self._say(place.name, f"  stays behind: {why}")
            case CanaryStopped(share, worse, called):
                words = f"{share} %: {worse} of the {called} URLs with callbacks deliver worse"
                self._say(f"{words}: all go back", fg="red")

    def end(self) -> None:
        """End a line of progress."""
        if self._is_open:
            echo(err=self.err)
        self._is_open = False

    def _progress(self, text: str, done: int, of: int) -> None:
        now = self.stopwatch()
        last, last_of = self._last
        self._last = done, of
        if done <= last or of != last_of:
            self._began, self._printed = (now, done), now
        began, before = self._began
        if before < done < of:
            text += f", {time_left((now - began) * (of - done) / (done - before))}"
        if self.is_terminal:
            self._is_open = done < of
            overwrite(text, stays_open=self._is_open, err=self.err)
        elif done == of or now - self._printed >= _PAUSE:
            self._printed = now
            echo(text, err=self.err)

    def _say(self, *lines: str, fg: str | None = None) -> None:
        if self._is_open:  # the next line of progress follows below
            overwrite("", stays_open=True, err=self.err)
            self._is_open = False
        for line in lines:
            echo(style(line, fg=fg), err=self.err)
