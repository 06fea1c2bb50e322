"""`ringback migrate apply` and `revert`, killed at random; only their files survive."""

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ringback.core.sids import SidKind, make_sid
from ringback.data_folder import DATA_FILE, DataFolder
from ringback.migration.url_sources.own_data import OwnDataUrlSource
from ringback.ports import Transaction
from tests.fakes import FakeClock, SeededRandomness, a_fleet, a_profile, an_account

FLEETS = 300
URLS = 2 * FLEETS
MOST = 24
"""The most lines that a process adds to the journal before it is killed, of about 27 in all."""


def migrate(folder: Path, *words: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "ringback", "migrate", *words]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def said(folder: Path, *words: str) -> str:
    command = [sys.executable, "-m", "ringback", "migrate", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def fill(folder: Path) -> None:
    """Create a data folder with 600 URLs."""
    random_source = SeededRandomness(3)

    def configure(tx: Transaction) -> None:
        tx.accounts.add(an_account(), [])
        tx.supersim.access_profiles.add(a_profile())
        for number in range(FLEETS):
            urls = [f"https://r{number}.example/{kind}#rc=2&x" for kind in ("sms", "ip")]
            fleet = a_fleet(
                sid=make_sid(SidKind.FLEET, random_source.bytes(16)),
                unique_name=None,
                sms_commands_url=urls[0],
                ip_commands_url=urls[1],
            )
            tx.supersim.fleets.add(fleet)

    async def keep() -> None:
        store = DataFolder(folder).open_beside()
        await store.transact(configure)
        await store.close()

    asyncio.run(keep())


def urls_in(folder: Path) -> dict[str, str]:
    async def read() -> dict[str, str]:
        store = DataFolder(folder).open_beside()
        try:
            entries = await OwnDataUrlSource(store, folder="", clock=FakeClock()).entries()
        finally:
            await store.close()
        return {entry.place.name: entry.url for entry in entries}

    return asyncio.run(read())


def statuses(folder: Path) -> dict[str, str]:
    lines = said(folder, "status", "move.plan", "--json").splitlines()
    records: list[dict[str, Any]] = list(map(json.loads, lines))
    return {record["place"]: record["status"] for record in records}


def lines_in(folder: Path) -> int:
    """Return how many lines of plans and journals the data folder has."""
    with closing(sqlite3.connect(folder / "data" / DATA_FILE)) as connection:
        return connection.execute("SELECT count(*) FROM plan_lines").fetchone()[0]


def killed_until_done(folder: Path, random: Random, *words: str, old: dict[str, str]) -> int:
    """Run a command, killing it until it ends by itself; return how often it was killed."""
    new = {place: f"{url}&cbs=kore" for place, url in old.items()}
    for deaths in range(40):
        last = lines_in(folder) + random.randrange(MOST)
        process = migrate(folder, *words)
        while process.poll() is None and lines_in(folder) <= last:
            time.sleep(0.001)
        process.kill()
        _, problems = process.communicate()
        if process.returncode == 0:
            return deaths
        assert process.returncode == -signal.SIGKILL, problems
        now, told = urls_in(folder / "data"), statuses(folder)
        for place, url in now.items():
            assert url in (old[place], new[place])
            assert (told[place] == "moved") == (url == new[place])
    raise AssertionError("it never ended")


@pytest.mark.long
def test_after_any_kill_each_url_is_old_or_new_and_status_says_which(tmp_path: Path) -> None:
    random = Random(5)
    fill(tmp_path / "data")
    old = urls_in(tmp_path / "data")
    assert len(old) == URLS
    said(tmp_path, "plan", "--data", "data", "--to", "kore", "--out", "move.plan")
    deaths = killed_until_done(tmp_path, random, "apply", "move.plan", "--no-probe", old=old)
    assert set(urls_in(tmp_path / "data").values()) == {f"{url}&cbs=kore" for url in old.values()}
    assert Counter(statuses(tmp_path).values()) == {"moved": URLS}
    deaths += killed_until_done(tmp_path, random, "revert", "move.plan", "--yes", old=old)
    assert urls_in(tmp_path / "data") == old
    assert Counter(statuses(tmp_path).values()) == {"gone back": URLS}
    assert deaths > 1
