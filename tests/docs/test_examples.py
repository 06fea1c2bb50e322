"""Each example in a help text runs as printed, in bash and in zsh."""

import re
import sys
from collections.abc import Generator, Iterable, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from docs_build.reference import commands
from ringback.core.policy.source_policy import Source
from tests.docs.page_runner import PORTS, ROOT, reader_environment
from tests.stream_events import events_of, listen_line, streamed
from tests.terminals import SHELLS, Terminal, Unexpected, own_network

COMMANDS: Final = commands()
EXAMPLES: Final = [example for command in COMMANDS.values() for example in command.examples]
FAILS: Final[Mapping[str, int]] = {
    # The site is built by another test, or not at all.
    "ringback docs --print": 0 if (ROOT / "build" / "site" / "index.html").is_file() else 1,
    # `ringback listen` accepts everything, so it proves nothing about a secret.
    "ringback secrets rehearse": 1,
    # The receiver knows twilio and kore, but not the source acme.
    "ringback probe 'http://127.0.0.1:9000/callbacks' \\\n"
    '  --kore-secret "$KORE_SECRET" --settings': 1,
    # The job of these examples has ended.
    **{f"ringback jobs {verb}": 1 for verb in ("pause", "resume", "cancel")},
}
"""The exit statuses of the commands that don't do in this test what they do for a reader."""

_SERVES: Final = re.compile(r"^ringback (dev|serve|listen|demo)\b", re.MULTILINE)
"""Examples that need ports which `ringback dev` and `ringback listen` use."""
_PROBES: Final = re.compile(r"^ringback probe\b", re.MULTILINE)
"""Examples that need a receiver which is right."""
_KEEPS_RUNNING: Final = re.compile(
    r"ringback (dev|serve|listen|demo --keep|device receive)\b|--follow\b"
)
"""Examples that a reader ends with Ctrl-C, after they have printed something."""

FILES: Final[Mapping[str, str]] = {
    "app.env": "CALLBACK_URL=https://a.example/callbacks\n",
    "streams.jsonl": "".join(
        f"{listen_line(streamed(source, events_of(source, 1, 2)))}\n" for source in Source
    ),
    "ringback.toml": """\
[sources.acme]
signature = "hmac-sha256"
token = "{uuid}"
headers = ["X-Token: {token}", "X-Signature: {signature}"]

[[phases]]
name = "before"
default = "twilio"
may_ask = ["twilio", "kore"]

[[phases]]
name = "after"
since = 2099-01-01
default = "kore"
may_ask = ["kore"]
""",
}
PREPARATION: Final = r"""
eval "$(ringback env)"
export CALLBACK_URL=http://127.0.0.1:9000/callbacks
ringback trigger sms.received --to "$CALLBACK_URL"
export CALLBACK_SID="$(ringback callbacks list --json | grep -o 'CB[0-9a-f]\{32\}' | head -n 1)"
ringback callbacks replay --since 1h --status delivered --yes
export JOB_SID="$(ringback jobs list --json | grep -o 'JO[0-9a-f]\{32\}' | head -n 1)"
curl -sSf -o fleet.json -u "$API_KEY:$API_KEY_SECRET" "$BASE_URL/v1/Fleets/my_fleet" \
-d "SmsCommandsUrl=$CALLBACK_URL"
ringback migrate plan --data ringback-data --to kore --out kore.plan
ringback migrate plan app.env --to kore --out example.plan
ringback secrets create next
"""
"""What a reader of the help has done before: these are the files and variables of the examples."""


