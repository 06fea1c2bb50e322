"""URLs are moved by a job in a server that is killed, with the terminal closed: nothing is lost.

A twentieth of the receivers is bad. Most refuse what kore sends: in the end, each of their events
had its effect once, without anybody's hand. Some act on it and then hang: they are listed.
"""

import asyncio
import json
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from ringback.data_folder import DataFolder
from ringback.postgres_database import PostgresDatabase
from tests.crash.cluster import SHORT_LEASES, a_cluster
from tests.crash.moving import Kind, MovedReceivers, Traffic, configure
from tests.crash.production import Production, create_account, in_production
from tests.served import asked_until, in_this_process

POLICY = """
[[phases]]
name = "before"
default = "twilio"
may_ask = ["twilio", "kore"]

[[phases]]
name = "after"
since = 2060-01-01
default = "kore"
may_ask = ["kore"]
"""
CANARY = ("--canary", "50", "--no-probe", "--soak", "1s", "--wait")

_PAUSE = 0.2
"""Seconds between two looks at a journal, which takes long to read if it has thousands of URLs."""
SOME_STAYED = 4
"""The exit code of `migrate apply` if some URLs stayed behind."""


class Move:
    """The move of all URLs, in a server that can be killed."""

    def __init__(self, folder: Path, traffic: Traffic, credentials: dict[str, str]) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.traffic = traffic
        self.credentials = credentials

    @asynccontextmanager
    async def served(self) -> AsyncGenerator[Production]:
        """Run the server; the traffic goes to it."""
        flags = ("--settings", str(self.folder / "ringback.toml"))
        async with in_production(self.data, self.credentials, *flags) as server:
            self.traffic.server = server
            try:
                yield server
            finally:
                self.traffic.server = None

    async def until(self, mark: str, count: int) -> None:
        """Wait until the journal has as many lines with this mark."""
        async with asyncio.timeout(1200):
            while await asyncio.to_thread(self._lines_with, mark) < count:
                status, *_ = await asyncio.to_thread(self.job)
                assert status in ("none", "running"), await asyncio.to_thread(self.last_lines)
                await asyncio.sleep(_PAUSE)

    def _lines_with(self, mark: str) -> int:
        like = f'{{"ringback_journal": "{mark}"%'
        return self._rows("SELECT count(*) FROM plan_lines WHERE line LIKE ?", like)[0][0]

    async def apply(self, urls: int, wait: str) -> asyncio.subprocess.Process:
        """Begin to follow the move of so many URLs in a terminal.

        After a step, as many callbacks are waited for as there are URLs, so that each got some.
        """
        words = ("migrate", "apply", "all.plan", *CANARY, wait, "--least", str(urls))
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ringback", *words),
            cwd=self.folder,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )

    async def states(self) -> dict[int, tuple[str, str | None]]:
        """Return the state of each URL, and why it is so, by the number of its receiver."""
        ended = await in_this_process("migrate", "status", str(self.plan), "--json")
        assert ended.exit_code == 0
        records = map(json.loads, ended.stdout.splitlines())
        return {number_of(one["url"]): (one["status"], one["why"]) for one in records}

    def listed(self) -> set[str]:
        """Return the events of the callbacks that are listed for a person."""
        lines = (json.loads(line) for (line,) in self._rows("SELECT line FROM plan_lines"))
        sids = {sid for line in lines for sid in line.get("maybe_acted_on", ())}
        bodies = dict(self._rows("SELECT sid, body FROM callbacks"))
        return {parse_qs(bodies[sid])["Payload"][0] for sid in sids}

    def job(self) -> tuple[str, dict[str, int]]:
        """Return the status and the counts of the only job; `none` if it was not created yet."""
        rows = self._rows("SELECT status, counts FROM jobs") or [("none", "{}")]
        return rows[0][0], json.loads(rows[0][1])

    def last_lines(self) -> list[str]:
        """Return the beginnings of the last lines of the journal."""
        rows = self._rows(
            "SELECT substr(line, 1, 400) FROM plan_lines ORDER BY number DESC LIMIT 6"
        )
        return [line for (line,) in rows]

    @property
    def plan(self) -> Path:
        return self.folder / "all.plan"

    def _rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.data / "ringback.db")) as connection:
            return connection.execute(query, values).fetchall()


def number_of(url: str) -> int:
    return int(url.partition("#")[0].rpartition("/")[2])


