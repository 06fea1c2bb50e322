"""A cluster behind nginx is restarted one process after the other, and its users notice nothing.

Users are the official client, and a receiver that is built with the toolkit.
"""

import asyncio
import json
import signal
import sys
import time
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from twilio.rest import Client

from ringback.receiver import Accepted, MemoryDedupe, Receiver
from tests.contract.official import NotingHttpClient
from tests.crash.cluster import Cluster, a_cluster
from tests.crash.production import Production
from tests.end_to_end.haproxy import a_haproxy
from tests.end_to_end.nginx import an_nginx
from tests.ports import free_port
from tests.receivers import OK, ReceivedRequest, RecordingReceiver
from tests.served import asked_until

FLAGS = ("--update-takes", "10ms", "--trusted-proxies", "127.0.0.1", "--lame-duck", "1s")
ATTEMPTS = """
    SELECT number, to_timestamp(started_us / 1e6), result, status_code, reason, total_ms
    FROM callbacks JOIN attempts ON callback_id = callbacks.id
        JOIN attempt_results ON result_id = attempt_results.id
    WHERE idempotency_token = %s
"""
REFUSED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"


@dataclass
class Receiving:
    """A receiver that accepts what is genuine and new."""

    credentials: dict[str, str]
    accepted: Counter[str] = field(default_factory=Counter[str])
    """The events, by their kind."""
    others: list[Any] = field(default_factory=list[Any])
    """Results that should not have been."""

    def __post_init__(self) -> None:
        self.server = RecordingReceiver(answer=self._answer)

    def configure(self) -> None:
        """Learn the URL that callbacks are sent to."""
        self._toolkit = Receiver(
            self.server.url("/hook"),
            kore_secrets=[self.credentials["kore_secret"]],
            twilio_auth_tokens=[self.credentials["auth_token"]],
            seen=MemoryDedupe(),
        )

    def _answer(self, request: ReceivedRequest) -> bytes:
        method, target, _ = request.line.split()
        headers = dict(line.split(": ", 1) for line in request.headers)
        result = self._toolkit.receive(method, headers, request.body, target=target)
        match result:
            case Accepted(callback) as accepted:
                with accepted:
                    self.accepted[type(callback.event).__name__] += 1
                return OK
            case _:
                self.others.append(result)
                return REFUSED


@dataclass
class User:
    """Uses the official client, one operation after the other; it never tries again."""

    number: int
    client: Client
    url: str
    pause: float
    """Seconds between two requests."""
    requests: int = 0
    sims: int = 0
    is_stopping: bool = False

    def work(self) -> None:
        """Activate SIMs and send Commands to them, until stopped."""
        api = self.client.supersim.v1
        while not self.is_stopping:
            iccid = f"8988307{self.number:03}{self.sims:010}"
            sim = self._call(api.sims.create, iccid=iccid, registration_code="H3LL0W0RLD")
            self._call(
                api.sims(sim.sid).update, status="active", fleet="trackers", callback_url=self.url
            )
            self._until(api.sims(sim.sid).fetch, "active")
            command = self._call(
                api.sms_commands.create, sim=sim.sid, payload="ping", callback_url=self.url
            )
            self._until(api.sms_commands(command.sid).fetch, "delivered")
            assert sim.sid in [one.sid for one in self._call(api.sims.list, fleet="trackers")]
            self.sims += 1

    def _until(self, fetch: Any, status: str) -> None:
        until = time.monotonic() + 20
        while (record := self._call(fetch)).status != status:
            assert time.monotonic() < until, record.status

    def _call(self, operation: Any, **arguments: Any) -> Any:
        self.requests += 1
        time.sleep(self.pause)
        return operation(**arguments)


@dataclass
class Poster:
    """Creates callbacks; what a proxy must not repeat by itself."""

    credentials: dict[str, str]
    address: str
    url: str
    pause: float
    """Seconds between two requests."""
    requests: int = 0
    is_stopping: bool = False

    def work(self) -> None:
        """Create callbacks until stopped; each request has to succeed."""
        pair = "{account_sid}:{auth_token}".format_map(self.credentials).encode()
        headers = {
            "Authorization": f"Basic {b64encode(pair).decode()}",
            "Content-Type": "application/json",
        }
        with closing(HTTPConnection(self.address, timeout=20)) as connection:
            while not self.is_stopping:
                document = {"url": self.url, "parameters": {"Number": str(self.requests)}}
                connection.request("POST", "/portal/v1/callbacks", json.dumps(document), headers)
                answer = connection.getresponse()
                assert (answer.read() and answer.status) == 201
                self.requests += 1
                time.sleep(self.pause)


