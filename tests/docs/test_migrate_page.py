"""docs/migrate.md: each of its commands is run, in order, and prints what the page shows."""

import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.migration.filters import rank
from tests.ports import free_port

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "migrate.md").read_text("utf-8")
MAKEFILE: Final = (ROOT / "Makefile").read_text("utf-8")
BLOCKS: Final = re.findall(r"^```(\S*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
SERVE: Final = "make run"
LEFT_OUT: Final = "…"
IN_TIME: Final = re.compile(r"ringback (callbacks|shadow|policy) ")
"""Commands that show what a server does by itself, a moment later."""
END: Final = "--- this command has ended:"


@dataclass(frozen=True)
class Shown:
    """A command of the page, and what it says that the command prints."""

    command: str
    output: str


def shown_in(block: str) -> Iterator[Shown]:
    """Yield the commands of a console block; one goes on after a backslash, and to its END."""
    lines = iter(block.splitlines())
    command, output = "", list[str]()
    for line in lines:
        if not line.startswith("$ "):
            output.append(line)
            continue
        if command:
            yield Shown(command, "\n".join(output))
        command, output = line[2:], []
        while command.endswith("\\"):
            command += f"\n{next(lines)}"
        if command.endswith("<<'END'"):
            rest = itertools.takewhile(lambda line: line != "END", lines)
            command = "\n".join((command, *rest, "END"))
    yield Shown(command, "\n".join(output))


def as_pattern(output: str) -> str:
    """Return what printed text has to be like; `…` is any text, on a line of its own any lines."""
    lines = (
        "(?:.*\n)*?" if line == LEFT_OUT else ".*?".join(map(re.escape, line.split("…"))) + "\n"
        for line in output.splitlines()
    )
    return "".join(lines)


@dataclass
class Terminals:
    """The two terminals of the page: one has the server, the other a shell."""

    folder: Path
    ports: dict[str, int]
    shell: subprocess.Popen[str]
    server: subprocess.Popen[str] | None = None

    def run(self, shown: Shown) -> None:
        """Run a command, and see that it prints what the page says."""
        here = Shown(*map(self._as_it_is_here, (shown.command, shown.output)))
        if here.command.startswith(SERVE):
            self._serve(here.command)
            return
        pattern = re.compile(as_pattern(here.output))
        pauses = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2) if IN_TIME.match(here.command) else ()
        printed = self._run(here.command)
        for pause in pauses:
            if pattern.fullmatch(printed):
                break
            time.sleep(pause)
            printed = self._run(here.command)
        if not pattern.fullmatch(printed):
            pytest.fail(f"{here.command}\n--- printed:\n{printed}--- the page:\n{here.output}")

    def _as_it_is_here(self, text: str) -> str:
        """Put what is different here in the place of ports, secrets, and the year to come."""
        for name, port in self.ports.items():
            text = re.sub(rf"\b{name}\b", str(port), text)
        text = text.replace("2027-", f"{datetime.now(UTC).year + 1}-")
        if "RINGBACK_AUTH_TOKEN=…" in text:
            dev = json.loads((self.folder / "ringback-data" / "dev.json").read_text("utf-8"))
            text = text.replace("RINGBACK_AUTH_TOKEN=…", f"RINGBACK_AUTH_TOKEN={dev['auth_token']}")
            text = text.replace(
                "RINGBACK_KORE_SECRET=…", f"RINGBACK_KORE_SECRET={dev['kore_secret']}"
            )
        return text

    def _serve(self, command: str) -> None:
        """Do what make does, in the place of the server that ran before."""
        assert "\t@exec $(BIN)/ringback dev $(ARGS)\n" in MAKEFILE
        self.stop()
        flags = re.fullmatch(r'make run(?: ARGS="(.*)")?', command)
        assert flags, command
        self.server = subprocess.Popen(
            [
                *(sys.executable, "-m", "ringback", "dev", "--json", "--gateway", "none"),
                *("--port", str(self.ports["8080"]), *(flags[1] or "").split()),
            ],
            cwd=self.folder,
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.server.stdout is not None
        assert self.server.stdout.readline(), "the server did not start"

    def _run(self, command: str) -> str:
        assert self.shell.stdin is not None
        assert self.shell.stdout is not None
        is_background = command.endswith("&")
        # What is left in the background must not print into the next command's output.
        quiet = f"{command.removesuffix('&')} > background.out &" if is_background else command
        status = "; (exit $status)"
        self.shell.stdin.write(f"{quiet}\nstatus=$?; echo '{END}'{status}\n")
        self.shell.stdin.flush()
        printed = "".join(iter(self.shell.stdout.readline, f"{END}\n"))
        if is_background:
            self._await_port(command)
        return printed

    def _await_port(self, command: str) -> None:
        (port,) = re.findall(r"--port (\d+)", command)
        for _ in range(200):
            with closing(socket.socket()) as attempt:
                if attempt.connect_ex(("127.0.0.1", int(port))) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError(f"nobody listens: {command}")

    def stop(self) -> None:
        """End the server, as Ctrl-C does."""
        if self.server is not None:
            self.server.send_signal(signal.SIGINT)
            self.server.communicate()
            self.server = None


def environment() -> dict[str, str]:
    """Return the environment of somebody who has set nothing of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RINGBACK_")}


def clone(folder: Path) -> None:
    """Make a folder what a clone is, after its first `make run`."""
    for name in ("examples", "docs"):
        (folder / name).symlink_to(ROOT / name)
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, arguments in {"python": "", "ringback": " -m ringback"}.items():
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}"{arguments} "$@"\n', "utf-8")
        program.chmod(0o755)


def free_ports() -> dict[str, int]:
    """Return a free port for each of the page's.

    The receivers' come in the same order, and are drawn by lot in the same order, as on the page.
    """
    while True:
        first, second = sorted((free_port(), free_port()))
        if drawn(second) < 0.5 < drawn(first):
            return {"8080": free_port(), "9000": first, "9001": second}


def drawn(port: int) -> float:
    return rank(CallbackUrl.parse(f"http://127.0.0.1:{port}/callbacks"))


@contextmanager
def terminals(folder: Path) -> Generator[Terminals]:
    clone(folder)
    with subprocess.Popen(
        ["bash", "--norc"],
        cwd=folder,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as shell:
        found = Terminals(folder, free_ports(), shell)
        assert shell.stdin is not None
        shell.stdin.write("set -m\n")
        try:
            yield found
        finally:
            found.stop()
            # Its output is a pipe that nobody reads any more: a word there would end it too early.
            shell.stdin.write("kill $(jobs -rp) > /dev/null 2>&1\n")
            shell.stdin.close()
            shell.wait()


def test_the_lots_of_the_pages_receivers_are_as_the_test_draws_them() -> None:
    assert drawn(9001) < 0.5 < drawn(9000)


def test_there_is_no_block_but_of_commands() -> None:
    assert {kind for kind, _ in BLOCKS} == {"console"}
    assert PAGE.count("```") == 2 * len(BLOCKS)
    assert all(block.startswith("$ ") for _, block in BLOCKS)


@pytest.mark.skipif(
    shutil.which("curl") is None or shutil.which("bash") is None, reason="needs curl and bash"
)
@pytest.mark.timeout(180)  # three dozen programs, where others may be using the machine
def test_each_command_prints_what_the_page_shows(tmp_path: Path) -> None:
    with terminals(tmp_path) as both:
        for _, block in BLOCKS:
            for shown in shown_in(block):
                both.run(shown)
