"""Edits the policy in the text of a settings file, and leaves the rest of the text as it is.

An edit splits the text into statements, and changes some of them. It fails unless the new text,
when read, gives exactly the intended policy.

`tomlkit` 0.15 can't be used here: it moves comments to other tables, joins tables that are apart,
and ends new lines with LF in a CRLF file.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from ringback.core.errors import ConfigurationError
from ringback.core.policy.source_policy import PhaseHold, Policy
from ringback.settings.file import SettingsFile
from ringback.settings.load import policy_in
from ringback.settings.policy import TABLES
from ringback.settings.raw_setting import as_toml
from ringback.settings.toml_lines import statements

_VALUE: Final = r"""(?P<value>"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[^"'#\n]*?)"""
_LINE: Final = re.compile(rf"(?P<head>\s*[^=]+=\s*){_VALUE}(?P<tail>\s*(?:\#[^\n]*)?\n)")


def with_policy(file: SettingsFile, policy: Policy) -> str:
    """Return the file's text, changed so that it has this policy.

    The dates of phases can be changed, and one hold added, changed or removed. If the file has no
    phases, those of KORE's migration notice are added to it before one gets another date. Raises
    ConfigurationError if the text is written in a way that can't be edited.
    """
    old, text = policy_in(file), _Text(file)
    if old.phases != policy.phases:
        if "phases" in file.table:
            for index, (before, after) in enumerate(zip(old.phases, policy.phases, strict=False)):
                if before.since != after.since:
                    text.set("phases", index, "since", after.since)
        else:
            text.append_phases(policy)
    if old.holds != policy.holds:
        _edit_holds(text, old.holds, policy.holds)
    return text.checked(policy)


def as_text(policy: Policy) -> str:
    """Return the text of a settings file that has only this policy."""
    text = _Text(SettingsFile())
    text.append_phases(policy)
    for hold in policy.holds:
        text.append("holds", asdict(hold))
    return str(text)


def _edit_holds(text: "_Text", old: Sequence[PhaseHold], new: Sequence[PhaseHold]) -> None:
    pairs = zip(old, new, strict=False)
    index = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(old), len(new)))
    if len(new) < len(old):
        text.remove("holds", index)
    elif len(new) == len(old):
        text.set("holds", index, "phase", new[index].phase)
        text.set("holds", index, "until", new[index].until)
    elif index == len(old):
        text.append("holds", asdict(new[index]))
    else:
        text.insert("holds", index, asdict(new[index]))


