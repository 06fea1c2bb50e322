import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.destinations.circuit_breaker import BreakerRules
from ringback.core.destinations.destination_settings import (
    BY_NAME,
    Bound,
    DestinationOrder,
    DestinationValues,
)
from ringback.core.destinations.effective_settings import (
    DestinationRule,
    EffectiveSettings,
    SettingsOwner,
    effective_settings,
)
from ringback.core.http.connection_profile import NO_PROFILE, ConnectionProfile
from ringback.core.retry_schedule import FAITHFUL, PERSISTENT
from tests.destinations import ACCOUNT, OPERATOR, a_rule
from tests.fakes import ACCOUNT_SID

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
A = "https://a.example:443"
OTHER_SID = "AC" + "d" * 32


def of(*rules: DestinationRule) -> EffectiveSettings:
    return effective_settings(rules, PERSISTENT)


def having(rule: DestinationRule, **own: Any) -> DestinationRule:
    """Return a rule with headers or certificates."""
    return replace(rule, given=replace(rule.given, **own))


# ---- defaults ------------------------------------------------------------------------------------


def test_without_rules_a_schedule_with_waits_has_a_breaker_and_holds() -> None:
    settings = of()
    assert settings == EffectiveSettings(
        rate=math.inf,
        burst=1,
        total_rate=math.inf,
        total_burst=1,
        hold=MINUTE,
        breaker=BreakerRules(),
        watch=BreakerRules(),
        disable_after=timedelta.max,
        disable_on_gone=False,
        order=DestinationOrder.NONE,
    )
    assert not settings.is_paced
    assert settings.profile is NO_PROFILE


def test_the_faithful_schedule_has_neither_breaker_nor_holds() -> None:
    settings = effective_settings([], FAITHFUL)
    assert (settings.breaker, settings.hold) == (None, timedelta(0))
    assert settings.watch == BreakerRules(), "that it fails is told nevertheless"
    assert replace(settings, breaker=BreakerRules(), hold=MINUTE) == of()


def test_both_can_be_set_under_any_schedule() -> None:
    settings = effective_settings([a_rule(breaker="yes", hold="5s")], FAITHFUL)
    assert (settings.breaker, settings.hold) == (BreakerRules(), 5 * SECOND)
    assert of(a_rule(breaker="no", hold="none")) == replace(
        effective_settings([], FAITHFUL), origins=of(a_rule(breaker="no", hold="none")).origins
    )


@pytest.mark.parametrize(
    ("rate", "burst"), [("0.5", 2), ("5", 2), ("6", 3), ("10", 3), ("100", 21), ("none", 1)]
)
def test_the_burst_is_one_and_a_fifth_of_the_rate_that_is_in_force(rate: str, burst: int) -> None:
    settings = of(a_rule(rate=rate, total_rate=rate))
    assert (settings.burst, settings.total_burst) == (burst, burst)
    assert of(a_rule(rate="1000"), a_rule(owner=ACCOUNT, rate=rate)).burst == max(
        burst, 201 if rate == "none" else 0
    )


def test_each_part_of_the_breaker_can_be_set() -> None:
    settings = of(
        a_rule(breaker_share="50", breaker_window="1m", breaker_least="3", breaker_4xx="yes")
    )
    assert settings.watch == settings.breaker == BreakerRules(0.5, MINUTE, 3, counts_4xx=True)


@pytest.mark.parametrize("name", ["rate", "total_rate"])
def test_a_lane_with_a_rate_is_paced(name: str) -> None:
    assert of(replace(a_rule(), given=DestinationValues({name: 5.0}))).is_paced


# ---- which rule wins -----------------------------------------------------------------------------


def test_what_different_rules_set_is_put_together() -> None:
    settings = of(a_rule(rate="5"), a_rule(A, burst="7"), a_rule(owner=ACCOUNT, order="sim"))
    assert (settings.rate, settings.burst, settings.order) == (5, 7, DestinationOrder.SIM)


