"""Decides after an attempt whether the callback is done, is retried, or is given up.

A round is a first attempt and its immediate retries. The fragment of the callback's URL sets how
many retries there are (`rc`), how long the round may take (`tt`), and which failures are retried
(`rp`). After a failed round, the retry schedule can give another round later.

If the receiver had closed a kept-alive connection, the round has one more retry, since the receiver
may never have seen the request. For the same reason, an attempt with an unknown result is always
repeated.

A batch of a stream is retried as its source retries events (`streams/stream_retries`): all these
attempts are one round, with waits in it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple, assert_never

from ringback.core.callback_urls.connection_overrides import (
    ConnectionOverrides,
    RetryOn,
    Timeouts,
    limits_of,
)
from ringback.core.http.outcome import (
    GONE,
    SHORTAGES,
    AttemptFailure,
    DeliveredOutcome,
    NoAnswerOutcome,
    Outcome,
    RefusedOutcome,
    UnknownOutcome,
    describe,
)
from ringback.core.policy.source_policy import SourceName
from ringback.core.retry_schedule import LONGEST_WAIT, RetrySchedule
from ringback.core.streams.stream_retries import StreamRetries


class AttemptRound(NamedTuple):
    """The state of a callback's round of attempts."""

    attempts: int
    """The number of attempts in this round so far, including the latest."""
    began: datetime
    number: int = 0
    """The number of rounds before this one."""


@dataclass(frozen=True, slots=True)
class RetryRules:
    """The URL's settings, the source and the schedule, which decide how a callback is retried."""

    connection: ConnectionOverrides
    source: SourceName
    schedule: RetrySchedule
    stream: StreamRetries | None = None
    """How a batch of a stream is retried; None for a callback."""


@dataclass(frozen=True, slots=True)
class NoRetryNeeded:
    """Decision: no retry, because the callback is delivered."""


