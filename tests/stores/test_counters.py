"""The counters of every store: sums of what was added, whatever is summed up meanwhile."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ringback.core.callback_counts import CallbackCounts, CountedMinute, CountSpan, CountSum
from ringback.core.callbacks.callback import CallbackStatus
from ringback.core.http.http_exchange import AttemptResult, RequestTimings
from ringback.core.http.outcome import (
    AttemptFailure,
    DeliveredOutcome,
    NoAnswerOutcome,
    RefusedOutcome,
)
from ringback.core.policy.source_policy import Source
from ringback.data_folder import DataFolder, StoredData
from ringback.ports import CountFilter, CountSplit, Store, Transaction
from ringback.postgres_database import PostgresDatabase
from tests.fakes import NOW, VAULT
from tests.stores.asking import keep, new_file
from tests.stores.postgres_bench import PostgresBench
from tests.stores.records import OURS, THEIRS, account, callback

MINUTE, HOUR, DAY = (span.length for span in CountSpan)
BEGAN = CountSpan.DAY.begin_of(NOW)
A, B = "http://a.example:80", "http://b.example:80"
SPLITS = [(), (CountSplit.SOURCE,), (CountSplit.ACCOUNT,), tuple(CountSplit)]


def of(
    at: timedelta,
    account_sid: str = OURS,
    destination: str = A,
    source: Source = Source.KORE,
    *,
    accepted: int = 1,
) -> CountedMinute:
    return CountedMinute(
        BEGAN + at, account_sid, destination, source, CallbackCounts(accepted=accepted)
    )


@pytest.fixture
async def counting(store: Store) -> Store:
    """A store whose lanes have had callbacks."""
    places = ((OURS, "http://a.example"), (OURS, "http://b.example"), (THEIRS, "http://a.example"))
    for number, (owner, url) in enumerate(places):
        await keep(store, callback(number, owner, url=url))
    return store


async def add(store: Store, *counted: CountedMinute) -> None:
    await store.transact(lambda tx: tx.counters.add(counted))


async def sums(
    store: Store,
    span: CountSpan = CountSpan.MINUTE,
    *,
    since: datetime = BEGAN,
    until: datetime = BEGAN + DAY,
    split: Iterable[CountSplit] = (),
    is_total: bool = False,
    limit: int = 999,
    **which: Any,
) -> list[CountSum]:
    asked = CountFilter(since, until, **which)
    return await store.read(
        lambda tx: tx.counters.sums(asked, span, split=tuple(split), is_total=is_total, limit=limit)
    )


async def roll_up(store: Store, span: CountSpan, before: datetime, *, limit: int = 2) -> int:
    """Sum everything up in parts; return their number."""
    parts, at = 0, 0
    while at is not None:
        at = await store.transact(
            lambda tx, at=at: tx.counters.roll_up(span, before, at=at, limit=limit)
        )
        parts += 1
    return parts


def full_counts() -> CallbackCounts:
    """Return counts with a number in each place."""
    counts = CallbackCounts(accepted=5)
    results = (
        AttemptResult(DeliveredOutcome(200), RequestTimings(12.0)),
        AttemptResult(RefusedOutcome(503), RequestTimings(99_000.0)),
        AttemptResult(NoAnswerOutcome(AttemptFailure.TLS, "no"), None),
    )
    for number, result in enumerate(results, 1):
        counts.attempt_ended(number, result)
    for status, seconds in zip(CallbackStatus, (0, 0.02, 1, 2), strict=True):
        counts.ended(status, seconds)
    counts.replayed = 2
    return counts


async def test_counts_are_read_as_they_were_added(counting: Store) -> None:
    added = CountedMinute(BEGAN, OURS, A, Source.KORE, full_counts())
    await add(counting, added)
    (found,) = await sums(counting, split=CountSplit)
    assert found == CountSum(*added)
    assert found.counts.failures == {"refused": 1, "tls": 1}


async def test_the_sum_of_several_rows_has_all_their_counts(counting: Store) -> None:
    # A process that writes late, and another process.
    for _ in range(2):
        await add(counting, CountedMinute(BEGAN, OURS, A, Source.KORE, full_counts()))
    twice = full_counts()
    twice.add(full_counts())
    for span in CountSpan:
        (found,) = await sums(counting, span)
        assert found == CountSum(BEGAN, None, None, None, twice)


async def test_without_traffic_there_are_no_sums(counting: Store) -> None:
    for span in CountSpan:
        assert await sums(counting, span) == await sums(counting, span, is_total=True) == []


@pytest.mark.parametrize("split", SPLITS)
async def test_sums_are_told_apart_by_what_was_asked(
    split: tuple[CountSplit, ...], counting: Store
) -> None:
    places = [(OURS, A), (OURS, B), (THEIRS, A)]
    rows = [
        of(timedelta(0), *place, source, accepted=10**number)
        for number, (place, source) in enumerate((p, s) for p in places for s in Source)
    ]
    await add(counting, *reversed(rows))
    expected = dict[tuple[object, ...], int]()
    for began, *place, counts in rows:
        key = tuple(
            part if kind in split else None for kind, part in zip(CountSplit, place, strict=True)
        )
        expected[began, *key] = expected.get((began, *key), 0) + counts.accepted
    found = await sums(counting, split=split)
    assert [(one[:4], one.counts.accepted) for one in found] == sorted(
        expected.items(), key=lambda pair: [str(part) for part in pair[0]]
    )


async def test_sums_are_of_what_was_asked_for(counting: Store) -> None:
    await add(
        counting,
        *(of(timedelta(0), accepted=1), of(timedelta(0), OURS, B, accepted=10)),
        of(timedelta(0), THEIRS, A, accepted=100),
        of(timedelta(0), OURS, A, Source.TWILIO, accepted=1000),
    )

    async def accepted(**which: Any) -> int:
        return sum(one.counts.accepted for one in await sums(counting, **which))

    assert await accepted() == 1111
    assert await accepted(account_sid=OURS) == 1011
    assert await accepted(destination=A) == 1101
    assert await accepted(account_sid=OURS, destination=A) == 1001
    assert await accepted(account_sid=OURS, destination=A, source="kore") == 1
    assert await accepted(source="twilio") == 1000
    assert await accepted(account_sid=THEIRS, destination=B) == 0


async def test_a_period_includes_its_first_span_and_not_the_one_after_it(counting: Store) -> None:
    await add(counting, *(of(n * MINUTE) for n in range(5)))
    found = await sums(counting, since=BEGAN + MINUTE, until=BEGAN + 3 * MINUTE)
    assert [one.began for one in found] == [BEGAN + MINUTE, BEGAN + 2 * MINUTE]


async def test_a_result_that_is_too_long_shows_it(counting: Store) -> None:
    await add(counting, *(of(n * MINUTE) for n in range(5)))
    assert len(await sums(counting, limit=5)) == 5
    assert len(await sums(counting, limit=4)) > 4


@pytest.mark.parametrize("limit", [1, 2, 7, 1000])
async def test_summing_up_changes_no_sum(counting: Store, limit: int) -> None:
    rows = [
        of(n * 17 * MINUTE, *place, accepted=n + 1)
        for n in range(40)
        for place in ((OURS, A), (THEIRS, A), (OURS, B))
    ]
    await add(counting, *rows)

    ours = {"account_sid": OURS}
    asked: list[dict[str, Any]] = [{}, ours, {**ours, "destination": B}]

    async def everything() -> list[list[CountSum]]:
        return [
            await sums(counting, span, split=CountSplit, is_total=is_total, **which)
            for span in CountSpan
            for is_total in (False, True)
            for which in asked
        ]

    before = await everything()
    parts = await roll_up(counting, CountSpan.HOUR, BEGAN + 5 * HOUR, limit=limit)
    assert parts >= 54 / limit
    assert await everything() == before
    await roll_up(counting, CountSpan.DAY, BEGAN + DAY, limit=limit)
    assert await everything() == before
    # What comes late is summed up, too.
    await add(counting, of(timedelta(0)))
    before = await everything()
    await roll_up(counting, CountSpan.HOUR, BEGAN + 12 * HOUR, limit=limit)
    assert await everything() == before


async def test_minutes_that_were_summed_up_can_be_deleted(counting: Store) -> None:
    await add(counting, *(of(n * MINUTE) for n in range(180)))
    await roll_up(counting, CountSpan.HOUR, BEGAN + 2 * HOUR, limit=50)
    before = await sums(counting, CountSpan.HOUR)
    at, parts = 0, 0
    while at is not None:
        at = await counting.transact(
            lambda tx: tx.counters.remove(CountSpan.MINUTE, BEGAN + 2 * HOUR, limit=50)
        )
        parts += 1
    assert parts == 3
    assert (await sums(counting))[0].began == BEGAN + 2 * HOUR
    assert await sums(counting, CountSpan.HOUR) == before
    assert [one.counts.accepted for one in before] == [60, 60, 60]


async def test_the_oldest_are_deleted_first(counting: Store) -> None:
    await add(counting, *(of(n * MINUTE) for n in (3, 1, 2, 0)))
    remove = counting.transact(
        lambda tx: tx.counters.remove(CountSpan.MINUTE, BEGAN + DAY, limit=2)
    )
    assert await remove is not None
    assert [one.began for one in await sums(counting)] == [BEGAN + 2 * MINUTE, BEGAN + 3 * MINUTE]


async def test_nothing_is_summed_up_to_minutes(counting: Store) -> None:
    await add(counting, of(timedelta(0)))
    assert await roll_up(counting, CountSpan.MINUTE, BEGAN + DAY) == 1
    assert len(await sums(counting)) == 1


# ---- kills ---------------------------------------------------------------------------------------


@pytest.fixture(params=["folder", "database"])
def data(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoredData]:
    """Data of either kind, which another process can use, too."""
    if request.param == "folder":
        (tmp_path / "ringback.db").write_bytes(new_file())
        yield DataFolder(tmp_path, VAULT.keys[0])
        return
    bench: PostgresBench = request.getfixturevalue("postgres_bench")
    yield PostgresDatabase(bench.dsn.text, VAULT.keys[0])
    bench.empty()
    bench.forget_workers()


def sum_up(data: StoredData, has_begun: Event) -> None:
    """Sum everything up, a few rows at a time."""

    async def work(store: Store) -> None:
        for span in (CountSpan.HOUR, CountSpan.DAY):
            at: int | None = 0
            while at is not None:
                at = await store.transact(
                    lambda tx, at=at, span=span: tx.counters.roll_up(
                        span, BEGAN + 2 * DAY, at=at, limit=3
                    )
                )
                has_begun.set()

    data.use(work)


def everything_in(tx: Transaction) -> list[list[CountSum]]:
    which = CountFilter(BEGAN, BEGAN + 2 * DAY)
    return [tx.counters.sums(which, span, split=CountSplit, limit=9999) for span in CountSpan]


def test_kills_while_counts_are_summed_up_change_no_sum(data: StoredData) -> None:
    def fill(tx: Transaction) -> None:
        tx.accounts.add(account(), [])
        tx.counters.add([of(n * 7 * MINUTE, accepted=n + 1) for n in range(400)])

    data.transact(fill)
    before, random, kills = data.transact(everything_in), Random(1), 0
    context, is_done = get_context("fork"), False
    while not is_done:
        has_begun = context.Event()
        process = context.Process(target=sum_up, args=(data, has_begun))
        process.start()
        has_begun.wait()
        process.join(random.uniform(0, 0.05))
        process.kill()
        process.join()
        is_done = process.exitcode == 0 or kills == 4
        kills += 1
        assert data.transact(everything_in) == before
    assert kills > 2
