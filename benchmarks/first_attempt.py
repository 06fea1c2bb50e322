"""From an API call's acceptance to its callback, beside the call's own time: one at a time."""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
from base64 import b64encode
from typing import cast

from benchmarks.figures import Figure, quantile


class Recorder(asyncio.Protocol):
    """Answers each request, and notes when it came."""

    arrived: asyncio.Future[float]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        Recorder.arrived.set_result(time.perf_counter())
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


async def measure(count: int) -> list[Figure]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Recorder, "127.0.0.1", 0)
    receiver = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ringback", "dev", "--port", "0", "--json", "--data", folder),
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        dev = json.loads(await process.stdout.readline())
        started = time.perf_counter() - began
        calls, arrivals = await _calls(dev, receiver, count)
        process.terminate()
        await process.wait()
    server.close()
    call = statistics.median(calls)
    return [
        Figure("from start to serving, new data file", started * 1000, "ms"),
        Figure("API call, committed and answered: median", call * 1000, "ms", "baseline"),
        _arrival("from the call to its callback at the receiver: median", arrivals, 0.5, call),
        _arrival("from the call to its callback at the receiver: p95", arrivals, 0.95, call),
    ]


def _arrival(name: str, arrivals: list[float], share: float, call: float) -> Figure:
    value = quantile(arrivals, share)
    return Figure(name, value * 1000, "ms", f"{value / call:.2f} of the baseline")


async def _calls(dev: dict[str, str], receiver: str, count: int) -> tuple[list[float], list[float]]:
    host, port = dev["base_url"].removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    # The SIM is active already: such an update calls back at once.
    form = urllib.parse.urlencode({"Status": "active", "CallbackUrl": receiver})
    user = b64encode(f"{dev['account_sid']}:{dev['auth_token']}".encode()).decode()
    head = (
        f"POST /v1/Sims/{dev['sim_sid']} HTTP/1.1",
        f"Host: {host}",
        f"Authorization: Basic {user}",
        "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(form)}",
    )
    request = "\r\n".join([*head, "", form]).encode()
    calls, arrivals = list[float](), list[float]()
    for _ in range(count):
        Recorder.arrived = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        writer.write(request)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        calls.append(time.perf_counter() - began)
        arrivals.append(await Recorder.arrived - began)
    writer.close()
    return calls, arrivals
