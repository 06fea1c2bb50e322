"""Waits until what was written is on the disk, so that it survives a power cut."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Return once a file is on disk, or a folder with what was made or renamed in it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
