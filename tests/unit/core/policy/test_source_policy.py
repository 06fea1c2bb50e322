from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ringback.core.errors import ConfigurationError
from ringback.core.policy.source_policy import (
    BOTH,
    NOTICE,
    CallbackSourceSelection,
    Phase,
    PhaseHold,
    Policy,
    Source,
    source_named,
)

TWILIO, KORE = Source.TWILIO, Source.KORE
URL = "http://your-callback-url.com/path?foo=bar"
MICROSECOND = timedelta(microseconds=1)
DAY = timedelta(days=1)
BETWEEN = datetime(2024, 10, 16, tzinfo=UTC)
AFTER = datetime(2024, 11, 2, tzinfo=UTC)


def choose(
    asked: Source | None,
    at: datetime,
    policy: Policy = NOTICE,
    account_sid: str = "AC1",
    url: str = URL,
) -> CallbackSourceSelection:
    return policy.choose(asked, at=at, account_sid=account_sid, url=url)


# ---- the notice, phase by phase, fragment by fragment, at each date


@pytest.mark.parametrize(
    ("at", "phase"),
    [
        (datetime(2000, 1, 1, tzinfo=UTC), "before"),
        (BETWEEN - DAY, "before"),
        (BETWEEN - MICROSECOND, "before"),
        (BETWEEN, "between"),
        (BETWEEN + DAY, "between"),
        (AFTER - DAY, "between"),
        (AFTER - MICROSECOND, "between"),
        (AFTER, "after"),
        (AFTER + DAY, "after"),
        (datetime(2999, 1, 1, tzinfo=UTC), "after"),
    ],
)
def test_the_date_decides_the_phase(at: datetime, phase: str) -> None:
    assert NOTICE.phase_at(at).name == phase


UNASKED_BEFORE = "the default in the current phase, `before`"
UNASKED_BETWEEN = "the default in phase `between`, since 2024-10-16"
UNASKED_AFTER = "the default in phase `after`, since 2024-11-02"
ASKED_TWILIO = "the URL asks for it: #cbs=twilio"
ASKED_KORE = "the URL asks for it: #cbs=kore"
TWILIO_ENDED = "the URL asks for twilio, but twilio ended on 2024-11-02"


@pytest.mark.parametrize(
    ("at", "asked", "source", "reason"),
    [
        (BETWEEN - MICROSECOND, None, TWILIO, UNASKED_BEFORE),
        (BETWEEN - MICROSECOND, TWILIO, TWILIO, ASKED_TWILIO),
        (BETWEEN - MICROSECOND, KORE, KORE, ASKED_KORE),
        (BETWEEN, None, KORE, UNASKED_BETWEEN),
        (BETWEEN, TWILIO, TWILIO, ASKED_TWILIO),
        (BETWEEN, KORE, KORE, ASKED_KORE),
        (BETWEEN + DAY, None, KORE, UNASKED_BETWEEN),
        (BETWEEN + DAY, TWILIO, TWILIO, ASKED_TWILIO),
        (BETWEEN + DAY, KORE, KORE, ASKED_KORE),
        (AFTER - MICROSECOND, None, KORE, UNASKED_BETWEEN),
        (AFTER - MICROSECOND, TWILIO, TWILIO, ASKED_TWILIO),
        (AFTER - MICROSECOND, KORE, KORE, ASKED_KORE),
        (AFTER, None, KORE, UNASKED_AFTER),
        (AFTER, TWILIO, KORE, TWILIO_ENDED),
        (AFTER, KORE, KORE, ASKED_KORE),
        (AFTER + DAY, None, KORE, UNASKED_AFTER),
        (AFTER + DAY, TWILIO, KORE, TWILIO_ENDED),
        (AFTER + DAY, KORE, KORE, ASKED_KORE),
    ],
)
def test_the_notice_picks_the_source_and_says_why(
    at: datetime, asked: Source | None, source: Source, reason: str
) -> None:
    assert choose(asked, at) == CallbackSourceSelection(source, asked, reason)


@pytest.mark.parametrize(
    ("last_instant", "asked", "source"),
    [
        (datetime(2024, 10, 15, 23, 59, 59, 999999, UTC), None, TWILIO),
        (datetime(2024, 11, 1, 23, 59, 59, 999999, UTC), TWILIO, TWILIO),
    ],
)
def test_the_day_named_in_the_notice_still_belongs_to_the_earlier_phase(
    last_instant: datetime, asked: Source | None, source: Source
) -> None:
    assert choose(asked, last_instant).source is source


