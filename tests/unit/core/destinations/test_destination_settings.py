import json
import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.destinations.destination_settings import (
    BY_NAME,
    DESTINATION_SETTINGS,
    NOTHING,
    Bound,
    DestinationOrder,
    DestinationSetting,
    DestinationValues,
    read_values,
    write_values,
)
from tests.fakes import ACCOUNT_SID

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
RATES = ("rate", "total_rate")
BURSTS = ("burst", "total_burst")
SWITCHES = ("breaker", "breaker_4xx", "disable_on_gone")
URL = "https://user:s3cret@n.example/told?x=1#cbs=kore"

GOOD: dict[str, Sequence[tuple[str, Any]]] = {
    **dict.fromkeys(
        RATES, (("none", math.inf), ("0.01", 0.01), ("0.5", 0.5), ("20", 20.0), ("100000", 1e5))
    ),
    **dict.fromkeys(BURSTS, (("1", 1), ("100000", 100_000))),
    **dict.fromkeys(SWITCHES, (("yes", True), ("no", False))),
    "hold": [("none", timedelta(0)), ("90s", 90 * SECOND), ("10h", 10 * HOUR)],
    "breaker_share": [("1", 1), ("100", 100)],
    "breaker_window": [("10s", 10 * SECOND), ("5m", 300 * SECOND), ("1h", HOUR)],
    "breaker_least": [("1", 1), ("10000", 10_000)],
    "disable_after": [("none", timedelta.max), ("1h", HOUR), ("5d", 5 * DAY)],
    "order": [("none", DestinationOrder.NONE), ("sim", DestinationOrder.SIM)],
    "egress": [("none", None), ("dublin-2", "dublin-2"), ("x" * 100, "x" * 100)],
    "notify": [("none", None), (URL, CallbackUrl.parse(URL))],
    "notify_account": [(ACCOUNT_SID, ACCOUNT_SID)],
}
"""For each setting texts in their normal form, and what they mean."""

BAD: dict[str, tuple[Sequence[str], str]] = {
    **dict.fromkeys(
        RATES,
        (
            ["", "0", "0.009", "100001", "-1", "nan", "inf", "fast", "5/s"],
            "is not a rate; write requests a second, from 0.01 to 100,000, or none for no limit",
        ),
    ),
    **dict.fromkeys(
        BURSTS,
        (
            ["", "0", "100001", "-1", "1.5", "٣", "many", "1" * 10],
            "is not valid; write a whole number from 1 to 100,000",
        ),
    ),
    **dict.fromkeys(SWITCHES, (["", "true", "Yes", "1"], "is not valid; write yes or no")),
    "breaker_share": (
        ["0", "101", "0.7", "70%"],
        "is not valid; write a whole number from 1 to 100",
    ),
    "breaker_least": (["0", "10001"], "is not valid; write a whole number from 1 to 10,000"),
    "order": (["", "SIM", "meter"], "is not an order; write none or sim"),
    "egress": (
        ["", "-", "a b", "dublin_2", "ü", "x" * 101],
        "is not the name of an egress; write a name from the table [egress] in the settings, or"
        " none",
    ),
    "notify_account": (["", "AC1", "none", f"SK{'a' * 32}"], "is not the SID of an account (AC…)"),
}
"""For each setting texts that are refused, and why."""


def setting_id(one: object) -> str:
    return str(one)[:40]


def test_each_setting_has_good_texts_here() -> None:
    assert [one.name for one in DESTINATION_SETTINGS] == [*BY_NAME]
    assert GOOD.keys() == BY_NAME.keys()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [(name, *pair) for name, pairs in GOOD.items() for pair in pairs],
    ids=setting_id,
)
def test_a_text_in_its_normal_form_is_read_and_shown(name: str, text: str, value: object) -> None:
    setting = BY_NAME[name]
    assert setting.read(text) == value
    assert setting.show(value) == text


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [(name, text, why) for name, (texts, why) in BAD.items() for text in texts],
    ids=setting_id,
)
def test_a_bad_text_is_refused_with_what_would_be_right(name: str, text: str, why: str) -> None:
    with pytest.raises(ValueError, match="is not") as refused:
        BY_NAME[name].read(text)
    assert str(refused.value) == f"{text!r} {why}"


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("hold", "10h1s", "'10h1s' is not a valid duration; write it like 500ms, 3s, 5m, 2h or 1d"),
        ("hold", "11h", "'11h' is too long; the maximum is 10h"),
        ("breaker_window", "9.9s", "'9.9s' is not valid; the window is from 10s to 1h long"),
        ("breaker_window", "61m", "'61m' is not valid; the window is from 10s to 1h long"),
        ("breaker_window", "none", "'none' is not a valid duration; write it like"),
        ("disable_after", "59m", "'59m' is too short; the minimum is 1h; write none to disable"),
        ("disable_after", "3651d", "'3651d' is too long; the maximum is 3650d"),
        ("disable_after", "never", "'never' is not a valid duration; write it like"),
        ("notify", "n.example", "it must be like https://host/path"),
        ("notify", "ftp://n.example", "callbacks go to http:// or https://"),
        ("notify", "https://n.example/#rc=99", "rc"),
    ],
)
def test_bad_durations_and_urls_are_refused(name: str, text: str, why: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        BY_NAME[name].read(text)
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("name", "text", "shown"),
    [
        ("rate", "2.50", "2.5"),
        ("rate", "1e3", "1000"),
        ("rate", "0.3333333333", "0.3333333333"),
        ("burst", "007", "7"),
        ("hold", "0", "none"),
        ("hold", "1.5s", "1.500000s"),
        ("breaker_window", "60", "1m"),
        ("disable_after", "48h", "2d"),
        ("notify_account", ACCOUNT_SID[:2] + ACCOUNT_SID[2:].upper(), ACCOUNT_SID),
    ],
)
def test_other_texts_of_a_value_are_shown_in_their_normal_form(
    name: str, text: str, shown: str
) -> None:
    setting = BY_NAME[name]
    assert setting.show(setting.read(text)) == shown


