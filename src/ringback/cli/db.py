"""`ringback db`: checks the data file, and upgrades its schema."""

import sys
from functools import partial
from typing import TYPE_CHECKING

import click

from ringback.cli.base_command import command, group, option_group
from ringback.cli.data_file import with_data_file
from ringback.cli.options import json_option, prints_record
from ringback.cli.output import Output, say

if TYPE_CHECKING:
    from ringback.data_folder import DataFolder, IntegrityCheckResult


@group()
def db() -> None:
    """Check or upgrade the file that stores a server's data.

    The data file, ringback.db in the data folder, has all accounts, SIMs and callbacks of a server.
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
def check(*, file: "DataFolder", as_json: bool) -> None:
    """Check the data file for damage and loss; nothing is changed.

    A server may be using the data file meanwhile. The exit code is 0 if all checks pass, else 1.
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
def upgrade(*, file: "DataFolder") -> Output:
    """Upgrade the schema of the data file to the newest version, and keep the old file.

    No server may be using the data file. A server upgrades it by itself when it starts, so this
    command is only needed to upgrade at another time.
    """
    # On stderr, so that --json prints nothing but JSON.
    before, after, copy = file.upgrade(tell=partial(click.echo, err=True))
    record = {"before": before, "after": after, "copy": None if copy is None else str(copy)}
    if copy is None:
        return record, f"schema {after} is the newest: nothing to do"
    return record, f"schema {before} is now {after}; {copy} is a backup of the data before"


db.add_command(check)
db.add_command(upgrade)


def _line(one: "IntegrityCheckResult") -> str:
    return f"{'ok    ' if one.is_ok else 'FAULT '} {one.name:<13} {one.found}"
