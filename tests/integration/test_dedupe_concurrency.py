"""Many processes deliver the same callback at once, and some are killed: its work is done once."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import IO

import pytest

from ringback.core.policy.source_policy import Source
from ringback.receiver.dedupe import ClaimedByOther, DedupeStore
from tests.integration.dedupe_worker import DONE, READY, Order, deliver, opened
from tests.unit.receiver.dedupe.kept import STORES
from tests.unit.receiver.dedupe.visits import visit

_ROOT = Path(__file__).parents[2]
_PROCESSES = 8
_SOON = 0.03  # seconds for an order to reach all workers before the common instant of delivery

_numbers = count()

Address = Callable[[str], str]


@pytest.fixture
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    """Return the address of a store's data, after starting its server."""

    def find(store: str) -> str:
        match store.removeprefix("async-"):
            case "postgres":
                return request.getfixturevalue("postgres_dsn")
            case "redis":
                return request.getfixturevalue("redis_socket")
            case _:
                return str(tmp_path / "seen.db")

    return find


class Worker:
    """A process that carries out orders to deliver."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.pid = process.pid
        self._orders: IO[str] = process.stdin
        self._answers: IO[str] = process.stdout

    def order(self, order: Order) -> None:
        self._orders.write(json.dumps(order) + "\n")
        self._orders.flush()

    def expect(self, answer: str) -> None:
        assert self._answers.readline() == f"{answer}\n"


@contextmanager
def workers(how_many: int, store: str, address: str) -> Iterator[list[Worker]]:
    command = [sys.executable, "-m", "tests.integration.dedupe_worker", store, address]
    with ExitStack() as running:
        started: list[Worker] = []
        for _ in range(how_many):
            process = subprocess.Popen(
                command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            running.enter_context(process)
            running.callback(process.kill)
            started.append(Worker(process))
        for worker in started:
            worker.expect(READY)
        yield started


@pytest.fixture(autouse=True)
def threads_take_turns_often() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def by_threads(seen: DedupeStore, orders: Sequence[Order]) -> None:
    with ThreadPoolExecutor(len(orders)) as threads:
        for ended in [threads.submit(deliver, seen, order) for order in orders]:
            ended.result()


def by_processes(processes: Sequence[Worker], orders: Sequence[Order]) -> None:
    for process, order in zip(processes, orders, strict=True):
        process.order(order)
    for process in processes:
        process.expect(DONE)


def same_token(evidence: Path, how_many: int) -> list[Order]:
    """Return orders to deliver one new token at one instant."""
    token, at = f"concurrent-{next(_numbers)}", time.monotonic() + _SOON
    return [Order(token, f"{number}", str(evidence), at) for number in range(how_many)]


def same_event(evidence: Path, how_many: int) -> list[Order]:
    """Return orders to deliver one new event at one instant, half of them from each source."""
    event, at = f"event-{next(_numbers)}", time.monotonic() + _SOON
    sources = [source.value for source in Source]
    return [
        Order(event, f"{number}", str(evidence), at, source=sources[number % 2], content=event)
        for number in range(how_many)
    ]


def begun(evidence: Path) -> list[str]:
    """Return how each piece of work began: `first` or `again`."""
    return [line.split()[1] for line in evidence.read_text().splitlines()]


threads_stores = pytest.mark.parametrize("store", STORES)
process_stores = pytest.mark.parametrize(
    "store",
    [
        pytest.param(name, marks=[pytest.mark.long] * name.startswith("async-"))
        for name in STORES
        if name != "memory"
    ],
)


@threads_stores
def test_64_threads_do_it_once(store: str, address: Address, tmp_path: Path) -> None:
    with opened(store, address(store)) as seen:
        by_threads(seen, same_token(tmp_path / "evidence", 64))
    assert begun(tmp_path / "evidence") == ["first"]


@threads_stores
def test_16_threads_do_the_event_of_two_tokens_once(
    store: str, address: Address, tmp_path: Path
) -> None:
    rounds = 5
    with opened(store, address(store)) as seen:
        for _ in range(rounds):
            by_threads(seen, same_event(tmp_path / "evidence", 16))
    assert begun(tmp_path / "evidence") == ["first"] * rounds


@process_stores
def test_8_processes_do_it_once(store: str, address: Address, tmp_path: Path) -> None:
    """Neither file nor table exists at first, so all of them try to create it."""
    rounds = 6
    with workers(_PROCESSES, store, address(store)) as processes:
        for make in [same_token, same_event] * rounds:
            by_processes(processes, make(tmp_path / "evidence", _PROCESSES))
    assert begun(tmp_path / "evidence") == ["first"] * 2 * rounds


@process_stores
def test_work_begun_by_a_killed_process_is_done_once_more(
    store: str, address: Address, tmp_path: Path
) -> None:
    """A lease is renewed while its process works, and ends after the process was killed."""
    evidence, lease = tmp_path / "evidence", 3.0
    orders = same_token(evidence, _PROCESSES + 1)
    with (
        workers(_PROCESSES + 1, store, address(store)) as (victim, *others),
        opened(store, address(store)) as seen,
    ):
        victim.order(orders[0]._replace(lease=lease, lasts=60.0))
        wait_for(evidence)
        for _ in range(3):
            time.sleep(lease / 2)
            assert isinstance(seen.claim(visit("other", token=orders[0].token)), ClaimedByOther)
        os.kill(victim.pid, signal.SIGKILL)
        by_processes(others, orders[1:])
    assert begun(evidence) == ["first", "again"]


def wait_for(evidence: Path) -> None:
    until = time.monotonic() + 10
    while not (evidence.exists() and evidence.read_text()):
        assert time.monotonic() < until, "the work has not begun"
        time.sleep(0.005)
