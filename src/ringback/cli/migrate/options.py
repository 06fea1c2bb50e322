"""Options of `ringback migrate`: the place of the URLs, the policy, and the probe of receivers."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ringback.cli.base_command import argument, option, option_group
from ringback.cli.options import (
    Option,
    data_folder,
    file_option,
    handing,
    read_by,
    seal_key_file_option,
    sources_of_file,
    variable_option,
    with_options,
)
from ringback.cli.output import echo
from ringback.cli.policy.options import (
    PolicyInForce,
    policy_of_file,
    policy_of_folder,
    policy_of_server,
)
from ringback.core.calendar import read_instant
from ringback.settings import ENVIRONMENT
from ringback.settings.parsers import read_networks
from ringback.settings.setting_definitions import DATA, FILE_VARIABLE, SEAL_KEY, ServerCommand

if TYPE_CHECKING:
    from ringback.core.http.allowed_addresses import Network
    from ringback.core.policy.source_policy import Policy
    from ringback.migration.named_place import NamedPlace
    from ringback.migration.url_source import UrlSourceSpec
    from ringback.migration_setup import MigrationProbeOptions, UrlSourceCredentials
    from ringback.portal_client import PortalClient

# The help is quicker without the imports of `ringback.migration`, so the functions make them.

# ---- credentials that open the place of the URLs -------------------------------------------------


@dataclass(frozen=True, slots=True)
class MigrationAccess:
    """The credentials for the URLs' place, and for the server that is asked for the policy."""

    credentials: "UrlSourceCredentials"
    server: str | None
    account_sid: str | None

    def portal(self, account_sid: str | None) -> "PortalClient | None":
        """Return the portal of the server that --server names; None without --server."""
        from ringback.cli.portal_commands import named_portal

        if self.server is None:
            return None
        return named_portal(self.server, account_sid, self.credentials.auth_token)


def _access(
    *,
    auth_token: str | None,
    seal_key_file: Path | None,
    server: str | None,
    account_sid: str | None,
) -> MigrationAccess:
    from ringback.migration_setup import UrlSourceCredentials

    return MigrationAccess(UrlSourceCredentials(auth_token, seal_key_file), server, account_sid)


with_access: Final = handing(
    "access",
    _access,
    option_group(
        "Which server, and credentials",
        variable_option(
            "--server",
            "URL",
            "URL of the Ringback server whose API is used instead of Twilio's, for example"
            " https://ringback.example:8080.",
        ),
        variable_option(
            "--account-sid", "SID", "SID (AC…) of the account that signs in to the API."
        ),
        variable_option(
            "--auth-token",
            "TOKEN",
            "The account's Auth Token, for the API and to probe receivers as Twilio. Other users"
            " can see it in the list of processes, so RINGBACK_AUTH_TOKEN is safer.",
        ),
        seal_key_file_option(),
    ),
)
"""Gives a command the options that open a plan's URL source, and passes them as `access`."""


# ---- where the URLs are --------------------------------------------------------------------------


def _url_source_of(
    *,
    paths: tuple[str, ...],
    data: Path | None,
    account: str | None,
    api: bool,
    csv: str | None,
    access: MigrationAccess,
) -> "tuple[UrlSourceSpec, MigrationAccess]":
    given = {
        "PATH": _files("files", *paths) if paths else None,
        "--csv": _files("csv", csv) if csv else None,
        "--api": _of_api(access) if api else None,
        "--data": _of_data(data, account) if data and not _is_from_environment() else None,
    }
    specs = {name: spec for name, spec in given.items() if spec is not None}
    if len(specs) > 1:
        raise click.UsageError(f"{' and '.join(specs)} name different places: give only one")
    if not specs and data is None:
        raise click.UsageError(
            "name the place of the URLs: --data FOLDER, --api, --csv FILE, or files and folders"
        )
    (spec,) = specs.values() or [_of_data(data or Path(), account)]
    return spec, access


with_url_source: Final[Option[Any]] = with_options(
    argument(
        "paths",
        nargs=-1,
        metavar="[PATHS]",
        help="Files and folders to search for callback URLs: source code or configuration.",
    ),
    option_group(
        "Where the URLs are (give one of these, or PATHS)",
        data_folder(
            "Use the callback URLs in this data folder of a Ringback server, which may be running.",
            default=None,
        ),
        option(
            "--account",
            metavar="SID",
            help="With --data: use only the callback URLs of the account with this SID (AC…).",
        ),
        option(
            "--api",
            is_flag=True,
            help="Use the callback URLs of an account's fleets and SIMs at Twilio's API, or at"
            " that of --server.",
        ),
        option(
            "--csv",
            metavar="FILE",
            help="Use the callback URLs in this CSV table; its column is named url or"
            " callback_url.",
        ),
    ),
    with_access,
    handing("url_source", _url_source_of),
)
"""Gives a command the options for the place of the URLs, and passes them as `url_source`."""


def _is_from_environment() -> bool:
    # RINGBACK_DATA is often set for other commands, so any other place that is given wins.
    place = click.get_current_context().get_parameter_source("data")
    return place is click.core.ParameterSource.ENVIRONMENT


def _files(kind: str, *paths: str) -> "UrlSourceSpec":
    return {"kind": kind, "root": str(Path.cwd()), "paths": list(paths)}


def _of_api(access: MigrationAccess) -> "UrlSourceSpec":
    if not access.account_sid:
        raise click.UsageError("--api needs the account: --account-sid, or RINGBACK_ACCOUNT_SID")
    return {"kind": "api", "account": access.account_sid, "server": access.server}


def _of_data(data: Path, account: str | None) -> "UrlSourceSpec":
    return {"kind": "store", "data": str(data.absolute()), "account": account}


