"""Big batches before their callbacks are added, in every store."""

import asyncio
from pathlib import Path

import pytest

from ringback.ports import Store, Transaction
from tests.stores.asking import opened


def texts(tx: Transaction) -> list[str]:
    return list(tx.batches.all().values())


async def test_a_batch_is_stored_by_its_numbers_until_it_is_removed(store: Store) -> None:
    one = await store.transact(lambda tx: tx.batches.add(["a", "b", "c"]))
    other = await store.transact(lambda tx: tx.batches.add(["d"]))
    together = dict(zip([*one, *other], "abcd", strict=True))
    kept = await store.transact(lambda tx: tx.batches.all())
    assert list(kept.items()) == list(together.items())
    await store.transact(lambda tx: tx.batches.remove(one))
    assert await store.transact(lambda tx: tx.batches.all()) == {other[0]: "d"}


async def test_numbers_increase_even_if_no_batch_is_left(store: Store) -> None:
    one = await store.transact(lambda tx: tx.batches.add(["a", "b"]))
    await store.transact(lambda tx: tx.batches.remove(one))
    other = await store.transact(lambda tx: tx.batches.add(["c"]))
    third = await store.transact(lambda tx: tx.batches.add(["d"]))
    assert one[-1] < other[0] < third[0]


async def test_a_large_batch_is_stored_and_removed_as_a_whole(store: Store) -> None:
    large = [f"{number} " + "é" * 300 for number in range(1000)]
    numbers = await store.transact(lambda tx: tx.batches.add(large))
    assert await store.transact(texts) == large
    await store.transact(lambda tx: tx.batches.remove(numbers))
    assert await store.transact(texts) == []


async def test_within_one_transaction_a_batch_is_visible_at_once(store: Store) -> None:
    def add_and_remove(tx: Transaction) -> list[list[str]]:
        numbers = tx.batches.add(["a", "b", "c"])
        before = texts(tx)
        tx.batches.remove(numbers[:2])
        return [before, texts(tx)]

    assert await store.transact(add_and_remove) == [["a", "b", "c"], ["c"]]
    assert await store.transact(texts) == ["c"]


async def test_undone_work_neither_adds_nor_removes_a_batch(store: Store) -> None:
    numbers = await store.transact(lambda tx: tx.batches.add(["a"]))

    def fail(tx: Transaction) -> None:
        tx.batches.remove(numbers)
        tx.batches.add(["b"])
        raise RuntimeError

    endings = await asyncio.gather(
        store.transact(lambda tx: tx.batches.add(["c"])),
        store.transact(fail),
        return_exceptions=True,
    )
    assert isinstance(endings[1], RuntimeError)
    assert await store.transact(texts) == ["a", "c"]


@pytest.mark.parametrize(("removed", "left"), [(0, "abc"), (2, "c"), (3, "")])
async def test_a_reopened_file_has_the_rest_of_a_batch(
    tmp_path: Path, removed: int, left: str
) -> None:
    path = tmp_path / "ringback.db"
    async with opened(path) as store:
        numbers = await store.transact(lambda tx: tx.batches.add(["a", "b", "c"]))
        await store.transact(lambda tx: tx.batches.remove(numbers[:removed]))
    async with opened(path) as store:
        await store.transact(lambda tx: tx.batches.add(["d"]))
        assert await store.transact(texts) == [*left, "d"]
