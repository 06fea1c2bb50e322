"""The table of all settings: flags, variables, keys of the file and help are made from it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from ringback.core.calendar import read_duration
from ringback.core.http.egress import read_egress
from ringback.core.http.ssrf_guard import read_ports, read_schemes
from ringback.core.retry_schedule import RetrySchedule
from ringback.core.sims.scenario import scenario_called
from ringback.settings.parsers import (
    choice,
    count,
    number,
    read_device_network,
    read_durations,
    read_gateway,
    read_instant,
    read_networks,
    read_port,
    read_size,
    read_tls_port,
    read_yes_or_no,
)


class SettingsCommand(StrEnum):
    """A command that settings are for."""

    DEV = "dev"
    SERVE = "serve"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: `--name-of-it`, RINGBACK_NAME_OF_IT, and `name_of_it` in the file."""

    name: str
    read: Callable[[str], Any]
    defaults: Mapping[SettingsCommand, str]
    """For each command, in the form in which people write it; empty for none."""
    metavar: str
    help: str
    only: SettingsCommand | None = None
    """The command that it is a setting of; None for both. The other one goes by its default."""
    forms: tuple[type, ...] = ()
    """What it may be in the file, beside text."""
    has_flag: bool = True
    """Whether the command line has it; what stands there shows in the list of processes."""
    is_secret: bool = False
    """Whether what stands before an `@` in it is for nobody's eyes."""

    @property
    def flag(self) -> str:
        """The command line's name for it."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def is_yes_or_no(self) -> bool:
        """Whether it is a switch."""
        return bool in self.forms

    @property
    def variable(self) -> str:
        """The environment's name for it."""
        return f"RINGBACK_{self.name.upper()}"

    def is_for(self, command: SettingsCommand) -> bool:
        """Whether this command has it."""
        return self.only in (None, command)


VARIABLES_OF_CLIENTS: Final = frozenset(
    {
        "RINGBACK_SERVER",
        "RINGBACK_ACCOUNT_SID",
        "RINGBACK_AUTH_TOKEN",
        "RINGBACK_KORE_SECRET",
    }
)
"""What the commands that ask a server read from the same environment; no settings of a server."""


def settings_of(command: SettingsCommand) -> list[Setting]:
    """Return the settings that a command has."""
    return [setting for setting in SETTINGS if setting.is_for(command)]


def _same(default: str) -> Mapping[SettingsCommand, str]:
    return dict.fromkeys(SettingsCommand, default)


SEAL_KEY: Final = Setting(
    "seal_key",
    str,
    _same(""),
    "KEY",
    "What the secrets in the data file are sealed with: a key of `ringback accounts new-key`, or"
    " several with commas between, of which the first seals and the others still open.",
    has_flag=False,
    is_secret=True,
)

SEAL_KEY_FILE: Final = Setting(
    "seal_key_file",
    Path,
    _same(""),
    "FILE",
    "The file with that key, one for each line; without it, ringback.key in the data folder, which"
    " is made for a new data file.",
)

DATA: Final = Setting(
    "data",
    Path,
    _same("ringback-data"),
    "FOLDER",
    "Where the data file is kept; made where there is none.",
)

EGRESS: Final = Setting(
    "egress",
    read_egress,
    _same("any"),
    "EGRESS",
    "A way out that callback URLs name with #e=, in the table [egress] of the file.",
    forms=(list,),
    is_secret=True,
)

WARN_BEFORE: Final = Setting(
    "warn_before",
    read_durations,
    _same("30d,7d,1d"),
    "DURATIONS",
    "How long before the policy changes by its dates that is warned of: a comma list, or none.",
    forms=(list,),
)

SCENARIO: Final = Setting(
    "scenario",
    scenario_called,
    _same("normal"),
    "NAME",
    "How the simulated network behaves; [scenarios] in the file is for single SIMs and accounts.",
)