# ---- where a plan's URLs are ---------------------------------------------------------------------


def _named_place(
    *, data: Path, api: bool, access: MigrationAccess
) -> "tuple[NamedPlace, MigrationAccess]":
    from ringback.migration.named_place import NamedPlace

    given = click.get_current_context().get_parameter_source("data")
    on_command_line = {"--api": "api"} if api else {}
    if given is click.core.ParameterSource.COMMANDLINE:
        on_command_line["--data"] = "store"
    has_seal_key = access.credentials.seal_key_file or ENVIRONMENT.get(SEAL_KEY.variable)
    place = NamedPlace(
        data,
        has_seal_key=bool(has_seal_key),
        server=access.server,
        account_sid=access.account_sid,
        options=on_command_line,
    )
    return place, access


with_named_place: Final[Option[Any]] = with_options(
    option_group(
        "Where the plan's URLs are (if they are not in files)",
        data_folder(
            "The data folder. For a plan that was made with --data, it is only needed if you give a"
            " seal key, or if the data was moved or copied to another folder since.",
            default=DATA.default_of(ServerCommand.DEV),
        ),
        option(
            "--api",
            is_flag=True,
            help="Needed for a plan that was made with --api and without --server, which is for"
            " Twilio's API.",
        ),
    ),
    with_access,
    handing("named", _named_place),
)
"""Gives a command the options that name the place of a plan, and passes them as `named`.

So a plan can't choose by itself where credentials are sent.
"""


# ---- the policy ----------------------------------------------------------------------------------

settings_option: Final[Option[Any]] = option(
    "--settings",
    metavar="FILE",
    help="Settings file (TOML) whose policy (which source sends when) is used. Default: the policy"
    f" of the running server. If no server runs: the policy of the file in {FILE_VARIABLE}, or the"
    " dates that KORE announced to its customers.",
)
with_policy: Final[Option[Any]] = option_group("Which policy", settings_option)
with_policy_at: Final[Option[Any]] = option_group(
    "Which policy",
    settings_option,
    option(
        "--at",
        metavar="DATE",
        callback=read_by(read_instant),
        help="Use the phase of this date (UTC), for example 2027-06-01, instead of today's.",
    ),
)


def policy_for(
    spec: "UrlSourceSpec",
    access: MigrationAccess,
    settings: str | None,
    *,
    at: datetime | None = None,
    now: datetime,
) -> tuple["Policy", datetime, str]:
    """Return the policy that decides for the URLs in a place, the date, and the policy's origin.

    The date is `at`, else the server's, else `now`. Prints on stderr which policy and phase it is.
    """
    found = _policy_for(spec, access, settings)
    date = at or found.date or now
    phase = found.policy.general_phase(date).name
    day = "" if at is None else f" on {at:%Y-%m-%d}"
    echo(f"policy of {found.origin}: phase {phase}{day}", err=True)
    return found.policy, date, found.origin


def _policy_for(
    spec: "UrlSourceSpec", access: MigrationAccess, settings: str | None
) -> PolicyInForce:
    from ringback.portal_client import NoServerAnswers

    if settings is not None:
        return policy_of_file(settings)
    match spec:
        case {"kind": "api", "server": None}:
            return policy_of_file(None)
        case {"kind": "api", "account": str(account)}:
            portal = access.portal(account)
        case {"kind": "store", "data": str(data)}:
            # The server in the folder comes first: RINGBACK_SERVER may be set for another one.
            found = policy_of_folder(Path(data))
            portal = access.portal(access.account_sid)
            if found.record or portal is None:
                return found
        case _:
            portal = access.portal(access.account_sid)
    if portal is None:
        return policy_of_folder(_usual_data())
    try:
        return policy_of_server(portal)
    except NoServerAnswers:
        found = policy_of_file(None)
        return replace(found, origin=f"{found.origin}, since no Ringback is at {portal.base_url}")


def _usual_data() -> Path:
    return Path(ENVIRONMENT.get(DATA.variable) or DATA.default_of(ServerCommand.DEV))


# ---- how receivers are probed --------------------------------------------------------------------


def _probes(
    *,
    settings: str | None,
    no_probe: bool,
    kore_secret: str | None,
    allow: "tuple[Network, ...]",
    extra_ca_file: Path | None,
) -> "MigrationProbeOptions":
    from ringback.migration_setup import MigrationProbeOptions

    return MigrationProbeOptions(
        no_probe=no_probe,
        kore_secret=kore_secret,
        allow=allow,
        extra_ca_file=extra_ca_file,
        sources=sources_of_file(settings),
    )


with_probing: Final = handing(
    "probes",
    _probes,
    option_group(
        "Probing receivers before they move",
        option("--no-probe", is_flag=True, help="Move the URLs without probing their receivers."),
        variable_option(
            "--kore-secret",
            "SECRET",
            "The webhook secret to sign test callbacks with, as KORE does. For a plan made with"
            " --data, it is read from the data folder.",
        ),
        variable_option(
            "--allow",
            "NETWORKS",
            "Private networks whose receivers may be probed too, for example 10.0.0.0/8,loopback."
            " Receivers at public addresses always may.",
            default="none",
            show_default=True,
            callback=read_by(read_networks),
        ),
        file_option(
            "--extra-ca-file",
            "Trust the certificate authorities in this file too (PEM).",
            envvar="RINGBACK_EXTRA_CA_FILE",
        ),
        option(
            "--settings",
            envvar=FILE_VARIABLE,
            metavar="FILE",
            help="Settings file (TOML) that defines further sources. Only needed to probe"
            " receivers as a source other than twilio and kore.",
        ),
    ),
)
"""Gives a command the options of the probe, and passes them as `probes`."""
