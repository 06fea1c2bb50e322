"""The recipes for queues: the receiver answers 200 once the queue has it; a worker does it once."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import Final

import pytest
import redis

from ringback.core.policy.source_policy import Source
from tests.databases import a_redis
from tests.fakes import AUTH_TOKEN, KORE_SECRET, SIM_SID
from tests.ports import free_port
from tests.senders import rendered

EXAMPLES: Final = Path(__file__).parents[2] / "examples" / "queues"
TOLD: Final = f"SIM {SIM_SID} is inactive"
LEASE: Final = 2  # seconds
_PATIENCE: Final = 60.0  # seconds; Celery takes some to start

# Work that writes down its process, and ends as its file says: it hangs, fails or does the work.
CHANGED: Final = """
import os, pathlib, time
import {module} as example

do_work = example.work

def work(callback):
    here = pathlib.Path({folder!r})
    with (here / "begun").open("a") as begun:
        begun.write(f"{{os.getpid()}}\\n")
    if (here / "hang").exists():
        time.sleep(3600)
    if (here / "fail").exists():
        raise OSError("the disk is full")
    do_work(callback)

example.work = work
"""
STREAM_WORKER: Final = f"{CHANGED}\nexample.process_entries()\n"
CELERY_WORKER: Final = f"{CHANGED}\napp = example.app\n"


@dataclass
class Recipe:
    """A recipe: its receiver is running, and its workers can be started."""

    port: int
    folder: Path
    environment: dict[str, str]
    worker: list[str]

    def deliver(self, token: str) -> int:
        """Deliver a callback, and return the status of the answer."""
        request = rendered(
            Source.KORE, url=f"http://127.0.0.1:{self.port}/callbacks", token=token
        ).to_bytes()
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(request)
            with HTTPResponse(connection) as response:
                response.begin()
                return response.status

    @contextmanager
    def working(self) -> Generator["subprocess.Popen[bytes]"]:
        """Run a worker."""
        with running(self.worker, self.folder, self.environment) as process:
            yield process

    def will(self, do: str) -> None:
        """From now on, let workers `hang`, `fail` or `work`."""
        for other in ("hang", "fail"):
            (self.folder / other).unlink(missing_ok=True)
        (self.folder / do).touch()

    def begun(self) -> list[int]:
        """Return the process of each beginning of work."""
        path = self.folder / "begun"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def told(self) -> int:
        """Return how often the work was done."""
        return (self.folder / "output").read_text("utf-8").count(TOLD)

    def wait_for(self, condition: Callable[[], object]) -> None:
        until = time.monotonic() + _PATIENCE
        while not condition():
            assert time.monotonic() < until, (self.folder / "output").read_text("utf-8")
            time.sleep(0.05)


@contextmanager
def running(
    command: list[str], folder: Path, environment: dict[str, str]
) -> Generator["subprocess.Popen[bytes]"]:
    with (folder / "output").open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        # Celery's pool of processes, too.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def socket_path() -> Iterator[str]:
    with a_redis() as path:
        yield path


RECIPES = ["redis_stream", pytest.param("celery_app", marks=pytest.mark.long)]


@pytest.fixture(params=RECIPES)
def recipe(request: pytest.FixtureRequest, socket_path: str, tmp_path: Path) -> Iterator[Recipe]:
    with redis.Redis(unix_socket_path=socket_path) as client:
        client.flushall()
    with recipe_on(request.param, tmp_path, f"redis+socket://{socket_path}", socket_path) as made:
        yield made


@contextmanager
def recipe_on(name: str, folder: Path, broker: str, socket_path: str) -> Generator[Recipe]:
    port = free_port()
    environment = {
        **os.environ,
        "CALLBACK_URL": f"http://127.0.0.1:{port}/callbacks",
        "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
        "KORE_SECRET": KORE_SECRET,
        "REDIS_URL": f"unix://{socket_path}",
        "BROKER_URL": broker,
        "LEASE": str(LEASE),
        "PORT": str(port),
        "PYTHONPATH": os.pathsep.join([str(EXAMPLES), *filter(None, sys.path)]),
    }
    program = CELERY_WORKER if name == "celery_app" else STREAM_WORKER
    (folder / "changed.py").write_text(program.format(module=name, folder=str(folder)))
    if name == "celery_app":
        worker = [sys.executable, "-m", "celery", "--app", "changed", "worker", "--concurrency=2"]
        receiver = [sys.executable, str(EXAMPLES / "celery_app.py")]
    else:
        worker = [sys.executable, "changed.py"]
        receiver = [sys.executable, str(EXAMPLES / "redis_stream.py"), "receive"]
    with ExitStack() as stack:
        stack.enter_context(running(receiver, folder, environment))
        recipe = Recipe(port, folder, environment, worker)
        recipe.wait_for(lambda: is_listening(port))
        yield recipe


def is_listening(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def test_a_callback_is_answered_before_its_work_which_is_done_once(recipe: Recipe) -> None:
    assert [recipe.deliver("one"), recipe.deliver("one")] == [200, 200]
    assert recipe.begun() == []
    with recipe.working():
        recipe.wait_for(lambda: recipe.told() == 1)
        assert [recipe.deliver("one"), recipe.deliver("two")] == [200, 200]
        recipe.wait_for(lambda: recipe.told() == 2)
    assert len(recipe.begun()) == 2


def test_a_callback_that_is_put_on_the_queue_twice_is_processed_once(
    recipe: Recipe, socket_path: str
) -> None:
    """So it is after the receiver dies between putting it there and recording that it did."""
    assert recipe.deliver("one") == 200
    with redis.Redis(unix_socket_path=socket_path) as client:
        assert client.delete("{arrived}:kore:one") == 1
    assert [recipe.deliver("one"), recipe.deliver("two")] == [200, 200]
    with recipe.working():
        recipe.wait_for(lambda: recipe.told() == 2)
    assert len(recipe.begun()) == 2


def test_work_of_a_killed_process_is_done_by_another(recipe: Recipe) -> None:
    recipe.will("hang")
    assert recipe.deliver("one") == 200
    with recipe.working():
        recipe.wait_for(recipe.begun)
        recipe.will("work")
        os.kill(recipe.begun()[0], signal.SIGKILL)  # of Celery, only one process of its pool
        with recipe.working():
            recipe.wait_for(lambda: recipe.told() == 1)
    assert len(recipe.begun()) == 2


def test_failed_work_is_tried_again(recipe: Recipe) -> None:
    recipe.will("fail")
    assert recipe.deliver("one") == 200
    with recipe.working():
        recipe.wait_for(recipe.begun)
        recipe.will("work")
        recipe.wait_for(lambda: recipe.told() == 1)
    assert len(recipe.begun()) >= 2


@pytest.mark.parametrize("name", RECIPES)
def test_without_the_queue_the_sender_has_to_try_again(name: str, tmp_path: Path) -> None:
    with (
        a_redis() as path,
        redis.Redis(unix_socket_path=path) as client,
        recipe_on(name, tmp_path, f"redis+socket://{path}.gone", path) as recipe,
    ):
        client.set("callbacks", "this is not a stream")
        # Not 503, which would mean that the first delivery had kept its claim.
        assert [recipe.deliver("one"), recipe.deliver("one")] == [500, 500]
