"""`ringback migrate` on a data folder: the job that moves URLs, and journals of before."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ringback.core.accounts.account import EVERY
from ringback.core.job import Job, JobStatus, cancel
from ringback.migration.plan import MigrationPlan, edit_record, plan_lines
from ringback.operations.plan_jobs import PlanAction, PlanOrder, PlanWork
from ringback.ports import PageWindow
from tests.fakes import a_context
from tests.unit.migration.shell import Shell

SLOWLY = ("--no-probe", "--canary", "50", "--soak", "1h")


def jobs_in(shell: Shell) -> list[Job]:
    """Return all jobs, the oldest first."""
    window = PageWindow(99)
    page = shell.with_store(lambda store: store.read(lambda tx: tx.jobs.page(EVERY, {}, window)))
    return page[::-1]


def move_job(shell: Shell, move: Callable[[Job, datetime], Job]) -> None:
    (job,) = [one for one in jobs_in(shell) if one.status is JobStatus.RUNNING]
    moved = move(job, datetime.now(UTC))
    shell.with_store(lambda store: store.transact(lambda tx: tx.jobs.save(moved)))


def lines_in(shell: Shell) -> list[str]:
    plan_id = MigrationPlan.read(Path("move.plan")).id
    lines = shell.with_store(
        lambda store: store.read(lambda tx: tx.plans.after(EVERY, plan_id, 0, limit=9999))
    )
    return [json.loads(line)["ringback_journal"] for line in lines]


def wait_for(shell: Shell, mark: str, count: int = 1) -> None:
    """Wait until the journal has as many lines of this type."""
    while lines_in(shell).count(mark) < count:
        time.sleep(0.02)


@contextmanager
def in_background(*words: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command in a process of its own, since two in one process would mix their output."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ringback", "migrate", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ending(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for the end of a command; return its exit code and its output."""
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    return process.returncode, out, err


def test_a_job_that_is_cancelled_ends_the_command_with_its_name(
    shell: Shell, four: list[str]
) -> None:
    with in_background("apply", "move.plan", *SLOWLY) as apply:
        wait_for(shell, "soaking")
        move_job(shell, cancel)
        exit_code, _, err = ending(apply)
    (job,) = jobs_in(shell)
    assert (exit_code, job.status) == (1, JobStatus.CANCELLED)
    assert f"ringback: the job {job.sid} was cancelled" in err
    assert len([url for url in shell.urls() if url.endswith("kore")]) == 2


def test_a_revert_cancels_the_apply_and_moves_all_back(shell: Shell, four: list[str]) -> None:
    with in_background("apply", "move.plan", *SLOWLY) as apply:
        wait_for(shell, "soaking")
        assert "moved back 2 of 2" in shell.said("revert", "move.plan", "--yes")
        exit_code, _, err = ending(apply)
    first, second = jobs_in(shell)
    assert exit_code == 1
    assert f"the job {first.sid} has ended: the job {second.sid} works on the plan now" in err
    assert [job.status for job in (first, second)] == [JobStatus.CANCELLED, JobStatus.DONE]
    assert shell.urls() == four
    assert sorted(shell.statuses().values()) == ["gone back"] * 2 + ["pending"] * 2


def test_a_second_apply_follows_the_job_of_the_first(shell: Shell, four: list[str]) -> None:
    words = ("apply", "move.plan", "--no-probe", "--canary", "50", "--soak", "2s", "--least", "0")
    with in_background(*words) as first:
        wait_for(shell, "soaking")
        second = shell.run(*words)
        exit_code, out, _ = ending(first)
    assert len(jobs_in(shell)) == 1
    assert (exit_code, second.exit_code) == (0, 0)
    for said in (out, second.stdout):
        assert "4  moved" in said
    assert lines_in(shell).count("moving") == 2


def test_an_apply_is_refused_while_a_revert_is_under_way(shell: Shell, four: list[str]) -> None:
    shell.said("apply", "move.plan", "--no-probe")
    path, plan = Path("move.plan"), MigrationPlan.read(Path("move.plan"))
    work = PlanWork(action=PlanAction.REVERT)
    order = PlanOrder(plan_id=plan.id, lines=plan_lines(path), edits=4, work=work)
    shell.with_store(
        lambda store: store.transact(
            lambda tx: order.create(tx, a_context(), account_sid=EVERY, created_by="somebody")
        )
    )
    ended = shell.run("apply", "move.plan", "--no-probe")
    job = jobs_in(shell)[-1]
    assert ended.exit_code == 1
    assert f"the job {job.sid} carries out this plan already (revert)" in ended.stderr
    # The revert is finished by the next `revert`.
    shell.said("revert", "move.plan", "--yes")
    assert shell.urls() == four


