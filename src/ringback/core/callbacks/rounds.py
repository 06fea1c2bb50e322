"""Shows when the rounds of a callback's attempts were, and when further ones may come."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ringback.core.callbacks.callback import Attempt, CallbackRecord
from ringback.core.callbacks.retry import OUR_FAILURES
from ringback.core.http.outcome import RefusedOutcome
from ringback.core.retry_schedule import FAITHFUL, RetrySchedule
from ringback.core.streams.stream_retries import STREAM_RETRIES, StreamRetries

_LEAST_SHARE: Final = 0.5
"""Which part of the wait before a round must have passed; jitter leaves at least 0.8 of it."""
_LEAST_WAIT: Final = timedelta(seconds=1)
"""The time without an attempt that shows that a callback was replayed, if there are no waits."""


@dataclass(frozen=True, slots=True)
class CallbackRound:
    """One round of a callback's retry schedule."""

    number: int
    """Counted from 1."""
    wait: timedelta | None
    """The time that the schedule waits before the round; None for the first one.

    The real wait differs: by up to a fifth at random, and because a receiver can ask for more.
    """
    date: datetime | None
    """When its first attempt began, or is due; None for later rounds, or if it isn't known."""
    is_past: bool
    """True once the round has begun."""


def rounds_of(
    callback: CallbackRecord, attempts: Sequence[Attempt], schedule: RetrySchedule
) -> list[CallbackRound]:
    """Return the rounds since the callback was created, or replayed last.

    `attempts` are all of its attempts, oldest first. After the callback's end, there are no further
    rounds. Which attempt began a round is not stored, so it is found by the waits between attempts;
    for a batch of a stream, whose rounds have waits, by how its source retries.
    """
    progress, waits = callback.progress, (FAITHFUL if callback.is_test else schedule).waits
    is_next_round = progress.due is not None and progress.round_attempts == 0
    begun = progress.round_number + (0 if is_next_round else 1)
    if progress.is_ended and not progress.attempt_count:
        begun = 0
    retries = retries_of(callback)
    dates: list[datetime | None]
    if retries is None:
        dates = [*_begin_dates(attempts, begun, waits)]
    else:
        dates = [*_begin_dates_of_stream(attempts, begun, retries)]
    if is_next_round:
        dates.append(progress.due)
    if not progress.is_ended:
        dates += [None] * (len(waits) + 1 - len(dates))
    return [
        CallbackRound(number, _wait_before(number, waits), date, number <= begun)
        for number, date in enumerate(dates, 1)
    ]


def retries_of(callback: CallbackRecord) -> StreamRetries | None:
    """Return how the source of a batch retries it within a round; None for a callback."""
    return None if callback.stream is None else STREAM_RETRIES[callback.source]


def in_words(retries: StreamRetries) -> str:
    """Return how a source retries a batch within a round, in words.

    >>> in_words(STREAM_RETRIES["kore"])
    'up to 3 more attempts, after about 2 s, 10 s and 50 s'
    """
    *waits, last = (f"{wait.total_seconds():g} s" for wait in retries.waits)
    if not retries.is_open:
        return (
            f"up to {len(retries.waits)} more attempts, after about {', '.join(waits)} and {last}"
        )
    hours = retries.connection.total_timeout / timedelta(hours=1)
    return (
        f"for {hours:g} hours, after random waits that grow from at most {waits[0]} to at most"
        f" {last}; not after a 4xx but 429"
    )


def _begin_dates_of_stream(
    attempts: Sequence[Attempt], begun: int, retries: StreamRetries
) -> list[datetime | None]:
    """Return when each of the `begun` rounds of a batch began."""
    dates, count = list[datetime | None](), 0
    for attempt in attempts:
        is_over = bool(dates) and attempt.date_started >= (
            (dates[-1] or attempt.date_started) + retries.connection.total_timeout
        )
        if not count or is_over:
            dates.append(attempt.date_started)
            count = 0
        count = 0 if _ends_round(attempt, count + 1, retries) else count + 1
    found = dates[len(dates) - begun :] if begun < len(dates) else dates
    return [None] * (begun - len(found)) + found


def _ends_round(attempt: Attempt, count: int, retries: StreamRetries) -> bool:
    """Return True if a round of a batch ended with this attempt, its `count`th."""
    if attempt.result in ("open", "unknown"):
        return False
    is_ours = attempt.failure in {failure.label for failure in OUR_FAILURES}
    if is_ours or attempt.result == "delivered":
        return True
    status = attempt.status_code
    if status is not None and retries.why_ended(RefusedOutcome(status)) is not None:
        return True
    return retries.wait_after(count, jitter=0) is None


def _wait_before(number: int, waits: Sequence[timedelta]) -> timedelta | None:
    return waits[number - 2] if 2 <= number <= len(waits) + 1 else None


def _begin_dates(
    attempts: Sequence[Attempt], begun: int, waits: Sequence[timedelta]
) -> list[datetime | None]:
    """Return when each of the `begun` rounds began, beginning with the latest attempt."""
    dates, left = list[datetime | None](), len(attempts)
    for number in range(begun, 0, -1):
        wait = _wait_before(max(number, 2), waits)
        least = _LEAST_WAIT if wait is None else wait * _LEAST_SHARE
        left -= 1
        while left > 0 and not _is_apart(attempts[left - 1], attempts[left], least):
            left -= 1
        dates.append(attempts[left].date_started if left >= 0 else None)
    return dates[::-1]


def _is_apart(earlier: Attempt, later: Attempt, least: timedelta) -> bool:
    """Return True if the wait between two attempts shows that they are in different rounds."""
    if earlier.result == "unknown":
        return False  # it is repeated in the same round, when the server is up again
    took = 0.0 if earlier.timings is None else earlier.timings.total
    return later.date_started - earlier.date_started - timedelta(milliseconds=took) >= least
