"""T14: how soon a server answers after its start, and who is refused while it restarts.

The reference of a start is a Python that imports asyncio and ends, measured alternately. The
bytecode is compiled before, as it is after an installation.

Through the restarts, the listening socket outlives the process: this benchmark opens it and passes
it on to each server, as systemd does. A client opens a new connection for each callback. A request
is lost if its connection was refused or ended without an answer, or if the answer is an error.
"""

import asyncio
import contextlib
import http.client
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncGenerator, Generator, Sequence
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from benchmarks.figures import Figure, Target, at_most
from benchmarks.processes import BenchmarkFailed, environment, pinned
from benchmarks.run import Run
from benchmarks.server import OPTIONS, Server, a_callback, an_account

_STARTS_WITHIN: Final = 60.0
_LOOKS_EVERY: Final = 0.002
_LOOKS_FOR: Final = 1.0
_RATE: Final = 200
_RESTARTS: Final = 3
_BETWEEN: Final = 1.0
"""Seconds from the first answer of a server until it is stopped."""
_ANSWERS_WITHIN: Final = 30.0
_ALL_COME_WITHIN: Final = 30.0


async def measure(run: Run) -> list[Figure]:
    figures = await _starts(run)
    for name, ends_by, target in (
        (f"refused in {_RESTARTS} restarts with a kept socket", signal.SIGTERM, at_most(0)),
        (f"lost in {_RESTARTS} kills with a kept socket", signal.SIGKILL, None),
    ):
        try:
            figures.append(await _through_restarts(run, name, ends_by, target))
        except (BenchmarkFailed, TimeoutError) as failure:
            print(f"T14 {name} has no figure: {failure or 'it took too long'}")
    return figures


# From the start to the first answer.


async def _starts(run: Run) -> list[Figure]:
    times, took, reference = run.size(15, quick=5), list[float](), list[float]()
    nothing = (run.product.python, "-c", "import asyncio")
    with tempfile.TemporaryDirectory(prefix="ringback-") as folder:
        await an_account(run.product, Path(folder), cores=run.cores.measured)
        for turn in range(-1, times):
            one = await asyncio.to_thread(_start, run, Path(folder))
            other = await asyncio.to_thread(_run, run, nothing)
            if turn >= 0:  # the first turn compiles the bytecode
                took.append(one)
                reference.append(other)
    ratio = median(one / other for one, other in zip(took, reference, strict=True))
    return [
        Figure(
            *("T14", "from start to first answer", median(took), "ms", ratio),
            note=f"{median(reference):.0f} ms for `import asyncio`;"
            f" {min(took):.0f} to {max(took):.0f} ms in {times} starts",
        )
    ]


def _start(run: Run, folder: Path) -> float:
    """Start a server; return how many ms it took until it answered a request."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    began = time.perf_counter()
    with _process(run, folder, "--port", str(port)) as process:
        _wait_for_an_answer(process, port)
        return (time.perf_counter() - began) * 1000


def _wait_for_an_answer(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN
    while not _is_answered(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise BenchmarkFailed(f"the server did not start; its exit status: {process.poll()}")
        time.sleep(_LOOKS_EVERY)


def _is_answered(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_LOOKS_FOR)
    try:
        connection.request("GET", "/healthz")
        return bool(connection.getresponse().status)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _run(run: Run, command: Sequence[str]) -> float:
    began = time.perf_counter()
    with pinned(run.cores.measured):
        subprocess.run(command, check=True, env=environment())
    return (time.perf_counter() - began) * 1000


@contextlib.contextmanager
def _process(
    run: Run, folder: Path, *options: str, descriptor: int | None = None
) -> Generator[subprocess.Popen[bytes]]:
    """Run a server; the context stops it, if it has not been stopped yet."""
    with pinned(run.cores.measured):
        process = subprocess.Popen(
            (run.product.python, "-m", "ringback", "serve", "--data", folder, *OPTIONS, *options),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=run.product.folder,
            env=environment(),
            pass_fds=() if descriptor is None else (descriptor,),
        )
    with process:
        try:
            yield process
        finally:
            process.terminate()


# Restarts with a socket that stays open.


async def _through_restarts(
    run: Run, name: str, ends_by: signal.Signals, target: Target | None
) -> Figure:
    await run.receiver.counter.reset()
    sending = list[asyncio.Task[_Answer]]()
    with (
        tempfile.TemporaryDirectory(prefix="ringback-") as folder,
        socket.create_server(("127.0.0.1", 0), backlog=4096) as listener,
    ):
        credentials = await an_account(run.product, Path(folder), cores=run.cores.measured)
        place = "{}:{}".format(*listener.getsockname())
        request = Server(place, credentials, 0, 0.0).create_one(
            a_callback(run.receiver.url), "Connection: close"
        )
        async with _restarting(run, Path(folder), listener, ends_by) as restarts:
            began = time.monotonic()
            while not restarts.done():
                due = began + len(sending) / _RATE
                await asyncio.sleep(due - time.monotonic())
                sending.append(asyncio.create_task(_ask(place, request, due)))
            await restarts
            answers = await asyncio.gather(*sending)
            lost = [answer.refusal for answer in answers if answer.refusal]
            await run.receiver.counter.until(len(answers) - len(lost), within=_ALL_COME_WITHIN)
    longest = max(answer.seconds for answer in answers)
    first = f"; the first: {lost[0]}" if lost else ""
    return Figure(
        *("T14", name, len(lost), "requests"),
        target=target,
        note=f"of {len(answers):,} at {_RATE}/s; the longest wait was {longest:.2f} s{first}",
    )


class _Answer(NamedTuple):
    seconds: float
    """From when the request was due."""
    refusal: str = ""


async def _ask(place: str, request: bytes, due: float) -> _Answer:
    host, _, port = place.rpartition(":")
    try:
        async with asyncio.timeout(_ANSWERS_WITHIN):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(request)
            answer = await reader.read()
            writer.close()
    except (OSError, TimeoutError) as error:
        refusal = repr(error)
    else:
        is_accepted = answer.startswith(b"HTTP/1.1 2")
        refusal = "" if is_accepted else answer.decode(errors="replace") or "no answer"
    return _Answer(time.monotonic() - due, refusal)


@contextlib.asynccontextmanager
async def _restarting(
    run: Run, folder: Path, listener: socket.socket, ends_by: signal.Signals
) -> AsyncGenerator[asyncio.Task[None]]:
    """Run servers on this socket, one after the other; the last one until the context ends."""
    descriptor, port = listener.fileno(), listener.getsockname()[1]
    with contextlib.ExitStack() as servers:

        async def start() -> subprocess.Popen[bytes]:
            process = servers.enter_context(
                _process(run, folder, "--fd", str(descriptor), descriptor=descriptor)
            )
            await asyncio.to_thread(_wait_for_an_answer, process, port)
            return process

        async def restart(process: subprocess.Popen[bytes]) -> None:
            for _ in range(_RESTARTS):
                await asyncio.sleep(_BETWEEN)
                process.send_signal(ends_by)
                await asyncio.to_thread(process.wait)
                process = await start()
            await asyncio.sleep(_BETWEEN)

        yield asyncio.create_task(restart(await start()))