class _Text:
    """A settings file as a list of statements, with comments and blank lines in their places."""

    def __init__(self, file: SettingsFile) -> None:
        self._file = file
        self._parts = [part for _, part in statements(file.text)]
        self._newline = "\r\n" if "\r\n" in file.text else "\n"

    def set(self, name: str, index: int, key: str, value: str | datetime | None) -> None:
        """Set a key of the table `[[name]]` with this index; None removes the key."""
        keys = self._keys(self._headers(name)[index])
        if key in keys and value is None:
            del self._parts[keys[key]]
        elif key in keys:
            self._replace(keys[key], key, _as_toml(value))
        elif value is not None:
            last = max(keys.values())
            indent = self._parts[last][: -len(self._parts[last].lstrip())]
            self._parts.insert(last + 1, f"{indent}{key} = {_as_toml(value)}{self._newline}")

    def append_phases(self, policy: Policy) -> None:
        """Add the phases of a policy at the end of the file."""
        for phase in policy.phases:
            self.append("phases", {**asdict(phase), "may_ask": sorted(phase.may_ask)})

    def append(self, name: str, table: Mapping[str, Any]) -> None:
        """Add a table `[[name]]` at the end of the file."""
        self._headers(name)
        while self._parts and not self._parts[-1].strip():
            self._parts.pop()
        blank = [self._newline] if self._parts else []
        self._parts += [*blank, *self._lines(name, table), "\n"]

    def insert(self, name: str, index: int, table: Mapping[str, Any]) -> None:
        """Insert a table before the one with this name and index, and before its comments."""
        place = self._headers(name)[index]
        while place > 0 and self._parts[place - 1].lstrip().startswith("#"):
            place -= 1
        self._parts[place:place] = [*self._lines(name, table), self._newline]

    def remove(self, name: str, index: int) -> None:
        """Remove the table with this name and index."""
        place = self._headers(name)[index]
        del self._parts[place : max(self._keys(place).values(), default=place) + 1]
        is_blank = [not part.strip() for part in self._parts[max(place - 1, 0) : place + 1]]
        if place > 0 and is_blank == [True, True]:
            del self._parts[place - 1]

    def checked(self, policy: Policy) -> str:
        """Return the edited text.

        Raises ConfigurationError unless the text, when read, gives exactly this policy and leaves
        all other settings as they were.
        """
        text = str(self)
        edited = SettingsFile.of(self._file.path, text)
        if policy_in(edited) != policy or _rest(edited) != _rest(self._file):
            raise ConfigurationError(
                f"{self._file.path} is written in a way that this command can't edit;"
                " edit the file by hand"
            )
        return text

    def __str__(self) -> str:
        # `statements` has ended the last line, which may have no newline in the file.
        return re.sub(r"\r?\n\Z", "", "".join(self._parts))

    def _headers(self, name: str) -> list[int]:
        """Return where the `[[name]]` tables begin: the indexes of their first statements.

        Raises ConfigurationError if the file writes these tables in another form, such as an inline
        array.
        """
        places = [
            place
            for place, part in enumerate(self._parts)
            if part.lstrip().startswith("[[") and name in tomllib.loads(part)
        ]
        if not places and name in self._file.table:
            place = self._file.place(name)
            raise ConfigurationError(
                f"{place}: this command can edit {name} only if they are written"
                f" as [[{name}]] tables; edit the file by hand"
            )
        return places

    def _keys(self, header: int) -> dict[str, int]:
        """Return the keys in the table below a header, with the indexes of their statements."""
        places = dict[str, int]()
        for place, part in enumerate(self._parts[header + 1 :], header + 1):
            if part.lstrip().startswith("["):
                break
            places.update(dict.fromkeys(tomllib.loads(part), place))
        return places

    def _lines(self, name: str, table: Mapping[str, Any]) -> list[str]:
        values = [f"{key} = {_as_toml(value)}" for key, value in table.items() if value]
        return [f"{line}{self._newline}" for line in (f"[[{name}]]", *values)]

    def _replace(self, place: int, key: str, value: str) -> None:
        match = _LINE.fullmatch(self._parts[place])
        if match is None:
            raise ConfigurationError(
                f"{self._file.path}: {self._parts[place].strip()!r} can't be edited"
                f" by this command; write it like {key} = {value}"
            )
        # A date that was written in quotes stays in quotes.
        was_quoted = match["value"].startswith(("'", '"'))
        shown = as_toml(value) if was_quoted and not value.startswith('"') else value
        self._parts[place] = f"{match['head']}{shown}{match['tail']}"


def _rest(file: SettingsFile) -> dict[str, Any]:
    return {name: value for name, value in file.table.items() if name not in TABLES}


def _as_toml(value: Any) -> str:
    """Return a value in TOML syntax; a time is in UTC, or a plain date if it is midnight in UTC.

    >>> from datetime import UTC
    >>> _as_toml(datetime(2027, 6, 1, tzinfo=UTC)), _as_toml(datetime(2027, 6, 1, 12, tzinfo=UTC))
    ('2027-06-01', '2027-06-01T12:00:00Z')
    """
    if not isinstance(value, datetime):
        return as_toml(value)
    day, _, time = value.isoformat().removesuffix("+00:00").partition("T")
    return day if time == "00:00:00" else f"{day}T{time}Z"
