"""A network that drops all packets to PostgreSQL: processes say so, and answer health checks."""

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.crash.cables import (
    DATABASE,
    RECEIVERS_CLIENT,
    Cable,
    a_machine,
    a_stuck_proxy,
    another_network,
    why_no_networks,
)
from tests.crash.cluster import Cluster, a_cluster
from tests.crash.production import AWAY, BACK, SILENT, Production
from tests.served import asked_until

LONGEST = {"/readyz": 3.0}  # seconds; it tries a commit if not a silence began the outage
OUTAGE = (SILENT, AWAY)  # a connection attempt can be given up before the silence is long enough


async def ask(server: Production, path: str) -> tuple[int, str]:
    """Return the answer, which must come within a second, or a path's own time."""
    began = time.monotonic()
    answer = await asyncio.to_thread(_ask, server.address, path)
    assert time.monotonic() - began < LONGEST.get(path, 1.0), path
    return answer


def _ask(address: tuple[str, int], path: str) -> tuple[int, str]:
    connection = HTTPConnection(*address, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def said(server: Production, beginning: str | tuple[str, ...]) -> list[str]:
    return [one["message"] for one in server.log.lines if one["message"].startswith(beginning)]


@pytest.mark.parametrize("role", ["api", "worker"])
async def test_a_silent_database_is_noticed_and_delays_no_check(role: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(a_cluster(tmp_path))
        cable = await stack.enter_async_context(a_stuck_proxy(cluster.database.folder))
        await silence(cluster, cable, role, seconds=0)


@pytest.fixture
def network() -> Iterator[None]:
    """Give the test a network of its own, which ends with it."""
    if (reason := why_no_networks()) is not None:
        pytest.skip(reason)
    with another_network():
        yield


@pytest.mark.long
@pytest.mark.usefixtures("network")
async def test_a_cable_that_is_cut_until_the_system_gives_up(tmp_path: Path) -> None:
    with a_machine() as machine:
        async with a_cluster(tmp_path, address=DATABASE) as cluster:
            # The cable to the receivers also leads to the server.
            await silence(cluster, machine, "worker", "--host", RECEIVERS_CLIENT, seconds=40)


async def silence(cluster: Cluster, cable: Cable, role: str, *flags: str, seconds: float) -> None:
    """Cut a process off from its database, ask it while and after this is noticed, and mend it."""
    running = cluster.running(role, sys.stderr, *flags, before=cable.program, url=cable.url)
    async with running as server:

        async def metrics() -> str:
            return (await ask(server, "/metrics"))[1]

        assert "ringback_store_up 1.0" in await metrics()
        cable.cut(server.process)
        cut = time.monotonic()
        await asked_until(metrics, lambda text: "ringback_store_up 0.0" in text, within=12)
        assert time.monotonic() - cut > 4
        await server.log.says(OUTAGE)
        while True:
            assert "ringback_store_up 0.0" in await metrics()
            assert (await ask(server, "/healthz"))[0] == 200
            status, text = await ask(server, "/readyz")
            assert (status, "not answer" in text or "did not commit" in text) == (503, True)
            if time.monotonic() - cut > seconds:
                break
            await asyncio.sleep(0.5)
        cable.mend(server.process)
        await server.log.says(BACK)
        await asked_until(metrics, lambda text: "ringback_store_up 1.0" in text, within=10)
        assert (await ask(server, "/readyz"))[0] == 200
        assert len(said(server, OUTAGE)) == len(said(server, BACK)) == 1
