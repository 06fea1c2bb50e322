"""Follows a document from top to bottom as its reader would: types its commands, saves its files.

The language of a block, and comments right above it that readers don't see, say what to do:

- `sh`: type it into a terminal line by line. Each command has to exit with status 0.
- `text`: compare it with the output of the block before. `…` stands for any text within a line, and
  a line `…` for any lines. SIDs, tokens, times and durations may differ.
- `<!-- file: NAME -->`: save the block under this name.
- `<!-- terminal: NAME -->`: type this and the following blocks into this terminal. A new name opens
  a terminal in the same folder. Above a `text` block: wait until that terminal shows the text.
- `<!-- keeps running -->`: don't wait for the end of the command, but until it prints something.
- `<!-- keeps running: on port 9000 -->`: wait until a program listens on this port instead.
- `<!-- ends: NAME -->`: first press Ctrl-C in this terminal.
- `<!-- exits with: 1 -->`: the last command of the block exits with this status.
- `<!-- settles -->`: repeat the command until it prints the `text` that follows, for what a server
  does a moment later.
- `<!-- part of: FILE -->`: don't run the block; check that this file contains its paragraphs.
- `<!-- checked by: FILE -->`: don't run the block; this test checks it.
- `<!-- once in CI: WHY -->`: run it only in the long tests, because it installs or takes minutes.
- `<!-- not run: WHY -->`: it can't run in a test, for example because it needs a vendor's account.

A block in another language is a program, a settings file or the like, and needs one of these notes.
A block without a language is for another test, as the comment above it.

Whatever `make reference` writes from the commands is left out: test_examples.py runs it.
"""

import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Final, Self

from tests.terminals import CommandResult, Terminal, Unexpected, own_network

ROOT: Final = Path(__file__).parents[2]
PORTS: Final = (8000, 8080, 9000, 9001)
"""The ports that the documents use."""

