"""Changes the policy in the text of a settings file, and no other letter of it.

The text is taken apart into its statements. What an edit is to come to is worked out as a policy,
too: a text that would say anything else, or more, is refused.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from ringback.core.errors import Unusable
from ringback.core.policy.source_policy import NOTICE, Hold, Phase, Policy
from ringback.settings.file import SettingsFile
from ringback.settings.load import policy_in
from ringback.settings.policy import TABLES
from ringback.settings.raw_setting import as_toml
from ringback.settings.toml_lines import statements

_VALUE: Final = r"""(?P<value>"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[^"'#\n]*?)"""
_LINE: Final = re.compile(rf"(?P<head>\s*[^=]+=\s*){_VALUE}(?P<tail>\s*(?:\#[^\n]*)?\n)")


def move_phase(file: SettingsFile, name: str, since: datetime) -> str:
    """Return the file's text with a phase that begins at this instant.

    Where the file leaves the phases to the notice, they are written out. Raises Unusable where
    there is no such phase, or the dates would not follow each other.
    """
    policy = policy_in(file)
    index = next((i for i, phase in enumerate(policy.phases) if phase.name == name), None)
    if index is None:
        known = ", ".join(phase.name for phase in policy.phases)
        raise Unusable(f"there is no phase {name!r}; the policy has {known}")
    moved = replace(policy.phases[index], since=since)
    phases = (*policy.phases[:index], moved, *policy.phases[index + 1 :])
    text = _Text(file)
    if "phases" not in file.table:
        for phase in NOTICE.phases:
            text.append("phases", _phase_table(moved if phase.name == name else phase))
    else:
        text.set(("phases", index), "since", _date(since))
    return text.checked(Policy(phases, policy.holds))


def put_hold(file: SettingsFile, hold: Hold) -> str:
    """Return the file's text with this hold, in the place of that of the same account and prefix.

    A new one goes before all that would keep it from ever deciding. Raises Unusable where its
    phase doesn't exist.
    """
    policy = policy_in(file)
    text, holds, index = _Text(file), policy.holds, _index_of(policy, hold)
    if index is not None:
        text.set(("holds", index), "phase", as_toml(hold.phase))
        text.set(("holds", index), "until", None if hold.until is None else _date(hold.until))
        return text.checked(Policy(policy.phases, (*holds[:index], hold, *holds[index + 1 :])))
    index = next((i for i, other in enumerate(holds) if _covers_all_of(other, hold)), len(holds))
    if index == len(holds):
        text.append("holds", _hold_table(hold))
    else:
        text.insert(("holds", index), _hold_table(hold))
    return text.checked(Policy(policy.phases, (*holds[:index], hold, *holds[index:])))


def held(file: SettingsFile, account_sid: str | None, url_prefix: str | None) -> Hold | None:
    """Return the hold of just this account and this prefix, where the file has one."""
    policy = policy_in(file)
    index = _index_of(policy, Hold("", account_sid, url_prefix))
    return None if index is None else policy.holds[index]


def release(file: SettingsFile, account_sid: str | None, url_prefix: str | None) -> str:
    """Return the file's text without the hold of just this account and this prefix.

    Raises Unusable where there is none.
    """
    policy = policy_in(file)
    index = _index_of(policy, Hold("", account_sid, url_prefix))
    if index is None:
        whose = " and ".join(filter(None, (account_sid, url_prefix))) or "every callback"
        raise Unusable(f"there is no hold of {whose}; `ringback policy show` lists those there are")
    text = _Text(file)
    text.remove(("holds", index))
    return text.checked(Policy(policy.phases, policy.holds[:index] + policy.holds[index + 1 :]))


class _Text:
    """A settings file as its statements; each keeps its place, with comments and blank lines."""

    def __init__(self, file: SettingsFile) -> None:
        self._file = file
        self._parts = [part for _, part in statements(file.text)]
        self._newline = "\r\n" if "\r\n" in file.text else "\n"

    def set(self, table: tuple[str, int], key: str, value: str | None) -> None:
        """Have a table say this under a key; None takes the key out."""
        body = self._body(table)
        index = next((i for i in body if key in tomllib.loads(self._parts[i])), None)
        if index is None and value is None:
            return
        if index is None:
            last = max(i for i in body if tomllib.loads(self._parts[i]))
            indent = self._parts[last][: -len(self._parts[last].lstrip())]
            self._parts.insert(last + 1, f"{indent}{key} = {value}{self._newline}")
        elif value is None:
            del self._parts[index]
        else:
            self._replace(index, key, value)

    def append(self, name: str, lines: list[str]) -> None:
        """Put a table at the end of the file."""
        self._refuse_inline(name)
        while self._parts and not self._parts[-1].strip():
            self._parts.pop()
        blank = [self._newline] if self._parts else []
        self._parts += [*blank, *self._table(name, lines), "\n"]

    def insert(self, table: tuple[str, int], lines: list[str]) -> None:
        """Put a table before another one of its name, and before what comments on that."""
        index = self._header(table)
        while index > 0 and self._parts[index - 1].lstrip().startswith("#"):
            index -= 1
        self._parts[index:index] = [*self._table(table[0], lines), self._newline]

    def remove(self, table: tuple[str, int]) -> None:
        """Take a table out."""
        index = self._header(table)
        last = max((i for i in self._body(table) if tomllib.loads(self._parts[i])), default=index)
        del self._parts[index : last + 1]
        is_blank = [not part.strip() for part in self._parts[max(index - 1, 0) : index + 1]]
        if index > 0 and is_blank == [True, True]:
            del self._parts[index - 1]

    def checked(self, policy: Policy) -> str:
        """Return the text; raises Unusable where it says anything else than it is to say."""
        # The last statement ends the line that the text leaves open.
        text = re.sub(r"\r?\n\Z", "", "".join(self._parts))
        edited = SettingsFile.of(self._file.path, text)
        if policy_in(edited) != policy or _rest(edited) != _rest(self._file):
            raise Unusable(f"{self._file.path} is written in a way that can't be edited here")
        return text

    def _table(self, name: str, lines: list[str]) -> Iterator[str]:
        yield from (f"{line}{self._newline}" for line in (f"[[{name}]]", *lines))

    def _replace(self, index: int, key: str, value: str) -> None:
        match = _LINE.fullmatch(self._parts[index])
        if match is None:
            raise Unusable(
                f"{self._file.path}: {self._parts[index].strip()!r} can't be edited here;"
                f" write it like {key} = {value}"
            )
        was_quoted = match["value"].startswith(("'", '"'))
        shown = as_toml(value) if was_quoted and not value.startswith('"') else value
        self._parts[index] = f"{match['head']}{shown}{match['tail']}"

    def _header(self, table: tuple[str, int]) -> int:
        self._refuse_inline(table[0])
        headers = [
            index
            for index, part in enumerate(self._parts)
            if part.lstrip().startswith("[[") and table[0] in tomllib.loads(part)
        ]
        return headers[table[1]]

    def _body(self, table: tuple[str, int]) -> range:
        begin = self._header(table) + 1
        end = begin
        while end < len(self._parts) and not self._parts[end].lstrip().startswith("["):
            end += 1
        return range(begin, end)

    def _refuse_inline(self, name: str) -> None:
        if name in self._file.table and not any(
            part.lstrip().startswith("[[") and name in tomllib.loads(part) for part in self._parts
        ):
            place = self._file.place(name)
            raise Unusable(f"{place}: to edit {name} here, they must be [[{name}]] tables")


def _index_of(policy: Policy, hold: Hold) -> int | None:
    same = (hold.account_sid, hold.url_prefix)
    return next(
        (i for i, one in enumerate(policy.holds) if (one.account_sid, one.url_prefix) == same), None
    )


def _covers_all_of(other: Hold, hold: Hold) -> bool:
    return other.covers(hold.account_sid or "", hold.url_prefix or "")


def _rest(file: SettingsFile) -> dict[str, Any]:
    return {name: value for name, value in file.table.items() if name not in TABLES}


def _phase_table(phase: Phase) -> list[str]:
    since = [] if phase.since is None else [f"since = {_date(phase.since)}"]
    return [
        f"name = {as_toml(phase.name)}",
        *since,
        f"default = {as_toml(str(phase.default))}",
        f"may_ask = {as_toml(sorted(map(str, phase.may_ask)))}",
    ]


def _hold_table(hold: Hold) -> list[str]:
    words = {
        "phase": hold.phase,
        "account_sid": hold.account_sid,
        "url_prefix": hold.url_prefix,
    }
    until = [] if hold.until is None else [f"until = {_date(hold.until)}"]
    return [*(f"{key} = {as_toml(text)}" for key, text in words.items() if text), *until]


def _date(instant: datetime) -> str:
    """Return an instant in UTC as TOML has it, shortened to a date where that is all.

    >>> from datetime import UTC
    >>> _date(datetime(2027, 6, 1, tzinfo=UTC)), _date(datetime(2027, 6, 1, 12, tzinfo=UTC))
    ('2027-06-01', '2027-06-01T12:00:00Z')
    """
    day, _, time = instant.isoformat().removesuffix("+00:00").partition("T")
    return day if time == "00:00:00" else f"{day}T{time}Z"
