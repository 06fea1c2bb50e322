"""Waits until files have changed, and have been written completely."""

import asyncio
from contextlib import suppress
from pathlib import Path

FilesState = tuple[tuple[int, int, int] | None, ...]
"""The modification time, inode and size of each file; None for a file that can't be read."""


class FileWatch:
    """Watches files for changes, by looking at them every `look_every` seconds.

    It polls because that needs only one call for each file. Notifications of file changes differ
    from system to system, and not every file system has them.
    """

    def __init__(self, *paths: Path, look_every: float) -> None:
        self._paths = paths
        self._look_every = look_every
        self._asked = asyncio.Event()
        self._read = self._seen = self.state()

    def state(self) -> FilesState:
        """Return the current modification time, inode and size of each file."""
        return tuple(map(_state_of, self._paths))

    def look_now(self) -> None:
        """Let `changed` return at once, even if the files have not changed."""
        self._asked.set()

    async def changed(self) -> FilesState:
        """Wait until the files have changed or `look_now` is called; return their new state."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), self._look_every)
            now = self.state()
            # A file may be half written, so two looks in a row must find the same state.
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
