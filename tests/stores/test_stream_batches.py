"""Batches of event streams among callbacks: how they are found, and what they do not count for."""

import psycopg
import pytest

from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.policy.source_policy import Source
from ringback.ports import CallbackFilter, PageWindow, Store, Transaction
from ringback.stores.postgres.store import PostgresStore
from tests.fakes import NOW
from tests.stores.asking import callbacks_on, keep
from tests.stores.postgres_bench import PostgresBench
from tests.stores.records import OURS, SECOND, THEIRS, callback
from tests.streams import a_sink, a_subscription, add_batch, add_stream, an_event_of

SINK, RULE = a_sink(account_sid=OURS), a_subscription(account_sid=OURS)
SECOND_SINK = a_sink(2, account_sid=OURS)
SECOND_RULE = a_subscription(2, account_sid=OURS)
THEIR_SINK, THEIR_RULE = a_sink(3, account_sid=THEIRS), a_subscription(3, account_sid=THEIRS)


def fill(tx: Transaction) -> None:
    add_stream(tx, SINK, RULE)
    add_stream(tx, SECOND_SINK, SECOND_RULE)
    add_stream(tx, THEIR_SINK, THEIR_RULE)


@pytest.fixture
async def store(store: Store) -> Store:
    await store.transact(fill)
    return store


async def a_batch_with(store: Store, *numbers: int, number: int = 1) -> CallbackRecord:
    """Add events with these numbers, and a batch of them."""

    def work(tx: Transaction) -> CallbackRecord:
        for one in numbers:
            tx.streams.events.add(an_event_of(one, account_sid=OURS), [RULE.sid])
        return add_batch(tx, SINK, RULE, number)

    return await store.transact(work)


async def batches_with(store: Store, number: int, examining: int = 9) -> tuple[list[str], bool]:
    sid = an_event_of(number).sid

    def look(tx: Transaction) -> tuple[list[str], bool]:
        found, has_more = tx.streams.events.batches_with(sid, examining=examining)
        return list(found), has_more

    return await store.transact(look)


async def test_a_batch_is_found_by_each_of_its_events(store: Store) -> None:
    first = await a_batch_with(store, 1, 2, 3)
    second = await a_batch_with(store, 4, number=2)
    for number in (1, 2, 3):
        assert await batches_with(store, number) == ([first.sid], False)
    assert await batches_with(store, 4) == ([second.sid], False)
    assert await batches_with(store, 5) == ([], False)


async def test_an_event_can_be_in_batches_of_several_streams(store: Store) -> None:
    def work(tx: Transaction) -> list[str]:
        tx.streams.events.add(an_event_of(1, account_sid=OURS), [RULE.sid, SECOND_RULE.sid])
        batches = add_batch(tx, SINK, RULE), add_batch(tx, SECOND_SINK, SECOND_RULE, 2)
        return [one.sid for one in batches]

    sids = await store.transact(work)
    found, _ = await batches_with(store, 1)
    assert sorted(found) == sids


async def test_only_some_batches_are_looked_through(store: Store) -> None:
    first = await a_batch_with(store, 1)
    await a_batch_with(store, 2, number=2)
    await a_batch_with(store, 3, number=3)
    assert await batches_with(store, 1, examining=1) == ([first.sid], True)
    assert await batches_with(store, 2, examining=1) != ([first.sid], True)
    assert await batches_with(store, 3, examining=9) != ([], False)


async def test_batches_do_not_count_as_callbacks_of_a_url(store: Store) -> None:
    await a_batch_with(store, 1)
    found = await store.transact(
        lambda tx: tx.callbacks.totals(since=NOW - SECOND, until=NOW + SECOND)
    )
    assert found == []


async def test_callbacks_are_filtered_by_stream(store: Store) -> None:
    batch = await a_batch_with(store, 1)
    await keep(store, callback(7))
    which = CallbackFilter(stream_sid=RULE.sid)
    assert [one.sid for one in await callbacks_on(store, PageWindow(9), which)] == [batch.sid]
    which = CallbackFilter(stream_sid=SECOND_RULE.sid)
    assert await callbacks_on(store, PageWindow(9), which) == []


@pytest.mark.parametrize(
    ("text", "is_found"),
    [(RULE.sid, False), (an_event_of(1).sid, False), ("[2:", False), ("A.EXAMPLE/events", True)],
)
async def test_the_events_of_a_batch_are_not_searched(
    store: Store, text: str, is_found: bool
) -> None:
    await a_batch_with(store, 1)
    found = await callbacks_on(store, PageWindow(9), CallbackFilter(text=text))
    assert bool(found) is is_found


async def test_a_test_event_of_a_stream_is_searched(store: Store) -> None:
    batch = await a_batch_with(store, 1)
    assert batch.stream is not None
    test = batch._replace(
        sid="CB" + "7" * 32,
        is_test=True,
        body='[{"test_id":"made up"}]',
        stream=batch.stream._replace(stream_sid=SINK.sid, references=""),
        source=Source.KORE,
    )
    await keep(store, test)
    found = await callbacks_on(store, PageWindow(9), CallbackFilter(text="Made up"))
    assert [one.sid for one in found] == [test.sid]


async def test_a_store_of_one_version_has_no_unaware_servers(store: Store) -> None:
    assert list(await store.transact(lambda tx: tx.streams.events.unaware_servers())) == []


async def test_servers_of_an_earlier_version_are_unaware(
    postgres: PostgresStore, postgres_bench: PostgresBench
) -> None:
    workers = [("old", 501, 14, 60), ("new", 502, 15, 60), ("gone", 503, 14, -60)]
    with psycopg.connect(postgres_bench.dsn.text, autocommit=True) as connection:
        for name, number, schema, seconds in workers:
            connection.execute(
                "INSERT INTO workers (worker, number, name, role, lease_until, details)"
                " VALUES (gen_random_uuid(), %s, %s, 'sender',"
                " clock_timestamp() + make_interval(secs => %s),"
                " jsonb_build_object('schema', %s::bigint))",
                (number, name, seconds, schema),
            )
        found = await postgres.transact(lambda tx: tx.streams.events.unaware_servers())
        connection.execute("DELETE FROM workers WHERE name IN ('old', 'new', 'gone')")
    assert found == ["old"]