def test_test_events_need_a_server(shell: Shell, four: list[str]) -> None:
    ended = shell.run("apply", "move.plan", *SLOWLY, "--test-event")
    assert ended.exit_code == 1
    assert "only a server sends test events, and none uses this data: start it" in ended.stderr
    assert shell.urls() == four


def test_an_interrupted_command_says_how_to_go_on(shell: Shell, four: list[str]) -> None:
    with in_background("apply", "move.plan", *SLOWLY) as apply:
        wait_for(shell, "soaking")
        apply.send_signal(signal.SIGINT)
        exit_code, _, err = ending(apply)
    assert exit_code == 1
    assert "the move was interrupted: run the command again, or start the server, to go on" in err
    (job,) = jobs_in(shell)
    assert job.status is JobStatus.RUNNING
    with in_background("apply", "move.plan", *SLOWLY) as apply:
        wait_for(shell, "goes on")
    shell.said("revert", "move.plan", "--yes")
    assert shell.urls() == four


# ---- journals of earlier versions ----------------------------------------------------------------


def old_journal(shell: Shell, *more: dict[str, Any], moved: int = 2) -> None:
    """Write the journal of an open move as versions before jobs did, and make its edits."""
    plan = MigrationPlan.read(Path("move.plan"))
    edits = sorted(plan.edits, key=lambda edit: edit.old)[:moved]
    places = [[edit.place.account_sid, edit.place.name, ""] for edit in edits]
    lines = [
        {"ringback_journal": "began", "plan": plan.id, "shares": [50], "soak": 0.0},
        {"ringback_journal": "step", "share": 50},
        {"ringback_journal": "moving", "edits": [edit_record(edit) for edit in edits]},
        {"ringback_journal": "moved", "places": places},
        *more,
    ]
    text = "".join(f"{json.dumps({**line, 'at': '2024-10-01T00:00:00+00:00'})}\n" for line in lines)
    Path("move.plan.journal").write_text(f'{text}{{"ringback_journal": "pas')
    for edit in edits:
        shell.change(edit.old, edit.new)


OPEN_STEPS = pytest.mark.parametrize(
    "more",
    [
        [],
        [{"ringback_journal": "soaking", "until": "2024-10-01T00:00:00+00:00"}],
        [{"ringback_journal": "passed"}],
    ],
    ids=["moved", "watched", "passed"],
)


@OPEN_STEPS
def test_an_open_move_of_an_earlier_version_is_finished(
    shell: Shell, four: list[str], more: list[dict[str, Any]]
) -> None:
    old_journal(shell, *more)
    journal = Path("move.plan.journal").read_text()
    assert sorted(shell.statuses().values()) == ["moved"] * 2 + ["pending"] * 2
    said = shell.said("apply", "move.plan", "--no-probe")
    assert "4  moved" in said
    assert set(shell.statuses().values()) == {"moved"}
    shell.said("revert", "move.plan", "--yes")
    assert shell.urls() == four
    # The journal is in the data now, and the file is never written again.
    assert Path("move.plan.journal").read_text() == journal


@OPEN_STEPS
def test_an_open_move_of_an_earlier_version_is_reverted(
    shell: Shell, four: list[str], more: list[dict[str, Any]]
) -> None:
    old_journal(shell, *more)
    assert "moved back 2 of 2" in shell.said("revert", "move.plan", "--yes")
    assert shell.urls() == four
    assert sorted(shell.statuses().values()) == ["gone back"] * 2 + ["pending"] * 2


def test_a_rollback_of_an_earlier_version_is_finished(shell: Shell, four: list[str]) -> None:
    old_journal(shell, {"ringback_journal": "stopped"})
    said = shell.said("apply", "move.plan", "--no-probe", exit_code=3)
    assert "stopped: a step was rolled back" in said
    assert shell.urls() == four
    assert "4  moved" in shell.said("apply", "move.plan", "--no-probe")


def test_the_journal_of_another_plan_is_not_taken_over(shell: Shell, four: list[str]) -> None:
    old_journal(shell)
    path = Path("move.plan.journal")
    plan_id = MigrationPlan.read(Path("move.plan")).id
    path.write_text(path.read_text().replace(plan_id, "another"))
    ended = shell.run("apply", "move.plan", "--no-probe")
    assert ended.exit_code == 1
    assert "is the journal of another plan" in ended.stderr
    assert jobs_in(shell) == []
