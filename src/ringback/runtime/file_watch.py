"""Waits until files have changed, and are whole again."""

import asyncio
from contextlib import suppress
from pathlib import Path

FilesState = tuple[tuple[int, int, int] | None, ...]
"""What tells one state of some files from another; None for a file that can't be read."""


class FileWatch:
    """Looks at some files every few tenths of a second.

    It polls because that costs one question to the file system: what tells programs of changes to
    files differs from system to system, and not every file system has it.
    """

    def __init__(self, *paths: Path, look_every: float) -> None:
        self._paths = paths
        self._look_every = look_every
        self._asked = asyncio.Event()
        self._read = self._seen = self.state()

    def state(self) -> FilesState:
        """Return the present state of the files."""
        return tuple(map(_state_of, self._paths))

    def look_now(self) -> None:
        """Let `changed` return at once, whether the files have changed or not."""
        self._asked.set()

    async def changed(self) -> FilesState:
        """Return the new state once the files are others than the last time."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), self._look_every)
            now = self.state()
            # A file may be half written: it is read when two looks in a row found the same.
            is_settled, self._seen = now == self._seen, now
            if self._asked.is_set() or (is_settled and now != self._read):
                self._asked.clear()
                self._read = now
                return now


def _state_of(path: Path) -> tuple[int, int, int] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_ino, state.st_size
