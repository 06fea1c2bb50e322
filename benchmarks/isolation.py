"""T10: how much others slow down a quiet account, at the API and at its receiver.

The quiet account creates callbacks to healthy destinations at a steady rate: first alone, then
beside each kind of trouble that another account, or a stranger, makes. The reference is the same
load alone on the same server; each row has a server of its own.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from itertools import cycle, repeat
from typing import Any, Final

from benchmarks.end_to_end import pass_through
from benchmarks.engine import ACCOUNT_SID, AUTH_TOKEN
from benchmarks.figures import Figure, Target, p50, p95, ratio_at_most
from benchmarks.load import Load, closed_loop, open_loop
from benchmarks.processes import BenchmarkFailed
from benchmarks.run import Run
from benchmarks.server import Server, a_callback, stamped

_RATE: Final = 200
_TROUBLED_RATE: Final = 50
_CLIENTS: Final = 4
_BATCH: Final = 1_000
_POSTED: Final = 500
"""Callbacks in each request that prepares trouble."""
_ALL_COME_WITHIN: Final = 60.0
_LONG_PAGE: Final = "/portal/v1/callbacks?PageSize=1000"
_STREAMS: Final = "/portal/v1/streams"
_REPORTED: Final = "com.twilio.iot.supersim.connection.data-session.updated"
_REPORT_EVERY: Final = 1.0
"""Seconds between two reports of usage by the device; each is an event for all sinks."""
_ACTIVE_AFTER: Final = 5.0
_NOTHING: Final = "/portal/v1/callbacks?Status=failed&Source=kore&Destination=http://nobody.example"

Trouble = Callable[[Run, Server], AbstractAsyncContextManager[None]]
"""A context manager: another account makes trouble on a server while it is open."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One row of the table: the trouble made beside the quiet account."""

    name: str
    trouble: Trouble
    history: tuple[int, int] = (0, 0)
    """How many past callbacks the other account has: in a full run, and in a quick one."""
    seconds: float = 10.0
    """How many seconds are measured; a minute is long enough to include the sweep."""
    options: tuple[str, ...] = ()
    most_files: int | None = None
    target: Target | None = ratio_at_most(2)

    def __str__(self) -> str:
        history = f", with a history of {self.history[0]:,}" if self.history[0] else ""
        return f"{self.name}{history}"


@dataclass(slots=True)
class Times:
    """Times until requests were accepted, and until callbacks reached their receiver, in ms."""

    accepted: list[float] = field(default_factory=list[float])
    received: list[float] = field(default_factory=list[float])

    def add(self, other: "Times") -> None:
        self.accepted += other.accepted
        self.received += other.received


async def measure(run: Run) -> list[Figure]:
    figures, quiet = list[Figure](), Times()
    for neighbour in (*NEIGHBOURS, await _limited_flood(run)):
        try:
            alone, beside = await _measure(run, neighbour)
        except (BenchmarkFailed, TimeoutError) as failure:
            print(f"T10 beside {neighbour.name} has no figures: {failure or 'it took too long'}")
            continue
        quiet.add(alone)
        for what, ours, reference in (
            ("accepted", beside.accepted, alone.accepted),
            ("received", beside.received, alone.received),
        ):
            value, floor = p95(ours), p95(reference)
            name = f"beside {neighbour.name}: {what}, p95"
            figures.append(
                Figure(
                    *("T10", name, value, "ms", value / floor, neighbour.target),
                    note=f"alone {floor:.1f} ms",
                )
            )
    shares = (("p50", p50), ("p95", p95))
    for what, samples in (("accepted", quiet.accepted), ("received", quiet.received)):
        figures += [
            Figure("T10", f"alone, at {_RATE}/s: {what}, {name}", share(samples), "ms")
            for name, share in shares
        ]
    return figures


async def _limited_flood(run: Run) -> Neighbour:
    """Return the flood of batches with a rate limit of half of what the server can do."""
    async with run.server("T10") as server:
        seconds = run.size(5.0, quick=2.0)
        capacity = (await pass_through(run, server, _BATCH, seconds=seconds)).settled
    return Neighbour(
        "a flood of batches, with a limit at half of what the server can do",
        _clients(_a_batch, are_limited=True),
        options=("--rate-limit", str(int(capacity / 2))),
    )


