"""Waits until what was written is on the disk, so that it survives a power cut."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Wait until a file's content is on the disk; for a folder, its new and renamed entries."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