_BLOCK: Final = re.compile(
    r"(?P<above>(?:^ *<!--(?:(?!-->).)*-->\n\s*)*)"
    r"^(?P<indent> *)(?P<fence>```+)(?P<language>\w*)[^\n]*\n(?P<text>.*?)^ *(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
_GENERATED: Final = re.compile(r"^<!-- options: .*?^<!-- end -->$", re.MULTILINE | re.DOTALL)
_NOTE: Final = re.compile(r"<!-- *([a-z A-Z]+?)(?:: *(.*?))? *-->", re.DOTALL)
_NOTES: Final = {
    "checked by",
    "ends",
    "exits with",
    "file",
    "keeps running",
    "not run",
    "once in CI",
    "part of",
    "settles",
    "terminal",
}
_NEED_A_VALUE: Final = _NOTES - {"keeps running", "settles"}
_LEFT_ALONE: Final = {"not run", "checked by", "part of"}

_VARYING: Final = [
    (re.compile(pattern), instead)
    for pattern, instead in (
        (r"\b([A-Z]{2}|acct_|cmpn-|apiclient_|whsec_)[0-9a-f]{32}\b", r"\1#"),
        (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "UUID"),
        # Midnight is the time of a date that somebody has chosen.
        (r"\b\d{4}-\d\d-\d\d[T ](?!00:00)\d\d:\d\d(:\d\d(\.\d+)?)?Z?|\b\d\d:\d\d:\d\dZ", "TIME"),
        (r"\b\d+(\.\d+)? ?(ms|s)\b", "DURATION"),
        (r"\b[0-9a-f]{64}\b|(?<![\w+/])[A-Za-z0-9+/]{27}=", "SIGNATURE"),
        (r" +", " "),
    )
]


# ---- pages ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """A block of a page: its language, its text, the notes above it, and its first line."""

    language: str
    text: str
    notes: Mapping[str, str]
    line: int

    @property
    def is_run(self) -> bool:
        """True if the block is typed into a terminal, in each suite or in the long tests."""
        return self.language == "sh" and "file" not in self.notes and not self.is_left_alone

    @property
    def is_left_alone(self) -> bool:
        """True if nobody runs, saves or compares this block."""
        return bool(self.notes.keys() & _LEFT_ALONE)


def wrong_notes(block: Block) -> list[str]:
    """Return the notes of a block that have no meaning, or lack a value."""
    return [
        name
        for name, value in block.notes.items()
        if name not in _NOTES or (name in _NEED_A_VALUE and not value)
    ]


def blocks(page: str) -> Iterator[Block]:
    """Yield the blocks of a Markdown text.

    A block without a language has no notes: the comment above it is for the test that reads it.
    """
    page = _GENERATED.sub(lambda found: "\n" * found[0].count("\n"), page)
    for found in _BLOCK.finditer(page):
        line = page.count("\n", 0, found.start("language")) + 1
        notes = dict(_NOTE.findall(found["above"])) if found["language"] else {}
        text = re.sub(rf"^{found['indent']}", "", found["text"], flags=re.MULTILINE)
        yield Block(found["language"], text, notes, line)


class PageFailure(AssertionError):
    """A page is wrong: a command fails, or prints something else than the page shows."""


# ---- readers -------------------------------------------------------------------------------------


def make_clone(folder: Path) -> None:
    """Make a folder look like a clone of this repository after `make install`."""
    for name in ("Makefile", "pyproject.toml", "requirements", "src", "docs", "examples"):
        (folder / name).symlink_to(ROOT / name)
    environment = folder / ".venv"
    environment.mkdir()
    for part in Path(sys.prefix).iterdir():
        if part.name not in {".run", ".dev"}:
            (environment / part.name).symlink_to(part)
    # Newer than all that it depends on, so that `make install` has nothing to do.
    (environment / ".run").touch()


def reader_environment(folder: Path) -> dict[str, str]:
    """Return the environment of a person with an empty home folder and without `ringback`."""
    own = Path(sys.prefix, "bin")
    path = [
        entry
        for entry in os.environ["PATH"].split(os.pathsep)
        if Path(entry) != own and not Path(entry, "ringback").exists()
    ]
    home, temporary = folder / "home", folder / "tmp"
    home.mkdir(parents=True, exist_ok=True)
    temporary.mkdir(exist_ok=True)
    return {
        "PATH": os.pathsep.join(path),
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "LC_ALL": "C.UTF-8",
    }


def as_typed_with_a_wheel(commands: str) -> str:
    """Return the commands that a person with the wheel, and without a clone, types instead."""
    lines = (
        line
        for line in commands.splitlines()
        if line not in {"make install", 'export PATH="$PWD/.venv/bin:$PATH"'}
    )
    return re.sub(r'\bmake run(?: ARGS=(["\']?)(.*)\1)?$', _as_dev, "\n".join(lines), flags=re.M)


def _as_dev(make_run: re.Match[str]) -> str:
    return f"ringback dev {make_run[2] or ''}".rstrip()


class PageReader:
    """A person who follows a page in one shell, with terminals in one folder."""

    def __init__(
        self,
        shell: str,
        folder: Path,
        environment: Mapping[str, str],
        *,
        as_typed: Callable[[str], str] = str,
        within: float = 60,
    ) -> None:
        """Prepare to read. Each command has to do what the page says `within` seconds.

        `as_typed` changes commands before they are typed, for an installation of another kind.
        """
        self._within = within
        self._shell = shell
        self._folder = folder
        self._environment = environment
        self._as_typed = as_typed
        self._terminals = dict[str, Terminal]()
        self._stack = ExitStack()
        self._current = "first"
        self._previous: Block | None = None
        self._printed: str | None = None

    def __enter__(self) -> Self:
        self._network = self._stack.enter_context(own_network(ports=PORTS))
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.__exit__(None, None, None)

    def follow(self, page: str, *, name: str = "page", is_long: bool = False) -> int:
        """Do everything that a page says; return the number of commands.

        `is_long` also runs blocks with the note `once in CI`. Raises PageFailure at the first
        command that fails or prints something else than the page shows.
        """
        count = 0
        for block in blocks(page):
            try:
                count += self._take(block, is_long=is_long)
            except _Wrong as wrong:
                where = f"{name}, line {block.line}, in {self._shell}"
                raise PageFailure(f"{where}: {wrong}") from wrong.__cause__
        return count

    def terminal(self, name: str) -> Terminal:
        """Return the terminal with this name; open it if there is none."""
        if name not in self._terminals:
            terminal = Terminal(self._shell, self._folder, self._environment, self._network)
            self._terminals[name] = self._stack.enter_context(terminal)
        return self._terminals[name]

    def _take(self, block: Block, *, is_long: bool) -> int:
        notes = block.notes
        if wrong := wrong_notes(block):
            raise _Wrong(f"the note {wrong[0]!r} has no meaning or no value", printed="")
        if block.is_left_alone or ("once in CI" in notes and not is_long):
            self._previous = None
            return 0
        if ended := notes.get("ends"):
            self.terminal(ended.removeprefix("terminal ")).interrupt()
        if block.language == "text":
            self._expect(block)
            return 0
        if "file" in notes:
            file = self._folder / notes["file"]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, "utf-8")
            return 0
        if not block.is_run:
            return 0
        self._current = notes.get("terminal", self._current)
        self._previous = block
        return self._start(block) if "keeps running" in notes else self._run(block)

    def _run(self, block: Block) -> int:
        commands = self._as_typed(block.text)
        try:
            results = self.terminal(self._current).run(commands, within=self._within)
        except Unexpected as unexpected:
            raise _Wrong(unexpected.why, command=commands, printed=unexpected.output) from None
        self._printed = "".join(result.output for result in results)
        for result in results:
            is_last = result is results[-1]
            _check_status(result, int(block.notes.get("exits with", 0)) if is_last else 0)
        return len(results)

    def _start(self, block: Block) -> int:
        commands = self._as_typed(block.text).rstrip("\n")
        terminal = self.terminal(self._current)
        port = re.fullmatch(r"on port (\d+)", block.notes["keeps running"])
        try:
            terminal.start_until(
                commands,
                lambda shown: terminal.listens(int(port[1])) if port else bool(shown.strip()),
                within=self._within,
            )
        except Unexpected as unexpected:
            raise _Wrong(unexpected.why, command=commands, printed=unexpected.output) from None
        return 1

    def _expect(self, block: Block) -> None:
        """Compare a text with what its command has printed, or wait for it if it may still come."""
        previous = self._previous
        name = block.notes.get("terminal")
        if name is not None or (previous is not None and "keeps running" in previous.notes):
            # The terminal may have shown more before.
            self._await(block, self.terminal(name or self._current), f"…\n{block.text}")
            return
        if previous is None:
            return
        end = time.monotonic() + self._within
        while not is_as_documented(self._printed or "", block.text):
            if "settles" not in previous.notes or time.monotonic() > end:
                raise _Wrong(
                    "the output is not what the page shows",
                    command=previous.text,
                    printed=self._printed or "",
                    expected=block.text,
                )
            time.sleep(0.1)
            self._run(previous)

    def _await(self, block: Block, terminal: Terminal, expected: str) -> None:
        try:
            terminal.read_until(
                lambda printed: is_as_documented(printed, expected), within=self._within
            )
        except Unexpected as unexpected:
            raise _Wrong(unexpected.why, printed=unexpected.output, expected=block.text) from None