RANKS = [
    a_rule("https://a.example/app/*", rate="1"),
    a_rule(A, account_sid=ACCOUNT_SID, is_in_file=False, rate="2"),
    a_rule(A, account_sid=ACCOUNT_SID, rate="3"),
    a_rule(A, is_in_file=False, rate="4"),
    a_rule(A, rate="5"),
    a_rule("https://*.example", account_sid=ACCOUNT_SID, is_in_file=False, rate="6"),
    a_rule("https://*.example", rate="7"),
    a_rule(account_sid=ACCOUNT_SID, rate="8"),
    a_rule(is_in_file=False, rate="9"),
    a_rule(rate="10"),
]
"""Rules of an operator; each wins over those that follow."""


@given(st.sets(st.integers(0, len(RANKS) - 1), min_size=1), st.randoms())
def test_the_pattern_counts_most_then_the_account_then_the_run_time(
    numbers: set[int], random: Any
) -> None:
    rules = [RANKS[number] for number in numbers]
    random.shuffle(rules)
    assert of(*rules).rate == min(numbers) + 1


@pytest.mark.parametrize(
    ("rule", "origin"),
    [
        (a_rule(A, rate="5"), f"the operator, in the settings, for {A}"),
        (
            a_rule(A, account_sid=ACCOUNT_SID, is_in_file=False, rate="5"),
            f"the operator for it, at run time, for {A}",
        ),
        (a_rule(owner=ACCOUNT, is_in_file=False, rate="5"), "the account, at run time, for *"),
    ],
)
def test_each_value_says_where_it_was_set(rule: DestinationRule, origin: str) -> None:
    assert of(rule).origins == {"rate": origin}
    assert of(a_rule("https://*.example", burst="5"), rule).origins["rate"] == origin


def test_the_origin_is_that_of_the_layer_whose_value_is_in_force() -> None:
    operators = a_rule(rate="10")
    lower, higher = a_rule(owner=ACCOUNT, rate="5"), a_rule(owner=ACCOUNT, rate="20")
    assert of(operators, lower).origins == {"rate": lower.place}
    assert of(operators, higher).origins == {"rate": operators.place}


@pytest.mark.parametrize(
    ("rule", "account_sid", "destination", "covers"),
    [
        (a_rule(A), ACCOUNT_SID, A, True),
        (a_rule(A), OTHER_SID, f"{A}/app/*", True),
        (a_rule(A), ACCOUNT_SID, "https://b.example:443", False),
        (a_rule(A, account_sid=ACCOUNT_SID), ACCOUNT_SID, A, True),
        (a_rule(A, account_sid=ACCOUNT_SID), OTHER_SID, A, False),
        (a_rule(owner=ACCOUNT), OTHER_SID, A, False),
    ],
)
def test_a_rule_covers_lanes_of_its_account_and_pattern(
    rule: DestinationRule, account_sid: str, destination: str, *, covers: bool
) -> None:
    assert rule.covers(account_sid, destination) is covers


# ---- between the layers --------------------------------------------------------------------------

LESS_MORE: dict[str, tuple[str, str]] = {
    "rate": ("5", "none"),
    "burst": ("2", "9"),
    "hold": ("10m", "none"),
    "breaker": ("yes", "no"),
    "breaker_share": ("20", "90"),
    "breaker_least": ("5", "50"),
    "breaker_4xx": ("yes", "no"),
    "disable_after": ("1h", "none"),
    "disable_on_gone": ("yes", "no"),
}
"""For each setting that bounds an account a text with which less is sent, and one with more."""
READ = {
    "breaker_share": lambda settings: round(100 * settings.watch.share),
    "breaker_least": lambda settings: settings.watch.least,
    "breaker_4xx": lambda settings: settings.watch.counts_4xx,
    "breaker_window": lambda settings: settings.watch.window,
    "breaker": lambda settings: settings.breaker is not None,
    "egress": lambda settings: settings.profile.egress,
}


def in_force(name: str, operators: str, accounts: str) -> Any:
    """Return the value that is in force if both set the setting."""
    by_operator = {name: BY_NAME[name].read(operators)}
    by_account = {name: BY_NAME[name].read(accounts)}
    settings = of(
        replace(a_rule(), given=DestinationValues(by_operator)),
        replace(a_rule(owner=ACCOUNT), given=DestinationValues(by_account)),
    )
    return READ.get(name, lambda of: getattr(of, name))(settings)


