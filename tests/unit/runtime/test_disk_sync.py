"""Syncing: files and folders reach the disk, and no descriptor stays open."""

import os
from pathlib import Path

import pytest

from ringback.runtime.disk_sync import sync


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
