"""`ringback db`: look the data file through, and bring it up to date."""

import sys

import click

from ringback.cli.base_command import group
from ringback.cli.data_file import SealedDataFile, with_data_file
from ringback.cli.options import json_option
from ringback.cli.output import say
from ringback.data_folder import IntegrityCheckResult


@group()
def db() -> None:
    """Check the data file, and upgrade it."""


@db.command("check")
@with_data_file
@json_option
def check(*, file: SealedDataFile, as_json: bool) -> None:
    """Look for damage and loss; changes nothing.

    Also while a server runs. The exit code is 0 where all is in order, else 1.
    """
    checks = file.check()
    is_ok = all(one.is_ok for one in checks)
    records = [{"name": one.name, "ok": one.is_ok, "found": one.found} for one in checks]
    say({"ok": is_ok, "checks": records}, map(_line, checks), as_json=as_json)
    sys.exit(0 if is_ok else 1)


@db.command("upgrade")
@with_data_file
def upgrade(*, file: SealedDataFile) -> None:
    """Bring the schema up to date, after a copy.

    No server may be running. A server does the same at its start.
    """
    before, after, copy = file.upgrade()
    if copy is None:
        click.echo(f"schema {after} is what this Ringback needs: nothing to do")
    else:
        click.echo(f"schema {before} is now {after}; {copy} is the data as it was")


def _line(one: IntegrityCheckResult) -> str:
    return f"{'ok    ' if one.is_ok else 'FAULT '} {one.name:<13} {one.found}"
