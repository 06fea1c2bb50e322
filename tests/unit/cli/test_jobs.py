"""Commands for jobs: how they are made, shown, followed and ended."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ringback.cli import jobs as jobs_command
from ringback.cli.main import main
from ringback.core.callbacks.callback import CallbackStatus
from ringback.core.job import Job, JobStatus, cancel
from ringback.portal_client import NoServerAnswers, PortalClient
from ringback.testing import Emulator
from tests.fakes import a_callback
from tests.stores.records import job

REPLAY = ("callbacks", "replay", "--since", "2024-07-03")


@pytest.fixture
def empty() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_command, "_LOOK_EVERY_SECONDS", 0.02)


def words_of(ringback: Emulator, *words: str) -> list[str]:
    who = ("--account-sid", ringback.account_sid, "--auth-token", ringback.auth_token)
    return [*words, "--server", ringback.base_url, *who]


def run(ringback: Emulator, *words: str, code: int = 0, **how: Any) -> Result:
    result = CliRunner().invoke(main, words_of(ringback, *words), **how)
    assert result.exit_code == code, result.output
    return result


def add(ringback: Emulator, *numbers: int) -> None:
    """Add callbacks that failed and that nobody answers."""
    for number in numbers:
        one = a_callback(
            sid=f"CB{number:032x}",
            account_sid=ringback.account_sid,
            url=f"http://127.0.0.{1 + number % 2}:9/#rc=0",
            status=CallbackStatus.FAILED,
            due=None,
            attempt_count=1,
        )
        ringback._change(lambda tx, _, one=one: tx.callbacks.add(one))


def keep(ringback: Emulator, number: int, **fields: Any) -> Job:
    """Add a job that the server does not work on, unless its status says so."""
    made = replace(
        job(number, ringback.account_sid),
        **{"status": JobStatus.PAUSED, "estimate": 1500, **fields},
    )
    ringback._change(lambda tx, _: tx.jobs.add(made))
    return made


def jobs_in(ringback: Emulator) -> list[dict[str, Any]]:
    return json.loads(run(ringback, "jobs", "list", "--json").output)["jobs"]


# ---- replays


def test_a_replay_by_filter_is_a_job_that_is_followed(empty: Emulator) -> None:
    add(empty, 1, 2, 3)
    said = run(empty, *REPLAY, "--yes")
    (made,) = jobs_in(empty)
    assert said.stdout == "3 of 3 callbacks replayed\n"
    assert said.stderr == f"{made['sid']} runs in the server\n"
    assert (made["status"], made["counts"], made["estimate"]) == ("done", {"replayed": 3}, 3)


def test_the_job_has_all_that_was_asked_for(empty: Emulator) -> None:
    add(empty, *range(1, 8))
    words = ("--most", "2", "--rate", "200", "--destination", "http://127.0.0.2:9", "--json")
    counts = json.loads(run(empty, *REPLAY, "--yes", *words).stdout)
    (made,) = jobs_in(empty)
    assert counts == {
        "dry_run": False,
        "matched": 2,
        "replayed": 2,
        "skipped": {},
        "job": made["sid"],
    }
    assert (made["rate"], made["parameters"]["destination"]) == (200, "http://127.0.0.2:9")


def test_without_a_terminal_callbacks_are_only_counted(empty: Emulator) -> None:
    add(empty, 1, 2)
    for more in ((), ("--dry-run",)):
        said = run(empty, *REPLAY, *more).stdout
        assert said == "2 of 2 callbacks would be replayed; replay for real with --yes\n"
    assert jobs_in(empty) == []


@pytest.mark.parametrize(("answer", "made"), [("y\n", 1), ("n\n", 0)])
def test_a_person_is_asked(
    empty: Emulator, monkeypatch: pytest.MonkeyPatch, answer: str, made: int
) -> None:
    add(empty, 1, 2)
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _: True, raising=False)
    said = run(empty, *REPLAY, input=answer, code=1 - made)
    assert "2 of 2 callbacks would be replayed. Replay? [y/N]" in said.stderr
    assert len(jobs_in(empty)) == made


def test_nobody_is_asked_about_nothing(empty: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _: True, raising=False)
    assert run(empty, *REPLAY).stdout == "0 of 0 callbacks would be replayed\n"


def test_a_count_that_took_too_long_says_so(
    empty: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(empty, 1, 2, 3)
    monkeypatch.setattr("ringback.api.portal.jobs.COUNTED_AT_ONCE", 2)
    monkeypatch.setattr("ringback.api.portal.jobs._COUNTED_FOR", -1.0)
    said = run(empty, *REPLAY).stdout
    assert said.startswith("at least 2 of 2 callbacks would be replayed")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("CB1", "--most", "5"), "--most is allowed only with --since"),
        (("CB1", "--rate", "5"), "--rate is allowed only with --since"),
        (("CB1", "--destination", "http://a.example"), "--destination is allowed only with"),
        (("--since", "1h", "--dry-run", "--yes"), "leave out --yes"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    empty: Emulator, words: tuple[str, ...], why: str
) -> None:
    assert why in run(empty, "callbacks", "replay", *words, code=2).stderr


# ---- jobs


def test_jobs_are_listed_newest_first(empty: Emulator) -> None:
    assert run(empty, "jobs", "list").output == "no jobs\n"
    first = keep(empty, 1, counts={"replayed": 1200})
    second = keep(
        empty, *(2,), status=JobStatus.FAILED, status_reason="ValueError: it\nbroke", is_exact=False
    )
    done = keep(empty, 3, status=JobStatus.DONE, counts={"replayed": 7})
    at = "2024-07-03 14:40:58"
    assert run(empty, "jobs", "list").output.splitlines() == [
        f"{done.sid}  {at}  replay  done       7 done",
        f"{second.sid}  {at}  replay  failed     0 of at least 1,500 done; ValueError: it\\nbroke",
        f"{first.sid}  {at}  replay  paused     1,200 of 1,500 done",
    ]
    assert second.sid in run(empty, "jobs", "list", "--status", "failed").output
    assert first.sid not in run(empty, "jobs", "list", "--status", "failed").output


def test_a_job_is_shown_with_what_was_asked_for(empty: Emulator) -> None:
    made = keep(
        empty,
        *(1,),
        parameters={"statuses": ["failed", "discarded"], "as_other_source": True, "most": 9000},
        rate=1000,
        counts={"replayed": 1200, "under_way": 2},
    )
    assert run(empty, "jobs", "show", made.sid).output.splitlines() == [
        f"{made.sid}  2024-07-03 14:40:58  replay  paused     1,202 of 1,500 done",
        f"account     {empty.account_sid}, created by account {empty.account_sid}",
        "statuses    failed, discarded",
        "as other source True",
        "most        9,000",
        "rate        1,000 a second",
        "replayed    1,200",
        "under way   2",
        "updated     2024-07-03T14:40:58Z",
    ]


def test_a_job_is_paused_resumed_and_cancelled(empty: Emulator) -> None:
    add(empty, 1, 2, 3)
    made = keep(empty, 1, rate=1)
    for verb, status in (("resume", "running"), ("pause", "paused"), ("cancel", "cancelled")):
        assert f"  {status}  " in run(empty, "jobs", verb, made.sid).output
    refused = run(empty, "jobs", "resume", made.sid, code=1)
    assert "is cancelled; only a job that is paused can be resumed" in refused.stderr


# ---- following


def test_following_ends_with_the_job(empty: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_command, "_SAY_EVERY_SECONDS", 0.0)
    made, get = keep(empty, 1, counts={"replayed": 3}), PortalClient.get
    asked = list[str]()

    def resumed_after(portal: PortalClient, *path: str, **how: Any) -> Any:
        asked.append(path[0])
        answer = get(portal, *path, **how)
        if len(asked) == 2:  # the first answer that it shows
            run(empty, "jobs", "resume", made.sid)
        return answer

    monkeypatch.setattr(PortalClient, "get", resumed_after)
    said = run(empty, "jobs", "follow", made.sid)
    assert "3 of 1,500 done, paused\n" in said.stderr
    assert said.stdout.endswith("  done       3 done\n")


@pytest.mark.parametrize("status", [JobStatus.CANCELLED, JobStatus.FAILED])
def test_following_a_job_that_does_not_end_well_fails(empty: Emulator, status: JobStatus) -> None:
    made = keep(empty, 1, status=status, status_reason="it broke")
    said = run(empty, "jobs", "follow", made.sid, code=1).stderr
    assert f"the job {made.sid} was {status}, 0 of 1,500 done: it broke" in said


def test_following_goes_on_while_the_server_does_not_answer(
    empty: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, asked, get = keep(empty, 1), list[str](), PortalClient.get

    def breaks(portal: PortalClient, *path: str, **how: Any) -> Any:
        asked.append(path[0])
        if len(asked) in (2, 3):
            raise NoServerAnswers("nobody")
        if len(asked) == 4:
            empty._change(lambda tx, context: tx.jobs.save(cancel(made, context.now)))
        return get(portal, *path, **how)

    monkeypatch.setattr(PortalClient, "get", breaks)
    run(empty, "jobs", "follow", made.sid, code=1)
    assert len(asked) == 4
    asked.clear()
    monkeypatch.setattr(jobs_command, "_PATIENCE_SECONDS", -1.0)
    empty._change(lambda tx, _: tx.jobs.save(made))
    assert run(empty, "jobs", "follow", made.sid, code=1).stderr == "ringback: nobody\n"


def test_ctrl_c_ends_the_command_but_not_the_job(empty: Emulator) -> None:
    made = keep(empty, 1)
    words = [sys.executable, "-m", "ringback", *words_of(empty, "jobs", "follow", made.sid)]
    master, slave = os.openpty()
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=slave, text=True, cwd=Path(__file__).parent
    ) as process:
        os.close(slave)
        seen = b""
        while b"paused" not in seen:
            seen += os.read(master, 4096)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == jobs_command.INTERRUPTED
        while b"ends it" not in seen:
            seen += os.read(master, 4096)
    os.close(master)
    assert re.search(rb"\r0 of 1,500 done, paused", seen)
    assert f"`ringback jobs cancel {made.sid}` ends it".encode() in seen
    (left,) = jobs_in(empty)
    assert left["status"] == "paused"
