"""`ringback backup` and `ringback restore`: copy the data while a server runs, and use the copy."""

import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ringback.cli.base_command import argument, command, option, option_group
from ringback.cli.data_file import with_data_file
from ringback.cli.options import prints_record, read_by
from ringback.cli.output import Output, echo
from ringback.core.calendar import iso
from ringback.settings.parsers import read_size

if TYPE_CHECKING:
    from ringback.data_folder import MadeBackup, RestoredData, StoredData

_FILE = click.Path(dir_okay=False, path_type=Path)
_NICENESS: Final = 19
"""A backup waits while servers on the machine need the processor."""


def _rate(text: str) -> int:
    rate = read_size(text)
    if not rate:
        raise ValueError(f"{text!r}: the rate must be above 0, such as 32MiB")
    return rate


@command(
    examples={
        "ringback accounts create Acme --data live-data\n"
        "ringback backup acme.backup --data live-data": (
            "Make a data folder, and back it up; a server may use it meanwhile."
        )
    }
)
@argument("target", metavar="FILE", type=_FILE)
@with_data_file
@option_group(
    "Backup",
    option(
        "--rate",
        default="32MiB",
        show_default=True,
        callback=read_by(_rate),
        metavar="SIZE",
        help="Copy at most this much in a second, so that a server hardly notices.",
    ),
)
@prints_record
def backup(*, target: Path, file: "StoredData", rate: int) -> Output:
    """Back up a data folder into the new file FILE, while a server uses it.

    The backup shows the data of one moment, and is checked. It has no key in it: keep the key, too,
    in another place. FILE can't be in the data folder. If the command is killed, there is no FILE.

    A PostgreSQL database is backed up by PostgreSQL's own programs: then the command says what to
    run, and ends with the exit code 2.
    """
    if sys.platform != "win32":
        os.nice(_NICENESS)
    made = file.back_up(target, rate=rate, tell=partial(echo, err=True))
    return _record_of(target, made), _lines_of(target, made)


def _record_of(target: Path, made: "MadeBackup") -> dict[str, Any]:
    note = made.note
    return {
        "file": str(target),
        "data_folder": note.data_folder,
        "made": iso(note.made),
        "bytes": note.size,
        "schema": note.schema,
        "key_id": note.key_id,
        "key_in": made.key_in,
        "has_mac": made.has_mac,
    }


def _lines_of(target: Path, made: "MadeBackup") -> Iterator[str]:
    note = made.note
    yield (
        f"{target} has the data of {note.data_folder} as of {note.made:%Y-%m-%d %H:%M:%S} UTC"
        f" ({note.size / 1e6:.1f} MB)"
    )
    yield (
        f"It has no key in it, and is of no use without: also keep the key {note.key_id}, which is"
        f" in {made.key_in}, but in another place"
    )
    if not made.has_mac:
        yield (
            "It has no MAC, since the key is not at hand: nobody will be able to see if it was"
            " changed, and `ringback restore` will need --unverified"
        )


@command(
    examples={
        "ringback accounts create Acme --data lost\n"
        "ringback backup lost.backup --data lost\n"
        "ringback restore lost.backup --data found --seal-key-file lost/ringback.key": (
            "Back up a data folder, and make another one from the backup."
        )
    }
)
@argument("source", metavar="FILE", type=_FILE)
@with_data_file
@option_group(
    "Restore",
    option(
        "--unverified",
        is_flag=True,
        help="Also use a backup of which nobody can see if it was changed: it has no MAC, or the"
        " key of its MAC is not given. Whoever could write to it may have changed URLs, callbacks"
        " and API keys in it. A backup whose MAC is wrong is refused all the same.",
    ),
)
@prints_record
def restore(*, source: Path, file: "StoredData", unverified: bool) -> Output:
    """Make a new data folder from a backup that `ringback backup` has made.

    The folder has to be new or empty; only the key file, ringback.key, may be in it. Give the key,
    or put it there: with it, the command checks that nobody has changed the backup, and that its
    secrets can be opened.

    A server that uses the folder starts paused: it accepts requests, but sends nothing until
    `ringback resume`, since what was sent after the backup would be sent again.
    """
    done = file.restore(source, tell=partial(echo, err=True), unverified=unverified)
    where = str(click.get_current_context().params["data"])
    return _record_of_restored(where, done), _lines_of_restored(where, done)


def _record_of_restored(where: str, done: "RestoredData") -> dict[str, Any]:
    note = done.note
    return {
        "data": where,
        "made": iso(note.made),
        "schema": note.schema,
        "key_id": note.key_id,
        "has_key": done.has_key,
        "verified": done.is_verified,
    }


def _lines_of_restored(where: str, done: "RestoredData") -> Iterator[str]:
    note = done.note
    yield (
        f"{where} has the data of {note.data_folder} as of {note.made:%Y-%m-%d %H:%M:%S} UTC;"
        " whatever came later is not in it"
    )
    if not done.is_verified:
        yield "nobody knows if the backup was changed after it was made: its MAC was not checked"
    if done.has_key:
        yield f"its secrets can be opened with the key {note.key_id}"
    else:
        yield (
            f"its secrets need the key {note.key_id}: put its file into the folder as ringback.key,"
            " or give it with --seal-key-file or RINGBACK_SEAL_KEY"
        )
    yield "a server that uses it starts paused; `ringback resume` lets it send"