class Reader:
    """A person who types the examples into a shell."""

    def __init__(self, shell: str, folder: Path, *, programs: Path) -> None:
        """`programs` is the folder of `ringback` and `python`."""
        self._shell = shell
        self._folder = folder
        self._environment = reader_environment(folder / "own")
        self._environment["PATH"] = f"{programs}:{self._environment['PATH']}"

    def wrong_about(self, examples: Iterable[str]) -> list[str]:
        """Type all examples, and return what is wrong about them."""
        servers, probes, others = list[str](), list[str](), list[str]()
        for example in examples:
            kind = servers if _SERVES.search(example) else others
            (probes if _PROBES.search(example) else kind).append(example)
        return [*self._beside_dev(others), *self._on_a_receiver(probes), *self._alone(servers)]

    def _beside_dev(self, examples: Iterable[str]) -> list[str]:
        work = self._new_folder("folder")
        with self._terminals(work) as (server, receiver, other):
            server.start_until("ringback dev", lambda shown: "callbacks list" in shown)
            receiver.start_until("ringback listen", lambda shown: "listening on" in shown)
            for result in other.run(PREPARATION.strip()):
                assert result.status == 0, result
            return self._try_all(examples, other)

    def _on_a_receiver(self, examples: Iterable[str]) -> list[str]:
        right = ROOT / "examples" / "receivers" / "right.py"
        with self._terminals(self._new_folder("probe")) as (receiver, other, _):
            for terminal in (receiver, other):
                terminal.run("export TWILIO_AUTH_TOKEN=0123456789 KORE_SECRET=9876543210")
            start = f"python {right} --port 9000 --data ."
            receiver.start_until(start, lambda _: receiver.listens(9000))
            return self._try_all(examples, other)

    def _alone(self, examples: Iterable[str]) -> list[str]:
        found = list[str]()
        for number, example in enumerate(examples):
            with self._terminals(self._new_folder(f"server-{number}")) as (terminal, _, _):
                if example.startswith("ringback listen"):
                    # It reads the secrets that a server has left there.
                    terminal.run(f"cp -r {self._folder}/folder/ringback-data .")
                found += self._try_all([example], terminal)
        return found

    def _try_all(self, examples: Iterable[str], terminal: Terminal) -> list[str]:
        return [wrong for example in examples if (wrong := _try(example, terminal))]

    def _new_folder(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir()
        for file, text in FILES.items():
            (folder / file).write_text(text)
        return folder

    @contextmanager
    def _terminals(self, folder: Path) -> Generator[list[Terminal]]:
        """Open three terminals in a folder, in a network of their own."""
        with ExitStack() as stack:
            network = stack.enter_context(own_network(ports=PORTS))
            yield [
                stack.enter_context(Terminal(self._shell, folder, self._environment, network))
                for _ in range(3)
            ]


def _try(example: str, terminal: Terminal) -> str:
    """Type an example; return what is wrong about it, or nothing."""
    try:
        if _KEEPS_RUNNING.search(example):
            terminal.start_until(example, lambda shown: bool(shown.strip()))
            terminal.interrupt()
            return ""
        *before, last = terminal.run(example, says_yes=True)
    except Unexpected as unexpected:
        with suppress(Unexpected):
            terminal.interrupt()
        return f"{example}\n{unexpected}"
    expected = next((FAILS[start] for start in FAILS if last.command.startswith(start)), 0)
    if any(result.status for result in before) or last.status != expected:
        return "\n".join(map(str, (*before, last)))
    return ""


@pytest.mark.long
@pytest.mark.parametrize("shell", SHELLS)
def test_each_example_works_as_printed(shell: str, tmp_path: Path) -> None:
    reader = Reader(shell, tmp_path, programs=Path(sys.prefix, "bin"))
    assert "\n\n".join(reader.wrong_about(EXAMPLES)) == ""


def test_the_first_examples_work_as_printed(tmp_path: Path) -> None:
    first = [*COMMANDS["ringback env"].examples, *COMMANDS["ringback callbacks list"].examples]
    reader = Reader("bash", tmp_path, programs=Path(sys.prefix, "bin"))
    assert "\n\n".join(reader.wrong_about(first)) == ""


def test_examples_are_found() -> None:
    assert 'eval "$(ringback env)"' in EXAMPLES


def test_a_wrong_example_is_found(tmp_path: Path) -> None:
    reader = Reader("zsh", tmp_path, programs=Path(sys.prefix, "bin"))
    examples = ["ringback serv", "ringback callbacks list --to http://a.example/?b"]
    found = reader.wrong_about(examples)
    assert [examples[0] in found[0], "no matches found" in found[1]] == [True, True]
