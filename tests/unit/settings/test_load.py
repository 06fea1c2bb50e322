"""Settings: a flag beats the environment, which beats the file, which beats the default."""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, ip_network
from pathlib import Path

import pytest
import trustme

from ringback.core.callbacks.shards import Role
from ringback.core.errors import ConfigurationError
from ringback.core.http.allowed_addresses import LOOPBACK
from ringback.core.http.egress_routes import ANY, Direct, Egresses, Proxy
from ringback.core.http.ssrf_guard import ANY_PORT, SsrfGuard
from ringback.core.policy.policy_version import PolicyPart
from ringback.core.policy.source_policy import NOTICE, Phase, PhaseHold, Source
from ringback.core.retry_schedule import FAITHFUL, PERSISTENT, RetrySchedule
from ringback.core.sims.scenario import NORMAL, SCENARIOS
from ringback.core.sources.source_definition import BUILT_IN
from ringback.settings.load import load
from ringback.settings.parsers import HttpsPortSetting, UdpGatewayAddress
from ringback.settings.raw_setting import RawSetting, as_text
from ringback.settings.setting_definitions import (
    EGRESS,
    SETTING_GROUPS,
    SETTINGS,
    ServerCommand,
    Setting,
)
from ringback.settings.settings import Settings
from ringback.settings.settings_template import settings_template
from tests.fakes import SIM_SID

ROOT = Path(__file__).parents[3]

WriteFile = Callable[[str], str]


def refusal_of(
    flags: Mapping[str, str | None],
    environment: Mapping[str, str] | None = None,
    *,
    command: ServerCommand = ServerCommand.DEV,
) -> str:
    with pytest.raises(ConfigurationError) as refused:
        load(flags, environment or {}, command=command)
    return str(refused.value)


# ---- sources of a value --------------------------------------------------------------------------


DEFAULTS_OF_DEV = Settings(
    host="127.0.0.1",
    port=8080,
    fd=None,
    tls=False,
    tls_port=HttpsPortSetting(443, else_other=True),
    tls_cert=None,
    tls_key=None,
    trusted_proxies=(),
    max_connections=4096,
    data=Path("ringback-data"),
    database=None,
    database_file=None,
    database_notifications=True,
    wait_for_database=timedelta(seconds=60),
    start_paused=False,
    role=Role.ALL,
    policy=NOTICE,
    policy_origin="KORE's notice",
    sources=BUILT_IN,
    egress_of_source={},
    phase="",
    at=None,
    update_takes=timedelta(milliseconds=500),
    scenario=NORMAL,
    scenarios={},
    data_per_day=1,
    seed=0,
    devices=IPv4Network("127.64.0.0/10"),
    gateway=UdpGatewayAddress("127.0.0.1", 6969, else_any=True),
    static_proxy=False,
    allow=LOOPBACK,
    callback_ports=ANY_PORT,
    callback_schemes=("http", "https"),
    schedule=FAITHFUL,
    at_once=800,
    per_destination=64,
    stopped_at_most=timedelta(days=3),
    backlog=1_000_000,
    backlog_per_account=500_000,
    response_storage=1 << 30,
    response_storage_per_account=64 << 20,
    stream_limit=100,
    stream_validation=False,
    stream_wait=timedelta(seconds=1),
    stream_type_prefix="com.twilio",
    twilio_egress=ANY,
    kore_egress=ANY,
    egress={},
    shadows=(),
    destinations=(),
    retention={},
    rate_limit=None,
    extra_ca_file=None,
    client_cert_file=None,
    client_key_file=None,
    kinesis_endpoint=None,
    seal_key=None,
    seal_key_file=None,
    lame_duck=timedelta(0),
    drain=timedelta(milliseconds=750),
    warn_before=(timedelta(days=30), timedelta(days=7), timedelta(days=1)),
    log_format="text",
    log_level="warning",
)


def test_without_settings_dev_has_its_defaults() -> None:
    assert load({}, {}) == DEFAULTS_OF_DEV


def test_serve_has_stricter_defaults_than_dev_and_follows_the_date() -> None:
    assert load({}, {}, command=ServerCommand.SERVE) == replace(
        DEFAULTS_OF_DEV,
        phase=None,
        data_per_day=0,
        devices=IPv4Network("100.64.0.0/10"),
        gateway=None,
        allow=(),
        schedule=PERSISTENT,
        lame_duck=timedelta(seconds=5),
        drain=timedelta(seconds=20),
        log_format="json",
        log_level="info",
    )


def test_a_file_beats_the_default(write_file: WriteFile) -> None:
    assert load({"settings": write_file("port = 1111")}, {}).port == 1111


def test_the_environment_beats_the_file(write_file: WriteFile) -> None:
    flags = {"settings": write_file("port = 1111")}
    assert load(flags, {"RINGBACK_PORT": "2222"}).port == 2222


def test_a_flag_beats_the_environment_and_the_file(write_file: WriteFile) -> None:
    flags = {"settings": write_file("port = 1111"), "port": "3333"}
    assert load(flags, {"RINGBACK_PORT": "2222"}).port == 3333


def test_each_setting_is_taken_from_the_highest_source_that_has_it(write_file: WriteFile) -> None:
    flags = {"settings": write_file('host = "::1"\nport = 1111'), "host": None}
    settings = load(flags, {"RINGBACK_PORT": "2222"})
    assert (settings.host, settings.port) == ("::1", 2222)


