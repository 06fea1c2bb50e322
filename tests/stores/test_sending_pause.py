"""The pause of all servers: it is stored until it is ended, and the first one counts."""

from datetime import timedelta

import pytest

from ringback.core.errors import NotFound
from ringback.ports import SendingPause, Store, Transaction
from tests.fakes import NOW

PAUSE = SendingPause(NOW + timedelta(microseconds=1), "é \u2028 'x'")
OTHER = SendingPause(NOW + timedelta(days=1), "another reason")


async def pause_in(store: Store) -> SendingPause | None:
    return await store.read(lambda tx: tx.pause.get())


async def test_a_new_store_is_not_paused(empty: Store) -> None:
    assert await pause_in(empty) is None


async def test_a_pause_is_read_back_as_it_was_begun(empty: Store) -> None:
    assert await empty.transact(lambda tx: tx.pause.begin(PAUSE)) == PAUSE
    assert await pause_in(empty) == PAUSE


async def test_the_first_pause_stays(empty: Store) -> None:
    for begun in (PAUSE, OTHER):
        found = await empty.transact(lambda tx, begun=begun: tx.pause.begin(begun))
        assert found == PAUSE
    assert await pause_in(empty) == PAUSE


async def test_a_pause_that_was_ended_is_over(empty: Store) -> None:
    await empty.transact(lambda tx: tx.pause.begin(PAUSE))
    assert [await empty.transact(lambda tx: tx.pause.end()) for _ in range(2)] == [PAUSE, None]
    assert await pause_in(empty) is None
    assert await empty.transact(lambda tx: tx.pause.begin(OTHER)) == OTHER


async def test_a_pause_of_an_undone_transaction_is_not_there(empty: Store) -> None:
    def work(tx: Transaction) -> None:
        tx.pause.begin(PAUSE)
        raise NotFound("undone")

    with pytest.raises(NotFound):
        await empty.transact(work)
    assert await pause_in(empty) is None
