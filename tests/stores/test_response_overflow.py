"""Stored answers: the first part of each and, within a budget, the rest of the last one."""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from ringback.core.accounts.account import EVERY
from ringback.core.callbacks.callback import begin
from ringback.core.callbacks.response_storage import MOST_BODY, MOST_HEAD, ResponseStorageBudget
from ringback.core.callbacks.retry import RetryLater, RetryNow
from ringback.core.http.http_exchange import AttemptResult, ReceiverResponseRecord
from ringback.core.http.outcome import DeliveredOutcome, RefusedOutcome
from ringback.ports import Lane, PageWindow, Store, StoredResponseBytes, Transaction, lane_of
from ringback.stores.sqlite.store import SqliteStore, StoreOptions
from tests.fakes import NOW, VAULT
from tests.memory_store import MemoryStore
from tests.stores.asking import attempts_of, callbacks_on, claim, ended, keep, settle
from tests.stores.records import OURS, SECOND, THEIRS, account, callback, shadow
from tests.stores.test_shadows import comparison, keep_first, open_, settle_, settled
from tests.stores.test_shadows import rows as copies_of

KIB = 1 << 10
BUDGET = ResponseStorageBudget(in_all=12 * KIB, per_account=8 * KIB)
SHORT = ReceiverResponseRecord(200, (("X", "y"),), b"x" * MOST_BODY)
THIRDS = "AC" + "3" * 32


def long(rest: int = 3 * KIB, mark: bytes = b"x") -> ReceiverResponseRecord:
    """Return an answer with this number of bytes after its first part."""
    return ReceiverResponseRecord(500, (("X", "y"),), mark * (MOST_BODY + rest))


def shortened(response: ReceiverResponseRecord) -> ReceiverResponseRecord:
    left_out = len(response.body) - MOST_BODY
    return response._replace(body=response.body[:MOST_BODY], body_left_out=left_out)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ringback.db"


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, path: Path) -> AsyncIterator[Store]:
    """A store with a small budget, and three accounts."""
    store: MemoryStore | SqliteStore = MemoryStore(BUDGET)
    if request.param == "sqlite":
        store = SqliteStore.open(path, VAULT, options=StoreOptions(budget=BUDGET))
    for sid in (OURS, THEIRS, THIRDS):
        await store.transact(lambda tx, sid=sid: tx.accounts.add(account(sid), []))
    yield store
    if isinstance(store, SqliteStore):
        await store.close()


def lane(account_sid: str) -> Lane:
    return lane_of(callback(1, account_sid))


async def answer(
    store: Store, number: int, *responses: ReceiverResponseRecord | None, of: str = OURS
) -> None:
    """Give a callback these answers, each in a round of its own; afterwards it waits."""
    known = await store.transact(lambda tx: tx.callbacks.find(callback(number).sid))
    if known is None:
        await keep(store, callback(number, of))
    for response in responses:
        (taken,) = await claim(store, lane=lane(of), limit=1)
        await settle(store, ended(taken, RetryLater(NOW, 1), response=response))
    await make_due(store, number, NOW + 1000 * SECOND)


async def again(store: Store, number: int, response: ReceiverResponseRecord | None) -> None:
    """Give a callback one more answer."""
    await make_due(store, number, NOW)
    await answer(store, number, response)


async def make_due(store: Store, number: int, due: datetime) -> None:
    def work(tx: Transaction) -> None:
        found = tx.callbacks.find(callback(number).sid)
        assert found is not None
        tx.callbacks.change(found.having(found.progress._replace(due=due)))

    await store.transact(work)


async def responses_of(store: Store, number: int) -> list[ReceiverResponseRecord | None]:
    return [attempt.response for attempt in await attempts_of(store, number)]


async def bytes_of(store: Store, account_sid: str = OURS) -> int:
    return await store.transact(lambda tx: tx.kept_responses.bytes_of(account_sid))


async def whole_ones(store: Store, numbers: Sequence[int]) -> list[int]:
    """Return those of these callbacks whose last responses are stored whole."""
    found = [(number, (await responses_of(store, number))[-1]) for number in numbers]
    return [number for number, last in found if last is not None and is_whole(last)]


def is_whole(response: ReceiverResponseRecord) -> bool:
    return response.headers_left_out == response.body_left_out == 0


# ---- answers to one callback ---------------------------------------------------------------------


async def test_the_last_response_is_stored_whole_and_earlier_ones_report_their_missing_rest(
    store: Store,
) -> None:
    answers = [long(5, b"a"), long(6, b"b"), long(7, b"c")]
    await answer(store, 1, *answers)
    first, second, last = await responses_of(store, 1)
    assert [first, second] == [shortened(answers[0]), shortened(answers[1])]
    assert last == answers[2]
    assert first is not None
    assert (len(first.body), first.body_left_out) == (1024, 5)
    assert await bytes_of(store) == KIB


