"""`ringback probe` as a command, with an example receiver that runs as a process."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import pytest

from tests.fakes import AUTH_TOKEN, KORE_SECRET
from tests.ports import free_port

EXAMPLE: Final = Path(__file__).parents[2] / "examples/frameworks/wsgi_app.py"
# Restarts the example in place of the running one.
START: Final = """
import os, pathlib, signal, subprocess, sys
pid = pathlib.Path("pid")
if pid.exists():
    os.kill(int(pid.read_text()), signal.SIGKILL)
with open("output", "ab") as output:
    pid.write_text(str(subprocess.Popen(sys.argv[1:], stdout=output, stderr=output).pid))
"""
COUNT: Final = """
import pathlib
lines = pathlib.Path("output").read_text("utf-8").splitlines()
print(sum(line.startswith(("SIM ", "SMS ", "not ")) for line in lines))
"""


class App:
    """An example with the toolkit, under a server that serves one request at a time."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}/callbacks?tenant=7"
        self.environment = {
            **os.environ,
            "CALLBACK_URL": self.url,
            "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
            "KORE_SECRET": KORE_SECRET,
            "PORT": str(port),
            "RINGBACK_AUTH_TOKEN": AUTH_TOKEN,
            "RINGBACK_KORE_SECRET": KORE_SECRET,
        }
        self.start = (sys.executable, "-c", START, sys.executable, str(EXAMPLE))

    def probe(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ringback", "probe", *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    port = free_port()
    app = App(tmp_path, port)
    subprocess.run(app.start, cwd=tmp_path, env=app.environment, check=True)
    _wait_for(port)
    yield app
    with suppress(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def _wait_for(port: int) -> None:
    for _ in range(200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise TimeoutError


def test_a_receiver_with_the_toolkit_is_ready_in_every_form_of_report(app: App) -> None:
    run = app.probe(
        "--ci",
        "--json",
        "--junit=report.xml",
        "--html=report.html",
        "--settle=50ms",
        f"--observe={shlex.join([sys.executable, '-c', COUNT])}",
        f"--restart={shlex.join(app.start)}",
        app.url,
    )
    assert (run.returncode, run.stderr) == (0, "")
    report: dict[str, Any] = json.loads(run.stdout)
    assert report["ready"]
    assert report["complete"]
    assert {case["verdict"] for case in report["cases"]} == {"passed"}
    assert report["seconds"] < 30
    suites = ElementTree.parse(app.folder / "report.xml").getroot()  # noqa: S314 (the document is our own)
    assert suites.get("tests") == str(len(report["cases"]))
    assert suites.get("failures") == suites.get("skipped") == "0"
    page = (app.folder / "report.html").read_text("utf-8")
    for secret in (AUTH_TOKEN, KORE_SECRET):
        assert all(secret not in text for text in (run.stdout, page))


def test_unready_receivers_get_reasons_and_incomplete_probes_say_so(app: App) -> None:
    wrong = app.probe("--kore-secret=another-one", "--auth-token=another-one", app.url)
    assert wrong.returncode == 1
    assert "refuses-twilio: " in wrong.stdout
    assert "refuses-kore: " in wrong.stdout
    assert "another-one" not in wrong.stdout
    some = app.probe("--ci", "--method=POST", "--source=kore", app.url)
    assert some.returncode == 3
    assert "no fault found, but not every case was tested" in some.stdout
    assert "twilio" not in some.stdout
    assert "\x1b[" not in some.stdout