@dataclass(frozen=True, slots=True)
class RetryNow:
    """Decision: retry in the same round, at once or, for a batch of a stream, at `at`."""

    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RetryLater:
    """Decision: begin a round of attempts at `at`; `number` is the number of rounds before it."""

    at: datetime
    number: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Decision: make no further attempt unless a person replays it; `why` gives the reason."""

    why: str


Decision = NoRetryNeeded | RetryNow | RetryLater | GiveUp

_DONE = NoRetryNeeded()
OUR_FAILURES: Final = SHORTAGES | {AttemptFailure.INTERNAL, AttemptFailure.HELD}
"""The failures that receivers did not cause, which end a round."""


def decide(
    outcome: Outcome, *, rules: RetryRules, round_: AttemptRound, now: datetime, jitter: float
) -> Decision:
    """Decide, after an attempt with this outcome, if and when the callback is sent again.

    `jitter`, a random number from 0 to 1, varies the wait before the next round.
    """
    match outcome:
        case DeliveredOutcome():
            return _DONE
        case UnknownOutcome():
            return RetryLater(now, round_.number)
        case RefusedOutcome(status) if status == GONE:
            return GiveUp(f"{describe(outcome)}: the receiver wants no more requests")
        case NoAnswerOutcome(AttemptFailure.GUARD | AttemptFailure.SECRET | AttemptFailure.SOURCE):
            return GiveUp(describe(outcome))
        case RefusedOutcome() | NoAnswerOutcome():
            if rules.stream is None:
                within = _why_not_within(outcome, rules, round_, now) or RetryNow()
            else:
                within = _within_stream(outcome, rules.stream, round_, now, jitter)
            if isinstance(within, RetryNow):
                return within
            return _next_round(
                outcome, within, schedule=rules.schedule, round_=round_, now=now, jitter=jitter
            )
        case _:
            assert_never(outcome)


def time_left(connection: ConnectionOverrides, round_: AttemptRound, now: datetime) -> timedelta:
    """Return the time left in this round under its total timeout; zero or less if it is over."""
    return round_.began + connection.total_timeout - now


def attempt_timeouts(
    connection: ConnectionOverrides, round_: AttemptRound, now: datetime
) -> Timeouts:
    """Return the timeouts of an attempt that begins now: at most the time left in its round."""
    if round_.attempts == 1:
        return connection.limits
    # `min`, since the clock may have been set back after the round began.
    left = min(time_left(connection, round_, now), connection.total_timeout)
    return limits_of(connection, left)


def _why_not_within(
    outcome: RefusedOutcome | NoAnswerOutcome,
    rules: RetryRules,
    round_: AttemptRound,
    now: datetime,
) -> str | None:
    """Return the reason not to retry in the same round, or None if the callback is retried."""
    connection = rules.connection
    if isinstance(outcome, NoAnswerOutcome) and outcome.failure in OUR_FAILURES:
        return "not tried again at once, since the receiver did not cause the failure"
    retry_on = connection.retries_on(rules.source)
    if not _is_retried(outcome, retry_on):
        return f"not tried again, since the retry policy is rp={','.join(sorted(retry_on))}"
    if round_.attempts > connection.retry_count + _is_stale(outcome):
        return f"not tried again, since rc={connection.retry_count}"
    if time_left(connection, round_, now) <= timedelta(0):
        return f"no time left, since tt={connection.total_timeout_ms} ms"
    return None


def _within_stream(
    outcome: RefusedOutcome | NoAnswerOutcome,
    retries: StreamRetries,
    round_: AttemptRound,
    now: datetime,
    jitter: float,
) -> RetryNow | str:
    """Return when a batch is sent again in the same round, or why it is not."""
    if isinstance(outcome, NoAnswerOutcome) and outcome.failure in OUR_FAILURES:
        return "not tried again soon, since the receiver did not cause the failure"
    why_not = retries.why_ended(outcome)
    if why_not is not None:
        return why_not
    wait = retries.wait_after(round_.attempts, jitter=jitter)
    if wait is None:
        return f"that was the last of {round_.attempts} attempts"
    if not retries.is_open:
        return RetryNow(now + wait)
    at = now + max(wait, _asked_for(outcome, now))
    if at >= round_.began + retries.connection.total_timeout:
        hours = retries.connection.total_timeout / timedelta(hours=1)
        return f"not tried again, since events are sent for {hours:g} hours after the first attempt"
    return RetryNow(at)


def _next_round(
    outcome: RefusedOutcome | NoAnswerOutcome,
    why_not: str,
    *,
    schedule: RetrySchedule,
    round_: AttemptRound,
    now: datetime,
    jitter: float,
) -> RetryLater | GiveUp:
    wait = schedule.wait_after(round_.number, jitter=jitter)
    if wait is not None:
        return RetryLater(now + max(wait, _asked_for(outcome, now)), round_.number + 1)
    if schedule.waits:
        return GiveUp(
            f"{describe(outcome)}; not tried again, since that was the last"
            f" of {len(schedule.waits) + 1} rounds of attempts"
        )
    return GiveUp(f"{describe(outcome)}; {why_not}")


def _asked_for(outcome: RefusedOutcome | NoAnswerOutcome, now: datetime) -> timedelta:
    """Return the wait that the receiver asks for (zero if none), at most LONGEST_WAIT."""
    text = outcome.retry_after if isinstance(outcome, RefusedOutcome) else None
    asked = timedelta(0) if text is None else read_retry_after(text, now)
    return min(max(asked, timedelta(0)), LONGEST_WAIT)


def read_retry_after(text: str, now: datetime) -> timedelta:
    """Return the wait that a Retry-After header asks for (RFC 9110, 10.2.3).

    The wait is zero if the header is malformed, and negative if its date is in the past.

    >>> read_retry_after("120", datetime(2024, 7, 3, tzinfo=UTC))
    datetime.timedelta(seconds=120)
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=int(text)) if len(text) <= 9 else LONGEST_WAIT
    try:
        at = parsedate_to_datetime(text)
        return (at.replace(tzinfo=UTC) if at.tzinfo is None else at) - now
    except (ValueError, OverflowError):
        return timedelta(0)


def _is_stale(outcome: RefusedOutcome | NoAnswerOutcome) -> bool:
    return isinstance(outcome, NoAnswerOutcome) and outcome.failure is AttemptFailure.STALE


def _is_retried(outcome: RefusedOutcome | NoAnswerOutcome, retry_on: frozenset[RetryOn]) -> bool:
    match outcome:
        case _ if RetryOn.ALL in retry_on:
            return True
        case NoAnswerOutcome(failure):
            return failure.retry_on in retry_on
        case RefusedOutcome(status):
            return f"{status // 100}xx" in retry_on or str(status) in retry_on
        case _:
            assert_never(outcome)
