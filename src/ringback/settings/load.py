"""Combines flags, environment and file into one `Settings`; errors say where a value came from."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, cast

from ringback.core.callbacks.shards import Role
from ringback.core.errors import ConfigurationError
from ringback.core.http.egress_routes import Egress, Egresses
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.core.policy.source_policy import Policy
from ringback.core.sids import SidKind, is_sid
from ringback.core.similar_names import similar_names
from ringback.core.sims.scenario import NetworkScenario
from ringback.core.sources.source_table import TABLE as SOURCES
from ringback.http_client.tls import ClientTls
from ringback.runtime.database_address import has_secrets, parse_database_address
from ringback.runtime.server_certificate import server_context
from ringback.settings.callback_sources import ConfiguredCallbackSources
from ringback.settings.destinations import TABLE as DESTINATIONS
from ringback.settings.destinations import DestinationTables
from ringback.settings.file import SettingsFile
from ringback.settings.mounted_secrets import database_in_file, refuse_both
from ringback.settings.parsers import is_egress_name
from ringback.settings.policy import TABLES, read_policy
from ringback.settings.raw_setting import RawSetting, find, in_file
from ringback.settings.retention import TABLE as RETENTION
from ringback.settings.retention import read_retention
from ringback.settings.setting_definitions import (
    EGRESS,
    FILE_VARIABLE,
    SCENARIO,
    SETTINGS,
    VARIABLES_OF_CLIENTS,
    WARN_BEFORE,
    ServerCommand,
)
from ringback.settings.settings import Settings
from ringback.settings.shadows import TABLE as SHADOWS
from ringback.settings.shadows import read_shadows

_PREFIX: Final = "RINGBACK_"
_TABLES: Final = ("egress", "scenarios", SOURCES, *TABLES, SHADOWS, RETENTION, DESTINATIONS)


def load(
    flags: Mapping[str, str | None],
    environment: Mapping[str, str],
    *,
    command: ServerCommand = ServerCommand.DEV,
    file: SettingsFile | None = None,
) -> Settings:
    """Return the settings that the flags, the environment and the settings file give together.

    If `file` is None, reads the settings file that the flags or the environment name, if any.
    Raises ConfigurationError, naming the place, if a setting is unknown or its value invalid.
    """
    if file is None:
        path = flags.get("settings") or environment.get(FILE_VARIABLE)
        file = SettingsFile.read(path) if path else SettingsFile()
    _refuse_unknown_names(environment, file, command)
    given = {
        setting.name: find(setting, command, flags=flags, environment=environment, file=file)
        for setting in SETTINGS
    }
    values = {name: each.read() for name, each in given.items()}
    added = ConfiguredCallbackSources(file)
    policy = read_policy(file, added.sources)
    values["phase"] = _phase_to_be_in(given["phase"], values["at"], policy, command)
    _check_certificates(given, values)
    _check_database(given, values)
    named = _named_egress(file)
    guard = SsrfGuard(*(values[name] for name in ("allow", "callback_ports", "callback_schemes")))
    return Settings(
        policy=policy,
        policy_origin=file.path if any(name in file.table for name in TABLES) else "KORE's notice",
        sources=added.sources,
        egress_of_source=added.egresses,
        egress=named,
        scenarios=_scenarios(file),
        shadows=read_shadows(file, added.sources),
        destinations=DestinationTables(added.sources, Egresses(named=named), guard).read(file),
        retention=read_retention(file),
        **values,
    )


def load_policy(
    file: SettingsFile, environment: Mapping[str, str]
) -> tuple[Policy, tuple[timedelta, ...]]:
    """Return a file's policy, and how long before its changes warnings are logged.

    Raises ConfigurationError, naming the place, if the policy or `warn_before` is invalid.
    """
    given = find(WARN_BEFORE, ServerCommand.SERVE, flags={}, environment=environment, file=file)
    return policy_in(file), given.read()


def policy_in(file: SettingsFile) -> Policy:
    """Return the policy in a settings file; it may use the sources that the file itself adds.

    Raises ConfigurationError, naming the line, if the policy or an added source is invalid.
    """
    return read_policy(file, ConfiguredCallbackSources(file).sources)


# ---- unknown names, and settings of the other command --------------------------------------------


def _refuse_unknown_names(
    environment: Mapping[str, str], file: SettingsFile, command: ServerCommand
) -> None:
    """Raise ConfigurationError for a setting that doesn't exist, or that `command` doesn't have."""
    # A misspelt setting would otherwise leave its default in force, and nobody would notice.
    by_name = {setting.name: setting for setting in SETTINGS}
    by_variable = {setting.variable: setting for setting in SETTINGS}
    given = [
        (name, file.place(name), by_name, _TABLES) for name in file.table if name not in _TABLES
    ]
    given += [
        (name, "the environment", by_variable, (FILE_VARIABLE,))
        for name in sorted(environment.keys() - VARIABLES_OF_CLIENTS - {FILE_VARIABLE})
        if name.startswith(_PREFIX)
    ]
    for name, place, known, beside in given:
        setting = known.get(name)
        if setting is None:
            usable = [other for other, setting in known.items() if setting.is_for(command)]
            meant = _what_is_meant(name, sorted([*usable, *beside]))
            raise ConfigurationError(f"{place}: there is no setting {name}; {meant}")
        if not setting.is_for(command):
            raise ConfigurationError(
                f"{place}: {name} is a setting of `ringback {setting.only}`, and this is"
                f" `ringback {command}`; remove it"
            )


def _what_is_meant(name: str, names: Sequence[str]) -> str:
    close = similar_names(name, names)[:1]
    return f"did you mean {close[0]}?" if close else f"the settings are {', '.join(names)}"


# ---- settings that depend on each other ----------------------------------------------------------


def _phase_to_be_in(
    given: RawSetting, at: datetime | None, policy: Policy, command: ServerCommand
) -> str | None:
    """Return the name of the phase in which the policy stays, or None if the date decides.

    `ringback dev` without `--phase` and `--at` stays in the first phase, whatever its name: then
    the name is empty.
    """
    names = [known.name for known in policy.phases]
    phase = given.text
    if not phase:
        return "" if command is ServerCommand.DEV and at is None else None
    if at is not None:
        raise ConfigurationError(
            "--phase and --at can't be given together; give a phase, or a date"
            " that decides the phase"
        )
    if phase not in names:
        raise given.refused(f"there is no phase {phase!r}; the phases are {', '.join(names)}")
    return phase


def _check_certificates(given: Mapping[str, RawSetting], values: Mapping[str, Any]) -> None:
    """Raise ConfigurationError if the CA, certificate and key files can't be used for TLS."""
    extra, certificate, key = (
        values[f"{name}_file"] for name in ("extra_ca", "client_cert", "client_key")
    )
    if extra is not None:
        with _blaming(given["extra_ca_file"]):
            ClientTls(ca_files=[extra])
    if certificate is not None or key is not None:
        with _blaming(given["client_cert_file" if certificate else "client_key_file"]):
            ClientTls(client_certificate=certificate, client_key=key)
    if (own := values["tls_cert"]) is not None or values["tls_key"] is not None:
        with _blaming(given["tls_cert" if own else "tls_key"]):
            server_context(own, values["tls_key"])