def test_the_environment_may_name_the_file(write_file: WriteFile) -> None:
    assert load({}, {"RINGBACK_SETTINGS": write_file("port = 1111")}).port == 1111


def test_the_flag_for_the_file_beats_the_environment(write_file: WriteFile) -> None:
    flags = {"settings": write_file("port = 1111")}
    assert load(flags, {"RINGBACK_SETTINGS": "/nowhere.toml"}).port == 1111


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("host", "0.0.0.0", "0.0.0.0"),
        ("port", "0", 0),
        ("port", "65535", 65535),
        ("tls", "yes", True),
        ("tls", "no", False),
        ("tls_port", "0", HttpsPortSetting(0)),
        ("tls_port", "8443", HttpsPortSetting(8443)),
        ("tls_port", "8443+", HttpsPortSetting(8443, else_other=True)),
        ("data", "some/folder", Path("some/folder")),
        ("phase", "after", "after"),
        ("at", "2024-10-20", datetime(2024, 10, 20, tzinfo=UTC)),
        ("at", "2024-10-20T12:00:00Z", datetime(2024, 10, 20, 12, tzinfo=UTC)),
        ("at", "2024-10-20T12:00:00+02:00", datetime(2024, 10, 20, 10, tzinfo=UTC)),
        ("update_takes", "3s", timedelta(seconds=3)),
        ("scenario", "no-stock", SCENARIOS["no-stock"]),
        ("data_per_day", "0", 0),
        ("data_per_day", "1_000_000", 1_000_000),
        ("seed", "0", 0),
        ("seed", "4294967296", 2**32),
        ("devices", "10.1.0.0/16", IPv4Network("10.1.0.0/16")),
        ("devices", "192.0.2.9", IPv4Network("192.0.2.9/32")),
        ("gateway", "none", None),
        ("gateway", "127.0.0.1:0", UdpGatewayAddress("127.0.0.1", 0)),
        ("gateway", "127.0.0.1:6969+", UdpGatewayAddress("127.0.0.1", 6969, else_any=True)),
        ("gateway", "0.0.0.0:65535", UdpGatewayAddress("0.0.0.0", 65535)),
        ("static_proxy", "yes", True),
        ("static_proxy", "no", False),
        ("allow", "none", ()),
        ("allow", "loopback", LOOPBACK),
        ("allow", "10.0.0.0/8,loopback", (ip_network("10.0.0.0/8"), *LOOPBACK)),
        ("allow", "192.168.1.5", (ip_network("192.168.1.5/32"),)),
        ("allow", "10.0.0.0/8, loopback", (ip_network("10.0.0.0/8"), *LOOPBACK)),
        ("callback_ports", "443,8000-8999", (range(443, 444), range(8000, 9000))),
        ("callback_schemes", "https", ("https",)),
        ("schedule", "persistent", PERSISTENT),
        ("schedule", "5s,1m", RetrySchedule((timedelta(seconds=5), timedelta(minutes=1)))),
        ("at_once", "1", 1),
        ("at_once", "100_000", 100_000),
        ("per_destination", "8", 8),
        ("backlog", "1000000000", 1_000_000_000),
        ("backlog_per_account", "7", 7),
        ("response_storage", "0", 0),
        ("response_storage", "2TiB", 2 << 40),
        ("response_storage_per_account", "512KiB", 512 << 10),
        ("stream_limit", "7", 7),
        ("stream_validation", "yes", True),
        ("stream_wait", "250ms", timedelta(milliseconds=250)),
        ("stream_type_prefix", "com.kore", "com.kore"),
        ("twilio_egress", "127.0.0.2", Direct(("127.0.0.2",))),
        ("kore_egress", "http://u:p@proxy:3128", Proxy("proxy", 3128, "u:p")),
        ("kinesis_endpoint", "http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("kinesis_endpoint", "https://aws.internal/path", "https://aws.internal/path"),
        ("drain", "0s", timedelta(0)),
        ("warn_before", "none", ()),
        ("warn_before", "2d, 12h", (timedelta(days=2), timedelta(hours=12))),
    ],
)
def test_a_setting_is_parsed_alike_from_the_flag_and_the_environment(
    name: str, text: str, value: object
) -> None:
    variable = f"RINGBACK_{name.upper()}"
    assert getattr(load({name: text}, {}), name) == value
    assert getattr(load({}, {variable: text}), name) == value


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ('host = "::1"', "host", "::1"),
        ("tls = true", "tls", True),
        ("tls_port = 8443", "tls_port", HttpsPortSetting(8443)),
        ('tls_port = "443+"', "tls_port", HttpsPortSetting(443, else_other=True)),
        ('data = "elsewhere"', "data", Path("elsewhere")),
        ('phase = "between"', "phase", "between"),
        ("at = 2024-10-20", "at", datetime(2024, 10, 20, tzinfo=UTC)),
        ("at = 2024-10-20T12:00:00Z", "at", datetime(2024, 10, 20, 12, tzinfo=UTC)),
        ('update_takes = "2m"', "update_takes", timedelta(minutes=2)),
        ("update_takes = 1.5", "update_takes", timedelta(seconds=1.5)),
        ('scenario = "slow"', "scenario", SCENARIOS["slow"]),
        ("data_per_day = 50", "data_per_day", 50),
        ("seed = 7", "seed", 7),
        ('devices = "10.1.0.0/16"', "devices", IPv4Network("10.1.0.0/16")),
        ('gateway = "127.0.0.1:7000"', "gateway", UdpGatewayAddress("127.0.0.1", 7000)),
        (f'scenarios.{SIM_SID} = "slow"', "scenarios", {SIM_SID: SCENARIOS["slow"]}),
        ("static_proxy = true", "static_proxy", True),
        ("static_proxy = false", "static_proxy", False),
        ("update_takes = 2", "update_takes", timedelta(seconds=2)),
        ('allow = ["10.0.0.0/8", "loopback"]', "allow", (ip_network("10.0.0.0/8"), *LOOPBACK)),
        ("port = 1111", "port", 1111),
        ("backlog = 10_000", "backlog", 10_000),
        ("response_storage = 1_048_576", "response_storage", 1 << 20),
        ("callback_ports = 443", "callback_ports", (range(443, 444),)),
        (
            'callback_ports = [443, "8000-8999"]',
            "callback_ports",
            (range(443, 444), range(8000, 9000)),
        ),
        ('callback_schemes = ["https"]', "callback_schemes", ("https",)),
        ('schedule = ["5s", "1m"]', "schedule", RetrySchedule.parse("5s,1m")),
        (
            'kore_egress = ["127.0.0.2", "127.0.0.3"]',
            "kore_egress",
            Direct(("127.0.0.2", "127.0.0.3")),
        ),
        ('warn_before = ["2d", "12h"]', "warn_before", (timedelta(days=2), timedelta(hours=12))),
        ('egress.away = "any"', "egress", {"away": ANY}),
    ],
)
def test_a_file_uses_the_types_of_toml(
    line: str, name: str, value: object, write_file: WriteFile
) -> None:
    assert getattr(load({"settings": write_file(line)}, {}), name) == value


