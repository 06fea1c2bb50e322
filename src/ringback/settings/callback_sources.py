"""All sources of the server: the two built in, and those that the settings file adds."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from ringback.core.errors import ConfigurationError
from ringback.core.http.egress_routes import Egress, read_egress
from ringback.core.policy.source_policy import SourceName
from ringback.core.sources.source_definition import BUILT_IN, Sources
from ringback.core.sources.source_table import FORM, TABLE, Entry, read_source_table
from ringback.core.toml_table import TomlTableError, read_text
from ringback.settings.file import SettingsFile
from ringback.settings.raw_setting import without_secret
from ringback.settings.toml_tables import naming_the_line


class ConfiguredCallbackSources:
    """Reads all sources: the two built in, and those of the file's `[sources.NAME]` tables.

    Raises ConfigurationError, naming the line, if a table is invalid.
    """

    def __init__(self, file: SettingsFile) -> None:
        sources, egresses = {**BUILT_IN}, dict[SourceName, Egress]()
        for name, entry in _entries_of(file):
            with naming_the_line(file, TABLE, name, form=FORM):
                sources[name] = read_source_table(name, entry)
                if "egress" in entry:
                    egresses[name] = _egress_of(entry)
        self.sources: Sources = sources
        """All sources, the two built in first."""
        self.egresses: Mapping[SourceName, Egress] = egresses
        """The egress routes of the added sources that have one, by source."""


def _entries_of(file: SettingsFile) -> Iterator[tuple[str, Entry]]:
    tables = file.table.get(TABLE, {})
    if not isinstance(tables, dict):
        raise ConfigurationError(
            f"{file.place(TABLE)}: sources are written as [sources.NAME]; {FORM}"
        )
    for name, entry in cast("dict[str, Any]", tables).items():
        if not isinstance(entry, dict):
            place = file.place(TABLE, name)
            raise ConfigurationError(f"{place}: a source is written as [sources.{name}]; {FORM}")
        yield name, cast("Entry", entry)


def _egress_of(entry: Entry) -> Egress:
    given = read_text(entry, "egress")
    try:
        return read_egress(given)
    except ValueError as problem:
        shown = f"{without_secret(given)!r} can't be used as an egress"
        raise TomlTableError("egress", shown if "@" in given else str(problem)) from None
