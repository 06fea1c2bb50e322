"""Notes of copies (`ringback db copy`) in the data itself: what was copied from here, and to here.

Both places of a copy have the same id in their notes. The note of the source goes when anything
uses its data again. So it says that nothing has been changed there since.
"""

import json
import logging
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from ringback.core.errors import ConfigurationError
from ringback.stores.sql.field_columns import from_us, maybe_from_us, to_us
from ringback.stores.sql.sealed_columns import Execute

_log = logging.getLogger(__name__)


class CopyRole(StrEnum):
    """What the data in a place is for a copy."""

    SOURCE = "source"
    TARGET = "target"


class CopyNote(NamedTuple):
    """A note of a copy, in one of its two places."""

    copy_id: str
    other: str
    """The other place."""
    began: datetime
    ended: datetime | None = None
    """When all was there; None until then."""


class CopyProgress(NamedTuple):
    """How far a copy has come."""

    tables: int = 0
    """The number of complete tables."""
    after: Sequence[Any] = ()
    """The key of the last row of the next table; empty before the first one."""


_NOTED: Final = "SELECT copy_id, other, began_us, ended_us FROM data_copies WHERE role = ?"
_NOTE: Final = (
    "INSERT INTO data_copies (role, copy_id, other, began_us, ended_us) VALUES (?, ?, ?, ?, ?)"
)


def noted(execute: Execute, role: CopyRole) -> CopyNote | None:
    """Return the note of the copy in which the data has this role; None if there is none."""
    row = execute(_NOTED, (role.value,)).fetchone()
    if row is None:
        return None
    copy_id, other, began, ended = row
    return CopyNote(copy_id, other, from_us(began), maybe_from_us(ended))


def note(execute: Execute, role: CopyRole, of: CopyNote) -> None:
    """Write a note of a copy that has begun, in place of an earlier one with this role."""
    forget(execute, role)
    execute(_NOTE, (role.value, of.copy_id, of.other, to_us(of.began), None))


def forget(execute: Execute, role: CopyRole) -> None:
    """Delete the note with this role."""
    execute("DELETE FROM data_copies WHERE role = ?", (role.value,))


def note_end(execute: Execute, role: CopyRole, now: datetime) -> None:
    """Note that all is there, unless that was noted before."""
    execute(
        "UPDATE data_copies SET ended_us = ? WHERE role = ? AND ended_us IS NULL",
        (to_us(now), role.value),
    )


def note_progress(execute: Execute, progress: CopyProgress) -> None:
    """Note how far the copy to here has come."""
    execute(
        "UPDATE data_copies SET tables = ?, after = ? WHERE role = ?",
        (progress.tables, json.dumps([*progress.after]), CopyRole.TARGET.value),
    )


def noted_progress(execute: Execute) -> CopyProgress:
    """Return how far the copy to here has come."""
    tables, after = execute(
        "SELECT tables, after FROM data_copies WHERE role = ?", (CopyRole.TARGET.value,)
    ).fetchone()
    return CopyProgress(tables, json.loads(after))


def take_into_use(execute: Execute, where: str, *, serve_copied: bool = False) -> bool:
    """Allow the data to be used and changed, or raise ConfigurationError.

    It is refused if it is an unfinished copy, or if all of it was copied to another place. With
    `serve_copied`, the latter is allowed, and forgotten. The note of an unfinished copy from here
    is deleted, since that copy can't be continued once the data changes. Returns True if a note was
    deleted.
    """
    made, copied = noted(execute, CopyRole.TARGET), noted(execute, CopyRole.SOURCE)
    if made is not None and made.ended is None:
        raise ConfigurationError(
            f"the data in {where} is an unfinished copy of {made.other}: run `ringback db copy`"
            " again, which goes on with it"
        )
    if copied is None:
        return False
    if copied.ended is None:
        _log.warning(
            "the copy of %s to %s was not finished: it has to begin again", where, copied.other
        )
    elif serve_copied:
        _log.warning("the data in %s is used again, after its copy to %s", where, copied.other)
    else:
        raise ConfigurationError(
            f"the data in {where} was copied to {copied.other} on {copied.ended:%Y-%m-%d at %H:%M}"
            " UTC, and whatever came since is only there: use the data there. To use this data"
            " again all the same, start the server once with --serve-copied"
        )
    forget(execute, CopyRole.SOURCE)
    return True
