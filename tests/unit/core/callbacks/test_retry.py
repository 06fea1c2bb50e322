from datetime import UTC, datetime, timedelta

import pytest

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.callback_urls.connection_overrides import ConnectionOverrides, Timeouts
from ringback.core.callbacks.retry import (
    AttemptRound,
    Decision,
    GiveUp,
    NoRetryNeeded,
    RetryLater,
    RetryNow,
    RetryRules,
    attempt_timeouts,
    decide,
    read_retry_after,
    time_left,
)
from ringback.core.http.outcome import (
    SHORTAGES,
    AttemptFailure,
    DeliveredOutcome,
    NoAnswerOutcome,
    Outcome,
    RefusedOutcome,
    UnknownOutcome,
)
from ringback.core.policy.source_policy import Source
from ringback.core.retry_schedule import FAITHFUL, PERSISTENT, RetrySchedule
from ringback.core.streams.stream_retries import STREAM_RETRIES
from tests.fakes import NOW

TWILIO, KORE = Source.TWILIO, Source.KORE
AGAIN = RetryNow()
MICROSECOND, SECOND = timedelta(microseconds=1), timedelta(seconds=1)
HOUR = timedelta(hours=1)
THREE_ROUNDS = RetrySchedule((10 * SECOND, HOUR))


def after(
    outcome: Outcome,
    fragment: str = "",
    source: Source = TWILIO,
    *,
    attempts: int = 1,
    spent: timedelta = timedelta(0),
    schedule: RetrySchedule = FAITHFUL,
    rounds_before: int = 0,
    jitter: float = 0.5,
) -> Decision:
    """Return the decision after the last of `attempts`, `spent` after the round began."""
    connection = CallbackUrl.parse(f"http://a.example/#{fragment}").connection
    return decide(
        outcome,
        rules=RetryRules(connection, source, schedule),
        round_=AttemptRound(attempts, NOW - spent, rounds_before),
        now=NOW,
        jitter=jitter,
    )


def failed(failure: AttemptFailure) -> NoAnswerOutcome:
    return NoAnswerOutcome(failure, "it failed")


# ---- failures that are retried: by each source's default, and by each value of rp

CONNECTING = [
    failed(AttemptFailure.NAME),
    failed(AttemptFailure.CONNECT),
    failed(AttemptFailure.CONNECT_TIMEOUT),
    failed(AttemptFailure.EGRESS),
    failed(AttemptFailure.PROXY),
    failed(AttemptFailure.PROXY_REFUSED),
    failed(AttemptFailure.PROXY_TIMEOUT),
    failed(AttemptFailure.TLS),
    failed(AttemptFailure.CERTIFICATE_NAME),
    failed(AttemptFailure.CERTIFICATE_EXPIRED),
    failed(AttemptFailure.CERTIFICATE_UNTRUSTED),
    failed(AttemptFailure.STALE),
]
READING = [
    failed(AttemptFailure.READ_TIMEOUT),
    failed(AttemptFailure.TOTAL_TIMEOUT),
    failed(AttemptFailure.NO_TIME),
    failed(AttemptFailure.CLOSED),
    failed(AttemptFailure.PROTOCOL),
]
REDIRECTS = [
    RefusedOutcome(301),
    RefusedOutcome(302, "/there"),
    RefusedOutcome(308),
    RefusedOutcome(304),
]
KORE_ONLY = [RefusedOutcome(408), RefusedOutcome(423)]
CLIENT_ERRORS = [
    RefusedOutcome(400),
    RefusedOutcome(404),
    RefusedOutcome(409),
    RefusedOutcome(429),
    RefusedOutcome(499),
]
SERVER_ERRORS = [
    RefusedOutcome(500),
    RefusedOutcome(502),
    RefusedOutcome(503),
    RefusedOutcome(504),
    RefusedOutcome(599),
]
ODD = [RefusedOutcome(199), RefusedOutcome(600), RefusedOutcome(999)]
EVERYTHING = [
    *CONNECTING, *READING, *REDIRECTS, *KORE_ONLY, *CLIENT_ERRORS, *SERVER_ERRORS, *ODD
]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "fragment", "retried"),
    [
        (TWILIO, "", CONNECTING),
        (KORE, "", [*CONNECTING, *KORE_ONLY, *SERVER_ERRORS]),
        (TWILIO, "rp=ct", CONNECTING),
        (KORE, "rp=ct", CONNECTING),
        (TWILIO, "rp=rt", READING),
        (KORE, "rp=rt", READING),
        (TWILIO, "rp=4xx", [*KORE_ONLY, *CLIENT_ERRORS]),
        (KORE, "rp=4xx", [*KORE_ONLY, *CLIENT_ERRORS]),
        (TWILIO, "rp=5xx", SERVER_ERRORS),
        (KORE, "rp=5xx", SERVER_ERRORS),
        (TWILIO, "rp=ct,rt,5xx", [*CONNECTING, *READING, *SERVER_ERRORS]),
        (TWILIO, "rp=all", EVERYTHING),
        (KORE, "rp=all", EVERYTHING),
        (TWILIO, "rp=all,ct", EVERYTHING),
    ],
)
def test_the_policy_decides_which_failures_are_retried(
    source: Source, fragment: str, retried: list[Outcome]
) -> None:
    decisions = [after(outcome, fragment, source) for outcome in EVERYTHING]
    assert [
        outcome
        for outcome, decision in zip(EVERYTHING, decisions, strict=True)
        if decision == AGAIN
    ] == retried


