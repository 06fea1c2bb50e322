"""A worker dies that owns a limited, an ordered and a failing destination: all of it holds."""

import asyncio
import re
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from ringback.core.callbacks.shards import shard_of
from ringback.stores.postgres.life_lock import remove_life_lock
from tests.crash.cluster import SHORT_LEASES, Cluster, a_cluster
from tests.crash.production import Production
from tests.receivers import (
    OK,
    Hang,
    HttpReceiver,
    ReceivedRequest,
    RecordingReceiver,
    Reply,
    status_reply,
)
from tests.served import asked_until

WORKERS: Final = 5
RATE: Final = 5
KEYS: Final = ("a", "b", "c", "d")
_KEY: Final = re.compile(rb"Key=(\w)&Number=(\d+)")
LONGEST_WAIT: Final = 2
"""Seconds after the start of a process in which it has the work of one that was killed."""
LONGEST_WAIT_ELSEWHERE: Final = 4
"""The same on another machine."""
_ARE_READY: Final = """
    SELECT count(*) FROM (
        SELECT worker FROM shard_leases JOIN workers USING (worker)
        WHERE session IS NOT NULL GROUP BY worker HAVING count(*) = 128
    ) AS ready
"""
_END_SESSIONS: Final = """
    SELECT pg_terminate_backend(pid) FROM pg_locks, workers
    WHERE locktype = 'advisory' AND (classid::bigint << 32) | objid::bigint = session
"""
_SCHEDULE: Final = ("--schedule", "5s,1m,10m")
_LEFT: Final = """
    SELECT sent_us FROM attempts JOIN callbacks ON callbacks.id = callback_id
        JOIN lanes ON lanes.id = lane_id
    WHERE destination = %s AND sent_us IS NOT NULL ORDER BY sent_us
"""


class OrderedReceiver(HttpReceiver):
    """Answers after a while, and notes the numbers of each key as they come."""

    def __init__(self) -> None:
        super().__init__(host="0.0.0.0")
        self.numbers = defaultdict[str, list[int]](list)
        self.most = Counter[str]()
        """The most requests of each key that were there at the same time."""
        self._there = Counter[str]()

    @property
    def received(self) -> int:
        return sum(len(set(numbers)) for numbers in self.numbers.values())

    async def receive(self, request: ReceivedRequest) -> Reply:
        found = _KEY.search(request.body)
        assert found is not None
        key = found[1].decode()
        self.numbers[key].append(int(found[2]))
        self._there[key] += 1
        self.most[key] = max(self.most[key], self._there[key])
        await asyncio.sleep(0.05)
        self._there[key] -= 1
        return OK


class CountingReceiver(HttpReceiver):
    """Answers with one status, and counts the requests."""

    def __init__(self, status: int) -> None:
        super().__init__(host="0.0.0.0")
        self.status = status
        self.count = 0

    async def receive(self, request: ReceivedRequest) -> Reply:
        self.count += 1
        return status_reply(self.status)


def owner_of(cluster: Cluster, *receivers: HttpReceiver) -> tuple[str, list[str]]:
    """Return the name of a worker that owns a host of each of these receivers, and the hosts."""
    owners = dict(cluster.ask("SELECT shard, name FROM shard_leases JOIN workers USING (worker)"))
    hosts = [f"127.0.0.{number}" for number in range(2, 250)]
    for name in sorted(set(owners.values())):
        found = list[str]()
        for receiver in receivers:
            own = (
                host
                for host in hosts
                if owners.get(shard_of(receiver.url("", host=host).rstrip("/"))) == name
            )
            if (host := next(own, None)) is None:
                break
            found.append(host)
        if len(found) == len(receivers):
            return name, found
    raise AssertionError(f"no worker owns a host of each: {owners}")


