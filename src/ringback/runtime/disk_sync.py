"""Waits until written files are on the disk, so that they survive a power cut."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Wait until a file's content is on the disk, or a folder's new and renamed entries."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