def test_the_table_covers_every_failure() -> None:
    never = {
        AttemptFailure.GUARD,
        AttemptFailure.SECRET,
        AttemptFailure.SOURCE,
        AttemptFailure.HELD,
        AttemptFailure.INTERNAL,
        *SHORTAGES,
        # These are retried as Event Streams are, whose URLs have no policy.
        AttemptFailure.KINESIS_CLIENT,
        AttemptFailure.KINESIS_WRITE,
        AttemptFailure.KINESIS_ROLE,
        AttemptFailure.KINESIS_SHARDS,
        AttemptFailure.KINESIS_STREAM,
    }
    assert {outcome.failure for outcome in (*CONNECTING, *READING)} | never == set(AttemptFailure)


# ---- after a reused connection that turned out to be closed


@pytest.mark.parametrize("rc", [0, 1, 5])
def test_one_more_attempt_follows_a_stale_connection_whatever_rc_is(rc: int) -> None:
    stale = failed(AttemptFailure.STALE)
    assert after(stale, f"rc={rc}", attempts=rc + 1) == AGAIN
    assert after(failed(AttemptFailure.CONNECT), f"rc={rc}", attempts=rc + 1) != AGAIN
    assert after(stale, f"rc={rc}", attempts=rc + 2) != AGAIN, "a fresh connection can't be stale"


def test_no_attempt_follows_a_stale_connection_if_rp_or_the_time_forbids_it() -> None:
    stale = failed(AttemptFailure.STALE)
    assert after(stale, "rc=0&rp=5xx") != AGAIN
    assert after(stale, "rc=0&tt=1000", spent=SECOND) != AGAIN


# ---- results that end the callback, or begin a new round, whatever rp is


@pytest.mark.parametrize("fragment", ["", "rp=all&rc=5", "rc=0"])
def test_a_delivery_ends_the_callback(fragment: str) -> None:
    assert after(DeliveredOutcome(204), fragment) == NoRetryNeeded()


@pytest.mark.parametrize("fragment", ["", "rp=4xx&rc=5", "rp=all&rc=5"])
@pytest.mark.parametrize("source", Source)
def test_a_410_ends_the_callback(source: Source, fragment: str) -> None:
    assert after(RefusedOutcome(410), fragment, source) == GiveUp(
        "the receiver answered 410 Gone: the receiver wants no more requests"
    )


@pytest.mark.parametrize("schedule", [FAITHFUL, PERSISTENT])
@pytest.mark.parametrize(
    "failure", [AttemptFailure.GUARD, AttemptFailure.SECRET, AttemptFailure.SOURCE]
)
def test_a_forbidden_destination_ends_the_callback(
    failure: AttemptFailure, schedule: RetrySchedule
) -> None:
    assert after(failed(failure), "rp=all&rc=5", schedule=schedule) == GiveUp("it failed")


def test_a_failure_of_our_own_is_not_retried_at_once() -> None:
    assert after(failed(AttemptFailure.INTERNAL), "rp=all&rc=5") == GiveUp(
        "it failed; not tried again at once, since the receiver did not cause the failure"
    )


def test_a_failure_of_our_own_is_retried_in_a_later_round() -> None:
    assert after(
        failed(AttemptFailure.INTERNAL), "rp=all&rc=5", schedule=THREE_ROUNDS
    ) == RetryLater(NOW + 10 * SECOND, 1)


