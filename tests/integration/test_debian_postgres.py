"""PostgreSQL as Debian's package has it: with its compiler, in its language, with its defaults."""

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from benchmarks.processes import usage
from tests.crash.cluster import a_cluster
from tests.databases import debian_programs
from tests.served import asked_until

_MOST = 0.03  # of a core
_SECONDS = 20.0
_SHARES = (
    "SELECT count(*) FROM shard_leases WHERE worker IN (SELECT worker FROM workers)"
    " GROUP BY worker ORDER BY 1"
)


@pytest.mark.long
async def test_an_idle_fleet_costs_the_database_little(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(a_cluster(tmp_path, programs=debian_programs()))
        assert cluster.ask("SELECT pg_jit_available(), current_setting('jit')") == [(True, "on")]
        for role in ("api", "api", "worker", "worker", "worker"):
            await stack.enter_async_context(cluster.running(role, sys.stderr))

        async def shares() -> list[int]:
            return [count for (count,) in cluster.ask(_SHARES)]

        await asked_until(shares, lambda found: len(found) == 3 and min(found) > 80, within=60)
        await asyncio.sleep(5)  # what a start leaves to do, such as its first look at old rows
        before = usage(cluster.database.number).cpu_seconds
        await asyncio.sleep(_SECONDS)
        used = (usage(cluster.database.number).cpu_seconds - before) / _SECONDS
        print(f"five idle processes cost PostgreSQL {used:.3f} of a core")
        assert used <= _MOST