# ---- invalid values are refused, with the source that they come from -----------------------------

BAD_VALUES = [
    ("port", "http", "'http' is not a port"),
    ("port", "65536", "'65536' is not a port"),
    ("port", "-1", "'-1' is not a port"),
    ("port", "80 80", "'80 80' is not a port"),
    ("port", "²", "'²' is not a port"),
    ("tls", "on", "'on' must be yes or no"),
    ("tls_port", "+", "'' is not a port"),
    ("tls_port", "443++", "'443+' is not a port"),
    ("tls_port", "65536+", "'65536' is not a port"),
    ("at", "tomorrow", "'tomorrow' is not a date"),
    ("at", "2024-02-30", "'2024-02-30' is not a date"),
    ("update_takes", "soon", "'soon' is not a valid duration"),
    ("warn_before", "7d,soon", "'soon' is not a valid duration"),
    ("update_takes", "-1s", "'-1s' is not a valid duration"),
    ("scenario", "fast", "there is no scenario 'fast'; the scenarios are normal, update-fails, "),
    ("scenario", "Slow", "there is no scenario 'Slow'"),
    ("data_per_day", "-1", "'-1' must be a whole number from 0 to 1000000"),
    ("data_per_day", "1000001", "'1000001' must be a whole number from 0 to 1000000"),
    ("data_per_day", "1.5", "'1.5' must be a whole number"),
    ("seed", "4294967297", "'4294967297' must be a whole number from 0 to 4294967296"),
    ("seed", "lucky", "'lucky' must be a whole number"),
    ("devices", "everywhere", "Expected 4 octets in 'everywhere'; write an IPv4 network like "),
    ("devices", "10.0.0.1/8", "10.0.0.1/8 has host bits set; write an IPv4 network like "),
    ("devices", "10.0.0.0/33", "'33' is not a valid netmask; write an IPv4 network like "),
    ("devices", "fd00::/64", "Expected 4 octets in 'fd00::'; write an IPv4 network like "),
    ("gateway", "6969", "'6969' is not an IPv4 address with a port, like 127.0.0.1:6969"),
    ("gateway", "127.0.0.1", "'127.0.0.1' is not an IPv4 address with a port"),
    ("gateway", "127.0.0.1:", "'127.0.0.1:' is not an IPv4 address with a port"),
    ("gateway", "127.0.0.1:65536", "'127.0.0.1:65536' is not an IPv4 address with a port"),
    ("gateway", "localhost:6969", "'localhost:6969' is not an IPv4 address with a port"),
    ("gateway", "[::1]:6969", "'[::1]:6969' is not an IPv4 address with a port"),
    ("gateway", "None", "'None' is not an IPv4 address with a port"),
    ("static_proxy", "maybe", "'maybe' must be yes or no"),
    ("static_proxy", "true", "'true' must be yes or no"),
    ("allow", "everything", "'everything' does not appear to be an IPv4 or IPv6 network"),
    ("allow", "10.0.0.1/8", "10.0.0.1/8 has host bits set"),
    ("callback_ports", "0", "'0' is not a port or a range of ports"),
    ("callback_schemes", "ftp", "'ftp' must be http, https or both"),
    ("kinesis_endpoint", "aws.internal", "'aws.internal' is not the URL of a service"),
    ("kinesis_endpoint", "ftp://aws", "'ftp://aws' is not the URL of a service; write it like"),
    ("kinesis_endpoint", "http://:5000", "'http://:5000' is not the URL of a service"),
    ("kinesis_endpoint", "http://aws:0", "'http://aws:0' is not the URL of a service"),
    ("kinesis_endpoint", "http://aws:x", "'http://aws:x' is not the URL of a service"),
    ("kinesis_endpoint", "http://a:secret@aws", "'http://a:***@aws' is not the URL"),
    ("kinesis_endpoint", "http://aws?x=1", "'http://aws?x=1' is not the URL of a service"),
    ("kinesis_endpoint", "http://aws#x", "'http://aws#x' is not the URL of a service"),
    ("schedule", "often", "'often' is not a valid duration"),
    ("at_once", "0", "'0' must be a whole number from 1 to 100000"),
    ("at_once", "100001", "'100001' must be a whole number from 1 to 100000"),
    ("backlog", "many", "'many' must be a whole number from 1 to 1000000000"),
    ("backlog", "_", "'_' must be a whole number from 1 to 1000000000"),
    ("response_storage", "much", "'much' is not a size; write it like 512KiB, 64MiB or 1GiB"),
    ("response_storage", "1GB", "'1GB' is not a size"),
    ("response_storage", "GiB", "'GiB' is not a size"),
    ("response_storage", "-1", "'-1' is not a size"),
    ("response_storage_per_account", "1.5GiB", "'1.5GiB' is not a size"),
    ("twilio_egress", "here", "'here' is not a valid egress"),
]


