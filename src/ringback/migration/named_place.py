"""Compares the place in a plan with the place that the user names beside the plan.

A plan may come from others, so it decides nothing about credentials: only a place that the user
names is opened with them. A data folder with its own key can be opened without any.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ringback.core.errors import ConfigurationError
from ringback.migration.plan import MigrationPlan
from ringback.migration.url_source import UrlSourceSpec
from ringback.migration.url_sources.api import base_url


@dataclass(frozen=True, slots=True)
class NamedPlace:
    """The place of URLs that the user names, on the command line or in the environment."""

    data: Path
    """The data folder of `--data`; without this option, the usual one."""
    has_seal_key: bool = False
    """True if the user gives a key for the secrets in a data folder."""
    server: str | None = None
    """The URL of a Ringback; None for Twilio's API."""
    account_sid: str | None = None
    """The account that signs in to the API."""
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    """For each option on the command line that names a kind of place, such as `--api`, the kind."""


def place_to_open(plan: MigrationPlan, named: NamedPlace) -> UrlSourceSpec:
    """Return the named place, if it is that of the plan; files need no credentials to be opened.

    If the plan has a fingerprint, another folder or server may be named, to which the data was
    moved or copied: the caller compares the fingerprint when it opens it.

    Raises ConfigurationError if the plan is for another place than the named one.
    """
    spec = plan.url_source
    for option, kind in named.options.items():
        if spec.get("kind") != kind:
            raise _refused(_shown(spec), f"{option} names another kind of place", _given(spec))
    match spec:
        case {"kind": "store", "data": str(data)}:
            return {**spec, "data": str(_folder(plan, Path(data), named))}
        case {"kind": "api", "account": str(account), "server": None | str() as server}:
            return {**spec, "server": _server(plan, account, server, named)}
        case _:
            return spec


def _folder(plan: MigrationPlan, planned: Path, named: NamedPlace) -> Path:
    folder, is_named = named.data.absolute(), "--data" in named.options
    if folder.resolve() == planned.resolve() or (is_named and plan.fingerprint):
        return folder
    if not is_named and not named.has_seal_key:
        return planned
    said = f"--data is {folder}" if is_named else "a seal key is given, but no --data"
    raise _refused(_shown(plan.url_source), said, _given(plan.url_source))


def _server(plan: MigrationPlan, account: str, server: str | None, named: NamedPlace) -> str | None:
    planned, given = (url and base_url(url) for url in (server, named.server))
    spec = {**plan.url_source, "server": planned}
    is_copy = planned is not None and given is not None and plan.fingerprint is not None
    if planned != given and not is_copy:
        said = f"--server or RINGBACK_SERVER is {given or 'not given'}"
        raise _refused(_shown(spec), said, _given(spec))
    if named.account_sid != account:
        said = f"--account-sid or RINGBACK_ACCOUNT_SID is {named.account_sid or 'not given'}"
        raise _refused(f"account {account}", said, _given(spec))
    if given is None and "--api" not in named.options:
        raise _refused(_shown(spec), "--api is not given", _given(spec))
    return given


def _refused(planned: str, said: str, right: str) -> ConfigurationError:
    return ConfigurationError(
        f"the plan is for {planned}, and {said}: nothing was opened, and no credentials were sent."
        f" If the plan is right, {right}; otherwise make a new one"
    )


def _shown(spec: UrlSourceSpec) -> str:
    match spec:
        case {"kind": "store", "data": data}:
            return f"the data folder {data}"
        case {"kind": "api", "server": server}:
            return server or "Twilio's API"
        case _:
            return "files"


def _given(spec: UrlSourceSpec) -> str:
    """Return the options to give beside the plan if its place is right, in words."""
    match spec:
        case {"kind": "store", "data": data}:
            return f"give --data {data}"
        case {"kind": "api", "account": account, "server": None}:
            return f"give --api --account-sid {account}, and no --server"
        case {"kind": "api", "account": account, "server": server}:
            return f"give --server {server} --account-sid {account}"
        case _:
            return "give neither --data nor --api"
