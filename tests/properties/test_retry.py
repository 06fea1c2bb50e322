from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import assume, given
from hypothesis import strategies as st

from ringback.core.callback_urls.connection_overrides import limits_of
from ringback.core.callbacks.callback import (
    CallbackStatus,
    DeliveryProgress,
    advance,
    begin,
    put_back,
)
from ringback.core.callbacks.retry import (
    Decision,
    GiveUp,
    NoRetryNeeded,
    RetryLater,
    RetryNow,
    RetryRules,
    decide,
    read_retry_after,
    time_left,
)
from ringback.core.http.outcome import (
    GONE,
    AttemptFailure,
    DeliveredOutcome,
    NoAnswerOutcome,
    Outcome,
    RefusedOutcome,
    UnknownOutcome,
)
from ringback.core.policy.source_policy import Source
from ringback.core.retry_schedule import LONGEST_WAIT, RetrySchedule
from tests.fakes import NOW, a_callback
from tests.properties.strategies import any_text, jitters, outcomes, schedules, sources, urls

ZERO = timedelta(0)
waits = st.integers(0, 20_000).map(lambda ms: timedelta(milliseconds=ms))


@dataclass
class Attempt:
    """One attempt of a callback: its round, how it ended, and the decision that followed."""

    begun: DeliveryProgress
    outcome: Outcome
    ended: datetime
    decision: Decision
    after: DeliveryProgress


@st.composite
def rules(draw: st.DrawFn) -> RetryRules:
    connection = a_callback(url=draw(urls())).url.connection
    return RetryRules(connection, draw(sources), draw(schedules))


@st.composite
def histories(draw: st.DrawFn, rules: RetryRules) -> list[Attempt]:
    """Draw all events of a callback, up to its end or up to 30 attempts."""
    attempts, progress, now = list[Attempt](), DeliveryProgress(NOW, due=NOW), NOW
    while progress.due is not None and len(attempts) < 30:
        # A schedule of several ten-year waits exceeds the calendar.
        assume(progress.due.year < 5000)
        now = max(now, progress.due) + draw(waits)
        begun = begin(progress, now, total_timeout=rules.connection.total_timeout)
        now += draw(waits)
        outcome = draw(outcomes)
        decision = decide(outcome, rules=rules, round_=begun.round, now=now, jitter=draw(jitters))
        progress = advance(begun, decision, now)
        attempts.append(Attempt(begun, outcome, now, decision, progress))
    return attempts


rules_and_attempts = rules().flatmap(lambda given: st.tuples(st.just(given), histories(given)))


@given(rules_and_attempts)
def test_a_round_never_has_more_than_rc_and_one_attempts_except_unknown_and_stale_ones(
    given: tuple[RetryRules, list[Attempt]],
) -> None:
    rules, attempts = given
    rounds = Counter(
        one.begun.round_number for one in attempts if not isinstance(one.outcome, UnknownOutcome)
    )
    most, after_stale = rules.connection.retry_count + 1, False
    for one in attempts:
        assert one.begun.round_attempts <= most + after_stale
        after_stale = (
            isinstance(one.outcome, NoAnswerOutcome) and one.outcome.failure is AttemptFailure.STALE
        )
        if isinstance(one.outcome, UnknownOutcome):
            # A new round begins.
            rounds.pop(one.begun.round_number, None)
    assert all(count <= most + 1 for count in rounds.values())


@given(rules_and_attempts)
def test_there_are_no_more_rounds_than_the_schedule_has(
    given: tuple[RetryRules, list[Attempt]],
) -> None:
    rules, attempts = given
    numbers = [one.begun.round_number for one in attempts]
    assert max(numbers) <= len(rules.schedule.waits)
    assert all(second in (first, first + 1) for first, second in pairwise(numbers))


@given(rules_and_attempts)
def test_attempts_are_counted_one_by_one(given: tuple[RetryRules, list[Attempt]]) -> None:
    _, attempts = given
    counts = [one.begun.attempt_count for one in attempts]
    assert counts == list(range(1, len(attempts) + 1))