@pytest.mark.parametrize("fragment", ["", "rc=0", "rp=4xx"])
@pytest.mark.parametrize("schedule", [FAITHFUL, PERSISTENT])
@pytest.mark.parametrize("rounds_before", [0, 7, 99])
def test_an_unknown_result_begins_the_same_round_anew(
    fragment: str, schedule: RetrySchedule, rounds_before: int
) -> None:
    assert after(
        UnknownOutcome(),
        fragment,
        attempts=6,
        spent=HOUR,
        schedule=schedule,
        rounds_before=rounds_before,
    ) == RetryLater(NOW, rounds_before)


# ---- the limits of a round


@pytest.mark.parametrize("retry_count", [0, 1, 2, 3, 4, 5])
def test_a_round_has_one_attempt_and_rc_more(retry_count: int) -> None:
    outcome = failed(AttemptFailure.CONNECT)
    last = retry_count + 1
    decisions = [
        after(outcome, f"rc={retry_count}", attempts=attempts) for attempts in range(1, last + 1)
    ]
    given_up = GiveUp(f"it failed; not tried again, since rc={retry_count}")
    assert decisions == [AGAIN] * retry_count + [given_up]


def test_without_rc_there_is_one_retry() -> None:
    outcome = failed(AttemptFailure.CONNECT)
    assert after(outcome, attempts=1) == AGAIN
    assert after(outcome, attempts=2) == GiveUp("it failed; not tried again, since rc=1")


@pytest.mark.parametrize(
    ("spent", "expected"),
    [
        (timedelta(0), AGAIN),
        (timedelta(milliseconds=200) - MICROSECOND, AGAIN),
        (timedelta(milliseconds=200), GiveUp("it failed; no time left, since tt=200 ms")),
        (timedelta(seconds=9), GiveUp("it failed; no time left, since tt=200 ms")),
    ],
)
def test_a_round_lasts_no_longer_than_tt(spent: timedelta, expected: Decision) -> None:
    assert after(failed(AttemptFailure.CONNECT), "tt=200", spent=spent) == expected


def test_a_failure_outside_rp_is_given_up_with_the_policy_in_words() -> None:
    assert after(RefusedOutcome(404), source=KORE) == GiveUp(
        "the receiver answered 404 Not Found; not tried again,"
        " since the retry policy is rp=408,423,5xx,ct"
    )


# ---- from one round to the next


@pytest.mark.parametrize(
    ("outcome", "fragment", "attempts"),
    [
        pytest.param(failed(AttemptFailure.CONNECT), "rc=0", 1, id="no attempts left"),
        pytest.param(failed(AttemptFailure.CONNECT), "rc=5", 6, id="all attempts made"),
        pytest.param(RefusedOutcome(404), "", 1, id="a failure outside rp"),
        pytest.param(RefusedOutcome(302), "rp=5xx", 1, id="a redirect"),
    ],
)
def test_if_a_round_does_not_continue_the_next_one_follows_whatever_the_failure(
    outcome: Outcome, fragment: str, attempts: int
) -> None:
    decision = after(outcome, fragment, attempts=attempts, schedule=THREE_ROUNDS)
    assert decision == RetryLater(NOW + 10 * SECOND, 1)


def test_a_round_continues_before_the_next_one_begins() -> None:
    assert after(failed(AttemptFailure.CONNECT), schedule=THREE_ROUNDS, rounds_before=1) == AGAIN


def test_a_round_without_time_is_followed_by_the_next_one() -> None:
    decision = after(failed(AttemptFailure.CONNECT), "tt=200", spent=SECOND, schedule=THREE_ROUNDS)
    assert decision == RetryLater(NOW + 10 * SECOND, 1)


@pytest.mark.parametrize(
    ("rounds_before", "decision"),
    [
        (0, RetryLater(NOW + 10 * SECOND, 1)),
        (1, RetryLater(NOW + HOUR, 2)),
        (
            2,
            GiveUp(
                "the receiver answered 500 Internal Server Error; not tried again, since that"
                " was the last of 3 rounds of attempts"
            ),
        ),
    ],
)
def test_the_waits_are_those_of_the_schedule_until_it_is_used_up(
    rounds_before: int, decision: Decision
) -> None:
    assert (
        after(RefusedOutcome(500), schedule=THREE_ROUNDS, rounds_before=rounds_before) == decision
    )


