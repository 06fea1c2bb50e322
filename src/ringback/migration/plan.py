"""The plan of a migration: a file with its exact edits, to review before anything changes.

An edit moves a URL to a source: it changes the URL's fragment, which asks for a source. An edit
that would change anything else is refused.

A plan is JSON Lines: a header, then one edit on each line, so that people can delete edits by hand.
URLs in a plan have no credentials; a configured URL keeps its credentials when it moves.

The header says where the URLs are, and has a digest of that, which shows if it was altered. Plans
of form 1, of earlier versions, have no digest and no fingerprint.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self, cast

from ringback import __version__
from ringback.core.calendar import iso
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.errors import ConfigurationError, InvalidCallbackUrl
from ringback.core.policy.source_policy import SourceName, source_named
from ringback.core.policy.url_source_override import override_source
from ringback.core.visible_text import visible_json
from ringback.migration.filters import UrlFilter, rank
from ringback.migration.url_source import QuoteChange, UrlEdit, UrlEntry, UrlLocation, UrlSourceSpec

_FORM: Final = 2
_RELEASE: Final = re.compile(r"[0-9]+(?:\.[0-9]+)*")


class ExclusionReason(StrEnum):
    """The reason why a URL is not in a plan."""

    UNREADABLE = "no URL that can be called"
    FIXED = "can't be changed where it stands"
    NOT_SELECTED = "not selected"
    OTHER_SERVICE = "somebody else's callback"
    NOT_IN_SHARE = "not in the share"
    ASKS_ALREADY = "asks for it already"


@dataclass(frozen=True, slots=True)
class MigrationPlan:
    """The edits that move URLs to a source, and the choices from which they follow."""

    id: str
    """Identifies the plan; its journal has the same id, so that plans can't be mixed up."""
    to: SourceName
    made: datetime
    url_source: UrlSourceSpec
    """Where the URLs are configured: the value of `UrlSource.spec`."""
    phase: str
    """The policy's phase when the plan was made."""
    selected: tuple[str, ...]
    """The conditions by which URLs were selected, as texts."""
    percent: int
    left_out: Mapping[str, int]
    """The number of URLs that are not in the plan, by reason."""
    edits: tuple[UrlEdit, ...]
    fingerprint: str | None = None
    """The fingerprint of the Ringback's data with the URLs; None if the place has none."""

    def write(self, path: Path) -> None:
        """Write the plan to a new file.

        Raises ConfigurationError if the file exists already, or can't be written.
        """
        try:
            # "x" refuses an existing file: a move may need that plan for its rollback.
            with path.open("x", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in self.lines())
        except FileExistsError:
            raise ConfigurationError(
                f"{path} exists already, and may be needed to roll back a move; name another file"
            ) from None
        except OSError as failure:
            raise ConfigurationError(f"{path} can't be written: {failure.strerror}") from failure

    def lines(self) -> Iterator[str]:
        """Yield the lines of the plan's file."""
        return (visible_json(json.dumps(line, ensure_ascii=False)) for line in self._lines)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a plan from its file, from which people may have deleted edits.

        Raises ConfigurationError, with the number of the line, if the file isn't a plan, was made
        by a newer version, or has another place than when it was made, or if an edit does more than
        move its URL to the plan's source.
        """
        return cls.of_lines(plan_lines(path), str(path))

    @classmethod
    def of_lines(cls, lines: Sequence[str], where: str) -> Self:
        """Read a plan from its lines; `where` is the file that errors name, else like `read`."""
        first, *others = lines or [""]
        header = _object(first, f"{where}:1")
        numbered = [(f"{where}:{at}", line) for at, line in enumerate(others, 2) if line.strip()]
        try:
            _refuse_unknown(header["ringback_plan"], f"{where}:1")
            _refuse_altered(header, f"{where}:1")
            to = source_named(header["to"])
            return cls(
                id=header["ringback_plan"]["id"],
                to=to,
                made=datetime.fromisoformat(header["made"]),
                url_source=header["record"],
                phase=header["phase"],
                selected=tuple(header["selected"]),
                percent=header["percent"],
                left_out=header["left_out"],
                edits=_edits(numbered, to),
                fingerprint=header.get("fingerprint"),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ConfigurationError(
                f"{where}:1: this is not a plan; `ringback migrate plan` writes one"
            ) from None

    @property
    def _lines(self) -> Iterable[Mapping[str, Any]]:
        yield {
            "ringback_plan": {
                "form": _FORM,
                "version": __version__,
                "id": self.id,
                "place_sha256": _digest(self.url_source, self.fingerprint),
            },
            "to": self.to,
            "made": iso(self.made),
            "record": self.url_source,
            "fingerprint": self.fingerprint,
            "phase": self.phase,
            "selected": self.selected,
            "percent": self.percent,
            "edits": len(self.edits),
            "left_out": self.left_out,
        }
        yield from map(edit_record, self.edits)


def plan_lines(path: Path) -> Sequence[str]:
    """Return the lines of a plan's file; raises ConfigurationError if it can't be read."""
    try:
        # Not splitlines: earlier versions wrote other line separators into an edit as they are.
        return path.read_text("utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as failure:
        raise ConfigurationError(f"the plan {path} can't be read: {failure}") from None


def make_plan(
    entries: Sequence[UrlEntry],
    *,
    to: SourceName,
    url_source: UrlSourceSpec,
    phase: str,
    now: datetime,
    plan_id: str,
    selections: Sequence[UrlFilter] = (),
    percent: int = 100,
    fingerprint: str | None = None,
) -> MigrationPlan:
    """Return a plan that moves URLs to the source `to`; changes no URL.

    The plan contains `percent` of the URLs that match all `selections`. `phase` is the name of the
    policy's current phase, which the plan records. `fingerprint` is that of the Ringback's data.
    """
    found = [_planned(entry, to, selections, percent) for entry in entries]
    left_out = Counter(each for each in found if isinstance(each, ExclusionReason))
    return MigrationPlan(
        id=plan_id,
        to=to,
        made=now,
        url_source=url_source,
        phase=phase,
        selected=tuple(selection.text for selection in selections),
        percent=percent,
        left_out={reason.value: left_out[reason] for reason in ExclusionReason if left_out[reason]},
        edits=tuple(each for each in found if isinstance(each, UrlEdit)),
        fingerprint=fingerprint,
    )


def _planned(
    entry: UrlEntry, to: SourceName, selections: Sequence[UrlFilter], percent: int
) -> UrlEdit | ExclusionReason:
    try:
        url, moved = (
            CallbackUrl.parse(text, sources=None)
            for text in (entry.url, override_source(entry.url, to))
        )
    except InvalidCallbackUrl:
        return ExclusionReason.FIXED if entry.fixed else ExclusionReason.UNREADABLE
    if not all(selection.covers(entry, url) for selection in selections):
        return ExclusionReason.NOT_SELECTED
    if entry.service and not any(selection.names_one(entry) for selection in selections):
        return ExclusionReason.OTHER_SERVICE
    if url.source == to:
        return ExclusionReason.ASKS_ALREADY
    if entry.fixed:
        return ExclusionReason.FIXED
    if rank(url) * 100 >= percent:
        return ExclusionReason.NOT_IN_SHARE
    return UrlEdit(entry.place, url.shown, moved.shown, entry.method, entry.quotes)


# ---- the header ----------------------------------------------------------------------------------


def _refuse_unknown(made: Mapping[str, Any], where: str) -> None:
    """Raise ConfigurationError if the plan has an unknown form, or is of a newer version."""
    form, version = made["form"], str(made.get("version") or "")
    if type(form) is not int or form < 1:
        raise ValueError(form)
    by = f"Ringback {version}" if version else "a newer one"
    if form > _FORM:
        raise ConfigurationError(
            f"{where}: the plan has form {form}, and this Ringback {__version__} knows only forms"
            f" up to {_FORM}: use the version that made it, {by}"
        )
    if form > 1 and _release(version) > _release(__version__):
        raise ConfigurationError(
            f"{where}: the plan was made by {by}, and this is Ringback {__version__}: use that"
            " version or a newer one"
        )


def _release(version: str) -> tuple[int, ...]:
    """Return the numbers of a version; raises ValueError if it has none."""
    match = _RELEASE.match(version)
    if match is None:
        raise ValueError(version)
    return tuple(map(int, match[0].split(".")))


def _refuse_altered(header: Mapping[str, Any], where: str) -> None:
    """Raise ConfigurationError if the place of the URLs is not as it was written."""
    made = header["ringback_plan"]
    if made["form"] == 1:
        return
    if made["place_sha256"] != _digest(header["record"], header["fingerprint"]):
        raise ConfigurationError(
            f"{where}: `record` or `fingerprint`, which say where the URLs are, were altered:"
            " nothing was opened, and no credentials were sent. Make a new plan. If the data has"
            " moved since, name its new place with --data or --server instead"
        )


def _digest(url_source: UrlSourceSpec, fingerprint: str | None) -> str:
    text = json.dumps([url_source, fingerprint], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


# ---- edits as lines ------------------------------------------------------------------------------


def edit_record(edit: UrlEdit) -> dict[str, Any]:
    """Return an edit as the JSON object that plans and journals store."""
    record = {
        "place": edit.place.name,
        "account_sid": edit.place.account_sid,
        "method": edit.method,
        "url": edit.old,
        "new": edit.new,
    }
    return {**record, "quotes": edit.quotes} if edit.quotes else record


def read_edit(record: Mapping[str, Any]) -> UrlEdit:
    """Read an edit from its JSON object.

    Raises KeyError, TypeError or ValueError if the object isn't an edit.
    """
    place = UrlLocation(record["place"], record["account_sid"])
    quotes = QuoteChange(record.get("quotes", ""))
    return UrlEdit(place, record["url"], record["new"], HttpMethod(record["method"]), quotes)


def _edits(numbered: Sequence[tuple[str, str]], to: SourceName) -> tuple[UrlEdit, ...]:
    edits = dict[UrlLocation, UrlEdit]()
    for where, line in numbered:
        edit = _edit(line, to, where)
        if edit.place in edits:
            raise ConfigurationError(
                f"{where}: this is a second edit for {edit.place.name}; delete one of the two"
            )
        edits[edit.place] = edit
    return tuple(edits.values())


def _edit(line: str, to: SourceName, where: str) -> UrlEdit:
    record = _object(line, where)
    try:
        edit = read_edit(record)
        old = CallbackUrl.parse(edit.old, sources=None)
    except (KeyError, TypeError, ValueError, InvalidCallbackUrl):
        raise ConfigurationError(
            f"{where}: this line is not a valid edit; delete it, or make a new plan"
        ) from None
    wanted = override_source(old.shown, to)
    is_altered = edit.quotes is QuoteChange.REMOVE  # only an edit that is undone removes them
    if old.credentials is not None or edit.new != wanted or edit.new == edit.old or is_altered:
        raise ConfigurationError(
            f"{where}: this edit was altered: a plan may change the URL of {edit.place.name}"
            f" only to {wanted}, which asks for {to}; correct the line, or make"
            " a new plan"
        )
    return edit


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise ConfigurationError(
            f"{where}: this line is not one JSON object; delete it, or make a new plan"
        )
    return cast("dict[str, Any]", record)
