"""`ringback db`: checks, copies and upgrades a data file or database, and shows its state."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ringback.cli.base_command import argument, command, group, option_group
from ringback.cli.data_file import account_context, copy_between, with_data_file
from ringback.cli.options import file_option, json_option, prints_record, seal_key_file_option
from ringback.cli.output import Output, echo, say
from ringback.core.counted import counted

if TYPE_CHECKING:
    from ringback.data_folder import IntegrityCheckResult, StoredData


@group()
def db() -> None:
    """Check, copy, upgrade or describe the data of a server.

    The data is in a data file, ringback.db in the data folder, or in the PostgreSQL database that
    RINGBACK_DATABASE names. It has all accounts, SIMs and callbacks of a server.
    """


@command(
    "check",
    examples={
        "ringback db check": "Check the data file in the default data folder, ringback-data.",
        "ringback db check --json": (
            "Check the data file, and print the result of each check as JSON."
        ),
    },
)
@with_data_file
@option_group("Output", json_option)
def check(*, file: "StoredData", as_json: bool) -> None:
    """Check the data file or database for damage and loss; nothing is changed.

    A server may be using it meanwhile. The exit code is 0 if all checks pass, else 1.
    """
    checks = file.check()
    is_ok = all(one.is_ok for one in checks)
    records = [{"name": one.name, "ok": one.is_ok, "found": one.found} for one in checks]
    say({"ok": is_ok, "checks": records}, map(_line, checks), as_json=as_json)
    sys.exit(0 if is_ok else 1)


@command(
    "upgrade",
    examples={
        "ringback accounts create Acme --data new-data\nringback db upgrade --data new-data": (
            "Make a data file, and upgrade it: it is new, so there is nothing to do."
        )
    },
)
@with_data_file
@prints_record
def upgrade(*, file: "StoredData") -> Output:
    """Upgrade the schema of the data file or database to the newest version.

    No server may be using the data file. A server upgrades it by itself when it starts, so this
    command is only needed to upgrade at another time. The old file is kept.

    A PostgreSQL database is upgraded only by this command, which also makes the tables in an empty
    one. Servers of the version before can go on meanwhile.
    """
    # On stderr, so that --json prints nothing but JSON.
    before, after, copy = file.upgrade(tell=partial(echo, err=True))
    record = {"before": before, "after": after, "copy": None if copy is None else str(copy)}
    if before == after:
        return record, f"schema {after} is the newest: nothing to do"
    change = {"before": {"schema": before}, "after": {"schema": after}}
    file.transact(
        lambda tx: account_context().record(
            tx, "UpgradeSchema", "schema", account_sid=None, **change
        )
    )
    kept = "" if copy is None else f"; {copy} is a backup of the data before"
    return record, f"schema {before} is now {after}{kept}"


@command(
    "status",
    examples={
        "ringback accounts create Acme --data new-data\nringback db status --data new-data": (
            "Make a data file, and show its size, its growth and the version of its schema."
        )
    },
)
@with_data_file
@prints_record
def status(*, file: "StoredData") -> Output:
    """Show where the data is, how large it is and how fast it grows, and what is kept how long.

    The times are those that are set at run time, or that the data began with: this command does not
    read the settings file. `ringback retention show` says which times are in force.
    """
    found = file.status()
    return found, [_status_line(name, value) for name, value in found.items()]


@command(
    "copy",
    examples={
        "ringback accounts create Acme --data old-data\n"
        "ringback db copy old-data copied-data --seal-key-file old-data/ringback.key": (
            "Copy the data of a folder to a new one, which has the same key then."
        )
    },
)
@argument("source", metavar="FROM")
@argument("target", metavar="TO")
@option_group(
    "Keys",
    seal_key_file_option(),
    file_option(
        "--to-seal-key-file",
        "File with another key for TO: the secrets are encrypted with this key there.",
    ),
)
@prints_record
def copy(
    *, source: str, target: str, seal_key_file: Path | None, to_seal_key_file: Path | None
) -> Output:
    """Copy all data from FROM to TO, compare both row by row, and mark FROM as copied.

    FROM and TO are each a data folder, the address of a PostgreSQL database, or the word
    RINGBACK_DATABASE for the address in this variable (RINGBACK_DATABASE_FILE for that in its
    file). An address with a password can only be given in this way. TO has to be a new folder or an
    empty database; its tables are made.

    No server may use FROM or TO, and none can meanwhile. If the copy is interrupted, run the
    command again: it goes on where it was. Afterwards, FROM can be served only with the flag
    --serve-copied.
    """
    places = copy_between(source, target, seal_key_file, to_seal_key_file)
    done = places[0].copy_to(places[1], tell=partial(echo, err=True))
    record = done._asdict()
    if not done.compared:
        return record, f"{source} is copied to {target} already: nothing to do"
    return record, f"copied {source} to {target}: {counted(done.compared, 'row')}, all equal"


db.add_command(check)
db.add_command(copy)
db.add_command(status)
db.add_command(upgrade)


def _status_line(name: str, value: str | int | None) -> str:
    words = name.replace("_", " ")
    if "bytes" not in name or not isinstance(value, int):
        return f"{words:<16} {'none' if value is None else value}"
    words = words.replace("bytes", "").strip() or "size"
    return f"{words.replace('  ', ' '):<16} {value:,} bytes ({value / 1e6:,.1f} MB)"


def _line(one: "IntegrityCheckResult") -> str:
    return f"{'ok    ' if one.is_ok else 'FAULT '} {one.name:<13} {one.found}"
