"""Wraps SQLite's driver to simulate faults: death at a commit, and a read-only disk.

The database is the real one; only the code that opens it gets one of these connections.
"""

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest import mock


class _Steps(NamedTuple):
    """The names of the checkpoints before and after a commit."""

    before: str
    after: str


_NO_STEPS: Final = _Steps("", "")
# What a commit is about, recognised by one of its statements.
_STEPS: Final = {
    "INSERT INTO batched_callbacks": _Steps("writing_down", "written_down"),
    "INSERT INTO callbacks": _Steps("keeping", "kept"),
    "INSERT INTO attempts": _Steps("settling", "recorded"),
}


def passing(checkpoint: Callable[[str], None]) -> AbstractContextManager[object]:
    """Make commits pass checkpoints.

    `keeping` and `kept` are before and after one with new callbacks, `writing_down` and
    `written_down` one with a big batch of them, `settling` and `recorded` one with endings of
    attempts.
    """

    class Passing(sqlite3.Connection):
        steps = _NO_STEPS

        def execute(self, statement: str, values: Any = (), /) -> sqlite3.Cursor:
            if statement == "COMMIT":
                checkpoint(self.steps.before)
            done = super().execute(statement, values)
            if statement == "COMMIT":
                checkpoint(self.steps.after)
            elif statement.startswith("BEGIN"):
                self.steps = _NO_STEPS
            else:
                told = (_STEPS[each] for each in _STEPS if statement.startswith(each))
                self.steps = next(told, self.steps)
            return done

    return _opening(Passing)


def writing_nothing_while(sign: Path) -> AbstractContextManager[object]:
    """Refuse all writes like a read-only database, while this file exists."""

    class ReadOnly(sqlite3.Connection):
        def execute(self, statement: str, values: Any = (), /) -> sqlite3.Cursor:
            if statement.startswith("BEGIN"):
                super().execute(f"PRAGMA query_only = {sign.exists():d}")
            return super().execute(statement, values)

    return _opening(ReadOnly)


def _opening(kind: type[sqlite3.Connection]) -> AbstractContextManager[object]:
    return mock.patch.object(sqlite3, "connect", partial(sqlite3.connect, factory=kind))
