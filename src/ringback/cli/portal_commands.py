"""Shared by commands that ask a running server: which server that is, and lists of records."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from ringback.cli.options import Option, data_option, handing, variable_option, with_options
from ringback.cli.output import Output
from ringback.core.errors import ConfigurationError
from ringback.dev_environment.dev_file import DevServerDetails
from ringback.portal_client import MOST_PAGES, JsonObject, PortalClient, RequestParameters

server_options: Final[Option[Any]] = with_options(
    variable_option(
        "--server", "URL", "The server to ask instead, like https://ringback.example:8080."
    ),
    variable_option("--account-sid", "SID", "Who asks it: an Account SID, or an API key's SID."),
    variable_option(
        "--auth-token",
        "TOKEN",
        "The Auth Token, or the API key's secret. Better in RINGBACK_AUTH_TOKEN: whoever can"
        " list processes sees what is given here.",
    ),
)


def named_portal(
    server: str | None, account_sid: str | None, auth_token: str | None
) -> PortalClient:
    """Return the portal of a named server.

    Raises ConfigurationError where anything is missing, or the URL is none.
    """
    if server and account_sid and auth_token:
        base_url = server.rstrip("/")
        if not base_url.lower().startswith(("http://", "https://")):
            raise ConfigurationError(f"{server!r} is no server; --server is like https://host:8080")
        return PortalClient(base_url, account_sid, auth_token)
    given = {
        "--server": server,
        "--account-sid": account_sid,
        "--auth-token (RINGBACK_AUTH_TOKEN)": auth_token,
    }
    missing = " and ".join(name for name, value in given.items() if not value)
    raise ConfigurationError(f"to ask another server than `ringback dev`, give {missing} as well")


def portal_of(dev: DevServerDetails) -> PortalClient:
    """Return the portal of a running `ringback dev`."""
    return PortalClient(
        dev.base_url,
        dev.account_sid,
        dev.auth_token,
        sim_sid=dev.sim_sid,
        wireless_sim_sid=dev.wireless_sim_sid,
    )


def _asked_portal(
    data: Path, server: str | None, account_sid: str | None, auth_token: str | None
) -> PortalClient:
    # One of them alone is a mistake: asking `ringback dev` instead could act on the wrong server.
    if server or account_sid or auth_token:
        return named_portal(server, account_sid, auth_token)
    return portal_of(DevServerDetails.read(data))


with_portal: Final = handing("portal", _asked_portal, data_option, server_options)
"""Gives a command the options that say which server to ask, and hands it the `portal`."""


def newest(
    portal: PortalClient,
    name: str,
    row: Callable[[JsonObject], str],
    *,
    query: RequestParameters,
    limit: int,
    nothing: str,
) -> Output:
    """Return the newest `limit` records of a list, with a row for each."""
    page = portal.newest(name, query=query, limit=limit)
    found = page[page["meta"]["key"]]
    if len(found) < limit and page["meta"]["next_page_url"] is not None:
        click.echo(f"gave up after {MOST_PAGES} pages; older ones may match as well", err=True)
    return page, [*map(row, found)] or nothing