@pytest.mark.parametrize(("name", "text", "why"), BAD_VALUES)
def test_a_bad_flag_is_refused_by_its_name(name: str, text: str, why: str) -> None:
    assert refusal_of({name: text}).startswith(f"--{name.replace('_', '-')}: {why}")


@pytest.mark.parametrize(("name", "text", "why"), BAD_VALUES)
def test_a_bad_variable_is_refused_by_its_name(name: str, text: str, why: str) -> None:
    variable = f"RINGBACK_{name.upper()}"
    assert refusal_of({}, {variable: text}).startswith(f"{variable}: {why}")


@pytest.mark.parametrize(("name", "text", "why"), BAD_VALUES)
def test_a_bad_value_in_the_file_is_refused_by_its_line(
    name: str, text: str, why: str, write_file: WriteFile
) -> None:
    path = write_file(f'\n# {name}\n{name} = "{text}"')
    refusal = refusal_of({"settings": path})
    assert refusal.startswith(f'{path}:3: {name} = "{text}": {why}')


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("port = true", "text in quotes or a number"),
        ("port = 80.5", "text in quotes or a number"),
        ("port = [80]", "text in quotes or a number"),
        ("host = 1", "text in quotes"),
        ("host = true", "text in quotes"),
        ("static_proxy = 1", "text in quotes or true or false"),
        ("at = 12:30:00", "text in quotes or a date"),
        ("at = 2024", "text in quotes or a date"),
        ("update_takes = false", "text in quotes or a number"),
        ("scenario = 1", "text in quotes"),
        ("data_per_day = 1.5", "text in quotes or a number"),
        ("seed = true", "text in quotes or a number"),
        ('devices = ["10.0.0.0/8"]', "text in quotes"),
        ("gateway = 6969", "text in quotes"),
        ("gateway = false", "text in quotes"),
        ("allow = 10", "text in quotes or a list of them"),
        ("allow = [true]", "text in quotes or a list of them"),
        ('allow = [["loopback"]]', "text in quotes or a list of them"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_the_valid_types(
    line: str, what: str, write_file: WriteFile
) -> None:
    path = write_file(line)
    assert refusal_of({"settings": path}) == f"{path}:1: {line}: this must be {what}"


def test_a_table_instead_of_a_value_is_refused(write_file: WriteFile) -> None:
    path = write_file("[port]\nhttp = 80")
    assert refusal_of({"settings": path}) == (
        f"{path}:1: port = {{'http': 80}}: this must be text in quotes or a number"
    )


def test_a_long_value_is_truncated_in_the_error(write_file: WriteFile) -> None:
    path = write_file(f'allow = ["{"x" * 200}", 1.5]')
    assert len(refusal_of({"settings": path})) < len(path) + 160


@pytest.mark.parametrize("name", ["port", "update_takes", "static_proxy", "allow"])
def test_an_empty_value_is_refused_by_its_name(name: str) -> None:
    variable = f"RINGBACK_{name.upper()}"
    assert refusal_of({}, {variable: ""}).startswith(variable)


def test_an_empty_host_would_be_all_addresses_and_is_refused() -> None:
    assert refusal_of({}, {"RINGBACK_HOST": ""}) == (
        "RINGBACK_HOST is empty; leave it out, or write 127.0.0.1"
    )


def test_an_empty_folder_would_be_the_current_one_and_is_refused() -> None:
    assert refusal_of({"data": ""}) == "--data is empty; leave it out, or write ringback-data"


def test_a_duration_beyond_the_calendar_is_refused() -> None:
    assert "the maximum is 3650d" in refusal_of({"update_takes": "999999999d"})


def test_a_date_near_the_end_of_the_calendar_is_refused() -> None:
    assert "1970 to 2999" in refusal_of({"at": "9999-12-31"})


@pytest.mark.parametrize("name", ["phase", "at"])
def test_an_empty_value_means_none_if_the_default_is_none(name: str) -> None:
    assert load({name: ""}, {}) == load({}, {})


def test_an_instant_before_the_calendar_begins_is_refused() -> None:
    assert refusal_of({"at": "0001-01-01T00:00:00+14:00"}).startswith("--at")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    assert refusal_of({"settings": str(path)}) == (
        f"the settings file {path} can't be read: No such file or directory"
    )


def test_a_file_that_is_not_toml_is_refused_by_its_line(write_file: WriteFile) -> None:
    path = write_file("host = '::1'\nport: 8080")
    assert refusal_of({"settings": path}) == (
        f"{path}:2: this is not TOML: Expected '=' after a key in a key/value pair, at column 5"
    )


def test_a_file_that_ends_too_early_is_refused_by_its_last_line(write_file: WriteFile) -> None:
    path = write_file("port = 8080\nallow = [\n")
    assert refusal_of({"settings": path}).startswith(f"{path}:2: this is not TOML: ")


def test_a_file_that_is_not_utf8_is_refused_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes(b'port = 1\n\nhost = "\xe9"\n')
    assert refusal_of({"settings": str(path)}) == f"{path}:3: this is not TOML: it is not UTF-8"


# ---- names that are unknown, or invalid for a command --------------------------------------------


def test_a_mistyped_name_in_the_file_is_refused_with_a_suggestion(write_file: WriteFile) -> None:
    path = write_file("host = '::1'\nprot = 8080")
    assert refusal_of({"settings": path}) == (
        f"{path}:2: there is no setting prot; did you mean port?"
    )


def test_an_unknown_name_in_the_file_is_refused_with_the_known_ones(write_file: WriteFile) -> None:
    path = write_file("zzz = 1")
    refusal = refusal_of({"settings": path})
    assert refusal.startswith(
        f"{path}:1: there is no setting zzz; the settings are allow, at, at_once, "
    )
    assert "phases" in refusal
    assert "log_format" not in refusal


def test_a_mistyped_variable_is_refused_with_a_suggestion() -> None:
    assert refusal_of({}, {"RINGBACK_PROT": "1"}) == (
        "the environment: there is no setting RINGBACK_PROT; did you mean RINGBACK_PORT?"
    )


def test_variables_of_other_programs_are_ignored() -> None:
    assert load({}, {"PORT": "1", "MY_RINGBACK_PROT": "1"}) == load({}, {})


SETTINGS_OF_DEV = ["tls", "tls_port", "phase", "at", "static_proxy"]
SETTINGS_OF_SERVE = ["log_format", "log_level"]


@pytest.mark.parametrize("name", SETTINGS_OF_DEV)
def test_serve_refuses_a_variable_for_dev(name: str) -> None:
    variable = f"RINGBACK_{name.upper()}"
    assert refusal_of({}, {variable: "x"}, command=ServerCommand.SERVE) == (
        f"the environment: {variable} is a setting of `ringback dev`, and this is"
        " `ringback serve`; remove it"
    )


@pytest.mark.parametrize("name", SETTINGS_OF_DEV)
def test_serve_refuses_a_line_for_dev(name: str, write_file: WriteFile) -> None:
    path = write_file(f'port = 0\n{name} = "x"')
    assert refusal_of({"settings": path}, command=ServerCommand.SERVE) == (
        f"{path}:2: {name} is a setting of `ringback dev`, and this is `ringback serve`; remove it"
    )


@pytest.mark.parametrize("name", SETTINGS_OF_SERVE)
def test_dev_refuses_settings_for_serve(name: str) -> None:
    variable = f"RINGBACK_{name.upper()}"
    assert f"{variable} is a setting of `ringback serve`" in refusal_of({}, {variable: "x"})


@pytest.mark.parametrize("name", [setting.name for setting in SETTINGS if setting.only is None])
def test_all_other_settings_are_for_both(name: str, write_file: WriteFile) -> None:
    path = write_file(f"{name} = {{}}")
    for command in ServerCommand:
        assert "this must be text" in refusal_of({"settings": path}, command=command)


@pytest.mark.parametrize(
    ("name", "text"), [("log_format", "xml"), ("log_level", "loud"), ("log_level", "INFO")]
)
def test_the_log_format_of_serve_is_one_of_a_few_words(name: str, text: str) -> None:
    refusal = refusal_of({name: text}, command=ServerCommand.SERVE)
    assert refusal.startswith(f"--{name.replace('_', '-')}: '{text}' must be ")


# ---- egress, and its secrets ---------------------------------------------------------------------

SECRET = "http://user:se/cret@proxy.example:3128"


@pytest.mark.parametrize("name", ["twilio_egress", "kore_egress"])
def test_no_refusal_of_a_proxy_shows_its_password(name: str, write_file: WriteFile) -> None:
    for text in (SECRET, SECRET.removeprefix("http://"), f"{SECRET},127.0.0.1", f"x{SECRET}"):
        told = [
            refusal_of({name: text}),
            refusal_of({}, {f"RINGBACK_{name.upper()}": text}),
            refusal_of({"settings": write_file(f'{name} = "{text}"')}),
            refusal_of({"settings": write_file(f'{name} = ["{text}", 1.5]')}),
            refusal_of({"settings": write_file(f'[egress]\naway = "{text}"')}),
        ]
        assert not [refusal for refusal in told if "se/cret" in refusal or "user" in refusal]


def test_a_refused_proxy_is_reported_by_its_host(write_file: WriteFile) -> None:
    path = write_file(f'kore_egress = "{SECRET}"')
    assert refusal_of({"settings": path}).startswith(
        f'{path}:1: kore_egress = "http://***@proxy.example:3128": '
    )


def test_a_message_with_the_password_is_not_passed_on() -> None:
    def tell(text: str) -> None:
        raise ValueError(f"I can't read {text}")

    setting = replace(EGRESS, form=EGRESS.form._replace(read=tell))
    given = RawSetting(setting, "--kore-egress", "http://user:secret@proxy", "any")
    with pytest.raises(ConfigurationError) as refused:
        given.read()
    assert str(refused.value) == (
        "--kore-egress: this value is not valid; --help shows the valid ones"
    )


def test_an_at_sign_in_a_setting_without_secrets_hides_nothing() -> None:
    assert "'a@5s' is not a valid duration" in refusal_of({"schedule": "a@5s"})


def test_each_source_has_its_egress_and_urls_may_name_others(write_file: WriteFile) -> None:
    path = write_file(
        'twilio_egress = "127.0.0.2"\n[egress]\ndublin-1 = ["127.0.0.3", "127.0.0.4"]'
    )
    assert load({"settings": path}, {}).egresses == Egresses(
        by_source={Source.TWILIO: Direct(("127.0.0.2",)), Source.KORE: ANY},
        named={"dublin-1": Direct(("127.0.0.3", "127.0.0.4"))},
    )


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('away = "here"', "away = \"here\": 'here' is not a valid egress"),
        ('away = ""', 'away = "" is empty; leave it out, or write any'),
        ("away = 5", "away = 5: this must be text in quotes or a list of them"),
        ('"a b" = "any"', "a b = \"any\": the name 'a b' can't be used in a URL"),
        ('"ü" = "any"', "ü = \"any\": the name 'ü' can't be used in a URL"),
        ('"" = "any"', " = \"any\": the name '' can't be used in a URL"),
    ],
)
def test_an_invalid_named_egress_is_refused_by_its_line(
    line: str, why: str, write_file: WriteFile
) -> None:
    path = write_file(f"\n[egress]\n{line}")
    assert refusal_of({"settings": path}).startswith(f"{path}:3: {why}")


