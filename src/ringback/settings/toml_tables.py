"""Reads tables of the settings file, such as `[[holds]]`, and checks the values in them."""

from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from ringback.core.errors import ConfigurationError
from ringback.core.policy.source_policy import SourceName, source_named
from ringback.core.toml_table import TomlTableError
from ringback.settings.file import SettingsFile

T = TypeVar("T")


def tables_in(
    file: SettingsFile, name: str, form: str, read: Callable[[dict[str, Any]], T]
) -> list[T]:
    """Call `read` for each `[[name]]` table, and return the results.

    `form` says how such a table is written; error messages end with it. Raises ConfigurationError,
    naming the line, if `read` refuses a table, or if `name` has a value that isn't a list of
    tables.
    """
    tables, found = file.table.get(name, []), list[T]()
    for index, table in enumerate(cast("list[Any]", tables) if isinstance(tables, list) else [0]):
        if not isinstance(table, dict):
            place = file.place(name, index)
            raise ConfigurationError(
                f"{place}: {name} must be written as [[{name}]] tables; {form}"
            )
        with naming_the_line(file, name, index, form=form):
            found.append(read(cast("dict[str, Any]", table)))
    return found


@contextmanager
def naming_the_line(file: SettingsFile, *keys: str | int, form: str) -> Generator[None]:
    """Turn an error in the `with` block into ConfigurationError, naming the table's line.

    `form` says how such a table is written; the messages of TomlTableErrors end with it.
    """
    try:
        yield
    except TomlTableError as wrong:
        raise ConfigurationError(f"{file.place(*keys, wrong.key)}: {wrong}; {form}") from None
    except ConfigurationError as problem:
        raise ConfigurationError(f"{file.place(*keys)}: {problem}") from None


def read_source(name: Any, key: str, sources: Collection[SourceName]) -> SourceName:
    """Return the source with this name; raises TomlTableError if it isn't one of `sources`."""
    if not isinstance(name, str) or name not in sources:
        *others, last = sources
        known = f"{', '.join(others)} or {last}"
        raise TomlTableError(key, f"{key}: {name!r} is not a source; it must be {known}")
    return source_named(name)
