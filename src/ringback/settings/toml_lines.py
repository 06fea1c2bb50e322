"""Finds the line of each key in a TOML file, which `tomllib` does not report.

It splits the file into statements: lines are added to a statement until `tomllib` can parse it.
"""

import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, cast

KeyPath = tuple[str | int, ...]
"""The keys and indexes that lead to a value, such as `("phases", 1, "since")`."""


def lines_of(text: str) -> dict[KeyPath, int]:
    r"""Return the first line of each key in a well-formed document, counted from 1.

    >>> lines_of('port = 1\n\n[[holds]]\nphase = "after"\n')
    {('port',): 1, ('holds',): 3, ('holds', 0): 3, ('holds', 0, 'phase'): 4}
    """
    lines, opened = dict[KeyPath, int](), Counter[KeyPath]()
    table: KeyPath = ()
    for line, statement in statements(text):
        parsed = tomllib.loads(statement)
        if statement.lstrip().startswith("["):
            table = _table_of(parsed)
            if statement.lstrip().startswith("[["):
                opened[table] += 1
                table = (*table, opened[table] - 1)
            paths = [table[:length] for length in range(1, len(table) + 1)]
        else:
            paths = [(*table, *path) for path in _paths_in(parsed)]
        for path in paths:
            lines.setdefault(path, line)
    return lines


def statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield each statement of a TOML text as a pair: the number of its first line, and its text.

    Comments and blank lines are statements, too. Each statement ends with a newline, even the last.
    """
    begun, statement = 1, ""
    for line, content in enumerate(text.split("\n"), 1):
        statement += f"{content}\n"
        if _is_whole(statement):
            yield begun, statement
            begun, statement = line + 1, ""


def _is_whole(statement: str) -> bool:
    try:
        tomllib.loads(statement)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _table_of(header: Mapping[str, Any]) -> KeyPath:
    path: KeyPath = ()
    inner: Any = header
    while inner and isinstance(inner, dict):
        ((key, inner),) = cast("dict[str, Any]", inner).items()
        path = (*path, key)
    return path


def _paths_in(value: Any) -> Iterator[KeyPath]:
    """Yield the path of each value in a table or an array, at any depth."""
    inner = list[tuple[str | int, Any]]()
    if isinstance(value, dict):
        inner = [*cast("dict[str | int, Any]", value).items()]
    elif isinstance(value, list):
        inner = [*enumerate(cast("list[Any]", value))]
    for key, held in inner:
        yield (key,)
        yield from ((key, *path) for path in _paths_in(held))
