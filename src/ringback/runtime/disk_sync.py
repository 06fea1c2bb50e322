"""Writes files so that a crash or a power cut never leaves half of one."""

import os
from pathlib import Path
from typing import Final

from ringback.core.errors import ConfigurationError
from ringback.runtime.os_error_messages import refusing

UNFINISHED: Final = ".ringback-new"
"""The end of a temporary file's name; such a file is left behind if the process is killed."""


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of entries, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, *, old: bytes, new: bytes) -> None:
    """Replace the content of a file in one step, so that no program ever reads half of it.

    The file keeps its mode. Raises ConfigurationError if its content is no longer `old`, or if it
    can't be written.
    """
    target = path.resolve()
    fresh = target.with_name(f".{target.name}.{os.getpid()}{UNFINISHED}")
    with refusing(f"{path} can't be written"):
        fresh.unlink(missing_ok=True)
        try:
            with fresh.open("xb") as file:
                file.write(new)
                file.flush()
                os.fchmod(file.fileno(), target.stat().st_mode & 0o7777)
                os.fsync(file.fileno())
            if target.read_bytes() != old:
                raise ConfigurationError(
                    f"{path} was changed by another program in the meantime; try again"
                )
            fresh.replace(target)
        finally:
            fresh.unlink(missing_ok=True)
        sync(target.parent)
