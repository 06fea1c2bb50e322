"""T4, T5 and T13: what a callback takes at a steady rate, in time and in CPU.

T4 is the time from a request to its callback at the receiver, T5 the time to its acceptance. T13 is
the CPU of the server for each callback, most of which is spent on waking up.

Requests leave at a steady rate, whether or not the earlier ones are answered, and all times count
from when a request was due (see `pacing`). The reference of T4 is the plain loop at the same rate:
from due to received, with no API and no database in between. The reference of T5 is the same
request sent to the receiver, which does nothing with it.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from benchmarks.figures import Figure, Target, at_most, p50, p95, p99
from benchmarks.load import Load, open_loop
from benchmarks.processes import usage
from benchmarks.run import Run
from benchmarks.server import Server, a_callback, stamped

_RATES: Final = (50, 200)
_ACCEPT_RATE: Final = 1000
_ALL_COME_WITHIN: Final = 30.0


async def to_the_receiver(run: Run) -> list[Figure]:
    seconds, figures = run.size(10.0, quick=2.0), list[Figure]()
    async with run.server("T4") as server:
        await delivered(run, server, rate=50, seconds=0.5)  # warm-up
        for rate in _RATES:
            plain = await run.plain_latencies(rate, seconds)
            samples = await delivered(run, server, rate=rate, seconds=seconds)
            name = f"accept to received, at {rate}/s"
            figures += [
                _figure("T4", f"{name}: p50", p50(samples), p50(plain)),
                _figure("T4", f"{name}: p95", p95(samples), p95(plain), target=at_most(10)),
                _figure("T4", f"{name}: p99", p99(samples), p99(plain), target=at_most(25)),
            ]
    return figures


async def to_acceptance(run: Run) -> list[Figure]:
    seconds = run.size(10.0, quick=2.0)
    name = f"accept alone, at {_ACCEPT_RATE:,}/s"
    async with run.server("T5") as server:
        await _accepted(run, server, server.place, seconds=0.5)  # warm-up
        floor = await _accepted(run, server, run.receiver.hooks[0], seconds=seconds)
        cpu = usage(server.pid).cpu_seconds
        load = await _accepted(run, server, server.place, seconds=seconds)
        cpu = (usage(server.pid).cpu_seconds - cpu) / load.accepted * 1e6
    plain = floor.latencies
    return [
        _figure("T5", f"{name}: p50", p50(load.latencies), p50(plain)),
        _figure(
            *("T5", f"{name}: p95", p95(load.latencies), p95(plain)), target=at_most(5), cpu_us=cpu
        ),
        _figure("T5", f"{name}: p99", p99(load.latencies), p99(plain)),
    ]


async def cpu_at_low_rates(run: Run) -> list[Figure]:
    seconds, figures = run.size(10.0, quick=3.0), list[Figure]()
    async with run.server("T13") as server:
        await delivered(run, server, rate=50, seconds=0.5)  # warm-up
        for rate in _RATES:
            before = usage(server.pid)
            count = len(await delivered(run, server, rate=rate, seconds=seconds))
            after = usage(server.pid)
            switches = (after.switches - before.switches) / count
            figures.append(
                Figure(
                    *("T13", f"CPU for each callback, at {rate}/s"),
                    (after.cpu_seconds - before.cpu_seconds) / count * 1e6,
                    "µs",
                    target=at_most(500) if rate == max(_RATES) else None,
                    note=f"{switches:.1f} context switches for each callback",
                )
            )
    return figures


async def delivered(run: Run, server: Server, *, rate: float, seconds: float) -> list[float]:
    """Create callbacks at this rate; return how many ms after its due time each arrived."""
    await run.receiver.counter.reset()
    callback = a_callback(run.receiver.mark)
    load = await open_loop(
        server.place,
        lambda number: server.create_one(stamped(callback, number)),
        rate=rate,
        seconds=seconds,
    )
    load.expect_accepted()
    await run.receiver.counter.until(load.accepted, within=_ALL_COME_WITHIN)
    return await run.latencies(dict(enumerate(load.due)))


async def _accepted(run: Run, server: Server, place: str, *, seconds: float) -> Load:
    tomorrow = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    request = server.create_one(a_callback(run.receiver.url, deliver_at=tomorrow))
    load = await open_loop(place, lambda _: request, rate=_ACCEPT_RATE, seconds=seconds)
    load.expect_accepted()
    return load


def _figure(
    id_: str,
    name: str,
    value: float,
    reference: float,
    *,
    target: Target | None = None,
    cpu_us: float | None = None,
) -> Figure:
    note = f"the reference takes {reference:.2f} ms"
    return Figure(id_, name, value, "ms", value / reference, target, cpu_us, note)
