"""`ringback policy`: which source sends what, at which date, and how to change that."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import click

from ringback.cli.clock_file import ClockFile
from ringback.cli.data_file import DataFile, data_file_in, seal_key_file_option
from ringback.cli.policy_edits import set_
from ringback.cli.policy_lines import lines_of_policy, lines_of_simulation
from ringback.cli.policy_options import instant, policy_file_option, policy_of_file
from ringback.cli.policy_simulation import simulation_record
from ringback.cli.portal import portal_of, server_options
from ringback.core.errors import Unusable
from ringback.core.periods import iso
from ringback.core.policy.policy_impact import DeliveryCount
from ringback.core.policy.policy_json import policy_record
from ringback.data_folder import DATA_FILE
from ringback.engine.system import SystemClock
from ringback.operations.totals import count_last_week
from ringback.settings import DATA


@click.group()
def policy() -> None:
    """Show the policy, say what it means at another date, and change it in its file.

    The policy is that of the settings file, or of KORE's notice where the file has none.
    """


policy.add_command(set_)


def _with_server_options(command: Any) -> Any:
    for option in reversed(server_options):
        command = option(command)
    return command


@policy.command("show")
@policy_file_option
@_with_server_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(
    *,
    settings: str | None,
    server: str | None,
    account_sid: str | None,
    auth_token: str | None,
    as_json: bool,
) -> None:
    """Show phases, holds, what is in force today, and what is ahead.

    With --server it is the policy that is in force there, as far as it concerns who asks.
    """
    if server and settings is None:
        portal = portal_of(Path(), server, account_sid, auth_token)
        record = portal.get("policy")
    else:
        found, before = policy_of_file(settings)
        record = _plain(policy_record(found, date=SystemClock().now(), before=before))
    click.echo(json.dumps(record) if as_json else "\n".join(lines_of_policy(record)))


@policy.command("simulate")
@click.option("--at", required=True, callback=instant, metavar="DATE", help="The date (UTC).")
@policy_file_option
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    envvar=DATA.variable,
    metavar=DATA.metavar,
    help="Count the callbacks of the last week in this data folder; also beside a server.",
)
@seal_key_file_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def simulate(
    *,
    at: datetime,
    settings: str | None,
    data: Path | None,
    seal_key_file: Path | None,
    as_json: bool,
) -> None:
    """Say who will be sent from where at a date, and what would change for the last week."""
    found, _ = policy_of_file(settings)
    now, sent = SystemClock().now(), None
    if data is not None:
        now += ClockFile(data).read()
        sent = _count(data_file_in(data, seal_key_file), now)
    record = _plain(simulation_record(found, sent, now=now, then=at))
    click.echo(json.dumps(record) if as_json else "\n".join(lines_of_simulation(record)))


def _count(file: DataFile, now: datetime) -> list[DeliveryCount]:
    if not (file.folder / DATA_FILE).exists():
        raise Unusable(f"there is no {DATA_FILE} in {file.folder}; name its folder with --data")
    return file.use(lambda store: count_last_week(store, now))


def _plain(value: Any) -> Any:
    """Return a record with its instants as text, as the portal has them."""
    match value:
        case datetime():
            return iso(value)
        case dict():
            return {name: _plain(inner) for name, inner in cast("dict[str, Any]", value).items()}
        case list():
            return [_plain(inner) for inner in cast("list[Any]", value)]
        case _:
            return value
