"""The table of all settings: flags, variables, keys of the file and help are made from it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple

from ringback.core.calendar import read_duration
from ringback.core.http.egress_routes import read_egress
from ringback.core.http.ssrf_guard import read_ports, read_schemes
from ringback.core.retry_schedule import RetrySchedule
from ringback.core.sims.scenario import scenario_called
from ringback.settings.parsers import (
    choice,
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


class ServerCommand(StrEnum):
    """A command that settings are for."""

    DEV = "dev"
    SERVE = "serve"


class SettingForm(NamedTuple):
    """How values of one kind are written, on the command line and in the file."""

    read: Callable[[str], Any]
    metavar: str
    in_file: tuple[type, ...] = ()
    """The types that they may have in the file, beside text."""
    is_secret: bool = False
    """Whether the text before an `@` in them is secret."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: `--name-of-it`, RINGBACK_NAME_OF_IT, and `name_of_it` in the file."""

    name: str
    form: SettingForm
    default: str | tuple[str, str]
    """In the form in which people write it, empty for none; a pair is of `dev` and of `serve`."""
    help: str
    only: ServerCommand | None = None
    """The command that it is a setting of; None for both. The other one goes by its default."""
    has_flag: bool = True
    """Whether it has a flag; secrets have none, since the list of processes shows flags."""

    @property
    def flag(self) -> str:
        """The command line's name for it."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def is_yes_or_no(self) -> bool:
        """Whether it is a switch."""
        return bool in self.form.in_file

    @property
    def variable(self) -> str:
        """The environment's name for it."""
        return f"RINGBACK_{self.name.upper()}"

    def is_for(self, command: ServerCommand) -> bool:
        """Whether this command has it."""
        return self.only in (None, command)

    def default_of(self, command: ServerCommand) -> str:
        """Return the default that a command goes by."""
        if isinstance(self.default, str):
            return self.default
        return self.default[0 if command is ServerCommand.DEV else 1]


VARIABLES_OF_CLIENTS: Final = frozenset(
    f"RINGBACK_{name}" for name in ("SERVER", "ACCOUNT_SID", "AUTH_TOKEN", "KORE_SECRET")
)
"""Variables of the client commands, which share the environment with the server's settings."""


def settings_of(command: ServerCommand) -> list[Setting]:
    """Return the settings that a command has."""
    return [setting for setting in SETTINGS if setting.is_for(command)]


_FILE: Final = SettingForm(Path, "FILE")
_SWITCH: Final = SettingForm(read_yes_or_no, "YES|NO", (bool,))
_DURATION: Final = SettingForm(read_duration, "DURATION", (int, float))
_SIZE: Final = SettingForm(read_size, "SIZE", (int,))
_NETWORKS: Final = SettingForm(read_networks, "NETWORKS", (list,))
_EGRESS: Final = SettingForm(read_egress, "EGRESS", (list,), is_secret=True)
_DEVICES: Final = SettingForm(read_device_network, "NETWORK")
_LOG_LEVEL: Final = SettingForm(choice("debug", "info", "warning", "error"), "LEVEL")
_DEV, _SERVE = ServerCommand


def _number(most: int, *, least: int = 1, metavar: str = "NUMBER") -> SettingForm:
    return SettingForm(number(least=least, most=most), metavar, (int,))


SEAL_KEY: Final = Setting(
    *("seal_key", SettingForm(str, "KEY", is_secret=True), ""),
    "What the secrets in the data file are sealed with: a key of `ringback accounts new-key`, or"
    " several with commas between, of which the first seals and the others still open.",
    has_flag=False,
)

SEAL_KEY_FILE: Final = Setting(
    *("seal_key_file", _FILE, ""),
    "The file with that key, one for each line; without it, ringback.key in the data folder, which"
    " is made for a new data file.",
)

DATA: Final = Setting(
    *("data", SettingForm(Path, "FOLDER"), "ringback-data"),
    "Where the data file is kept; made where there is none.",
)

EGRESS: Final = Setting(
    *("egress", _EGRESS, "any"),
    "A way out that callback URLs name with #e=, in the table [egress] of the file.",
)

WARN_BEFORE: Final = Setting(
    *("warn_before", SettingForm(read_durations, "DURATIONS", (list,)), "30d,7d,1d"),
    "How long before the policy changes by its dates that is warned of: a comma list, or none.",
)

SCENARIO: Final = Setting(
    *("scenario", SettingForm(scenario_called, "NAME"), "normal"),
    "How the simulated network behaves; [scenarios] in the file is for single SIMs and accounts.",
)

