"""Texts of others reach the terminal as visible escapes, whichever command prints them."""

import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Final

import click
import pytest
from click.testing import CliRunner, Result

from ringback.cli.main import main
from ringback.cli.output import (
    ask,
    echo,
    echo_text,
    json_line,
    overwrite,
    print_uncaught,
    show_failure,
    style,
)
from ringback.core.callbacks.callback import CallbackStatus, replay
from ringback.core.http.http_exchange import AttemptResult, ReceiverResponseRecord
from ringback.core.http.outcome import RefusedOutcome
from ringback.operations.context import OperationContext
from ringback.ports import Settlement, Transaction, lane_of
from ringback.testing import Emulator
from tests.fakes import NOW, a_callback, claim_from
from tests.unit.cli.test_main import paths

HOSTILE: Final = "a\x1b[8m\x1b]0;t\x07\r\x9b2J\u202e\u2028\x7f\x08b"
"""Hides text, sets the title, goes back, clears the screen, turns the direction and the line."""
ESCAPED: Final = r"a\x1b[8m\x1b]0;t\x07\r\x9b2J\u202e\u2028\x7f\x08b"
COLOURS: Final = re.compile(r"\x1b\[(?:0|1|2|3[1-6])m")


def run(*words: str) -> Result:
    # As on a terminal: click leaves all sequences in the text.
    return CliRunner().invoke(main, words, prog_name="ringback", color=True)


def harmless(result: Result) -> str:
    """Return what a command printed without our own colours, after a look that all is visible."""
    text = (result.stdout_bytes + result.stderr_bytes).decode("utf-8")
    plain = COLOURS.sub("", text)
    assert [char for char in plain if not char.isprintable() and char != "\n"] == []
    return plain


# ---- the place that prints -----------------------------------------------------------------------


def test_a_line_stays_one_line() -> None:
    command = click.Command("c", callback=lambda: echo(f"{HOSTILE}\ndone"))
    assert CliRunner().invoke(command, color=True).stdout == f"{ESCAPED}\\ndone\n"


def test_only_our_own_colours_are_colours() -> None:
    text = f"{style(HOSTILE, fg='red')} \x1b[31m{style('b', bold=True)}\x1b[0m \x1b[1;31m"
    command = click.Command("c", callback=lambda: echo(text))
    shown = CliRunner().invoke(command, color=True).stdout
    expected = f"\x1b[31m{ESCAPED}\x1b[0m \\x1b[31m\x1b[1mb\x1b[0m\\x1b[0m \\x1b[1;31m\n"
    assert shown == expected


def test_a_line_that_is_overwritten_moves_the_cursor_only_itself() -> None:
    command = click.Command("c", callback=lambda: overwrite(HOSTILE, stays_open=True, err=False))
    assert CliRunner().invoke(command, color=True).stdout_bytes == f"\r{ESCAPED}\x1b[K".encode()


def test_a_text_of_several_lines_keeps_its_line_breaks_and_tabs() -> None:
    command = click.Command("c", callback=lambda: echo_text(f"a\n\t{HOSTILE}", nl=False))
    assert CliRunner().invoke(command, color=True).stdout == f"a\n\t{ESCAPED}"


def test_a_question_is_harmless() -> None:
    command = click.Command("c", callback=lambda: ask(f"{HOSTILE}\n?", err=False))
    result = CliRunner().invoke(command, input="y\n", color=True)
    assert result.stdout_bytes.startswith(f"{ESCAPED}\\n? [y/N]: ".encode())


def test_an_error_of_ringback_itself_is_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    failure = ValueError(HOSTILE)
    print_uncaught(ValueError, failure, None)
    assert capsys.readouterr().err == f"ValueError: {ESCAPED}\n"


def test_a_refusal_is_harmless() -> None:
    command = click.Command("c", callback=lambda: show_failure(click.ClickException(HOSTILE)))
    assert CliRunner().invoke(command, color=True).stderr == f"Error: {ESCAPED}\n"


@pytest.mark.parametrize("ensure_ascii", [True, False])
def test_json_is_visible_and_says_the_same(ensure_ascii: bool) -> None:
    record = {HOSTILE: [f"{HOSTILE}\n\udcff\ud83dü\U000e0001"]}
    line = json_line(record, ensure_ascii=ensure_ascii)
    assert line.isprintable()
    assert json.loads(line) == record