def test_egress_in_the_file_is_a_table(write_file: WriteFile) -> None:
    path = write_file('egress = "any"')
    assert refusal_of({"settings": path}) == (
        f'{path}:1: egress must be a table [egress] of name = "text"'
    )


def test_the_permitted_addresses_and_ports_make_one_guard() -> None:
    settings = load(
        {"allow": "10.0.0.0/8", "callback_ports": "443", "callback_schemes": "https"}, {}
    )
    assert settings.guard == SsrfGuard((ip_network("10.0.0.0/8"),), (range(443, 444),), ("https",))


# ---- certificates --------------------------------------------------------------------------------


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A folder with ca.pem, cert.pem, key.pem, and other.pem, the key of another certificate."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    ours, theirs = (authority.issue_cert("localhost") for _ in range(2))
    ours.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    ours.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    theirs.private_key_pem.write_to_path(str(tmp_path / "other.pem"))
    return tmp_path


def test_certificate_files_are_loaded_by_their_paths(certificates: Path) -> None:
    flags = {
        "extra_ca_file": str(certificates / "ca.pem"),
        "client_cert_file": str(certificates / "cert.pem"),
        "client_key_file": str(certificates / "key.pem"),
        "tls_cert": str(certificates / "cert.pem"),
        "tls_key": str(certificates / "key.pem"),
    }
    settings = load(flags, {})
    assert {name: str(getattr(settings, name)) for name in flags} == flags


