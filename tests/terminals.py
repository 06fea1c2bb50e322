"""Real terminals: bash or zsh in a pseudo-terminal, in a network of its own with all ports free.

Needs Linux, with `unshare`, `nsenter` and `setsid` of util-linux.
"""

import errno
import fcntl
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from typing import Final, Self

import pytest

SHELLS: Final = ("bash", "zsh")

_READY: Final = re.compile(rb"\x1e(\d+)\x1f")
"""The prompt of both shells, which has the exit status of the last command."""
_CONTINUED: Final = b"\x1d"
"""The prompt for the next line of an unfinished command."""
_QUESTION: Final = b"[y/N]: "
_OVERWRITTEN: Final = re.compile(r"^.*\r", re.MULTILINE)
_LISTENS: Final = "0A"
"""The state of a listening socket in /proc/net/tcp."""
_CONTROL_SEQUENCES: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]")

# No shell reads start-up files or edits lines: all that comes out of the terminal is output.
_COMMAND_LINES: Final[Mapping[str, Sequence[str]]] = {
    "bash": ("bash", "--noprofile", "--norc", "--noediting", "-i"),
    "zsh": ("zsh", "-f", "-i", "+Z", "+o", "prompt_sp", "+o", "prompt_cr"),
}
_PROMPTS: Final[Mapping[str, Mapping[str, str]]] = {
    "bash": {"PS1": r"\036$?\037", "PS2": r"\035"},
    "zsh": {"PS1": "\x1e%?\x1f", "PS2": "\x1d"},
}

_BRING_UP: Final = """
import fcntl, signal, socket, struct
# SIOCSIFFLAGS: IFF_UP, IFF_LOOPBACK and IFF_RUNNING of the loopback device.
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh", b"lo", 0x49))
print("up", flush=True)
signal.pause()
"""


@dataclass(frozen=True)
class CommandResult:
    """A command as it was typed, its output (stdout and stderr) and its exit status."""

    command: str
    output: str
    status: int


class Unexpected(AssertionError):
    """A terminal did not do in time what was waited for. `output` is what it printed."""

    def __init__(self, why: str, output: str) -> None:
        super().__init__(f"{why}; printed:\n{output}")
        self.why = why
        self.output = output


