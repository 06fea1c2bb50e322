"""A replay by a job, in a server that is killed again and again: each callback is replayed once.

The callbacks are replayed from the other source, because each replay is a row of its own then. With
`Status=undelivered`, a callback that was replayed matches again: only the position of the job keeps
it from being replayed twice.

The steps: `piece_done` (after the transaction of a piece), `keeping` and `kept` (before and after
a commit with new callbacks, such as that of a piece).
"""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing, suppress
from datetime import timedelta
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

import pytest

from ringback.core.callbacks.callback import CallbackRecord, CallbackStatus
from ringback.data_folder import DataFolder, StoredData
from ringback.ports import Store
from ringback.postgres_database import PostgresDatabase
from ringback.runtime.system_clock import SystemClock
from tests.crash.cluster import SHORT_LEASES, Cluster, a_cluster
from tests.crash.production import Production
from tests.crash.test_kill import KILLED, WORKER
from tests.fakes import a_callback
from tests.forked import Forked
from tests.receivers import RecordingReceiver
from tests.served import USUAL, Served, asked_until, served

DEATHS: Final = ("piece_done:2", "keeping:3", "kept:2", "piece_done", "keeping")
REPLAY: Final = {
    "Kind": "replay",
    "Since": "2024-01-01T00:00:00Z",
    "Status": "undelivered",
    "AsOtherSource": "yes",
}
REPLAYS_OF_EACH: Final = (
    "SELECT count(*), min(replays), max(replays) FROM (SELECT count(*) AS replays FROM callbacks"
    " WHERE replay_of IS NOT NULL GROUP BY replay_of) AS counted"
)
IN_A_COMMIT: Final = 1000


def add_failed(data: StoredData, count: int, account_sid: str, url: str) -> None:
    """Add this number of callbacks that failed an hour ago, so that retention leaves them."""
    an_hour_ago = SystemClock().now() - timedelta(hours=1)

    def one(number: int) -> CallbackRecord:
        return a_callback(
            sid=f"CB{number:032x}",
            token=f"token {number}",
            account_sid=account_sid,
            url=url,
            status=CallbackStatus.FAILED,
            due=None,
            attempt_count=1,
            now=an_hour_ago,
        )

    async def add(store: Store) -> None:
        for first in range(1, count + 1, IN_A_COMMIT):
            made = list(map(one, range(first, min(first + IN_A_COMMIT, count + 1))))
            await store.transact(lambda tx, made=made: [tx.callbacks.add(each) for each in made])

    data.use(add)


async def filled(folder: Path, count: int, receiver: RecordingReceiver) -> None:
    """Make the data of `ringback dev`, with callbacks that failed."""
    async with served(folder) as dev:
        account_sid = dev.dev["account_sid"]
        await dev.stop()
    url = receiver.url("/#cbs=twilio")
    await asyncio.to_thread(add_failed, DataFolder(folder), count, account_sid, url)


def replays_in(folder: Path) -> tuple[int, int, int]:
    """Return how many callbacks were replayed, and how often at least and at most."""
    with closing(sqlite3.connect(folder / "ringback.db")) as connection:
        return connection.execute(REPLAYS_OF_EACH).fetchone()


async def job_of(server: Served, sid: str) -> dict[str, Any]:
    return (await server.get(f"/portal/v1/jobs/{sid}")).body


async def ended(server: Served, sid: str, *, within: float = 20) -> dict[str, Any]:
    return await asked_until(
        lambda: job_of(server, sid), lambda job: job["status"] != "running", within=within
    )


async def _dies(folder: Path, step: str) -> int | None:
    """Run a server that goes on with the job, and dies at this step; return its exit code."""
    process = Forked((*WORKER, *USUAL, str(folder), "--die-at", step))
    try:
        async with asyncio.timeout(60):  # the whole test takes 4 s on an idle machine
            return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
        process.close()


