"""`ringback policy`: shows, simulates and changes the rules that choose each callback's source."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ringback.cli.base_command import command, group, option, option_group
from ringback.cli.options import Option, data_folder, prints_record, seal_key_file_option
from ringback.cli.output import Output
from ringback.cli.policy.options import (
    PolicyInForce,
    instant,
    policy_file_option,
    policy_of_file,
    policy_of_folder,
    policy_of_server,
    server_time,
)
from ringback.cli.policy.set_command import set_
from ringback.cli.portal_commands import named_portal, server_options

if TYPE_CHECKING:
    from ringback.core.policy.policy_impact import UrlDeliveryTotals
    from ringback.portal_client import PortalClient


@group()
def policy() -> None:
    """Show, simulate or change which source sends, and when.

    The policy decides which source (twilio or kore) sends a callback on which date. It has phases,
    which begin on a date, and holds, which keep an account or URLs in one phase. Without a settings
    file, the policy has the dates that KORE announced to its customers.
    """


_which_policy: Final[Option[Any]] = option_group(
    "Which policy",
    policy_file_option,
    data_folder("Data folder of the running `ringback dev` whose policy is used."),
    server_options,
)


@command(
    "show",
    examples={
        "ringback policy show": (
            "Show the policy (which source sends when) of the running server."
        ),
        "ringback policy show --settings ringback.toml": (
            "Show the policy (which source sends when) of a settings file."
        ),
    },
)
@_which_policy
@prints_record
def show(
    *,
    settings: str | None,
    data: Path,
    server: str | None,
    account_sid: str | None,
    auth_token: str | None,
) -> Output:
    """Show the policy: its phases, its holds and its next changes.

    The policy decides which source sends a callback on which date; a hold keeps an account or URLs
    in one phase. The command shows the policy in the file of --settings; without this option, the
    policy of the running server. If no server runs, the policy is that of the file in
    RINGBACK_SETTINGS, or has the dates that KORE announced to its customers. An account sees only
    the holds that concern it.
    """
    from ringback.cli.policy.output import lines_of_policy

    portal = None if settings else _named(server, account_sid, auth_token)
    in_force = _policy_in_force(settings, data, portal)
    found = in_force.record or _record_of_file(in_force)
    record = {"policy_of": in_force.origin, **found}
    return record, lines_of_policy(record)


@command(
    "simulate",
    examples={
        "ringback policy simulate --at 2024-11-02": (
            "Show how last week's callbacks would change if it were 2 November 2024."
        ),
        "ringback policy simulate --at 2027-06-01 --settings ringback.toml": (
            "Simulate the policy of a settings file before a server uses it."
        ),
    },
)
@option_group(
    "What to simulate",
    option(
        "--at",
        required=True,
        callback=instant,
        metavar="DATE",
        help="The date (UTC) to simulate, for example 2027-06-01.",
    ),
)
@_which_policy
@option_group("The data folder's secrets", seal_key_file_option())
@prints_record
def simulate(
    *,
    at: datetime,
    settings: str | None,
    data: Path,
    server: str | None,
    account_sid: str | None,
    auth_token: str | None,
    seal_key_file: Path | None,
) -> Output:
    """Show what would change for last week's callbacks on another date.

    The command reads last week's callbacks in the data folder (also while a server runs) or at the
    server that --server names. It shows how many of them another source would send on the date, and
    which URLs depend on a source that no longer sends then. It uses the policy in the file of
    --settings; without this option, the policy of the running server. If no server runs, the policy
    is that of the file in RINGBACK_SETTINGS, or has the dates that KORE announced to its customers.
    """
    from ringback.cli.policy.output import lines_of_simulation
    from ringback.operations.policy_simulation import simulation_record

    portal = _named(server, account_sid, auth_token)
    in_force = _policy_in_force(settings, data, portal)
    now, sent = _last_week(data, seal_key_file, portal)
    found = simulation_record(in_force.policy, sent, now=in_force.date or now, then=at)
    record = _plain({"policy_of": in_force.origin, "stays_in": in_force.stays_in, **found})
    return record, lines_of_simulation(record)


policy.add_command(show)
policy.add_command(simulate)
policy.add_command(set_)


def _policy_in_force(
    settings: str | None, data: Path, portal: "PortalClient | None"
) -> PolicyInForce:
    if settings is not None:
        return policy_of_file(settings)
    return policy_of_folder(data) if portal is None else policy_of_server(portal)


def _named(
    server: str | None, account_sid: str | None, auth_token: str | None
) -> "PortalClient | None":
    if server or account_sid or auth_token:
        return named_portal(server, account_sid, auth_token)
    return None


def _record_of_file(in_force: PolicyInForce) -> dict[str, Any]:
    from ringback.core.policy.policy_json import policy_record
    from ringback.runtime.system_clock import SystemClock

    now = SystemClock().now()
    return _plain(policy_record(in_force.policy, date=now, before=in_force.before))


def _last_week(
    data: Path, seal_key_file: Path | None, portal: "PortalClient | None"
) -> "tuple[datetime, Sequence[UrlDeliveryTotals] | None]":
    """Return the time of the server or the data, and the totals of the week before it.

    The totals are None if there is no data folder and none was asked for. Raises
    ConfigurationError if one was asked for and is not there.
    """
    from ringback.cli.data_file import data_file_in
    from ringback.core.errors import ConfigurationError
    from ringback.data_folder import DATA_FILE
    from ringback.dev_environment.clock_file import ClockFile
    from ringback.operations.delivery_totals import count_last_week
    from ringback.runtime.system_clock import SystemClock

    if portal is not None:
        now = server_time(portal)
        return now, _totals_of(portal, now)

    # The last week ends at the data's own time, which `ringback dev` may have advanced.
    now = SystemClock().now() + ClockFile(data).read()
    if (data / DATA_FILE).exists():
        file = data_file_in(data, seal_key_file)
        return now, file.use(lambda store: count_last_week(store, now))
    if (
        click.get_current_context().get_parameter_source("data")
        is click.core.ParameterSource.DEFAULT
    ):
        return now, None
    raise ConfigurationError(f"there is no {DATA_FILE} in {data}; name its folder with --data")


def _totals_of(portal: "PortalClient", now: datetime) -> "list[UrlDeliveryTotals]":
    from ringback.core.calendar import iso
    from ringback.core.policy.policy_impact import WEEK, UrlDeliveryTotals
    from ringback.core.policy.source_policy import source_named

    return [
        UrlDeliveryTotals(**totals)._replace(
            source=source_named(totals["source"]),
            source_asked=totals["source_asked"] and source_named(totals["source_asked"]),
        )
        for totals in portal.get("totals", query={"Since": iso(now - WEEK)})["totals"]
    ]


def _plain(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record with its instants as text, like those of the portal."""
    from ringback.core.calendar import iso

    return json.loads(json.dumps(record, default=iso))
