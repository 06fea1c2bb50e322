"""Completion by the Tab key, in real shells in a pseudo-terminal."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

COMMANDS: Final = Path(sys.executable).parent
INTERACTIVE: Final[Mapping[str, tuple[str, ...]]] = {"bash": ("bash", "-i"), "zsh": ("zsh", "-i")}
SECONDS: Final = 20

shells = pytest.mark.parametrize(
    "shell",
    [
        pytest.param(
            shell,
            marks=pytest.mark.skipif(
                shutil.which(shell) is None, reason=f"{shell} is not installed"
            ),
        )
        for shell in INTERACTIVE
    ],
)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a user with an empty home folder, and `ringback` on the PATH."""
    return {
        "HOME": str(tmp_path),
        "PATH": f"{COMMANDS}:{os.environ['PATH']}",
        "TERM": "dumb",
        "PS1": "$ ",
    }


def ringback(*words: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [COMMANDS / "ringback", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@contextmanager
def terminal(shell: str, environment: dict[str, str]) -> Iterator[int]:
    """Run an interactive shell; yield the file descriptor of its terminal."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        INTERACTIVE[shell],
        stdin=its,
        stdout=its,
        stderr=its,
        env=environment,
        cwd=environment["HOME"],
        start_new_session=True,
    )
    os.close(its)
    try:
        yield ours
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def wait_for(text: str, screen: int) -> str:
    """Read a terminal until it shows this text."""
    shown, until = "", time.monotonic() + SECONDS
    while text not in shown:
        left = until - time.monotonic()
        assert left > 0, f"no {text!r} in {shown!r}"
        if select.select([screen], [], [], left)[0]:
            shown += os.read(screen, 4096).decode(errors="replace").replace("\a", "")
    return shown


completions = pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("ringback callb", "ringback callbacks"),
        ("ringback callbacks undel", "ringback callbacks undelivered"),
        ("ringback callbacks list --sou", "ringback callbacks list --source"),
        ("ringback completion install fi", "ringback completion install fish"),
    ],
)


@shells
@completions
def test_the_tab_key_completes(
    shell: str, typed: str, completed: str, environment: dict[str, str]
) -> None:
    assert ringback("completion", "install", shell, environment=environment).returncode == 0
    with terminal(shell, environment) as screen:
        os.write(screen, b"echo re''ady\n")
        wait_for("ready", screen)
        os.write(screen, f"echo '>'; {typed}\t".encode())
        wait_for(completed, screen)


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
@completions
def test_fish_completes(typed: str, completed: str, environment: dict[str, str]) -> None:
    assert ringback("completion", "install", "fish", environment=environment).returncode == 0
    command = ["fish", "--command", f"complete --do-complete {typed!r}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    # A description may follow.
    offered = [line.partition("\t")[0] for line in done.stdout.splitlines()]
    assert offered == [completed.rsplit(maxsplit=1)[-1]]


@shells
def test_the_tab_key_does_nothing_before_the_installation(
    shell: str, environment: dict[str, str]
) -> None:
    with terminal(shell, environment) as screen:
        os.write(screen, b"echo re''ady\n")
        wait_for("ready", screen)
        os.write(screen, b"ringback callb\t-as-typed")
        wait_for("ringback callb-as-typed", screen)


def test_the_startup_file_keeps_its_text_and_gets_the_line_only_once(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    startup = tmp_path / ".bashrc"
    startup.write_text("alias ll='ls -l'\n")
    for expected in ("added a line to", "unchanged:"):
        done = ringback("completion", "install", "bash", environment=environment)
        assert f"{expected} {startup}" in done.stdout
    script = tmp_path / ".local" / "share" / "ringback" / "completion.bash"
    assert startup.read_text().splitlines() == [
        "alias ll='ls -l'",
        "",
        f"source {script}  # completion for ringback",
    ]
    assert (
        script.read_text() == ringback("completion", "show", "bash", environment=environment).stdout
    )


def test_the_login_shell_is_the_default(tmp_path: Path, environment: dict[str, str]) -> None:
    done = ringback("completion", "install", environment=environment | {"SHELL": "/bin/zsh"})
    assert re.search(r"added a line to .*/\.zshrc$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("login", "found"), [("/bin/csh", "SHELL is '/bin/csh'"), ("", "SHELL is not set")]
)
def test_a_shell_that_is_not_supported_is_refused(
    login: str, found: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    done = ringback("completion", "install", environment=environment | {"SHELL": login})
    assert (done.returncode, done.stderr) == (
        1,
        f"ringback: {found}; name a supported shell: ringback completion install bash|zsh|fish\n",
    )
    assert list(tmp_path.iterdir()) == []