@pytest.mark.parametrize(
    ("urls", "wait", "patience"),
    [
        pytest.param(200, "60s", 3, marks=[pytest.mark.long, pytest.mark.timeout(180)]),
        pytest.param(10_000, "20m", 6, marks=[pytest.mark.long, pytest.mark.timeout(1800)]),
    ],
)
async def test_urls_are_moved_by_a_server_that_is_killed_twice_without_losing_a_callback(
    urls: int, wait: str, patience: int, tmp_path: Path
) -> None:
    (tmp_path / "ringback.toml").write_text(POLICY)
    credentials = await create_account(tmp_path / "data")
    async with MovedReceivers(urls, patience=patience) as receivers:
        data, account_sid = DataFolder(tmp_path / "data"), credentials["account_sid"]
        sims = await asyncio.to_thread(configure, data, account_sid, receivers)
        traffic = Traffic(sims)
        move = Move(tmp_path, traffic, credentials)
        flowing = asyncio.create_task(traffic.flow())
        words = ("migrate", "plan", "--data", str(move.data), "--to", "kore")
        assert (await in_this_process(*words, "--out", str(move.plan))).exit_code == 0

        async with move.served() as server:
            terminal = await move.apply(urls, wait)
            await move.until("soaking", 1)
            terminal.send_signal(signal.SIGHUP)  # the terminal is closed
            await terminal.wait()
            await move.until("passed", 1)
            await move.until("step", 2)
            await server.kill()
        async with move.served() as server:
            await move.until("soaking", 2)
            await server.kill()
        async with move.served() as server:
            await move.until("passed", 2)
            traffic.stop()
            await flowing
            status, counts = await asked_until(
                lambda: asyncio.to_thread(move.job), lambda job: job[0] != "running", within=600
            )
            await everything_is_sent(server)
            states, listed = await move.states(), move.listed()

    bad = {number for number, kind in enumerate(receivers.kinds) if kind is not Kind.GOOD}
    assert (status, counts) == ("done", {"moved": urls - len(bad), "moved_back": len(bad)})
    for number, (state, why) in states.items():
        assert state == ("stays behind" if number in bad else "moved")
        assert number not in bad or (why is not None and "fail" in why)
    assert len(traffic.acknowledged) > urls
    each_event_had_its_effect_once(traffic, receivers)
    # What may have been acted on is listed, and was not sent again.
    hanging = {number for number in bad if receivers.kinds[number] is Kind.HANGS}
    assert hanging
    by_kore = {
        event for event in receivers.acted_on_kore if traffic.acknowledged.get(event, -1) in hanging
    }
    assert by_kore
    assert listed - traffic.unsure == by_kore


def each_event_had_its_effect_once(traffic: Traffic, receivers: MovedReceivers) -> None:
    """Check that nothing was lost, or sent twice, without anybody's hand."""
    assert {receivers.acted[event] for event in traffic.acknowledged} == {1}
    assert {receivers.acted[event] for event in traffic.unsure} <= {0, 1}


async def everything_is_sent(server: Production) -> None:
    """Wait until only callbacks wait whose receivers have hung: they wait for their next round."""

    async def untried() -> int:
        page = await server.get("/portal/v1/callbacks", Status="scheduled", PageSize="1000")
        return sum(one["attempt_count"] == 0 for one in page.body["callbacks"])

    await asked_until(untried, lambda count: not count, within=60)


# ---- PostgreSQL


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_move_goes_on_in_another_process_when_its_own_is_killed(tmp_path: Path) -> None:
    (tmp_path / "ringback.toml").write_text(POLICY)
    settings, urls = ("--settings", str(tmp_path / "ringback.toml")), 100
    async with AsyncExitStack() as stack:
        log = stack.enter_context((tmp_path / "log").open("w"))
        receivers = await stack.enter_async_context(MovedReceivers(urls))
        cluster = await stack.enter_async_context(a_cluster(tmp_path, command=SHORT_LEASES))
        data = PostgresDatabase(cluster.url, None, tmp_path / "ringback.key", tmp_path)
        account_sid = cluster.credentials["account_sid"]
        sims = await asyncio.to_thread(configure, data, account_sid, receivers)
        api = await stack.enter_async_context(cluster.running("api", log, *settings))

        async def begin() -> Production:
            return await stack.enter_async_context(cluster.running("worker", log, *settings))

        workers = {one.process.pid: one for one in [await begin(), await begin()]}
        traffic = Traffic(sims)
        traffic.server = api
        flowing = asyncio.create_task(traffic.flow())
        variables = {
            "RINGBACK_SERVER": api.dev["base_url"],
            "RINGBACK_ACCOUNT_SID": account_sid,
            "RINGBACK_AUTH_TOKEN": cluster.credentials["auth_token"],
        }
        plan = str(tmp_path / "all.plan")
        words = ("migrate", "plan", "--api", "--to", "kore", "--out", plan)
        assert (await in_this_process(*words, **variables)).exit_code == 0
        apply = ("migrate", "apply", plan, *CANARY, "120s", "--least", str(urls))
        terminal = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ringback", *apply),
            env=os.environ | variables,
            stdout=asyncio.subprocess.DEVNULL,
        )

        async def worker() -> int | None:
            rows = await asyncio.to_thread(
                cluster.ask,
                "SELECT workers.name FROM jobs JOIN workers USING (worker)"
                " WHERE status = 'running' AND lease_until > clock_timestamp()"
                " AND EXISTS (SELECT FROM plan_lines WHERE line LIKE '%%soaking%%')",
            )
            return int(rows[0][0].rpartition(":")[2]) if rows else None

        pid = await asked_until(worker, lambda found: found in workers, within=60)
        assert pid is not None
        await workers.pop(pid).kill()
        async with asyncio.timeout(240):
            assert await terminal.wait() == SOME_STAYED
        traffic.stop()
        await flowing
        await everything_is_sent(api)
        (job,) = (await api.get("/portal/v1/jobs")).body["jobs"]
    bad = sum(kind is not Kind.GOOD for kind in receivers.kinds)
    assert (job["status"], job["counts"]) == ("done", {"moved": urls - bad, "moved_back": bad})
    each_event_had_its_effect_once(traffic, receivers)
