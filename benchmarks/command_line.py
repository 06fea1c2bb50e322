"""T15: how long the commands take that a newcomer runs first.

The reference is a Python that imports asyncio and click and ends: no command that uses them can be
quicker. The bytecode is compiled before the measurement, as it is after an installation.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final

import click

from benchmarks.figures import Figure, at_most
from benchmarks.processes import BenchmarkFailed, environment, pinned
from benchmarks.run import Run
from ringback.cli.main import main

_RINGBACK: Final = (sys.executable, "-m", "ringback")
_NOTHING: Final = (sys.executable, "-c", "import asyncio, click")
_HELP_WITHIN: Final = 200
"""The bound for each help text, in milliseconds."""


async def measure(run: Run) -> list[Figure]:
    """Measure the help of every command, and commands that query a running `ringback dev`."""
    times = run.size(10, quick=3)
    with pinned(run.cores.measured), tempfile.TemporaryDirectory() as folder:
        helps = {" ".join(path): (*_RINGBACK, *path, "--help") for path in _paths(main)}
        once = _interleaved(helps, 1)
        slowest = max(helps, key=lambda name: once[name])
        took = _interleaved({"reference": _NOTHING, "": helps[""], slowest: helps[slowest]}, times)
        with _dev(Path(folder)):
            asked = {
                name: (*_RINGBACK, *name.split(), "--data", folder)
                for name in ("env", "callbacks list")
            }
            took |= _interleaved({"beside dev": _NOTHING, **asked}, times)
    return [
        _figure("ringback --help", took[""], took["reference"], is_help=True),
        _figure(f"slowest help: {slowest}", took[slowest], took["reference"], is_help=True),
        *(_figure(f"ringback {name}", took[name], took["beside dev"]) for name in asked),
    ]


def _figure(
    name: str, took: Sequence[float], reference: Sequence[float], *, is_help: bool = False
) -> Figure:
    ratio = median(one / other for one, other in zip(took, reference, strict=True))
    target = at_most(_HELP_WITHIN) if is_help else None
    note = f"{median(reference):.0f} ms for `import asyncio, click`"
    return Figure("T15", name, median(took), "ms", ratio, target, note=note)


def _paths(group: click.Group, *path: str) -> Iterator[tuple[str, ...]]:
    yield path
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from _paths(command, *path, name)
        else:
            yield (*path, name)


def _interleaved(commands: dict[str, tuple[str, ...]], times: int) -> dict[str, list[float]]:
    """Run the commands alternately, so that a disturbance of the machine affects all of them."""
    took = {name: list[float]() for name in commands}
    for turn in range(-1, times):
        for name, command in commands.items():
            milliseconds = _run(command)
            if turn >= 0:  # the first turn compiles the bytecode
                took[name].append(milliseconds)
    return took


def _run(command: Sequence[str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(command, env=environment(), capture_output=True, check=False, text=True)
    if done.returncode:
        raise BenchmarkFailed(f"`{' '.join(command[2:])}` failed: {done.stderr}")
    return (time.perf_counter() - began) * 1000


@contextmanager
def _dev(folder: Path) -> Iterator[None]:
    command = (
        *_RINGBACK,
        "dev",
        "--port",
        "0",
        "--gateway",
        "none",
        "--json",
        "--data",
        str(folder),
    )
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as dev:
        try:
            if dev.stdout is None or not dev.stdout.readline():
                raise BenchmarkFailed("`ringback dev` did not start")
            yield
        finally:
            dev.terminate()
