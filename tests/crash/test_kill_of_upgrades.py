"""A process that upgrades a data file is killed at any moment; the next one finishes its work."""

import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

import pytest

from ringback.data_folder import DATA_FILE
from ringback.stores.sqlite import table_rebuild
from ringback.stores.sqlite.data_file_opener import open_as_owner
from tests.fakes import VAULT
from tests.stores.old_files import NEWEST, insert_callback, schema_of, write_old_file
from tests.stores.records import callback
from tests.stores.schema_10 import write_rich_file

STATEMENTS = {"execute", "executemany", "executescript", "backup"}
FILES = {"link", "rename", "replace", "unlink", "fsync"}
SOME = 6
"""The number of statements to be killed at; it is killed at every change of a file's name."""


def upgrade_until(path: Path, fatal: int | None, names: list[str]) -> None:
    """Upgrade the file; before call number `fatal` that changes something, kill this process.

    `names` gets the names of these calls.
    """
    turn = count()

    def see(_: FrameType, event: str, called: Any) -> None:
        if event != "c_call":
            return
        name = called.__name__
        if name in STATEMENTS or (name in FILES and called.__module__ == "posix"):
            names.append(name)
            if next(turn) == fatal:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(see)
    try:
        open_as_owner(path, VAULT).connection.close()
    finally:
        sys.setprofile(None)


def killed(path: Path, fatal: int) -> bool:
    """Return True if a process that upgrades the file is killed at this call."""
    process = get_context("fork").Process(target=upgrade_until, args=(path, fatal, []))
    process.start()
    process.join()
    return process.exitcode == -signal.SIGKILL


def write_schema_5(path: Path) -> Path:
    write_old_file(path, schema=5)
    for number in range(30):
        destination = callback(number).url.destination
        insert_callback(path, number, destination=destination, round_number=0)
    return path


def sids_in(path: Path) -> list[str]:
    """Return the SIDs of all callbacks in the file, in order; whatever schema it has."""
    with closing(sqlite3.connect(path)) as connection:
        return [sid for (sid,) in connection.execute("SELECT sid FROM callbacks ORDER BY rowid")]


@pytest.mark.parametrize(
    ("schema", "write"),
    [pytest.param(5, write_schema_5, marks=pytest.mark.long), (10, write_rich_file)],
)
def test_an_upgrade_survives_kills(
    schema: int, write: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_rebuild, "CHUNK", 9)
    old, path, names = write(tmp_path / "old.db"), tmp_path / "data" / DATA_FILE, list[str]()
    before, random = sids_in(old), Random(schema)
    path.parent.mkdir()
    shutil.copy(old, path)
    upgrade_until(path, None, names)
    calls = {turn for turn, name in enumerate(names) if name in FILES}
    for fatal in sorted(calls | set(random.sample(range(len(names)), SOME))):
        shutil.rmtree(path.parent)
        path.parent.mkdir()
        shutil.copy(old, path)
        assert killed(path, fatal)
        assert schema_of(path) in (schema, NEWEST)
        assert sids_in(path) == before
        killed(path, random.randrange(len(names)))
        open_as_owner(path, VAULT).connection.close()
        assert schema_of(path) == NEWEST
        assert sids_in(path) == before
        kept = path.with_name(f"{DATA_FILE}.before-{schema}")
        assert sids_in(kept) == before
        others = {DATA_FILE, kept.name, "ringback.watermark"}
        assert {file.name for file in path.parent.iterdir()} == others