def test_a_schedule_that_was_shortened_meanwhile_is_used_up() -> None:
    decision = after(RefusedOutcome(500), schedule=THREE_ROUNDS, rounds_before=7)
    assert isinstance(decision, GiveUp)


@pytest.mark.parametrize(("jitter", "seconds"), [(0.0, 8), (0.5, 10), (1.0, 12)])
def test_jitter_spreads_the_next_round(jitter: float, seconds: int) -> None:
    decision = after(RefusedOutcome(500), schedule=THREE_ROUNDS, jitter=jitter)
    assert decision == RetryLater(NOW + seconds * SECOND, 1)


def test_a_410_ends_the_callback_whatever_the_schedule_is() -> None:
    assert isinstance(after(RefusedOutcome(410), schedule=PERSISTENT), GiveUp)


# ---- Retry-After


def waits_after(
    retry_after: str | None, *, status: int = 503, schedule: RetrySchedule = THREE_ROUNDS
) -> timedelta:
    decision = after(RefusedOutcome(status, retry_after=retry_after), schedule=schedule)
    assert isinstance(decision, RetryLater)
    return decision.at - NOW


@pytest.mark.parametrize(
    ("retry_after", "wait"),
    [
        (None, 10 * SECOND),
        ("5", 10 * SECOND),
        ("11", 11 * SECOND),
        ("3600", HOUR),
        ("36000", 10 * HOUR),
        ("36001", 10 * HOUR),
        ("999999999999", 10 * HOUR),
        ("Wed, 03 Jul 2024 14:42:58 GMT", 120 * SECOND),
        ("Wed, 03 Jul 2024 14:39:00 GMT", 10 * SECOND),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 10 * HOUR),
        ("soon", 10 * SECOND),
    ],
)
def test_the_next_round_waits_for_the_longer_of_the_two_and_at_most_ten_hours(
    retry_after: str | None, wait: timedelta
) -> None:
    assert waits_after(retry_after) == wait


def test_retry_after_does_not_add_rounds_to_the_schedule() -> None:
    decision = after(RefusedOutcome(503, retry_after="60"), schedule=FAITHFUL)
    assert isinstance(decision, GiveUp)


def test_within_a_round_retry_after_is_ignored() -> None:
    assert after(RefusedOutcome(503, retry_after="60"), "rp=5xx", schedule=THREE_ROUNDS) == AGAIN


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("0", timedelta(0)),
        ("120", 120 * SECOND),
        (" 120 ", 120 * SECOND),
        ("999999999", 999999999 * SECOND),
        ("1000000000", 10 * HOUR),
        ("Wed, 03 Jul 2024 14:41:58 GMT", 60 * SECOND),
        ("Wednesday, 03-Jul-24 14:41:58 GMT", 60 * SECOND),
        ("Wed Jul  3 14:41:58 2024", 60 * SECOND),
        ("Wed, 03 Jul 2024 16:41:58 +0200", 60 * SECOND),
        ("Wed, 03 Jul 2024 14:41:58 -0000", 60 * SECOND),
        ("Wed, 03 Jul 2024 14:39:58 GMT", -60 * SECOND),
    ],
)
def test_retry_after_is_in_seconds_or_a_date(text: str, asked: timedelta) -> None:
    assert read_retry_after(text, datetime(2024, 7, 3, 14, 40, 58, tzinfo=UTC)) == asked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-5",
        "1.5",
        "+5",
        "1e3",
        "١٢",
        "²",
        "soon",
        "Wed",
        "Wed, 32 Jul 2024 14:41:58 GMT",
        "Wed, 03 Jul 2024 25:41:58 GMT",
        "Wed, 03 Jul 2024 14:41:58 +9999",
        "Wed, 03 Jul 99999999999999999999 14:41:58 GMT",
        "Mon, 01 Jan 0001 00:00:00 +2300",
        "2024-07-03T14:41:58Z",
    ],
)
def test_an_invalid_retry_after_is_ignored(text: str) -> None:
    assert read_retry_after(text, NOW) <= timedelta(0)


# ---- the time of an attempt


@pytest.mark.parametrize(
    ("spent_ms", "left_ms"), [(0, 15000), (14999, 1), (15000, 0), (16000, -1000)]
)
def test_the_remaining_time_is_that_of_the_round_within_tt(spent_ms: int, left_ms: int) -> None:
    round_ = AttemptRound(1, NOW - timedelta(milliseconds=spent_ms))
    assert time_left(ConnectionOverrides(), round_, NOW) == timedelta(milliseconds=left_ms)


