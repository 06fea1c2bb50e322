"""The table of all settings; flags, variables, keys of the file and help texts come from it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple

from ringback.core.calendar import read_duration, read_instant
from ringback.core.callbacks.shards import Role
from ringback.core.http.egress_routes import read_egress
from ringback.core.http.ssrf_guard import read_ports, read_schemes
from ringback.core.retry_schedule import RetrySchedule
from ringback.core.sims.scenario import scenario_called
from ringback.settings.parsers import (
    choice,
    number,
    read_database_address,
    read_descriptor,
    read_device_network,
    read_durations,
    read_gateway,
    read_networks,
    read_port,
    read_service_url,
    read_size,
    read_tls_port,
    read_yes_or_no,
)


class ServerCommand(StrEnum):
    """A command that runs a server, and so has settings."""

    DEV = "dev"
    SERVE = "serve"


class SettingForm(NamedTuple):
    """How the values of a setting are written on the command line and in the file, and parsed."""

    read: Callable[[str], Any]
    metavar: str
    in_file: tuple[type, ...] = ()
    """The types, besides text, that the value may have in the settings file."""
    is_secret: bool = False
    """True if the part of a value before an `@` is a secret, such as a proxy's password."""
    is_hidden: bool = False
    """True if no part of a value is ever shown, not even by the errors of `read`."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: `--name-of-it`, RINGBACK_NAME_OF_IT, and `name_of_it` in the file."""

    name: str
    form: SettingForm
    default: str | tuple[str, str]
    """The default as a user would write it, empty for none; or a pair, for `dev` and `serve`."""
    help: str
    only: ServerCommand | None = None
    """The only command that has this setting; None for both. The other command uses the default."""
    has_flag: bool = True
    """True if the setting has a flag; secrets have none, since flags show in process lists."""
    example: str = ""
    """A value for the settings file of `ringback init`, if the setting has no default."""

    @property
    def flag(self) -> str:
        """The setting's flag, such as `--tls-port`."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def is_yes_or_no(self) -> bool:
        """True if the setting's value is `yes` or `no`."""
        return bool in self.form.in_file

    @property
    def variable(self) -> str:
        """The setting's environment variable, such as `RINGBACK_TLS_PORT`."""
        return f"RINGBACK_{self.name.upper()}"

    def is_for(self, command: ServerCommand) -> bool:
        """Return True if this command has the setting."""
        return self.only in (None, command)

    def default_of(self, command: ServerCommand) -> str:
        """Return the default for a command, as a user would write it; empty for none."""
        if isinstance(self.default, str):
            return self.default
        return self.default[0 if command is ServerCommand.DEV else 1]


DATA_FILE: Final = "ringback.db"
"""The name of the data file in the data folder."""
FILE_VARIABLE: Final = "RINGBACK_SETTINGS"
"""The environment variable that names the settings file."""
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
    *("seal_key", SettingForm(str, "KEY", is_hidden=True), ""),
    "Key from `ringback accounts new-key` that encrypts the secrets in the data file. To replace"
    " the key, give several, separated by commas: the first encrypts, all can decrypt.",
    has_flag=False,
    example="32-bytes-in-URL-safe-Base64=",
)

SEAL_KEY_FILE: Final = Setting(
    *("seal_key_file", _FILE, ""),
    "File with the key that encrypts the secrets in the data file. To replace the key, it can have"
    " several, one per line: the first encrypts, all can decrypt. Without it, the key is in"
    " ringback.key in the data folder; this file is created together with a new data file.",
    example="ringback.key",
)

DATA: Final = Setting(
    *("data", SettingForm(Path, "FOLDER"), "ringback-data"),
    "Folder of the data file; it is created if it doesn't exist.",
)

DATABASE: Final = Setting(
    *("database", SettingForm(read_database_address, "ADDRESS", is_hidden=True), ""),
    "PostgreSQL database for all data, in place of a data file: postgresql://USER@HOST:PORT/NAME,"
    " or any other URL or list of NAME=VALUE that psql takes. Several processes can share it. With"
    " a password, give it in the variable RINGBACK_DATABASE, in a file (--database-file) or in the"
    " settings file, since all users of a machine can read the flags of its programs.",
    only=ServerCommand.SERVE,
    example="postgresql://ringback@db.internal:5432/ringback",
)

DATABASE_FILE: Final = Setting(
    *("database_file", _FILE, ""),
    "File with the address of the PostgreSQL database, such as a mounted secret, in place of"
    " --database.",
    only=ServerCommand.SERVE,
    example="database-address",
)

