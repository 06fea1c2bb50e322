"""A worker that is cut off from PostgreSQL sends nothing after its lease, and others take over."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import time

import pytest

from tests.crash.cables import (
    DATABASE,
    RECEIVERS,
    Cable,
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
DESTINATIONS = 16
EACH = 24  # callbacks to each destination
WORKER = ("--per-destination", "1", "--drain", "1s")


@dataclass
class Destination:
    """A receiver that answers slowly, so that a worker holds callbacks it has not sent yet."""

    takes: float
    host: str
    arrivals: list[Arrival] = field(default_factory=list[Arrival])

    def __post_init__(self) -> None:
        self.receiver = RecordingReceiver(answer=self._answer, host=self.host)

    async def first_client(self) -> str:
        """Wait for the first request, and return the address that it came from."""
        return (await self.receiver.wait_for(1))[0].client

    async def first_of_others(self, client: str, *, after: float) -> float:
        """Wait for a request that another address has sent, and return when it came."""
        async with asyncio.timeout(60):
            while True:
                for one in self.receiver.requests:
                    if one.client != client and one.came > after:
                        return one.came
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

    places: list[Destination]
    asked: dict[str, Asked] = field(default_factory=dict[str, Asked])
    answers: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    async def send(self, api: Production) -> None:
        """Create some callbacks for each receiver."""
        for place in self.places:
            batch, url = len(self.asked), place.receiver.url("/hook")
            keys = [f"{batch}.{number}" for number in range(EACH)]
            documents = [{"url": url, "parameters": {"Key": k}, "idempotency_key": k} for k in keys]
            answered = await api.send({"callbacks": documents})
            assert answered.status == 201
            for key, told in zip(keys, answered.body["callbacks"], strict=True):
                self.asked[key] = Asked(key, url, "POST", f"Key={key}", told["source"], batch)
                self.answers[key] = [told["sid"]]


@pytest.fixture
def network() -> Iterator[None]:
    """Give the test a network of its own, which ends with it."""
    if (reason := why_no_networks()) is not None:
        pytest.skip(reason)
    with another_network():
        yield


# Real leases end after 15 s, and renewals are 3 s apart.
SHORT = pytest.param(SHORT_LEASES, 6, id="short", marks=pytest.mark.timeout(90))
LONG = pytest.param(RINGBACK, 15, id="long", marks=[pytest.mark.long, pytest.mark.timeout(200)])


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize(("command", "lease"), [SHORT, LONG])
async def test_a_worker_on_a_machine_whose_cable_is_cut(
    command: tuple[str, ...], lease: float, tmp_path: Path
) -> None:
    with a_machine() as machine:
        async with a_cluster(tmp_path, address=DATABASE, command=command) as cluster:
            await cut_off(cluster, machine, RECEIVERS, lease=lease)


@pytest.mark.parametrize(("command", "lease"), [SHORT])
async def test_a_worker_whose_proxy_forwards_nothing(
    command: tuple[str, ...], lease: float, tmp_path: Path
) -> None:
    async with (
        a_cluster(tmp_path, command=command) as cluster,
        a_stuck_proxy(cluster.database.folder) as proxy,
    ):
        await cut_off(cluster, proxy, "127.0.0.1", lease=lease)


async def cut_off(cluster: Cluster, cable: Cable, host: str, *, lease: float) -> None:
    """Cut a worker off while it has callbacks to send; mend it once others have taken over."""
    places = [Destination(lease / 4, host) for _ in range(DESTINATIONS)]
    load = Load(places)
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
        await load.send(api)
        own = [place for place in places if await place.first_client() == cable.client]
        assert len(own) >= 2

        cut = time()
        cable.cut()
        ((lease_until,),) = cluster.ask(LEASE_UNTIL, f"%:{worker.process.pid}")
        taken_over = [await place.first_of_others(cable.client, after=cut) - cut for place in own]
        print(f"{len(own)} destinations taken over after", *(f"{one:.1f}" for one in taken_over))
        assert max(taken_over) <= lease + 5
        # If a renewal was carried out whose answer got lost, the lease is longer than it knows.
        assert lease_until <= cut + lease + 0.1
        early = [lease_until - place.last_of(cable.client) for place in own]
        print("last requests before the lease's end:", *(f"{one:.1f}" for one in early))
        assert min(early) > 0

        for place in places:
            place.takes = 0
        mended = time()
        cable.mend()
        await until(cluster, IS_SHARED_OUT)
        await load.send(api)
        await until(cluster, IS_DONE)
        back = min(one for one in (p.last_of(cable.client) for p in places) if one > mended)
        print(f"it sends again {back - mended:.1f} s after the repair")
    found = OnRecord.read_shared(cluster.ask)
    arrivals = [arrival for place in places for arrival in place.arrivals]
    evidence = Evidence(load.asked, load.answers, found.records, arrivals)
    assert broken(evidence) == []
    assert len(load.answers) == 2 * DESTINATIONS * EACH


async def until(cluster: Cluster, question: str) -> None:
    """Wait until the answer to a question is yes."""
    async with asyncio.timeout(60):
        while not (await asyncio.to_thread(cluster.ask, question))[0][0]:
            pass
