"""The SQLite store: sharing its file, and the errors if the file can't be used."""

import ctypes
import gc
import os
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ringback.core.policy.source_policy import Source
from ringback.receiver.dedupe import (
    ClaimedByOther,
    ClaimWon,
    DedupeUnavailable,
    SqliteDedupe,
    WorkAlreadyDone,
)
from ringback.receiver.dedupe import sqlite as module
from ringback.receiver.dedupe.dedupe_store import Claimed
from tests.unit.receiver.dedupe.kept import count_rows
from tests.unit.receiver.dedupe.visits import HOUR, Clock, visit

_ASK = """
import sys
from datetime import timedelta
from ringback.core.policy.source_policy import Source
from ringback.receiver.dedupe import DedupeUnavailable, DedupeClaimRequest, SqliteDedupe

time = timedelta(hours=1)
try:
    SqliteDedupe(sys.argv[1]).claim(
        DedupeClaimRequest(source=Source.KORE, token="t", owner="o", lease=time, keep=time)
    )
except DedupeUnavailable as failure:
    print(failure)
"""

# A child process after a fork reports through a pipe, as text.
_FORKED = """
import os, sys, threading
from datetime import timedelta
from ringback.core.policy.source_policy import Source
from ringback.receiver.dedupe import DedupeClaimRequest, SqliteDedupe

def visit(token, owner):
    time = timedelta(hours=1)
    return DedupeClaimRequest(source=Source.KORE, token=token, owner=owner, lease=time, keep=time)

def held_now():
    return [held for held in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{held}")]

def run():
    while not stop.is_set():
        seen.claim(visit("busy", "thread"))

path, with_threads = sys.argv[1:]
seen = SqliteDedupe(path)
seen.claim(visit("parents", "parent"))
stop = threading.Event()
threads = [threading.Thread(target=run) for _ in range(int(with_threads))]
for thread in threads:
    thread.start()
for number in range(5):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        files = [os.readlink(f"/proc/self/fd/{held}") for held in held_now()]
        os.write(writing, b"inherits " * sum(file.startswith(path) for file in files))
        tokens = ["parents", f"{number}"]
        answers = [seen.claim(visit(token, f"child {number}")) for token in tokens]
        seen.done(visit(f"{number}", f"child {number}"))
        os.write(writing, " ".join(type(answer).__name__ for answer in answers).encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    found = seen.claim(visit(f"{number}", "parent"))
    print(os.read(reading, 100).decode(), type(found).__name__)
stop.set()
for thread in threads:
    thread.join()
"""


def unavailable(path: Path) -> str:
    with SqliteDedupe(path) as seen, pytest.raises(DedupeUnavailable) as raised:
        seen.claim(visit("a"))
    return str(raised.value)


def test_done_work_outlives_the_process(tmp_path: Path) -> None:
    for owner, answer in (("a", ClaimWon(is_retry=False)), ("b", WorkAlreadyDone())):
        with SqliteDedupe(tmp_path / "seen.db") as seen:
            assert seen.claim(visit(owner)) == answer
            seen.done(visit(owner))


def test_two_stores_on_one_file_share_their_tokens(tmp_path: Path) -> None:
    path = tmp_path / "seen.db"
    with SqliteDedupe(path) as one, SqliteDedupe(str(path)) as other:
        one.claim(visit("a"))
        assert isinstance(other.claim(visit("b")), ClaimedByOther)
        other.done(visit("a"))
        assert one.claim(visit("c")) == WorkAlreadyDone()


def test_equally_old_events_are_paired_by_their_tokens(tmp_path: Path) -> None:
    clock = Clock()
    with SqliteDedupe(tmp_path / "seen.db", clock=clock) as seen:
        for token in ("2", "1"):
            seen.claim(visit(token, token=token, content="ready"))
        seen.done(visit("1", token="1"))
        twilio = visit("a", token="t", source=Source.TWILIO, content="ready")
        assert seen.claim(twilio) == WorkAlreadyDone()


def test_it_may_be_used_again_after_it_was_closed(tmp_path: Path) -> None:
    with SqliteDedupe(tmp_path / "seen.db") as seen:
        seen.claim(visit("a"))
        seen.close()
        assert isinstance(seen.claim(visit("b")), ClaimedByOther)


def test_a_store_without_references_leaves_no_connection_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = list[sqlite3.Connection]()
    connect = sqlite3.connect

    def noted(*given: Any, **how: Any) -> sqlite3.Connection:
        made.append(connect(*given, **how))
        return made[-1]

    monkeypatch.setattr(sqlite3, "connect", noted)
    seen = SqliteDedupe(tmp_path / "seen.db")
    seen.claim(visit("a"))
    del seen
    gc.collect()
    (connection,) = made
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