def test_a_date_is_an_instant_in_utc_whatever_the_clocks_zone() -> None:
    west = datetime.fromisoformat("2024-10-15T20:00:00-04:00")
    assert choose(None, west).source is KORE


# ---- other policies


def test_a_policy_may_have_more_phases_than_the_notice() -> None:
    policy = Policy(
        (
            Phase("only twilio", None, TWILIO, frozenset({TWILIO})),
            Phase("trial", datetime(2030, 1, 1, tzinfo=UTC), TWILIO, BOTH),
            Phase("switched", datetime(2030, 2, 1, tzinfo=UTC), KORE, BOTH),
            Phase("only kore", datetime(2030, 3, 1, tzinfo=UTC), KORE, frozenset({KORE})),
            Phase("second thoughts", datetime(2030, 4, 1, tzinfo=UTC), TWILIO, BOTH),
        )
    )
    asked_for_twilio = [
        choose(TWILIO, datetime(2030, month, 1, tzinfo=UTC) - MICROSECOND, policy).source
        for month in (1, 2, 3, 4, 5)
    ]
    asked_for_nothing = [
        choose(None, datetime(2030, month, 1, tzinfo=UTC) - MICROSECOND, policy).source
        for month in (1, 2, 3, 4, 5)
    ]
    assert asked_for_twilio == [TWILIO, TWILIO, TWILIO, KORE, TWILIO]
    assert asked_for_nothing == [TWILIO, TWILIO, KORE, KORE, TWILIO]


def test_a_source_in_no_phase_is_reported_as_unavailable() -> None:
    only_twilio = frozenset({TWILIO})
    early = Phase("early", None, TWILIO, only_twilio)
    late = Phase("late", BETWEEN, TWILIO, only_twilio)
    not_early = "the URL asks for kore, which is not available in the current phase, `early`"
    assert choose(KORE, AFTER, Policy((early,))).reason == not_early
    assert choose(KORE, AFTER, Policy((early, late))).reason == (
        "the URL asks for kore, which is not available in phase `late`"
    )
    assert choose(KORE, BETWEEN - DAY, Policy((early, late))) == CallbackSourceSelection(
        TWILIO, KORE, not_early
    )


def test_a_source_ends_with_the_first_phase_after_its_last() -> None:
    policy = Policy((*NOTICE.phases, Phase("long after", AFTER + DAY, KORE, frozenset({KORE}))))
    assert choose(TWILIO, AFTER + DAY + DAY, policy).reason == TWILIO_ENDED


def test_a_policy_of_one_phase_is_enough() -> None:
    policy = Policy((Phase("always", None, KORE, BOTH),))
    assert choose(None, BETWEEN, policy) == CallbackSourceSelection(
        KORE, None, "the default in the current phase, `always`"
    )


def test_the_sources_of_a_policy_are_the_two_built_in_and_those_of_its_phases() -> None:
    later = Phase("later", AFTER + DAY, "acme", frozenset({"acme", KORE}))
    assert NOTICE.sources == (TWILIO, KORE)
    assert Policy((*NOTICE.phases, later)).sources == (TWILIO, KORE, "acme")


# ---- holds


@pytest.mark.parametrize(
    ("hold", "account_sid", "url", "phase"),
    [
        (PhaseHold("before", account_sid="AC1"), "AC1", URL, "before"),
        (PhaseHold("before", account_sid="AC1"), "AC2", URL, "after"),
        (PhaseHold("before", url_prefix="http://your-callback-url.com/"), "AC2", URL, "before"),
        (PhaseHold("before", url_prefix="http://your-callback-url.com/path"), "AC2", URL, "before"),
        (PhaseHold("before", url_prefix="http://other.example/"), "AC1", URL, "after"),
        (PhaseHold("before", "AC1", "http://your-callback-url.com/"), "AC1", URL, "before"),
        (PhaseHold("before", "AC1", "http://your-callback-url.com/"), "AC2", URL, "after"),
        (PhaseHold("before", "AC1", "http://other.example/"), "AC1", URL, "after"),
        (PhaseHold("before"), "AC2", URL, "before"),
    ],
)
def test_a_hold_keeps_its_account_or_its_urls_in_a_phase(
    hold: PhaseHold, account_sid: str, url: str, phase: str
) -> None:
    policy = Policy(NOTICE.phases, (hold,))
    assert policy.phase_of(at=AFTER, account_sid=account_sid, url=url)[1].name == phase


def test_a_held_callback_follows_its_phase_and_says_so() -> None:
    policy = Policy(NOTICE.phases, (PhaseHold("before", account_sid="AC1"),))
    assert choose(None, AFTER, policy) == CallbackSourceSelection(
        TWILIO, None, "the default in phase `before`, in which a hold keeps this account"
    )


