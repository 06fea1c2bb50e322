"""Runs the contest of T6: Ringback and each peer deliver the same number of stored jobs.

The conditions are those of the figures behind the targets: everything is queued first, no process
is pinned to a core, each peer has the two workers that suit it best, and the rate counts from the
first to the last request at the receiver. Redis flushes once a second, so a crash may cost the
peers a second of jobs; ours are committed group by group.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.backlog import drain
from benchmarks.figures import Figure, Target, ratio_at_least
from benchmarks.peers.environment import Peers, a_redis
from benchmarks.processes import BenchmarkFailed, pinned, usage
from benchmarks.run import Run

_ROOT: Final = Path(__file__).parents[2]
_COMES_WITHIN: Final = 120.0
_STOPS_WITHIN: Final = 5.0
_SHOWN: Final = 1000


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer: how it queues, how it works, and the target for how much faster Ringback is."""

    name: str
    jobs: str
    worker: tuple[str, ...]
    target: Target


_PEERS: Final = (
    Peer(
        "taskiq (Redis stream) + aiohttp, 2 workers",
        "benchmarks.peers.taskiq_jobs",
        (
            *("taskiq", "worker", "benchmarks.peers.taskiq_jobs:broker", "--workers", "2"),
            *("--max-async-tasks", "64", "--log-level", "ERROR"),
        ),
        ratio_at_least(5),
    ),
    Peer(
        "Celery (Redis, prefork 2) + requests",
        "benchmarks.peers.celery_jobs",
        (
            *("celery", "-A", "benchmarks.peers.celery_jobs", "worker", "-c", "2"),
            *("--loglevel", "ERROR", "--without-gossip", "--without-mingle"),
            "--without-heartbeat",
        ),
        ratio_at_least(20),
    ),
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """The result of one contestant."""

    per_second: float
    cpu_us: float


async def measure(run: Run) -> list[Figure]:
    """Measure Ringback and the peers; raises PeersMissing if the peers can't run here."""
    peers = await asyncio.to_thread(Peers.find)
    count = run.size(5_000, quick=2_000)
    ours, plain = list[Delivery](), list[float]()
    theirs = {peer.name: list[Delivery]() for peer in _PEERS}
    for _ in range(run.rounds):
        plain.append((await run.plain()).per_second)
        ours.append(await _ours(run, count))
        for peer in _PEERS:
            theirs[peer.name].append(await _theirs(run, peers, peer, count))
    rate = median(each.per_second for each in ours)
    us = Figure(
        "T6",
        f"ours, {count:,} stored, not pinned",
        rate,
        "callbacks/s",
        rate / median(plain),
        cpu_us=median(each.cpu_us for each in ours),
        note="its ratio is to the plain loop, as elsewhere; a peer's is ours to the peer",
    )
    return [us, *(_compared(peer, theirs[peer.name], rate) for peer in _PEERS)]


def _compared(peer: Peer, deliveries: list[Delivery], ours: float) -> Figure:
    rate = median(each.per_second for each in deliveries)
    cpu = median(each.cpu_us for each in deliveries)
    return Figure("T6", peer.name, rate, "callbacks/s", ours / rate, peer.target, cpu)


async def _ours(run: Run, count: int) -> Delivery:
    result = await drain(run, count, cores=run.cores.both)
    return Delivery((await run.receiver.counter.count()).per_second, result["cpu_us"])


async def _theirs(run: Run, peers: Peers, peer: Peer, count: int) -> Delivery:
    counter = run.receiver.counter
    await counter.reset()
    with pinned(run.cores.both):
        async with a_redis(peers) as redis:
            environment = _environment(run, redis)
            await _enqueue(peers, peer, count, environment)
            async with _a_worker(peers, peer, environment) as pid:
                await counter.until(count, within=_COMES_WITHIN)
                cpu = usage(pid).cpu_seconds
    return Delivery((await counter.count()).per_second, cpu / count * 1e6)


def _environment(run: Run, redis: str) -> dict[str, str]:
    return os.environ | {
        "BENCH_URL": run.receiver.url,
        "BENCH_REDIS": redis,
        "PYTHONPATH": str(_ROOT),
    }


async def _enqueue(peers: Peers, peer: Peer, count: int, environment: Mapping[str, str]) -> None:
    command = (str(peers.bin / "python"), "-m", peer.jobs, str(count))
    process = await asyncio.create_subprocess_exec(*command, env=environment, cwd=_ROOT)
    if await process.wait():
        raise BenchmarkFailed(f"{peer.name}: the jobs could not be queued")


@contextlib.asynccontextmanager
async def _a_worker(
    peers: Peers, peer: Peer, environment: Mapping[str, str]
) -> AsyncGenerator[int]:
    """Run a peer's workers in a process group of their own; yield the first worker's process id."""
    program, *arguments = peer.worker
    with tempfile.TemporaryFile() as said:
        process = await asyncio.create_subprocess_exec(
            *(str(peers.bin / program), *arguments),
            env=environment,
            cwd=_ROOT,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process.pid
        except BenchmarkFailed as failure:
            said.seek(0)
            last = said.read()[-_SHOWN:].decode(errors="replace")
            raise BenchmarkFailed(f"{peer.name}: {failure}; it said: {last}") from failure
        finally:
            await _stop_group(process)


async def _stop_group(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_STOPS_WITHIN):
            await process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