URL = CallbackUrl.parse("http://a.example#ct=1000&rt=2000&tt=3000")


@pytest.mark.parametrize("waited", [0, 3600], ids=["at once", "after it waited for its turn"])
def test_a_first_attempt_has_all_the_time_of_its_round(waited: int) -> None:
    later = NOW + timedelta(seconds=waited)
    timeouts = attempt_timeouts(URL.connection, AttemptRound(1, NOW), later)
    assert timeouts == Timeouts(connect=1.0, read=2.0, total=3.0)


@pytest.mark.parametrize(
    ("seconds", "left"), [(0, 3.0), (1, 2.0), (-60, 3.0)], ids=["no time", "1 s", "clock set back"]
)
def test_a_retry_has_the_remaining_time_and_never_more_than_its_round(
    seconds: int, left: float
) -> None:
    later = NOW + timedelta(seconds=seconds)
    timeouts = attempt_timeouts(URL.connection, AttemptRound(2, NOW), later)
    assert timeouts == Timeouts(connect=1.0, read=2.0, total=left)


# ---- batches of event streams --------------------------------------------------------------------


def after_batch(
    source: Source,
    outcome: Outcome,
    *,
    attempts: int = 1,
    began: datetime = NOW,
    schedule: RetrySchedule = FAITHFUL,
    jitter: float = 1.0,
) -> Decision:
    retries = STREAM_RETRIES[source]
    rules = RetryRules(retries.connection, source, schedule, retries)
    round_ = AttemptRound(attempts, began)
    return decide(outcome, rules=rules, round_=round_, now=NOW, jitter=jitter)


@pytest.mark.parametrize("outcome", [RefusedOutcome(503), RefusedOutcome(429), RefusedOutcome(302)])
def test_twilio_waits_before_it_sends_a_batch_again(outcome: Outcome) -> None:
    assert after_batch(TWILIO, outcome) == RetryNow(NOW + SECOND)
    assert after_batch(TWILIO, outcome, attempts=4) == RetryNow(NOW + 8 * SECOND)


def test_a_4xx_ends_a_batch_from_twilio_unless_there_are_further_rounds() -> None:
    ended = after_batch(TWILIO, RefusedOutcome(404))
    assert isinstance(ended, GiveUp)
    assert "Twilio does not retry events after a 4xx but 429" in ended.why
    later = after_batch(TWILIO, RefusedOutcome(404), schedule=THREE_ROUNDS, jitter=0.5)
    assert later == RetryLater(NOW + 10 * SECOND, 1)


def test_twilio_sends_a_batch_for_four_hours() -> None:
    late = NOW - 4 * HOUR + 2 * SECOND
    assert after_batch(TWILIO, RefusedOutcome(503), began=late) == RetryNow(NOW + SECOND)
    ended = after_batch(TWILIO, RefusedOutcome(503), attempts=2, began=late)
    assert isinstance(ended, GiveUp)
    assert "events are sent for 4 hours after the first attempt" in ended.why


def test_a_receiver_can_ask_twilio_for_a_longer_wait() -> None:
    asked = RefusedOutcome(429, retry_after="90")
    assert after_batch(TWILIO, asked) == RetryNow(NOW + 90 * SECOND)
    assert isinstance(after_batch(TWILIO, asked, began=NOW - 4 * HOUR + 80 * SECOND), GiveUp)


def test_kore_sends_a_batch_four_times_in_all() -> None:
    asked = RefusedOutcome(503, retry_after="90")
    decisions = [after_batch(KORE, asked, attempts=n, jitter=0.5) for n in (1, 2, 3)]
    assert decisions == [RetryNow(NOW + n * SECOND) for n in (2, 10, 50)]
    ended = after_batch(KORE, RefusedOutcome(404), attempts=4)
    assert isinstance(ended, GiveUp)
    assert "that was the last of 4 attempts" in ended.why


@pytest.mark.parametrize("source", Source)
def test_a_batch_ends_as_callbacks_do(source: Source) -> None:
    assert after_batch(source, DeliveredOutcome(204)) == NoRetryNeeded()
    assert isinstance(after_batch(source, RefusedOutcome(410)), GiveUp)
    ours = NoAnswerOutcome(AttemptFailure.SHORTAGE, "no file is left")
    assert isinstance(after_batch(source, ours), GiveUp)
    assert after_batch(source, UnknownOutcome()) == RetryLater(NOW, 0)
