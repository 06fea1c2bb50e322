"""T0: the limit of the harness itself, so that nobody takes it for the server's limit.

Load and receiver share a core, as they do in T2 to T5 and T10. In those, each callback costs both
of them one request.
"""

from itertools import repeat

from benchmarks.figures import Figure
from benchmarks.load import closed_loop
from benchmarks.run import Run

_REQUEST = (
    b"POST /hook?tenant=7 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 160\r\n\r\n" + b"x" * 160
)


async def measure(run: Run) -> list[Figure]:
    rate = await _rate(run, seconds=run.size(2.0, quick=0.5))
    plain = await run.plain()
    name = "load and receiver by themselves, on one core"
    return [Figure("T0", name, rate, "requests/s", rate / plain.per_second)]


async def _rate(run: Run, *, seconds: float) -> float:
    load = await closed_loop(
        run.receiver.hooks[0], repeat(_REQUEST), connections=64, seconds=seconds
    )
    load.expect_accepted()
    return load.accepted / load.took
