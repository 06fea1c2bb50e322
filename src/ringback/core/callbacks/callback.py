"""Callbacks and their attempts: the fields that are saved, and how each step changes them."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple, Self, assert_never

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
from ringback.core.http.http_exchange import (
    AttemptResult,
    ReceiverResponseRecord,
    RequestTimings,
    SentRequestRecord,
)
from ringback.core.http.outcome import code_of, describe, failure_of, status_of
from ringback.core.policy.source_policy import Source, SourceName
from ringback.core.retry_schedule import FAITHFUL, RetrySchedule
from ringback.core.sources.body_encoding import read_body
from ringback.core.sources.signature import BODY_HASH, body_hash
from ringback.core.streams.kinesis_stream import SCHEME, with_partition_key
from ringback.core.streams.stream_retries import STREAM_RETRIES, stream_code_of


class CallbackStatus(StrEnum):
    """The status of a callback; every status but `scheduled` is final."""

    SCHEDULED = "scheduled"
    DELIVERED = "delivered"
    FAILED = "failed"
    DISCARDED = "discarded"


UNDELIVERED = frozenset({CallbackStatus.FAILED, CallbackStatus.DISCARDED})
"""The final statuses of callbacks that were not delivered."""


class DeliveryProgress(NamedTuple):
    """The part of a callback that changes: its status, its attempts so far, its next attempt."""

    date_updated: datetime
    status: CallbackStatus = CallbackStatus.SCHEDULED
    status_reason: str | None = None
    attempt_count: int = 0
    due: datetime | None = None
    """When the next attempt is due; None while an attempt is under way, and after the end."""
    round_attempts: int = 0
    """The number of attempts in the current round; 0 after the end."""
    round_began: datetime | None = None
    round_number: int = 0
    """The number of rounds before the current one."""

    @property
    def is_ended(self) -> bool:
        """True if the callback's status is final."""
        return self.status is not CallbackStatus.SCHEDULED

    @property
    def is_under_way(self) -> bool:
        """True while an attempt to send the callback is being made."""
        return self.due is None and self.status is CallbackStatus.SCHEDULED

    @property
    def round(self) -> AttemptRound:
        """The current round of attempts; only for a callback with an attempt under way."""
        return AttemptRound(
            self.round_attempts, self.round_began or self.date_updated, self.round_number
        )

    def held_up(self, by: timedelta) -> Self:
        """Return the progress with its round prolonged by a delay that Ringback itself caused."""
        began = self.round_began
        return self._replace(round_began=None if began is None else began + by)


class StreamBatch(NamedTuple):
    """What only a request of an event stream has."""

    stream_sid: str
    """The SID of the subscription whose events these are; for a test event, of the sink."""
    references: str = ""
    """The events by their numbers (`streams/event_references`); empty for a test event."""


def url_of_batch(url: CallbackUrl, source: SourceName, body: str) -> CallbackUrl:
    """Return the URL that a source requests for a batch with this body."""
    if source != Source.TWILIO:
        return url
    return url.with_parameters(f"{BODY_HASH}={body_hash(body.encode())}")


FORGED: Final = "forged"
"""The `secret_id` of a forged test event, which receivers must refuse."""


