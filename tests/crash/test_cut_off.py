"""A worker that is cut off, or frozen, sends nothing after its lease, and others take over."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import time

import pytest

from tests.crash.cables import (
    DATABASE,
    RECEIVERS,
    Cable,
    Freezer,
    a_machine,
    a_stuck_proxy,
    another_network,
    why_no_networks,
)
from tests.crash.cluster import SHORT_LEASES, Cluster, a_cluster
from tests.crash.evidence import Arrival, Asked, Evidence, OnRecord, broken
from tests.crash.kinds import arrival_of
from tests.crash.production import RINGBACK, Production
from tests.receivers import OK, ReceivedRequest, RecordingReceiver, Reply

# Each question takes a tenth of a second, so that it can be asked again at once.
IS_SHARED_OUT = """
    SELECT count(*) = 3 AND min(shards) >= 80, pg_sleep(0.1)
    FROM (SELECT count(*) AS shards FROM shard_leases WHERE worker IS NOT NULL GROUP BY worker)
"""
IS_DONE = """
    SELECT NOT EXISTS (SELECT FROM waiting) AND NOT EXISTS (SELECT FROM open_attempts),
        pg_sleep(0.1)
"""
LEASE_UNTIL = "SELECT extract(epoch FROM lease_until)::float FROM workers WHERE name LIKE %s"
DESTINATIONS = 16  # busy ones, and as many others
MANY = 24  # callbacks to a busy destination
LATE_AT_MOST = 1
"""A process may be frozen exactly between the check of its lease and the first byte."""
WORKER = ("--per-destination", "4", "--drain", "1s")


@dataclass(eq=False)
class Destination:
    """A receiver, and how many seconds it takes to answer.

    If it is slow, a worker holds callbacks for it that are claimed, but not sent yet.
    """

    takes: float
    host: str
    arrivals: list[Arrival] = field(default_factory=list[Arrival])

    def __post_init__(self) -> None:
        self.receiver = RecordingReceiver(answer=self._answer, host=self.host)

    async def first(self, is_meant: Callable[[ReceivedRequest], bool]) -> ReceivedRequest:
        """Wait for a request for which this is true, and return it."""
        async with asyncio.timeout(60):
            while True:
                for request in self.receiver.requests:
                    if is_meant(request):
                        return request
                with suppress(TimeoutError):  # that of the receiver is shorter
                    await self.receiver.wait_for(len(self.receiver.requests) + 1)

    def last_of(self, client: str) -> float:
        """Return when the last request from an address came; 0 if there was none."""
        return max((r.came for r in self.receiver.requests if r.client == client), default=0.0)

    def _answer(self, request: ReceivedRequest) -> Reply:
        self.arrivals.append(arrival_of(request, 200))

        async def reply(writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(self.takes)
            writer.write(OK)

        return reply


@dataclass
class Load:
    """Callbacks for all receivers, and what was answered."""

    api: Production
    asked: dict[str, Asked] = field(default_factory=dict[str, Asked])
    answers: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    is_stopping: bool = False

    async def send(self, places: list[Destination], each: int) -> None:
        """Create some callbacks for each of these receivers."""
        for place in places:
            batch, url = len(self.asked), place.receiver.url("/hook")
            keys = [f"{batch}.{number}" for number in range(each)]
            documents = [{"url": url, "parameters": {"Key": k}, "idempotency_key": k} for k in keys]
            answered = await self.api.send({"callbacks": documents})
            assert answered.status == 201
            for key, told in zip(keys, answered.body["callbacks"], strict=True):
                self.asked[key] = Asked(key, url, "POST", f"Key={key}", told["source"], batch)
                self.answers[key] = [told["sid"]]

    async def send_on_and_on(self, places: list[Destination]) -> None:
        """Create one callback after the other, until stopped."""
        while not self.is_stopping:
            await self.send(places, 1)
            # Few attempts may be under way at a time, else they fill the destination's places.
            await asyncio.sleep(0.5)


@pytest.fixture
def network() -> Iterator[None]:
    """Give the test a network of its own, which ends with it."""
    if (reason := why_no_networks()) is not None:
        pytest.skip(reason)
    with another_network():
        yield


# Real leases end after 15 s, and renewals are 3 s apart.
SHORT = pytest.param(SHORT_LEASES, 6, 2, id="short", marks=pytest.mark.long)
LONG = pytest.param(RINGBACK, 15, 16, id="long", marks=pytest.mark.long)


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize(("command", "lease", "open_for"), [SHORT, LONG])
async def test_a_worker_on_a_machine_whose_cable_is_cut(
    command: tuple[str, ...], lease: float, open_for: float, tmp_path: Path
) -> None:
    with a_machine() as machine:
        async with a_cluster(tmp_path, address=DATABASE, command=command) as cluster:
            await cut_off(cluster, machine, RECEIVERS, lease=lease, open_for=open_for)


@pytest.mark.long
@pytest.mark.parametrize(("command", "lease", "open_for"), [SHORT])
async def test_a_worker_whose_proxy_forwards_nothing(
    command: tuple[str, ...], lease: float, open_for: float, tmp_path: Path
) -> None:
    async with (
        a_cluster(tmp_path, command=command) as cluster,
        a_stuck_proxy(cluster.database.folder) as proxy,
    ):
        await cut_off(cluster, proxy, "127.0.0.1", lease=lease, open_for=open_for)


@pytest.mark.long
@pytest.mark.parametrize(("command", "lease", "open_for"), [SHORT, LONG])
async def test_a_worker_that_is_frozen(
    command: tuple[str, ...], lease: float, open_for: float, tmp_path: Path
) -> None:
    async with a_cluster(tmp_path, command=command) as cluster:
        freezer = Freezer(cluster.url)
        evidence, own_busy = await cut_off(
            cluster, freezer, "127.0.0.1", lease=lease, open_for=open_for
        )
    # What was answered while it could not read the answer is sent again, by the others.
    urls = {place.receiver.url("/hook") for place in own_busy}
    twice = [one for one in evidence.records if one.url in urls and one.count("unknown")]
    assert len(twice) > evidence.repeats >= len(own_busy)
    assert {one.count("unknown") for one in twice} == {1}
    assert {one.status for one in evidence.records} == {"delivered"}


async def cut_off(
    cluster: Cluster, cable: Cable, host: str, *, lease: float, open_for: float
) -> tuple[Evidence, list[Destination]]:
    """Cut a worker off while it has callbacks to send; mend it once others have taken over."""
    busy = [Destination(lease / 4, host) for _ in range(DESTINATIONS)]
    places = [*busy, *(quick := [Destination(0, host) for _ in range(DESTINATIONS)])]
    client = cable.client
    async with AsyncExitStack() as stack:
        for place in places:
            await stack.enter_async_context(place.receiver)
        api = await stack.enter_async_context(cluster.running("api", sys.stderr, "--allow", host))
        for flags, program, url in (
            (("--allow", host), (), None),
            (("--allow", host), (), None),
            (("--allow", host, *cable.flags), cable.program, cable.url),
        ):
            worker = await stack.enter_async_context(
                cluster.running("worker", sys.stderr, *WORKER, *flags, before=program, url=url)
            )
        await until(cluster, IS_SHARED_OUT)
        load = Load(api)
        await load.send(busy, MANY)
        sending = asyncio.create_task(load.send_on_and_on(quick))
        firsts = await asyncio.gather(*(place.first(lambda _: True) for place in places))
        served = [place for place, one in zip(places, firsts, strict=True) if one.client == client]
        own_busy, own_quick = ([p for p in served if p in kind] for kind in (busy, quick))
        assert own_busy
        assert own_quick

        cut = time()
        cable.cut(worker.process)
        ((lease_until,),) = cluster.ask(LEASE_UNTIL, f"%:{worker.process.pid}")
        taken_over = await taken_over_after(cut, client, own_quick)
        assert lease_until - cut - 0.1 <= min(taken_over)
        assert max(taken_over) <= lease + 5
        # Here, attempts without a result fill all places, until their requests must have ended.
        assert max(await taken_over_after(cut, client, own_busy)) <= lease + open_for + 8
        # If a renewal was carried out whose answer got lost, the lease is longer than it knows.
        assert lease_until <= cut + lease + 0.1
        early = [lease_until - place.last_of(client) for place in (*own_busy, *own_quick)]
        print("last requests before the lease's end:", *(f"{one:.1f}" for one in early))
        assert min(early) > 0

        for place in places:
            place.takes = 0
        mended = time()
        cable.mend(worker.process)
        again = [
            asyncio.create_task(place.first(lambda r: r.client == client and r.came > mended))
            for place in places
        ]
        await asyncio.wait(again, return_when=asyncio.FIRST_COMPLETED)
        print(f"it sends again {time() - mended:.1f} s after the repair")
        for task in again:
            task.cancel()
        load.is_stopping = True
        await sending
        await until(cluster, IS_DONE)
    found = OnRecord.read_shared(cluster.ask)
    arrivals = [arrival for place in places for arrival in place.arrivals]
    evidence = Evidence(load.asked, load.answers, found.records, arrivals)
    assert broken(evidence) == []
    assert late_requests(places, client, mended) <= LATE_AT_MOST
    return evidence, own_busy


def late_requests(places: list[Destination], client: str, mended: float) -> int:
    """Return how many requests the worker sent after the repair where others still sent some.

    Once it has a destination again, no other worker sends anything there.
    """
    count = 0
    for place in places:
        last = max(r.came for r in place.receiver.requests if r.client != client)
        count += sum(r.client == client and mended < r.came < last for r in place.receiver.requests)
    return count


async def taken_over_after(cut: float, client: str, places: list[Destination]) -> list[float]:
    """Return the seconds from the cut until another worker sent something to each of these."""
    found = [
        (await place.first(lambda r: r.client != client and r.came > cut)).came - cut
        for place in places
    ]
    print("taken over after", *(f"{one:.1f}" for one in found))
    return found


async def until(cluster: Cluster, question: str) -> None:
    """Wait until the answer to a question is yes."""
    async with asyncio.timeout(60):
        while not (await asyncio.to_thread(cluster.ask, question))[0][0]:
            pass
