"""Which times apply, and what of a callback goes by them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.core.accounts.account import EVERY
from ringback.core.callbacks.callback import CallbackStatus
from ringback.core.retention import (
    DEFAULT,
    DEFAULTS,
    FOREVER,
    KINDS,
    SHORTEST,
    RetentionPolicy,
    RetentionStage,
    RetentionTimes,
    SetTimes,
    TimeSubject,
    read_time,
    shortened,
    show_time,
    stage_of,
)
from tests.fakes import NOW

DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
TIMES = RetentionTimes(2 * DAY, 4 * DAY, 8 * DAY, 16 * DAY)
CUTOFFS = TIMES.before(NOW)
ATTEMPTS, ALL, NOTHING = RetentionStage.ATTEMPTS, RetentionStage.ALL, RetentionStage.NOTHING
DELIVERED, FAILED = CallbackStatus.DELIVERED, CallbackStatus.FAILED
OURS, THEIRS = "AC1", "AC2"


@pytest.mark.parametrize(
    ("status", "age", "stage"),
    [
        (DELIVERED, 4 * DAY - TICK, NOTHING),
        (DELIVERED, 4 * DAY, ATTEMPTS),
        (DELIVERED, 8 * DAY - TICK, ATTEMPTS),
        (DELIVERED, 8 * DAY, ALL),
        (FAILED, 8 * DAY, ATTEMPTS),
        (CallbackStatus.DISCARDED, 16 * DAY - TICK, ATTEMPTS),
        (CallbackStatus.DISCARDED, 16 * DAY, ALL),
        (CallbackStatus.SCHEDULED, 999 * DAY, NOTHING),
    ],
)
def test_what_goes_is_decided_by_the_status_and_the_time_since_the_end(
    status: CallbackStatus, age: timedelta, stage: RetentionStage
) -> None:
    assert stage_of(status, NOW - age, CUTOFFS) is stage


@pytest.mark.parametrize("status", CallbackStatus)
def test_for_ever_nothing_goes(status: CallbackStatus) -> None:
    cutoffs = RetentionTimes().before(NOW)
    assert cutoffs == (None,) * 4
    assert stage_of(status, NOW - 9999 * DAY, cutoffs) is NOTHING


def test_a_callback_takes_its_attempts_with_it() -> None:
    cutoffs = TIMES._replace(attempts=99 * DAY).before(NOW)
    assert stage_of(DELIVERED, NOW - 8 * DAY, cutoffs) is ALL
    assert stage_of(FAILED, NOW - 8 * DAY, cutoffs) is NOTHING


def test_a_time_before_all_instants_keeps_everything() -> None:
    cutoffs = RetentionTimes(*[timedelta(days=900_000)] * 4).before(NOW)
    assert stage_of(DELIVERED, NOW, cutoffs) is NOTHING


@given(st.timedeltas(timedelta(0), 40 * DAY), st.timedeltas(timedelta(0), 40 * DAY))
def test_nothing_that_has_gone_comes_back(age: timedelta, more: timedelta) -> None:
    order = [NOTHING, ATTEMPTS, ALL]
    stages = [stage_of(FAILED, NOW - one, CUTOFFS) for one in (age, age + more)]
    assert sorted(stages, key=order.index) == stages


def setting(subject: str, kind: str = "attempts") -> TimeSubject:
    return TimeSubject(subject, kind)


def test_the_most_special_time_applies() -> None:
    """Each of these is taken away in turn, and the next one applies."""
    in_store = {setting(OURS): 1 * DAY, setting("*"): 3 * DAY, setting(DEFAULT): 5 * DAY}
    in_settings = {setting(OURS): 2 * DAY, setting("*"): 4 * DAY}
    expected = [
        (1 * DAY, "set for the account"),
        (2 * DAY, "the settings, for the account"),
        (3 * DAY, "set for the server"),
        (4 * DAY, "the settings, for the server"),
        (5 * DAY, "the default of new data"),
        (None, "no time is set"),
    ]
    found = [SetTimes(in_settings, in_store).time_of(OURS, "attempts")]
    for where, subject in (
        *((in_store, OURS), (in_settings, OURS)),
        *((in_store, "*"), (in_settings, "*"), (in_store, DEFAULT)),
    ):
        del where[setting(subject)]
        found.append(SetTimes(in_settings, in_store).time_of(OURS, "attempts"))
    assert found == expected


def test_the_server_has_no_times_of_accounts() -> None:
    times = SetTimes({}, {setting(OURS): DAY})
    assert times.time_of(EVERY, "attempts") == (None, "no time is set")
    assert times.time_of(THEIRS, "attempts") == (None, "no time is set")


def test_for_ever_is_a_time() -> None:
    times = SetTimes({setting("*"): DAY}, {setting(OURS): None})
    assert times.time_of(OURS, "attempts").time is None
    assert times.time_of(THEIRS, "attempts").time == DAY


def test_the_policy_has_the_accounts_that_differ() -> None:
    times = SetTimes({setting("*"): DAY, setting(THEIRS): DAY}, {setting(OURS, "answers"): 2 * DAY})
    server = RetentionTimes(attempts=DAY)
    policy = times.in_force()
    assert policy == RetentionPolicy(server, {OURS: server._replace(answers=2 * DAY)})
    assert policy.of(OURS).answers == 2 * DAY
    assert policy.of(THEIRS) == server


def test_times_are_set_and_unset_at_run_time() -> None:
    times = SetTimes({}, {setting(OURS): DAY, setting(THEIRS): DAY})
    after = times.having({setting(OURS): None}, [setting(THEIRS)])
    assert after == SetTimes({}, {setting(OURS): None})
    assert times.in_store == {setting(OURS): DAY, setting(THEIRS): DAY}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (TIMES, TIMES, False),
        (TIMES, RetentionTimes(), False),
        (RetentionTimes(), TIMES._replace(answers=None), True),
        (TIMES, TIMES._replace(undelivered=9 * DAY), True),
        (TIMES, TIMES._replace(undelivered=17 * DAY), False),
    ],
)
def test_it_is_known_whether_something_is_kept_for_less_long(
    before: RetentionTimes, after: RetentionTimes, *, expected: bool
) -> None:
    assert shortened(before, after) is expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["30d", "200h", "8d", "720000s", FOREVER])
def test_times_are_read_and_shown(kind: str, text: str) -> None:
    assert read_time(kind, show_time(read_time(kind, text))) == read_time(kind, text)


def test_times_are_shown_in_the_largest_unit() -> None:
    shown = [show_time(timedelta(seconds=seconds)) for seconds in (86400, 90000, 60, 61, 0)]
    assert shown == ["1d", "25h", "1m", "61s", "0d"]
    assert show_time(None) == "forever"


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("attempts", "59m", "'59m' is too short; the minimum is 1h"),
        ("delivered", "7d", "'7d' is too short; the minimum is 8d, since `policy simulate`"),
        ("answers", "long", "'long' is not a valid duration"),
        ("undelivered", "4000d", "'4000d' is too long"),
    ],
)
def test_a_time_that_cannot_be_used_is_refused(kind: str, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_time(kind, text)


def test_the_defaults_are_long_enough() -> None:
    assert [name for name, time in DEFAULTS._asdict().items() if time < SHORTEST[name]] == []
