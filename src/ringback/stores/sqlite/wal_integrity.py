"""Checks that the write-ahead log (WAL) still has all committed data; SQLite doesn't check this.

SQLite ignores a WAL from its first damaged frame on (a frame is a page with a header), and treats a
missing WAL as empty. Then commits are lost without an error. Two things reveal this:

- The `-shm` file contains the number of committed frames. It survives the death of a process. After
  a restart of the machine, it counts only if it belongs to the present WAL.
- A commit is written only when the commit before it is on disk. So if a valid frame follows a
  commit, all frames before it must be undamaged.

Both must be read before SQLite opens the file, because SQLite overwrites them. If a power cut
damages the last commit, it looks like a commit that was never finished.
"""

import struct
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from operator import mul
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, Self

MOST_FRAMES: Final = 4_000
"""The maximum number of frames to check: a WAL usually has half as many."""

_WORD: Final = 0xFFFFFFFF
_MAGIC: Final = 0x377F0682
"""The WAL's magic number; if its lowest bit is set, checksums use big-endian words."""
_VERSION: Final = 3_007_000
_HEAD: Final = struct.Struct(">4I8s2I")
_FRAME_HEAD: Final = struct.Struct(">2I8s2I")
_INDEX: Final = struct.Struct("=3I2BH4I8s2I")

Checksum = tuple[int, int]


class _Head(NamedTuple):
    """The header of a WAL."""

    order: str
    page_size: int
    salts: bytes
    checksum: Checksum


class _Frame(NamedTuple):
    """A frame of the WAL: one database page that a commit wrote."""

    is_commit: bool
    """True if this is the last frame of its commit."""
    salts: bytes
    checksum: Checksum
    content: bytes
    """The bytes that the frame's checksum covers."""


class _Index(NamedTuple):
    """The index of the WAL in shared memory (`-shm`)."""

    frames: int
    """Number of committed frames."""
    copied: int
    """Number of committed frames that are in the database already."""
    salts: bytes

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Return the index in this file, or None if the file is missing or not valid."""
        try:
            with path.open("rb") as file:
                text = file.read(2 * _INDEX.size + 4)
        except OSError:
            return None
        first, second = text[: _INDEX.size], text[_INDEX.size : 2 * _INDEX.size]
        if len(text) < 2 * _INDEX.size + 4 or first != second:
            return None
        version, _, _, is_made, _, _, frames, _, _, _, salts, *checksum = _INDEX.unpack(first)
        if version != _VERSION or not is_made or tuple(checksum) != _sum(first[:40], "=", (0, 0)):
            return None
        (copied,) = struct.unpack_from("=I", text, 2 * _INDEX.size)
        return cls(frames, copied, salts)

    @property
    def only_in_the_wal(self) -> int:
        """Number of committed frames that are only in the WAL and not in the database yet."""
        return max(0, self.frames - self.copied)


def wal_path(database: Path) -> Path:
    """Return the path of the database's WAL: its name with `-wal` added."""
    return database.with_name(f"{database.name}-wal")


def damage_of_wal(database: Path, *, is_index_of_this_boot: bool) -> str | None:
    """Return a description of the damage to the database's WAL, or None if there is none.

    `is_index_of_this_boot` is True if the machine has not restarted since a server last used the
    data: then the index in shared memory is up to date.
    """
    shared = database.with_name(f"{database.name}-shm")
    while True:
        # Read the index first: a working process appends to the WAL before it updates the index,
        # and the last process to close the file deletes the index before the WAL.
        index = _Index.read(shared)
        damage = _damage_by(index, database, is_index_of_this_boot=is_index_of_this_boot)
        if damage is None or _Index.read(shared) == index:
            return damage


def _damage_by(index: _Index | None, database: Path, *, is_index_of_this_boot: bool) -> str | None:
    path = wal_path(database)
    trusted = index if is_index_of_this_boot else None
    try:
        with path.open("rb") as file:
            return _damage(path, file, index, trusted)
    except FileNotFoundError:
        return _lost(path, "is gone", trusted)
    except OSError as failure:
        return f"{path} can't be read: {failure.strerror}"


