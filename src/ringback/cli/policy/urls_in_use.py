"""Reads the URLs in use, from a server's portal or from stored data."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ringback.cli.base_command import option, option_group
from ringback.cli.options import Option
from ringback.cli.policy.options import PolicyInForce, server_time

if TYPE_CHECKING:
    from ringback.core.policy.urls_in_use import StoredUrl, UrlDeliveryTotals, UrlInUse
    from ringback.portal_client import PortalClient
    from ringback.ports import Store

# The commands' help is quicker without these imports, so the functions below make them.

_STEP: Final = timedelta(days=1)
"""The part of the recent time that one request counts, so that each is answered in time."""


url_list_options: Final[Option[Any]] = option_group(
    "What to list",
    option(
        "--limit",
        type=click.IntRange(min=1),
        default=10,
        show_default=True,
        metavar="N",
        help="Maximum number of reasons, accounts and hosts to list; those with most URLs that"
        " depend on a source that ends are listed. JSON has all of them.",
    ),
    option(
        "--urls",
        "shows_urls",
        is_flag=True,
        help="Also list each URL, with its sources and the number of its callbacks.",
    ),
)


def read_urls_in_use(
    data: Path, seal_key_file: Path | None, portal: "PortalClient | None"
) -> "tuple[datetime, Sequence[UrlInUse] | None]":
    """Return the time of the server or the data, and the URLs in use then.

    Without a portal, they are read from the data folder; beside a running server, too. They are
    None if there is no data folder and none was asked for. Raises ConfigurationError if one was
    asked for and is not there.
    """
    from ringback.cli.data_file import data_file_in
    from ringback.core.errors import ConfigurationError
    from ringback.data_folder import DATA_FILE
    from ringback.dev_environment.clock_file import ClockFile
    from ringback.runtime.system_clock import SystemClock

    if portal is not None:
        now = server_time(portal)
        return now, urls_of_server(portal, now)
    # The recent time ends at the data's own time, which `ringback dev` may have advanced.
    now = SystemClock().now() + ClockFile(data).read()
    if (data / DATA_FILE).exists():
        file = data_file_in(data, seal_key_file)
        return now, file.use(lambda store: _urls_of_data(store, now))
    if (
        click.get_current_context().get_parameter_source("data")
        is click.core.ParameterSource.DEFAULT
    ):
        return now, None
    raise ConfigurationError(f"there is no {DATA_FILE} in {data}; name its folder with --data")


def outlook_record(
    in_force: PolicyInForce,
    used: "Sequence[UrlInUse] | None",
    *,
    now: datetime,
    then: datetime | None = None,
    shows_urls: bool,
) -> dict[str, Any]:
    """Return the record that a command prints about the URLs in use, by the policy in force."""
    from ringback.operations.urls_left import policy_outlook, url_records

    policy, date = in_force.policy, in_force.date or now
    outlook = policy_outlook(policy, used, now=date, then=then)
    record = {"policy_of": in_force.origin, "stays_in": in_force.stays_in, **outlook}
    if shows_urls and used is not None:
        record["each_url"] = url_records(policy, used, now=date, then=outlook["at"])
    return plain(record)


def plain(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record with its instants as text, like those of the portal."""
    from ringback.core.calendar import iso

    return json.loads(json.dumps(record, default=iso))


def urls_of_server(portal: "PortalClient", now: datetime) -> "list[UrlInUse]":
    """Return the URLs in use at a server, in several requests: of the account, or all."""
    from ringback.core.policy.urls_in_use import urls_in_use
    from ringback.operations.callback_urls import merged

    return urls_in_use(merged(_stored(portal)), _sent(portal, now))


async def _urls_of_data(store: "Store", now: datetime) -> "list[UrlInUse]":
    from ringback.core.policy.urls_in_use import urls_in_use
    from ringback.operations.callback_urls import stored_urls
    from ringback.operations.delivery_totals import count_recent

    return urls_in_use(await stored_urls(store), await count_recent(store, now))


def _stored(portal: "PortalClient") -> "Iterator[StoredUrl]":
    from ringback.core.policy.urls_in_use import StoredUrl

    token: str | None = ""
    while token is not None:
        page = portal.get("stored_urls", query={"PageToken": token})
        yield from map(StoredUrl.of_record, page["stored_urls"])
        token = page["next_page_token"]


def _sent(portal: "PortalClient", now: datetime) -> "Iterator[UrlDeliveryTotals]":
    from ringback.core.calendar import exact
    from ringback.core.policy.urls_in_use import RECENT, UrlDeliveryTotals

    since = now - RECENT
    while since < now:
        until = since + _STEP
        # What is newer than `now` counts, too: the server's clock may be a little ahead.
        query = {"Since": exact(since), "Until": exact(until) if until < now else None}
        yield from map(UrlDeliveryTotals.of_record, portal.get("totals", query=query)["totals"])
        since = until