async def test_a_short_response_replaces_the_last_one(store: Store) -> None:
    await answer(store, 1, long(), SHORT)
    assert await responses_of(store, 1) == [shortened(long()), SHORT]
    assert await bytes_of(store) == 0


async def test_an_attempt_without_a_response_leaves_the_last_one_whole(store: Store) -> None:
    await answer(store, 1, long(), None)
    assert await responses_of(store, 1) == [long(), None]


async def test_headers_are_stored_as_whole_lines_and_the_others_with_the_body(store: Store) -> None:
    headers = (("A", "a" * 1000), ("B", "b" * 1000), ("C", "c" * 100), ("D", "\xe4: d\r"))
    many = ReceiverResponseRecord(200, headers, b"ok")
    await answer(store, 1, many, many)
    assert await responses_of(store, 1) == [
        many._replace(headers=headers[:2], headers_left_out=2),
        many,
    ]


@pytest.mark.parametrize("more", [0, 1])
async def test_a_response_that_fits_exactly_is_in_the_row(store: Store, more: int) -> None:
    size = MOST_HEAD - len("200\nX: ") + more
    response = ReceiverResponseRecord(200, (("X", "x" * size),), b"x" * (MOST_BODY + more))
    await answer(store, 1, response, response)
    first, last = await responses_of(store, 1)
    assert last == response
    assert first is not None
    assert (first.headers_left_out, first.body_left_out) == (more, more)
    assert await bytes_of(store) == 2 * KIB * more


async def test_a_response_after_which_the_round_continues_is_not_the_last(store: Store) -> None:
    await answer(store, 1, long(1, b"a"))
    await keep(store, callback(2))
    (taken,) = await claim(store)
    goes_on = begin(taken.progress, NOW, total_timeout=15 * SECOND)
    settlement = ended(taken, RetryNow(), response=long(2, b"b"))
    await settle(store, settlement._replace(progress=goes_on))
    assert (await responses_of(store, 2))[0] == shortened(long(2, b"b"))
    assert await bytes_of(store) == KIB


async def test_a_copys_response_is_read_back_whole(store: Store) -> None:
    await keep_first(store, 1)
    await open_(store, shadow(1))
    copy = settled(shadow(1), RefusedOutcome(500), long(6 * KIB))
    await settle_(store, copy)
    assert await copies_of(store) == [copy]
    assert await bytes_of(store) == 6 * KIB


async def test_a_copys_response_makes_room_by_age_like_others(store: Store) -> None:
    await keep_first(store, 1)
    await open_(store, shadow(1))
    copy = settled(shadow(1), DeliveredOutcome(200), long(6 * KIB))
    await settle_(store, copy)
    await answer(store, 2, long(7 * KIB))
    assert [one.attempt.response for one in await copies_of(store)] == [shortened(long(6 * KIB))]
    assert await bytes_of(store) == 7 * KIB


@pytest.mark.parametrize(("last_byte", "is_same"), [(b"x", True), (b"y", False)])
async def test_a_copy_is_compared_as_far_as_responses_were_read_even_if_not_stored(
    store: Store, last_byte: bytes, is_same: bool
) -> None:
    first = long(9 * KIB)
    await keep_first(store, 1, ending=AttemptResult(RefusedOutcome(500), response=first))
    await open_(store, shadow(1))
    copy = first._replace(body=first.body[:-1] + last_byte)
    await settle_(store, settled(shadow(1), RefusedOutcome(500), copy))
    assert await bytes_of(store, EVERY) == 0
    assert (await comparison(store)).is_same_body is is_same


# ---- budgets -------------------------------------------------------------------------------------


async def test_an_accounts_full_budget_drops_its_oldest_responses_but_no_callback(
    store: Store,
) -> None:
    await answer(store, 9, long(4 * KIB), of=THEIRS)
    for number in range(1, 6):
        await answer(store, number, long(3 * KIB))
    assert await whole_ones(store, range(1, 6)) == [4, 5]
    assert await bytes_of(store) == 6 * KIB
    assert await whole_ones(store, [9]) == [9]
    assert len(await callbacks_on(store, PageWindow(99))) == 5
    assert await responses_of(store, 1) == [shortened(long(3 * KIB))]


async def test_a_callback_answered_again_is_among_the_newest(store: Store) -> None:
    await answer(store, 1, long(3 * KIB))
    await answer(store, 2, long(3 * KIB))
    await again(store, 1, long(3 * KIB))
    await answer(store, 3, long(3 * KIB))
    assert await whole_ones(store, [1, 2, 3]) == [1, 3]


async def test_a_response_longer_than_the_budget_is_not_stored(store: Store) -> None:
    await answer(store, 1, long(KIB))
    await answer(store, 2, long(9 * KIB))
    assert await whole_ones(store, [1, 2]) == []
    assert await bytes_of(store, EVERY) == 0