def test_each_setting_that_bounds_accounts_is_in_the_table() -> None:
    bounding = {one.name for one in BY_NAME.values() if one.bound in (Bound.LOWER, Bound.HIGHER)}
    assert bounding == LESS_MORE.keys()


@pytest.mark.parametrize("name", LESS_MORE)
def test_an_account_can_ask_for_less_and_never_for_more(name: str) -> None:
    less, more = LESS_MORE[name]
    least = BY_NAME[name].read(less)
    assert in_force(name, operators=more, accounts=less) == least
    assert in_force(name, operators=less, accounts=more) == least
    assert in_force(name, operators=more, accounts=more) == BY_NAME[name].read(more)


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [("total_rate", "5", "1"), ("total_burst", "5", "1"), ("breaker_window", "1m", "2m")],
)
def test_of_some_settings_the_operators_value_counts(name: str, first: str, second: str) -> None:
    for operators, accounts in ((first, second), (second, first)):
        value = in_force(name, operators, accounts)
        assert value == BY_NAME[name].read(operators)


@pytest.mark.parametrize(
    ("name", "first", "second"), [("order", "none", "sim"), ("egress", "none", "dublin")]
)
def test_of_others_the_accounts_value_counts(name: str, first: str, second: str) -> None:
    for operators, accounts in ((first, second), (second, first)):
        value = in_force(name, operators, accounts)
        assert value == BY_NAME[name].read(accounts)


def test_what_the_operator_has_not_set_an_account_may_set_as_it_likes() -> None:
    settings = of(a_rule(owner=ACCOUNT, breaker="no", hold="none", breaker_window="1h"))
    assert (settings.breaker, settings.hold, settings.watch.window) == (None, timedelta(0), HOUR)


# ---- headers, certificates and egress ------------------------------------------------------------


def test_what_requests_have_of_their_own_comes_from_all_rules() -> None:
    own = having(a_rule(owner=ACCOUNT), headers=(("X-Team", "meters"),), client_certificate="PEM")
    settings = of(having(a_rule(A, egress="dublin"), ca="CA", headers=(("X-Team", "x"),)), own)
    assert settings.profile == ConnectionProfile((("X-Team", "meters"),), "PEM", "CA", "dublin")
    assert settings.origins["ca"] == f"the operator, in the settings, for {A}"


def test_an_empty_value_takes_back_what_a_more_general_rule_sets() -> None:
    general = having(
        a_rule(egress="dublin"), headers=(("X-Team", "x"),), client_certificate="PEM", ca="CA"
    )
    special = having(a_rule(A, egress="none"), headers=(), client_certificate="", ca="")
    assert of(general).profile != NO_PROFILE
    assert of(general, special).profile is NO_PROFILE
    assert of(general, having(a_rule(A), ca="")).profile == replace(of(general).profile, ca=None)


# ---- events --------------------------------------------------------------------------------------

OPERATORS_URL, ACCOUNTS_URL = (
    CallbackUrl.parse(f"https://{host}.example/told") for host in ("ops", "customer")
)


def test_both_layers_are_told_of_events_each_at_its_own_url() -> None:
    operators = a_rule(notify=OPERATORS_URL.wire, notify_account=OTHER_SID)
    accounts = a_rule(owner=ACCOUNT, notify=ACCOUNTS_URL.wire)
    assert of().notify == ()
    assert of(operators).notify == ((OTHER_SID, OPERATORS_URL),)
    assert of(accounts).notify == ((None, ACCOUNTS_URL),)
    assert of(operators, accounts).notify == ((OTHER_SID, OPERATORS_URL), (None, ACCOUNTS_URL))


def test_without_an_account_to_send_them_the_operator_gets_no_events() -> None:
    assert of(a_rule(notify=OPERATORS_URL.wire)).notify == ()


def test_a_more_special_rule_can_take_a_url_back() -> None:
    general = a_rule(owner=ACCOUNT, notify=ACCOUNTS_URL.wire)
    assert of(general, a_rule(A, owner=ACCOUNT, notify="none")).notify == ()


def test_urls_are_not_shown() -> None:
    assert "customer" not in repr(of(a_rule(owner=ACCOUNT, notify=ACCOUNTS_URL.wire)))


def test_there_are_two_layers() -> None:
    assert [*SettingsOwner] == [OPERATOR, ACCOUNT]