@pytest.mark.parametrize(
    ("flags", "blamed", "why"),
    [
        ({"extra_ca_file": "none.pem"}, "--extra-ca-file", "can't be read"),
        ({"extra_ca_file": "key.pem"}, "--extra-ca-file", "must hold certificates in PEM"),
        ({"client_cert_file": "cert.pem"}, "--client-cert-file", "belong together"),
        (
            {"client_cert_file": "cert.pem", "client_key_file": "other.pem"},
            "--client-cert-file",
            "belong together",
        ),
        ({"client_key_file": "key.pem"}, "--client-key-file", "is given without its certificate"),
        ({"tls_cert": "cert.pem"}, "--tls-cert", "so give tls_key, too"),
        ({"tls_key": "key.pem"}, "--tls-key", "so give tls_cert, too"),
        ({"tls_cert": "none.pem", "tls_key": "key.pem"}, "--tls-cert", "can't be read"),
        ({"tls_cert": "cert.pem", "tls_key": "other.pem"}, "--tls-cert", "belong together"),
    ],
)
def test_an_unusable_file_is_refused_at_once(
    flags: dict[str, str], blamed: str, why: str, certificates: Path
) -> None:
    refusal = refusal_of({name: str(certificates / file) for name, file in flags.items()})
    assert refusal.startswith(f"{blamed}: ")
    assert why in refusal


def test_an_unusable_file_is_refused_by_the_line_that_names_it(write_file: WriteFile) -> None:
    path = write_file('port = 0\nextra_ca_file = "/none.pem"')
    assert refusal_of({"settings": path}).startswith(f'{path}:2: extra_ca_file = "/none.pem": ')


# ---- phase and date ------------------------------------------------------------------------------


def test_phase_and_at_exclude_each_other() -> None:
    assert refusal_of({"phase": "after", "at": "2024-10-20"}) == (
        "--phase and --at can't be given together; give a phase, or a date that decides the phase"
    )


def test_phase_and_at_exclude_each_other_in_any_source(write_file: WriteFile) -> None:
    flags = {"settings": write_file("at = 2024-10-20")}
    assert "can't be given together" in refusal_of(flags, {"RINGBACK_PHASE": "after"})


def test_a_date_alone_leaves_the_phase_to_the_calendar() -> None:
    assert load({"at": "2024-10-20"}, {}).phase is None


def test_an_unknown_phase_is_refused_with_the_known_ones() -> None:
    assert refusal_of({"phase": "later"}) == (
        "--phase: there is no phase 'later'; the phases are before, between, after"
    )


