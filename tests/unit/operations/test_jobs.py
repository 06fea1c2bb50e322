"""Jobs: creating and moving them, and the pieces of a bulk replay."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ringback.core.callbacks.callback import Attempt, CallbackStatus
from ringback.core.callbacks.undelivered_groups import GroupIdentity
from ringback.core.errors import BacklogFull, Conflict, NotFound
from ringback.core.job import IN_PIECES, Job, JobKind, JobPiece, JobStatus, cancel, pause, resume
from ringback.core.policy.source_policy import Source
from ringback.operations.jobs import (
    MOST_UNFINISHED,
    BulkReplay,
    change_job,
    create_job,
    do_piece,
    fetch_job,
)
from ringback.ports import CallbackFilter
from tests.callback_queues import RecordingQueue
from tests.fakes import ACCOUNT_SID, NOW, a_callback, a_context, an_account
from tests.memory_store import MemoryTransaction
from tests.stores.records import THEIRS, job

SECOND = timedelta(seconds=1)
LATER = NOW + timedelta(hours=1)
FAILED = frozenset({CallbackStatus.FAILED})
ALL_FAILED = CallbackFilter(statuses=FAILED, until=LATER)


@pytest.fixture
def tx() -> MemoryTransaction:
    tx = MemoryTransaction()
    tx.accounts.add(an_account(), [])
    return tx


def sid(number: int) -> str:
    return f"CB{number:032}"


def add_failed(tx: MemoryTransaction, *numbers: int, **fields: Any) -> None:
    for number in numbers:
        given = {"status": CallbackStatus.FAILED, "due": None, "attempt_count": 1, **fields}
        tx.callbacks.add(a_callback(sid=sid(number), token=f"token {number}", **given))


def a_replay(number: int = 1, which: CallbackFilter = ALL_FAILED, **how: Any) -> Job:
    replay = BulkReplay(which=which, **how)
    return replace(job(number, ACCOUNT_SID), parameters=replay.parameters(), date_created=LATER)


# ---- moves


def test_a_new_job_is_saved(tx: MemoryTransaction) -> None:
    assert (
        create_job(tx, job(1), a_context())
        == fetch_job(tx, job(1).account_sid, job(1).sid)
        == job(1)
    )


def test_only_the_first_job_with_an_idempotency_key_is_saved(tx: MemoryTransaction) -> None:
    first, second, theirs = (
        replace(one, idempotency_key="key") for one in (job(1), job(2), job(3, THEIRS))
    )
    assert create_job(tx, first, a_context()) == create_job(tx, second, a_context()) == first
    assert create_job(tx, theirs, a_context()) == theirs
    assert tx.jobs.get(second.sid) is None


def test_an_account_can_have_a_limited_number_of_unfinished_jobs(tx: MemoryTransaction) -> None:
    for number in range(MOST_UNFINISHED):
        create_job(tx, pause(job(number), NOW) if number % 2 else job(number), a_context())
    with pytest.raises(Conflict, match="20 jobs of this account have not ended"):
        create_job(tx, job(100), a_context())
    create_job(tx, job(100, THEIRS), a_context())
    tx.jobs.save(cancel(job(0), NOW))
    create_job(tx, job(101), a_context())


def test_a_job_is_moved_and_saved(tx: MemoryTransaction) -> None:
    tx.jobs.add(job(1))
    for move, status in ((pause, JobStatus.PAUSED), (resume, JobStatus.RUNNING)):
        moved = change_job(tx, job(1).account_sid, job(1).sid, move, a_context(), action="MoveJob")
        assert moved == tx.jobs.get(job(1).sid)
        assert moved.status is status


def test_a_job_of_another_account_is_not_found(tx: MemoryTransaction) -> None:
    tx.jobs.add(job(1))
    with pytest.raises(NotFound, match=f"there is no job with the SID '{job(1).sid}'"):
        fetch_job(tx, THEIRS, job(1).sid)
    with pytest.raises(NotFound):
        change_job(tx, THEIRS, job(1).sid, cancel, a_context(), action="CancelJob")


# ---- parameters


@pytest.mark.parametrize(
    "replay",
    [
        BulkReplay(which=ALL_FAILED),
        BulkReplay(
            which=CallbackFilter(
                statuses=frozenset(CallbackStatus),
                source=Source.KORE,
                idempotency_token="token",
                destination="https://a.example",
                since=NOW + timedelta(microseconds=1),
                until=LATER,
                url_prefix="https://a.example/b",
                event="sms",
                sim_sid="HS1",
                text="a text",
            ),
            is_from_other_source=True,
            most=5,
            groups=("a", "b"),
        ),
    ],
    ids=["few", "all"],
)
def test_the_parameters_of_a_replay_are_read_back(replay: BulkReplay) -> None:
    assert BulkReplay.of(replay.parameters()) == replay


def test_the_parameters_have_only_what_was_asked_for() -> None:
    assert BulkReplay(which=ALL_FAILED).parameters() == {
        "statuses": ["failed"],
        "until": "2024-07-03T15:40:58Z",
        "as_other_source": False,
    }


# ---- pieces


def work(
    tx: MemoryTransaction, asked: Job, queue: RecordingQueue, limit: int = 2
) -> list[JobPiece]:
    """Do all pieces of a job."""
    pieces = list[JobPiece]()
    while not pieces or not pieces[-1].is_last:
        pieces.append(do_piece(tx, asked, a_context(now=LATER, queue=queue), limit))
        asked = asked.after(pieces[-1], LATER)
    return pieces


def due_again(tx: MemoryTransaction) -> list[str]:
    return [one.sid for one in tx.callbacks.callbacks.values() if one.progress.due == LATER]


def test_each_callback_that_matches_is_replayed_once(tx: MemoryTransaction) -> None:
    add_failed(tx, 1, 2, 3)
    add_failed(tx, 4, status=CallbackStatus.DELIVERED)
    add_failed(tx, 5, now=LATER)
    queue = RecordingQueue()
    pieces = work(tx, a_replay(), queue)
    assert [piece.counts for piece in pieces] == [{"replayed": 2}, {"replayed": 1}]
    assert due_again(tx) == [sid(1), sid(2), sid(3)]
    assert queue.asked == [(ACCOUNT_SID, 2)] * 2


def test_a_replay_goes_on_although_its_last_callback_was_deleted(tx: MemoryTransaction) -> None:
    add_failed(tx, 1, 2, 3, 4)
    which = replace(ALL_FAILED, statuses=frozenset(CallbackStatus))
    context = a_context(now=LATER)
    piece = do_piece(tx, a_replay(which=which), context, 2)
    del tx.callbacks.callbacks[sid(2)]
    again = do_piece(tx, a_replay(which=which).after(piece, LATER), context, 9)
    assert again.counts == {"replayed": 2}


def test_a_replay_from_the_other_source_does_not_feed_on_itself(tx: MemoryTransaction) -> None:
    add_failed(tx, 1, 2, 3)
    which = replace(ALL_FAILED, statuses=frozenset(CallbackStatus))
    asked = a_replay(which=which, is_from_other_source=True)
    # The clock of the process that does the work is behind, so its new callbacks would look old.
    context = a_context(now=NOW + SECOND)
    while asked.date_ended is None:
        asked = asked.after(do_piece(tx, asked, context, 2), LATER)
    assert asked.counts == {"replayed": 3}
    assert len(tx.callbacks.callbacks) == 6


def test_skipped_callbacks_are_counted_by_reason(tx: MemoryTransaction) -> None:
    add_failed(tx, 1)
    add_failed(tx, 2, is_test=True)
    add_failed(tx, 3, status=CallbackStatus.SCHEDULED, round_attempts=1)
    which = replace(ALL_FAILED, statuses=frozenset(CallbackStatus))
    (piece,) = work(tx, a_replay(which=which, is_from_other_source=True), RecordingQueue(), 9)
    assert piece.counts == {"replayed": 1, "test": 1, "under_way": 1}


def test_no_more_are_replayed_than_asked_for(tx: MemoryTransaction) -> None:
    add_failed(tx, 1, 2, 3, 4, 5)
    pieces = work(tx, a_replay(most=3), RecordingQueue())
    assert [piece.counts["replayed"] for piece in pieces] == [2, 1]
    assert due_again(tx) == [sid(1), sid(2), sid(3)]


def test_a_piece_is_smaller_if_the_queue_has_little_room(tx: MemoryTransaction) -> None:
    add_failed(tx, 1, 2)
    assert do_piece(tx, a_replay(), a_context(queue=RecordingQueue(1)), 2).counts == {"replayed": 1}


def test_nothing_is_replayed_if_the_queue_has_no_room(tx: MemoryTransaction) -> None:
    add_failed(tx, 1)
    with pytest.raises(BacklogFull):
        do_piece(tx, a_replay(), a_context(now=LATER, queue=RecordingQueue(0)), 2)
    assert due_again(tx) == []


def test_a_kind_of_job_is_done_in_pieces_or_by_a_loop_of_its_own(tx: MemoryTransaction) -> None:
    for kind in IN_PIECES:
        assert do_piece(tx, replace(a_replay(), kind=kind), a_context(), 1).is_last
    with pytest.raises(ValueError, match="is not done in pieces"):
        do_piece(tx, replace(a_replay(), kind=JobKind.MIGRATION), a_context(), 1)


# ---- groups


def fail_with(tx: MemoryTransaction, status: int, *numbers: int) -> str:
    """Add callbacks that failed with this answer, and return the key of their group."""
    add_failed(tx, *numbers)
    for number in numbers:
        attempt = Attempt(sid(number), ACCOUNT_SID, 1, NOW, "refused", status)
        tx.callbacks.rows[sid(number), 1] = attempt
    first = tx.callbacks.callbacks[sid(numbers[0])]
    return GroupIdentity.of(first, tx.callbacks.rows[first.sid, 1]).key


def test_only_the_callbacks_of_the_groups_are_replayed_and_counted(tx: MemoryTransaction) -> None:
    keys = [fail_with(tx, 500, 1, 3, 5), fail_with(tx, 501, 2, 4), fail_with(tx, 502, 6)]
    pieces = work(tx, a_replay(groups=(keys[0], keys[2])), RecordingQueue())
    assert due_again(tx) == [sid(1), sid(3), sid(5), sid(6)]
    assert [piece.counts for piece in pieces] == [{"replayed": 2}, {"replayed": 2}]


def test_no_more_of_a_group_are_replayed_than_asked_for(tx: MemoryTransaction) -> None:
    fail_with(tx, 501, 1)
    key = fail_with(tx, 500, 2, 3, 4, 5)
    pieces = work(tx, a_replay(groups=(key,), most=3), RecordingQueue())
    assert [piece.counts["replayed"] for piece in pieces] == [2, 1]
    assert due_again(tx) == [sid(2), sid(3), sid(4)]


def test_a_job_goes_on_beyond_pages_without_a_callback_of_its_groups(
    tx: MemoryTransaction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ringback.operations.replay._SELECTED_AMONG", 2)
    fail_with(tx, 501, 1, 2, 3, 4, 5)
    key = fail_with(tx, 500, 6)
    pieces = work(tx, a_replay(groups=(key,)), RecordingQueue(), 1)
    assert [piece.counts["replayed"] for piece in pieces] == [0, 0, 1, 0]
    assert due_again(tx) == [sid(6)]


def test_a_group_of_which_nothing_is_left_replays_nothing(tx: MemoryTransaction) -> None:
    fail_with(tx, 500, 1)
    pieces = work(tx, a_replay(groups=("0" * 32,)), RecordingQueue())
    assert [(piece.counts, piece.is_last) for piece in pieces] == [({"replayed": 0}, True)]
    assert due_again(tx) == []
