"""Each example in a help text runs as printed, in bash and in zsh, beside one `ringback dev`."""

import json
import re
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest

from docs_build.reference import commands
from ringback.core.policy.source_policy import Source
from tests.docs.page_runner import PORTS, make_clone, reader_environment
from tests.senders import rendered
from tests.terminals import SHELLS, Terminal, Unexpected, own_network

EXAMPLES: Final = [example for command in commands().values() for example in command.examples]
KEEPS_RUNNING: Final = re.compile(
    r"ringback (dev|serve|listen|device receive|demo .*--keep)\b|--follow\b"
)
"""Examples that the reader ends with Ctrl-C, after they have printed something."""
STATUSES: Final[Mapping[str, int]] = {}
"""Examples that do not exit with status 0, with the reason in a comment."""
SETTINGS: Final = """\
[[phases]]
name = "before"
default = "twilio"
may_ask = ["twilio", "kore"]

[[phases]]
name = "after"
since = 2099-01-01
default = "kore"
may_ask = ["kore"]
"""


class Reader:
    """A person with `ringback dev` and `ringback listen` in two terminals, who types in a third."""

    def __init__(self, shell: str, folder: Path) -> None:
        self._shell = shell
        self._clone = folder / "clone"
        self._clone.mkdir()
        make_clone(self._clone)
        path = f"{self._clone}/.venv/bin"
        environment = reader_environment(folder)
        self._environment = environment | {"PATH": f"{path}:{environment['PATH']}"}
        self._stack = ExitStack()

    @contextmanager
    def at_work(self) -> Generator["Reader"]:
        """Start the server and the receiver, and prepare what examples use."""
        with self._stack:
            self._network = self._stack.enter_context(own_network(ports=PORTS))
            server, receiver, self._terminal = (
                self._stack.enter_context(self._new_terminal()) for _ in range(3)
            )
            server.start_until("ringback dev", lambda shown: "callbacks list" in shown)
            receiver.start_until("ringback listen", lambda shown: "listening on" in shown)
            self._prepare()
            yield self

    def try_example(self, example: str) -> str:
        """Type an example; return what is wrong about it, or nothing."""
        try:
            if KEEPS_RUNNING.search(example):
                return self._try_until_it_prints(example)
            results = self._terminal.run(example)
        except Unexpected as unexpected:
            return f"{example}\n{unexpected}"
        expected = [*(0 for _ in results[1:]), STATUSES.get(example, 0)]
        if [result.status for result in results] == expected:
            return ""
        return "\n".join(map(str, results))

    def _try_until_it_prints(self, example: str) -> str:
        # In a folder of its own: another server can't have the same data.
        with self._new_terminal() as terminal:
            terminal.run(
                "mkdir -p other && cd other && export RINGBACK_PORT=0 RINGBACK_GATEWAY=none"
            )
            terminal.start_until(example, lambda shown: bool(shown.strip()))
            terminal.interrupt()
        return ""

    def _new_terminal(self) -> Terminal:
        return Terminal(self._shell, self._clone, self._environment, self._network)

    def _prepare(self) -> None:
        """Make the files and set the variables that examples name."""
        (self._clone / "ringback.toml").write_text(SETTINGS)
        (self._clone / "app.env").write_text("CALLBACK_URL=https://app.example/callbacks\n")
        dev = json.loads((self._clone / "ringback-data" / "dev.json").read_text())
        request = rendered(
            Source.KORE, url="http://127.0.0.1:9000/", kore_secret=dev["kore_secret"]
        )
        (self._clone / "callback.http").write_bytes(request.to_bytes())
        newest = "import json, sys; print(json.load(sys.stdin)['callbacks'][0]['sid'])"
        for command in (
            'eval "$(ringback env)"',
            "export CALLBACK_URL=http://127.0.0.1:9000/callbacks",
            'ringback trigger sms.received --to "$CALLBACK_URL"',
            f'export CALLBACK_SID="$(ringback callbacks list --json | python -c "{newest}")"',
            "ringback migrate plan app.env --to kore --out kore.plan",
        ):
            (result,) = self._terminal.run(command)
            assert result.status == 0, result


@pytest.mark.timeout(300)  # a hundred programs, while other tests may use the machine
@pytest.mark.parametrize("shell", SHELLS)
def test_each_example_works_as_printed(shell: str, tmp_path: Path) -> None:
    with Reader(shell, tmp_path).at_work() as reader:
        wrong = [wrong for example in EXAMPLES if (wrong := reader.try_example(example))]
    assert "\n\n".join(wrong) == ""


def test_there_are_examples_to_try() -> None:
    assert 'eval "$(ringback env)"' in EXAMPLES
    assert STATUSES.keys() <= set(EXAMPLES)