async def _measure(run: Run, neighbour: Neighbour) -> tuple[Times, Times]:
    """Return the times of the quiet account alone, and beside the neighbour."""
    full, quick = neighbour.history
    seconds = run.size(neighbour.seconds, quick=2.0)
    alone, beside = Times(), Times()
    async with run.filled(run.size(full, quick=quick), are_delivered=bool(full)) as folder:
        for _ in range(run.rounds):
            async with run.server(
                "T10", folder, options=neighbour.options, most_files=neighbour.most_files
            ) as server:
                await _quiet(run, server, seconds=0.5)  # warm-up
                alone.add(await _quiet(run, server, seconds=min(seconds, 10.0)))
                other = server.as_account(ACCOUNT_SID, AUTH_TOKEN)
                async with neighbour.trouble(run, other):
                    beside.add(await _quiet(run, server, seconds=seconds))
    return alone, beside


async def _quiet(run: Run, server: Server, *, seconds: float) -> Times:
    """Return how long the quiet account's requests and callbacks took."""
    await run.receiver.counter.reset()
    callbacks = cycle([a_callback(f"http://{place}/mark") for place in run.receiver.hooks])
    load = await open_loop(
        server.place,
        lambda number: server.create_one(stamped(next(callbacks), number)),
        rate=_RATE,
        seconds=seconds,
    )
    load.expect_accepted()
    received = await _received(run, load)
    return Times(load.latencies, received)


async def _received(run: Run, load: Load) -> list[float]:
    """Return how long the callbacks took; a callback missing after a minute counts as a minute."""
    due = dict(enumerate(load.due))
    deadline = asyncio.get_running_loop().time() + _ALL_COME_WITHIN
    while len(come := await run.latencies(due)) < len(due):
        if asyncio.get_running_loop().time() > deadline:
            break
        await asyncio.sleep(0.05)
    return come + [_ALL_COME_WITHIN * 1000] * (len(due) - len(come))


# Kinds of trouble.


@contextlib.asynccontextmanager
async def _meanwhile(*works: asyncio.Task[None]) -> AsyncGenerator[None]:
    """Run these coroutines while the context is open; raise the error of any that fails."""
    try:
        yield
        for work in works:
            if work.done():
                await work
    finally:
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)


@contextlib.asynccontextmanager
async def _three_in_trouble(run: Run, server: Server) -> AsyncGenerator[None]:
    receiver = run.receiver
    urls = (
        f"http://{receiver.hanging}/hang",
        f"http://{receiver.refusing}/hook",
        f"http://{receiver.throttled}/throttle",
    )
    works = [asyncio.create_task(_steadily(server, url)) for url in urls]
    async with _meanwhile(*works):
        yield


async def _steadily(server: Server, url: str) -> None:
    request = server.create_one(a_callback(url))
    while True:
        load = await open_loop(server.place, lambda _: request, rate=_TROUBLED_RATE, seconds=1.0)
        load.expect_accepted()


def _hanging_destinations(full: int, quick: int) -> Trouble:
    @contextlib.asynccontextmanager
    async def trouble(run: Run, server: Server) -> AsyncGenerator[None]:
        port = run.receiver.hanging_port
        places = [
            f"127.{1 + n // 250}.{n % 250}.9:{port}" for n in range(run.size(full, quick=quick))
        ]
        await _post(server, [f"http://{place}/hang" for place in places])
        yield

    return trouble


def _hanging_names(full: int, quick: int) -> Trouble:
    @contextlib.asynccontextmanager
    async def trouble(run: Run, server: Server) -> AsyncGenerator[None]:
        names = range(run.size(full, quick=quick))
        await _post(server, [f"http://n{number}.hang.invalid/" for number in names])
        yield

    return trouble


def _dead_destinations(count: int) -> Trouble:
    @contextlib.asynccontextmanager
    async def trouble(run: Run, server: Server) -> AsyncGenerator[None]:
        port = int(run.receiver.refusing.rpartition(":")[2])
        await _post(server, [f"http://127.0.1.{number}:{port}/#rc=5" for number in range(count)])
        yield

    return trouble


async def _post(server: Server, urls: Sequence[str]) -> None:
    """Create a callback to each of these URLs."""
    batches = (urls[at : at + _POSTED] for at in range(0, len(urls), _POSTED))
    requests = [server.create_many([a_callback(url) for url in batch]) for batch in batches]
    for request in requests:
        load = await closed_loop(server.place, repeat(request), connections=1, seconds=0)
        load.expect_accepted()


def _clients(request: Callable[[Run, Server], bytes], *, are_limited: bool = False) -> Trouble:
    """Make trouble with four clients that send the same request as fast as it is answered."""

    @contextlib.asynccontextmanager
    async def trouble(run: Run, server: Server) -> AsyncGenerator[None]:
        async def ask() -> None:
            while True:
                load = await closed_loop(
                    server.place, repeat(request(run, server)), connections=_CLIENTS, seconds=0.5
                )
                if not are_limited:
                    load.expect_accepted()

        async with _meanwhile(asyncio.create_task(ask())):
            yield

    return trouble


