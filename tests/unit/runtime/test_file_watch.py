"""Watching files: when they count as changed."""

import asyncio
from pathlib import Path

import pytest

from ringback.runtime.file_watch import FileWatch

OFTEN = 0.005


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    paths = tmp_path / "a", tmp_path / "b"
    for path in paths:
        path.write_text("as it was")
    return paths


async def test_a_change_of_any_file_is_noticed(files: tuple[Path, Path]) -> None:
    for path in files:
        watch = FileWatch(*files, look_every=OFTEN)
        path.write_text("something else")

        assert await asyncio.wait_for(watch.changed(), 5) == watch.state()


async def test_a_deleted_file_counts_as_one_change(files: tuple[Path, Path]) -> None:
    watch = FileWatch(*files, look_every=OFTEN)
    files[0].unlink()

    assert (await asyncio.wait_for(watch.changed(), 5))[0] is None
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(watch.changed(), 10 * OFTEN)


async def test_a_requested_check_does_not_wait_for_a_change(files: tuple[Path, Path]) -> None:
    watch = FileWatch(*files, look_every=60)
    watch.look_now()

    assert await asyncio.wait_for(watch.changed(), 5) == watch.state()
