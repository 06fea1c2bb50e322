"""Who only receives callbacks installs Ringback and nothing else."""

import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
# KORE's published vector V3, and what a store of tokens and a typed event need beside it.
PROGRAM: Final = """
import sys
from ringback.receiver import Accepted, Duplicate, Receiver, Rejected, SqliteDedupe
from ringback.receiver.events import UnknownEvent

callbacks = Receiver(
    "https://testendpoint.com#cbs=kore", kore_secrets=["12345"], seen=SqliteDedupe("seen.db")
)
headers = {
    "kore-signature": "f562d3959f68b5a30fc7a63f8bbf40987f633575f4231ffceb4f76dd154ea3ce",
    "kore-idempotency-token": "RQ000102030405060708090a0b0c0d0e0f",
}
body = b"field1=value1&field2=value2"
first = callbacks.receive("POST", headers, body)
assert isinstance(first, Accepted)
assert isinstance(first.callback.event, UnknownEvent)
assert first.done()
assert isinstance(callbacks.receive("POST", headers, body), Duplicate)
assert isinstance(callbacks.receive("POST", headers, body + b"&x"), Rejected)
outside = [name for name in sys.modules if "site-packages" in str(sys.modules[name])]
print(sorted({name.partition(".")[0] for name in outside}))
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the commands of an environment that holds the built wheel and nothing else."""
    folder = tmp_path_factory.mktemp("bare")
    build = f"import flit_core.buildapi as build; print(build.build_wheel({str(folder)!r}))"
    built = _run(sys.executable, "-c", build, cwd=ROOT).split()[-1]
    venv.create(folder / "venv", symlinks=True)
    commands = folder / "venv" / "bin"
    pip = [sys.executable, "-m", "pip", "--python", str(commands / "python"), "--isolated"]
    _run(*pip, "install", "--quiet", "--no-deps", "--no-index", str(folder / built), cwd=folder)
    return commands


def _run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_callback_is_checked_and_remembered(bare: Path, tmp_path: Path) -> None:
    shown = _run(str(bare / "python"), "-I", "-c", PROGRAM, cwd=tmp_path)
    assert shown.strip() == "['ringback']"


def test_the_command_says_what_it_needs(bare: Path) -> None:
    done = subprocess.run([bare / "ringback"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("ringback: the command needs click, which is not installed;")
    assert "install 'ringback[server]'" in done.stderr
