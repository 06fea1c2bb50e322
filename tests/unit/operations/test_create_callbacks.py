"""Creating callbacks: they are saved, and a repeated idempotency key gives the first one."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.policy.source_policy import Source
from ringback.operations.context import OperationContext
from ringback.operations.create_callbacks import send_callbacks
from ringback.ports import CallbackFilter, PageWindow
from tests.callback_queues import RecordingQueue
from tests.fakes import ACCOUNT_SID, NOW, SeededRandomness, a_callback, a_context, an_account
from tests.memory_store import MemoryTransaction

THEIRS = "AC" + "f" * 32
LATER = NOW + timedelta(days=3)


@pytest.fixture
def tx() -> MemoryTransaction:
    tx = MemoryTransaction()
    tx.accounts.add(an_account(), [])
    tx.accounts.add(an_account(sid=THEIRS), [])
    return tx


def new(
    body: str = "a=1",
    *,
    url: str = "http://a.example/p#cbs=kore",
    method: HttpMethod = HttpMethod.POST,
    key: str | None = None,
    due: datetime | None = None,
) -> Callable[[OperationContext], CallbackRecord]:
    """Return a function that composes a callback of the notice's account."""
    to = CallbackUrl.parse(url)
    return lambda context: context.compose(
        body, ACCOUNT_SID, to, method, due=due, idempotency_key=key
    )


def send(
    tx: MemoryTransaction,
    *wanted: Callable[[OperationContext], CallbackRecord],
    queue: RecordingQueue | None = None,
    seed: int = 0,
) -> list[CallbackRecord]:
    context = a_context(random_source=SeededRandomness(seed))
    callbacks = [compose(context) for compose in wanted]
    return send_callbacks(tx, callbacks, queue or RecordingQueue())


def kept(tx: MemoryTransaction) -> list[CallbackRecord]:
    return tx.callbacks.page(ACCOUNT_SID, CallbackFilter(), PageWindow(99))[::-1]


def test_a_callback_is_stored_with_the_given_values_and_due_at_once(tx: MemoryTransaction) -> None:
    (callback,) = send(tx, new("b=2&a=1", method=HttpMethod.GET, key="order 7"))
    assert kept(tx) == [callback]
    assert callback.account_sid == ACCOUNT_SID
    assert callback.url.shown == "http://a.example/p#cbs=kore"
    assert (callback.method, callback.body) == (HttpMethod.GET, "b=2&a=1")
    assert (callback.source, callback.source_reason) == (
        Source.KORE,
        "the URL asks for it: #cbs=kore",
    )
    assert (callback.idempotency_key, callback.replay_of) == ("order 7", None)
    assert (callback.date_created, callback.progress.due) == (NOW, NOW)


def test_a_callback_for_later_is_due_then(tx: MemoryTransaction) -> None:
    (callback,) = send(tx, new(due=LATER))
    assert (callback.date_created, callback.progress.due) == (NOW, LATER)


def test_the_calendar_chooses_the_source_if_the_url_does_not(tx: MemoryTransaction) -> None:
    (callback,) = send(tx, new(url="http://a.example/"))
    assert (callback.source, callback.source_asked) == (Source.TWILIO, None)


def test_many_are_returned_in_their_order_each_with_its_own_sid_and_token(
    tx: MemoryTransaction,
) -> None:
    callbacks = send(tx, new("n=1"), new("n=2"), new("n=3"))
    assert [callback.body for callback in callbacks] == ["n=1", "n=2", "n=3"]
    assert kept(tx) == callbacks
    assert len({callback.sid for callback in callbacks}) == 3
    assert len({callback.idempotency_token for callback in callbacks}) == 3


def test_the_queue_accepts_each_callback(tx: MemoryTransaction) -> None:
    queue = RecordingQueue()
    callbacks = send(tx, new("n=1"), new("n=2"), queue=queue)
    for ending in tx.endings:
        ending.durable()
    assert queue.taken == [callback.sid for callback in callbacks]


def test_a_known_key_leads_to_the_first_record(tx: MemoryTransaction) -> None:
    (first,) = send(tx, new("a=1", key="order 7"))
    ended = first.having(first.progress._replace(due=None, attempt_count=1))
    tx.callbacks.change(ended)
    assert send(tx, new("a=2", key="order 7"), seed=1) == [ended]
    assert kept(tx) == [ended]


def test_a_repeated_key_makes_one_callback(tx: MemoryTransaction) -> None:
    first, other, again = send(tx, new("n=1", key="k"), new("n=2"), new("n=3", key="k"))
    assert again is first
    assert kept(tx) == [first, other]


def test_callbacks_without_a_key_are_all_created(tx: MemoryTransaction) -> None:
    assert len(send(tx, new(), new())) == 2
    assert len(kept(tx)) == 2


def test_another_accounts_key_is_another_key(tx: MemoryTransaction) -> None:
    tx.callbacks.add(a_callback(account_sid=THEIRS, idempotency_key="order 7"))
    (callback,) = send(tx, new(key="order 7"))
    assert callback.account_sid == ACCOUNT_SID
    assert kept(tx) == [callback]
