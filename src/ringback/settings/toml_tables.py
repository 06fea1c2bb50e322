"""Tables of the settings file that are written as `[[name]]`, and what stands in their entries."""

from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from ringback.core.errors import Unusable
from ringback.core.policy.source_policy import SourceName, source_named
from ringback.settings.file import SettingsFile


class TableEntryError(ValueError):
    """A word of an entry that can't be used."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(problem)
        self.key = key


def entries_of(file: SettingsFile, name: str, form: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the entries of a table with their indexes; `form` says what one has.

    Raises Unusable, naming the line, where it is written otherwise.
    """
    entries = file.table.get(name, [])
    for index, entry in enumerate(cast("list[Any]", entries) if isinstance(entries, list) else [0]):
        if not isinstance(entry, dict):
            place = file.place(name, index)
            raise Unusable(f"{place}: {name} must be written as [[{name}]] tables; {form}")
        yield index, cast("dict[str, Any]", entry)


@contextmanager
def blaming(file: SettingsFile, *keys: str | int, form: str) -> Generator[None]:
    """Have what is wrong with the entry under these keys be refused as Unusable, with its line."""
    try:
        yield
    except TableEntryError as wrong:
        raise Unusable(f"{file.place(*keys, wrong.key)}: {wrong}; {form}") from None
    except Unusable as problem:
        raise Unusable(f"{file.place(*keys)}: {problem}") from None


def check_words(entry: Mapping[str, Any], *, must: tuple[str, ...], may: tuple[str, ...]) -> None:
    """Raise Wrong for a word that is not known in an entry, or missing."""
    for key in entry:
        if key not in (*must, *may):
            raise TableEntryError(key, f"{key} is not known here")
    for key in must:
        if key not in entry:
            raise TableEntryError(key, f"{key} is missing")


def read_text(entry: Mapping[str, Any], key: str) -> str:
    """Return a text of an entry; raises Wrong for anything else."""
    value = entry[key]
    if not isinstance(value, str):
        raise TableEntryError(key, f"{key} = {value!r} must be text in quotes")
    return value


def read_source(name: Any, key: str, sources: Collection[SourceName]) -> SourceName:
    """Return the source that a word names, one of these; raises Wrong where there is none such."""
    if not isinstance(name, str) or name not in sources:
        *others, last = sources
        known = f"{', '.join(others)} or {last}"
        raise TableEntryError(key, f"{key}: {name!r} is no source; it must be {known}")
    return source_named(name)