SETTINGS: Final = (
    Setting("host", str, _same("127.0.0.1"), "ADDRESS", "The address to listen on."),
    Setting(
        "port",
        read_port,
        _same("8080"),
        "PORT",
        "The port to listen on; 0 takes any free one.",
        forms=(int,),
    ),
    Setting(
        "tls",
        read_yes_or_no,
        _same("no"),
        "YES|NO",
        "Whether HTTPS is served too, for the vendors' host names, with a CA kept in the data"
        " folder.",
        only=SettingsCommand.DEV,
        forms=(bool,),
    ),
    Setting(
        "tls_port",
        read_tls_port,
        _same("443+"),
        "PORT",
        "The port of HTTPS; 0 takes any free one, a + behind it lets it be 8443 or any free one"
        " where that one can't be had.",
        only=SettingsCommand.DEV,
        forms=(int,),
    ),
    Setting(
        "tls_cert",
        Path,
        _same(""),
        "FILE",
        "The certificate, with its chain, to serve HTTPS with instead of HTTP (PEM); it is read"
        " again when it changes.",
        only=SettingsCommand.SERVE,
    ),
    Setting(
        "tls_key",
        Path,
        _same(""),
        "FILE",
        "The key of that certificate (PEM, without a password).",
        only=SettingsCommand.SERVE,
    ),
    Setting(
        "trusted_proxies",
        read_networks,
        _same("none"),
        "NETWORKS",
        "The proxies that are believed whom they pass requests on for (X-Forwarded-For and -Proto):"
        " a comma list of addresses and networks, or none.",
        forms=(list,),
    ),
    Setting(
        "max_connections",
        count(most=100_000),
        _same("4096"),
        "NUMBER",
        "How many connections clients may have open at once; fewer where the limit on open files"
        " leaves no room for that.",
        forms=(int,),
    ),
    DATA,
    Setting(
        "phase",
        str,
        _same(""),
        "NAME",
        "The phase of the transition to be in: before, between or after.  [default: before]",
        only=SettingsCommand.DEV,
    ),
    Setting(
        "at",
        read_instant,
        _same(""),
        "DATE",
        "The date (UTC) at which the transition's calendar starts, instead of a phase.",
        only=SettingsCommand.DEV,
        forms=(date,),
    ),
    Setting(
        "update_takes",
        read_duration,
        _same("500ms"),
        "DURATION",
        "How long the simulated network takes for each step: a change of a SIM, sending a command.",
        forms=(int, float),
    ),
    SCENARIO,
    Setting(
        "data_per_day",
        number(least=0, most=1_000_000),
        {SettingsCommand.DEV: "1", SettingsCommand.SERVE: "0"},
        "MB",
        "How much data each connected SIM uses by itself in a day, about.",
        forms=(int,),
    ),
    Setting(
        "seed",
        number(least=0, most=2**32),
        _same("0"),
        "NUMBER",
        "What the simulated network draws by lot: the same for the same number.",
        forms=(int,),
    ),
    Setting(
        "devices",
        read_device_network,
        {SettingsCommand.DEV: "127.64.0.0/10", SettingsCommand.SERVE: "100.64.0.0/10"},
        "NETWORK",
        "Where the addresses of SIMs' devices come from (IPv4).",
    ),
    Setting(
        "gateway",
        read_gateway,
        {SettingsCommand.DEV: "127.0.0.1:6969+", SettingsCommand.SERVE: "none"},
        "ADDRESS:PORT",
        "Where devices send datagrams to, and get them from (UDP); a + behind it lets it be any"
        " free port where that one is taken; none for no gateway.",
    ),
    Setting(
        "static_proxy",
        read_yes_or_no,
        _same("no"),
        "YES|NO",
        "Whether Twilio's source says that it sends through its static proxy.",
        only=SettingsCommand.DEV,
        forms=(bool,),
    ),
    Setting(
        "allow",
        read_networks,
        {SettingsCommand.DEV: "loopback", SettingsCommand.SERVE: "none"},
        "NETWORKS",
        "Networks, beside the public ones, that callbacks may go to: a comma list like"
        " 10.0.0.0/8,loopback, or none.",
        forms=(list,),
    ),
    Setting(
        "callback_ports",
        read_ports,
        _same("any"),
        "PORTS",
        "The ports that callbacks may go to: a comma list like 443,8000-8999, or any.",
        forms=(int, list),
    ),
    Setting(
        "callback_schemes",
        read_schemes,
        _same("http,https"),
        "SCHEMES",
        "The schemes that callbacks may have: http, https or both.",
        forms=(list,),
    ),
    Setting(
        "schedule",
        RetrySchedule.parse,
        {SettingsCommand.DEV: "faithful", SettingsCommand.SERVE: "persistent"},
        "SCHEDULE",
        "When a failed round is tried again: faithful (never), persistent (over 27 hours),"
        " or waits of your own like 5s,1m,10m.",
        forms=(list,),
    ),
    Setting(
        "at_once",
        count(most=100_000),
        _same("800"),
        "NUMBER",
        "How many requests may be under way at once.",
        forms=(int,),
    ),
    Setting(
        "per_destination",
        count(most=100_000),
        _same("64"),
        "NUMBER",
        "How many of them may be under way to one destination.",
        forms=(int,),
    ),
    Setting(
        "backlog",
        count(most=1_000_000_000),
        _same("1000000"),
        "NUMBER",
        "How many callbacks may wait before new ones are answered 429.",
        forms=(int,),
    ),
    Setting(
        "backlog_per_account",
        count(most=1_000_000_000),
        _same("500000"),
        "NUMBER",
        "How many of one account may wait before its new ones are answered 429.",
        forms=(int,),
    ),
    Setting(
        "response_storage",
        read_size,
        _same("1GiB"),
        "SIZE",
        "How much is kept of receivers' long answers in all, beyond the first KiB that stands with"
        " each attempt; then the oldest go, of the account that has most.",
        forms=(int,),
    ),
    Setting(
        "response_storage_per_account",
        read_size,
        _same("64MiB"),
        "SIZE",
        "How much of it may be one account's; then its oldest go.",
        forms=(int,),
    ),
    Setting(
        "rate_limit",
        count(most=1_000_000),
        _same(""),
        "NUMBER",
        "How many callbacks, or other requests, an account may ask the API for in a second; any"
        " number without it.",
        forms=(int,),
    ),
    Setting(
        "twilio_egress",
        read_egress,
        _same("any"),
        "EGRESS",
        "How Twilio's source leaves this machine: a local address, http://user:password@proxy:3128,"
        " or any.",
        forms=(list,),
        is_secret=True,
    ),
    Setting(
        "kore_egress",
        read_egress,
        _same("any"),
        "EGRESS",
        "How KORE's source leaves this machine: local addresses to take in turn, like"
        " 127.0.0.2,127.0.0.3, or a proxy, or any.",
        forms=(list,),
        is_secret=True,
    ),
    Setting(
        "extra_ca_file",
        Path,
        _same(""),
        "FILE",
        "Certificates, beside the system's, that a receiver's may be signed by (PEM).",
    ),
    Setting(
        "client_cert_file",
        Path,
        _same(""),
        "FILE",
        "The certificate to show to receivers that ask for one (PEM).",
    ),
    Setting(
        "client_key_file",
        Path,
        _same(""),
        "FILE",
        "Its key, where that is in a file of its own (PEM, without a password).",
    ),
    SEAL_KEY,
    SEAL_KEY_FILE,
    Setting(
        "drain",
        read_duration,
        {SettingsCommand.DEV: "750ms", SettingsCommand.SERVE: "20s"},
        "DURATION",
        "How long a stop waits for the requests that are under way.",
        forms=(int, float),
    ),
    WARN_BEFORE,
    Setting(
        "log_format",
        choice("json", "text"),
        {SettingsCommand.DEV: "text", SettingsCommand.SERVE: "json"},
        "json|text",
        "How log lines are written to stderr.",
        only=SettingsCommand.SERVE,
    ),
    Setting(
        "log_level",
        choice("debug", "info", "warning", "error"),
        {SettingsCommand.DEV: "warning", SettingsCommand.SERVE: "info"},
        "LEVEL",
        "The least that is logged: debug, info, warning or error.",
        only=SettingsCommand.SERVE,
    ),
)
