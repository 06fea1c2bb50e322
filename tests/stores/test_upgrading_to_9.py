"""A file from before the index of changed callbacks: its retries are found too."""

from datetime import timedelta
from pathlib import Path

from ringback.stores.sql.field_columns import to_us
from tests.fakes import NOW
from tests.stores.asking import numbers_of, opened
from tests.stores.old_files import insert_callback, write_old_file
from tests.stores.records import callback

CENTURY = timedelta(days=36525)


async def test_a_retry_planned_by_a_clock_ahead_is_found(tmp_path: Path) -> None:
    path = write_old_file(tmp_path / "ringback.db", schema=6)
    here = callback(1).url.destination
    ahead = to_us(NOW + CENTURY)
    for number, changed in (
        (1, {}),
        (2, {"updated_us": ahead, "due_us": ahead}),
        (3, {"due_us": ahead}),
    ):
        insert_callback(path, number, destination=here, attempt_count=1, **changed)
    async with opened(path) as store:
        found = await store.transact(lambda tx: tx.callbacks.changed_after(NOW, limit=9))
    assert numbers_of(found) == [2]
