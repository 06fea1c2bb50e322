"""The example receivers in each framework, each under its real server."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.ports import free_port

EXAMPLES: Final = Path(__file__).parents[2] / "examples" / "frameworks"
GATEWAY: Final = Path(__file__).with_name("lambda_gateway.py")
# Two parameters, spelled so that code which parses and rebuilds the query would change them.
QUERY: Final = "?site=M%c3%bcnchen+1&a=~%7e"
DJANGO_UNDER_ASGI: Final = """
import os, uvicorn, django_app
from django.core.asgi import get_asgi_application
uvicorn.run(get_asgi_application(), port=int(os.environ["PORT"]), lifespan="off")
"""


def lambda_behind(kind: str) -> tuple[str, ...]:
    return str(GATEWAY), kind, str(EXAMPLES / "lambda_app.py")


SERVERS: Final = {
    name: (str(EXAMPLES / f"{name}_app.py"),)
    for name in ("fastapi", "starlette", "flask", "django", "asgi", "wsgi")
}
COMMANDS: Final[dict[str, tuple[str, ...]]] = {
    **SERVERS,
    "django under asgi": ("-c", DJANGO_UNDER_ASGI),
    **{f"lambda, {kind}": lambda_behind(kind) for kind in ("http", "rest", "alb", "alb-lists")},
}
# These lose the order of query parameters, so a GET's signature can't be verified.
WITHOUT_GET: Final = ("lambda, rest", "lambda, alb", "lambda, alb-lists")


@dataclass
class App:
    """A running example."""

    port: int
    folder: Path
    command: tuple[str, ...]
    auth_token: str
    kore_secret: str
    process: subprocess.Popen[bytes] = field(init=False, repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/callbacks{QUERY}"

    def lines(self) -> list[str]:
        """Return the lines that its work has printed up to now."""
        text = (self.folder / "output").read_text("utf-8")
        return [line for line in text.splitlines() if line.startswith(("SIM ", "SMS ", "not "))]

    def start(self) -> None:
        """Start it; its output is appended to a file."""
        variables = {
            "CALLBACK_URL": self.url,
            "TWILIO_AUTH_TOKEN": self.auth_token,
            "KORE_SECRET": self.kore_secret,
            "SEEN_DB": str(self.seen),
            "PORT": str(self.port),
            "PYTHONPATH": os.pathsep.join([str(EXAMPLES), *filter(None, sys.path)]),
        }
        with (self.folder / "output").open("ab") as output, (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self.command],
                stdout=output,
                stderr=log,
                env={**os.environ, **variables},
            )

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.kill()
        self.process.wait()

    def wait(self) -> None:
        """Wait until it listens."""
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
            except ConnectionRefusedError:
                assert self.process.poll() is None, self.log()
                assert time.monotonic() < deadline, self.log()
                time.sleep(0.05)
            else:
                return

    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8")

    @property
    def seen(self) -> Path:
        return self.folder / "seen.db"


@contextmanager
def running(
    command: tuple[str, ...], folder: Path, *, auth_token: str, kore_secret: str
) -> Generator[App]:
    """Run an example."""
    folder.mkdir()
    app = App(free_port(), folder, command, auth_token, kore_secret)
    app.start()
    try:
        yield app
    finally:
        app.kill()
