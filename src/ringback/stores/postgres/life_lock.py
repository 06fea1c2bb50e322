"""Evidence on one machine that a process has died: a locked file, whose lock the kernel frees."""

import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from ringback.runtime.system_clock import SystemRandomSource

if sys.platform != "win32":
    import fcntl

_FOLDER: Final = Path("/dev/shm")  # noqa: S108 (the file's name can't be guessed)
"""A folder in memory, which no other machine sees, and which no boot keeps."""
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class LifeLock:
    """A file that this process keeps locked for as long as it lives.

    If the file can be seen, was made in this boot, and is locked no more, its process is dead: no
    code of it runs any more. A process that is only stopped (frozen) keeps its lock. A file that
    can't be seen says nothing: the process may run on another machine, or in another container.
    """

    name: str
    """The file's name, which no other process has."""
    _descriptor: int

    @classmethod
    def take(cls) -> Self | None:
        """Make a file and lock it; return None if this machine has no such files."""
        if sys.platform == "win32" or not (boot := _this_boot()):
            return None
        name = SystemRandomSource().bytes(16).hex()
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            descriptor = os.open(_path(name), flags, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(descriptor, boot)
        except OSError:
            return None
        return cls(name, descriptor)

    def release(self) -> None:
        """Remove the file, because this process has nothing any more that others could take."""
        remove_life_lock(self.name)
        with suppress(OSError):
            os.close(self._descriptor)


def is_known_dead(name: str) -> bool:
    """Return True if the process with this file is certainly dead, False if that is not known."""
    if sys.platform == "win32":
        return False
    try:
        descriptor = os.open(_path(name), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except (OSError, ValueError):
        return False
    try:
        # Another user could make a file with the name of a process on another machine.
        is_ours = os.fstat(descriptor).st_uid == os.geteuid()
        boot = os.read(descriptor, 100)
        # Shared, so that two processes that look at once do not take each other for the owner.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return is_ours and boot != b"" and boot == _this_boot()
    finally:
        os.close(descriptor)


def remove_life_lock(name: str) -> None:
    """Remove the file of a process, if it is there."""
    with suppress(OSError):
        _path(name).unlink()


def _path(name: str) -> Path:
    return _FOLDER / f"ringback-{Path(name).name}"


def _this_boot() -> bytes:
    """Return the id of the machine's boot, which each boot makes anew; empty if there is none."""
    try:
        return _BOOT.read_bytes().strip()
    except OSError:
        return b""
