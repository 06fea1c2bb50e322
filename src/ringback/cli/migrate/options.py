"""Options of `ringback migrate`: where the URLs are, the policy, and how receivers are probed."""

from pathlib import Path
from typing import Any, Final

import click

from ringback.cli.base_command import argument, option
from ringback.cli.options import (
    Option,
    data_folder,
    file_option,
    handing,
    read_by,
    seal_key_file_option,
    variable_option,
    with_options,
)
from ringback.core.policy.source_policy import NOTICE, Policy
from ringback.core.sources.source_definition import BUILT_IN, Sources
from ringback.migration.url_source import UrlSourceSpec
from ringback.migration_setup import MigrationProbeOptions, UrlSourceCredentials
from ringback.settings.custom_sources import ConfiguredCallbackSources
from ringback.settings.file import SettingsFile
from ringback.settings.load import FILE_VARIABLE, policy_in
from ringback.settings.parsers import read_instant, read_networks

# ---- what opens the place where the URLs are -----------------------------------------------------

_auth_token = variable_option(
    "--auth-token",
    "TOKEN",
    "The account's Auth Token, for --api, and to probe receivers as Twilio. Better in"
    " RINGBACK_AUTH_TOKEN: whoever can list processes sees what is given here.",
)
_server = variable_option(
    "--server",
    "URL",
    "With --api, the server to ask instead of Twilio's. The commands on a plan want it again:"
    " the Auth Token goes to no server that a file alone names.",
)
_seal_key: Option[Any] = seal_key_file_option("For --data: ")

with_credentials: Final = handing(
    "credentials", UrlSourceCredentials, _seal_key, _server, _auth_token
)
"""Gives a command the options that open a plan's URL source, and hands it `credentials`."""


# ---- where the URLs are --------------------------------------------------------------------------


def _url_source_of(
    *,
    paths: tuple[str, ...],
    data: Path | None,
    account: str | None,
    api: bool,
    account_sid: str | None,
    csv: str | None,
    credentials: UrlSourceCredentials,
) -> tuple[UrlSourceSpec, UrlSourceCredentials]:
    given = {
        "PATH": _files("files", *paths) if paths else None,
        "--csv": _files("csv", csv) if csv else None,
        "--api": _of_api(account_sid, credentials.server) if api else None,
        "--data": _of_data(data, account) if data and not _is_from_environment() else None,
    }
    specs = {name: spec for name, spec in given.items() if spec is not None}
    if len(specs) > 1:
        raise click.UsageError(f"{' and '.join(specs)} are several records: give one")
    if not specs and data is None:
        raise click.UsageError(
            "say where the URLs are: --data DIR, --api, --csv FILE, or files and folders"
        )
    (spec,) = specs.values() or [_of_data(data or Path(), account)]
    return spec, credentials


with_url_source: Final[Option[Any]] = with_options(
    argument("paths", nargs=-1, metavar="[PATH]..."),
    data_folder("The URLs in the data folder of a Ringback, also while it runs.", default=None),
    option("--account", metavar="SID", help="With --data, those of this account alone."),
    _seal_key,
    option("--api", is_flag=True, help="The URLs that an account has at the official API."),
    _server,
    variable_option("--account-sid", "SID", "With --api, whose URLs."),
    _auth_token,
    option("--csv", metavar="FILE", help="The URLs in a table, with a column `url`."),
    handing("credentials", UrlSourceCredentials),
    handing("url_source", _url_source_of),
)
"""Gives a command the options that say where URLs are, and hands it the `url_source` to open."""


def _is_from_environment() -> bool:
    # Often set for other commands, so RINGBACK_DATA counts only where no other URL source is given.
    place = click.get_current_context().get_parameter_source("data")
    return place is click.core.ParameterSource.ENVIRONMENT


def _files(kind: str, *paths: str) -> UrlSourceSpec:
    return {"kind": kind, "root": str(Path.cwd()), "paths": list(paths)}


def _of_api(account_sid: str | None, server: str | None) -> UrlSourceSpec:
    if not account_sid:
        raise click.UsageError("--api needs the account: --account-sid, or RINGBACK_ACCOUNT_SID")
    return {"kind": "api", "account": account_sid, "server": server}


def _of_data(data: Path, account: str | None) -> UrlSourceSpec:
    return {"kind": "store", "data": str(data.absolute()), "account": account}


# ---- the policy, and at which date ---------------------------------------------------------------


def _read_policy(_ctx: click.Context, _param: click.Parameter, path: str | None) -> Policy:
    return NOTICE if path is None else policy_in(SettingsFile.read(path))


with_policy = option(
    "--settings",
    "policy",
    envvar=FILE_VARIABLE,
    metavar="FILE",
    callback=_read_policy,
    help="A settings file whose phases and holds decide; without one, the notice's dates do.",
)
with_policy_at: Final[Option[Any]] = with_options(
    with_policy,
    option(
        "--at",
        metavar="DATE",
        callback=read_by(read_instant),
        help="Say how it is at this date instead of today, as with `ringback dev --at`.",
    ),
)


# ---- how receivers are probed --------------------------------------------------------------------


def _read_sources(_ctx: click.Context, _param: click.Parameter, path: str | None) -> Sources:
    return BUILT_IN if path is None else ConfiguredCallbackSources(SettingsFile.read(path)).sources


with_probing: Final = handing(
    "probes",
    MigrationProbeOptions,
    option(
        "--settings",
        "sources",
        envvar=FILE_VARIABLE,
        metavar="FILE",
        callback=_read_sources,
        help="A settings file with sources of its own, for the probe to act as one of them.",
    ),
    option("--no-probe", is_flag=True, help="Move without asking receivers if they are ready."),
    variable_option(
        "--kore-secret",
        "SECRET",
        "What KORE's callbacks to the receivers are signed with, for the probe; a data folder"
        " has that itself.",
    ),
    variable_option(
        "--allow",
        "NETWORKS",
        "Networks, beside the public ones, where receivers are probed: 10.0.0.0/8,loopback.",
        default="none",
        show_default=True,
        callback=read_by(read_networks),
    ),
    file_option(
        "--extra-ca-file",
        "Believe the certificates of these authorities too (PEM).",
        envvar="RINGBACK_EXTRA_CA_FILE",
    ),
)
"""Gives a command the options of the probe, and hands it `probes`."""