@given(rules_and_attempts)
def test_a_callback_is_due_exactly_while_it_is_scheduled(
    given: tuple[RetryRules, list[Attempt]],
) -> None:
    _, attempts = given
    for one in attempts:
        status = one.after.status
        assert (one.after.due is not None) is (status is CallbackStatus.SCHEDULED)
        assert (status is CallbackStatus.DELIVERED) is isinstance(one.outcome, DeliveredOutcome)
        assert (one.after.status_reason is not None) is (status is CallbackStatus.FAILED)


@given(rules_and_attempts)
def test_a_result_that_ends_a_callback_ends_it_under_all_rules(
    given: tuple[RetryRules, list[Attempt]],
) -> None:
    _, attempts = given
    for one in attempts:
        match one.outcome:
            case DeliveredOutcome():
                assert one.decision == NoRetryNeeded()
            case RefusedOutcome(status) if status == GONE:
                assert isinstance(one.decision, GiveUp)
            case NoAnswerOutcome(AttemptFailure.GUARD):
                assert isinstance(one.decision, GiveUp)
            case UnknownOutcome():
                assert one.decision == RetryLater(one.ended, one.begun.round_number)
            case _:
                assert not isinstance(one.decision, NoRetryNeeded)


@given(rules_and_attempts)
def test_the_next_round_comes_after_its_wait_or_the_requested_one(
    given: tuple[RetryRules, list[Attempt]],
) -> None:
    rules, attempts = given
    for one in attempts:
        if isinstance(one.decision, RetryLater) and not isinstance(one.outcome, UnknownOutcome):
            wait = rules.schedule.waits[one.begun.round_number]
            text = one.outcome.retry_after if isinstance(one.outcome, RefusedOutcome) else None
            asked = ZERO if text is None else read_retry_after(text, one.ended)
            asked = min(max(asked, ZERO), LONGEST_WAIT)
            came = one.decision.at - one.ended
            assert max(wait * 0.8, asked) <= came <= max(wait * 1.2, asked)


@given(rules_and_attempts)
def test_an_immediate_retry_has_time_left(given: tuple[RetryRules, list[Attempt]]) -> None:
    rules, attempts = given
    for one in attempts:
        if isinstance(one.decision, RetryNow):
            left = time_left(rules.connection, one.begun.round, one.ended)
            limits = limits_of(rules.connection, left)
            assert 0 < limits.total <= rules.connection.total_timeout_ms / 1000


@given(urls(), sources)
def test_a_decision_changes_only_the_callbacks_progress(url: str, source: Source) -> None:
    callback = a_callback(url=url, source=source)
    changed = callback.having(DeliveryProgress(NOW, CallbackStatus.FAILED))
    assert changed._replace(progress=callback.progress) == callback


@given(rules_and_attempts)
def test_a_requeued_attempt_leaves_no_trace(given: tuple[RetryRules, list[Attempt]]) -> None:
    rules, attempts = given
    for one in attempts:
        back = put_back(one.begun, one.ended)
        again = begin(back, one.begun.date_updated, total_timeout=rules.connection.total_timeout)
        assert again == one.begun


# ---- Retry-After, and schedules by themselves


@given(any_text)
def test_any_retry_after_of_a_receiver_can_be_parsed(text: str) -> None:
    assert isinstance(read_retry_after(text, NOW), timedelta)


@given(schedules, st.integers(0, 10), jitters)
def test_a_wait_is_within_a_fifth_of_the_one_in_the_schedule(
    schedule: RetrySchedule, number: int, jitter: float
) -> None:
    wait = schedule.wait_after(number, jitter=jitter)
    if number < len(schedule.waits):
        assert wait is not None
        assert schedule.waits[number] * 0.8 <= wait <= schedule.waits[number] * 1.2
    else:
        assert wait is None


@given(schedules)
def test_a_schedule_parses_to_what_was_written(schedule: RetrySchedule) -> None:
    assert RetrySchedule.parse(str(schedule)) == schedule
