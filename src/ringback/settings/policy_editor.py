"""Changes the policy in the text of a settings file, and no other letter of it.

The text is taken apart into its statements. What an edit is to come to is worked out as a policy,
too: a text that would say anything else, or more, is refused. `tomlkit` 0.15 can't take its place:
it gives comments to other tables, puts tables together that are apart, and ends new lines by LF
alone in a file with CRLF.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, replace
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


def move_phase(file: SettingsFile, name: str, since: datetime) -> str:
    """Return the file's text with a phase that begins at this instant.

    Where the file leaves the phases to the notice, they are written out. Raises ConfigurationError
    where there is no such phase, or the dates would not follow each other.
    """
    policy, text = policy_in(file), _Text(file)
    names = [phase.name for phase in policy.phases]
    if name not in names:
        raise ConfigurationError(f"there is no phase {name!r}; the policy has {', '.join(names)}")
    phases = list(policy.phases)
    index = names.index(name)
    phases[index] = replace(phases[index], since=since)
    if "phases" in file.table:
        text.set("phases", index, "since", since)
    else:
        for phase in phases:
            text.append("phases", {**asdict(phase), "may_ask": sorted(phase.may_ask)})
    return text.checked(replace(policy, phases=tuple(phases)))


def put_hold(file: SettingsFile, hold: PhaseHold) -> str:
    """Return the file's text with this hold, in the place of that of the same account and prefix.

    A new one goes before all that would keep it from ever deciding. Raises ConfigurationError where
    its phase doesn't exist.
    """
    policy, text = policy_in(file), _Text(file)
    holds = list(policy.holds)
    if (index := _index_of(policy, hold.account_sid, hold.url_prefix)) is not None:
        text.set("holds", index, "phase", hold.phase)
        text.set("holds", index, "until", hold.until)
        holds[index] = hold
    else:
        covered = (hold.account_sid or "", hold.url_prefix or "")
        index = next((i for i, one in enumerate(holds) if one.covers(*covered)), len(holds))
        if index == len(holds):
            text.append("holds", asdict(hold))
        else:
            text.insert("holds", index, asdict(hold))
        holds.insert(index, hold)
    return text.checked(replace(policy, holds=tuple(holds)))


def held(file: SettingsFile, account_sid: str | None, url_prefix: str | None) -> PhaseHold | None:
    """Return the hold of just this account and this prefix, where the file has one."""
    policy = policy_in(file)
    index = _index_of(policy, account_sid, url_prefix)
    return None if index is None else policy.holds[index]


def release(file: SettingsFile, account_sid: str | None, url_prefix: str | None) -> str:
    """Return the file's text without the hold of just this account and this prefix.

    Raises ConfigurationError where there is none.
    """
    policy, text = policy_in(file), _Text(file)
    index = _index_of(policy, account_sid, url_prefix)
    if index is None:
        whose = " and ".join(filter(None, (account_sid, url_prefix))) or "every callback"
        raise ConfigurationError(
            f"there is no hold of {whose}; `ringback policy show` lists those there are"
        )
    text.remove("holds", index)
    return text.checked(replace(policy, holds=policy.holds[:index] + policy.holds[index + 1 :]))


def _index_of(policy: Policy, account_sid: str | None, url_prefix: str | None) -> int | None:
    whose = [(hold.account_sid, hold.url_prefix) for hold in policy.holds]
    return whose.index((account_sid, url_prefix)) if (account_sid, url_prefix) in whose else None


class _Text:
    """A settings file as its statements; each keeps its place, with comments and blank lines."""

    def __init__(self, file: SettingsFile) -> None:
        self._file = file
        self._parts = [part for _, part in statements(file.text)]
        self._newline = "\r\n" if "\r\n" in file.text else "\n"

    def set(self, name: str, index: int, key: str, value: str | datetime | None) -> None:
        """Have a table say this under a key; None takes the key out."""
        keys = self._keys(self._headers(name)[index])
        if key in keys and value is None:
            del self._parts[keys[key]]
        elif key in keys:
            self._replace(keys[key], key, _as_toml(value))
        elif value is not None:
            last = max(keys.values())
            indent = self._parts[last][: -len(self._parts[last].lstrip())]
            self._parts.insert(last + 1, f"{indent}{key} = {_as_toml(value)}{self._newline}")

    def append(self, name: str, table: Mapping[str, Any]) -> None:
        """Put a table at the end of the file."""
        self._headers(name)
        while self._parts and not self._parts[-1].strip():
            self._parts.pop()
        blank = [self._newline] if self._parts else []
        self._parts += [*blank, *self._lines(name, table), "\n"]

    def insert(self, name: str, index: int, table: Mapping[str, Any]) -> None:
        """Put a table before another one of its name, and before what comments on that."""
        place = self._headers(name)[index]
        while place > 0 and self._parts[place - 1].lstrip().startswith("#"):
            place -= 1
        self._parts[place:place] = [*self._lines(name, table), self._newline]

    def remove(self, name: str, index: int) -> None:
        """Take a table out."""
        place = self._headers(name)[index]
        del self._parts[place : max(self._keys(place).values(), default=place) + 1]
        is_blank = [not part.strip() for part in self._parts[max(place - 1, 0) : place + 1]]
        if place > 0 and is_blank == [True, True]:
            del self._parts[place - 1]

    def checked(self, policy: Policy) -> str:
        """Return the text.

        Raises ConfigurationError where it would say anything but this policy, and all else as
        before.
        """
        # The last statement ends the line that the text leaves open.
        text = re.sub(r"\r?\n\Z", "", "".join(self._parts))
        edited = SettingsFile.of(self._file.path, text)
        if policy_in(edited) != policy or _rest(edited) != _rest(self._file):
            raise ConfigurationError(
                f"{self._file.path} is written in a way that can't be edited here"
            )
        return text

    def _headers(self, name: str) -> list[int]:
        """Return the places of the headers `[[name]]`.

        Raises ConfigurationError where the tables are written in another way.
        """
        places = [
            place
            for place, part in enumerate(self._parts)
            if part.lstrip().startswith("[[") and name in tomllib.loads(part)
        ]
        if not places and name in self._file.table:
            place = self._file.place(name)
            raise ConfigurationError(
                f"{place}: to edit {name} here, they must be [[{name}]] tables"
            )
        return places

    def _keys(self, header: int) -> dict[str, int]:
        """Return the places of the keys in the table below a header."""
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
                f"{self._file.path}: {self._parts[place].strip()!r} can't be edited here;"
                f" write it like {key} = {value}"
            )
        # A date may be written as text, and then stays text.
        was_quoted = match["value"].startswith(("'", '"'))
        shown = as_toml(value) if was_quoted and not value.startswith('"') else value
        self._parts[place] = f"{match['head']}{shown}{match['tail']}"


def _rest(file: SettingsFile) -> dict[str, Any]:
    return {name: value for name, value in file.table.items() if name not in TABLES}


def _as_toml(value: Any) -> str:
    """Return a value as TOML has it; an instant is in UTC, and a date where that is all.

    >>> from datetime import UTC
    >>> _as_toml(datetime(2027, 6, 1, tzinfo=UTC)), _as_toml(datetime(2027, 6, 1, 12, tzinfo=UTC))
    ('2027-06-01', '2027-06-01T12:00:00Z')
    """
    if not isinstance(value, datetime):
        return as_toml(value)
    day, _, time = value.isoformat().removesuffix("+00:00").partition("T")
    return day if time == "00:00:00" else f"{day}T{time}Z"
