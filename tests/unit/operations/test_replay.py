"""Replaying and discarding callbacks: which are sent again, and from which source."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from ringback.core.callbacks.callback import CallbackRecord, CallbackStatus, DeliveryProgress
from ringback.core.errors import Conflict, NotFound
from ringback.core.policy.source_policy import Source
from ringback.operations.replay import (
    BulkReplayTotals,
    Replay,
    discard_callback,
    from_other_source,
    from_same_source,
    only_look,
    only_look_at_other,
    replay_callback,
    replay_named,
    replay_oldest,
)
from ringback.ports import CallbackFilter, PageWindow
from tests.callback_queues import RecordingQueue
from tests.fakes import A_KEY, ACCOUNT_SID, CALLBACK_SID, NOW, a_callback, a_context, an_account
from tests.memory_store import MemoryTransaction

THEIRS = "AC" + "f" * 32
STRANGER = "CB" + "9" * 32
NOON = NOW + timedelta(hours=1)
SCHEDULED, DELIVERED, FAILED, DISCARDED = CallbackStatus
ANY = frozenset(CallbackStatus)


@pytest.fixture
def tx() -> MemoryTransaction:
    tx = MemoryTransaction()
    tx.accounts.add(an_account(), [])
    return tx


@pytest.fixture
def queue() -> RecordingQueue:
    return RecordingQueue()


@pytest.fixture
def again(queue: RecordingQueue) -> Replay:
    return from_same_source(a_context(now=NOON, queue=queue))


@pytest.fixture
def elsewhere(queue: RecordingQueue) -> Replay:
    return from_other_source(a_context(now=NOON, queue=queue))


def sid(number: int) -> str:
    return f"CB{number:032}"


def add(tx: MemoryTransaction, number: int = 1, **kinds: Any) -> CallbackRecord:
    status = kinds.get("status", FAILED)
    kinds = {"sid": sid(number), "due": None, "status": FAILED, "attempt_count": 2} | kinds
    callback = a_callback(**kinds)
    assert status is callback.status
    tx.callbacks.add(callback)
    return callback


def all_of(tx: MemoryTransaction) -> list[CallbackRecord]:
    return tx.callbacks.page(ACCOUNT_SID, CallbackFilter(), PageWindow(99))[::-1]


def done(tx: MemoryTransaction) -> None:
    for ending in tx.endings:
        ending.durable()


# ---- one -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [FAILED, DISCARDED, DELIVERED])
def test_a_replay_makes_the_same_callback_due_from_its_first_round_on(
    tx: MemoryTransaction, again: Replay, queue: RecordingQueue, status: CallbackStatus
) -> None:
    before = add(tx, status=status, status_reason="it went wrong", round_number=7)
    replayed = replay_callback(tx, ACCOUNT_SID, before.sid, again, statuses=ANY)
    assert replayed == before.having(DeliveryProgress(NOON, attempt_count=2, due=NOON))
    assert all_of(tx) == [replayed]
    done(tx)
    assert (queue.taken, queue.changed) == ([], [before.sid])


def test_a_replay_from_the_other_source_has_its_own_author(tx: MemoryTransaction) -> None:
    before = a_callback(sid=sid(1), due=None, status=FAILED)._replace(created_by="SK1")
    tx.callbacks.add(before)
    context = replace(a_context(now=NOON), actor=A_KEY)
    made = replay_callback(tx, ACCOUNT_SID, before.sid, from_other_source(context), statuses=ANY)
    assert (made.replay_of, made.created_by) == (before.sid, A_KEY.id)
    assert (
        replay_callback(
            tx, ACCOUNT_SID, before.sid, from_same_source(context), statuses=ANY
        ).created_by
        == "SK1"
    )


def test_a_callback_that_was_never_attempted_is_replayed(
    tx: MemoryTransaction, again: Replay
) -> None:
    before = add(tx, attempt_count=0)
    replayed = replay_callback(tx, ACCOUNT_SID, before.sid, again, statuses=ANY)
    assert replayed.progress == DeliveryProgress(NOON, due=NOON)


def test_a_waiting_callback_is_due_now(tx: MemoryTransaction, again: Replay) -> None:
    before = add(tx, status=SCHEDULED, due=NOW + timedelta(days=2), round_number=3)
    replayed = replay_callback(tx, ACCOUNT_SID, before.sid, again, statuses=ANY)
    assert replayed.progress == DeliveryProgress(NOON, attempt_count=2, due=NOON)


@pytest.mark.parametrize(
    ("source", "other"), [(Source.KORE, Source.TWILIO), (Source.TWILIO, Source.KORE)]
)
def test_a_replay_from_the_other_source_is_a_new_callback_with_a_new_token(
    tx: MemoryTransaction, elsewhere: Replay, queue: RecordingQueue, source: Source, other: Source
) -> None:
    before = add(tx, source=source, idempotency_key="order 7", order_key="SIM 7")
    new = replay_callback(tx, ACCOUNT_SID, before.sid, elsewhere, statuses=ANY)
    assert (new.source, new.replay_of) == (other, before.sid)
    assert new.idempotency_token != before.idempotency_token
    assert (new.url, new.method, new.body) == (before.url, before.method, before.body)
    assert (new.idempotency_key, new.progress) == (None, DeliveryProgress(NOON, due=NOON))
    assert new.order_key == "SIM 7"
    done(tx)
    assert queue.taken == [new.sid]


def test_a_failed_callback_is_discarded_when_the_other_source_takes_over(
    tx: MemoryTransaction, elsewhere: Replay
) -> None:
    before = add(tx, source=Source.KORE)
    new = replay_callback(tx, ACCOUNT_SID, before.sid, elsewhere, statuses=ANY)
    old, kept = all_of(tx)
    assert kept == new
    assert (old.status, old.progress.status_reason) == (
        DISCARDED,
        f"replayed from twilio as {new.sid}",
    )


@pytest.mark.parametrize("status", [DELIVERED, DISCARDED])
def test_a_callback_that_ended_otherwise_is_unchanged(
    tx: MemoryTransaction, elsewhere: Replay, status: CallbackStatus
) -> None:
    before = add(tx, status=status, status_reason="so it was")
    replay_callback(tx, ACCOUNT_SID, before.sid, elsewhere, statuses=ANY)
    assert all_of(tx)[0] == before


def test_the_status_has_to_be_one_of_the_requested_ones(
    tx: MemoryTransaction, elsewhere: Replay
) -> None:
    before = add(tx, status=SCHEDULED, due=NOW)
    with pytest.raises(Conflict) as refused:
        replay_callback(tx, ACCOUNT_SID, before.sid, elsewhere, statuses=ANY - {SCHEDULED})
    assert refused.value.message == (
        f"{before.sid} is scheduled; the other source can send it only after"
        " it was delivered, failed or discarded"
    )
    assert all_of(tx) == [before]


def under_way(tx: MemoryTransaction) -> CallbackRecord:
    return add(tx, status=SCHEDULED, due=None)


def test_a_callback_with_an_attempt_in_progress_is_not_replayed(
    tx: MemoryTransaction, again: Replay
) -> None:
    before = under_way(tx)
    with pytest.raises(Conflict) as refused:
        replay_callback(tx, ACCOUNT_SID, before.sid, again, statuses=ANY)
    assert (refused.value.code, refused.value.message) == (
        20409,
        (f"an attempt of {before.sid} is in progress; try again when it has ended"),
    )
    assert all_of(tx) == [before]


@pytest.mark.parametrize("wanted", [STRANGER, CALLBACK_SID], ids=["unknown", "another account's"])
def test_another_accounts_callback_is_not_found(
    tx: MemoryTransaction, again: Replay, queue: RecordingQueue, wanted: str
) -> None:
    tx.callbacks.add(a_callback(account_sid=THEIRS, status=FAILED, due=None))
    with pytest.raises(NotFound):
        replay_callback(tx, ACCOUNT_SID, wanted, again, statuses=ANY)
    with pytest.raises(NotFound):
        discard_callback(tx, ACCOUNT_SID, wanted, "why", a_context(now=NOON, queue=queue))


# ---- many ----------------------------------------------------------------------------------------


def replayed(tx: MemoryTransaction) -> list[str]:
    return [each.sid for each in all_of(tx) if each.progress.due == NOON]


def some_of_each(tx: MemoryTransaction) -> None:
    add(tx, 1)
    add(tx, 2, status=DELIVERED)
    add(tx, 3, status=DISCARDED)
    add(tx, 4, status=SCHEDULED, due=NOW)
    add(tx, 5, status=SCHEDULED)  # in progress


def test_the_given_callbacks_are_replayed_and_the_others_counted_by_reason(
    tx: MemoryTransaction, again: Replay
) -> None:
    some_of_each(tx)
    sids = [*map(sid, range(1, 6)), STRANGER]
    counts = replay_named(tx, ACCOUNT_SID, sids, again, statuses=ANY - {DELIVERED})
    assert replayed(tx) == [sid(1), sid(3), sid(4)]
    assert (counts.matched, counts.replayed) == (6, 3)
    assert counts.skipped == {"delivered": 1, "under_way": 1, "unknown": 1}


def test_if_all_are_replayed_no_reason_is_counted(tx: MemoryTransaction, again: Replay) -> None:
    add(tx, 1)
    counts = replay_named(tx, ACCOUNT_SID, [sid(1)], again, statuses=ANY)
    assert (counts.replayed, dict(counts.skipped)) == (1, {})


def test_all_that_match_are_replayed_the_oldest_first(tx: MemoryTransaction, again: Replay) -> None:
    for number in range(1, 6):
        add(tx, number, now=NOW + number * timedelta(minutes=1))
    which = CallbackFilter(frozenset({FAILED}), since=NOW + timedelta(minutes=2))
    first = replay_oldest(tx, ACCOUNT_SID, which, again, after=None, limit=2)
    assert replayed(tx) == [sid(2), sid(3)]
    assert (first.matched, first.last) == (2, sid(3))
    second = replay_oldest(tx, ACCOUNT_SID, which, again, after=first.last, limit=3)
    assert replayed(tx) == [sid(2), sid(3), sid(4), sid(5)]
    assert (second.matched, second.last) == (2, sid(5))


def test_callbacks_in_progress_are_skipped_among_many_too(
    tx: MemoryTransaction, again: Replay
) -> None:
    some_of_each(tx)
    which = CallbackFilter(frozenset({SCHEDULED}))
    counts = replay_oldest(tx, ACCOUNT_SID, which, again, after=None, limit=9)
    assert replayed(tx) == [sid(4)]
    assert (counts.matched, counts.skipped) == (2, {"under_way": 1})


def test_a_dry_run_counts_the_same_and_changes_nothing(tx: MemoryTransaction) -> None:
    some_of_each(tx)
    before = all_of(tx)
    counts = replay_named(
        tx, ACCOUNT_SID, [sid(1), sid(2), sid(5)], only_look, statuses=frozenset({FAILED})
    )
    assert (counts.matched, counts.replayed) == (3, 1)
    assert all_of(tx) == before
    assert tx.endings == []


def test_counts_add_up() -> None:
    first = BulkReplayTotals(3, Counter(unknown=1), "CB1")
    assert first + BulkReplayTotals(2, Counter(unknown=1, delivered=1), "CB2") == BulkReplayTotals(
        5, Counter(unknown=2, delivered=1), "CB2"
    )
    assert (first + BulkReplayTotals()).last == "CB1"


# ---- discarding ----------------------------------------------------------------------------------


def discard(tx: MemoryTransaction, which: str, why: str = "not needed") -> CallbackRecord:
    return discard_callback(tx, ACCOUNT_SID, which, why, a_context(now=NOON))


@pytest.mark.parametrize(("status", "due"), [(SCHEDULED, NOW), (FAILED, None)])
def test_discarding_ends_a_callback_with_its_reason(
    tx: MemoryTransaction, status: CallbackStatus, due: datetime | None
) -> None:
    before = add(tx, status=status, due=due)
    discarded = discard(tx, before.sid)
    assert all_of(tx) == [discarded]
    assert discarded.progress == before.progress._replace(
        status=DISCARDED, status_reason="not needed", due=None, date_updated=NOON
    )


@pytest.mark.parametrize(
    ("add_one", "message"),
    [
        (
            lambda tx: add(tx, status=DELIVERED),
            f"{sid(1)} is delivered already; it can't be discarded",
        ),
        (
            lambda tx: add(tx, status=DISCARDED, status_reason="once is enough"),
            f"{sid(1)} is discarded already (once is enough); it can't be discarded",
        ),
        (under_way, f"an attempt of {sid(1)} is in progress; try again when it has ended"),
    ],
    ids=["delivered", "discarded", "under way"],
)
def test_a_delivered_callback_or_one_in_progress_cannot_be_discarded(
    tx: MemoryTransaction, add_one: Callable[[MemoryTransaction], CallbackRecord], message: str
) -> None:
    before = add_one(tx)
    with pytest.raises(Conflict) as refused:
        discard(tx, before.sid)
    assert refused.value.message == message
    assert all_of(tx) == [before]


# ---- test events ---------------------------------------------------------------------------------


def test_a_test_event_is_replayed_unchanged(tx: MemoryTransaction, again: Replay) -> None:
    before = add(tx, is_test=True, secret_id="whs_1")
    replayed = replay_callback(tx, ACCOUNT_SID, before.sid, again, statuses=ANY)
    assert replayed == before.having(DeliveryProgress(NOON, attempt_count=2, due=NOON))


def test_a_test_event_is_not_replayed_from_the_other_source(
    tx: MemoryTransaction, elsewhere: Replay
) -> None:
    before = add(tx, is_test=True)
    with pytest.raises(Conflict, match="is a test event, which only kore sends"):
        replay_callback(tx, ACCOUNT_SID, before.sid, elsewhere, statuses=ANY)
    assert all_of(tx) == [before]


@pytest.mark.parametrize("is_dry", [True, False])
def test_among_many_test_events_are_skipped_and_counted(
    tx: MemoryTransaction, elsewhere: Replay, is_dry: bool
) -> None:
    add(tx, 1, is_test=True)
    add(tx, 2)
    send_again = only_look_at_other if is_dry else elsewhere
    done = replay_named(tx, ACCOUNT_SID, [sid(1), sid(2)], send_again, statuses=ANY)
    assert (done.matched, done.replayed, done.skipped) == (2, 1, {"test": 1})