class Terminal:
    """One shell in a pseudo-terminal of 100 columns."""

    def __init__(
        self, shell: str, folder: Path, environment: Mapping[str, str], network: Sequence[str] = ()
    ) -> None:
        """Start the shell; skip the test if it is not installed.

        `network` is what `own_network` yields.
        """
        if shutil.which(shell) is None:
            pytest.skip(f"{shell} is not installed on this machine; .ci/run installs it")
        self._master, slave = os.openpty()
        modes = termios.tcgetattr(slave)
        modes[3] &= ~termios.ECHO
        termios.tcsetattr(slave, termios.TCSANOW, modes)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        self._unread = b""
        self._output = Queue[bytes]()
        self._process = subprocess.Popen(
            [*network, "setsid", "--ctty", *_COMMAND_LINES[shell]],
            cwd=folder,
            env={**environment, **_PROMPTS[shell], "TERM": "xterm"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)
        # A program waits if nobody reads what it prints.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        self._until(_READY, within=20)
        return self

    def __exit__(self, *_exc: object) -> None:
        # All that was started here gets the signal of a terminal that is closed.
        self._signal_all(signal.SIGHUP)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._signal_all(signal.SIGKILL)
        self._reader.join(5)
        os.close(self._master)

    def _signal_all(self, number: signal.Signals) -> None:
        for process in _processes_of_session(self._process.pid):
            with suppress(ProcessLookupError):
                os.kill(process, number)

    def run(
        self, commands: str, *, within: float = 30, says_yes: bool = False
    ) -> list[CommandResult]:
        """Type the lines of `commands`; return the result of each command.

        `says_yes` types `y` if a command asks for it.
        Raises Unexpected if a command does not end in time, or if the last one is unfinished.
        """
        results, typed = list[CommandResult](), list[str]()
        for line in commands.splitlines():
            typed.append(line)
            self._type(line)
            ended = self._until(_READY, within=within, unless=_CONTINUED, says_yes=says_yes)
            if ended is not None:
                output, status = ended
                results.append(CommandResult("\n".join(typed), output, status))
                typed.clear()
        if typed:
            raise Unexpected("the command is unfinished", "\n".join(typed))
        return results

    def start_until(
        self, command: str, is_done: Callable[[str], bool], *, within: float = 30
    ) -> str:
        """Start a command that keeps running; return its output as soon as `is_done` accepts it.

        `read_until` returns this output again. Raises Unexpected if the command ends, or if
        `is_done` does not accept its output in time.
        """
        *first, last = command.splitlines()
        for line in first:
            self._type(line)
            self._until(_READY, within=within, unless=_CONTINUED)
        self._type(last)
        return self._await(is_done, within=within)

    def read_until(self, is_done: Callable[[str], bool], *, within: float = 30) -> str:
        """Return the new output of the command that runs, as soon as `is_done` accepts it."""
        shown = self._await(is_done, within=within)
        self._unread = b""
        return shown

    def _await(self, is_done: Callable[[str], bool], *, within: float) -> str:
        end = time.monotonic() + within
        while not is_done(shown := _as_text(self._unread)):
            if ended := _READY.search(self._unread):
                raise Unexpected(f"the command ended with exit status {int(ended[1])}", shown)
            self._wait(end, "no such output", within, at_most=0.05)
        return shown

    def listens(self, port: int) -> bool:
        """Return True if a program in the network of this terminal listens on a TCP port."""
        tables = Path(f"/proc/{self._process.pid}/net")
        rows = (line.split() for kind in ("tcp", "tcp6") for line in _lines(tables / kind))
        return any(row[1].endswith(f":{port:04X}") and row[3] == _LISTENS for row in rows)

    def interrupt(self, *, within: float = 20) -> CommandResult:
        """Press Ctrl-C; return what the command still printed, and its exit status."""
        self._press(b"\x03")
        ended = self._until(_READY, within=within)
        assert ended is not None
        return CommandResult("^C", *ended)

    def _read(self) -> None:
        """Read to the end of the terminal, which comes after the last program in it."""
        while True:
            try:
                printed = os.read(self._master, 65536)
            except OSError as closed:
                if closed.errno != errno.EIO:
                    raise
                printed = b""
            self._output.put(printed)
            if not printed:
                return

    def _type(self, line: str) -> None:
        self._press(line.encode() + b"\n")

    def _press(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def _until(
        self,
        prompt: re.Pattern[bytes],
        *,
        within: float,
        unless: bytes = b"\0",
        says_yes: bool = False,
    ) -> tuple[str, int] | None:
        """Return the output before the prompt and the status in it, or None at another prompt."""
        end = time.monotonic() + within
        while True:
            if found := prompt.search(self._unread):
                printed, self._unread = self._unread[: found.start()], self._unread[found.end() :]
                return _as_text(printed), int(found[1])
            if self._unread.endswith(unless):
                self._unread = self._unread.removesuffix(unless)
                return None
            if says_yes and self._unread.endswith(_QUESTION):
                self._unread += b"\n"
                self._type("y")
            self._wait(end, "the command did not end", within)

    def _wait(self, end: float, why: str, within: float, *, at_most: float = 60) -> None:
        """Wait for more output: up to `at_most` seconds, and never beyond `end`."""
        left = end - time.monotonic()
        if left <= 0:
            raise Unexpected(f"{why} within {within} s", _as_text(self._unread))
        try:
            printed = self._output.get(timeout=min(left, at_most))
        except Empty:
            return
        if not printed:
            raise Unexpected("the shell ended", _as_text(self._unread))
        self._unread += printed


def _as_text(printed: bytes) -> str:
    """Return output as lines, without colours, prompts, and text that was overwritten."""
    text = _READY.sub(b"", printed).decode(errors="replace").replace("\r\n", "\n")
    return _OVERWRITTEN.sub("", _CONTROL_SEQUENCES.sub("", text))


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines()[1:] if file.exists() else []


def _processes_of_session(session: int) -> list[int]:
    found = list[int]()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(folder.name)) == session:
                found.append(int(folder.name))
        except ProcessLookupError:
            continue
    return found


# ---- networks ------------------------------------------------------------------------------------


@contextmanager
def own_network(*, ports: Sequence[int]) -> Generator[Sequence[str]]:
    """Make a network with nothing but a loopback device; yield the command to start others in it.

    Root makes it directly, and anybody else in a user namespace of their own. If the system allows
    neither, the network of this machine is used, by one test at a time. Then these ports have to be
    free.
    """
    as_root = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    with subprocess.Popen(
        ["unshare", *as_root, "--net", sys.executable, "-c", _BRING_UP],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as holder:
        try:
            assert holder.stdout is not None
            if holder.stdout.readline() == "up\n":
                user = ("--user", "--preserve-credentials") if as_root else ()
                yield ("nsenter", "--target", str(holder.pid), "--net", *user)
                return
        finally:
            holder.kill()
    with shared_network(ports):
        yield ()


@contextmanager
def shared_network(ports: Sequence[int]) -> Generator[None]:
    """Wait until no other test uses the pages' ports on this machine.

    Raises AssertionError if another program listens on one of them.
    """
    with Path(tempfile.gettempdir(), "ringback-tests-ports.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for port in ports:
            with closing(socket.socket()) as attempt:
                attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    attempt.bind(("127.0.0.1", port))
                except OSError as taken:
                    raise AssertionError(
                        f"port {port} of 127.0.0.1, which the documents use, can't be used"
                        f" ({taken.strerror}), and no network namespace can be made here:"
                        " end what listens there"
                    ) from taken
        yield