@pytest.mark.parametrize(
    ("hold", "held"),
    [
        (PhaseHold("before", "AC1", until=AFTER + DAY), "this account (until 2024-11-03)"),
        (PhaseHold("before", url_prefix=URL), f"URLs that begin with {URL}"),
        (
            PhaseHold("before", "AC1", URL, AFTER + DAY),
            f"this account's URLs that begin with {URL} (until 2024-11-03)",
        ),
    ],
)
def test_the_reason_says_what_is_held_and_until_when(hold: PhaseHold, held: str) -> None:
    assert choose(None, AFTER, Policy(NOTICE.phases, (hold,))).reason == (
        f"the default in phase `before`, in which a hold keeps {held}"
    )


def test_a_held_url_may_still_choose_a_source_that_its_phase_allows() -> None:
    policy = Policy(
        NOTICE.phases, (PhaseHold("between", url_prefix="http://your-callback-url.com"),)
    )
    assert choose(TWILIO, AFTER, policy).source is TWILIO


def test_a_source_has_not_ended_for_a_held_callback_before_its_last_day() -> None:
    policy = Policy(NOTICE.phases, (PhaseHold("after", account_sid="AC1"),))
    before = (
        "the URL asks for twilio, which is not available in phase `after`,"
        " in which a hold keeps this account"
    )
    assert choose(TWILIO, AFTER - MICROSECOND, policy) == CallbackSourceSelection(
        KORE, TWILIO, before
    )
    assert choose(TWILIO, AFTER, policy) == CallbackSourceSelection(
        KORE, TWILIO, "the URL asks for twilio, but twilio ended on 2024-11-02"
    )


def test_the_first_hold_that_covers_a_callback_decides() -> None:
    policy = Policy(NOTICE.phases, (PhaseHold("after", url_prefix=URL), PhaseHold("before", "AC1")))
    assert choose(None, BETWEEN - DAY, policy).source is KORE
    assert choose(None, AFTER, policy, url="http://other.example").source is TWILIO


def test_holding_everything_keeps_the_existing_holds() -> None:
    policy = Policy(NOTICE.phases, (PhaseHold("before", "AC1"),)).held_in("after")
    assert choose(None, BETWEEN, policy).source is TWILIO
    assert choose(None, BETWEEN - DAY, policy, account_sid="AC2") == CallbackSourceSelection(
        KORE, None, "the default in the current phase, `after`"
    )


@pytest.mark.parametrize(
    ("hold", "said"),
    [
        (PhaseHold("before", "AC1", "http://a.example/"), "http://a.example/"),
        (PhaseHold("before", "AC1"), "AC1"),
        (PhaseHold("before"), "every callback"),
    ],
)
def test_a_hold_describes_its_accounts_and_urls(hold: PhaseHold, said: str) -> None:
    assert str(hold) == said


def test_a_hold_is_for_all_unless_it_names_an_account_or_urls() -> None:
    assert PhaseHold("before").is_for_all
    assert not PhaseHold("before", "AC1").is_for_all
    assert not PhaseHold("before", url_prefix="https://a.example/").is_for_all


def test_each_account_has_its_own_holds_and_general_ones_in_order() -> None:
    holds = (
        PhaseHold("before", "AC2"),
        PhaseHold("before", url_prefix="http://a.example"),
        PhaseHold("after", "AC1"),
        PhaseHold("between"),
    )
    policy = Policy(NOTICE.phases, holds)
    held = {
        (account_sid, url): policy.phase_of(at=AFTER, account_sid=account_sid, url=url)[0]
        for account_sid in ("AC1", "AC2", "AC3")
        for url in ("http://a.example/", "http://b.example/")
    }
    assert list(held.values()) == [holds[place] for place in (1, 2, 0, 0, 1, 3)]


# ---- holds that end


def held_until(end: datetime, *others: PhaseHold) -> Policy:
    return Policy(NOTICE.phases, (PhaseHold("before", "AC1", until=end), *others))


def test_a_hold_ends_at_its_end_and_not_before() -> None:
    policy = held_until(AFTER + DAY)
    chosen = [choose(None, at, policy).source for at in (AFTER + DAY - MICROSECOND, AFTER + DAY)]
    assert chosen == [TWILIO, KORE]


def test_what_is_ahead_are_the_phases_and_the_ends_of_holds() -> None:
    policy = held_until(BETWEEN + DAY)
    assert [*policy.instants_after(BETWEEN)] == [BETWEEN + DAY, AFTER]
    assert [*policy.instants_after(AFTER)] == []