def many(url: str, keys: Sequence[str], count: int) -> list[dict[str, Any]]:
    return [
        {"url": url, "parameters": {"Key": key, "Number": number}, "ordering_key": key}
        for number in range(count)
        for key in keys
    ]


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_rate_order_and_breaker_outlive_their_owner(tmp_path: Path) -> None:
    limited, ordered, failing = CountingReceiver(200), OrderedReceiver(), CountingReceiver(503)
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(a_cluster(tmp_path, command=SHORT_LEASES))
        for receiver in (limited, ordered, failing):
            await stack.enter_async_context(receiver)
        api = await stack.enter_async_context(cluster.running("api", sys.stderr, *_SCHEDULE))
        workers = list[Production]()
        for _ in range(WORKERS):
            running = cluster.running("worker", sys.stderr, *_SCHEDULE)
            workers.append(await stack.enter_async_context(running))
        await asked_until(
            lambda: asyncio.to_thread(
                cluster.ask,
                "SELECT count(DISTINCT worker), min(n) FROM (SELECT worker, count(*) AS n"
                " FROM shard_leases WHERE worker IS NOT NULL GROUP BY worker) AS shares",
            ),
            lambda rows: rows[0][0] == WORKERS and rows[0][1] > 40,
            within=40,
        )
        name, hosts = await asyncio.to_thread(owner_of, cluster, limited, ordered, failing)
        urls = [
            receiver.url("/hook", host=host)
            for receiver, host in zip((limited, ordered, failing), hosts, strict=True)
        ]
        for url, given in (
            (urls[0], {"Rate": str(RATE), "Burst": "1"}),
            (urls[2], {"BreakerLeast": "3"}),
        ):
            pattern = url.removesuffix("/hook")
            answer = await api.post("/portal/v1/destinations", Destination=pattern, **given)
            assert answer.status == 200, answer.body
        await asyncio.sleep(2.5)  # until all workers know it
        batches = many(urls[0], "x", 150), many(urls[1], KEYS, 60)
        for one in batches[0]:
            del one["ordering_key"]
        for batch in batches:
            assert (await api.send({"callbacks": batch})).status == 201
        for number in range(8):
            await api.send({"url": f"{urls[2]}#rc=0", "parameters": {"Number": number}})
        await asked_until(
            lambda: asyncio.to_thread(cluster.ask, "SELECT state FROM destination_states"),
            lambda rows: any("opened" in state for (state,) in rows),
            within=20,
        )
        before = failing.count
        owner = next(worker for worker in workers if str(worker.process.pid) in name)
        owner.signal(signal.SIGKILL)
        await asked_until(
            lambda: asyncio.to_thread(
                cluster.ask, "SELECT name FROM shard_leases JOIN workers USING (worker)"
            ),
            lambda rows: all(found != name for (found,) in rows),
            within=40,
        )
        after_takeover = failing.count
        total = len(KEYS) * 60
        await asked_until(
            lambda: asyncio.sleep(0.2, result=ordered.received), lambda n: n >= total, within=120
        )
        await asked_until(
            lambda: asyncio.sleep(0.2, result=limited.count), lambda n: n >= 150, within=120
        )
        left = [at for (at,) in cluster.ask(_LEFT, urls[0].removesuffix("/hook"))]
    print(f"{before} requests before the kill, {after_takeover} after the takeover; {name}")
    assert after_takeover - before <= 1, "only a probe may have been sent meanwhile"
    assert all(most == 1 for most in ordered.most.values())
    for numbers in ordered.numbers.values():
        first = [one for place, one in enumerate(numbers) if one not in numbers[:place]]
        assert first == sorted(first)
    in_a_second = max(sum(at - 1_000_000 < other <= at for other in left) for at in left)
    assert in_a_second <= RATE + 1


@pytest.mark.timeout(120)
async def test_after_a_kill_on_the_same_machine_all_goes_on_at_once(tmp_path: Path) -> None:
    """Neither what waits nor what was under way waits for the end of the dead process's lease."""
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(RecordingReceiver(Hang()))
        cluster = await stack.enter_async_context(a_cluster(tmp_path))
        flags = "--schedule", "10ms,1s"
        first = await stack.enter_async_context(cluster.running("all", sys.stderr, *flags))
        await first.send({"url": receiver.url("/under-way"), "parameters": {}})
        await receiver.wait_for(1)
        first.signal(signal.SIGKILL)
        second = await stack.enter_async_context(cluster.running("all", sys.stderr, *flags))
        async with asyncio.timeout(LONGEST_WAIT):
            await second.send({"url": receiver.url("/due"), "parameters": {}})
            requests = await receiver.wait_for(3)
        assert {one.line.split()[1] for one in requests[1:]} == {"/under-way", "/due"}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("is_killed", [True, pytest.param(False, marks=pytest.mark.long)])
async def test_after_an_end_elsewhere_what_is_due_goes_on_within_seconds(
    tmp_path: Path, is_killed: bool
) -> None:
    """The owner is killed; or it is only stopped, loses its session, and goes on later.

    Before that, the sessions of both end while they live, which changes nothing.
    """
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(RecordingReceiver(OK, host="0.0.0.0"))
        cluster = await stack.enter_async_context(a_cluster(tmp_path))
        both = [await stack.enter_async_context(cluster.running("all", sys.stderr)) for _ in "12"]
        for (life,) in cluster.ask("SELECT life FROM workers"):
            remove_life_lock(life)  # as if each were on a machine of its own
        await asked_until(partial(_ready_in, cluster), lambda count: count == 2, within=40)
        name, (host,) = await asyncio.to_thread(owner_of, cluster, receiver)
        owner, other = sorted(both, key=lambda one: str(one.process.pid) not in name)

        async def send(by: Production, first: int, last: int) -> None:
            for number in range(first, last):
                if number in (5, 15, 25):
                    assert len(cluster.ask(_END_SESSIONS)) == 2
                await by.send({"url": receiver.url(f"/{number}", host=host), "parameters": {}})
                await asyncio.sleep(0.1)

        await send(other, 0, 30)
        await receiver.wait_for(30)
        await asked_until(partial(_ready_in, cluster), lambda count: count == 2, within=5)
        owner.signal(signal.SIGKILL if is_killed else signal.SIGSTOP)
        began = asyncio.get_running_loop().time()
        if not is_killed:
            cluster.ask(_END_SESSIONS)
        async with asyncio.timeout(LONGEST_WAIT_ELSEWHERE):
            await other.send({"url": receiver.url("/30", host=host), "parameters": {}})
            await receiver.wait_for(31)
        print(f"waited for {asyncio.get_running_loop().time() - began:.1f} s")
        if not is_killed:
            owner.signal(signal.SIGCONT)
            await send(owner, 31, 55)
            await receiver.wait_for(55)
        await asked_until(
            lambda: asyncio.to_thread(cluster.ask, "SELECT FROM open_attempts"),
            lambda rows: rows == [],
            within=20,
        )
    paths = Counter(one.line.split()[1] for one in receiver.requests)
    assert paths == Counter(f"/{number}" for number in range(31 if is_killed else 55))


async def _ready_in(cluster: Cluster) -> int:
    """Return how many processes have a session, and half of the shards."""
    return cluster.ask(_ARE_READY)[0][0]
