"""T12: what HTTPS costs: a stored backlog for a receiver with TLS, as T1 delivers one without.

Connections are either kept, or the receiver ends each one after its answer, and the next one
resumes its TLS session; only those that begin before the first answers need a full handshake. The
reference is the same backlog over plain HTTP, measured just before.
"""

import tempfile
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.backlog import drain
from benchmarks.figures import Figure
from benchmarks.run import Run

_KEPT: Final = "/hook?tenant=7"
_NEW: Final = "/last?tenant=7"
_FEWER: Final = 10
"""How many times fewer callbacks are sent with a new connection for each."""

Reports = list[dict[str, Any]]


async def measure(run: Run) -> list[Figure]:
    count, figures = run.size(50_000, quick=2_000), list[Figure]()
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as ca_file:
        ca_file.write(run.receiver.authority)
        ca_file.flush()
        for path, name, number in (
            (_KEPT, "connections kept", count),
            (_NEW, "a new connection for each", count // _FEWER),
        ):
            http, https = Reports(), Reports()
            for _ in range(run.rounds):
                place = f"http://{run.receiver.hooks[0]}{path}"
                http.append(await _drain(run, number, place, Path(ca_file.name)))
                place = f"https://{run.receiver.tls}{path}"
                https.append(await _drain(run, number, place, Path(ca_file.name)))
            handshakes, resumed = await run.receiver.counter.handshakes()
            note = f"{handshakes:,} handshakes, of which {resumed:,} resumed an earlier session"
            figures.append(_figure(f"HTTPS, {name}", https, http, note))
    return figures


async def _drain(run: Run, count: int, url: str, ca_file: Path) -> dict[str, Any]:
    return await drain(
        run, count, cores=run.cores.measured, url=url, options=("--ca-file", ca_file)
    )


def _figure(name: str, https: Reports, http: Reports, note: str) -> Figure:
    pairs = list(zip(https, http, strict=True))
    multiple = median(one["cpu_us"] / other["cpu_us"] for one, other in pairs)
    plain = median(other["cpu_us"] for other in http)
    return Figure(
        *("T12", name, median(one["per_second"] for one in https), "callbacks/s"),
        median(one["per_second"] / other["per_second"] for one, other in pairs),
        cpu_us=median(one["cpu_us"] for one in https),
        note=f"{multiple:.2f} times the CPU of plain HTTP, which takes {plain:.1f} µs; {note}",
    )
