"""Several servers on one PostgreSQL database: what one of them learns, the others do, too."""

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from tests.crash.cluster import SHORT_LEASES, a_cluster
from tests.crash.production import Production
from tests.ports import free_port
from tests.receivers import RecordingReceiver
from tests.served import asked_until, in_this_process

HAS_GATEWAY = "this process has the UDP gateway now"
PATIENCE = 20  # seconds; the leases end after 6


async def test_several_processes_act_as_one_server(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(a_cluster(tmp_path, command=SHORT_LEASES))
        flags = ("--gateway", f"127.0.0.1:{free_port()}")
        api, first, second = [
            await stack.enter_async_context(cluster.running(role, sys.stderr, *flags))
            for role in ("api", "worker", "worker")
        ]
        where = {
            "RINGBACK_DATABASE": cluster.url,
            "RINGBACK_SEAL_KEY_FILE": str(tmp_path / "ringback.key"),
        }
        made = await in_this_process("accounts", "keys", "create", "--operator", "--json", **where)
        key = json.loads(made.stdout)
        operator = {
            "RINGBACK_SERVER": api.dev["base_url"],
            "RINGBACK_ACCOUNT_SID": key["sid"],
            "RINGBACK_AUTH_TOKEN": key["secret"],
        }

        async def processes() -> dict[int, tuple[str, bool, int]]:
            told = await in_this_process("workers", "--json", **operator)
            return {
                int(one["name"].partition(":")[2]): (one["role"], one["is_alive"], one["shards"])
                for one in json.loads(told.stdout)["workers"]
            }

        numbers = [server.process.pid for server in (api, first, second)]
        share = ("worker", True, 128)
        equal = dict(zip(numbers, [("api", True, 0), share, share], strict=True))
        await asked_until(processes, lambda found: found == equal, within=PATIENCE)
        shown = await in_this_process("workers", **operator)
        assert shown.stdout.startswith("PROCESS ")
        assert len(shown.stdout.splitlines()) == 4

        await one_version_of_the_policy(api, first, operator)
        await callbacks_reach(api, stack)
        await the_gateway_goes_to_the_next(first, second)
        await asked_until(
            processes,
            lambda found: sorted(one[2] for one in found.values()) == [0, 256],
            within=PATIENCE,
        )


async def one_version_of_the_policy(
    api: Production, worker: Production, operator: dict[str, str]
) -> None:
    """Hold some URLs in another phase, in one process: the others follow."""
    hold = ("--url-prefix", "http://127.0.0.1:9/", "--phase", "before", "--until", "2100-01-01")
    held = await in_this_process("policy", "set", "hold", *hold, "--yes", **operator)
    assert held.exit_code == 0, held.output
    await worker.log.says("the policy is version 2 (from the operator, ")
    answer = await api.send({"url": "http://127.0.0.1:9/", "parameters": {}})
    assert (answer.status, answer.body["source"]) == (201, "twilio")


async def callbacks_reach(api: Production, stack: AsyncExitStack) -> None:
    """Create callbacks in a process that sends none: another one sends each soon."""
    receiver = await stack.enter_async_context(RecordingReceiver())
    for number in range(8):
        url = receiver.url(f"/{number}#cbs=kore")
        assert (await api.send({"url": url, "parameters": {"N": str(number)}})).status == 201
    await receiver.wait_for(8)


async def the_gateway_goes_to_the_next(first: Production, second: Production) -> None:
    """Kill the process that has the UDP gateway: the other one opens it on the same port."""
    async with asyncio.timeout(PATIENCE):
        await asyncio.wait(
            waits := [asyncio.create_task(one.log.says(HAS_GATEWAY)) for one in (first, second)],
            return_when=asyncio.FIRST_COMPLETED,
        )
    has_first = waits[0].done()
    for wait in waits:
        wait.cancel()
    having, other = (first, second) if has_first else (second, first)
    assert not any(line["message"].startswith(HAS_GATEWAY) for line in other.log.lines)
    await having.kill()
    await other.log.says(HAS_GATEWAY)