def test_the_file_stays_where_it_was_when_the_process_changes_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with SqliteDedupe("seen.db") as seen:
        monkeypatch.chdir("/")
        seen.claim(visit("a"))
    assert (tmp_path / "seen.db").is_file()


def test_several_processes_may_create_the_file_at_once(tmp_path: Path) -> None:
    for number in range(20):
        path = tmp_path / f"{number}.db"
        start = threading.Barrier(8)

        def ask(owner: str, path: Path = path, start: threading.Barrier = start) -> Claimed:
            with SqliteDedupe(path) as seen:
                start.wait()
                return seen.claim(visit(owner))

        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(ask, "abcdefgh"))
        assert answers.count(ClaimWon(is_retry=False)) == 1


def test_it_waits_for_a_writer_while_it_begins(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with (
        ThreadPoolExecutor(1) as threads,
        closing(sqlite3.connect(path, isolation_level=None)) as app,
        SqliteDedupe(path) as seen,
    ):
        app.execute("BEGIN IMMEDIATE")
        answer = threads.submit(seen.claim, visit("a"))
        time.sleep(0.1)
        assert not answer.done()
        app.execute("COMMIT")
        assert answer.result() == ClaimWon(is_retry=False)


def test_it_may_share_a_database_with_other_tables(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER)")
    with SqliteDedupe(path) as seen:
        seen.claim(visit("a"))
    assert count_rows(path) == 1


# ---- errors


def test_a_file_that_is_not_a_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("This is a text, and longer than the header of a database would be. " * 20)
    assert unavailable(path) == f"{path}: it is not a SQLite database"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "seen.db"
    assert unavailable(path) == f"{path}: its folder does not exist"


def test_a_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    assert unavailable(tmp_path) == (
        f"{tmp_path}: it is a folder; give a file, or a name that does not exist yet"
    )


def test_a_read_only_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "seen.db"
    with SqliteDedupe(path) as seen:
        seen.claim(visit("a"))
    path.chmod(0o400)
    assert run(_ASK, path, preexec_fn=be_bound_by_modes) == f"{path}: it can't be written to\n"


def test_a_lock_that_is_never_released_is_not_waited_for_forever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.05)
    path = tmp_path / "seen.db"
    with SqliteDedupe(path) as seen, closing(sqlite3.connect(path, isolation_level=None)) as other:
        seen.claim(visit("a"))
        seen.close()
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DedupeUnavailable, match="other processes kept it locked for"):
            seen.claim(visit("b"))
        other.execute("ROLLBACK")
        assert isinstance(seen.claim(visit("b")), ClaimedByOther)


def test_once_the_folder_is_there_it_works(tmp_path: Path) -> None:
    path = tmp_path / "later" / "seen.db"
    with SqliteDedupe(path) as seen:
        with pytest.raises(DedupeUnavailable):
            seen.claim(visit("a"))
        path.parent.mkdir()
        assert seen.claim(visit("a")) == ClaimWon(is_retry=False)


def test_a_failure_half_way_changes_nothing(tmp_path: Path) -> None:
    path, clock = tmp_path / "seen.db", Clock()
    with SqliteDedupe(path, clock=clock) as seen:
        seen.claim(visit("a", token="old"))
        clock.let_pass(HOUR)
        with closing(sqlite3.connect(path)) as other:
            other.execute(
                "CREATE TRIGGER no BEFORE DELETE ON ringback_seen BEGIN"
                " SELECT RAISE(ABORT, 'nothing is deleted'); END"
            )
        with pytest.raises(DedupeUnavailable, match="nothing is deleted"):
            seen.claim(visit("a", token="new"))
    assert count_rows(path) == 1


# ---- forks

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


@needs_fork
@pytest.mark.parametrize("threads", [0, 3], ids=["alone", "beside busy threads"])
def test_parent_and_child_share_it_across_a_fork(tmp_path: Path, threads: int) -> None:
    told = run(_FORKED, tmp_path / "seen.db", str(threads))
    assert told == "ClaimedByOther ClaimWon WorkAlreadyDone\n" * 5


def be_bound_by_modes() -> None:
    """Give up root's right to open files regardless of their modes."""
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


def run(script: str, path: Path, *arguments: str, **how: Any) -> str:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script, path, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, **how)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout
