"""Retention deletes what its times name, and nothing else, in every store."""

from collections.abc import Iterator
from typing import Any

import pytest

from ringback.core.accounts.account import EVERY
from ringback.core.http.http_exchange import ReceiverResponseRecord
from ringback.core.http.outcome import DeliveredOutcome
from ringback.core.retention import RetentionTimes, TimeSubject
from ringback.ports import PageWindow, Store
from tests.fakes import NOW
from tests.stores.asking import attempts_of, found
from tests.stores.records import OURS, shadow
from tests.stores.retaining import DAY, HOUR, Retaining, ids_of_its_clock
from tests.stores.test_shadows import settled

ANSWER = ReceiverResponseRecord(200, (("X", "y"),), b"body")
LONG_ANSWER = ReceiverResponseRecord(200, (("X", "y"),), bytes(9999))
WINDOW = PageWindow(9)
TIMES = RetentionTimes(2 * DAY, 4 * DAY, 10 * DAY, 20 * DAY)


@pytest.fixture
def retaining(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Retaining]:
    made = Retaining(store)
    with ids_of_its_clock(made, monkeypatch):
        yield made


async def test_a_delivered_callback_loses_its_attempts_and_then_goes(retaining: Retaining) -> None:
    await retaining.set(TIMES._replace(answers=None))
    await retaining.create(1, key="key")
    await retaining.attempt(1, response=ANSWER)
    before = await found(retaining.store, 1)
    await retaining.do_pass(after=4 * DAY - HOUR)
    assert await retaining.left() == {1: ("delivered", 1, 1)}
    await retaining.do_pass(after=HOUR)
    assert await retaining.left() == {1: ("delivered", 0, 0)}
    assert await found(retaining.store, 1) == before
    await retaining.do_pass(after=6 * DAY - HOUR)
    assert await retaining.left() == {1: ("delivered", 0, 0)}
    await retaining.do_pass(after=HOUR)
    assert await retaining.left() == {}
    # The key is free again.
    await retaining.create(2, key="key")


@pytest.mark.parametrize("is_discarded", [False, True])
async def test_an_undelivered_callback_has_a_time_of_its_own(
    retaining: Retaining, *, is_discarded: bool
) -> None:
    await retaining.set(TIMES)
    await retaining.create(1)
    if is_discarded:
        await retaining.change(1, is_replay=False)
    else:
        await retaining.attempt(1, is_delivered=False)
    status = "discarded" if is_discarded else "failed"
    await retaining.do_pass(after=20 * DAY - HOUR)
    assert await retaining.left() == {1: (status, 0, 0)}
    await retaining.do_pass(after=HOUR)
    assert await retaining.left() == {}


async def test_a_callback_that_has_not_ended_loses_nothing(retaining: Retaining) -> None:
    await retaining.set(TIMES)
    await retaining.create(1)
    await retaining.attempt(1, is_delivered=False, is_last=False, response=ANSWER)
    await retaining.create(2, due=NOW + 366 * DAY)
    await retaining.do_pass(after=365 * DAY)
    await retaining.do_pass(after=DAY)
    assert await retaining.left() == {1: ("scheduled", 1, 1), 2: ("scheduled", 0, 0)}


async def test_the_times_count_from_the_end(retaining: Retaining) -> None:
    """A callback that was delivered by its first attempt, but late, is found all the same."""
    await retaining.set(TIMES)
    await retaining.create(1)
    await retaining.do_pass(after=30 * DAY)
    await retaining.attempt(1)
    await retaining.do_pass(after=4 * DAY - HOUR)
    assert await retaining.left() == {1: ("delivered", 1, 0)}
    await retaining.do_pass(after=HOUR)
    assert await retaining.left() == {1: ("delivered", 0, 0)}
    await retaining.do_pass(after=6 * DAY)
    assert await retaining.left() == {}


async def test_a_replay_begins_the_times_anew(retaining: Retaining) -> None:
    await retaining.set(TIMES)
    await retaining.create(1)
    await retaining.attempt(1)
    await retaining.do_pass(after=5 * DAY)
    await retaining.change(1, is_replay=True)
    await retaining.do_pass(after=30 * DAY)
    assert await retaining.left() == {1: ("scheduled", 0, 0)}
    await retaining.attempt(1)
    await retaining.do_pass(after=3 * DAY)
    assert await retaining.left() == {1: ("delivered", 1, 0)}
    await retaining.do_pass(after=DAY)
    assert await retaining.left() == {1: ("delivered", 0, 0)}
    await retaining.do_pass(after=6 * DAY)
    assert await retaining.left() == {}


async def test_an_account_can_have_times_of_its_own(retaining: Retaining) -> None:
    await retaining.set(TIMES)
    await retaining.set(TIMES._replace(delivered=None, attempts=None), OURS)
    await retaining.create(1)
    await retaining.attempt(1)
    await retaining.do_pass(after=30 * DAY)
    assert await retaining.left() == {1: ("delivered", 1, 0)}
    # It can also lose more than others.
    await retaining.set(RetentionTimes())
    await retaining.set(TIMES, OURS)
    await retaining.do_pass()
    assert await retaining.left() == {}


async def test_without_times_everything_stays(retaining: Retaining) -> None:
    await retaining.set(RetentionTimes())
    await retaining.create(1)
    await retaining.attempt(1, response=ANSWER)
    await retaining.do_pass(after=1000 * DAY)
    assert await retaining.left() == {1: ("delivered", 1, 1)}


async def test_bodies_of_answers_go_first(retaining: Retaining) -> None:
    await retaining.set(TIMES._replace(attempts=8 * DAY))
    await retaining.create(1, 2, 3)
    await retaining.attempt(1, 2, 3, response=ANSWER)
    await retaining.do_pass(after=2 * DAY - HOUR)
    assert (await retaining.left())[1] == ("delivered", 1, 1)
    # A row that callbacks share can stay a day longer; it is looked for once a day.
    await retaining.create(4, due=retaining.clock.now() + 99 * DAY)
    await retaining.do_pass(after=2 * DAY)
    left = await retaining.left()
    assert [left[number] for number in (1, 2, 3)] == [("delivered", 1, 0)] * 3
    ((attempt,)) = await attempts_of(retaining.store, 1)
    assert attempt.response == ANSWER._replace(body=b"")


async def test_an_answer_that_a_live_callback_shares_stays(retaining: Retaining) -> None:
    await retaining.set(TIMES)
    await retaining.create(1, 2)
    await retaining.attempt(1, 2, is_delivered=False, is_last=False, response=ANSWER)
    await retaining.change(1, is_replay=False)
    await retaining.create(3, due=NOW + 99 * DAY)
    retaining.clock.advance(10 * DAY)
    await retaining.create(4, due=NOW + 99 * DAY)
    await retaining.do_pass()
    assert (await retaining.left())[2] == ("scheduled", 1, 1)


async def test_the_rest_of_a_long_answer_goes_with_its_bodies(retaining: Retaining) -> None:
    await retaining.set(TIMES._replace(attempts=8 * DAY))
    await retaining.create(1)
    await retaining.attempt(1, response=LONG_ANSWER)
    store = retaining.store
    assert await store.read(lambda tx: tx.kept_responses.bytes_of(OURS)) > 0
    retaining.clock.advance(4 * DAY)
    await retaining.create(2, due=NOW + 99 * DAY)
    await retaining.do_pass()
    assert await store.read(lambda tx: tx.kept_responses.bytes_of(OURS)) == 0
    ((attempt,)) = await attempts_of(store, 1)
    assert attempt.response is not None
    assert attempt.response.body == b""
    assert attempt.response.body_left_out > 0


async def test_shadow_copies_go_with_the_attempts(retaining: Retaining) -> None:
    await retaining.set(TIMES)
    store = retaining.store
    await retaining.create(1)
    await retaining.attempt(1, response=LONG_ANSWER)
    await store.transact(lambda tx: tx.shadows.open([shadow(1)]))
    await store.transact(
        lambda tx: tx.shadows.settle([settled(shadow(1), DeliveredOutcome(200), LONG_ANSWER)])
    )
    retaining.clock.advance(4 * DAY - HOUR)
    await retaining.create(2, due=NOW + 99 * DAY)
    await retaining.do_pass()
    # The answer that the copy is compared with stays as long as the copy.
    assert (await retaining.left())[1] == ("delivered", 1, 1)
    await retaining.do_pass(after=HOUR)
    assert await store.read(lambda tx: tx.shadows.comparisons(OURS, WINDOW)) == []
    assert await store.read(lambda tx: tx.kept_responses.bytes_of(OURS)) == 0


async def test_many_callbacks_go_in_pieces(retaining: Retaining) -> None:
    await retaining.set(TIMES)
    await retaining.create(*range(1, 251))
    await retaining.attempt(*range(1, 126))
    await retaining.attempt(*range(126, 251), is_delivered=False)
    counts = await retaining.worker.do_pass()
    assert counts == (0, 0)
    retaining.clock.advance(20 * DAY)
    assert await retaining.worker.do_pass() == (250, 0)


async def test_a_new_worker_goes_on_where_the_last_one_was(retaining: Retaining) -> None:
    await retaining.set(TIMES)
    await retaining.create(1, 2)
    await retaining.attempt(1, 2)
    await retaining.do_pass(after=4 * DAY)
    retaining.restart()
    assert await retaining.worker.do_pass() == (0, 0)
    retaining.clock.advance(6 * DAY)
    assert await retaining.worker.do_pass() == (2, 0)


async def test_a_callback_that_was_replayed_meanwhile_stays(retaining: Retaining) -> None:
    await retaining.create(1)
    await retaining.attempt(1)
    retaining.clock.advance(30 * DAY)
    store, cutoffs = retaining.store, TIMES.before(retaining.clock.now())
    rows, _, _ = await store.read(lambda tx: tx.retention.find_expired(OURS, cutoffs, limit=9))
    assert len(rows) == 1
    await retaining.change(1, is_replay=True)
    assert await store.transact(lambda tx: tx.retention.remove_expired(rows, cutoffs)) == (0, 0)
    assert await retaining.left() == {1: ("scheduled", 1, 0)}


async def test_times_are_set_changed_and_unset(store: Store) -> None:
    first, second = TimeSubject(EVERY, "answers"), TimeSubject(OURS, "attempts")

    async def times() -> Any:
        return await store.read(lambda tx: tx.retention.times())

    before = await times()
    await store.transact(lambda tx: tx.retention.set_times({first: DAY, second: None}, NOW))
    assert await times() == {**before, first: DAY, second: None}
    await store.transact(lambda tx: tx.retention.set_times({first: HOUR}, NOW))
    assert await times() == {**before, first: HOUR, second: None}
    await store.transact(
        lambda tx: tx.retention.unset_times([second, TimeSubject("*", "attempts")])
    )
    assert await times() == {**before, first: HOUR}