class CallbackRecord(NamedTuple):
    """One notification to one receiver, from its creation to its end.

    Source, token and payload are chosen when the callback is created and never change, so that a
    receiver recognises each retry and replay.
    """

    sid: str
    account_sid: str
    url: CallbackUrl
    method: HttpMethod
    body: str
    """The encoded parameters, sent as a POST's body or in a GET's query; JSON if it has events.

    In a body, the source chooses the encoding when the callback is created; in a query, it is a
    form. A test event and a batch of a stream have events.
    """
    source: SourceName
    source_asked: SourceName | None
    source_reason: str
    idempotency_token: str
    date_created: datetime
    progress: DeliveryProgress
    idempotency_key: str | None = None
    """The key that the client gave to avoid creating the callback twice; None if it gave none."""
    replay_of: str | None = None
    """The SID of the callback that this one repeats from another source; None for an original."""
    is_test: bool = False
    """True for a test event: JSON, sent by KORE's infrastructure, with only one round."""
    secret_id: str | None = None
    """The id of the webhook secret that signs the callback; None for the active secret.

    FORGED makes the callback a forgery, signed with a secret that no receiver has.
    """
    event: str | None = None
    """The kind of event that the callback reports; None if its parameters show none."""
    sim_sid: str | None = None
    """The SID of the SIM that the callback is about; None if it is about none."""
    created_by: str | None = None
    """Whose request created the callback: an `Actor.id`; None for the server itself."""
    order_key: str | None = None
    """Callbacks of an account to one destination with the same key are sent in order; or None."""
    part: str = ""
    """The path pattern of the destination's part that it is for, as `/app/*`; empty for none."""
    stream: StreamBatch | None = None
    """What only a batch of a stream has; None for a callback."""

    @property
    def has_events(self) -> bool:
        """True if the body is JSON with events, in place of parameters."""
        return self.is_test or self.stream is not None

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """The callback's parameters, decoded and in order; empty if it has events."""
        return [] if self.has_events else read_body(self.body)

    @property
    def destination(self) -> str:
        """Where it goes: scheme, host and port, and the path pattern of a part."""
        return self.url.destination + self.part if self.part else self.url.destination

    @property
    def called(self) -> CallbackUrl:
        """The URL that is requested.

        A GET has the parameters in it. A batch from twilio has the hash of its body in it, which
        the signature covers with the URL. A record of a Kinesis stream has its partition key in it.
        """
        if self.url.scheme == SCHEME:
            return with_partition_key(self.url, self.sim_sid or self.account_sid)
        if self.stream is not None:
            return url_of_batch(self.url, self.source, self.body)
        if self.method is HttpMethod.POST or self.has_events:
            return self.url
        return self.url.with_parameters(self.body)

    @property
    def sent_body(self) -> str:
        """The body of the request; empty for a GET, but for that of a stream.

        How the vendors send events to a GET sink is not documented; that they are in its body is
        our guess.
        """
        has_body = self.method is HttpMethod.POST or self.stream is not None
        return self.body if has_body else ""

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings about the callback's URL, such as one about an unknown fragment key."""
        return self.url.warnings

    @property
    def status(self) -> CallbackStatus:
        """The callback's current status."""
        return self.progress.status

    def retry_rules(self, schedule: RetrySchedule) -> RetryRules:
        """Return the callback's retry rules; a test event has one round, whatever the schedule."""
        rounds = FAITHFUL if self.is_test else schedule
        stream = None if self.stream is None else STREAM_RETRIES.get(self.source)
        return RetryRules(self.url.connection, self.source, rounds, stream)

    def having(self, progress: DeliveryProgress) -> Self:
        """Return a copy of the callback with this progress."""
        # Without `_replace`, which takes three times as long: each new callback is claimed so.
        return type(self)(*self[:10], progress, *self[11:])


HIDDEN_PROXY: Final = "the operator's proxy"
"""What accounts see in place of a proxy's address."""


class Attempt(NamedTuple):
    """One attempt to send a callback; `result` is `open` until the attempt has ended."""

    callback_sid: str
    account_sid: str
    number: int
    """The attempt's number, counted from 1 over all rounds of the callback."""
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

    @property
    def for_account(self) -> "Attempt":
        """The attempt as its account may see it: without the address of the operator's proxy."""
        return self if self.proxy is None else self._replace(proxy=HIDDEN_PROXY)


def begin(
    progress: DeliveryProgress, now: datetime, *, total_timeout: timedelta
) -> DeliveryProgress:
    """Return the progress of a callback whose next attempt begins now; see `under_way`."""
    _, _, _, attempts, _, round_attempts, round_began, number = progress
    return under_way(
        now, attempts, round_attempts, round_began, number, total_timeout=total_timeout
    )


