"""Pictures and recordings of a terminal for the website, made from runs of real commands.

A marker on a page is replaced with a recording by `python -m docs_build.site`:

    <!-- picture: listen -->   the last state of the terminal
    <!-- cast: first-minute --> the same, with a button that plays the recording

Both are text: a reader can select it, search it and have it read aloud.
"""

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from codecs import getincrementaldecoder
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]

_WIDTH: Final = 100
_TYPED_AT: Final = 0.035
"""Seconds that typing a letter seems to take."""
_READ_FOR: Final = 1.2
"""Seconds that a recording pauses after each command, so that its output can be read."""
_PATIENCE: Final = 20.0
_ESCAPE: Final = re.compile(r"(\x1b\[[0-9;?]*[A-Za-z])")
_CLASSES: Final = {
    "1": "bold",
    "2": "dim",
    "31": "red",
    "32": "green",
    "33": "yellow",
    "34": "blue",
    "35": "magenta",
    "36": "cyan",
}


@dataclass
class Recording:
    """The output of a terminal, piece by piece, each with its time in seconds."""

    title: str
    pieces: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    now: float = 0.0

    def type(self, command: str) -> None:
        """Show a command as if somebody typed it."""
        self.pieces.append((self.now, "\x1b[2m$\x1b[0m "))
        for letter in command:
            self.now += _TYPED_AT
            self.pieces.append((self.now, letter))
        self.now += 0.3
        self.pieces.append((self.now, "\n"))

    def show(self, command: str, folder: Path) -> str:
        """Type a `ringback` command and run it; return its output."""
        self.type(command)
        return self.run(ringback(*command.split()[1:]), folder)

    def run(self, command: Sequence[str], folder: Path) -> str:
        """Add a command's output, with the time that it took; return the output."""
        began, start = time.monotonic(), self.now
        printed = ""
        with running(command, folder) as program:
            for piece in program.output():
                self.now = start + time.monotonic() - began
                self.pieces.append((self.now, piece))
                printed += piece
        self.now += _READ_FOR
        return printed

    def as_html(self, *, plays: bool) -> str:
        """Return the terminal as HTML; if it `plays`, each piece of text has its time."""
        title = escape(self.title)
        label = f'tabindex="0" role="region" aria-label="Terminal: {title}"'
        screen = f"<pre {label}>{''.join(_spans(self.pieces, timed=plays))}</pre>"
        kind = "rb-terminal rb-cast" if plays else "rb-terminal"
        caption = f"<figcaption>{title}</figcaption>" if plays else ""
        # Markdown would end the HTML at an empty line.
        return f'<figure class="{kind}">{screen}{caption}</figure>'.replace("\n", "&#10;")

    def as_asciicast(self) -> str:
        """Return the recording in the format that asciinema plays (asciicast v2)."""
        head = {"version": 2, "width": _WIDTH, "height": 30, "title": self.title}
        lines = [json.dumps(head)]
        for at, text in self.pieces:
            lines.append(json.dumps([round(at, 3), "o", text.replace("\n", "\r\n")]))
        return "\n".join(lines) + "\n"


def recordings(api_page: Path) -> dict[str, Recording]:
    """Return all recordings by name; write a picture of the API's page to `api_page`."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with running(ringback("dev", "--port", "0", "--gateway", "none"), folder) as dev:
            dev.wait_for("callbacks list")
            with running(ringback("listen"), folder) as listen:
                listen.wait_for("listening on")
                cast = _first_minute(folder)
                heard = listen.wait_for(r"kore  POST .*?answered.*?\n")
            _photograph_the_api_page(folder, api_page)
            return {
                "demo": _of("ringback demo", folder),
                "first-minute": cast,
                "listen": _shown("ringback listen", heard),
                "callbacks-list": _of("ringback callbacks list", folder),
                "policy-show": _of("ringback policy show", folder),
                "probe": _probe(folder),
            }


def _first_minute(folder: Path) -> Recording:
    cast = Recording("One callback from each source, and the record of the newest")
    cast.show("ringback trigger sim.inactive --cbs twilio", folder)
    cast.show("ringback trigger sim.active --cbs kore", folder)
    cast.show("ringback callbacks list", folder)
    cast.show("ringback callbacks show", folder)
    return cast


def _of(command: str, folder: Path) -> Recording:
    recording = Recording(command)
    recording.show(command, folder)
    return recording


def _shown(command: str, output: str) -> Recording:
    recording = Recording(command)
    recording.type(command)
    recording.pieces.append((recording.now, output.lstrip("\n")))
    return recording


def _probe(folder: Path) -> Recording:
    """Probe an example that verifies only Twilio's signature, as many receivers do today."""
    program = ROOT / "examples" / "receivers" / "checks_twilio_only.py"
    secrets = {"TWILIO_AUTH_TOKEN": "made-up-auth-token", "KORE_SECRET": "made-up-secret"}
    recording = Recording("ringback probe, with a receiver that checks Twilio's signature alone")
    with running((sys.executable, str(program), "--port", "0"), folder, **secrets) as receiver:
        url = receiver.wait_for(r"http://\S+\n").strip()
        shown = '--auth-token "$TWILIO_AUTH_TOKEN" --kore-secret "$KORE_SECRET"'
        given = "--auth-token", *secrets.values()
        recording.type(f'ringback probe "{url}" {shown}')
        recording.run(ringback("probe", url, *given[:2], "--kore-secret", given[2]), folder)
    return recording


