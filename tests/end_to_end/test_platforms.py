"""Systems on which Ringback does not run: Windows, and a Python with an old SQLite.

Windows is simulated as far as another system can: its modules, signals and `sys.platform`.
"""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.end_to_end.test_bare_install import PROGRAM as RECEIVER

# Modules that adapt to the system are imported first: the standard library, click and anyio would
# import modules that only Windows has.
PREAMBLE: Final = """
import asyncio, concurrent.futures, http.server, importlib.abc, multiprocessing, shutil, signal
import sqlite3, ssl, subprocess, sys, tempfile, uuid
import anyio, anyio._backends._asyncio, click, click.shell_completion

missing = {"fcntl", "pwd", "resource", "termios", "uvloop"}

class NotOnWindows(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

def refuse(*given):
    raise NotImplementedError

for name in missing:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, NotOnWindows())
for name in ("add_signal_handler", "remove_signal_handler", "add_reader", "add_writer"):
    setattr(asyncio.SelectorEventLoop, name, refuse)
ssl.enum_certificates = lambda store: []
del signal.SIGHUP
sys.platform = "win32"
"""
COMMAND: Final = f"{PREAMBLE}\nfrom ringback.__main__ import main; main()"
REFUSED: Final = "does not work on Windows; use WSL 2 or a Linux container"


def on_windows(*arguments: str, program: str = COMMAND) -> list[str]:
    return [sys.executable, "-c", program, *arguments]


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ("dev", "`ringback dev`"),
        ("serve", "`ringback serve`"),
        ("accounts create Acme", "a Ringback data folder"),
        ("db check", "a Ringback data folder"),
    ],
)
def test_a_command_that_cannot_work_says_so_in_one_line(
    given: str, what: str, tmp_path: Path
) -> None:
    (tmp_path / "ringback-data").mkdir()
    (tmp_path / "ringback-data" / "ringback.db").touch()
    done = run(*on_windows(*given.split()), cwd=tmp_path)
    assert (done.stderr, done.returncode) == (f"ringback: {what} {REFUSED}\n", 1)


@pytest.mark.parametrize("given", ["--help", "dev --help", "migrate apply --help"])
def test_help_is_shown_for_every_command(given: str, tmp_path: Path) -> None:
    done = run(*on_windows(*given.split()), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: ringback" in done.stdout


def test_a_receiver_works(tmp_path: Path) -> None:
    done = run(*on_windows(program=f"{PREAMBLE}\n{RECEIVER}"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_emulator_is_refused(tmp_path: Path) -> None:
    program = f"{PREAMBLE}\nfrom ringback.testing import Emulator\nEmulator().start()"
    done = run(*on_windows(program=program), cwd=tmp_path)
    assert done.stderr.splitlines()[-1].endswith(f"ConfigurationError: the emulator {REFUSED}")


def test_a_device_with_an_address_is_refused(tmp_path: Path) -> None:
    program = f"{PREAMBLE}\n" + (
        "from ringback.cli.device.receive import receive\n"
        "class Portal:\n"
        "    def get(self, *path):\n"
        "        return {'device_ip': '127.0.0.1', 'product': 'supersim', 'sim_sid': 'HS1'}\n"
        "receive(Portal(), 'HS1', 0, count=1, as_json=True)"
    )
    done = run(*on_windows(program=program), cwd=tmp_path)
    assert done.stderr.splitlines()[-1].endswith(
        f"ConfigurationError: `ringback device receive` for a Super SIM {REFUSED}"
    )


def test_a_plan_is_not_applied(tmp_path: Path) -> None:
    program = f"{PREAMBLE}\nfrom pathlib import Path\n" + (
        "from ringback.migration.journal import JournalFile\n"
        "JournalFile(Path('kore.plan.journal'), plan_id='1')"
    )
    done = run(*on_windows(program=program), cwd=tmp_path)
    assert done.stderr.splitlines()[-1].endswith(
        f"ConfigurationError: `ringback migrate apply` or `revert` {REFUSED}"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_listen_works_and_stops_at_a_signal(number: signal.Signals, tmp_path: Path) -> None:
    command = on_windows("listen", "--port", "0", "--json")
    with subprocess.Popen(command, cwd=tmp_path, stdout=-1, stderr=-1, text=True) as listening:
        try:
            assert listening.stdout is not None
            assert "listening" in listening.stdout.readline()
            listening.send_signal(number)
            _, errors = listening.communicate(timeout=20)
        finally:
            listening.kill()
    assert (listening.returncode, "Traceback" in errors) == (0, False)


# ---- an old SQLite -------------------------------------------------------------------------------

OLD_SQLITE: Final = """
import sqlite3, sys
sqlite3.sqlite_version, sqlite3.sqlite_version_info = "3.39.4", (3, 39, 4)
sys.executable = "/usr/bin/python3"
from ringback.__main__ import main; main()
"""


@pytest.mark.parametrize(
    "given",
    [
        "dev",
        "serve",
        "accounts create Acme",
        "backup b.db",
        "restore b.db",
        "db check",
        "db status",
    ],
)
def test_an_old_sqlite_is_refused_before_anything_is_made(given: str, tmp_path: Path) -> None:
    done = run(sys.executable, "-c", OLD_SQLITE, *given.split(), cwd=tmp_path)
    assert done.returncode == 1
    assert (
        "a data file needs SQLite 3.40 or newer, and this Python (/usr/bin/python3) has 3.39.4;"
        " install Ringback with another Python, such as that of Debian 12 or newer, or use a"
        " PostgreSQL database"
    ) in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