def test_an_ended_hold_is_named_if_it_would_have_given_another_source() -> None:
    policy = held_until(AFTER + DAY)
    ended = "the hold of AC1 in phase `before` ended on 2024-11-03"
    assert choose(None, AFTER + DAY, policy).reason == f"{UNASKED_AFTER}; {ended}"
    assert choose(TWILIO, AFTER + DAY, policy).reason == f"{TWILIO_ENDED}; {ended}"


def test_an_ended_hold_is_not_named_if_it_makes_no_difference() -> None:
    policy = held_until(AFTER + DAY)
    assert choose(KORE, AFTER + DAY, policy).reason == ASKED_KORE
    assert choose(None, AFTER + DAY, policy, account_sid="AC2").reason == UNASKED_AFTER


def test_an_ended_hold_is_not_named_if_another_took_precedence() -> None:
    policy = Policy(
        NOTICE.phases, (PhaseHold("after", "AC1"), PhaseHold("before", "AC1", until=AFTER))
    )
    assert choose(None, AFTER, policy).reason == (
        "the default in phase `after`, in which a hold keeps this account"
    )


def test_a_clock_that_is_set_forward_or_back_changes_the_choice_at_once() -> None:
    hold = PhaseHold("before", account_sid="AC1", until=AFTER + DAY)
    policy = replace(NOTICE, holds=(hold,))
    edges = [BETWEEN, AFTER, AFTER + DAY]
    instants = [edge + off for edge in edges for off in (-MICROSECOND, MICROSECOND * 0, DAY / 2)]
    for at in [*instants, *reversed(instants), *instants]:
        for account_sid in ("AC1", "AC2"):
            afresh = choose(TWILIO, at, replace(policy), account_sid)
            assert choose(TWILIO, at, policy, account_sid) == afresh


def test_after_a_hold_ends_the_next_that_covers_a_callback_decides() -> None:
    policy = held_until(BETWEEN, PhaseHold("after"), PhaseHold("between", "AC1", until=BETWEEN))
    assert choose(None, BETWEEN, policy) == CallbackSourceSelection(
        KORE,
        None,
        "the default in the current phase, `after`;"
        " the hold of AC1 in phase `before` ended on 2024-10-16",
    )


# ---- impossible policies


A = Phase("a", None, TWILIO, BOTH)
B = Phase("b", BETWEEN, KORE, BOTH)
C = Phase("c", AFTER, KORE, BOTH)
DATELESS = "policy: the first phase must have no date, so that every instant has a phase"


