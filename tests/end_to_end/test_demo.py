"""`ringback demo`: its output for programs, its ends, and that it leaves nothing behind."""

import asyncio
import json
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ringback.cli import demo_walkthrough as demo
from ringback.cli.main import main
from ringback.receiver.verification import ReceiverSecrets
from tests.served import in_this_process

PATCHED = (
    "from ringback.cli import demo_walkthrough as demo; {patch};"
    " from ringback.cli.main import main; main()"
)
NO_CALLBACK_ARRIVES = "demo._next_arrival = lambda _: __import__('asyncio').Event().wait()"
CALLBACKS_ARE_REFUSED = (
    "demo._SETTINGS = {**demo._SETTINGS, 'allow': 'none'}; demo._LONGEST_WAIT_SECONDS = 1"
)


@asynccontextmanager
async def started(
    folder: Path, *flags: str, patch: str = "pass"
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start the command in a process whose temporary folders are made in this folder."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PATCHED.format(patch=patch), "demo", *flags),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"TMPDIR": str(folder), "PATH": "/usr/bin:/bin", "COLUMNS": "100"},
    )
    try:
        async with asyncio.timeout(60):
            yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str, str]:
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def line_of(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode()


def can_connect(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def ports_in(text: str) -> set[int]:
    return {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", text)}


def only_folder_in(folder: Path) -> Path | None:
    """Return the only entry of a folder, or None if the folder is empty."""
    return next(folder.iterdir(), None)


def assert_nothing_is_left(folder: Path, printed: str) -> None:
    assert only_folder_in(folder) is None
    ports = ports_in(printed)
    assert ports
    assert not any(map(can_connect, ports))


# ---- to its end ----------------------------------------------------------------------------------


async def test_programs_get_the_whole_output_as_one_json_object(tmp_path: Path) -> None:
    async with started(tmp_path, "--json") as process:
        code, out, err = await ended(process)
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert [one["source"] for one in result["received"]] == ["twilio", "kore"]
    assert all(one["signature"]["ok"] for one in result["received"])
    assert [command.count("\n") for command in result["commands"]] == [5, 5]
    comparison = result["comparison"]
    assert comparison["counts"]["renamed"] == 2
    for which, received in zip(("first", "second"), result["received"], strict=True):
        shown = [pair[which] for pair in comparison["headers"] if pair[which]]
        assert sorted([one["name"], one["value"]] for one in shown) == sorted(received["headers"])
        assert comparison[which]["body"] == received["body"]
        assert comparison[which]["callback_sid"].startswith("CB")
    assert result["running"] is None
    assert_nothing_is_left(tmp_path, out)


# ---- going on ------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_keep_leaves_both_running_until_a_signal(tmp_path: Path, how: signal.Signals) -> None:
    async with started(tmp_path, "--keep", "--json") as process:
        first = await line_of(process)
        running: dict[str, Any] = json.loads(first)["running"]
        folder = only_folder_in(tmp_path)
        assert folder is not None
        assert json.loads((folder / "dev.json").read_text()) | running == running
        words = ("trigger", "sms.sent", "--to", f"{running['receiver']}/sms", "--json")
        triggered = await in_this_process(*words, "--data", str(folder))
        assert triggered.exit_code == 0, triggered.output
        assert json.loads(await line_of(process))["path"] == "/sms"
        process.send_signal(how)
        code, _, err = await ended(process)
    assert (code, err) == (0, "")
    assert_nothing_is_left(tmp_path, first)


async def test_keep_prints_next_commands_that_work(tmp_path: Path) -> None:
    async with started(tmp_path, "--keep") as process:
        printed = list[str]()
        while not printed or "ringback trigger" not in printed[-1]:
            printed.append(await line_of(process))
        text = "".join(printed)
        variables = dict(re.findall(r"(\w+)=(\S+)", text[text.index("export ") :]))
        commands = re.findall(r"^  ringback (.*)$", text, re.MULTILINE)
        assert [command.split()[0] for command in commands] == ["callbacks", "diff", "trigger"]
        assert '  eval "$(ringback env)"\n' in text
        for command in commands:
            words = command.replace("'", "").split()
            result = await in_this_process(*words, RINGBACK_DATA=variables["RINGBACK_DATA"])
            assert result.exit_code == 0, result.output
        process.send_signal(signal.SIGINT)
        code, later, _ = await ended(process)
    assert code == 0
    assert "signature  right" in later
    assert_nothing_is_left(tmp_path, text)


# ---- ended early ---------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_early_and_a_second_one_does_not_interrupt_the_clean_up(
    tmp_path: Path, how: signal.Signals
) -> None:
    async with started(tmp_path, patch=NO_CALLBACK_ARRIVES) as process:
        printed = ""
        while "Status=inactive" not in printed:
            printed += await line_of(process)
        process.send_signal(how)
        await asyncio.sleep(0.01)
        with suppress(ProcessLookupError):
            process.send_signal(how)
        code, _, err = await ended(process)
    assert (code, err) == (130, "")
    assert_nothing_is_left(tmp_path, printed)


async def test_an_error_is_reported_and_leaves_nothing_behind(tmp_path: Path) -> None:
    async with started(tmp_path, patch=CALLBACKS_ARE_REFUSED) as process:
        code, out, err = await ended(process)
    assert code == 1
    assert re.search(
        r"^ringback: no callback arrived at http://127\.0\.0\.1:\d+ within 1 s;", err, re.MULTILINE
    )
    assert_nothing_is_left(tmp_path, out)


async def test_a_reader_that_goes_away_leaves_nothing_behind(tmp_path: Path) -> None:
    command = f"{sys.executable} -m ringback demo | head -4"
    process = await asyncio.create_subprocess_shell(
        command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    out, err = await process.communicate()
    assert (out.count(b"\n"), err) == (4, b"")
    assert only_folder_in(tmp_path) is None


def test_a_wrong_signature_is_reported_and_is_the_exit_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong = ReceiverSecrets(("no token",), ("no secret",))
    monkeypatch.setattr(demo, "ReceiverSecrets", lambda *_: wrong)
    ran = CliRunner().invoke(main, ["demo"])
    assert ran.exit_code == 1
    assert ran.output.count("Its signature is wrong: ") == 2
    assert "Its signature is right" not in ran.output


def test_without_a_temporary_folder_it_says_how_to_name_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(**_: str) -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(demo, "mkdtemp", refuse)
    ran = CliRunner().invoke(main, ["demo"])
    assert ran.exit_code == 1
    assert ran.stderr == (
        "ringback: can't make a temporary folder (No usable temporary directory found); set the"
        " environment variable TMPDIR to a folder that can be written to\n"
    )


def test_ctrl_c_works_as_before_after_a_demo_in_the_same_process() -> None:
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    assert CliRunner().invoke(main, ["demo", "--json"]).exit_code == 0
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before