def _check_database(given: Mapping[str, RawSetting], values: dict[str, Any]) -> None:
    """Read the database's address and the role; refuse a role or a secret that can't be used."""
    database, values["role"] = given["database"], Role(values["role"])
    for name in ("database", "seal_key"):
        value, file = given[name], given[f"{name}_file"]
        refuse_both(value.text, value.where, file.text, file.where)
    if (path := values["database_file"]) is not None:
        values["database"] = database_in_file(path, given["database_file"].where)
    if database.where == database.setting.flag and has_secrets(
        parse_database_address(database.text)
    ):
        raise ConfigurationError(
            f"{database.where}: a password in a flag can be read by all users of this machine; give"
            f" the address in the variable {database.setting.variable}, in a file (--database-file)"
            " or in the settings file"
        )
    if values["role"] is not Role.ALL and values["database"] is None:
        raise given["role"].refused(
            f"the role {values['role']} is for several processes with one PostgreSQL database; name"
            f" it in the variable {database.setting.variable}, or leave the role out"
        )


@contextmanager
def _blaming(given: RawSetting) -> Generator[None]:
    try:
        yield
    except ConfigurationError as problem:
        raise given.refused(str(problem)) from None


def _named_egress(file: SettingsFile) -> Mapping[str, Egress]:
    return {name: _egress_of(name, value, file) for name, value in _table(file, "egress").items()}


def _scenarios(file: SettingsFile) -> Mapping[str, NetworkScenario]:
    entries = _table(file, "scenarios").items()
    # SIDs are looked up with their kind in upper case and their digits in lower case.
    return {sid[:2] + sid[2:].lower(): _scenario_of(sid, value, file) for sid, value in entries}


def _table(file: SettingsFile, name: str) -> Mapping[str, Any]:
    table = file.table.get(name, {})
    if not isinstance(table, dict):
        raise ConfigurationError(
            f'{file.place(name)}: {name} must be a table [{name}] of name = "text"'
        )
    return cast("dict[str, Any]", table)


def _egress_of(name: str, value: Any, file: SettingsFile) -> Egress:
    given = in_file(replace(EGRESS, name=name), value, file, "egress", name, default="any")
    if not is_egress_name(name):
        raise given.refused(f"the name {name!r} can't be used in a URL; use letters, digits and -")
    return given.read()


def _scenario_of(sid: str, value: Any, file: SettingsFile) -> NetworkScenario:
    named = replace(SCENARIO, name=sid)
    given = in_file(named, value, file, "scenarios", sid, default="normal")
    if not any(is_sid(sid, kind) for kind in (SidKind.SIM, SidKind.WIRELESS_SIM, SidKind.ACCOUNT)):
        raise given.refused(f"{sid!r} is not the SID of a SIM (HS…, DE…) or an account (AC…)")
    return given.read()
