"""Files and folders reach the disk, no descriptor stays open, and no file is half-written."""

import os
from pathlib import Path

import pytest

from ringback.core.errors import ConfigurationError
from ringback.runtime.disk_sync import replace_file, sync


@pytest.mark.parametrize("name", ["", "file"], ids=["a folder", "a file"])
def test_it_is_synced_and_closed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    synced, fsync = list[tuple[int, int]](), os.fsync

    def note(descriptor: int) -> None:
        synced.append((descriptor, os.fstat(descriptor).st_ino))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    sync(tmp_path / name)
    ((descriptor, inode),) = synced
    assert inode == (tmp_path / name).stat().st_ino
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_missing_file_cannot_be_synced(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sync(tmp_path / "gone")


def test_a_replaced_file_keeps_its_mode_and_nothing_else_stays_in_the_folder(
    tmp_path: Path,
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    file.chmod(0o640)
    replace_file(file, old=b"old", new=b"new \xff")
    assert file.read_bytes() == b"new \xff"
    assert file.stat().st_mode & 0o777 == 0o640
    assert [*tmp_path.iterdir()] == [file]


def test_a_file_that_was_changed_in_the_meantime_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"theirs")
    with pytest.raises(ConfigurationError, match="was changed by another program"):
        replace_file(file, old=b"old", new=b"new")
    assert file.read_bytes() == b"theirs"
    assert [*tmp_path.iterdir()] == [file]
