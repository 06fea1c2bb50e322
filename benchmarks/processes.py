"""The processes that a benchmark starts: which cores they run on, and what they use.

In most figures, the receiver and the load run on the first core and the measured process runs on
the second, so that neither takes the other's time. Figures called "unpinned" are from processes
that run on any core, as they do for customers. If the system can't pin processes to cores, all are.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
NO_VARIABLES: Final[Mapping[str, str]] = {}
_CAN_PIN: Final = hasattr(os, "sched_setaffinity")
_TICK: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class BenchmarkFailed(Exception):
    """A process failed, so its benchmark has no figures."""


@dataclass(frozen=True, slots=True)
class Cores:
    """The cores on which each process of a benchmark runs."""

    load: frozenset[int]
    measured: frozenset[int]
    all: frozenset[int]

    @classmethod
    def of_this_machine(cls) -> "Cores":
        if not _CAN_PIN:
            return cls(frozenset(), frozenset(), frozenset())
        every = os.sched_getaffinity(0)
        first, *others = sorted(every)
        measured = others[0] if others else first
        return cls(frozenset({first}), frozenset({measured}), frozenset(every))

    @property
    def both(self) -> frozenset[int]:
        return self.load | self.measured

    def __str__(self) -> str:
        if not _CAN_PIN:
            return "nothing is pinned to a core here"
        load, measured = min(self.load), min(self.measured)
        return f"load and receiver on core {load}, what is measured on core {measured}"


@dataclass(frozen=True, slots=True)
class Product:
    """The Ringback that is measured: of this working tree, or of another one."""

    folder: Path = ROOT

    @property
    def is_other(self) -> bool:
        return self.folder != ROOT

    @property
    def python(self) -> str:
        return str(self.folder / ".venv/bin/python") if self.is_other else sys.executable


_OURS: Final = Product()


@contextlib.contextmanager
def pinned(cores: frozenset[int]) -> Generator[None]:
    """Pin the processes started in this context to these cores."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def moved(cores: frozenset[int], *pids: int) -> Generator[None]:
    """Let this process, and others with a single thread, use these cores in this context."""
    if not cores:
        yield
        return
    before = {pid: os.sched_getaffinity(pid) for pid in (0, *pids)}
    for pid in before:
        os.sched_setaffinity(pid, cores)
    try:
        yield
    finally:
        for pid, its in before.items():
            os.sched_setaffinity(pid, its)


def environment() -> dict[str, str]:
    """Return the environment of a command as after an installation: bytecode is compiled once."""
    return {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONDONTWRITEBYTECODE" and not name.startswith("RINGBACK_")
    }


async def run_module(
    module: str, *arguments: object, cores: frozenset[int], product: Product = _OURS
) -> dict[str, Any]:
    """Run a benchmark's module of this product to its end; return the JSON line it prints last.

    Its earlier output is printed.
    """
    command = (product.python, "-m", module, *map(str, arguments))
    return await run_json(*command, cores=cores, product=product)


async def run_json(
    *command: str,
    cores: frozenset[int],
    product: Product = _OURS,
    variables: Mapping[str, str] = NO_VARIABLES,
) -> dict[str, Any]:
    """Run a command to its end; return the JSON line that it prints last."""
    with pinned(cores):
        process = await asyncio.create_subprocess_exec(
            *command, stdout=subprocess.PIPE, cwd=product.folder, env={**os.environ, **variables}
        )
    try:
        output, _ = await process.communicate()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        raise
    *before, last = output.decode().rstrip("\n").split("\n")
    if process.returncode or not last.startswith("{"):
        raise BenchmarkFailed(f"`{' '.join(command)}` ended with {process.returncode}: {last}")
    print(*before, sep="\n", end="\n" if before else "")
    return json.loads(last)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process and its children have used up to now."""

    cpu_seconds: float
    """CPU seconds in user and system mode, also of children that have ended."""
    rss_mb: float
    anonymous_mb: float
    """The part of the memory that no file backs."""
    switches: int
    """Context switches of its living threads, voluntary or not."""


def usage(pid: int) -> Usage:
    """Read what a process and its children use; all zero if the system can't report it."""
    pids = _with_children(pid)
    return Usage(
        sum(map(_cpu_seconds, pids)),
        sum(map(_rss_mb, pids)),
        sum(map(_anonymous_mb, pids)),
        sum(map(_switches, pids)),
    )


def _with_children(pid: int) -> list[int]:
    children = _read(pid, f"task/{pid}/children").split()
    return [pid, *(each for child in children for each in _with_children(int(child)))]


def _cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, exactly for its living threads or in steps of 1/100 s."""
    exact = [_read(pid, f"{task}/schedstat").partition(" ")[0] for task in _tasks(pid)]
    fields = _read(pid, "stat").rpartition(")")[2].split()
    if not fields:
        return 0.0
    own, ended = (sum(map(int, fields[at : at + 2])) / _TICK for at in (11, 13))
    # Only `own` includes threads that have ended.
    return max(own, sum(int(ns) for ns in exact if ns) / 1e9) + ended


def _switches(pid: int) -> int:
    lines = [line for task in _tasks(pid) for line in _read(pid, f"{task}/status").splitlines()]
    return sum(int(line.split()[1]) for line in lines if "voluntary_ctxt_switches:" in line)


def _tasks(pid: int) -> list[str]:
    return [f"task/{task.name}" for task in Path(f"/proc/{pid}/task").glob("*")]


def _rss_mb(pid: int) -> float:
    fields = _read(pid, "statm").split()
    return int(fields[1]) * _PAGE / 1e6 if fields else 0.0


def _anonymous_mb(pid: int) -> float:
    for line in _read(pid, "status").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text("utf-8")
    except OSError:
        return ""
