"""Reads the sources that a settings file of the sender adds, so that a receiver accepts them."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from ringback.core.errors import ConfigurationError
from ringback.core.policy.source_policy import SourceName
from ringback.core.sources.source_definition import CallbackSourceDefinition
from ringback.core.sources.source_table import FORM, TABLE, read_source_table
from ringback.core.toml_table import TomlTableError


def read_sources(path: str | os.PathLike[str]) -> Mapping[SourceName, CallbackSourceDefinition]:
    """Return the sources in the tables `[sources.NAME]` of a TOML file, by their names.

    The file may be the sender's settings file, all other parts of which are ignored. It contains no
    secrets of the sources.

    Raises ConfigurationError if the file can't be read, has no such table, or has an invalid one.
    """
    try:
        content = tomllib.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as problem:
        raise ConfigurationError(f"the sources in {path} can't be read: {problem}") from None
    tables: Any = content.get(TABLE)
    if not isinstance(tables, dict) or not tables:
        raise ConfigurationError(f"{path} has no table [{TABLE}.NAME]; {FORM}")
    found = cast("dict[str, Any]", tables)
    return {
        name: _source(f"{path}: [{TABLE}.{name}]", name, table) for name, table in found.items()
    }


def _source(place: str, name: str, table: Any) -> CallbackSourceDefinition:
    if not isinstance(table, dict):
        raise ConfigurationError(f"{place} is not a table; {FORM}")
    try:
        return read_source_table(name, cast("dict[str, Any]", table))
    except TomlTableError as problem:
        raise ConfigurationError(f"{place}: {problem}; {FORM}") from None
    except ConfigurationError as problem:
        raise ConfigurationError(f"{place}: {problem}") from None
