"""Shared by commands that call a running server: the choice of the server, and lists of records."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ringback.cli.base_command import option_group
from ringback.cli.options import Option, data_option, handing, variable_option, with_options
from ringback.cli.output import Output, echo
from ringback.core.errors import ConfigurationError
from ringback.dev_environment.dev_file import DevServerDetails

if TYPE_CHECKING:
    from ringback.portal_client import JsonObject, PortalClient, RequestParameters

server_options: Final[Option[Any]] = with_options(
    variable_option(
        "--server",
        "URL",
        "URL of the server to use instead of the running `ringback dev`, for example"
        " https://ringback.example:8080.",
    ),
    variable_option(
        "--account-sid",
        "SID",
        "SID of the account (AC…) or API key (SK…) to sign in with at --server.",
    ),
    variable_option(
        "--auth-token",
        "TOKEN",
        "Auth Token of the account, or secret of the API key, to sign in with at --server. The"
        " variable RINGBACK_AUTH_TOKEN is safer, since other users can see command lines.",
    ),
)


def named_portal(
    server: str | None, account_sid: str | None, auth_token: str | None
) -> "PortalClient":
    """Return a client of the portal API of the given server.

    Raises ConfigurationError if an argument is missing, or the URL is not valid.
    """
    if server and account_sid and auth_token:
        base_url = server.rstrip("/")
        if not base_url.lower().startswith(("http://", "https://")):
            raise ConfigurationError(
                f"--server: {server!r} is not the URL of a server; expected one like"
                " https://host:8080"
            )
        from ringback.portal_client import PortalClient

        return PortalClient(base_url, account_sid, auth_token)
    given = {
        "--server": server,
        "--account-sid": account_sid,
        "--auth-token (RINGBACK_AUTH_TOKEN)": auth_token,
    }
    missing = " and ".join(name for name, value in given.items() if not value)
    raise ConfigurationError(f"to use a server other than `ringback dev`, also give {missing}")


def portal_of(dev: DevServerDetails) -> "PortalClient":
    """Return a client of the portal API of a running `ringback dev`."""
    from ringback.portal_client import PortalClient

    return PortalClient(
        dev.base_url,
        dev.account_sid,
        dev.auth_token,
        sim_sid=dev.sim_sid,
        wireless_sim_sid=dev.wireless_sim_sid,
    )


def operators_portal_of(dev: DevServerDetails) -> "PortalClient":
    """Return a client of the portal API of a running `ringback dev` that acts as the operator.

    If `dev.json` is from an older version, which gave the operator no key, it acts as the account.
    """
    portal = portal_of(dev)
    if not dev.operator_key_sid:
        return portal
    return replace(portal, account_sid=dev.operator_key_sid, auth_token=dev.operator_key_secret)


def asked_portal(
    data: Path,
    server: str | None,
    account_sid: str | None,
    auth_token: str | None,
    *,
    of_dev: Callable[[DevServerDetails], "PortalClient"] = portal_of,
) -> "PortalClient":
    """Return a client of the named server, or of `ringback dev` if no server is named."""
    # One option without the others is a mistake: using `ringback dev` could change the wrong data.
    if server or account_sid or auth_token:
        return named_portal(server, account_sid, auth_token)
    return of_dev(DevServerDetails.read(data))


_which_server: Final = option_group("Which server", data_option, server_options)
with_portal: Final = handing("portal", asked_portal, _which_server)
"""Adds the options that choose a server, and calls the command with `portal`, its client."""
with_operators_portal: Final = handing(
    "portal", partial(asked_portal, of_dev=operators_portal_of), _which_server
)
"""Does the same for a command of the operator."""


def newest(
    portal: "PortalClient",
    name: str,
    show: "Callable[[Sequence[JsonObject]], Iterable[str]]",
    *,
    query: "RequestParameters",
    limit: int,
    nothing: str,
) -> Output:
    """Return the newest `limit` records of a list, and the lines that `show` makes from them.

    `nothing` is printed if there are none.
    """
    page = portal.newest(name, query=query, limit=limit)
    found = page[page["meta"]["key"]]
    if len(found) < limit and page["meta"]["next_page_url"] is not None:
        from ringback.portal_client import MOST_PAGES

        echo(f"stopped searching after {MOST_PAGES} pages; older records may match too", err=True)
    return page, show(found) if found else nothing
