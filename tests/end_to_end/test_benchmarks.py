"""The benchmarks produce figures: the parts that they build by hand still fit the server.

Ratios decide if a commit is slower than another; the two sides in these tests are made up.
"""

import ast
import asyncio
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from benchmarks import engine, frozen_plain_loop, interpreter
from benchmarks.against import MOST_PAIRS, PAIRS, compare_sides
from benchmarks.figures import Figure, from_json, to_json


@pytest.mark.parametrize(
    "benchmark", ["T8", *(pytest.param(one, marks=pytest.mark.long) for one in ("T1", "T2", "T12"))]
)
async def test_a_benchmark_has_figures(benchmark: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks", "--quick", "--only", benchmark),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert b" 0 benchmarks without figures" in said
    assert process.returncode == 0


class Reception(asyncio.Protocol):
    """Answers each request, and keeps its bytes."""

    def __init__(self, received: list[bytes]) -> None:
        self._received = received
        self._bytes = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._bytes += data
        if b"AccountSid=" in self._bytes:
            self._received.append(self._bytes)
            self._bytes = b""
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


async def test_the_frozen_plain_loop_sends_the_request_of_today() -> None:
    received = list[bytes]()
    server = await asyncio.get_running_loop().create_server(
        lambda: Reception(received), "127.0.0.1", 0
    )
    port = server.sockets[0].getsockname()[1]
    loops: tuple[Any, ...] = (frozen_plain_loop, engine)
    for loop in loops:
        sender = loop.a_sender()
        await loop.send(sender, next(loop.callbacks_to(f"http://127.0.0.1:{port}/hook?tenant=7")))
        await sender.close()
    server.close()

    frozen, today = (re.sub(rb"RQ[0-9a-f]{32}|Date: \S+", b"...", each) for each in received)
    assert frozen == today
    assert b"Kore-Signature: " in frozen


def test_the_frozen_plain_loop_uses_nothing_of_the_product() -> None:
    """Otherwise it would get faster with the product."""
    imported = set[str]()
    for path in Path(frozen_plain_loop.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module or "")
    ours = "benchmarks.frozen_plain_loop"
    others = {name for name in imported if name.partition(".")[0] not in sys.stdlib_module_names}
    assert others == {"httptools", f"{ours}.callbacks", f"{ours}.client"}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("--enable-optimizations -flto=auto", "built with PGO and LTO"),
        ("--with-lto", "built with LTO, PGO is not in its build settings"),
        ("--prefix=/usr", "PGO and LTO are not in its build settings"),
        (None, "built with PGO and LTO: unknown"),
    ],
)
def test_the_build_of_this_python_is_named(settings: str | None, told: str) -> None:
    assert interpreter.build(settings) == told


def test_figures_come_back_from_json() -> None:
    figures = [
        Figure("T1", "stored backlog, one core", 12_345.0, "callbacks/s", 0.33, cpu_us=80.5),
        Figure("T7", "idle: CPU", 0.25, "% of a core"),
    ]

    assert from_json(to_json(figures)) == figures


class Side:
    """Returns given figures, and records the ids it was asked for."""

    def __init__(self, cpu: Iterator[float], *more: Figure) -> None:
        self._cpu = cpu
        self._more = more
        self.asked = list[tuple[str, ...]]()

    def __call__(self, ids: Sequence[str]) -> list[Figure]:
        self.asked.append(tuple(ids))
        t2 = Figure("T2", "one by one", 1.0, "callbacks/s", cpu_us=next(self._cpu))
        return [t2, *self._more]


@pytest.mark.parametrize(("ours", "is_slower"), [(102.0, False), (104.0, True)])
def test_three_percent_more_cpu_is_slower(ours: float, *, is_slower: bool) -> None:
    assert compare_sides(Side(repeat(ours)), Side(repeat(100.0)), ["T2"]) is is_slower


def test_more_pairs_run_if_the_ratios_are_on_both_sides_of_the_bound(
    capsys: pytest.CaptureFixture[str],
) -> None:
    wavering = Side(iter([100.0, 110.0] * MOST_PAIRS))

    compare_sides(wavering, Side(repeat(100.0)), ["T2"])

    assert len(wavering.asked) == MOST_PAIRS
    told, *rest = capsys.readouterr().out.split("\n median")[1:]
    assert f"pair {PAIRS + 1}" in told, "prints the comparison before the additional pairs"
    assert len(rest) == 1


def test_decided_benchmarks_are_not_run_again() -> None:
    wavering = Side(iter([100.0, 110.0] * MOST_PAIRS), Figure("T7", "idle: memory", 60.0, "MB"))
    steady = Side(repeat(100.0), Figure("T7", "idle: memory", 60.0, "MB"))

    compare_sides(wavering, steady, ["T2", "T7"])

    assert wavering.asked[0] == ("T2", "T7")
    assert wavering.asked[-1] == ("T2",)


@pytest.mark.parametrize(("ours", "is_slower"), [(29.0, False), (31.0, True)])
def test_a_measure_may_have_a_goal_of_its_own(ours: float, *, is_slower: bool) -> None:
    def unpinned(cpu: float) -> Side:
        return Side(repeat(1.0), Figure("T2", "unpinned: settled", 1.0, "callbacks/s", cpu_us=cpu))

    goals = {"T2 unpinned: settled, CPU µs": 0.3}

    slower = compare_sides(unpinned(ours), unpinned(100.0), ["T2"], goals=goals)

    assert slower is is_slower


def test_a_figure_that_only_one_commit_has_is_named_and_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    only = Figure("T4", "accept to received: p50", 1.0, "ms")

    compare_sides(Side(repeat(1.0), only), Side(repeat(1.0)), ["T2", "T4"])

    assert "left out: T4 accept to received: p50: the other commit has no such figure" in (
        capsys.readouterr().out
    )
