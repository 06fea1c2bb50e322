"""The end of a backup: a code (a MAC) that shows if somebody without the key has changed it.

After the pages of the database, which are all that SQLite reads, come 64 bytes: a name, the id of
the key, and the HMAC-SHA256 of everything before it.
"""

import hmac
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, NamedTuple, Self

_NAME: Final = b"ringback hmac 1\n"
_KEY_ID: Final = 16
_PART: Final = 1 << 20
"""Bytes that are read at once."""
MAC_SIZE: Final = len(_NAME) + _KEY_ID + 32
"""The size of the end of a backup in bytes; smaller than any page, so SQLite never counts it."""
HEADER: Final = 100
"""The size of the header of an SQLite file, in bytes."""
MAGIC: Final = b"SQLite format 3\0"
_WAL_MODE: Final = b"\2\2"

MacKey = Callable[[str], bytes | None]
"""Returns the key for MACs that belongs to the key with this id; None if that is not at hand."""


class BackupMac(NamedTuple):
    """The MAC at the end of a backup, and the id of the key that it was made with."""

    key_id: str
    code: bytes

    @classmethod
    def read(cls, end: bytes) -> Self | None:
        """Read what follows the pages of a backup; return None if it is not a MAC."""
        name, key_id, code = (
            end[: len(_NAME)],
            end[len(_NAME) : len(_NAME) + _KEY_ID],
            end[len(_NAME) + _KEY_ID :],
        )
        if len(end) != MAC_SIZE or name != _NAME or not key_id.isalnum():
            return None
        return cls(key_id.decode(), code)

    def is_right(self, file: Path, key: bytes) -> bool:
        """Return True if the pages of this file are those that the MAC was made for."""
        size = file.stat().st_size - MAC_SIZE
        found = _code_of(file, size, self.key_id, key, lambda: None)
        return hmac.compare_digest(found, self.code)


def append_mac(file: Path, key_id: str, key: bytes, rest: Callable[[], object]) -> None:
    """Add the MAC to a complete backup; `rest` is called after each part that was read."""
    code = _code_of(file, file.stat().st_size, key_id, key, rest)
    with file.open("ab") as written:
        written.write(_NAME + key_id.encode() + code)


def is_cut_mac(end: bytes) -> bool:
    """Return True if these bytes are the beginning of the end of a backup, but not all of it."""
    return len(end) < MAC_SIZE and end[: len(_NAME)] == _NAME[: len(end)]


def is_in_wal_mode(header: bytes) -> bool:
    """Return True if the database has a write-ahead log when it is used, as no backup says."""
    return header[18:20] == _WAL_MODE


def size_of_pages(header: bytes) -> int:
    """Return how many bytes of an SQLite file belong to the database, as its header says."""
    # A page of 64 KiB is written as 1.
    page = int.from_bytes(header[16:18])
    return (65536 if page == 1 else page) * int.from_bytes(header[28:32])


def is_unused_backup(path: Path) -> bool:
    """Return True if this data file is a backup, put in by hand, that no server has used yet.

    It has the MAC or at least the note of a backup; a server's first use removes both.
    """
    try:
        with path.open("rb") as file:
            header = file.read(HEADER)
            if not header.startswith(MAGIC) or is_in_wal_mode(header):
                return False
            file.seek(size_of_pages(header))
            end = file.read(MAC_SIZE)
    except OSError:  # whoever opens it says so
        return False
    return (bool(end) and end.startswith(_NAME)) or _has_note(path)


def immutable(path: Path) -> str:
    """Return the URI by which SQLite reads a file without looking for, or making, others."""
    return f"{path.absolute().as_uri()}?mode=ro&immutable=1"


def _has_note(path: Path) -> bool:
    with suppress(sqlite3.Error), closing(sqlite3.connect(immutable(path), uri=True)) as opened:
        found = opened.execute("SELECT 1 FROM sqlite_schema WHERE name = 'backup_note'").fetchone()
        return found is not None
    return False


def _code_of(file: Path, size: int, key_id: str, key: bytes, rest: Callable[[], object]) -> bytes:
    code = hmac.new(key, digestmod="sha256")
    with file.open("rb", buffering=0) as read:
        left = size
        while part := read.read(min(left, _PART)):
            code.update(part)
            left -= len(part)
            rest()
    code.update(_NAME + key_id.encode())
    return code.digest()
