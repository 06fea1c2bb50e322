"""Several servers on one PostgreSQL database pause and resume together; so does restored data.

They also follow what one of them sets for a destination.
"""

import asyncio
import json
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from tests.crash.cluster import SHORT_LEASES, Cluster, a_cluster
from tests.crash.production import Production
from tests.databases import postgres_programs
from tests.receivers import RecordingReceiver
from tests.served import asked_until, in_this_process

PATIENCE = 25  # seconds; the leases end after 6


async def readiness(server: Production) -> dict[str, Any]:
    def ask() -> dict[str, Any]:
        with urlopen(f"{server.dev['base_url']}/readyz", timeout=5) as answer:  # noqa: S310 (the URL is ours)
            return json.load(answer)

    return await asyncio.to_thread(ask)


async def send(server: Production, url: str) -> str:
    answer = await server.send({"url": url, "parameters": {"Event": "x"}})
    assert answer.status == 201, answer.body
    return answer.body["sid"]


def paths(receiver: RecordingReceiver) -> list[str]:
    return [request.line.split()[1] for request in receiver.requests]


async def operators(cluster: Cluster, server: Production) -> dict[str, str]:
    """Return the variables by which a command asks a server as its operator."""
    where = {"RINGBACK_DATABASE": cluster.url, "RINGBACK_SEAL_KEY_FILE": key_of(cluster)}
    made = await in_this_process("accounts", "keys", "create", "--operator", "--json", **where)
    key = json.loads(made.stdout)
    return {
        "RINGBACK_SERVER": server.dev["base_url"],
        "RINGBACK_ACCOUNT_SID": key["sid"],
        "RINGBACK_AUTH_TOKEN": key["secret"],
    }


def key_of(cluster: Cluster) -> str:
    return str(cluster.folder / "ringback.key")


def restore_dump(cluster: Cluster, programs: Path) -> str:
    """Restore a dump of the database into another one, and return the latter's URL."""
    dump = cluster.folder / "dump"
    said = subprocess.run(
        [sys.executable, "-m", "ringback", "backup", dump, "--seal-key-file", key_of(cluster)],
        env={"RINGBACK_DATABASE": cluster.url}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said.returncode == 2
    command = next(line for line in said.stderr.splitlines() if "pg_dump" in line)
    subprocess.run(command.replace("pg_dump", str(programs / "pg_dump")), shell=True, check=True)  # noqa: S602 (what our own command says)
    with cluster.connect() as connection:
        connection.execute("CREATE DATABASE restored OWNER ringback")
    url = f"postgresql://ringback@/restored?host={cluster.database.folder}"
    subprocess.run([programs / "pg_restore", f"--dbname={url}", dump], check=True)
    return url


async def test_processes_and_restored_data_pause_until_they_are_resumed(tmp_path: Path) -> None:
    programs = postgres_programs()[-1]
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(
            a_cluster(tmp_path, programs=programs, command=SHORT_LEASES)
        )
        receiver = await stack.enter_async_context(RecordingReceiver())
        first, second = [
            await stack.enter_async_context(cluster.running("all", sys.stderr)) for _ in range(2)
        ]
        await all_pause_and_resume_together(cluster, first, second, receiver)
        await each_follows_a_paused_destination(first, second)
        await each_follows_a_paused_destination(second, first)
        url = await asyncio.to_thread(restore_dump, cluster, programs)
        restored = await stack.enter_async_context(cluster.running("all", sys.stderr, url=url))
        await restored_data_waits(cluster, first, restored, receiver, url)


async def all_pause_and_resume_together(
    cluster: Cluster, first: Production, second: Production, receiver: RecordingReceiver
) -> None:
    await send(first, receiver.url("/before"))
    await receiver.wait_for(1)
    operator = await operators(cluster, first)
    paused = await in_this_process("pause", "--reason", "moving", **operator)
    assert paused.exit_code == 0, paused.output
    for server in (first, second):
        await asked_until(
            lambda server=server: readiness(server),
            lambda found: found == {"status": "ready", "paused": "moving"},
            within=5,
        )
    sids = [await send(server, receiver.url("/paused")) for server in (first, second)]
    await asyncio.sleep(1.5)  # longer than each process looks for work of others
    assert paths(receiver) == ["/before"]
    # Without a server's address, the command changes the database; processes look each second.
    await resume(cluster, cluster.url)
    for sid in sids:
        assert (await first.ended(sid))["status"] == "delivered"
    assert sorted(paths(receiver)) == ["/before", "/paused", "/paused"]


async def each_follows_a_paused_destination(one: Production, other: Production) -> None:
    """Pause a destination by one process, and resume it by the other; either may send there."""
    async with RecordingReceiver() as receiver:
        here = {"Destination": receiver.url("")}
        sids = [await send(one, receiver.url("/before"))]
        await receiver.wait_for(1)
        await change(one, "/pause", **here)
        query = f"/portal/v1/destinations/one?{urlencode(here)}"
        await asked_until(
            lambda: other.get(query), lambda found: found.body["state"] == "paused", within=5
        )
        sids += [await send(server, receiver.url("/paused")) for server in (one, other)]
        await asyncio.sleep(1.5)
        assert paths(receiver) == ["/before"]
        await change(other, "/resume", **here)
        for sid in sids:
            assert (await one.ended(sid))["status"] == "delivered"


async def change(server: Production, verb: str, **form: str) -> None:
    answer = await server.post(f"/portal/v1/destinations{verb}", **form)
    assert answer.status == 200, answer.body


async def restored_data_waits(
    cluster: Cluster,
    original: Production,
    restored: Production,
    receiver: RecordingReceiver,
    url: str,
) -> None:
    found = await readiness(restored)
    assert found["status"] == "ready"
    assert found["paused"].startswith("the data is in another PostgreSQL database than")
    assert await readiness(original) == {"status": "ready"}
    new = await send(restored, receiver.url("/new"))
    await send(original, receiver.url("/original"))
    await receiver.wait_for(4)
    await asyncio.sleep(1.5)
    assert paths(receiver)[3:] == ["/original"]
    await resume(cluster, url)
    # The dump says that the original processes have the leases, until they end.
    await asked_until(
        lambda: restored.fetch(new), lambda found: found["status"] == "delivered", within=PATIENCE
    )
    assert paths(receiver)[3:] == ["/original", "/new"]


async def resume(cluster: Cluster, url: str) -> None:
    where = {"RINGBACK_DATABASE": url, "RINGBACK_SEAL_KEY_FILE": key_of(cluster)}
    resumed = await in_this_process("resume", "--yes", **where)
    assert resumed.exit_code == 0, resumed.output


async def test_the_command_says_how_to_restore_a_dump(tmp_path: Path) -> None:
    where = {"RINGBACK_DATABASE": "postgresql://ringback:secret@db.internal/ringback"}
    said = await in_this_process("restore", str(tmp_path / "dump"), **where)
    assert said.exit_code == 2
    assert "pg_restore --dbname='user=ringback dbname=ringback host=db.internal'" in said.stderr
    assert "secret" not in said.output
