"""The settings file: its content, and the line of each key."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

from ringback.core.errors import ConfigurationError
from ringback.runtime.os_error_messages import refusing
from ringback.settings.toml_lines import KeyPath, lines_of

# `tomllib` gives the position of an error only in its message.
_WHERE: Final = re.compile(r" \(at line (?P<line>[0-9]+), column (?P<column>[0-9]+)\)$")


@dataclass(frozen=True)
class SettingsFile:
    """A settings file that was read, or an empty one if the server has no settings file."""

    path: str = ""
    table: Mapping[str, Any] = field(default_factory=dict[str, Any])
    text: str = ""

    @classmethod
    def read(cls, path: str) -> Self:
        """Read a settings file; raises ConfigurationError if it can't be read, or isn't TOML."""
        return cls.of(path, _text_of(path))

    @classmethod
    def of(cls, path: str, text: str) -> Self:
        """Return a settings file with this text; raises ConfigurationError if it isn't TOML."""
        try:
            return cls(path, tomllib.loads(text), text)
        except tomllib.TOMLDecodeError as problem:
            raise ConfigurationError(_where_malformed(path, text, str(problem))) from None

    def place(self, *keys: str | int) -> str:
        """Return `FILE:LINE` of a key, or of the innermost enclosing table that the file has."""
        for length in range(len(keys), 0, -1):
            if line := self._lines.get(keys[:length]):
                return f"{self.path}:{line}"
        return self.path

    @cached_property
    def _lines(self) -> Mapping[KeyPath, int]:
        return lines_of(self.text)


def _text_of(path: str) -> str:
    try:
        with refusing(f"the settings file {path} can't be read"):
            return Path(path).read_bytes().decode()
    except UnicodeDecodeError as problem:
        line = problem.object.count(b"\n", 0, problem.start) + 1
        raise ConfigurationError(f"{path}:{line}: this is not TOML: it is not UTF-8") from None


def _where_malformed(path: str, text: str, problem: str) -> str:
    if found := _WHERE.search(problem):
        what = f"{problem[: found.start()]}, at column {found['column']}"
        return f"{path}:{found['line']}: this is not TOML: {what}"
    end = len(text.splitlines())
    return f"{path}:{end}: this is not TOML: {problem}"
