from datetime import timedelta

import pytest

from ringback.core.callback_urls.connection_overrides import (
    OVERRIDES,
    SETTABLE,
    ConnectionOverrides,
    RetryOn,
    Timeouts,
    limits_of,
    read_override,
)
from ringback.core.errors import InvalidCallbackUrl
from ringback.core.policy.source_policy import Source


def test_the_defaults_are_those_of_both_vendors() -> None:
    assert ConnectionOverrides() == ConnectionOverrides(
        connect_timeout_ms=5000,
        read_timeout_ms=15000,
        total_timeout_ms=15000,
        retry_count=1,
        retry_on=None,
        sni=None,
        egress=(),
    )


def test_the_keys_are_those_of_twilio() -> None:
    assert OVERRIDES == ("ct", "rt", "tt", "rc", "rp", "sni", "e")


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("ct", "100", ConnectionOverrides(connect_timeout_ms=100)),
        ("ct", "10000", ConnectionOverrides(connect_timeout_ms=10000)),
        ("rt", "100", ConnectionOverrides(read_timeout_ms=100)),
        ("rt", "15000", ConnectionOverrides(read_timeout_ms=15000)),
        ("tt", "100", ConnectionOverrides(total_timeout_ms=100)),
        ("tt", "15000", ConnectionOverrides(total_timeout_ms=15000)),
        ("rc", "0", ConnectionOverrides(retry_count=0)),
        ("rc", "5", ConnectionOverrides(retry_count=5)),
        ("rp", "4xx", ConnectionOverrides(retry_on=frozenset({RetryOn.CLIENT_ERROR}))),
        ("rp", "5xx", ConnectionOverrides(retry_on=frozenset({RetryOn.SERVER_ERROR}))),
        ("rp", "ct", ConnectionOverrides(retry_on=frozenset({RetryOn.CONNECT}))),
        ("rp", "rt", ConnectionOverrides(retry_on=frozenset({RetryOn.READ}))),
        ("rp", "all", ConnectionOverrides(retry_on=frozenset({RetryOn.ALL}))),
        ("rp", "4xx,5xx,ct,rt,all", ConnectionOverrides(retry_on=frozenset(SETTABLE))),
        ("rp", "rt,ct", ConnectionOverrides(retry_on=frozenset({RetryOn.READ, RetryOn.CONNECT}))),
        ("sni", "y", ConnectionOverrides(sni=True)),
        ("sni", "n", ConnectionOverrides(sni=False)),
        ("e", "dublin", ConnectionOverrides(egress=("dublin",))),
        ("e", "ashburn,sao-paulo", ConnectionOverrides(egress=("ashburn", "sao-paulo"))),
    ],
)
def test_a_setting_is_read_within_its_limits(
    key: str, value: str, expected: ConnectionOverrides
) -> None:
    assert read_override(ConnectionOverrides(), key, value) == expected


@pytest.mark.parametrize(
    ("key", "values", "wanted"),
    [
        (
            "ct",
            ["99", "10001", "", "-100", "1e3", "5000.0", "\u0665\u0660\u0660"],
            "a whole number from 100 to 10000",
        ),
        ("rt", ["99", "15001", "", "+100", " 100"], "a whole number from 100 to 15000"),
        ("tt", ["99", "15001", "0", "fast"], "a whole number from 100 to 15000"),
        ("rc", ["6", "99", "-1", "", "9" * 5000], "a whole number from 0 to 5"),
        (
            "rp",
            ["", "3xx", "5XX", "408", "423", "ct,", "ct;rt", "ct, rt"],
            "a comma list of 4xx, 5xx, ct, rt, all",
        ),
        ("sni", ["", "Y", "yes", "true", "1"], "y or n"),
        (
            "e",
            ["", "-", "a,", ",a", "a b", "a/b"],
            "the name of an egress, or several names separated by commas",
        ),
    ],
)
def test_a_value_out_of_range_is_refused_like_a_bad_source(
    key: str, values: list[str], wanted: str
) -> None:
    for value in values:
        with pytest.raises(InvalidCallbackUrl) as refused:
            read_override(ConnectionOverrides(), key, value)
        assert refused.value.code == 11100
        assert refused.value.message == f"#{key}={value}: {key} must be {wanted}"


def test_a_setting_leaves_the_others_unchanged() -> None:
    before = ConnectionOverrides(connect_timeout_ms=200, retry_count=3)
    after = ConnectionOverrides(connect_timeout_ms=200, retry_count=3, read_timeout_ms=700)
    assert read_override(before, "rt", "700") == after


@pytest.mark.parametrize(
    ("source", "retried"), [(Source.TWILIO, {"ct"}), (Source.KORE, {"ct", "408", "423", "5xx"})]
)
def test_each_source_has_its_own_default_retry_policy(source: Source, retried: set[str]) -> None:
    assert ConnectionOverrides().retries_on(source) == retried


@pytest.mark.parametrize("source", Source)
def test_a_retry_policy_in_the_url_replaces_the_default(source: Source) -> None:
    asked = ConnectionOverrides(retry_on=frozenset({RetryOn.READ}))
    assert asked.retries_on(source) == {RetryOn.READ}


def test_the_time_of_a_round_is_a_duration_too() -> None:
    assert ConnectionOverrides(total_timeout_ms=1500).total_timeout == timedelta(seconds=1.5)


def test_an_attempt_may_take_the_remaining_time_of_its_round() -> None:
    connection = ConnectionOverrides(connect_timeout_ms=250, read_timeout_ms=1500)
    limits = limits_of(connection, timedelta(milliseconds=700))
    assert limits == Timeouts(connect=0.25, read=1.5, total=0.7)


def test_the_first_attempt_of_a_round_may_take_all_of_its_time() -> None:
    connection = ConnectionOverrides(
        connect_timeout_ms=250, read_timeout_ms=1500, total_timeout_ms=700
    )
    assert connection.limits == Timeouts(connect=0.25, read=1.5, total=0.7)


def test_an_attempt_can_have_a_time_limit_of_its_own() -> None:
    own = ConnectionOverrides(total_timeout_ms=60_000, attempt_timeout_ms=5000)
    assert own.limits.total == 5.0
    assert limits_of(own, timedelta(seconds=2)).total == 2.0
