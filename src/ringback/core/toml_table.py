"""Checks the keys and values of a TOML table."""

from collections.abc import Mapping
from typing import Any


class TomlTableError(ValueError):
    """A key of a table is unknown or missing, or its value is invalid."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(problem)
        self.key = key


def check_keys(entry: Mapping[str, Any], *, must: tuple[str, ...], may: tuple[str, ...]) -> None:
    """Raise TomlTableError if a key in `must` is missing, or a key is not in `must` or `may`."""
    for key in entry:
        if key not in (*must, *may):
            raise TomlTableError(key, f"{key} is not a known key")
    for key in must:
        if key not in entry:
            raise TomlTableError(key, f"{key} is missing")


def read_text(entry: Mapping[str, Any], key: str) -> str:
    """Return the text under a key of a table; raises TomlTableError if the value isn't text."""
    value = entry[key]
    if not isinstance(value, str):
        raise TomlTableError(key, f"{key} = {value!r} must be text in quotes")
    return value