def test_events_may_come_from_any_source() -> None:
    url = BY_NAME["notify"].read("https://n.example/#cbs=acme")
    assert url.source == "acme"


RANGES = {
    **dict.fromkeys(RATES, st.just(math.inf) | st.floats(0.01, 100_000)),
    **dict.fromkeys(BURSTS, st.integers(1, 100_000)),
    **dict.fromkeys(SWITCHES, st.booleans()),
    "hold": st.timedeltas(timedelta(0), 10 * HOUR),
    "breaker_share": st.integers(1, 100),
    "breaker_window": st.timedeltas(10 * SECOND, HOUR),
    "breaker_least": st.integers(1, 10_000),
    "disable_after": st.just(timedelta.max) | st.timedeltas(HOUR, 3650 * DAY),
    "order": st.sampled_from(DestinationOrder),
    "egress": st.none() | st.from_regex(r"\A[a-z][a-z0-9-]{0,99}\Z").filter("none".__ne__),
    "notify": st.none() | st.just(CallbackUrl.parse(URL)),
    "notify_account": st.from_regex(r"\AAC[0-9a-f]{32}\Z"),
}
VALUES = st.fixed_dictionaries({}, optional=RANGES)


@given(VALUES)
def test_every_value_is_read_back_from_what_is_shown(values: dict[str, Any]) -> None:
    for name, value in values.items():
        setting = BY_NAME[name]
        assert setting.read(setting.show(value)) == value


@given(st.sampled_from(DESTINATION_SETTINGS), st.text())
def test_any_text_is_read_or_refused(setting: DestinationSetting, text: str) -> None:
    try:
        value = setting.read(text)
    except ValueError:
        return
    assert setting.read(setting.show(value)) == value


# ---- names ---------------------------------------------------------------------------------------


def test_a_setting_has_a_parameter_and_a_flag() -> None:
    setting = BY_NAME["breaker_4xx"]
    assert (setting.parameter, setting.flag) == ("Breaker4xx", "--breaker-4xx")
    assert BY_NAME["total_rate"].parameter == "TotalRate"


def test_who_may_set_what_and_what_is_secret() -> None:
    operators = {one.name for one in DESTINATION_SETTINGS if one.is_operators}
    assert operators == {"total_rate", "total_burst", "notify_account"}
    assert all(BY_NAME[name].bound is Bound.OPERATOR for name in operators)
    assert [one.name for one in DESTINATION_SETTINGS if one.is_secret] == ["notify"]
    assert all(one.help.endswith((".", "first.")) and one.metavar for one in DESTINATION_SETTINGS)


# ---- all values of a place -----------------------------------------------------------------------


def test_values_are_written_as_texts_and_secret_ones_apart() -> None:
    given_values = DestinationValues(
        {"rate": 5.0, "order": DestinationOrder.SIM, "notify": CallbackUrl.parse(URL)},
        headers=(("X-Team", "meters"), ("X-Key", "s3cret")),
        client_certificate="PEM",
        ca="CA",
    )
    shown, secret = write_values(given_values)
    assert shown == {"rate": "5", "order": "sim"}
    assert secret == {
        "notify": URL,
        "headers": [["X-Team", "meters"], ["X-Key", "s3cret"]],
        "client_certificate": "PEM",
        "ca": "CA",
    }
    assert read_values(shown, secret) == given_values
    assert "s3cret" not in repr(given_values)


@pytest.mark.parametrize(
    "given_values",
    [
        NOTHING,
        DestinationValues(headers=()),
        DestinationValues(client_certificate=""),
        DestinationValues(ca=""),
        DestinationValues({"egress": None, "notify": None}),
    ],
    ids=["nothing", "headers", "certificate", "ca", "values"],
)
def test_what_takes_something_back_is_not_the_same_as_nothing(
    given_values: DestinationValues,
) -> None:
    assert given_values.is_empty is (given_values == NOTHING)
    assert read_values(*write_values(given_values)) == given_values


@given(VALUES, st.none() | st.lists(st.tuples(st.text(), st.text())).map(tuple))
def test_all_values_are_read_back_from_json(
    values: dict[str, Any], headers: tuple[tuple[str, str], ...] | None
) -> None:
    given_values = DestinationValues(values, headers)
    shown, secret = json.loads(json.dumps(write_values(given_values)))
    assert read_values(shown, secret) == given_values


def test_settings_that_are_not_known_any_more_are_left_out() -> None:
    assert read_values({"rate": "5", "colour": "red"}, {"mood": "bad"}) == DestinationValues(
        {"rate": 5.0}
    )


def test_a_stored_value_that_would_be_refused_by_now_is_left_out() -> None:
    assert read_values({"rate": "0", "burst": "5"}, {"notify": "ftp://x"}) == DestinationValues(
        {"burst": 5}
    )
