"""SQLite's driver, for what no test can do to a disk: die at a commit, let nothing be written.

The database is the real one; only who opens it gets one of these connections.
"""

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest import mock


class _Steps(NamedTuple):
    """The names of the moments before and after a commit."""

    before: str
    after: str


_NO_STEPS: Final = _Steps("", "")
# What is about to be committed, by the statement that tells it.
_STEPS: Final = {
    "INSERT INTO batched_callbacks": _Steps("writing_down", "written_down"),
    "INSERT INTO callbacks": _Steps("keeping", "kept"),
    "INSERT INTO attempts": _Steps("settling", "recorded"),
}


def passing(checkpoint: Callable[[str], None]) -> AbstractContextManager[object]:
    """Have commits pass checkpoints.

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
    """Have all writing refused as a read-only database refuses it, while this file is there."""

    class ReadOnly(sqlite3.Connection):
        def execute(self, statement: str, values: Any = (), /) -> sqlite3.Cursor:
            if statement.startswith("BEGIN"):
                super().execute(f"PRAGMA query_only = {sign.exists():d}")
            return super().execute(statement, values)

    return _opening(ReadOnly)


def _opening(kind: type[sqlite3.Connection]) -> AbstractContextManager[object]:
    return mock.patch.object(sqlite3, "connect", partial(sqlite3.connect, factory=kind))
