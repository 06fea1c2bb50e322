"""`ringback policy`: shows, simulates and changes the rules that choose each callback's source."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ringback.cli.base_command import command, group, option, option_group
from ringback.cli.options import Option, data_folder, prints_record, seal_key_file_option
from ringback.cli.output import Output
from ringback.cli.policy.options import PolicyInForce, instant, policy_file_option, policy_in_force
from ringback.cli.policy.set_command import set_
from ringback.cli.policy.urls_in_use import (
    outlook_record,
    plain,
    read_urls_in_use,
    url_list_options,
)
from ringback.cli.portal_commands import named_portal, server_options

if TYPE_CHECKING:
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
    in_force = policy_in_force(settings, data, portal)
    found = in_force.record or _record_of_file(in_force)
    record = {"policy_of": in_force.origin, **found}
    return record, lines_of_policy(record)


@command(
    "simulate",
    examples={
        "ringback policy simulate --at 2024-11-02": (
            "Show which callback URLs would get another source on 2 November 2024."
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
@url_list_options
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
    limit: int,
    shows_urls: bool,
) -> Output:
    """Show which callback URLs would get another source on a date.

    The command reads the callback URLs that are stored now, and the callbacks of the last eight
    days, in the data folder (also while a server runs) or at the server that --server names. It
    shows which URLs another source would call on the date, and which still depend on a source that
    ends. It uses the policy in the file of --settings; without this option, the policy of the
    running server. If no server runs, the policy is that of the file in RINGBACK_SETTINGS, or has
    the dates that KORE announced to its customers.
    """
    from ringback.cli.policy.output import lines_of_simulation

    portal = _named(server, account_sid, auth_token)
    in_force = policy_in_force(settings, data, portal)
    now, used = read_urls_in_use(data, seal_key_file, portal)
    record = outlook_record(in_force, used, now=now, then=at, shows_urls=shows_urls)
    return record, lines_of_simulation(record, limit=limit)


policy.add_command(show)
policy.add_command(simulate)
policy.add_command(set_)


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
    return plain(policy_record(in_force.policy, date=now, before=in_force.before))