async def _each_callback_is_replayed_once(folder: Path, count: int) -> None:
    async with RecordingReceiver() as receiver:
        await filled(folder, count, receiver)
        async with served(folder, "--die-at", DEATHS[0], command=WORKER) as doomed:
            # It may die before it has answered.
            with suppress(OSError, HTTPException):
                await doomed.post("/portal/v1/jobs", **REPLAY)
            assert await doomed.process.wait() == KILLED
        found, least, most = replays_in(folder)
        for step in DEATHS[1:]:
            assert (least, most) == (1, 1)
            before = found
            assert await _dies(folder, step) == KILLED
            found, least, most = replays_in(folder)
            assert found > before or step == "keeping"
        job: dict[str, Any] = {"status": "running"}
        while job["status"] == "running":
            with suppress(TimeoutError):  # it is served for 20 s at most
                async with served(folder) as dev:
                    (job,) = (await dev.get("/portal/v1/jobs")).body["jobs"]
                    job = await ended(dev, job["sid"], within=15)
    assert (job["status"], job["counts"]) == ("done", {"replayed": count})
    # To count many takes too long, so the estimate is a lower bound then.
    assert job["estimate"] == count or (job["estimate"] < count and not job["is_exact"])
    assert replays_in(folder) == (count, 1, 1)


async def test_each_callback_is_replayed_once_although_the_server_is_killed_five_times(
    tmp_path: Path,
) -> None:
    await _each_callback_is_replayed_once(tmp_path, 2_000)


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_each_of_100_000_callbacks_is_replayed_once(tmp_path: Path) -> None:
    await _each_callback_is_replayed_once(tmp_path, 100_000)


async def test_a_job_stops_within_a_second_when_it_is_cancelled(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver:
        await filled(tmp_path, 2_000, receiver)
        async with served(tmp_path) as dev:
            job = (await dev.post("/portal/v1/jobs", **REPLAY, Rate="500")).body
            await asked_until(lambda: job_of(dev, job["sid"]), lambda one: one["done"] > 100)
            began = time.monotonic()
            answer = await dev.post(f"/portal/v1/jobs/{job['sid']}/cancel")
            took = time.monotonic() - began
            assert (answer.status, answer.body["status"]) == (200, "cancelled")
            done = answer.body["done"]
            await asyncio.sleep(0.5)
            assert await job_of(dev, job["sid"]) == answer.body
    assert took < 1
    assert replays_in(tmp_path) == (done, 1, 1)


# ---- PostgreSQL


async def _worker_of(cluster: Cluster, sid: str) -> int | None:
    """Return the process that works on a job."""
    rows = await asyncio.to_thread(
        cluster.ask,
        "SELECT workers.name FROM jobs JOIN workers USING (worker)"
        " WHERE sid = %s AND lease_until > clock_timestamp()",
        sid,
    )
    return int(rows[0][0].rpartition(":")[2]) if rows else None


async def _until(ask: Callable[[], Awaitable[Any]], is_right: Callable[[Any], object]) -> Any:
    return await asked_until(ask, is_right, within=120)


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_another_process_goes_on_when_the_one_that_runs_the_job_is_killed(
    tmp_path: Path,
) -> None:
    count, kills = 100_000, 5
    async with AsyncExitStack() as stack:
        log = stack.enter_context((tmp_path / "log").open("w"))
        receiver = await stack.enter_async_context(RecordingReceiver())
        cluster = await stack.enter_async_context(a_cluster(tmp_path, command=SHORT_LEASES))
        data = PostgresDatabase(cluster.url, None, tmp_path / "ringback.key", tmp_path)
        account_sid, url = cluster.credentials["account_sid"], receiver.url("/#cbs=twilio")
        await asyncio.to_thread(add_failed, data, count, account_sid, url)
        api = await stack.enter_async_context(cluster.running("api", log))

        async def begin() -> Production:
            return await stack.enter_async_context(cluster.running("worker", log))

        workers = {one.process.pid: one for one in [await begin(), await begin()]}
        sid = (await api.post("/portal/v1/jobs", **REPLAY)).body["sid"]
        for _ in range(kills):
            done = (await job_of(api, sid))["done"]
            await _until(lambda: job_of(api, sid), lambda job, at=done: job["done"] > at + 2_000)
            pid = await _until(lambda: _worker_of(cluster, sid), lambda found: found in workers)
            await workers.pop(pid).kill()
            assert (await job_of(api, sid))["status"] == "running"
            another = await begin()
            workers[another.process.pid] = another
        job = await ended(api, sid, within=600)
        found = await asyncio.to_thread(cluster.ask, REPLAYS_OF_EACH)
    assert (job["status"], job["counts"]) == ("done", {"replayed": count})
    assert found == [(count, 1, 1)]