def _damage(path: Path, file: BinaryIO, index: _Index | None, trusted: _Index | None) -> str | None:
    text = file.read(_HEAD.size)
    if len(text) < _HEAD.size:
        return _lost(path, "is empty", trusted)
    head = _head_of(text)
    if head is None:
        # SQLite writes the first frame after the header is on disk, so a bad header is damage.
        return f"the header of {path} is damaged" if file.read(1) and any(text) else None
    frames = islice(_frames(file, head), MOST_FRAMES)
    whole, broken = _first_broken(head, frames)
    if whole == MOST_FRAMES:
        return None
    if index is not None and index.salts == head.salts:
        if whole < index.frames:
            return f"{path} is damaged in frame {whole + 1} of {index.frames}"
    elif trusted is not None and not _is_later(head.salts, trusted.salts):
        return _lost(path, "was replaced by another file", trusted)
    if _has_gone_on_after(broken, frames, head):
        return f"{path} is damaged in frame {whole + 1}, and there are commits after it"
    return None


def _lost(path: Path, what: str, index: _Index | None) -> str | None:
    if index is None or not index.only_in_the_wal:
        return None
    return f"{path} {what}, so {index.only_in_the_wal} committed pages are lost"


def _head_of(text: bytes) -> _Head | None:
    magic, version, page_size, _, salts, *checksum = _HEAD.unpack(text)
    if magic & ~1 != _MAGIC or version != _VERSION:
        return None
    order = ">" if magic & 1 else "<"
    if tuple(checksum) != _sum(text[:24], order, (0, 0)):
        return None
    return _Head(order, page_size, salts, (checksum[0], checksum[1]))


def _frames(file: BinaryIO, head: _Head) -> Iterator[_Frame]:
    """Yield the frames in the file, damaged or not."""
    whole = _FRAME_HEAD.size + head.page_size
    while len(text := file.read(whole)) == whole:
        _, size, salts, *checksum = _FRAME_HEAD.unpack_from(text)
        content = text[:8] + text[_FRAME_HEAD.size :]
        yield _Frame(size > 0, salts, (checksum[0], checksum[1]), content)


def _first_broken(head: _Head, frames: Iterator[_Frame]) -> tuple[int, _Frame | None]:
    """Return the number of frames before the first damaged frame, and this frame or None."""
    before, count = head.checksum, 0
    for frame in frames:
        if not _follows(before, frame, head):
            return count, frame
        before, count = frame.checksum, count + 1
    return count, None


def _has_gone_on_after(broken: _Frame | None, frames: Iterator[_Frame], head: _Head) -> bool:
    """Return True if the damage destroyed a commit that was on disk.

    The proof is a valid frame that follows a commit at or after the damage.
    """
    before = broken
    for frame in frames:
        is_commit = before is not None and before.is_commit and before.salts == head.salts
        if before is not None and is_commit and _follows(before.checksum, frame, head):
            return True
        before = frame
    return False


def _follows(before: Checksum, frame: _Frame, head: _Head) -> bool:
    return frame.salts == head.salts and frame.checksum == _sum(frame.content, head.order, before)


def _is_later(salts: bytes, than: bytes) -> bool:
    """Return True if a WAL with these salts is newer than a WAL with the salts `than`.

    SQLite adds 1 to the first salt for each new WAL.
    """
    ahead = int.from_bytes(salts[:4], "big") - int.from_bytes(than[:4], "big") & _WORD
    return 0 < ahead < 1 << 31


# ---- checksums -----------------------------------------------------------------------------------


def _sum(content: bytes, order: str, before: Checksum) -> Checksum:
    """Return SQLite's checksum of the content, continued from the checksum `before`.

    SQLite's algorithm adds word after word. This function computes the same result as a weighted
    sum of all words, which is faster in Python. `order` is the byte order of the words.
    """
    count = len(content) // 4
    words = struct.unpack(f"{order}{count}I", content)
    ones, twos, (a, b, c) = _weights(count // 2)
    first, second = before
    return (
        sum(map(mul, ones, words), a * first + b * second) & _WORD,
        sum(map(mul, twos, words), b * first + c * second) & _WORD,
    )


@lru_cache(4)
def _weights(pairs: int) -> tuple[list[int], list[int], tuple[int, int, int]]:
    """Return the weights by which `_sum` multiplies the words and the checksum `before`.

    They follow from SQLite's algorithm: for each pair of words (x, y), it computes `first += x +
    second`, and then `second += y + first`.
    """
    ones, twos = list[int](), list[int]()
    a, b, c = 1, 0, 1
    for _ in range(pairs):
        ones += [b, a + b & _WORD]
        twos += [c, b + c & _WORD]
        a, b, c = a + b & _WORD, b + c & _WORD, b + 2 * c & _WORD
    return ones[::-1], twos[::-1], (a, b, c)