def test_an_unknown_phase_is_refused_by_its_source() -> None:
    assert refusal_of({}, {"RINGBACK_PHASE": "later"}).startswith("RINGBACK_PHASE")


def test_serve_uses_the_phases_of_the_file_and_their_dates(write_file: WriteFile) -> None:
    settings = load({"settings": write_file(POLICY)}, {}, command=ServerCommand.SERVE)
    assert settings.phase is None
    assert [phase.name for phase in settings.policy.phases] == ["old", "new"]


# ---- custom policies -----------------------------------------------------------------------------

POLICY = """
[[phases]]
name = "old"
default = "twilio"
may_ask = ["twilio", "kore"]

[[phases]]
name = "new"
since = 2025-01-01T00:00:00Z
default = "kore"
may_ask = ["kore"]

[[holds]]
phase = "old"
account_sid = "AC1"

[[holds]]
phase = "new"
url_prefix = "https://new.example/"
"""


def test_the_file_replaces_the_whole_policy(write_file: WriteFile) -> None:
    policy = load({"settings": write_file(POLICY)}, {}).policy
    assert policy.phases == (
        Phase("old", None, Source.TWILIO, frozenset({Source.TWILIO, Source.KORE})),
        Phase("new", datetime(2025, 1, 1, tzinfo=UTC), Source.KORE, frozenset({Source.KORE})),
    )


def test_the_file_holds_an_account_and_a_url_prefix(write_file: WriteFile) -> None:
    policy = load({"settings": write_file(POLICY)}, {}).policy
    assert policy.holds == (
        PhaseHold("old", account_sid="AC1"),
        PhaseHold("new", url_prefix="https://new.example/"),
    )


@pytest.mark.parametrize(
    "until", ["2027-06-01", '"2027-06-01"', "2027-06-01T00:00:00Z", "2027-06-01 02:00:00+02:00"]
)
def test_a_hold_in_the_file_may_have_an_end(until: str, write_file: WriteFile) -> None:
    path = write_file(f'[[holds]]\nphase = "before"\naccount_sid = "AC1"\nuntil = {until}')
    (hold,) = load({"settings": path}, {}).policy.holds
    assert hold == PhaseHold("before", account_sid="AC1", until=datetime(2027, 6, 1, tzinfo=UTC))


def test_holds_alone_leave_the_phases_of_the_notice(write_file: WriteFile) -> None:
    path = write_file('[[holds]]\nphase = "after"\naccount_sid = "AC1"')
    policy = load({"settings": path}, {}).policy
    assert (policy.phases, policy.holds) == (
        NOTICE.phases,
        (PhaseHold("after", account_sid="AC1"),),
    )


def test_dev_stays_in_the_first_phase_whatever_its_name(write_file: WriteFile) -> None:
    assert load({"settings": write_file(POLICY)}, {}).phase == ""


def test_the_origin_of_a_policy_is_its_file_or_the_notice(write_file: WriteFile) -> None:
    path = write_file(POLICY)
    settings = load({"settings": path}, {})
    assert settings.policy_part == PolicyPart(settings.policy, path)
    assert load({"settings": write_file("port = 1")}, {}).policy_origin == "KORE's notice"
    held = write_file('[[holds]]\nphase = "before"\n')
    assert load({"settings": held}, {}).policy_origin == held


def test_a_date_without_a_time_begins_a_phase_at_midnight_utc(write_file: WriteFile) -> None:
    path = write_file(POLICY.replace("2025-01-01T00:00:00Z", "2025-01-01"))
    phases = load({"settings": path}, {}).policy.phases
    assert phases[1].since == datetime(2025, 1, 1, tzinfo=UTC)


PHASE_FORM = "a phase has name, since, default and may_ask"
HOLD_FORM = "a hold has phase, account_sid or url_prefix or both, and may have until"


