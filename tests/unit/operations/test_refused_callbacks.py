"""What receivers refused while their URLs were moved is sent again by the old source, once."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from ringback.core.callbacks.callback import Attempt, CallbackRecord, CallbackStatus
from ringback.core.errors import BacklogFull
from ringback.core.http.outcome import (
    AttemptFailure,
    NoAnswerOutcome,
    Outcome,
    RefusedOutcome,
    UnknownOutcome,
    answered,
    failure_of,
    status_of,
)
from ringback.core.policy.source_policy import NOTICE, PhaseHold, Policy, Source
from ringback.operations.refused_callbacks import (
    RefusedCallbackFate,
    RefusedCallbacks,
    RefusedCallbacksPiece,
    ReturnedUrl,
)
from ringback.ports import CallbackFilter, PageWindow
from tests.callback_queues import RecordingQueue
from tests.fakes import A_KEY, ACCOUNT_SID, NOW, a_callback, a_context, an_account
from tests.memory_store import MemoryTransaction

SCHEDULED, DELIVERED, FAILED, DISCARDED = CallbackStatus
SENT_AGAIN, MAYBE_ACTED_ON, STAYS, DUE_LATER, OPEN = RefusedCallbackFate
THEIRS = "AC" + "f" * 32
MINUTE = timedelta(minutes=1)
NOON = NOW + timedelta(hours=1)
OLD, NEW = "https://a.example/p?x=1#rc=2", "https://a.example/p?x=1#rc=2&cbs=kore"
WENT_BACK = "kore was refused, and its URL went back"
REFUSED, CUT_OFF = RefusedOutcome(403), UnknownOutcome()
TIMED_OUT = NoAnswerOutcome(AttemptFailure.READ_TIMEOUT, "it was too slow")


@pytest.fixture
def tx() -> MemoryTransaction:
    tx = MemoryTransaction()
    for sid in (ACCOUNT_SID, THEIRS):
        tx.accounts.add(an_account(sid=sid), [])
    return tx


@pytest.fixture
def queue() -> RecordingQueue:
    return RecordingQueue()


def sid(number: int) -> str:
    return f"CB{number:032}"


def add(
    tx: MemoryTransaction, *outcomes: Outcome, number: int = 1, **fields: Any
) -> CallbackRecord:
    """Add a callback whose attempts ended like this; it has failed, unless `fields` say else."""
    given = {
        "url": NEW,
        "sid": sid(number),
        "token": f"token {number}",
        "status": FAILED,
        "due": None,
        "attempt_count": len(outcomes),
    }
    callback = a_callback(**given | fields)
    tx.callbacks.add(callback)
    record_attempts(tx, callback, outcomes)
    return callback


def record_attempts(
    tx: MemoryTransaction, callback: CallbackRecord, outcomes: Sequence[Outcome]
) -> None:
    """Add the attempts of a callback, which ended like this."""
    for at, outcome in enumerate(outcomes, 1):
        tx.callbacks.rows[callback.sid, at] = Attempt(
            *(callback.sid, callback.account_sid, at, NOW, outcome.label),
            status_code=status_of(outcome),
            failure=failure_of(outcome),
        )


def refused_callbacks(**fields: Any) -> RefusedCallbacks:
    given = {
        "account_sid": ACCOUNT_SID,
        "source": Source.KORE,
        "urls": {NEW: ReturnedUrl(OLD, NOW)},
    }
    return RefusedCallbacks(**given | fields)


def piece(
    tx: MemoryTransaction,
    queue: RecordingQueue,
    status: CallbackStatus = FAILED,
    *,
    after: int | None = None,
    limit: int = 99,
    policy: Policy = NOTICE,
    now: datetime = NOON,
    **fields: Any,
) -> RefusedCallbacksPiece:
    context = replace(a_context(now=now, queue=queue, policy=policy), actor=A_KEY)
    return refused_callbacks(**fields).send_again(tx, status, context, after=after, limit=limit)


def fate_of(
    tx: MemoryTransaction, callback: CallbackRecord, **how: Any
) -> RefusedCallbackFate | None:
    """Deal with the only callback, and return its fate; None if it was left alone."""
    done = piece(tx, RecordingQueue(), callback.status, **how)
    fates = [fate for fate, number in done.fates.items() if number]
    assert len(fates) <= 1
    return fates[0] if fates else None


def all_of(tx: MemoryTransaction, account_sid: str = ACCOUNT_SID) -> list[CallbackRecord]:
    return tx.callbacks.page(account_sid, CallbackFilter(), PageWindow(999))[::-1]


def found(tx: MemoryTransaction, number: int = 1) -> CallbackRecord:
    callback = tx.callbacks.find(sid(number))
    assert callback is not None
    return callback


# ---- sent again


def test_a_refused_callback_is_sent_by_the_old_source_as_a_new_one(
    tx: MemoryTransaction, queue: RecordingQueue
) -> None:
    before = add(tx, REFUSED, url="https://user:secret@a.example/p?x=1#rc=2&cbs=kore")
    assert piece(tx, queue) == ({SENT_AGAIN: 1}, [], None)
    gone, again = all_of(tx)
    assert again == before._replace(
        sid=again.sid,
        url=again.url,
        source=Source.TWILIO,
        source_asked=None,
        source_reason=f"{WENT_BACK}: the default in the current phase, `before`",
        idempotency_token=again.idempotency_token,
        date_created=NOON,
        progress=before.progress._replace(
            date_updated=NOON, status=SCHEDULED, due=NOON, attempt_count=0
        ),
        replay_of=before.sid,
        created_by=A_KEY.id,
    )
    assert again.url.configured == "https://user:secret@a.example/p?x=1#rc=2"
    assert again.idempotency_token not in (before.idempotency_token, None)
    assert len(again.idempotency_token) == 36
    why = f"the receiver refused kore; sent again from twilio as {again.sid}"
    assert gone == before.having(
        before.progress._replace(status=DISCARDED, status_reason=why, date_updated=NOON)
    )
    for ending in tx.endings:
        ending.durable()
    assert (queue.taken, queue.changed) == ([again.sid], [before.sid])


@pytest.mark.parametrize(
    ("outcomes", "fate"),
    [
        ([REFUSED], SENT_AGAIN),
        ([answered(500), answered(429), answered(410)], SENT_AGAIN),
        ([NoAnswerOutcome(AttemptFailure.CONNECT, "nobody listens")], SENT_AGAIN),
        ([NoAnswerOutcome(AttemptFailure.GUARD, "not a public address"), REFUSED], SENT_AGAIN),
        ([CUT_OFF, REFUSED], SENT_AGAIN),
        ([REFUSED, CUT_OFF], SENT_AGAIN),
        ([TIMED_OUT], MAYBE_ACTED_ON),
        ([TIMED_OUT, REFUSED], MAYBE_ACTED_ON),
        ([REFUSED, TIMED_OUT], MAYBE_ACTED_ON),
        ([answered(408)], MAYBE_ACTED_ON),
        ([REFUSED, answered(502)], MAYBE_ACTED_ON),
        ([answered(504), CUT_OFF], MAYBE_ACTED_ON),
        ([answered(302)], MAYBE_ACTED_ON),
        ([answered(200), REFUSED], MAYBE_ACTED_ON),
        ([CUT_OFF], MAYBE_ACTED_ON),
        ([], MAYBE_ACTED_ON),
    ],
)
def test_only_what_each_answer_refused_is_sent_again(
    tx: MemoryTransaction, outcomes: list[Outcome], fate: RefusedCallbackFate
) -> None:
    before = add(tx, *outcomes)
    assert fate_of(tx, before) is fate
    is_sent_again = fate is SENT_AGAIN
    assert len(all_of(tx)) == 1 + is_sent_again
    assert (found(tx) == before) is not is_sent_again


def test_the_callbacks_that_may_have_been_acted_on_are_named(
    tx: MemoryTransaction, queue: RecordingQueue
) -> None:
    add(tx, TIMED_OUT, number=3)
    add(tx, REFUSED, number=1)
    add(tx, CUT_OFF, number=2)
    done = piece(tx, queue)
    assert done.fates == {SENT_AGAIN: 1, MAYBE_ACTED_ON: 2}
    assert done.maybe_acted_on == [sid(3), sid(2)]


@pytest.mark.parametrize("outcomes", [[TIMED_OUT], [CUT_OFF], [answered(504), REFUSED], []])
def test_all_are_sent_again_if_a_person_says_so(
    tx: MemoryTransaction, outcomes: list[Outcome]
) -> None:
    assert fate_of(tx, add(tx, *outcomes), is_all=True) is SENT_AGAIN
    assert found(tx).status is DISCARDED


# ---- callbacks that have not ended


@pytest.mark.parametrize(
    ("outcomes", "due", "fate"),
    [
        # They wait for their next round.
        ([REFUSED], NOON + 99 * MINUTE, SENT_AGAIN),
        ([CUT_OFF, REFUSED], NOON, SENT_AGAIN),
        ([TIMED_OUT], NOON + 99 * MINUTE, MAYBE_ACTED_ON),
        # The only attempt was cut off: the next one shows whether its token is known.
        ([CUT_OFF], NOON, OPEN),
        ([CUT_OFF, CUT_OFF], NOON + MINUTE, OPEN),
        # They were never tried.
        ([], NOON - MINUTE, OPEN),
        ([], NOON + 10 * MINUTE, OPEN),
        ([], NOON + 11 * MINUTE, DUE_LATER),
    ],
)
def test_a_waiting_callback_is_dealt_with_by_what_is_known_of_it(
    tx: MemoryTransaction, outcomes: list[Outcome], due: datetime, fate: RefusedCallbackFate
) -> None:
    before = add(tx, *outcomes, status=SCHEDULED, due=due)
    assert fate_of(tx, before) is fate
    assert (found(tx) == before) is (fate is not SENT_AGAIN)


@pytest.mark.parametrize("is_all", [False, True])
def test_a_callback_with_an_attempt_in_progress_is_left_until_it_has_ended(
    tx: MemoryTransaction, is_all: bool
) -> None:
    before = add(tx, REFUSED, status=SCHEDULED, due=None)
    assert fate_of(tx, before, is_all=is_all) is OPEN
    assert all_of(tx) == [before]


# ---- callbacks that are not concerned


@pytest.mark.parametrize(
    "fields",
    [
        {"is_test": True},
        {"source": Source.TWILIO},
        {"url": OLD},
        {"url": "https://a.example/p?x=2#rc=2&cbs=kore"},
        {"url": "https://a.example/p?x=1#cbs=kore"},
        {"now": NOW - timedelta(microseconds=1)},
        {"account_sid": THEIRS},
        {"status": DELIVERED},
        {"status": DISCARDED},
    ],
    ids=[
        "test event",
        "from the old source",
        "to the old URL",
        "to another query",
        "to another fragment",
        "created before the move",
        "of another account",
        "delivered",
        "discarded",
    ],
)
def test_other_callbacks_are_left_alone(
    tx: MemoryTransaction, queue: RecordingQueue, fields: dict[str, Any]
) -> None:
    before = add(tx, REFUSED, **fields)
    for status in (SCHEDULED, FAILED):
        assert piece(tx, queue, status, is_all=True) == ({}, [], None)
    assert all_of(tx, before.account_sid) == [before]
    assert queue.asked == []


def test_each_url_counts_from_the_time_when_it_was_moved(
    tx: MemoryTransaction, queue: RecordingQueue
) -> None:
    later = "https://b.example/#cbs=kore"
    urls = {
        NEW: ReturnedUrl(OLD, NOW),
        later: ReturnedUrl("https://b.example/#cbs=twilio", NOW + 2 * MINUTE),
    }
    assert refused_callbacks(urls=urls).since == NOW
    add(tx, REFUSED, number=1, now=NOW + MINUTE)
    add(tx, REFUSED, number=2, now=NOW + MINUTE, url=later)
    add(tx, REFUSED, number=3, now=NOW + 3 * MINUTE, url=later)
    piece(tx, queue, urls=urls)
    assert [found(tx, number).status for number in (1, 2, 3)] == [DISCARDED, FAILED, DISCARDED]
    assert [one.url.shown for one in all_of(tx)[3:]] == [OLD, "https://b.example/#cbs=twilio"]


# ---- the policy


@pytest.mark.parametrize(
    ("policy", "now"),
    [
        (NOTICE, datetime(2024, 10, 16, tzinfo=NOW.tzinfo)),
        (replace(NOTICE, ahead=datetime(2024, 10, 16, tzinfo=NOW.tzinfo) - NOON), NOON),
        (replace(NOTICE, holds=(PhaseHold("between", ACCOUNT_SID),)), NOON),
    ],
    ids=["by date", "in a calendar that is ahead", "by a hold"],
)
def test_what_the_policy_sends_from_the_new_source_anyway_stays_as_it_is(
    tx: MemoryTransaction, policy: Policy, now: datetime
) -> None:
    before = add(tx, REFUSED)
    assert fate_of(tx, before, policy=policy, now=now) is STAYS
    assert all_of(tx) == [before]


def test_an_old_url_that_asks_for_a_source_gets_it(
    tx: MemoryTransaction, queue: RecordingQueue
) -> None:
    policy = replace(NOTICE, holds=(PhaseHold("between", ACCOUNT_SID),))
    old = "https://a.example/p?x=1#rc=2&cbs=twilio"
    add(tx, REFUSED)
    piece(tx, queue, policy=policy, urls={NEW: ReturnedUrl(old, NOW)})
    *_, again = all_of(tx)
    assert (again.source, again.source_asked) == (Source.TWILIO, Source.TWILIO)
    assert again.source_reason.startswith(f"{WENT_BACK}: the URL asks for it")


def test_callbacks_that_were_moved_to_twilio_go_back_to_kore(tx: MemoryTransaction) -> None:
    new = "https://a.example/#cbs=twilio"
    urls = {new: ReturnedUrl("https://a.example/#cbs=kore", NOW)}
    before = add(tx, REFUSED, url=new, source=Source.TWILIO)
    assert fate_of(tx, before, source=Source.TWILIO, urls=urls) is SENT_AGAIN
    *_, again = all_of(tx)
    assert (again.source, again.idempotency_token[:2]) == (Source.KORE, "RQ")


# ---- many


def test_many_are_dealt_with_in_pieces(tx: MemoryTransaction, queue: RecordingQueue) -> None:
    for number in range(1, 6):
        add(tx, REFUSED if number % 2 else TIMED_OUT, number=number)
    add(tx, REFUSED, number=6, url=OLD)
    fates, named, after, pieces = Counter[RefusedCallbackFate](), list[str](), None, 0
    while pieces == 0 or after is not None:
        done = piece(tx, queue, after=after, limit=2)
        fates.update(done.fates)
        named += done.maybe_acted_on
        after, pieces = done.last_place, pieces + 1
    assert (fates, named, pieces) == ({SENT_AGAIN: 3, MAYBE_ACTED_ON: 2}, [sid(2), sid(4)], 4)
    assert queue.asked == [(ACCOUNT_SID, 2), (ACCOUNT_SID, 2), (ACCOUNT_SID, 1)]


def test_a_search_among_many_others_goes_on(tx: MemoryTransaction, queue: RecordingQueue) -> None:
    for number in range(1, 1200):
        add(tx, number=number, status=DELIVERED)
    add(tx, REFUSED, number=1200)
    first = piece(tx, queue)
    assert (dict(first.fates), first.last_place is None) == ({}, False)
    second = piece(tx, queue, after=first.last_place)
    assert (second.fates, second.last_place) == ({SENT_AGAIN: 1}, None)


def test_nothing_is_sent_again_if_the_queue_has_no_room(tx: MemoryTransaction) -> None:
    before = [add(tx, REFUSED, number=number) for number in (1, 2)]
    with pytest.raises(BacklogFull):
        piece(tx, RecordingQueue(room=1))
    assert all_of(tx) == before


def test_what_was_sent_again_is_not_sent_another_time(
    tx: MemoryTransaction, queue: RecordingQueue
) -> None:
    add(tx, REFUSED)
    piece(tx, queue)
    for status in (SCHEDULED, FAILED):
        assert piece(tx, queue, status, is_all=True).fates == {}
    assert len(all_of(tx)) == 2
