"""Users who only receive callbacks install Ringback without any other package."""

import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.installed import build, empty_environment, offline, pip_install, run, wheels_of

# KORE's published vector V3, and what a token store and a typed event need in addition.
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
    """Return the commands' folder of an environment that has only the built wheel."""
    return _environment(tmp_path_factory.mktemp("bare"))


@pytest.fixture(scope="module")
def bare_with_pytest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the commands' folder of an environment with the wheel, pytest, and Flask's click."""
    return _environment(tmp_path_factory.mktemp("tests"), "pytest", "click")


def _environment(folder: Path, *packages: str) -> Path:
    commands = empty_environment(folder / "venv")
    wheels = wheels_of(folder / "wheels", *packages)
    pip_install(commands, build("wheel", folder), *packages, env=offline(wheels))
    return commands


def _refusal(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout
    return done.stderr


def test_a_callback_is_verified_and_remembered(bare: Path, tmp_path: Path) -> None:
    shown = run(bare / "python", "-I", "-c", PROGRAM, cwd=tmp_path)
    assert shown.strip() == "['ringback']"


NEEDS_CLICK: Final = (
    "ringback: the `ringback` command needs the module click: pip install 'ringback[server]'\n"
)


def test_the_command_names_the_extra(bare: Path, tmp_path: Path) -> None:
    assert _refusal(bare / "ringback", cwd=tmp_path) == NEEDS_CLICK
    assert _refusal(bare / "python", "-m", "ringback", cwd=tmp_path) == NEEDS_CLICK


@pytest.mark.parametrize("words", ["dev", "listen"])
def test_a_command_that_lacks_another_module_names_the_extra(
    words: str, bare_with_pytest: Path, tmp_path: Path
) -> None:
    said = _refusal(bare_with_pytest / "ringback", words, cwd=tmp_path)
    assert re.fullmatch(
        r"ringback: the `ringback` command needs the module \w+: pip install"
        r" 'ringback\[server\]'\n",
        said,
    )


def test_the_emulator_names_the_extra(bare: Path, tmp_path: Path) -> None:
    said = _refusal(bare / "python", "-c", "import ringback.testing", cwd=tmp_path)
    assert re.search(
        r"^ModuleNotFoundError: ringback\.testing needs the module \w+: pip install"
        r" 'ringback\[server\]'$",
        said,
        re.MULTILINE,
    )


SUITE: Final = """
import pytest

def test_of_a_receiver():
    from ringback.receiver import Receiver
    Receiver("https://example.com/", kore_secrets=["12345"])

def test_that_is_skipped_without_the_emulator():
    pytest.importorskip("ringback.testing")

def test_with_the_emulator(emulator):
    raise AssertionError("not reached")
"""


def test_the_pytest_plugin_disturbs_no_suite_that_does_not_use_it(
    bare_with_pytest: Path, tmp_path: Path
) -> None:
    (tmp_path / "test_application.py").write_text(SUITE)
    command = (bare_with_pytest / "python", "-m", "pytest", "-rs", "-p", "no:cacheprovider")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 passed, 1 skipped, 1 error" in done.stdout
    assert re.search(
        r"^E +ModuleNotFoundError: ringback\.testing needs the module \w+: pip install"
        r" 'ringback\[server\]'$",
        done.stdout,
        re.MULTILINE,
    )