SETTINGS: Final = (
    Setting("host", SettingForm(str, "ADDRESS"), "127.0.0.1", "The address to listen on."),
    Setting(
        *("port", SettingForm(read_port, "PORT", (int,)), "8080"),
        "The port to listen on; 0 takes any free one.",
    ),
    Setting(
        *("tls", _SWITCH, "no"),
        "Whether HTTPS is served too, for the vendors' host names, with a CA kept in the data"
        " folder.",
        only=_DEV,
    ),
    Setting(
        *("tls_port", SettingForm(read_tls_port, "PORT", (int,)), "443+"),
        "The port of HTTPS; 0 takes any free one, a + behind it lets it be 8443 or any free one"
        " where that one can't be had.",
        only=_DEV,
    ),
    Setting(
        *("tls_cert", _FILE, ""),
        "The certificate, with its chain, to serve HTTPS with instead of HTTP (PEM); it is read"
        " again when it changes.",
        only=_SERVE,
    ),
    Setting(
        "tls_key", _FILE, "", "The key of that certificate (PEM, without a password).", only=_SERVE
    ),
    Setting(
        *("trusted_proxies", _NETWORKS, "none"),
        "The proxies that are believed whom they pass requests on for (X-Forwarded-For and -Proto):"
        " a comma list of addresses and networks, or none.",
    ),
    Setting(
        *("max_connections", _number(100_000), "4096"),
        "How many connections clients may have open at once; fewer where the limit on open files"
        " leaves no room for that.",
    ),
    DATA,
    Setting(
        *("phase", SettingForm(str, "NAME"), ""),
        "The phase of the transition to be in: before, between or after.  [default: before]",
        only=_DEV,
    ),
    Setting(
        *("at", SettingForm(read_instant, "DATE", (date,)), ""),
        "The date (UTC) at which the transition's calendar starts, instead of a phase.",
        only=_DEV,
    ),
    Setting(
        *("update_takes", _DURATION, "500ms"),
        "How long the simulated network takes for each step: a change of a SIM, sending a command.",
    ),
    SCENARIO,
    Setting(
        *("data_per_day", _number(1_000_000, least=0, metavar="MB"), ("1", "0")),
        "How much data each connected SIM uses by itself in a day, about.",
    ),
    Setting(
        *("seed", _number(2**32, least=0), "0"),
        "What the simulated network draws by lot: the same for the same number.",
    ),
    Setting(
        *("devices", _DEVICES, ("127.64.0.0/10", "100.64.0.0/10")),
        "Where the addresses of SIMs' devices come from (IPv4).",
    ),
    Setting(
        *("gateway", SettingForm(read_gateway, "ADDRESS:PORT"), ("127.0.0.1:6969+", "none")),
        "Where devices send datagrams to, and get them from (UDP); a + behind it lets it be any"
        " free port where that one is taken; none for no gateway.",
    ),
    Setting(
        *("static_proxy", _SWITCH, "no"),
        "Whether Twilio's source says that it sends through its static proxy.",
        only=_DEV,
    ),
    Setting(
        *("allow", _NETWORKS, ("loopback", "none")),
        "Networks, beside the public ones, that callbacks may go to: a comma list like"
        " 10.0.0.0/8,loopback, or none.",
    ),
    Setting(
        *("callback_ports", SettingForm(read_ports, "PORTS", (int, list)), "any"),
        "The ports that callbacks may go to: a comma list like 443,8000-8999, or any.",
    ),
    Setting(
        *("callback_schemes", SettingForm(read_schemes, "SCHEMES", (list,)), "http,https"),
        "The schemes that callbacks may have: http, https or both.",
    ),
    Setting(
        *(
            "schedule",
            SettingForm(RetrySchedule.parse, "SCHEDULE", (list,)),
            ("faithful", "persistent"),
        ),
        "When a failed round is tried again: faithful (never), persistent (over 27 hours),"
        " or waits of your own like 5s,1m,10m.",
    ),
    Setting("at_once", _number(100_000), "800", "How many requests may be under way at once."),
    Setting(
        *("per_destination", _number(100_000), "64"),
        "How many of them may be under way to one destination.",
    ),
    Setting(
        *("backlog", _number(1_000_000_000), "1000000"),
        "How many callbacks may wait before new ones are answered 429.",
    ),
    Setting(
        *("backlog_per_account", _number(1_000_000_000), "500000"),
        "How many of one account may wait before its new ones are answered 429.",
    ),
    Setting(
        *("response_storage", _SIZE, "1GiB"),
        "How much is kept of receivers' long answers in all, beyond the first KiB that stands with"
        " each attempt; then the oldest go, of the account that has most.",
    ),
    Setting(
        *("response_storage_per_account", _SIZE, "64MiB"),
        "How much of it may be one account's; then its oldest go.",
    ),
    Setting(
        *("rate_limit", _number(1_000_000), ""),
        "How many callbacks, or other requests, an account may ask the API for in a second; any"
        " number without it.",
    ),
    Setting(
        *("twilio_egress", _EGRESS, "any"),
        "How Twilio's source leaves this machine: a local address, http://user:password@proxy:3128,"
        " or any.",
    ),
    Setting(
        *("kore_egress", _EGRESS, "any"),
        "How KORE's source leaves this machine: local addresses to take in turn, like"
        " 127.0.0.2,127.0.0.3, or a proxy, or any.",
    ),
    Setting(
        *("extra_ca_file", _FILE, ""),
        "Certificates, beside the system's, that a receiver's may be signed by (PEM).",
    ),
    Setting(
        *("client_cert_file", _FILE, ""),
        "The certificate to show to receivers that ask for one (PEM).",
    ),
    Setting(
        *("client_key_file", _FILE, ""),
        "Its key, where that is in a file of its own (PEM, without a password).",
    ),
    SEAL_KEY,
    SEAL_KEY_FILE,
    Setting(
        *("drain", _DURATION, ("750ms", "20s")),
        "How long a stop waits for the requests that are under way.",
    ),
    WARN_BEFORE,
    Setting(
        *("log_format", SettingForm(choice("json", "text"), "json|text"), ("text", "json")),
        "How log lines are written to stderr.",
        only=_SERVE,
    ),
    Setting(
        *("log_level", _LOG_LEVEL, ("warning", "info")),
        "The least that is logged: debug, info, warning or error.",
        only=_SERVE,
    ),
)