@dataclass
class Place:
    """Where one process of the cluster runs, and runs again after a restart."""

    cluster: Cluster
    role: str
    port: int

    async def start(self) -> None:
        """Start a process, and wait until it can do its work."""
        self._stack = AsyncExitStack()
        running = self.cluster.running(self.role, sys.stderr, *FLAGS, "--port", str(self.port))
        self.process: Production = await self._stack.enter_async_context(running)
        await asked_until(
            lambda: self.process.get("/readyz"), lambda ready: ready.status == 200, within=20
        )

    async def stop(self) -> int:
        """Stop it as a service manager does, and return its exit code."""
        self.process.signal(signal.SIGTERM)
        code = await self.process.process.wait()
        await self._stack.aclose()
        return code


@asynccontextmanager
async def all_of(cluster: Cluster, roles: str) -> AsyncGenerator[list[Place]]:
    places = [Place(cluster, role, free_port()) for role in roles.split()]
    await asyncio.gather(*(place.start() for place in places))
    try:
        yield places
    finally:
        await asyncio.gather(*(place.stop() for place in places))


@pytest.mark.parametrize("proxy", [an_nginx, a_haproxy])
async def test_a_proxy_passes_on_no_failure_while_api_processes_restart(
    proxy: Callable[[Path, list[int]], AbstractAsyncContextManager[str]], tmp_path: Path
) -> None:
    async with (
        a_cluster(tmp_path) as cluster,
        all_of(cluster, "api api") as places,
        proxy(tmp_path, [place.port for place in places]) as base,
    ):
        address = base.removeprefix("http://")
        # Some send all the time, and others so seldom that their connections are idle.
        posters = [
            Poster(cluster.credentials, address, "http://127.0.0.1:9/hook", pause)
            for pause in (0.001, 0.001, 0.05, 0.35, 0.4, 0.45, 0.7)
        ]
        threads, loop = ThreadPoolExecutor(len(posters)), asyncio.get_running_loop()
        working = [loop.run_in_executor(threads, one.work) for one in posters]
        for place in places:
            assert await place.stop() == 0
            await place.start()
        for one in posters:
            one.is_stopping = True
        await asyncio.gather(*working)
    assert all(one.requests > 3 for one in posters)


@pytest.mark.parametrize(
    ("times", "users_at_once", "pause"),
    [
        # The suite's short form is the restart of a server that keeps its socket.
        pytest.param(4, 4, 0, id="often", marks=pytest.mark.long)
    ],
)
async def test_no_request_fails_while_all_processes_restart(
    times: int, users_at_once: int, pause: float, tmp_path: Path
) -> None:
    async with (
        a_cluster(tmp_path) as cluster,
        all_of(cluster, "api api worker worker worker") as places,
        an_nginx(tmp_path, [place.port for place in places if place.role == "api"]) as base,
    ):
        receiving = Receiving(cluster.credentials)
        async with receiving.server as receiver, RecordingReceiver() as another:
            receiving.configure()
            users = [
                User(number, client_of(cluster, base), receiver.url("/hook"), pause)
                for number in range(users_at_once)
            ]
            address, url = base.removeprefix("http://"), another.url("/hook")
            posters = [
                Poster(cluster.credentials, address, url, pause) for _ in range(users_at_once)
            ]
            await asyncio.to_thread(make_a_fleet, users[0].client)
            everybody, loop = (*users, *posters), asyncio.get_running_loop()
            threads = ThreadPoolExecutor(len(everybody))
            working = [loop.run_in_executor(threads, one.work) for one in everybody]
            codes = list[int]()
            for place in places * times:
                codes.append(await place.stop())
                await place.start()
            for one in everybody:
                one.is_stopping = True
            await asyncio.gather(*working)
            sims = sum(user.sims for user in users)
            # Each SIM has an update and a Command, which was sent and delivered.
            await receiver.wait_for(3 * sims)
            posted = sum(poster.requests for poster in posters)
            await another.wait_for(posted)
            attempts = [cluster.ask(ATTEMPTS, one.callback.token) for one in receiving.others]
    print(f"{sum(user.requests for user in users)} requests, {sims} SIMs, {receiving.accepted}")
    print(f"{posted} callbacks created, {len(another.requests)} requests")
    assert sims >= users_at_once
    assert len(another.requests) == posted
    assert codes == [0] * len(places) * times
    assert (receiving.others, attempts) == ([], [])
    assert receiving.accepted == {"SimUpdated": sims, "SmsCommandChanged": 2 * sims}
    statuses = Counter(
        line.split()[0] for line in (tmp_path / "access.log").read_text().splitlines()
    )
    print("answers of nginx:", statuses)
    assert set(statuses) <= {"200", "201", "202"}


def client_of(cluster: Cluster, base: str) -> Client:
    account = cluster.credentials
    client = Client(account["account_sid"], account["auth_token"], http_client=NotingHttpClient())
    client.supersim.base_url = base
    return client


def make_a_fleet(client: Client) -> None:
    api = client.supersim.v1
    networks = [one.sid for one in api.networks.list(iso_country="DE")]
    api.network_access_profiles.create(unique_name="Europe", networks=networks)
    api.fleets.create(network_access_profile="Europe", unique_name="trackers")