def _photograph_the_api_page(folder: Path, picture: Path) -> None:
    """Write a picture of the API's own page to a PNG file, if there is a Chromium."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        return
    details = json.loads((folder / "ringback-data" / "dev.json").read_text("utf-8"))
    flags = (
        "--headless=new",
        "--no-sandbox",  # needs permissions that a container's root lacks
        "--disable-gpu",
        "--hide-scrollbars",
        "--window-size=1200,900",
        "--virtual-time-budget=10000",
        f"--user-data-dir={folder / 'profile'}",
        f"--screenshot={picture}",
    )
    subprocess.run(
        (browser, *flags, f"{details['base_url']}/docs"), capture_output=True, check=True
    )


# ---- programs in a terminal ----------------------------------------------------------------------


class Program:
    """A program that runs in a terminal of its own."""

    def __init__(self, command: Sequence[str], folder: Path, **variables: str) -> None:
        self._ours, theirs = pty.openpty()
        environment = environment_without_settings()
        environment |= {"TERM": "xterm-256color", "COLUMNS": str(_WIDTH), **variables}
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)

    def output(self, patience: float = _PATIENCE) -> Iterator[str]:
        """Yield the output as it arrives, until the program ends."""
        decode = getincrementaldecoder("utf-8")("replace").decode
        end = time.monotonic() + patience
        while (left := end - time.monotonic()) > 0:
            ready, _, _ = select.select([self._ours], [], [], left)
            try:
                piece = os.read(self._ours, 65536) if ready else b""
            except OSError:  # Linux reports this when the other side is closed
                return
            if piece:
                yield decode(piece).replace("\r\n", "\n")
        raise TimeoutError(f"{self.process.args}: goes on after {patience} s")

    def wait_for(self, pattern: str) -> str:
        """Wait until the output contains this pattern, and return all of it."""
        printed = ""
        for piece in self.output():
            printed += piece
            if re.search(pattern, printed, re.DOTALL):
                return printed
        raise RuntimeError(f"{self.process.args} has ended without {pattern!r}:\n{printed}")

    def close(self) -> None:
        """End it as Ctrl-C does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(_PATIENCE)
        os.close(self._ours)


@contextmanager
def running(command: Sequence[str], folder: Path, **variables: str) -> Generator[Program]:
    """Run a program in a terminal of its own, and end it as Ctrl-C does."""
    program = Program(command, folder, **variables)
    try:
        yield program
    finally:
        program.close()


def environment_without_settings() -> dict[str, str]:
    """Return the environment for a command, without variables that are settings of Ringback."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RINGBACK_")}


def ringback(*arguments: str) -> tuple[str, ...]:
    """Return the command line of a `ringback` command."""
    return (sys.executable, "-m", "ringback", *arguments)


# ---- a terminal as HTML --------------------------------------------------------------------------


def _spans(pieces: Sequence[tuple[float, str]], *, timed: bool) -> Iterator[str]:
    """Yield the text as HTML; colours are classes, and times are in milliseconds."""
    style = ""
    for at, text in pieces:
        html = ""
        for part in _ESCAPE.split(_last_of_each_line(text)):
            if _ESCAPE.fullmatch(part):
                style = _style_after(style, part)
            elif part:
                html += f'<span class="{style}">{escape(part)}</span>' if style else escape(part)
        if html:
            yield f'<span data-at="{at * 1000:.0f}">{html}</span>' if timed else html


def _last_of_each_line(text: str) -> str:
    """Return the text without what a carriage return has overwritten."""
    return "\n".join(line.rpartition("\r")[2] for line in text.split("\n"))


def _style_after(style: str, escape_sequence: str) -> str:
    """Return the classes of the text that follows an escape sequence."""
    if not escape_sequence.endswith("m"):
        return style
    for code in escape_sequence[2:-1].split(";"):
        if code in _CLASSES:
            style = f"{style} {_CLASSES[code]}".strip()
        elif code in {"", "0"}:
            style = ""
    return style
