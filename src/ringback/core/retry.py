"""After an attempt: is the callback done, tried again, or given up?

One round: the first attempt and at most `rc` more, at once, while `tt` lasts, for the failures
that `rp` names. An attempt whose ending is unknown is always made again, in a fresh round, since
nobody can say whether it arrived.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from ringback.core.connection import Connection, RetryOn
from ringback.core.outcome import (
    GONE,
    Delivered,
    Failure,
    Outcome,
    Refused,
    Unknown,
    Unreachable,
    describe,
)
from ringback.core.source import Source


@dataclass(frozen=True, slots=True)
class Round:
    """Where a callback is in its round of attempts."""

    attempts: int
    """Attempts of this round so far, the one just made among them."""
    began: datetime


@dataclass(frozen=True, slots=True)
class Done:
    """The callback is delivered."""


@dataclass(frozen=True, slots=True)
class TryAgain:
    """The callback is due again at this instant."""

    at: datetime
    fresh_round: bool = False


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No further attempt is made by itself; the reason says which limit was reached."""

    why: str


Decision = Done | TryAgain | GiveUp


def decide(
    outcome: Outcome, *, connection: Connection, source: Source, round_: Round, now: datetime
) -> Decision:
    """Return what follows an attempt that ended like this."""
    match outcome:
        case Delivered():
            return Done()
        case Unknown():
            return TryAgain(now, fresh_round=True)
        case Refused(status) if status == GONE:
            return GiveUp(f"{describe(outcome)}: the receiver wants no more")
        case Unreachable(Failure.GUARD | Failure.INTERNAL):
            return GiveUp(describe(outcome))
        case Refused() | Unreachable():
            return _within_round(outcome, connection, source, round_, now)
        case _:
            assert_never(outcome)


def time_left(connection: Connection, round_: Round, now: datetime) -> timedelta:
    """Return how long the next attempt of this round may take, by `tt`."""
    return round_.began + connection.total_timeout - now


def _within_round(
    outcome: Refused | Unreachable,
    connection: Connection,
    source: Source,
    round_: Round,
    now: datetime,
) -> Decision:
    retry_on = connection.retries_on(source)
    why = describe(outcome)
    if not _is_retried(outcome, retry_on):
        policy = ",".join(sorted(retry_on))
        return GiveUp(f"{why}; not tried again, since the retry policy is rp={policy}")
    if round_.attempts > connection.retry_count:
        return GiveUp(f"{why}; not tried again, since rc={connection.retry_count}")
    if time_left(connection, round_, now) <= timedelta(0):
        return GiveUp(f"{why}; no time left, since tt={connection.total_timeout_ms} ms")
    return TryAgain(now)


def _is_retried(outcome: Refused | Unreachable, retry_on: frozenset[RetryOn]) -> bool:
    if RetryOn.ALL in retry_on:
        return True
    match outcome:
        case Unreachable(failure):
            return failure.retry_on in retry_on
        case Refused(status):
            return f"{status // 100}xx" in retry_on or str(status) in retry_on
        case _:
            assert_never(outcome)
