"""Each page works as printed: its commands are typed into bash and zsh in an empty folder."""

import re
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import click
import psycopg
import pytest
from _pytest.mark.structures import ParameterSet
from psycopg.conninfo import conninfo_to_dict

from docs_build.reference import commands
from ringback.api.host_routing import KORE_HOSTS
from ringback.core.policy.source_policy import Source
from ringback.stores.encryption import new_key
from tests.docs.page_runner import (
    PORTS,
    ROOT,
    Block,
    PageReader,
    as_typed_with_a_wheel,
    blocks,
    is_excerpt,
    make_clone,
    reader_environment,
    wrong_notes,
)
from tests.installed import BUILT_BY, build, empty_environment, offline, pip_install, wheels_of
from tests.terminals import SHELLS, Terminal, own_network

PAGES: Final = [
    ROOT / "README.md",
    *sorted((ROOT / "examples").rglob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
LONG: Final = {"docs/migrate.md", "docs/probe.md", "docs/tutorials/tests.md"}
"""The pages that take longest, which only the long tests follow."""
IN_ZSH: Final = {"docs/tutorials/receiver.md"}
"""The pages that not only the long tests follow in zsh."""
WITH_A_WHEEL: Final = ["README.md", "docs/tutorials/receiver.md"]
"""The pages for which a person needs no clone."""

# What no test has, which is the only reason for a command not to be run.
IMPOSSIBLE: Final = re.compile(
    r"\bsudo\b|changes the (network|whole machine)|account at (Twilio|KORE|the vendor)"
    r"|on (macOS|Windows)|needs (systemd|a (package registry|proxy|database|cluster|container))"
)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks_of(page: Path) -> list[Block]:
    return list(blocks(page.read_text("utf-8")))


RUN: Final = [
    page
    for page in PAGES
    if any(block.is_run and "once in CI" not in block.notes for block in blocks_of(page))
]
RUN_LONG: Final = [
    page
    for page in PAGES
    if any(block.is_run and "once in CI" in block.notes for block in blocks_of(page))
]


def follow(
    page: Path,
    shell: str,
    folder: Path,
    *,
    is_long: bool = False,
    more: Mapping[str, str] | None = None,
) -> int:
    clone = folder / "clone"
    clone.mkdir()
    make_clone(clone)
    environment = {**reader_environment(folder), **(more or {})}
    text = page.read_text("utf-8")
    if "export PATH=" not in text:
        # The page is read after the installation, which the README describes.
        environment["PATH"] = f"{clone}/.venv/bin:{environment['PATH']}"
    with PageReader(shell, clone, environment) as reader:
        return reader.follow(text, name=name_of(page), is_long=is_long)


@pytest.mark.parametrize("name", ["README.md", "docs/index.md", "docs/tutorials/receiver.md"])
def test_a_page_for_newcomers_puts_the_command_on_the_path(name: str) -> None:
    assert 'export PATH="$PWD/.venv/bin:$PATH"' in (ROOT / name).read_text("utf-8")


def ways_to_follow() -> Iterator[ParameterSet]:
    """Yield each page with each shell; for pages with long commands also with these."""
    for page, shell in product(PAGES, SHELLS):
        name = name_of(page)
        is_slow = name in LONG or (shell == "zsh" and name not in IN_ZSH)
        marks = [pytest.mark.long] if is_slow else []
        if page in RUN:
            yield pytest.param(page, shell, False, id=f"{name}-{shell}", marks=marks)
        if page in RUN_LONG:
            yield pytest.param(page, shell, True, id=f"{name}-{shell}-long", marks=pytest.mark.long)


@pytest.mark.timeout(300)  # dozens of programs, while other tests may use the machine
@pytest.mark.parametrize(("page", "shell", "is_long"), list(ways_to_follow()))
def test_each_command_works_as_printed(
    page: Path, shell: str, is_long: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    more = dict[str, str]()
    if page.name == "scale.md":
        dsn: str = request.getfixturevalue("postgres_dsn")
        name = f"scale_{shell}_{is_long}".lower()
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        parameters = {**conninfo_to_dict(dsn), "dbname": name}
        more["RINGBACK_DATABASE"] = f"postgresql:///?{urlencode(parameters)}"
        more["RINGBACK_SEAL_KEY"] = new_key()
    assert follow(page, shell, tmp_path, is_long=is_long, more=more) > 0


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the command of an installed wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    env = offline(wheels_of(folder / "wheels", "ringback[all]", BUILT_BY, "pip"))
    commands = empty_environment(folder / "venv")
    pip_install(commands, f"ringback[all] @ {build('wheel', folder).as_uri()}", env=env)
    return commands


@pytest.mark.long
@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "page", [page for page in RUN if name_of(page) in WITH_A_WHEEL], ids=name_of
)
def test_each_command_works_with_an_installed_wheel(
    page: Path, shell: str, wheel: Path, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    environment = reader_environment(tmp_path)
    environment["PATH"] = f"{wheel}:{environment['PATH']}"
    with PageReader(shell, work, environment, as_typed=as_typed_with_a_wheel) as reader:
        assert reader.follow(page.read_text("utf-8"), name=name_of(page)) > 0


# ---- no block escapes ----------------------------------------------------------------------------


def escaped(page: str) -> Iterator[str]:
    """Yield each block that nobody runs, saves or compares, with its line."""
    lines, follows_a_command = page.splitlines(), False
    for block in blocks(page):
        where, language, notes = f"line {block.line}", block.language, block.notes
        for note in wrong_notes(block):
            yield f"{where}: the note {note!r} has no meaning or no value"
        if (reason := notes.get("not run")) and not IMPOSSIBLE.search(reason):
            yield f"{where}: a test could run it: {reason}"
        if (test := notes.get("checked by")) and not (ROOT / test).is_file():
            yield f"{where}: there is no file {test}"
        if (whole := notes.get("part of")) and not is_excerpt(block.text, ROOT / whole):
            yield f"{where}: this is not an excerpt of {whole}"
        if not language and not lines[block.line - 2].endswith("-->"):
            yield f"{where}: the block has no language"
        if language == "sh" and re.search(r"^\$ ", block.text, re.MULTILINE):
            yield f"{where}: who pastes this, pastes the prompt too"
        if block.is_run and "…" in block.text:
            yield f"{where}: the reader has to fill in …"
        is_compared = follows_a_command or block.is_left_alone or "terminal" in notes
        if language == "text" and not is_compared:
            yield f"{where}: no command prints this text"
        is_used = "file" in notes or block.is_left_alone
        if language not in {"", "sh", "text", "mermaid"} and not is_used:
            yield f"{where}: nobody saves or runs this {language} block"
        follows_a_command = block.is_run or (follows_a_command and language == "text")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_block_escapes(page: Path) -> None:
    assert "\n".join(escaped(page.read_text("utf-8"))) == ""


@pytest.mark.parametrize(
    ("block", "why"),
    [
        ("```python\npass\n```\n", "nobody saves or runs this python block"),
        ("```text\nmoved 1 of 1\n```\n", "no command prints this text"),
        ("```sh\n$ ringback dev\n```\n", "who pastes this, pastes the prompt too"),
        ("```sh\nexport KORE_SECRET=…\n```\n", "the reader has to fill in …"),
        ("```\nringback dev\n```\n", "the block has no language"),
        (
            "<!-- keep running -->\n```sh\nfalse\n```\n",
            "the note 'keep running' has no meaning or no value",
        ),
        ("<!-- not run: it is slow -->\n```sh\nfalse\n```\n", "a test could run it: it is slow"),
        (
            "<!-- part of: examples/device.py -->\n```python\nimport no\n```\n",
            "this is not an excerpt of examples/device.py",
        ),
        ("<!-- checked by: no.py -->\n```sh\nfalse\n```\n", "there is no file no.py"),
    ],
)
def test_a_block_that_escapes_is_found(block: str, why: str) -> None:
    (found,) = escaped(f"# A page\n\n{block}")
    assert found.endswith(f": {why}")


@pytest.mark.parametrize(
    "page",
    [
        "```sh\nringback dev\n```\n\nIt prints:\n\n```text\nRingback\n…\n```\n",
        "<!-- post-inactive body -->\n```\nApiVersion=v1\n```\n",
        "<!-- file: app.py -->\n```python\npass\n```\n",
        "<!-- part of: examples/device.py -->\n```python\nimport socket\n```\n",
        "<!-- not run: changes the whole machine -->\n```sh\nsudo true\n```\n",
        "<!-- checked by: tests/docs/test_pages.py -->\n```toml\nport = 1\n```\n",
    ],
)
def test_blocks_that_are_run_or_say_why_not_do_not_escape(page: str) -> None:
    assert list(escaped(page)) == []


# ---- commands in sentences -----------------------------------------------------------------------

COMMANDS: Final = {name.removeprefix("ringback "): each for name, each in commands().items()}
_IN_A_SENTENCE: Final = re.compile(r"`(?:ringback ([^`]*)|make run ARGS=([^`]*))`")


def unknown_words(page: str) -> Iterator[str]:
    """Yield the commands and options in a page's sentences that don't exist."""
    for found in _IN_A_SENTENCE.finditer(re.sub(r"^ *```.*?^ *```", "", page, flags=re.M | re.S)):
        words = found[1].split() if found[1] else ["dev", *found[2].strip("\"'").split()]
        name = ""
        while words and f"{name} {words[0]}".strip() in COMMANDS:
            name = f"{name} {words.pop(0)}".strip()
        if words and re.match(r"[a-z]", words[0]) and is_group(name):
            yield f"{found[0]}: there is no command {words[0]}"
        flags = [match[0] for word in words if (match := re.match(r"--[a-z-]+", word))]
        yield from (
            f"{found[0]}: there is no {flag}" for flag in flags if flag not in flags_of(name)
        )


def is_group(name: str) -> bool:
    return not name or isinstance(COMMANDS[name], click.Group)


def flags_of(name: str) -> set[str]:
    """Return the options of a command, and for a group those of all its commands."""
    return {"--help", "--version"}.union(
        *(
            (*param.opts, *param.secondary_opts)
            for each, command in COMMANDS.items()
            if each == name or each.startswith(f"{name} ") or not name
            for param in command.params
        )
    )


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_each_command_named_in_a_sentence_exists(page: Path) -> None:
    assert list(unknown_words(page.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    "sentence",
    [
        "`ringback serv`",
        "`ringback callbacks lst`",
        "`ringback dev --prt 1`",
        "`make run ARGS=--tsl`",
    ],
)
def test_a_command_that_does_not_exist_is_found(sentence: str) -> None:
    assert list(unknown_words(f"Run {sentence}."))


# ---- the banner ----------------------------------------------------------------------------------


def pasted_from(banner: str) -> tuple[list[str], list[str]]:
    """Return the commands in a banner: those for each terminal, and those of the steps."""
    first, *steps = re.split(r"^\d\. ", banner.partition("\nPaste this")[2], flags=re.MULTILINE)
    return _commands(first), [command for step in steps for command in _commands(step)]


def _commands(text: str) -> list[str]:
    return re.findall(r"^  (?! )((?:.*\\\n)*.*)$", text, re.MULTILINE)


class Reader:
    """A person with two more terminals, who pastes what the banner of the first one shows."""

    def __init__(self, receiver: Terminal, other: Terminal) -> None:
        self._receiver = receiver
        self._other = other

    def paste(self, banner: str) -> list[str]:
        """Return the sources from which callbacks came, in their order."""
        preparation, steps = pasted_from(banner)
        for terminal in (self._receiver, self._other):
            self._run(terminal, preparation)
        sources = list[str]()
        for step in steps:
            if step == "ringback listen":
                self._receiver.start_until(step, lambda shown: "listening on" in shown)
            elif "sudo " not in step and not re.match(r"[\d.:a-f]+ ", step):  # a line of /etc/hosts
                self._run(self._other, [step])
            if "CallbackUrl" in step:
                shown = self._receiver.read_until(lambda shown: "answered   200" in shown)
                assert "signature  right" in shown
                sources += re.findall(r"^\S+Z  (\w+)  POST /path\?foo=bar$", shown, re.MULTILINE)
        return sources

    def _run(self, terminal: Terminal, commands: list[str]) -> None:
        for command in commands:
            for result in terminal.run(command):
                assert result.status == 0, result
                assert '"code":' not in result.output, result


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("flags", "sources"),
    [
        ("--phase before --tls", [Source.TWILIO, Source.KORE]),
        pytest.param("--phase between", [Source.KORE, Source.TWILIO], marks=pytest.mark.long),
        pytest.param("--phase after", [Source.KORE, Source.KORE], marks=pytest.mark.long),
    ],
)
def test_the_banner_works_as_printed(flags: str, sources: list[Source], tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    clone.mkdir()
    make_clone(clone)
    environment = reader_environment(tmp_path)
    with (
        own_network(ports=PORTS) as network,
        Terminal("bash", clone, environment, network) as server,
    ):
        last = KORE_HOSTS[-1] if "--tls" in flags else "ringback callbacks list"
        server.start_until(f'make run ARGS="{flags}"', lambda shown: last in shown)
        banner = server.read_until(lambda shown: shown.endswith("\n"))
        assert ("curl --cacert" in banner) == ("--tls" in flags)
        for shell in SHELLS:
            with (
                Terminal(shell, tmp_path, environment, network) as receiver,
                Terminal(shell, tmp_path, environment, network) as other,
            ):
                assert Reader(receiver, other).paste(banner) == sources
        server.interrupt()
