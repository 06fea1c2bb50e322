"""Jobs: what a piece of work changes, and which moves are allowed in which state."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from ringback.core.accounts.account import EVERY
from ringback.core.errors import Conflict
from ringback.core.job import Job, JobPiece, JobStatus, cancel, pause, resume
from tests.fakes import NOW
from tests.stores.records import job

LATER = NOW + timedelta(seconds=1)
RUNNING, PAUSED, DONE, CANCELLED, FAILED = JobStatus
PIECE = JobPiece({"replayed": 3, "under_way": 1}, 7, is_last=False)

Move = Callable[[Job, datetime], Job]


def test_a_piece_adds_to_the_counts_and_moves_the_position() -> None:
    begun = replace(job(1), counts={"replayed": 5}, position=4, status_reason="waits")
    after = begun.after(PIECE, LATER)
    assert after == replace(
        begun,
        counts={"replayed": 8, "under_way": 1},
        position=7,
        status_reason=None,
        date_updated=LATER,
    )
    assert after.done == 9


def test_a_piece_that_found_nothing_leaves_counts_and_position() -> None:
    begun = replace(job(1), counts={"replayed": 5}, position=4)
    after = begun.after(JobPiece({"replayed": 0}, None, is_last=False), LATER)
    assert (after.counts, after.position) == ({"replayed": 5}, 4)


def test_a_job_is_done_after_its_last_piece() -> None:
    after = job(1).after(PIECE._replace(is_last=True), LATER)
    assert (after.status, after.date_ended, after.date_updated) == (DONE, LATER, LATER)


def test_a_job_that_waits_says_why_and_goes_on_running() -> None:
    waiting = job(1).waiting("no room", LATER)
    assert (waiting.status, waiting.status_reason, waiting.date_updated) == (
        *(RUNNING, "no room", LATER),
    )


def test_a_failed_job_says_why() -> None:
    failed = job(1).failed("it broke", LATER)
    assert (failed.status, failed.status_reason, failed.date_ended) == (FAILED, "it broke", LATER)


def test_a_job_on_all_accounts_is_the_operators() -> None:
    assert job(1).owner == job(1).account_sid
    assert replace(job(1), account_sid=EVERY).owner is None


def test_a_job_is_done_when_all_its_work_is() -> None:
    done = job(1).waiting("no room", NOW).completed(LATER)
    assert done == replace(job(1), status=DONE, date_ended=LATER, date_updated=LATER)


@pytest.mark.parametrize(
    ("move", "before", "after"),
    [
        (pause, RUNNING, PAUSED),
        (resume, PAUSED, RUNNING),
        (cancel, RUNNING, CANCELLED),
        (cancel, PAUSED, CANCELLED),
    ],
)
def test_an_allowed_move_changes_the_status(
    move: Move, before: JobStatus, after: JobStatus
) -> None:
    begun = replace(job(1), status=before)
    ended = LATER if after is CANCELLED else None
    assert move(begun, LATER) == replace(begun, status=after, date_updated=LATER, date_ended=ended)


@pytest.mark.parametrize("move", [pause, cancel])
def test_a_job_that_no_longer_runs_waits_for_nothing(move: Move) -> None:
    assert move(job(1).waiting("no room", NOW), LATER).status_reason is None


@pytest.mark.parametrize(
    ("move", "refused", "what"),
    [
        (pause, {PAUSED, DONE, CANCELLED, FAILED}, "running can be paused"),
        (resume, {RUNNING, DONE, CANCELLED, FAILED}, "paused can be resumed"),
        (cancel, {DONE, CANCELLED, FAILED}, "running or paused can be cancelled"),
    ],
)
def test_any_other_move_is_refused(move: Move, refused: set[JobStatus], what: str) -> None:
    for status in refused:
        begun = replace(job(1), status=status)
        with pytest.raises(Conflict) as caught:
            move(begun, LATER)
        assert caught.value.message == f"{begun.sid} is {status}; only a job that is {what}"