class _Wrong(Exception):
    """What is wrong about a block, to be reported with its page and line."""

    def __init__(
        self, why: str, *, printed: str, command: str | None = None, expected: str | None = None
    ) -> None:
        parts = {"The command": command, "It printed": printed, "The page shows": expected}
        shown = (
            f"{title}:\n{indent(text.rstrip(), '    ')}"
            for title, text in parts.items()
            if text is not None
        )
        super().__init__("\n".join((why, *shown)))


def _check_status(result: CommandResult, expected: int) -> None:
    if result.status != expected:
        raise _Wrong(
            f"exit status {result.status} instead of {expected}",
            command=result.command,
            printed=result.output,
        )


# ---- comparison ----------------------------------------------------------------------------------


def is_excerpt(text: str, file: Path) -> bool:
    """Return True if a file contains each paragraph of a text."""
    whole = f"\n{file.read_text('utf-8')}"
    return all(f"\n{part.strip()}\n" in whole for part in re.split(r"\n{2,}", text))


def is_as_documented(printed: str, expected: str) -> bool:
    """Return True if a command printed what a page shows, apart from what differs each time."""
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == "…" else _line_pattern(line)
        for line in _without_varying(expected).splitlines()
    )
    return re.fullmatch(rf"\s*{pattern}\s*", _without_varying(printed) + "\n") is not None


def _line_pattern(line: str) -> str:
    return ".*".join(re.escape(part.rstrip()) for part in line.split("…")) + r"\s*?\n"


def _without_varying(text: str) -> str:
    for pattern, instead in _VARYING:
        text = pattern.sub(instead, text)
    return text
