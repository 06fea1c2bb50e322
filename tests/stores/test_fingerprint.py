"""The fingerprint of data: made once, another one for all other data."""

import re
from pathlib import Path

from ringback.data_folder import DATA_FILE, DataFolder
from ringback.ports import SendingPause, Store
from tests.fakes import NOW
from tests.stores.old_files import go_back


async def fingerprint_in(store: Store) -> str:
    return await store.read(lambda tx: tx.fingerprint())


def fingerprint_of(data: DataFolder) -> str:
    return data.use(fingerprint_in)


async def test_a_fingerprint_has_32_hex_digits_and_stays(empty: Store) -> None:
    first = await fingerprint_in(empty)
    assert re.fullmatch("[0-9a-f]{32}", first)
    await empty.transact(lambda tx: tx.pause.begin(SendingPause(NOW, "maintenance")))
    await empty.transact(lambda tx: tx.pause.end())
    assert await fingerprint_in(empty) == first


def test_other_data_has_another_fingerprint(tmp_path: Path) -> None:
    assert len({fingerprint_of(DataFolder(tmp_path / name)) for name in "ab"}) == 2


def test_data_of_an_earlier_version_gets_one_at_its_upgrade(tmp_path: Path) -> None:
    data = DataFolder(tmp_path)
    before = fingerprint_of(data)
    for is_paused in (False, True):
        if is_paused:
            data.transact(lambda tx: tx.pause.begin(SendingPause(NOW, "maintenance")))
        go_back(tmp_path / DATA_FILE, schema=19)
        data.upgrade()
        after = fingerprint_of(data)
        assert re.fullmatch("[0-9a-f]{32}", after)
        assert after != before
    assert data.use(lambda store: store.read(lambda tx: tx.pause.get())) is not None
