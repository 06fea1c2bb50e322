"""A callback and its attempts: what is kept of them, and how each step changes them."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never
from urllib.parse import parse_qsl

from ringback.core.callback_url import CallbackUrl
from ringback.core.outcome import Outcome, code_of, describe, name_of
from ringback.core.retry import Decision, Done, GiveUp, Round, TryAgain
from ringback.core.source import Source


class CallbackStatus(StrEnum):
    """Where a callback is on its way; the last three are its endings."""

    SCHEDULED = "scheduled"
    DELIVERED = "delivered"
    FAILED = "failed"
    DISCARDED = "discarded"


class Method(StrEnum):
    """The methods that a callback can be sent with."""

    POST = "POST"
    GET = "GET"


@dataclass(frozen=True, slots=True)
class Callback:
    """One thing to tell one receiver, from its creation to its ending.

    Source, token and payload are chosen when it is created and never change.
    """

    sid: str
    account_sid: str
    url: CallbackUrl
    method: Method
    body: str
    """The encoded parameters: the body of a POST, the end of a GET's query."""
    source: Source
    source_asked: Source | None
    source_reason: str
    idempotency_token: str
    date_created: datetime
    date_updated: datetime
    status: CallbackStatus = CallbackStatus.SCHEDULED
    status_reason: str | None = None
    attempt_count: int = 0
    due: datetime | None = None
    """When the next attempt is to be made; None while one is under way, and after the end."""
    round_attempts: int = 0
    round_began: datetime | None = None

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """What the callback tells, decoded and in order."""
        return parse_qsl(self.body, keep_blank_values=True)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was odd about the request that asked for this callback."""
        return self.url.warnings


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request as it left, with its secret parts hidden."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: str


@dataclass(frozen=True, slots=True)
class RecordedResponse:
    """What the receiver answered, up to a limit of its body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request that left, or was about to; `result` is open until its ending is known."""

    callback_sid: str
    account_sid: str
    number: int
    """From 1, over all rounds."""
    date_started: datetime
    result: str = "open"
    status_code: int | None = None
    error_code: int | None = None
    failure: str | None = None
    reason: str | None = None
    duration_ms: float | None = None
    request: RecordedRequest | None = None
    response: RecordedResponse | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """All that is known of an attempt after it: its ending, and what was sent and answered."""

    outcome: Outcome
    duration_ms: float | None = None
    request: RecordedRequest | None = None
    response: RecordedResponse | None = None


def begin_attempt(callback: Callback, now: datetime) -> tuple[Callback, Attempt]:
    """Return the callback with its next attempt under way, and that attempt's open row.

    A retry is due at once, so one that comes after its round's time was held up by us: its round
    gets its time anew, and the receiver doesn't pay for our absence.
    """
    began = callback.round_began
    is_late = began is not None and began + callback.url.connection.total_timeout <= now
    begun = replace(
        callback,
        attempt_count=callback.attempt_count + 1,
        round_attempts=callback.round_attempts + 1,
        round_began=now if began is None or is_late else began,
        due=None,
        date_updated=now,
    )
    return begun, Attempt(callback.sid, callback.account_sid, begun.attempt_count, now)


def round_of(callback: Callback) -> Round:
    """Return where a callback with an attempt under way is in its round."""
    return Round(callback.round_attempts, callback.round_began or callback.date_updated)


def settle_attempt(attempt: Attempt, exchange: Exchange) -> Attempt:
    """Return the attempt's row with its ending written into it."""
    outcome = exchange.outcome
    return replace(
        attempt,
        result=name_of(outcome),
        status_code=getattr(outcome, "status", None),
        error_code=code_of(outcome),
        failure=getattr(getattr(outcome, "failure", None), "label", None),
        reason=describe(outcome),
        duration_ms=exchange.duration_ms,
        request=exchange.request,
        response=exchange.response,
    )


def settle_callback(callback: Callback, decision: Decision, now: datetime) -> Callback:
    """Return the callback as the decision after its attempt leaves it."""
    match decision:
        case Done():
            return replace(callback, status=CallbackStatus.DELIVERED, date_updated=now)
        case GiveUp(why):
            return replace(
                callback, status=CallbackStatus.FAILED, status_reason=why, date_updated=now
            )
        case TryAgain(at, fresh_round=False):
            return replace(callback, due=at, date_updated=now)
        case TryAgain(at):
            return replace(callback, due=at, round_attempts=0, round_began=None, date_updated=now)
        case _:
            assert_never(decision)
