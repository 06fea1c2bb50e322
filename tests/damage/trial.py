"""One trial: a data folder as a killed server left it, damaged in one place, and then used.

A byte is flipped, or a page is cut off at the end, or zeroed, in the database, its WAL, or the key
file. Using the folder is refused, or returns all the data written; if it returns something else,
`ringback db check` has to find a fault. SQLite has no checksums, so one kind of damage goes
unnoticed: a byte within the value of a column that nothing refers to. That is counted, and must be
the only difference.
"""

import asyncio
import shutil
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

from ringback.core.errors import ConfigurationError
from ringback.data_folder import DATA_FILE, KEY_FILE, DataFolder, StoreOptions
from ringback.ports import CallbackFilter, PageWindow, Transaction
from ringback.stores.sqlite.store import SqliteStore
from tests.stores.records import OURS, PROFILES, account, api_key, callback, fleet, sim

WAL: Final = f"{DATA_FILE}-wal"
INDEX: Final = f"{DATA_FILE}-shm"
CALLBACKS: Final = 60
_PAGE: Final = 4096


class Ending(StrEnum):
    """The result of a trial."""

    REFUSED = "refused"
    RIGHT = "right"
    FOUND = "found only by the check"
    VALUE = "a value is different"


class Trial(NamedTuple):
    """Which file was damaged, and how."""

    file: str
    what: str


def opened(folder: Path, *, accept_data_loss: bool = False) -> SqliteStore:
    """Open a folder as a server does."""
    return DataFolder(folder).open_to_serve(StoreOptions(), accept_data_loss=accept_data_loss)


async def leave_as_killed(folder: Path, target: Path) -> None:
    """Make a folder with data, some of it only in the WAL, as a killed process leaves it.

    SQLite writes its shared memory to its file at once, so a copy has everything that a kill
    leaves.
    """
    store = opened(folder)
    await store.transact(_add_others)
    for number in range(CALLBACKS):
        if number == CALLBACKS // 2:
            await store.close()
            store = opened(folder)
        await store.transact(lambda tx, number=number: tx.callbacks.add(callback(number)))
    shutil.copytree(folder, target)
    await store.close()


def _add_others(tx: Transaction) -> None:
    tx.accounts.add(account(), [api_key(1)])
    tx.supersim.access_profiles.add(PROFILES[OURS])
    tx.supersim.fleets.add(fleet(1))
    for number in range(1, 6):
        tx.supersim.sims.add(sim(number))


def everything(tx: Transaction) -> dict[str, Any]:
    """Return all data that a server reads, by name."""
    page = tx.callbacks.page(OURS, CallbackFilter(), PageWindow(999))
    one_by_one = [tx.callbacks.get(OURS, callback(number).sid) for number in range(CALLBACKS)]
    return {
        "account": tx.accounts.get(OURS),
        "keys": tx.accounts.keys.of(OURS),
        "fleet": tx.supersim.fleets.find(OURS, fleet(1).sid),
        "sims": tx.supersim.sims.page(OURS, {}, PageWindow(99)),
        "page": page,
        "one by one": one_by_one,
        "unfinished": tx.callbacks.unfinished(),
        "waiting": [lane for lane, _ in tx.callbacks.waiting()],
    }


async def read_all(folder: Path) -> dict[str, Any]:
    """Return the data that a server of this folder reads, and check that it can write."""
    store = opened(folder)
    try:
        found = await store.transact(everything)
        await store.transact(lambda tx: tx.callbacks.add(callback(CALLBACKS)))
        return found
    finally:
        await store.close()


def damage(folder: Path, random: Random) -> Trial:
    """Damage one place of one file."""
    name = random.choice([DATA_FILE, DATA_FILE, WAL, WAL, KEY_FILE])
    path = folder / name
    text = bytearray(path.read_bytes())
    ways: list[Callable[[], str]] = [
        lambda: _flip(text, random),
        lambda: _flip(text, random),
        lambda: _cut(text, random),
        lambda: _zero(text, random),
    ]
    what = random.choice(ways)()
    path.write_bytes(text)
    return Trial(name, what)


def _flip(text: bytearray, random: Random) -> str:
    # Half of the damage is to the file's header.
    place = random.randrange(random.choice([min(len(text), 4096), len(text)]))
    text[place] ^= 1 << random.randrange(8)
    return f"bit of byte {place}"


def _cut(text: bytearray, random: Random) -> str:
    length = random.randrange(len(text) // _PAGE + 1) * _PAGE
    length = length or random.randrange(len(text))
    del text[length:]
    return f"cut at {length}"


def _zero(text: bytearray, random: Random) -> str:
    place = random.randrange(len(text) // _PAGE + 1) * _PAGE
    part = text[place : place + _PAGE]
    text[place : place + _PAGE] = bytes(len(part))
    return f"zeros from {place}"


def try_one(seed: int, base: Path, folder: Path, expected: dict[str, Any]) -> tuple[Trial, Ending]:
    """Damage a copy of the base, use it, and return the result.

    Raises AssertionError if reading succeeds with wrong data and the check finds no fault.
    """
    shutil.copytree(base, folder)
    trial = damage(folder, Random(seed))
    # As the check finds it before anybody uses it.
    aside = folder.with_name(f"{folder.name}-aside")
    shutil.copytree(folder, aside)
    try:
        found = asyncio.run(read_all(folder))
    except ConfigurationError:
        return trial, Ending.REFUSED
    if found == expected:
        return trial, Ending.RIGHT
    if not all(check.is_ok for check in DataFolder(aside).check()):
        return trial, Ending.FOUND
    different = {name for name in expected if found[name] != expected[name]}
    assert _rows(found) == _rows(expected), (seed, trial, different)
    return trial, Ending.VALUE


def _rows(found: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of all rows, without their values."""
    return {
        "sims": [one.sid for one in found["sims"]],
        "page": [one.sid for one in found["page"]],
        "one by one": [one and one.sid for one in found["one by one"]],
        "unfinished": found["unfinished"],
    }


def make_base(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Return a folder as a killed server left it, and its data."""
    base, copy = folder / "base", folder / "whole"
    asyncio.run(leave_as_killed(folder / "live", base))
    shutil.copytree(base, copy)
    expected = asyncio.run(read_all(copy))
    shutil.rmtree(copy)
    return base, expected


def drop(folder: Path) -> None:
    """Delete the folders of a trial."""
    for path in (folder, folder.with_name(f"{folder.name}-aside")):
        with suppress(FileNotFoundError):
            shutil.rmtree(path)
