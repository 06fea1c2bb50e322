"""T17: destinations that are limited, and protected while they are dead.

The receiver of this module notes when each request came, and answers as it is told: well, slowly,
with 503, or never. All figures are from its own log, not from what Ringback says.
"""

import asyncio
import contextlib
import json
import subprocess
import tempfile
import time
from base64 import b64encode
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from benchmarks.figures import Figure, Target, at_most
from benchmarks.footprint import idle
from benchmarks.load import Client, connect, open_loop
from benchmarks.processes import BenchmarkFailed, pinned
from benchmarks.run import Run
from benchmarks.server import Server, a_callback, a_server, stamped

_RATE: Final = 100.0
_WELL: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_DEAD: Final = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
_SLOW_S: Final = 0.5
_BATCH: Final = 1000
_OTHERS: Final = 20.0
"""How many callbacks a second another account sends meanwhile."""


@dataclass(slots=True)
class MoodyReceiver:
    """A receiver whose mood can change; `came` has the time of each request, in seconds.

    It is reached by all addresses of this machine.
    """

    mood: str = "well"
    """`well`, `slow`, `dead` (503), or `silent`: it answers nothing."""
    port: int = 0
    came: list[float] = field(default_factory=list[float])
    marks: dict[int, float] = field(default_factory=dict[int, float])
    """When the request with each stamp first came."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of a connection."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r")[0] or 0)
                body = await reader.readexactly(length)
                now = time.monotonic()
                self.came.append(now)
                stamp = body.rpartition(b"Stamp=")[2]
                if stamp.isdigit() and self.mood in ("well", "slow"):
                    self.marks.setdefault(int(stamp), now)
                if self.mood == "silent":
                    continue
                if self.mood == "slow":
                    await asyncio.sleep(_SLOW_S)
                writer.write(_DEAD if self.mood == "dead" else _WELL)
        writer.close()

    def most_in_a_second(self) -> int:
        """Return the most requests that came within one second."""
        most, first = 0, 0
        for last, at in enumerate(self.came):
            while self.came[first] <= at - 1.0:
                first += 1
            most = max(most, last - first + 1)
        return most


@contextlib.asynccontextmanager
async def _a_receiver() -> AsyncGenerator[MoodyReceiver]:
    receiver = MoodyReceiver()
    server = await asyncio.start_server(receiver.serve, "0.0.0.0", 0, backlog=1024)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()


async def measure(run: Run) -> list[Figure]:
    return [
        *await _limited(run),
        *await _many_limited(run),
        *await _dead_for_a_day(run),
        *await _with_and_without(run),
    ]


async def _limited(run: Run) -> list[Figure]:
    """Return how exactly a rate is kept, by what the receiver gets."""
    seconds = run.size(60.0, quick=5.0)
    with _settings(f"[destinations]\nrate = {_RATE:g}\n") as settings:
        async with (
            _a_receiver() as receiver,
            a_server(
                run.cores.measured, product=run.product, options=("--settings", settings)
            ) as server,
        ):
            await _create(server, _callbacks_to(receiver, int(_RATE * (seconds + 2))))
            await _until(lambda: bool(receiver.came), within=30)
            await asyncio.sleep(seconds + 0.5)
            begun = receiver.came[0]
            within = sum(at < begun + seconds for at in receiver.came)
            most = receiver.most_in_a_second()
    name = f"a limit of {_RATE:g}/s, for {seconds:g} s: the rate, compared with the limit"
    ratio = within / seconds / _RATE
    most_name = "the most requests in a second of these; the limit and its burst are 121"
    return [
        Figure("T17", name, within / seconds, "requests/s", ratio, Target(1.01, is_floor=False)),
        Figure("T17", most_name, most, "requests", None, Target(121, is_floor=False)),
    ]


async def _many_limited(run: Run) -> list[Figure]:
    """Return what a server uses that has nothing to do, but many destinations with a rate."""
    count = run.size(10_000, quick=200)
    async with _a_receiver() as receiver:
        places = [f"127.1.{n >> 8}.{n & 255}:{receiver.port}" for n in range(count)]
        limits = (f'[[destinations.for]]\ndestination = "http://{one}"\nrate = 5' for one in places)
        with _settings("\n".join(limits)) as settings:
            options = ("--settings", settings)
            async with a_server(run.cores.measured, product=run.product, options=options) as server:
                await _create(server, [a_callback(f"http://{one}/hook") for one in places])
                await _until(lambda: len(receiver.came) >= count, within=300)
                used, percent = await idle(run, server)
    name = f"idle, after a callback to each of {count:,} destinations with a rate:"
    return [
        Figure("T17", f"{name} CPU", percent, "% of a core", target=at_most(1)),
        Figure("T17", f"{name} memory", used.rss_mb, "MB"),
    ]


async def _dead_for_a_day(run: Run) -> list[Figure]:
    """Return what a receiver gets that is dead for a day of virtual time, and then well."""
    callbacks = run.size(100_000, quick=5_000)
    async with _a_receiver() as receiver, _a_dev_server(run) as server:
        receiver.mood = "dead"
        await _create(server, _callbacks_to(receiver, callbacks))
        await asyncio.sleep(2.0)
        for _ in range(24):
            await _advance(server, "1h")
        while_dead = len(receiver.came)
        receiver.mood, receiver.came = "well", []
        minutes = 0
        while not receiver.came:
            await _advance(server, "1m")
            minutes += 1
        begun = receiver.came[0]
        await _until(lambda: len(receiver.marks) >= callbacks, within=300)
        took = receiver.came[-1] - begun
        grown = [sum(at < begun + ms / 1000 for at in receiver.came) for ms in (10, 30, 100, 300)]
    growth = ", ".join(map(str, grown))
    title = f"{callbacks:,} waiting, dead for a virtual day:"
    return [
        Figure("T17", f"{title} requests while it was dead", while_dead, "requests", None),
        Figure("T17", f"{title} the first came after", minutes, "virtual minutes", None),
        Figure(
            "T17",
            f"{title} all had come after",
            took,
            "s",
            None,
            note=f"within 10, 30, 100 and 300 ms after the first: {growth} requests",
        ),
    ]


async def _with_and_without(run: Run) -> list[Figure]:
    """Return what a breaker and its slow begin are good for, in the same story with and without."""
    figures = list[Figure]()
    for breaker in ("yes", "no"):
        text = f"[destinations]\nbreaker = {json.dumps(breaker == 'yes')}\n"
        with _settings(text) as settings:
            figures += await _a_story(run, settings, with_it=breaker == "yes")
    return figures


async def _a_story(run: Run, settings: str, *, with_it: bool) -> list[Figure]:
    """Let a receiver be silent, then slow, then well, while another account sends, too."""
    silent_s, slow_s = run.size((600.0, 60.0), quick=(20.0, 5.0))
    schedule = ("--schedule", "5s,10s,20s,30s,60s,60s,120s,120s,300s,300s,600s")
    options = ("--settings", settings, *schedule)
    async with (
        _a_receiver() as receiver,
        _a_receiver() as other,
        a_server(run.cores.measured, product=run.product, options=options) as server,
    ):
        receiver.mood = "silent"
        request = partial(_one, server, receiver)
        ours = asyncio.create_task(
            open_loop(server.place, request, rate=10.0, seconds=silent_s + slow_s)
        )
        due = dict[int, int]()

        async def of_others() -> None:
            load = await open_loop(
                server.place, partial(_one, server, other), rate=_OTHERS, seconds=silent_s + slow_s
            )
            due.update(enumerate(load.due))

        theirs = asyncio.create_task(of_others())
        await asyncio.sleep(silent_s)
        wasted, receiver.mood = len(receiver.came), "slow"
        await asyncio.sleep(slow_s)
        receiver.mood = "well"
        begun = time.monotonic()
        await asyncio.gather(ours, theirs)
        all_ = int(10.0 * (silent_s + slow_s))
        await _until(lambda: len(receiver.marks) >= all_, within=2000)
        took = time.monotonic() - begun
    late = sorted((other.marks[n] - at / 1e9) * 1000 for n, at in due.items() if n in other.marks)
    p95 = late[int(0.95 * len(late))]
    how = "with a breaker" if with_it else "without one"
    story = f"silent for {silent_s:g} s, slow for {slow_s:g} s, then well; {how}:"
    return [
        Figure("T17", f"{story} requests before it was slow", wasted, "requests", None),
        Figure("T17", f"{story} until all was delivered", took, "s", None),
        Figure("T17", f"{story} p95 of another account", p95, "ms", None),
    ]


def _one(server: Server, receiver: MoodyReceiver, number: int) -> bytes:
    return server.create_one(_callback_to(receiver, number))


def _callbacks_to(receiver: MoodyReceiver, count: int) -> list[dict[str, Any]]:
    return [_callback_to(receiver, number) for number in range(count)]


def _callback_to(receiver: MoodyReceiver, number: int) -> dict[str, Any]:
    return stamped(a_callback(f"http://127.0.0.1:{receiver.port}/hook"), number)


async def _create(server: Server, callbacks: Sequence[Mapping[str, Any]]) -> None:
    """Create callbacks, a batch after the other."""
    client = await connect(server.place)
    for first in range(0, len(callbacks), _BATCH):
        await _post(client, server.create_many(callbacks[first : first + _BATCH]))
    client.close()


async def _advance(server: Server, by: str) -> None:
    """Advance the virtual clock; returns when everything that came due meanwhile is done."""
    client = await connect(server.place)
    body = f"Advance={by}".encode()
    head = (
        f"POST /portal/v1/clock HTTP/1.1\r\nHost: {server.place}\r\n"
        f"Authorization: Basic {server.credentials}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    await _post(client, head.encode() + body)
    client.close()


async def _post(client: Client, request: bytes) -> None:
    done = asyncio.Event()
    client.send(request, lambda _: done.set())
    await done.wait()
    if client.status not in range(200, 300):
        raise BenchmarkFailed(f"a request was refused: {client.answer}")


async def _until(holds: Callable[[], bool], *, within: float) -> None:
    deadline = time.monotonic() + within
    while not holds():
        if time.monotonic() > deadline:
            raise BenchmarkFailed(f"not everything came within {within:g} s")
        await asyncio.sleep(0.02)


@contextlib.contextmanager
def _settings(text: str) -> Generator[str]:
    """Yield the path of a settings file with this text."""
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(text)
        file.flush()
        yield file.name


@contextlib.asynccontextmanager
async def _a_dev_server(run: Run) -> AsyncGenerator[Server]:
    """Run `ringback dev`, which has a virtual clock, with a schedule for more than a day."""
    product = run.product
    with tempfile.TemporaryDirectory(prefix="ringback-") as folder, pinned(run.cores.measured):
        process = await asyncio.create_subprocess_exec(
            *(product.python, "-P", "-m", "ringback", "dev", "--port", "0", "--data", folder),
            *("--json", "--schedule", "persistent", "--gateway", "none"),
            stdout=subprocess.PIPE,
            cwd=product.folder,
        )
        try:
            assert process.stdout is not None
            details = json.loads(await process.stdout.readline())
            credentials = f"{details['account_sid']}:{details['auth_token']}".encode()
            place = urlsplit(details["base_url"]).netloc
            yield Server(place, b64encode(credentials).decode(), process.pid, 0.0)
        finally:
            process.terminate()
            await process.wait()