@pytest.mark.parametrize(
    ("phases", "holds", "message"),
    [
        ([], [], DATELESS),
        ([B, C], [], DATELESS),
        ([A, C, B], [], "policy: phase 'b' must begin after 'c' does"),
        (
            [A, B, Phase("c", BETWEEN, KORE, BOTH)],
            [],
            "policy: phase 'c' must begin after 'b' does",
        ),
        ([A, Phase("b", None, KORE, BOTH)], [], "policy: phase 'b' must begin after 'a' does"),
        (
            [A, B, Phase("a", AFTER, KORE, BOTH)],
            [],
            "policy: two phases are named 'a'; each needs its own name",
        ),
        (
            [A, Phase("b", datetime(2024, 10, 16), KORE, BOTH)],  # noqa: DTZ001 - the fault itself
            [],
            "policy: the date of phase 'b' has no time zone; append Z for UTC",
        ),
        (
            [Phase("odd", None, TWILIO, frozenset({KORE}))],
            [],
            (
                "policy: phase 'odd' sends from twilio by default, so may_ask must contain"
                " twilio too"
            ),
        ),
        (
            [A, B],
            [PhaseHold("z")],
            "policy: a hold names the unknown phase 'z'; the phases are a, b",
        ),
        (
            [A, B],
            [PhaseHold("a", "AC1", until=datetime(2024, 10, 16))],  # noqa: DTZ001 - the fault itself
            "policy: the end of the hold of AC1 has no time zone; append Z for UTC",
        ),
    ],
)
def test_a_policy_with_a_gap_is_refused(
    phases: Sequence[Phase], holds: Sequence[PhaseHold], message: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Policy(tuple(phases), tuple(holds))
    assert str(refused.value) == message


def test_everything_can_be_held_only_in_an_existing_phase() -> None:
    with pytest.raises(ConfigurationError, match="the phases are before, between, after"):
        NOTICE.held_in("later")


# ---- a calendar ahead of the clock


def test_a_calendar_ahead_reaches_a_phase_earlier() -> None:
    policy = replace(NOTICE, ahead=DAY)
    assert NOTICE.general_phase(NOTICE.date_at(AFTER - DAY)).name == "between"
    assert policy.general_phase(policy.date_at(AFTER - DAY)).name == "after"
    assert policy.general_phase(policy.date_at(AFTER - DAY - MICROSECOND)).name == "between"
    assert policy.held_in("before").ahead == DAY


def test_the_general_phase_ignores_holds_of_some_accounts() -> None:
    some = Policy(
        NOTICE.phases, (PhaseHold("before", "AC1"), PhaseHold("before", url_prefix="http://a"))
    )
    assert some.general_phase(AFTER).name == "after"
    assert some.held_in("between").general_phase(AFTER).name == "between"


# ---- names and prefixes


def test_a_name_is_one_of_the_two_built_in_or_a_custom_one() -> None:
    assert source_named("kore") is Source.KORE
    assert source_named("acme") == "acme"


@pytest.mark.parametrize(
    ("url", "is_held"),
    [
        ("https://a.example", True),
        ("https://a.example/p", True),
        ("https://a.example?x=1", True),
        ("https://a.example:8443/p", True),
        ("HTTPS://A.EXAMPLE/p", True),
        ("https://a.example.evil.example/p", False),
        ("https://a.examples/p", False),
        ("http://a.example/p", False),
    ],
)
def test_a_prefix_that_is_a_host_covers_only_that_host(url: str, is_held: bool) -> None:
    assert PhaseHold("before", url_prefix="https://a.example").covers("AC1", url) is is_held


def test_a_prefix_with_a_path_is_compared_letter_by_letter() -> None:
    hold = PhaseHold("before", url_prefix="https://a.example/Hooks")
    assert hold.covers("AC1", "https://a.example/Hooks2")
    assert not hold.covers("AC1", "https://a.example/hooks")


# ---- changes

SLOW = PhaseHold("before", url_prefix="https://slow.example/")
HELD = Policy(NOTICE.phases, (SLOW, PhaseHold("before", "AC1")))


def test_a_phase_gets_another_beginning() -> None:
    moved = HELD.with_phase_since("after", AFTER + DAY)
    assert [phase.since for phase in moved.phases] == [None, BETWEEN, AFTER + DAY]
    assert (moved.phases[:2], moved.holds) == (HELD.phases[:2], HELD.holds)


@pytest.mark.parametrize(
    ("name", "since", "why"),
    [
        ("later", AFTER, "there is no phase 'later'; the phases are before, between, after"),
        ("before", BETWEEN - DAY, "the first phase must have no date"),
        ("after", BETWEEN, "phase 'after' must begin after 'between' does"),
    ],
)
def test_a_phase_can_not_begin_at_any_time(name: str, since: datetime, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        HELD.with_phase_since(name, since)


def test_a_hold_is_found_by_its_exact_account_and_prefix() -> None:
    assert HELD.hold_of("AC1", None) == PhaseHold("before", "AC1")
    assert HELD.hold_of(None, "https://slow.example/") is SLOW
    assert HELD.hold_of("AC1", "https://slow.example/") is None


def test_a_hold_replaces_the_one_of_its_account_and_prefix() -> None:
    hold = PhaseHold("after", url_prefix="https://slow.example/", until=AFTER)
    assert HELD.with_hold(hold).holds == (hold, HELD.holds[1])


def test_a_new_hold_comes_last_or_before_one_that_would_take_precedence() -> None:
    other, narrow = PhaseHold("after", "AC2"), PhaseHold("after", "AC1", "https://b.example/")
    assert HELD.with_hold(other).holds == (*HELD.holds, other)
    assert HELD.with_hold(narrow).holds == (SLOW, narrow, HELD.holds[1])
    with pytest.raises(ConfigurationError, match="a hold names the unknown phase 'later'"):
        HELD.with_hold(PhaseHold("later", "AC2"))


def test_a_hold_is_released_by_its_exact_account_and_prefix() -> None:
    assert HELD.without_hold("AC1", None).holds == (SLOW,)
    assert HELD.without_hold(None, "https://slow.example/").holds == HELD.holds[1:]


@pytest.mark.parametrize(
    ("account_sid", "url_prefix", "whose"),
    [
        ("AC2", None, "AC2"),
        ("AC1", "https://slow.example/", "AC1 and https://slow.example/"),
        (None, None, "every callback"),
    ],
)
def test_an_unknown_hold_can_not_be_released(
    account_sid: str | None, url_prefix: str | None, whose: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"there is no hold of {whose};"):
        HELD.without_hold(account_sid, url_prefix)