def under_way(
    now: datetime,
    attempts: int,
    round_attempts: int,
    round_began: datetime | None,
    round_number: int,
    *,
    total_timeout: timedelta,
) -> DeliveryProgress:
    """Return the progress of a callback whose next attempt begins now, after `attempts` others.

    If the round's `total_timeout` is already over, Ringback itself was late, for example because it
    was stopped. The round then gets its full `total_timeout` again.
    """
    is_late = round_began is None or round_began + total_timeout <= now
    return DeliveryProgress(
        now,
        CallbackStatus.SCHEDULED,
        None,
        attempts + 1,
        None,
        round_attempts + 1,
        now if is_late else round_began,
        round_number,
    )


def put_back(
    progress: DeliveryProgress, now: datetime, *, due: datetime | None = None
) -> DeliveryProgress:
    """Return the progress of a callback whose request was not sent: the attempt does not count.

    The callback is due again at `due`, or now if that is None.
    """
    return progress._replace(
        due=due or now,
        attempt_count=progress.attempt_count - 1,
        round_attempts=progress.round_attempts - 1,
        round_began=progress.round_began if progress.round_attempts > 1 else None,
        date_updated=now,
    )


def plan_anew(progress: DeliveryProgress, now: datetime) -> DeliveryProgress:
    """Return the progress of a waiting callback whose wait starts again now.

    This corrects a callback that was scheduled while the clock was set too far ahead.
    """
    if progress.due is None:
        return progress
    wait, began = progress.due - progress.date_updated, progress.round_began
    return progress._replace(
        due=now + wait, date_updated=now, round_began=None if began is None else min(began, now)
    )


def delivered(progress: DeliveryProgress, now: datetime) -> DeliveryProgress:
    """Return the progress of a callback that was delivered now."""
    return ended(progress, CallbackStatus.DELIVERED, None, now)


def advance(progress: DeliveryProgress, decision: Decision, now: datetime) -> DeliveryProgress:
    """Return a callback's progress after an attempt: delivered, failed, or due for a retry."""
    match decision:
        case NoRetryNeeded():
            return delivered(progress, now)
        case GiveUp(why):
            return ended(progress, CallbackStatus.FAILED, why, now)
        case RetryNow(at):
            return progress._replace(due=at or now, date_updated=now)
        case RetryLater(at, number):
            return progress._replace(
                due=at, round_attempts=0, round_began=None, round_number=number, date_updated=now
            )
        case _:
            assert_never(decision)


def replay(progress: DeliveryProgress, now: datetime) -> DeliveryProgress:
    """Return the progress of a callback that is replayed: due now, in its first round."""
    return DeliveryProgress(date_updated=now, attempt_count=progress.attempt_count, due=now)


def discard(progress: DeliveryProgress, why: str, now: datetime) -> DeliveryProgress:
    """Return the progress of a callback that a person discards, with the reason `why`."""
    return ended(progress, CallbackStatus.DISCARDED, why, now)


def ended(
    progress: DeliveryProgress, status: CallbackStatus, why: str | None, now: datetime
) -> DeliveryProgress:
    """Return the progress of a callback that has ended now, with this status and reason."""
    # By position, which takes half as long as by name: every callback ends here.
    return DeliveryProgress(now, status, why, progress[3], None, 0, None, progress[7])


def settle(
    attempt: Attempt,
    ended: AttemptResult,
    request: SentRequestRecord | None,
    *,
    started: datetime,
    is_stream: bool = False,
) -> Attempt:
    """Return an attempt after it has ended: with its result, its request and its real start.

    `is_stream` says that it was one of a batch of a stream, which has error codes of its own.
    """
    outcome, timings, response, local_address, proxy, _ = ended
    return Attempt(
        *attempt[:3],
        started,
        outcome.label,
        status_of(outcome),
        stream_code_of(outcome) if is_stream else code_of(outcome),
        failure_of(outcome),
        describe(outcome),
        timings,
        local_address,
        proxy,
        request,
        response,
    )