@pytest.mark.parametrize(
    ("right", "wrong", "line", "why"),
    [
        pytest.param(
            'default = "kore"',
            'default = "korea"',
            10,
            f"default: 'korea' is not a source; it must be twilio or kore; {PHASE_FORM}",
            id="a source that there isn't",
        ),
        pytest.param(
            'may_ask = ["kore"]',
            'may_ask = ["kore", ["twilio"]]',
            11,
            f"may_ask: ['twilio'] is not a source; it must be twilio or kore; {PHASE_FORM}",
            id="asking for such a one",
        ),
        pytest.param(
            'may_ask = ["kore"]',
            'may_ask = "kore"',
            11,
            f"may_ask = 'kore' must be a list of sources; {PHASE_FORM}",
            id="one source that may be asked for",
        ),
        pytest.param(
            'default = "kore"', "", 7, f"default is missing; {PHASE_FORM}", id="no default"
        ),
        pytest.param(
            'may_ask = ["kore"]',
            "",
            7,
            f"may_ask is missing; {PHASE_FORM}",
            id="no sources that may be asked for",
        ),
        pytest.param('name = "new"', "", 7, f"name is missing; {PHASE_FORM}", id="no name"),
        pytest.param(
            'name = "new"',
            "name = 5",
            8,
            f"name = 5 must be text in quotes; {PHASE_FORM}",
            id="a number for a name",
        ),
        pytest.param(
            "since = 2025",
            'since = "soon"\n# 2025',
            9,
            "since: 'soon' is not a date; write it like 2024-10-20 or 2024-10-20T12:00:00Z;"
            f" {PHASE_FORM}",
            id="no date",
        ),
        pytest.param(
            'name = "new"',
            'name = "new"\nuntil = 2026-01-01',
            9,
            f"until is not a known key; {PHASE_FORM}",
            id="an unknown word",
        ),
        pytest.param(
            'account_sid = "AC1"',
            'account = "AC1"',
            15,
            f"account is not a known key; {HOLD_FORM}",
            id="an unknown word in a hold",
        ),
        pytest.param(
            'phase = "old"\n', "", 13, f"phase is missing; {HOLD_FORM}", id="a hold without a phase"
        ),
        pytest.param(
            'account_sid = "AC1"',
            "account_sid = 5",
            15,
            f"account_sid = 5 must be text in quotes; {HOLD_FORM}",
            id="a number for an account",
        ),
        pytest.param(
            'account_sid = "AC1"',
            'account_sid = "AC1"\nuntil = "soon"',
            16,
            "until: 'soon' is not a date; write it like 2024-10-20 or 2024-10-20T12:00:00Z;"
            f" {HOLD_FORM}",
            id="no end of a hold",
        ),
        pytest.param(
            "since = 2025-01-01T00:00:00Z",
            "",
            7,
            "policy: phase 'new' must begin after 'old' does",
            id="a second phase without a beginning",
        ),
        pytest.param(
            'name = "old"',
            'name = "old"\nsince = 2024-01-01',
            2,
            "policy: the first phase must have no date, so that every instant has a phase",
            id="a first phase with one",
        ),
        pytest.param(
            'name = "new"',
            'name = "old"',
            7,
            "policy: two phases are named 'old'; each needs its own name",
            id="one name for two",
        ),
        pytest.param(
            'phase = "new"',
            'phase = "newer"',
            17,
            "policy: a hold names the unknown phase 'newer'; the phases are old, new",
            id="a hold in no phase",
        ),
    ],
)
def test_an_incomplete_policy_is_refused_by_its_line(
    right: str, wrong: str, line: int, why: str, write_file: WriteFile
) -> None:
    path = write_file(POLICY.replace(right, wrong, 1))
    assert refusal_of({"settings": path}) == f"{path}:{line}: {why}"


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ('phases = "old"', PHASE_FORM),
        ("phases = 3", PHASE_FORM),
        ('phases = ["old"]', PHASE_FORM),
        ("phases = {}", PHASE_FORM),
        ('holds = ["old"]', HOLD_FORM),
        ("holds = [3]", HOLD_FORM),
    ],
)
def test_a_policy_that_is_not_a_table_is_refused_by_its_line(
    text: str, form: str, write_file: WriteFile
) -> None:
    path = write_file(f"port = 0\n{text}")
    name = text.partition(" ")[0]
    assert refusal_of({"settings": path}) == (
        f"{path}:2: {name} must be written as [[{name}]] tables; {form}"
    )


# ---- the example ---------------------------------------------------------------------------------


def uncommented(text: str) -> str:
    """Return the example file with the settings of `serve` from its comments, and its tables."""
    names = [setting.name for setting in SETTINGS if setting.is_for(ServerCommand.SERVE)]
    head, mark, tables = text.partition("# ---- tables")
    setting = re.compile(rf"^# (?=({'|'.join(names)}) = )", re.MULTILINE)
    return (
        setting.sub("", head)
        + mark
        + re.sub(r"^# ( {4})?(?=\w+ = |\[)", "", tables, flags=re.MULTILINE)
    )


def test_the_unchanged_example_has_the_defaults_of_serve() -> None:
    example = load({"settings": str(ROOT / "docs/ringback.toml")}, {}, command=ServerCommand.SERVE)
    assert example == load({}, {}, command=ServerCommand.SERVE)


def test_the_example_is_what_init_writes() -> None:
    # `ringback init --force docs/ringback.toml` writes it anew.
    assert (ROOT / "docs/ringback.toml").read_text("utf-8") == settings_template()


def test_each_setting_is_in_one_group() -> None:
    grouped = [setting.name for settings in SETTING_GROUPS.values() for setting in settings]
    assert sorted(grouped) == sorted(setting.name for setting in SETTINGS)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_the_example_has_each_setting_once_with_its_default(setting: Setting) -> None:
    lines = re.findall(rf"^# {setting.name} = .*", settings_template(), re.MULTILINE)
    assert len(lines) == 1
    value = tomllib.loads(lines[0].removeprefix("# "))[setting.name]
    default = setting.default_of(ServerCommand.SERVE) or setting.example
    assert setting.form.read(as_text(value)) == setting.form.read(default)


def test_all_settings_of_the_example_are_valid(write_file: WriteFile, certificates: Path) -> None:
    example = (ROOT / "docs/ringback.toml").read_text("utf-8")
    in_place = re.sub(r'"(?=(ca|cert|key)\.pem")', f'"{certificates}/', uncommented(example))
    # Each of these takes the place of another one.
    alone = re.sub(r"(?m)^(database|seal_key)_file = .*", "", in_place)
    settings = load({"settings": write_file(alone)}, {}, command=ServerCommand.SERVE)
    assert settings.client_key_file == certificates / "key.pem"
    assert settings.egress == {"dublin": Direct(("192.0.2.7",))}
    assert list(settings.scenarios.values()) == [SCENARIOS["slow"]]
    assert [phase.name for phase in settings.policy.phases] == ["before", "after"]
    assert [hold.phase for hold in settings.policy.holds] == ["before"]
    assert [shadow.percent for shadow in settings.shadows] == [10]
