"""`ringback db`: checks a data file or database, shows its state, and upgrades its schema."""

import sys
from functools import partial
from typing import TYPE_CHECKING

import click

from ringback.cli.base_command import command, group, option_group
from ringback.cli.data_file import with_data_file
from ringback.cli.options import json_option, prints_record
from ringback.cli.output import Output, say

if TYPE_CHECKING:
    from ringback.data_folder import IntegrityCheckResult, StoredData


@group()
def db() -> None:
    """Check, upgrade or describe the data of a server.

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
    before, after, copy = file.upgrade(tell=partial(click.echo, err=True))
    record = {"before": before, "after": after, "copy": None if copy is None else str(copy)}
    if before == after:
        return record, f"schema {after} is the newest: nothing to do"
    kept = "" if copy is None else f"; {copy} is a backup of the data before"
    return record, f"schema {before} is now {after}{kept}"


@command(
    "status",
    examples={
        "ringback accounts create Acme --data new-data\nringback db status --data new-data": (
            "Make a data file, and show its size and the version of its schema."
        )
    },
)
@with_data_file
@prints_record
def status(*, file: "StoredData") -> Output:
    """Show where the data is, how large it is, and the version of its schema."""
    found = file.status()
    return found, [f"{name.replace('_', ' '):<16} {value}" for name, value in found.items()]


db.add_command(check)
db.add_command(status)
db.add_command(upgrade)


def _line(one: "IntegrityCheckResult") -> str:
    return f"{'ok    ' if one.is_ok else 'FAULT '} {one.name:<13} {one.found}"
