"""`ringback policy`: which source sends what, at which date, and how to change that."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ringback.cli.base_command import group, option
from ringback.cli.data_file import SealedDataFile, data_file_in
from ringback.cli.options import data_folder, prints_record, seal_key_file_option
from ringback.cli.output import Output
from ringback.cli.policy.options import instant, policy_file_option, policy_of_file
from ringback.cli.policy.output import lines_of_policy, lines_of_simulation
from ringback.cli.policy.set_command import set_
from ringback.cli.portal_commands import named_portal, server_options
from ringback.core.calendar import iso
from ringback.core.errors import ConfigurationError
from ringback.core.policy.policy_impact import UrlDeliveryTotals
from ringback.core.policy.policy_json import policy_record
from ringback.data_folder import DATA_FILE
from ringback.dev_environment.clock_file import ClockFile
from ringback.operations.delivery_totals import count_last_week
from ringback.operations.policy_simulation import simulation_record
from ringback.runtime.system_clock import SystemClock


@group()
def policy() -> None:
    """Show the policy, say what it means at another date, and change it in its file.

    The policy is that of the settings file, or of KORE's notice where the file has none.
    """


policy.add_command(set_)


@policy.command("show")
@policy_file_option
@server_options
@prints_record
def show(
    *, settings: str | None, server: str | None, account_sid: str | None, auth_token: str | None
) -> Output:
    """Show phases, holds, what is in force today, and what is ahead.

    With --server it is the policy that is in force there, as far as it concerns who asks.
    """
    if server and settings is None:
        record = named_portal(server, account_sid, auth_token).get("policy")
    else:
        found, before = policy_of_file(settings)
        record = _plain(policy_record(found, date=SystemClock().now(), before=before))
    return record, lines_of_policy(record)


@policy.command("simulate")
@option("--at", required=True, callback=instant, metavar="DATE", help="The date (UTC).")
@policy_file_option
@data_folder(
    "Count the callbacks of the last week in this data folder; also beside a server.", default=None
)
@seal_key_file_option()
@prints_record
def simulate(
    *, at: datetime, settings: str | None, data: Path | None, seal_key_file: Path | None
) -> Output:
    """Say who will be sent from where at a date, and what would change for the last week."""
    found, _ = policy_of_file(settings)
    now, sent = SystemClock().now(), None
    if data is not None:
        # The last week ends at the data's own time, which `ringback dev` may have advanced.
        now += ClockFile(data).read()
        sent = _count(data_file_in(data, seal_key_file), now)
    record = _plain(simulation_record(found, sent, now=now, then=at))
    return record, lines_of_simulation(record)


def _count(file: SealedDataFile, now: datetime) -> list[UrlDeliveryTotals]:
    if not (file.folder / DATA_FILE).exists():
        raise ConfigurationError(
            f"there is no {DATA_FILE} in {file.folder}; name its folder with --data"
        )
    return file.use(lambda store: count_last_week(store, now))


def _plain(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record with its instants as text, like those of the portal."""
    return json.loads(json.dumps(record, default=iso))