EGRESS: Final = Setting(
    *("egress", _EGRESS, "any"),
    "Egress route (the way out of this machine) that a callback URL chooses with #e=NAME; the"
    " table [egress] in the settings file has all names.",
)

WARN_BEFORE: Final = Setting(
    *("warn_before", SettingForm(read_durations, "DURATIONS", (list,)), "30d,7d,1d"),
    "How long before each dated change of the policy (which source sends when) to log a warning,"
    " for example 30d,7d,1d; none to warn only at the change itself.",
)

SCENARIO: Final = Setting(
    *("scenario", SettingForm(scenario_called, "NAME"), "normal"),
    "How the simulated network behaves, for example slow or sms-fails; `ringback scenario` lists"
    " all. The table [scenarios] in the settings file can choose another scenario for single SIMs"
    " and accounts.",
)

SETTINGS: Final = (
    Setting("host", SettingForm(str, "ADDRESS"), "127.0.0.1", "Address to listen on."),
    Setting(
        *("port", SettingForm(read_port, "PORT", (int,)), "8080"),
        "Port to listen on; 0 takes any free port.",
    ),
    Setting(
        *("fd", SettingForm(read_descriptor, "NUMBER", (int,)), ""),
        "File descriptor of a socket that already listens, to use instead of --host and --port. The"
        " program that opened the socket keeps it, so no client is refused while the server"
        " restarts. A socket of systemd is used without this setting.",
        only=_SERVE,
        example="3",
    ),
    Setting(
        *("tls", _SWITCH, "no"),
        "Also serve HTTPS, under the host names of Twilio and KORE. The certificates come from a"
        " certificate authority that Ringback makes in the data folder.",
        only=_DEV,
    ),
    Setting(
        *("tls_port", SettingForm(read_tls_port, "PORT", (int,)), "443+"),
        "Port to serve HTTPS on; 0 takes any free port. With a + after the number, 8443 or any free"
        " port is used if that port isn't available.",
        only=_DEV,
    ),
    Setting(
        *("tls_cert", _FILE, ""),
        "File with the certificate and its chain (PEM) to serve HTTPS with, instead of HTTP; the"
        " server reads it again when it changes.",
        only=_SERVE,
        example="cert.pem",
    ),
    Setting(
        *("tls_key", _FILE, ""),
        "File with the private key of the certificate for HTTPS (PEM, without a password).",
        only=_SERVE,
        example="key.pem",
    ),
    Setting(
        *("trusted_proxies", _NETWORKS, "none"),
        "Proxies whose X-Forwarded-For and X-Forwarded-Proto headers are trusted: a comma list of"
        " addresses and networks like 10.0.0.5,192.168.0.0/16, or `none`.",
    ),
    Setting(
        *("max_connections", _number(100_000), "4096"),
        "Maximum number of open client connections. The server allows fewer if it may not open"
        " that many files.",
    ),
    DATA,
    DATABASE,
    DATABASE_FILE,
    Setting(
        *("database_notifications", _SWITCH, "yes"),
        "Let the processes of one PostgreSQL database wake each other with LISTEN and NOTIFY. Set"
        " it to no if a connection pooler such as PgBouncer in transaction mode is in between; a"
        " new callback can then wait a second until its worker finds it.",
        only=_SERVE,
    ),
    Setting(
        *("wait_for_database", _DURATION, "60s"),
        "How long a starting server waits for a PostgreSQL database that is starting, recovering or"
        " not reachable yet; meanwhile it is not ready.",
        only=_SERVE,
    ),
    Setting(
        *("role", SettingForm(choice(*Role), "all|api|worker"), "all"),
        "What this process does: api (accept requests), worker (send callbacks; it answers only"
        " /healthz, /readyz and /metrics) or all. Roles other than all need --database.",
        only=_SERVE,
    ),
    Setting(
        *("start_paused", _SWITCH, "no"),
        "Pause the server at its start: it accepts requests, but sends nothing and asks no carrier"
        " until `ringback resume`. For the first start after the data was restored: what was sent"
        " after the backup would be sent again.",
        only=_SERVE,
    ),
    Setting(
        *("phase", SettingForm(str, "NAME"), ""),
        "Phase of the transition from twilio to kore that the server stays in: before, between or"
        " after.  [default: before]",
        only=_DEV,
        example="before",
    ),
    Setting(
        *("at", SettingForm(read_instant, "DATE", (date,)), ""),
        "Date (UTC) in the transition from twilio to kore to start at, for example 2024-10-20: the"
        " phase then changes on the dates of the policy. Can't be combined with --phase.",
        only=_DEV,
        example="2024-10-20",
    ),
    Setting(
        *("update_takes", _DURATION, "500ms"),
        "How long each step in the simulated network takes, such as changing a SIM or sending a"
        " command; for example 500ms.",
    ),
    SCENARIO,
    Setting(
        *("data_per_day", _number(1_000_000, least=0, metavar="MB"), ("1", "0")),
        "Data that each connected SIM uses per day in the simulated network, in MB"
        " (approximately); 0 for none.",
    ),
    Setting(
        *("seed", _number(2**32, least=0), "0"),
        "Seed of the simulated network's random choices; the same seed gives the same choices.",
    ),
    Setting(
        *("devices", _DEVICES, ("127.64.0.0/10", "100.64.0.0/10")),
        "IPv4 network that the simulated devices of SIMs get their addresses from, for example"
        " 127.64.0.0/10.",
    ),
    Setting(
        *("gateway", SettingForm(read_gateway, "ADDRESS:PORT"), ("127.0.0.1:6969+", "none")),
        "IPv4 address and UDP port at which the server exchanges datagrams with devices, for"
        " example 127.0.0.1:6969; none for no such gateway. With a + after the port, any free port"
        " is used if that port is taken.",
    ),
    Setting(
        *("static_proxy", _SWITCH, "no"),
        "Add the header X-Use-Static-Proxy: true to callbacks from the source twilio: yes or no.",
        only=_DEV,
    ),
    Setting(
        *("allow", _NETWORKS, ("loopback", "none")),
        "Networks that callbacks may go to besides public addresses: a comma list like"
        " 10.0.0.0/8,loopback, or `none`.",
    ),
    Setting(
        *("callback_ports", SettingForm(read_ports, "PORTS", (int, list)), "any"),
        "Ports that callbacks may go to: a comma list like 443,8000-8999, or the word `any`.",
    ),
    Setting(
        *("callback_schemes", SettingForm(read_schemes, "SCHEMES", (list,)), "http,https"),
        "URL schemes that callbacks may use: http, https or http,https.",
    ),
    Setting(
        *(
            "schedule",
            SettingForm(RetrySchedule.parse, "SCHEDULE", (list,)),
            ("faithful", "persistent"),
        ),
        "When to send a failed callback again: faithful (never), persistent (for 27 hours), or"
        " after waits of your own like 5s,1m,10m.",
    ),
    Setting(
        *("stopped_at_most", _DURATION, "3d"),
        "How long a callback waits in all because its destination's breaker is open, or because"
        " its receiver has asked to wait, before it is given up; for example 3d. This wait uses"
        " nothing of the schedule.",
    ),
    Setting(
        *("at_once", _number(100_000), "800"),
        "Maximum number of callback requests in progress at the same time.",
    ),
    Setting(
        *("per_destination", _number(100_000), "64"),
        "Maximum number of callback requests in progress to one destination (scheme, host and"
        " port) at the same time.",
    ),
    Setting(
        *("backlog", _number(1_000_000_000), "1000000"),
        "Maximum number of unfinished callbacks (neither delivered, failed nor discarded yet)."
        " Above it, API requests that would make more are answered with status 429.",
    ),
    Setting(
        *("backlog_per_account", _number(1_000_000_000), "500000"),
        "Maximum number of unfinished callbacks of one account (neither delivered, failed nor"
        " discarded yet). Above it, the account's API requests that would make more are answered"
        " with status 429.",
    ),
    Setting(
        *("response_storage", _SIZE, "1GiB"),
        "Maximum total size of stored receiver responses, for example 1GiB. Above it, the oldest"
        " responses of the account with the largest total are cut to their first KiB, which is"
        " always kept and not counted.",
    ),
    Setting(
        *("response_storage_per_account", _SIZE, "64MiB"),
        "Maximum total size of one account's stored receiver responses, for example 64MiB. Above"
        " it, the account's oldest responses are cut to their first KiB, which is always kept and"
        " not counted.",
    ),
    Setting(
        *("rate_limit", _number(1_000_000), ""),
        "Maximum number of API requests per second for each account. A batch of 10 callbacks"
        " counts as 10 requests. After a quiet time, as many requests as in one second may come at"
        " once, and at least 1000, so that the largest batch fits. Default: no limit.",
        example="1000",
    ),
    Setting(
        *("stream_limit", _number(10_000), "100"),
        "Maximum number of sinks (or destinations) of event streams that an account can have at"
        " each source, and of subscriptions (or rules). Both vendors allow 100.",
    ),
    Setting(
        *("stream_validation", _SWITCH, "no"),
        "Let a sink of type kinesis at twilio be used only after the id of a test event was"
        " confirmed, as in the beta of Twilio's Event Streams.",
    ),
    Setting(
        *("stream_wait", _DURATION, "1s"),
        "How long an event from the source kore waits for more, to be sent in the same request; for"
        " example 1s. A request has at most 50 events.",
    ),
    Setting(
        *(
            "stream_type_prefix",
            SettingForm(choice("com.twilio", "com.kore"), "PREFIX"),
            "com.twilio",
        ),
        "Beginning of the types of events from the source kore: com.twilio, as KORE documents it,"
        " or com.kore, as some receivers expect it.",
    ),
    Setting(
        *("twilio_egress", _EGRESS, "any"),
        "How callbacks of the source twilio leave this machine: from local IP addresses in turn,"
        " like 127.0.0.2,127.0.0.3; through a proxy, like http://user:password@proxy:3128; or"
        " `any` (the machine chooses).",
    ),
    Setting(
        *("kore_egress", _EGRESS, "any"),
        "How callbacks of the source kore leave this machine: from local IP addresses in turn,"
        " like 127.0.0.2,127.0.0.3; through a proxy, like http://user:password@proxy:3128; or"
        " `any` (the machine chooses).",
    ),
    Setting(
        *("extra_ca_file", _FILE, ""),
        "File with CA certificates (PEM) to verify the certificates of receivers with, in addition"
        " to the system's.",
        example="ca.pem",
    ),
    Setting(
        *("client_cert_file", _FILE, ""),
        "File with the client certificate (PEM) to show to receivers that ask for one.",
        example="cert.pem",
    ),
    Setting(
        *("client_key_file", _FILE, ""),
        "File with the private key of the client certificate (PEM, without a password). Not needed"
        " if the certificate's file has the key.",
        example="key.pem",
    ),
    Setting(
        *("kinesis_endpoint", SettingForm(read_service_url, "URL"), ""),
        "URL of a service to use in place of AWS for Kinesis streams, and for assuming the roles of"
        " their sinks: a test double, or a service with the same API. Default: AWS, in the region"
        " of each stream.",
        example="http://127.0.0.1:5000",
    ),
    SEAL_KEY,
    SEAL_KEY_FILE,
    Setting(
        *("lame_duck", _DURATION, ("0s", "5s")),
        "How long a stopping server still serves, so that proxies and clients can leave it first,"
        " for example 5s: /readyz answers 503, and each response closes its connection.",
    ),
    Setting(
        *("drain", _DURATION, ("750ms", "20s")),
        "How long a stopping server waits for requests in progress, for example 20s.",
    ),
    WARN_BEFORE,
    Setting(
        *("log_format", SettingForm(choice("json", "text"), "json|text"), ("text", "json")),
        "Format of the log lines on stderr: json or text.",
        only=_SERVE,
    ),
    Setting(
        *("log_level", _LOG_LEVEL, ("warning", "info")),
        "Lowest level of messages to log: debug, info, warning or error.",
        only=_SERVE,
    ),
)

SETTING_GROUPS: Final[Mapping[str, Sequence[Setting]]] = {
    title: tuple(setting for name in names.split() for setting in SETTINGS if setting.name == name)
    for title, names in {
        "Server": "host port fd tls tls_port tls_cert tls_key trusted_proxies max_connections"
        " lame_duck drain log_format log_level",
        "Data": "data database database_file database_notifications wait_for_database role"
        " start_paused seal_key seal_key_file response_storage response_storage_per_account",
        "Phase": "phase at warn_before",
        "Where callbacks may go": "allow callback_ports callback_schemes extra_ca_file"
        " client_cert_file client_key_file",
        "When callbacks are sent": "schedule stopped_at_most at_once per_destination backlog"
        " backlog_per_account rate_limit",
        "Event streams": (
            "stream_limit stream_validation stream_wait stream_type_prefix kinesis_endpoint"
        ),
        "How callbacks leave this machine": "twilio_egress kore_egress static_proxy",
        "Simulated network": "update_takes scenario data_per_day seed devices gateway",
    }.items()
}
"""The settings by subject, in the order in which the help and the settings file show them."""