async def test_the_total_budget_takes_from_the_account_with_the_most(store: Store) -> None:
    await answer(store, 1, long(2 * KIB))
    await answer(store, 2, long(2 * KIB))
    await answer(store, 3, long(2 * KIB))
    await answer(store, 4, long(3 * KIB), of=THEIRS)
    await answer(store, 5, long(3 * KIB), of=THIRDS)
    await answer(store, 6, long(KIB), of=THIRDS)
    # 13 KiB would be one too many; a third of the budget is 4.
    assert await whole_ones(store, range(1, 7)) == [2, 3, 4, 5, 6]
    assert await bytes_of(store, EVERY) == 11 * KIB


async def test_the_total_budget_takes_nothing_from_an_account_below_its_share(store: Store) -> None:
    await answer(store, 1, long(3 * KIB))
    await answer(store, 2, long(4 * KIB), of=THEIRS)
    for number in range(3, 30):
        await answer(store, number, long(KIB), of=THIRDS)
    assert await whole_ones(store, [1, 2]) == [1, 2]
    assert await whole_ones(store, range(3, 30)) == [25, 26, 27, 28, 29]


async def test_stored_responses_are_counted_in_whole_kib_for_each_account_and_in_total(
    store: Store,
) -> None:
    assert await bytes_of(store, EVERY) == await bytes_of(store) == 0
    await answer(store, 1, long(1))
    await answer(store, 2, long(1025))
    await answer(store, 3, long(1), of=THEIRS)
    assert await bytes_of(store) == 3 * KIB
    assert await bytes_of(store, THEIRS) == KIB
    assert await bytes_of(store, EVERY) == 4 * KIB
    largest = await store.transact(lambda tx: tx.kept_responses.largest(limit=9))
    assert largest == [StoredResponseBytes(OURS, 3 * KIB), StoredResponseBytes(THEIRS, KIB)]
    assert await store.transact(lambda tx: tx.kept_responses.largest(limit=1)) == largest[:1]


class Broken(Exception):
    """The error that makes some work fail, so that it is undone."""


async def test_undone_work_is_not_counted(store: Store) -> None:
    await answer(store, 1, long(7 * KIB))
    await keep(store, callback(2))
    (taken,) = await claim(store)

    def work(tx: Transaction) -> None:
        tx.callbacks.settle([ended(taken, RetryLater(NOW, 1), response=long(2 * KIB))])
        assert tx.kept_responses.bytes_of(OURS) == 2 * KIB
        raise Broken

    with pytest.raises(Broken):
        await store.transact(work)
    assert await bytes_of(store) == await bytes_of(store, EVERY) == 7 * KIB
    assert await whole_ones(store, [1]) == [1]


async def test_many_short_rests_make_room_for_a_long_one(store: Store) -> None:
    for number in range(1, 9):
        await answer(store, number, long(1))
    await answer(store, 9, long(8 * KIB))
    assert await whole_ones(store, range(1, 10)) == [9]


# ---- the file ------------------------------------------------------------------------------------


async def test_counts_are_right_after_a_start_and_a_smaller_budget_applies(path: Path) -> None:
    roomy = SqliteStore.open(
        path, VAULT, options=StoreOptions(budget=ResponseStorageBudget(100 * KIB, 50 * KIB))
    )
    await roomy.transact(lambda tx: tx.accounts.add(account(), []))
    for number in range(1, 21):
        await answer(roomy, number, long(2 * KIB))
    assert await bytes_of(roomy) == 40 * KIB
    await roomy.close()
    store = SqliteStore.open(path, VAULT, options=StoreOptions(budget=BUDGET))
    assert await bytes_of(store) == await bytes_of(store, EVERY) == 40 * KIB
    await answer(store, 21, long(2 * KIB))
    assert await bytes_of(store) == await bytes_of(store, EVERY) == 8 * KIB
    assert await whole_ones(store, range(1, 22)) == [18, 19, 20, 21]
    await store.close()
    with closing(sqlite3.connect(path)) as connection:
        kept = connection.execute("SELECT count(*), sum(size) FROM kept_responses").fetchone()
    assert kept == (4, 8 * KIB)


async def test_a_much_smaller_budget_takes_effect_gradually(path: Path) -> None:
    roomy = SqliteStore.open(path, VAULT)
    await roomy.transact(lambda tx: tx.accounts.add(account(), []))
    await keep(roomy, *map(callback, range(1, 201)))
    claims = await claim(roomy, limit=200)
    later = RetryLater(NOW, 1)
    await settle(roomy, *(ended(taken, later, response=long(1)) for taken in claims))
    await roomy.close()
    store = SqliteStore.open(path, VAULT, options=StoreOptions(budget=BUDGET))
    await keep(store, callback(300, due=NOW - SECOND), callback(301, due=NOW - SECOND))
    for size in (73 * KIB, 8 * KIB):
        (taken,) = await claim(store, limit=1)
        later = RetryLater(NOW + 1000 * SECOND, 1)
        await settle(store, ended(taken, later, response=long(1)))
        assert await bytes_of(store) == size
    await store.close()