# ---- what commands print -------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*paths()], ids=lambda path: " ".join(path) or "ringback")
def test_each_command_refuses_an_option_in_harmless_words(path: tuple[str, ...]) -> None:
    refused = run(*path, f"--{HOSTILE}")
    assert refused.exit_code == 2
    assert r"\x1b" in harmless(refused)


@pytest.mark.parametrize("words", [("jobs",), ("clock", "show")])
def test_with_json_a_refusal_is_harmless_too(words: tuple[str, ...]) -> None:
    refused = run(*words, HOSTILE, HOSTILE, "--json")
    assert refused.exit_code == 2
    assert "8m" in json.loads(refused.stderr)["error"]
    harmless(refused)


@pytest.fixture(scope="module")
def hostile_server() -> Iterator[str]:
    """Serve an error with a hostile text as the answer to each request; yield its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            self.rfile.read(length)
            body = json.dumps({"status": 400, "code": 20001, "message": HOSTILE}).encode()
            self.send_response(400)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 (the standard library's names)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "words",
    [
        *(("callbacks", "list"), ("callbacks", "show"), ("callbacks", "undelivered")),
        *(("jobs", "list"), ("audit",), ("destinations", "list"), ("streams", "list")),
        *(("workers",), ("links", "list"), ("secrets", "list"), ("counters",), ("shadow",)),
        *(("retention", "show"), ("migrate", "inventory"), ("scenario",), ("device", "list")),
    ],
    ids=" ".join,
)
def test_the_answer_of_a_server_is_printed_in_harmless_words(
    hostile_server: str, words: tuple[str, ...]
) -> None:
    who = ("--account-sid", "AC" + "0" * 32, "--auth-token", "0" * 32)
    for more in ((), ("--json",)):
        result = run(*words, "--server", hostile_server, *who, *more)
        assert result.exit_code != 0
        harmless(result)


@pytest.fixture(scope="module")
def ringback() -> Iterator[Emulator]:
    """Serve a callback and an attempt whose texts are all hostile."""
    with Emulator() as emulator:
        one = a_callback(
            sid=f"CB{1:032x}",
            account_sid=emulator.account_sid,
            url="http://127.0.0.1:9/hook",
            body="Order=a%1b%5b8m%c2%9b2J%0d%0aattempt+2%e2%80%ae&%07=%7f",
        )

        def keep(tx: Transaction, _: OperationContext) -> None:
            tx.callbacks.add(one)
            tx.callbacks.change(one.having(replay(one.progress, NOW)))
            (taken,) = claim_from(tx, lane_of(one), NOW, limit=1)
            body = f"{HOSTILE}\nattempt 3".encode()
            response = ReceiverResponseRecord(500, (("X-Odd", HOSTILE),), body)
            result = AttemptResult(RefusedOutcome(500), response=response)
            settled = taken.progress._replace(
                status=CallbackStatus.FAILED, status_reason=f"why {HOSTILE}\nforged"
            )
            tx.callbacks.settle([Settlement(taken, settled, result, NOW)])

        emulator._change(keep)
        yield emulator


@pytest.mark.parametrize(
    "words",
    [("list",), ("list", "--json"), ("undelivered",), ("show",), ("show", "--json")],
    ids=" ".join,
)
def test_a_callback_and_its_answer_are_printed_in_harmless_words(
    ringback: Emulator, words: tuple[str, ...]
) -> None:
    who = ("--account-sid", ringback.account_sid, "--auth-token", ringback.auth_token)
    result = run("callbacks", *words, "--server", ringback.base_url, *who)
    assert result.exit_code == 0, result.output
    text = harmless(result)
    if "--json" in words:
        assert repr("a\x1b[8m\x9b2J")[1:-1] in repr(json.loads(result.stdout))
    elif "show" in words:
        assert r"  parameter   Order=a\x1b[8m\x9b2J\r\nattempt 2\u202e" in text
        assert rf"  why         why {ESCAPED}\nforged" in text
        assert [
            line for line in text.splitlines() if line.startswith(("forged", "attempt 2"))
        ] == []


def test_a_settings_file_of_others_is_refused_in_harmless_words(tmp_path: Path) -> None:
    (tmp_path / "odd.toml").write_text(
        f'phase = "a"\n"{HOSTILE.encode("unicode_escape").decode()}"'
    )
    harmless(run("policy", "show", "--settings", str(tmp_path / "odd.toml")))
