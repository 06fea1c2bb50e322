"""Options of the commands about the policy, and the policy that they are about."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ringback.cli.base_command import option
from ringback.cli.options import read_by
from ringback.core.calendar import read_instant
from ringback.settings import ENVIRONMENT
from ringback.settings.setting_definitions import FILE_VARIABLE

if TYPE_CHECKING:
    from ringback.core.policy.source_policy import Policy
    from ringback.portal_client import PortalClient
    from ringback.settings.file import SettingsFile

# The commands' help is quicker without these imports, so the functions below make them.

policy_file_option: Final = option(
    "--settings",
    metavar="FILE",
    help="Settings file (TOML) whose policy is used. Default: the policy of the running server. If"
    f" no server runs: the policy of the file in {FILE_VARIABLE}, or the dates that KORE announced"
    " to its customers.",
)


@dataclass(frozen=True, slots=True)
class PolicyInForce:
    """The policy that a command is about, and where it comes from."""

    policy: "Policy"
    origin: str
    """Where the policy comes from, to print after `policy of`."""
    date: datetime | None = None
    """The server's date in the policy's calendar; None if the policy comes from a file."""
    stays_in: str | None = None
    """The phase that `ringback dev --phase` stays in; then `date` is a date in that phase."""
    before: Sequence[timedelta] = ()
    """How long before each change of the policy there is a warning; only for a file's policy."""
    record: dict[str, Any] | None = None
    """The JSON object that the server answers; None if the policy comes from a file."""


def policy_in_force(
    settings: str | None, data: Path, portal: "PortalClient | None"
) -> PolicyInForce:
    """Return the policy of a settings file if one is named, else of a server, else of a folder."""
    if settings is not None:
        return policy_of_file(settings)
    return policy_of_folder(data) if portal is None else policy_of_server(portal)


def policy_of_server(portal: "PortalClient") -> PolicyInForce:
    """Ask a server for its policy, and return it with the server's date."""
    from ringback.core.policy.dated_changes import as_if_by_date
    from ringback.core.policy.policy_json import read_policy_record

    record = portal.get("policy")
    policy, date = read_policy_record(record)
    now, stays_in = server_time(portal), record.get("stays_in")
    if stays_in is not None:
        policy, date = as_if_by_date(policy, stays_in, date)
    policy = replace(policy, ahead=date - now)
    return PolicyInForce(policy, f"the server at {portal.base_url}", date, stays_in, record=record)


def server_time(portal: "PortalClient") -> datetime:
    """Return the time by the server's clock."""
    from ringback.portal_client import NoServerAnswers, PortalClientError
    from ringback.runtime.system_clock import SystemClock

    try:
        return portal.now()
    except NoServerAnswers:
        raise
    except PortalClientError:  # only `ringback dev` has a clock that can be advanced and shown
        return SystemClock().now()


def policy_of_folder(data: Path) -> PolicyInForce:
    """Return the policy of the `ringback dev` that runs in a data folder, if one does.

    Otherwise it is the policy of the file that RINGBACK_SETTINGS names, or of KORE's notice.
    """
    from ringback.portal_client import NoServerAnswers

    portal = portal_in_folder(data)
    if portal is not None:
        try:
            return policy_of_server(portal)
        except NoServerAnswers:
            pass  # dev.json stays behind when `ringback dev` stops
    found = policy_of_file(None)
    return replace(found, origin=f"{found.origin}, since no `ringback dev` runs in {data}")


def portal_in_folder(data: Path) -> "PortalClient | None":
    """Return an operator's client of the `ringback dev` in a data folder; None without one.

    The server may have stopped.
    """
    from ringback.cli.portal_commands import operators_portal_of
    from ringback.dev_environment.dev_file import DevServerDetails, path_in

    return operators_portal_of(DevServerDetails.read(data)) if path_in(data).exists() else None


def policy_of_file(settings: str | None) -> PolicyInForce:
    """Return the policy of a settings file, or of KORE's notice if no file is named.

    Raises ConfigurationError, with the line, if the file is not valid.
    """
    from ringback.settings.file import SettingsFile
    from ringback.settings.load import load_policy

    file = file_named(settings)
    policy, before = load_policy(file or SettingsFile(), ENVIRONMENT)
    return PolicyInForce(policy, file.path if file else "KORE's notice", before=before)


def file_named(settings: str | None) -> "SettingsFile | None":
    """Return the settings file as it is now, or None if none is named.

    Raises ConfigurationError if the file can't be read.
    """
    from ringback.settings.file import SettingsFile

    path = settings or ENVIRONMENT.get(FILE_VARIABLE)
    return SettingsFile.read(path) if path else None


instant: Final = read_by(read_instant)
"""Reads a date from the command line."""
