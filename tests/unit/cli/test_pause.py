"""`ringback pause` and `ringback resume` on the data of a server that does not run."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ringback.cli.main import main
from ringback.data_folder import DataFolder
from ringback.ports import SendingPause
from ringback.stores.sqlite.file_lock import FileLock
from tests.fakes import NOW, a_callback, an_account


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with an account, and a callback that is due."""
    data = DataFolder(tmp_path / "data")
    data.transact(lambda tx: tx.accounts.add(an_account(), []))
    data.transact(lambda tx: tx.callbacks.add(a_callback()))
    return data.folder


def run(*words: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(main, words, input=answer)


def record(*words: str) -> dict[str, Any]:
    ended = run(*words, "--json")
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.stdout)


def pause_in(folder: Path) -> SendingPause | None:
    return DataFolder(folder).transact(lambda tx: tx.pause.get())


def test_the_data_of_no_server_is_marked(folder: Path) -> None:
    where = ("--data", str(folder))
    paused = record("pause", "--reason", "moving", *where)
    assert (paused["is_paused"], paused["reason"], paused["callbacks_due"]) == (True, "moving", 1)
    assert (paused["oldest_due"], paused["tasks_due"]) == ("2024-07-03T14:40:58Z", 0)
    found = pause_in(folder)
    assert found is not None
    assert found.reason == "moving"
    assert record("resume", "--yes", *where)["is_paused"] is False
    assert pause_in(folder) is None


def test_it_says_what_waits(folder: Path) -> None:
    said = run("pause", "--data", str(folder)).stdout.splitlines()
    assert said[0].endswith("Z: an operator has paused it")
    assert said[1:] == [
        "callbacks that wait  1",
        "of these, due now    1, the first since 2024-07-03T14:40:58Z",
        "other steps due now  0, of SIMs, Commands and profiles",
    ]


def test_without_a_terminal_it_resumes_only_with_yes(folder: Path) -> None:
    run("pause", "--data", str(folder))
    refused = run("resume", "--data", str(folder))
    assert refused.exit_code == 1
    assert "paused since" in refused.stderr
    assert "pass --yes" in refused.stderr
    assert pause_in(folder) is not None


def test_what_is_not_paused_needs_no_end(folder: Path) -> None:
    ended = run("resume", "--data", str(folder))
    assert (ended.exit_code, ended.stdout) == (0, "not paused: nothing to do\n")


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_a_folder_without_data_stays_empty(command: str, tmp_path: Path) -> None:
    ended = run(command, "--data", str(tmp_path / "new"))
    assert ended.exit_code == 1
    assert "there is no data" in ended.stderr
    assert not (tmp_path / "new").exists()


def test_a_server_that_would_not_notice_has_to_be_named(folder: Path) -> None:
    lock = FileLock.take(folder / "ringback.db")
    try:
        ended = run("pause", "--data", str(folder))
    finally:
        lock.release()
    assert ended.exit_code == 1
    assert "name this server with --server URL" in ended.stderr
    assert pause_in(folder) is None


def test_a_first_pause_stays(folder: Path) -> None:
    first = SendingPause(NOW, "restored from a backup")
    DataFolder(folder).transact(lambda tx: tx.pause.begin(first))
    assert record("pause", "--reason", "other", "--data", str(folder))["reason"] == first.reason
