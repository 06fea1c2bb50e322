"""Settings: a flag beats the environment, that beats the file, that beats the default."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from ringback.core.addresses import LOOPBACK
from ringback.core.errors import Unusable
from ringback.core.source import NOTICE, Hold, Phase, Source
from ringback.settings import Settings, load

WriteFile = Callable[[str], str]


@pytest.fixture
def write_file(tmp_path: Path) -> WriteFile:
    def write(text: str) -> str:
        path = tmp_path / "ringback.toml"
        path.write_text(text, "utf-8")
        return str(path)

    return write


def refusal_of(
    flags: Mapping[str, str | None], environment: Mapping[str, str] | None = None
) -> str:
    with pytest.raises(Unusable) as refused:
        load(flags, environment or {})
    return str(refused.value)


# ---- where a value comes from --------------------------------------------------------------------


def test_without_anything_said_the_defaults_hold() -> None:
    assert load({}, {}) == Settings(
        host="127.0.0.1",
        port=8080,
        data=Path("ringback-data"),
        policy=NOTICE,
        phase="before",
        at=None,
        update_takes=timedelta(milliseconds=500),
        static_proxy=False,
        allow=LOOPBACK,
    )


def test_a_file_beats_the_default(write_file: WriteFile) -> None:
    assert load({"settings": write_file("port = 1111")}, {}).port == 1111


def test_the_environment_beats_the_file(write_file: WriteFile) -> None:
    flags = {"settings": write_file("port = 1111")}
    assert load(flags, {"RINGBACK_PORT": "2222"}).port == 2222


def test_a_flag_beats_the_environment_and_the_file(write_file: WriteFile) -> None:
    flags = {"settings": write_file("port = 1111"), "port": "3333"}
    assert load(flags, {"RINGBACK_PORT": "2222"}).port == 3333


def test_each_setting_is_taken_from_the_highest_place_that_has_it(write_file: WriteFile) -> None:
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
        ("data", "some/folder", Path("some/folder")),
        ("phase", "after", "after"),
        ("at", "2024-10-20", datetime(2024, 10, 20, tzinfo=UTC)),
        ("at", "2024-10-20T12:00:00Z", datetime(2024, 10, 20, 12, tzinfo=UTC)),
        ("at", "2024-10-20T12:00:00+02:00", datetime(2024, 10, 20, 10, tzinfo=UTC)),
        ("update_takes", "3s", timedelta(seconds=3)),
        ("static_proxy", "yes", True),
        ("static_proxy", "no", False),
        ("allow", "none", ()),
        ("allow", "loopback", LOOPBACK),
        ("allow", "10.0.0.0/8,loopback", (ip_network("10.0.0.0/8"), *LOOPBACK)),
        ("allow", "192.168.1.5", (ip_network("192.168.1.5/32"),)),
    ],
)
def test_a_setting_is_read_alike_from_the_flag_and_the_environment(
    name: str, text: str, value: object
) -> None:
    variable = f"RINGBACK_{name.upper()}"
    assert getattr(load({name: text}, {}), name) == value
    assert getattr(load({}, {variable: text}), name) == value


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ('host = "::1"', "host", "::1"),
        ('data = "elsewhere"', "data", Path("elsewhere")),
        ('phase = "between"', "phase", "between"),
        ("at = 2024-10-20", "at", datetime(2024, 10, 20, tzinfo=UTC)),
        ("at = 2024-10-20T12:00:00Z", "at", datetime(2024, 10, 20, 12, tzinfo=UTC)),
        ('update_takes = "2m"', "update_takes", timedelta(minutes=2)),
        ("update_takes = 1.5", "update_takes", timedelta(seconds=1.5)),
        ("static_proxy = true", "static_proxy", True),
        ("static_proxy = false", "static_proxy", False),
        ('allow = ["10.0.0.0/8", "loopback"]', "allow", (ip_network("10.0.0.0/8"), *LOOPBACK)),
    ],
)
def test_a_file_says_it_in_the_words_of_toml(
    line: str, name: str, value: object, write_file: WriteFile
) -> None:
    assert getattr(load({"settings": write_file(line)}, {}), name) == value


# ---- what can't be used is refused, naming its place --------------------------------------------

BAD_VALUES = [
    ("port", "http", "'http' is no port"),
    ("port", "65536", "'65536' is no port"),
    ("port", "-1", "'-1' is no port"),
    ("port", "80 80", "'80 80' is no port"),
    ("port", "²", "'²' is no port"),
    ("at", "tomorrow", "'tomorrow' is no date"),
    ("at", "2024-02-30", "'2024-02-30' is no date"),
    ("update_takes", "soon", "'soon' is no duration"),
    ("update_takes", "-1s", "'-1s' is no duration"),
    ("static_proxy", "maybe", "'maybe' must be yes or no"),
    ("static_proxy", "true", "'true' must be yes or no"),
    ("allow", "everything", "'everything' does not appear to be an IPv4 or IPv6 network"),
    ("allow", "10.0.0.1/8", "10.0.0.1/8 has host bits set"),
]


@pytest.mark.parametrize(("name", "text", "why"), BAD_VALUES)
def test_a_bad_flag_is_refused_by_its_name(name: str, text: str, why: str) -> None:
    assert refusal_of({name: text}).startswith(f"--{name.replace('_', '-')}: {why}")


@pytest.mark.parametrize(("name", "text", "why"), BAD_VALUES)
def test_a_bad_variable_is_refused_by_its_name(name: str, text: str, why: str) -> None:
    variable = f"RINGBACK_{name.upper()}"
    assert refusal_of({}, {variable: text}).startswith(f"{variable}: {why}")


@pytest.mark.parametrize(("name", "text", "why"), BAD_VALUES)
def test_a_bad_value_in_the_file_is_refused_by_the_files_name(
    name: str, text: str, why: str, write_file: WriteFile
) -> None:
    path = write_file(f'{name} = "{text}"')
    assert refusal_of({"settings": path}).startswith(f"{path}: {name}: {why}")


@pytest.mark.parametrize("name", ["port", "update_takes", "static_proxy", "allow"])
def test_an_empty_value_is_refused_by_its_name(name: str) -> None:
    variable = f"RINGBACK_{name.upper()}"
    assert refusal_of({}, {variable: ""}).startswith(variable)


def test_an_empty_host_would_be_all_addresses_and_is_refused() -> None:
    assert refusal_of({}, {"RINGBACK_HOST": ""}) == (
        "RINGBACK_HOST is empty; leave it out, or say 127.0.0.1"
    )


def test_an_empty_folder_would_be_the_one_that_we_are_in_and_is_refused() -> None:
    assert refusal_of({"data": ""}) == "--data is empty; leave it out, or say ringback-data"


def test_a_duration_that_no_calendar_holds_is_refused() -> None:
    assert "3650d is the most" in refusal_of({"update_takes": "999999999d"})


def test_a_date_near_the_end_of_the_calendar_is_refused() -> None:
    assert "1970 to 2999" in refusal_of({"at": "9999-12-31"})


@pytest.mark.parametrize("name", ["phase", "at"])
def test_an_empty_value_stands_for_none_where_there_is_none_by_default(name: str) -> None:
    assert load({name: ""}, {}) == load({}, {})


def test_an_instant_before_the_calendar_begins_is_refused() -> None:
    assert refusal_of({"at": "0001-01-01T00:00:00+14:00"}).startswith("--at")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    assert refusal_of({"settings": str(path)}) == (
        f"the settings file {path} can't be read: No such file or directory"
    )


def test_a_file_that_is_not_toml_is_refused(write_file: WriteFile) -> None:
    path = write_file("port: 8080")
    assert refusal_of({"settings": path}).startswith(f"the settings file {path} is not TOML: ")


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes(b'host = "\xe9"')
    assert refusal_of({"settings": str(path)}).startswith(f"the settings file {path} is not TOML: ")


def test_an_unknown_name_in_the_file_is_refused_with_the_known_ones(write_file: WriteFile) -> None:
    path = write_file("prot = 8080")
    assert refusal_of({"settings": path}) == (
        f"{path}: there is no setting 'prot'; there are allow, at, data, holds, host, phase,"
        " phases, port, static_proxy, update_takes"
    )


# ---- phase and date ------------------------------------------------------------------------------


def test_phase_and_at_exclude_each_other() -> None:
    assert refusal_of({"phase": "after", "at": "2024-10-20"}) == (
        "--phase and --at exclude each other: give a phase, or a date that has one"
    )


def test_phase_and_at_exclude_each_other_wherever_they_stand(write_file: WriteFile) -> None:
    flags = {"settings": write_file("at = 2024-10-20")}
    assert "exclude each other" in refusal_of(flags, {"RINGBACK_PHASE": "after"})


def test_a_date_alone_leaves_the_phase_to_the_calendar() -> None:
    assert load({"at": "2024-10-20"}, {}).phase is None


def test_an_unknown_phase_is_refused_with_the_known_ones() -> None:
    assert refusal_of({"phase": "later"}) == (
        "--phase later: the policy has the phases before, between, after"
    )


def test_an_unknown_phase_is_refused_by_the_place_that_it_came_from() -> None:
    assert refusal_of({}, {"RINGBACK_PHASE": "later"}).startswith("RINGBACK_PHASE")


# ---- a policy of one's own -----------------------------------------------------------------------

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
        Hold("old", account_sid="AC1"),
        Hold("new", url_prefix="https://new.example/"),
    )


def test_holds_alone_leave_the_phases_of_the_notice(write_file: WriteFile) -> None:
    path = write_file('[[holds]]\nphase = "after"\naccount_sid = "AC1"')
    policy = load({"settings": path}, {}).policy
    assert (policy.phases, policy.holds) == (NOTICE.phases, (Hold("after", account_sid="AC1"),))


def test_the_first_phase_of_the_policy_is_the_default(write_file: WriteFile) -> None:
    assert load({"settings": write_file(POLICY)}, {}).phase == "old"


def test_a_date_without_a_time_begins_a_phase_at_midnight_utc(write_file: WriteFile) -> None:
    path = write_file(POLICY.replace("2025-01-01T00:00:00Z", "2025-01-01"))
    phases = load({"settings": path}, {}).policy.phases
    assert phases[1].since == datetime(2025, 1, 1, tzinfo=UTC)


FORM = (
    "a phase has name, since, default and may_ask, a hold has phase and account_sid or url_prefix"
)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        pytest.param('default = "kore"', 'default = "korea"', id="a source that there isn't"),
        pytest.param('may_ask = ["kore"]', 'may_ask = ["korea"]', id="asking for such a one"),
        pytest.param('default = "kore"', "", id="no default"),
        pytest.param('may_ask = ["kore"]', "", id="no sources that may be asked for"),
        pytest.param('name = "new"', "", id="no name"),
        pytest.param("since = 2025", 'since = "soon"\n# 2025', id="no date"),
        pytest.param('name = "new"', 'name = "new"\nuntil = 2026-01-01', id="an unknown word"),
        pytest.param('account_sid = "AC1"', 'account = "AC1"', id="an unknown word in a hold"),
        pytest.param('phase = "old"\n', "", id="a hold without a phase"),
    ],
)
def test_a_policy_that_is_not_in_form_is_refused_by_the_files_name(
    right: str, wrong: str, write_file: WriteFile
) -> None:
    path = write_file(POLICY.replace(right, wrong, 1))
    refusal = refusal_of({"settings": path})
    assert refusal.startswith(f"{path}: ")
    assert refusal.endswith(FORM)


@pytest.mark.parametrize("text", ['phases = "old"', "phases = 3", 'holds = ["old"]', "holds = [3]"])
def test_a_policy_that_is_no_table_is_refused_by_the_files_name(
    text: str, write_file: WriteFile
) -> None:
    path = write_file(text)
    assert refusal_of({"settings": path}).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("right", "wrong", "why"),
    [
        pytest.param(
            "since = 2025-01-01T00:00:00Z",
            "",
            "phase 'new' must begin after 'old' does",
            id="a second phase without a beginning",
        ),
        pytest.param(
            'name = "old"',
            'name = "old"\nsince = 2024-01-01',
            "the first phase must have no date",
            id="a first phase with one",
        ),
        pytest.param('name = "new"', 'name = "old"', "two phases are named 'old'", id="one name"),
        pytest.param(
            'phase = "new"', 'phase = "newer"', "a hold names phase 'newer'", id="a hold in none"
        ),
    ],
)
def test_a_policy_that_leaves_something_undefined_is_refused(
    right: str, wrong: str, why: str, write_file: WriteFile
) -> None:
    path = write_file(POLICY.replace(right, wrong, 1))
    assert why in refusal_of({"settings": path})


def test_a_policy_that_leaves_something_undefined_is_refused_by_the_files_name(
    write_file: WriteFile,
) -> None:
    path = write_file(POLICY.replace('phase = "new"', 'phase = "newer"'))
    assert path in refusal_of({"settings": path})


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        pytest.param('name = "new"', "name = 5", id="a phase's name"),
        pytest.param('account_sid = "AC1"', "account_sid = 5", id="a hold's account"),
        pytest.param('url_prefix = "https://new.example/"', "url_prefix = 5", id="a hold's prefix"),
    ],
)
def test_a_number_in_place_of_a_word_is_refused_by_the_files_name(
    right: str, wrong: str, write_file: WriteFile
) -> None:
    # Nothing names the phase that has the number for a name, so that this alone is wrong.
    without_hold = POLICY[: POLICY.rindex("[[holds]]")] if "name" in right else POLICY
    path = write_file(without_hold.replace(right, wrong))
    assert refusal_of({"settings": path}).startswith(f"{path}: ")