def _ordered(full: int, quick: int) -> Trouble:
    @contextlib.asynccontextmanager
    async def trouble(run: Run, server: Server) -> AsyncGenerator[None]:
        one = a_callback(run.receiver.url, ordering_key="a-meter")
        for _ in range(run.size(full, quick=quick) // _BATCH):
            await server.ask(server.create_many([one] * _BATCH))
        yield

    return trouble


@contextlib.asynccontextmanager
async def _replay_everything(_: Run, server: Server) -> AsyncGenerator[None]:
    await server.ask(
        server.post(
            "/portal/v1/jobs", Kind="replay", Since="2000-01-01T00:00:00Z", Status="delivered"
        )
    )
    yield


def _hanging_sinks(full: int, quick: int) -> Trouble:
    @contextlib.asynccontextmanager
    async def trouble(run: Run, server: Server) -> AsyncGenerator[None]:
        async def post(path: str, **form: str) -> Any:
            return await server.ask(server.post(path, **form))

        for number in range(run.size(full, quick=quick)):
            place = f"127.{1 + number // 250}.{number % 250}.9:{run.receiver.hanging_port}"
            to = {"Name": f"sink {number}", "Type": "webhook", "Url": f"http://{place}/hang"}
            sink = await post(f"{_STREAMS}/destinations", **to)
            rule = {"Name": f"rule {number}", "Destination": sink["sid"], "EventType": _REPORTED}
            await post(f"{_STREAMS}/rules", **rule)
        device = await _a_connected_device(post)
        async with _meanwhile(asyncio.create_task(_report_steadily(post, device))):
            yield

    return trouble


async def _report_steadily(post: Callable[[str], Awaitable[Any]], device: str) -> None:
    while True:
        await post(f"{device}/report")
        await asyncio.sleep(_REPORT_EVERY)


async def _a_connected_device(post: Callable[..., Awaitable[Any]]) -> str:
    """Register and activate a SIM; return the path of its device, which is connected."""
    networks = await post("/v1/NetworkAccessProfiles")
    fleet = await post("/v1/Fleets", NetworkAccessProfile=networks["sid"])
    sim = await post("/v1/Sims", Iccid=f"8988307{0:013}", RegistrationCode="H3LL0W0RLD")
    await post(f"/v1/Sims/{sim['sid']}", Status="active", Fleet=fleet["sid"])
    device = f"/portal/v1/devices/{sim['sid']}"
    await asyncio.sleep(_ACTIVE_AFTER)
    await post(f"{device}/attach")
    return device


def _idle_connections(count: int) -> Trouble:
    @contextlib.asynccontextmanager
    async def trouble(run: Run, server: Server) -> AsyncGenerator[None]:
        host, _, port = server.place.rpartition(":")
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(count):
                _, writer = await asyncio.open_connection(
                    host, int(port), local_addr=("127.0.0.9", 0)
                )
                stack.callback(writer.close)
            yield

    return trouble


def _a_batch(run: Run, server: Server) -> bytes:
    return server.create_many([a_callback(run.receiver.url)] * _BATCH)


NEIGHBOURS: Final = (
    Neighbour("three destinations that hang, refuse and throttle", _three_in_trouble),
    Neighbour("10,000 destinations that hang", _hanging_destinations(10_000, 1_000), seconds=65),
    Neighbour("2,000 names that hang", _hanging_names(2_000, 500)),
    Neighbour("a flood of batches", _clients(_a_batch), target=None),
    Neighbour(
        "lists in which nothing matches",
        _clients(lambda _, server: server.get(_NOTHING)),
        history=(1_000_000, 20_000),
    ),
    Neighbour(
        "long pages of lists",
        _clients(lambda _, server: server.get(_LONG_PAGE)),
        history=(50_000, 5_000),
    ),
    Neighbour("a job that replays 50,000", _replay_everything, history=(50_000, 5_000)),
    Neighbour(
        "1,000 sinks that hang", _hanging_sinks(1_000, 100), options=("--stream-limit", "1000")
    ),
    Neighbour("100,000 under one order key", _ordered(100_000, 5_000)),
    Neighbour("scrapes", _clients(lambda _, server: server.get("/metrics"))),
    Neighbour("1,000 idle connections, fewer than one address may have", _idle_connections(1_000)),
    Neighbour(
        "1,000 idle connections, more than one address may have",
        _idle_connections(1_000),
        most_files=1_024,
    ),
    Neighbour(
        "a history of 1,000,000 and 100 dead destinations",
        _dead_destinations(100),
        history=(1_000_000, 20_000),
        seconds=65,
    ),
)
