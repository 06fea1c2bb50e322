"""When the rounds of a callback's attempts were, and when further ones may come."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from ringback.core.callbacks.callback import Attempt, CallbackStatus
from ringback.core.callbacks.rounds import CallbackRound, in_words, retries_of, rounds_of
from ringback.core.http.http_exchange import RequestTimings
from ringback.core.policy.source_policy import Source
from ringback.core.retry_schedule import FAITHFUL, PERSISTENT, RetrySchedule
from ringback.core.streams.stream_retries import STREAM_RETRIES
from tests.fakes import ACCOUNT_SID, CALLBACK_SID, NOW, a_callback
from tests.streams import a_batch_of, a_sink, a_subscription, an_event_of

SCHEDULE = RetrySchedule.parse("5s,5m,30m")
FAILED, DELIVERED = CallbackStatus.FAILED, CallbackStatus.DELIVERED


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def attempts_at(*starts: float, result: str = "refused", took: float = 0) -> list[Attempt]:
    """Return attempts that began so many seconds after NOW; each took `took` seconds."""
    timings = RequestTimings(took * 1000) if took else None
    return [
        Attempt(CALLBACK_SID, ACCOUNT_SID, number, at(start), result, timings=timings)
        for number, start in enumerate(starts, 1)
    ]


def rounds(
    attempts: Sequence[Attempt], schedule: RetrySchedule = SCHEDULE, **kinds: Any
) -> list[CallbackRound]:
    callback = a_callback(attempt_count=len(attempts), **kinds)
    return rounds_of(callback, attempts, schedule)


def dates(found: Sequence[CallbackRound]) -> list[float | None]:
    """Return the seconds after NOW at which the rounds began or are due."""
    return [one.date and (one.date - NOW).total_seconds() for one in found]


def test_a_new_callback_has_all_its_rounds_before_it() -> None:
    assert rounds([], due=at(7)) == [
        CallbackRound(1, None, at(7), is_past=False),
        CallbackRound(2, timedelta(seconds=5), None, is_past=False),
        CallbackRound(3, timedelta(minutes=5), None, is_past=False),
        CallbackRound(4, timedelta(minutes=30), None, is_past=False),
    ]


def test_a_round_began_with_its_first_attempt() -> None:
    found = rounds(attempts_at(0, 0.1, 4.2, 4.3, 4.4), round_number=2, due=at(300))
    assert dates(found) == [0, 4.2, 300, None]
    assert [one.is_past for one in found] == [True, True, False, False]


def test_the_time_that_an_attempt_took_is_no_wait() -> None:
    found = rounds(attempts_at(0, 10, 24, took=10), round_number=1, due=None, round_attempts=1)
    assert dates(found) == [0, 24, None, None]


def test_the_round_of_an_attempt_under_way_has_begun() -> None:
    found = rounds(attempts_at(0), due=None, round_attempts=1)
    assert dates(found) == [0, None, None, None]
    assert [one.is_past for one in found] == [True, False, False, False]


def test_a_retry_at_once_is_in_the_same_round() -> None:
    found = rounds(attempts_at(0, 4), round_number=1, round_attempts=1, due=at(4.1))
    assert dates(found) == [0, 4, None, None]


@pytest.mark.parametrize("status", [DELIVERED, FAILED])
def test_after_the_end_there_are_no_further_rounds(status: CallbackStatus) -> None:
    found = rounds(attempts_at(0, 5, 300), status=status, due=None, round_number=2)
    assert dates(found) == [0, 5, 300]
    assert all(one.is_past for one in found)


def test_a_callback_that_was_discarded_before_it_was_sent_has_no_rounds() -> None:
    assert rounds([], status=CallbackStatus.DISCARDED, due=None) == []


def test_after_a_replay_the_rounds_count_anew() -> None:
    before = (0, 5, 300)
    assert dates(rounds(attempts_at(*before), due=at(900))) == [900, None, None, None]
    again = rounds(attempts_at(*before, 900, 905), due=at(1200), round_number=2)
    assert dates(again) == [900, 905, 1200, None]


def test_a_replay_is_seen_without_waits_too() -> None:
    found = rounds(attempts_at(0, 0.1, 60, 60.1), FAITHFUL, status=FAILED, due=None)
    assert found == [CallbackRound(1, None, at(60), is_past=True)]


def test_an_attempt_with_an_unknown_result_is_repeated_in_its_round() -> None:
    lost = attempts_at(0, result="unknown")
    again = attempts_at(0, 60)[1:]
    found = rounds([*lost, *again], FAITHFUL, status=DELIVERED, due=None)
    assert dates(found) == [0]


def test_a_round_whose_attempts_are_not_kept_any_more_has_no_date() -> None:
    found = rounds_of(
        a_callback(attempt_count=9, status=FAILED, due=None, round_number=2),
        attempts_at(300),
        SCHEDULE,
    )
    assert dates(found) == [None, None, 300]


def test_more_rounds_than_the_schedule_has_now_are_shown_without_a_wait() -> None:
    found = rounds(attempts_at(0, 5, 300), FAITHFUL, status=FAILED, due=None, round_number=2)
    assert [(one.number, one.wait) for one in found] == [(1, None), (2, None), (3, None)]


def test_a_test_event_has_one_round_whatever_the_schedule() -> None:
    found = rounds([], PERSISTENT, is_test=True)
    assert [one.number for one in found] == [1]


# ---- batches of event streams, whose rounds have waits -------------------------------------------


def of_batch(
    attempts: Sequence[Attempt],
    source: Source = Source.KORE,
    schedule: RetrySchedule = SCHEDULE,
    **kinds: Any,
) -> list[CallbackRound]:
    batch = a_batch_of([an_event_of(1)], a_sink(source=source), a_subscription())
    progress = a_callback(attempt_count=len(attempts), **kinds).progress
    return rounds_of(batch.having(progress), attempts, schedule)


def test_kores_retries_are_in_one_round_though_they_wait() -> None:
    found = of_batch(attempts_at(0, 2, 12, 62, 67), round_number=1, round_attempts=1, due=at(69))
    assert dates(found) == [0, 67, None, None]
    assert [one.is_past for one in found] == [True, True, False, False]


def test_kores_next_round_is_due_after_the_last_retry() -> None:
    found = of_batch(attempts_at(0, 2, 12, 62), round_number=1, due=at(67))
    assert dates(found) == [0, 67, None, None]


def test_an_attempt_of_unknown_result_does_not_end_kores_round() -> None:
    cut_off = [*attempts_at(0, 2, 12), attempts_at(0, 2, 12, 62, result="unknown")[-1]]
    attempts = [*cut_off, attempts_at(0, 2, 12, 62, 90)[-1]]
    assert dates(of_batch(attempts, round_number=0, due=None, status=FAILED)) == [0]


def test_twilios_round_ends_with_a_4xx() -> None:
    attempts = [one._replace(status_code=404) for one in attempts_at(0, 300)]
    found = of_batch(attempts, Source.TWILIO, due=None, status=FAILED, round_number=1)
    assert dates(found) == [0, 300]
    attempts = [one._replace(status_code=429) for one in attempts_at(0, 300)]
    assert dates(of_batch(attempts, Source.TWILIO, due=None, status=FAILED)) == [0]


def test_twilios_round_ends_after_four_hours() -> None:
    attempts = attempts_at(0, 3600, 4 * 3600 - 1, 4 * 3600 + 4)
    found = of_batch(attempts, Source.TWILIO, due=None, status=FAILED, round_number=1)
    assert dates(found) == [0, 4 * 3600 + 4]


def test_what_the_receiver_did_not_cause_ends_a_round() -> None:
    attempts = [one._replace(failure="internal") for one in attempts_at(0, 5)]
    assert dates(of_batch(attempts, due=None, status=FAILED, round_number=1)) == [0, 5]


def test_a_replay_of_a_batch_begins_its_rounds_anew() -> None:
    delivered = attempts_at(0, result="delivered")
    attempts = [*delivered, *attempts_at(0, 900)[1:]]
    assert dates(of_batch(attempts, due=None, status=FAILED)) == [900]


def test_the_beginning_of_a_round_may_be_unknown() -> None:
    assert dates(of_batch(attempts_at(900), due=None, status=FAILED, round_number=1)) == [None, 900]


def test_a_sources_retries_in_words() -> None:
    assert retries_of(a_callback()) is None
    assert in_words(STREAM_RETRIES[Source.KORE]) == (
        "up to 3 more attempts, after about 2 s, 10 s and 50 s"
    )
    assert in_words(STREAM_RETRIES[Source.TWILIO]) == (
        "for 4 hours, after random waits that grow from at most 1 s to at most 600 s; not after a"
        " 4xx but 429"
    )
