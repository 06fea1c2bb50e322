"""Callbacks and their attempts: what is saved about them, and how each step changes them."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Self, assert_never

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.retry import (
    AttemptRound,
    Decision,
    GiveUp,
    NoRetryNeeded,
    RetryLater,
    RetryNow,
    RetryRules,
)
from ringback.core.form_encoding import decode
from ringback.core.http.http_exchange import (
    AttemptResult,
    ReceiverResponseRecord,
    RequestTimings,
    SentRequestRecord,
)
from ringback.core.http.outcome import code_of, describe, failure_of, status_of
from ringback.core.policy.source_policy import SourceName
from ringback.core.retry_schedule import FAITHFUL, RetrySchedule


class CallbackStatus(StrEnum):
    """The status of a callback; the last three are final."""

    SCHEDULED = "scheduled"
    DELIVERED = "delivered"
    FAILED = "failed"
    DISCARDED = "discarded"


UNDELIVERED = frozenset({CallbackStatus.FAILED, CallbackStatus.DISCARDED})
"""The final statuses without a delivery."""


class DeliveryProgress(NamedTuple):
    """How far a callback has come: the part of it that changes."""

    date_updated: datetime
    status: CallbackStatus = CallbackStatus.SCHEDULED
    status_reason: str | None = None
    attempt_count: int = 0
    due: datetime | None = None
    """When the next attempt is to be made; None while one is under way, and after the end."""
    round_attempts: int = 0
    round_began: datetime | None = None
    round_number: int = 0
    """The number of rounds before the present one."""

    @property
    def is_ended(self) -> bool:
        """Whether its status is final."""
        return self.status is not CallbackStatus.SCHEDULED

    @property
    def is_under_way(self) -> bool:
        """Whether an attempt is being made."""
        return self.due is None and self.status is CallbackStatus.SCHEDULED

    @property
    def round(self) -> AttemptRound:
        """Where a callback with an attempt under way is in its rounds."""
        return AttemptRound(
            self.round_attempts, self.round_began or self.date_updated, self.round_number
        )

    def held_up(self, by: timedelta) -> Self:
        """Return the progress with its round prolonged by this delay of ours."""
        began = self.round_began
        return self._replace(round_began=None if began is None else began + by)


class CallbackRecord(NamedTuple):
    """One notification to one receiver, from its creation to its end.

    Source, token and payload are chosen when it is created and never change, so that a receiver
    recognises each retry and replay.
    """

    sid: str
    account_sid: str
    url: CallbackUrl
    method: HttpMethod
    body: str
    """The encoded parameters: the body of a POST, the end of a GET's query. Of a test: JSON."""
    source: SourceName
    source_asked: SourceName | None
    source_reason: str
    idempotency_token: str
    date_created: datetime
    progress: DeliveryProgress
    idempotency_key: str | None = None
    """A key that its creator gave it; a second callback with the same key is not created."""
    replay_of: str | None = None
    """The SID of the callback that this one repeats from the other source."""
    is_test: bool = False
    """Whether it is a test event: JSON, always from KORE's infrastructure, and only one round."""
    secret_id: str | None = None
    """The id of the webhook secret that signs it; None for the one active when it is sent."""

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """The parameters of the callback, decoded and in order; a test event has none."""
        return [] if self.is_test else decode(self.body)

    @property
    def called(self) -> CallbackUrl:
        """The URL that is called; a GET has the parameters in it, unless it is a test event."""
        if self.method is HttpMethod.POST or self.is_test:
            return self.url
        return self.url.with_parameters(self.body)

    @property
    def sent_body(self) -> str:
        """The body of the request."""
        return self.body if self.method is HttpMethod.POST else ""

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings about the request that asked for this callback."""
        return self.url.warnings

    @property
    def status(self) -> CallbackStatus:
        """The status of the present state."""
        return self.progress.status

    def retry_rules(self, schedule: RetrySchedule) -> RetryRules:
        """Return the rules for its retries; a test event has one round, whatever the schedule."""
        return RetryRules(self.url.connection, self.source, FAITHFUL if self.is_test else schedule)

    def having(self, progress: DeliveryProgress) -> Self:
        """Return the callback with this progress."""
        return self._replace(progress=progress)


class Attempt(NamedTuple):
    """One request that was sent, or was about to be; `result` is open until it has ended."""

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
    timings: RequestTimings | None = None
    local_address: str | None = None
    proxy: str | None = None
    request: SentRequestRecord | None = None
    response: ReceiverResponseRecord | None = None


def begin(
    progress: DeliveryProgress, now: datetime, *, total_timeout: timedelta
) -> DeliveryProgress:
    """Return the progress of a callback whose next attempt is under way.

    A retry is due at once, so if it comes after the end of its round's time, we have delayed it.
    The round then gets its whole time again: the receiver must not pay for our absence.
    """
    began = progress.round_began
    is_late = began is None or began + total_timeout <= now
    return DeliveryProgress(
        now,
        CallbackStatus.SCHEDULED,
        None,
        progress.attempt_count + 1,
        None,
        progress.round_attempts + 1,
        now if is_late else began,
        progress.round_number,
    )


def put_back(
    progress: DeliveryProgress, now: datetime, *, due: datetime | None = None
) -> DeliveryProgress:
    """Return the progress of a callback whose attempt was begun, but never sent.

    It is due now, or at the given instant.
    """
    return progress._replace(
        due=due or now,
        attempt_count=progress.attempt_count - 1,
        round_attempts=progress.round_attempts - 1,
        round_began=progress.round_began if progress.round_attempts > 1 else None,
        date_updated=now,
    )


def plan_anew(progress: DeliveryProgress, now: datetime) -> DeliveryProgress:
    """Return the progress of a callback that was scheduled by a clock that was ahead of now.

    It waits from now on, for as long as it was meant to wait then.
    """
    if progress.due is None:
        return progress
    wait, began = progress.due - progress.date_updated, progress.round_began
    return progress._replace(
        due=now + wait, date_updated=now, round_began=None if began is None else min(began, now)
    )


def delivered(progress: DeliveryProgress, now: datetime) -> DeliveryProgress:
    """Return the progress of a callback that was delivered."""
    # Not by `_replace`, which takes twice as long: this is what becomes of most callbacks.
    return DeliveryProgress(
        now, CallbackStatus.DELIVERED, None, progress.attempt_count, None, *progress[5:]
    )


def advance(progress: DeliveryProgress, decision: Decision, now: datetime) -> DeliveryProgress:
    """Return the progress after an attempt, by the decision about it."""
    match decision:
        case NoRetryNeeded():
            return delivered(progress, now)
        case GiveUp(why):
            return progress._replace(
                status=CallbackStatus.FAILED, status_reason=why, date_updated=now
            )
        case RetryNow():
            return progress._replace(due=now, date_updated=now)
        case RetryLater(at, number):
            return progress._replace(
                due=at, round_attempts=0, round_began=None, round_number=number, date_updated=now
            )
        case _:
            assert_never(decision)


def replay(progress: DeliveryProgress, now: datetime) -> DeliveryProgress:
    """Return the progress of a callback that is replayed, from its first round on."""
    return DeliveryProgress(date_updated=now, attempt_count=progress.attempt_count, due=now)


def discard(progress: DeliveryProgress, why: str, now: datetime) -> DeliveryProgress:
    """Return the progress of a callback that a person discards."""
    return progress._replace(
        status=CallbackStatus.DISCARDED, status_reason=why, due=None, date_updated=now
    )


def settle(
    attempt: Attempt, ended: AttemptResult, request: SentRequestRecord | None, *, started: datetime
) -> Attempt:
    """Return the ended row of an open attempt, with the time at which it really started."""
    outcome, timings, response, local_address, proxy, _ = ended
    return Attempt(
        *attempt[:3],
        started,
        outcome.label,
        status_of(outcome),
        code_of(outcome),
        failure_of(outcome),
        describe(outcome),
        timings,
        local_address,
        proxy,
        request,
        response,
    )
