"""The possible outcomes of an attempt, each with an error code and a description.

The codes are Twilio's for webhooks, 112xx (twilio.com/docs/api/errors). Twilio has no code for an
address that Ringback refuses, for egress routes that fail or are exhausted, or for a secret or a
source that no longer exists: these cases have 11205, no connection. Failures of a Kinesis stream
have Twilio's codes for Event Streams, 931xx.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import ClassVar, Final, assert_never

from ringback.core.callback_urls.connection_overrides import RetryOn


class AttemptFailure(Enum):
    """A reason why no answer came.

    Each reason has a name, an error code, and the value of a URL's retry policy (`#rp=`) with which
    the attempt is retried; None if it is never retried, or not by such a policy.
    """

    NAME = ("name", 11210, RetryOn.CONNECT)
    GUARD = ("guard", 11205, None)
    CONNECT = ("connect", 11205, RetryOn.CONNECT)
    CONNECT_TIMEOUT = ("connect_timeout", 11205, RetryOn.CONNECT)
    EGRESS = ("egress", 11205, RetryOn.CONNECT)
    """No egress route works: a problem of this machine, not of the receiver."""
    PROXY = ("proxy", 11205, RetryOn.CONNECT)
    """The operator's own proxy can't be reached, or does not speak HTTP."""
    PROXY_REFUSED = ("proxy_refused", 11205, RetryOn.CONNECT)
    PROXY_TIMEOUT = ("proxy_timeout", 11205, RetryOn.CONNECT)
    TLS = ("tls", 11220, RetryOn.CONNECT)
    CERTIFICATE_NAME = ("certificate_name", 11235, RetryOn.CONNECT)
    CERTIFICATE_EXPIRED = ("certificate_expired", 11236, RetryOn.CONNECT)
    CERTIFICATE_UNTRUSTED = ("certificate_untrusted", 11237, RetryOn.CONNECT)
    STALE = ("stale", 11205, RetryOn.CONNECT)
    """The receiver closed a kept-alive connection before it answered anything."""
    READ_TIMEOUT = ("read_timeout", 11205, RetryOn.READ)
    TOTAL_TIMEOUT = ("total_timeout", 11205, RetryOn.READ)
    NO_TIME = ("no_time", 11205, RetryOn.READ)
    """The time for all attempts was over before anything was sent."""
    CLOSED = ("closed", 11200, RetryOn.READ)
    PROTOCOL = ("protocol", 11206, RetryOn.READ)
    SECRET = ("secret", 11205, None)
    """The webhook secret that should sign the request no longer exists; nothing was sent."""
    SOURCE = ("source", 11205, None)
    """The callback's source is no longer in the settings; nothing was sent."""
    SHORTAGE = ("shortage", 11205, None)
    """This machine lacked file descriptors, buffers or time to connect; nothing was sent."""
    NO_LOCAL_PORT = ("no_local_port", 11205, None)
    """All local ports for connections to the receiver's address were in use; nothing was sent."""
    LEASE = ("lease", 11205, None)
    """This process's lease on the destination has ended; nothing was sent."""
    HELD = ("held", 11205, None)
    """The destination was paused, or its breaker opened, before the request left."""
    INTERNAL = ("internal", 11200, None)
    """Ringback itself failed; the log has the traceback."""
    KINESIS_CLIENT = ("kinesis_client", 93101, None)
    """This server lacks botocore, credentials for AWS or the sink's record; nothing was written."""
    KINESIS_WRITE = ("kinesis_write", 93101, None)
    """The Kinesis stream did not take the record, or gave no answer in time."""
    KINESIS_ROLE = ("kinesis_role", 93102, None)
    """AWS refused to let the sink's role be assumed; nothing was written."""
    KINESIS_SHARDS = ("kinesis_shards", 93103, None)
    """The shards of the Kinesis stream can't be read; nothing was written."""
    KINESIS_STREAM = ("kinesis_stream", 93104, None)
    """There is no such Kinesis stream: the name or the region in its ARN is wrong."""

    def __init__(self, label: str, code: int, retry_on: RetryOn | None) -> None:
        self.label = label
        self.code = code
        self.retry_on = retry_on


@dataclass(frozen=True, slots=True)
class DeliveredOutcome:
    """The receiver answered with a status from 200 to 299."""

    label: ClassVar[str] = "delivered"
    status: int


@dataclass(frozen=True, slots=True)
class RefusedOutcome:
    """The receiver answered with a status that is not from 200 to 299."""

    label: ClassVar[str] = "refused"
    status: int
    location: str | None = None
    """The URL that a redirect points to; redirects are not followed."""
    retry_after: str | None = None
    """The Retry-After header of a 429 or 503 answer, as received."""


@dataclass(frozen=True, slots=True)
class NoAnswerOutcome:
    """The receiver sent no complete answer."""

    label: ClassVar[str] = "unreachable"
    failure: AttemptFailure
    why: str


@dataclass(frozen=True, slots=True)
class UnknownOutcome:
    """The process stopped during the attempt, so the request may or may not have arrived."""

    label: ClassVar[str] = "unknown"


Outcome = DeliveredOutcome | RefusedOutcome | NoAnswerOutcome | UnknownOutcome

NEVER_SENT: Final = frozenset(
    each.label
    for each in (
        AttemptFailure.NAME,
        AttemptFailure.GUARD,
        AttemptFailure.CONNECT,
        AttemptFailure.CONNECT_TIMEOUT,
        AttemptFailure.EGRESS,
        AttemptFailure.PROXY,
        AttemptFailure.PROXY_REFUSED,
        AttemptFailure.PROXY_TIMEOUT,
        AttemptFailure.NO_TIME,
        AttemptFailure.TLS,
        AttemptFailure.CERTIFICATE_NAME,
        AttemptFailure.CERTIFICATE_EXPIRED,
        AttemptFailure.CERTIFICATE_UNTRUSTED,
        AttemptFailure.SECRET,
        AttemptFailure.SOURCE,
        AttemptFailure.SHORTAGE,
        AttemptFailure.NO_LOCAL_PORT,
        AttemptFailure.LEASE,
        AttemptFailure.HELD,
        AttemptFailure.KINESIS_CLIENT,
        AttemptFailure.KINESIS_ROLE,
        AttemptFailure.KINESIS_SHARDS,
        AttemptFailure.KINESIS_STREAM,
    )
)
"""The names of failures before the receiver got anything of the request."""
_OF_A_PROXY: Final = frozenset({408, 502, 504})
"""Statuses by which a proxy may say that the receiver behind it was too slow, or cut off."""

SHORTAGES: Final = frozenset(
    {AttemptFailure.SHORTAGE, AttemptFailure.NO_LOCAL_PORT, AttemptFailure.LEASE}
)
"""Failures because this process lacks something: nothing was sent, the callback is due again."""
GONE: Final = 410
_REASONS: Final[Mapping[int, str]] = {status.value: status.phrase for status in HTTPStatus}


def answered(
    status: int, *, location: str | None = None, retry_after: str | None = None
) -> DeliveredOutcome | RefusedOutcome:
    """Return the outcome of an attempt that was answered with this status."""
    if 200 <= status <= 299:
        return DeliveredOutcome(status)
    return RefusedOutcome(status, location, retry_after)


def status_of(outcome: Outcome) -> int | None:
    """Return the HTTP status of the receiver's answer; None if there was no complete answer."""
    return outcome.status if isinstance(outcome, (DeliveredOutcome, RefusedOutcome)) else None


def failure_of(outcome: Outcome) -> str | None:
    """Return the name of the failure that prevented an answer; None if an answer came."""
    return outcome.failure.label if isinstance(outcome, NoAnswerOutcome) else None


def is_refusal(status: int | None, failure: str | None) -> bool:
    """Return True if the receiver has refused a request, or never got it.

    Takes the attempt's `status_of` and `failure_of`. If the result is False, the receiver may have
    acted on the request: it accepted it, did not answer, or was cut off; or the answer is a
    redirect, or may be that of a proxy which did not wait any longer.

    >>> is_refusal(403, None), is_refusal(504, None), is_refusal(None, "read_timeout")
    (True, False, False)
    """
    if status is not None:
        return 400 <= status <= 599 and status not in _OF_A_PROXY
    return failure in NEVER_SENT


def code_of(outcome: Outcome) -> int | None:
    """Return the error code of a failed attempt; None if the callback was delivered.

    >>> code_of(RefusedOutcome(503)), code_of(DeliveredOutcome(200))
    (11217, None)
    """
    match outcome:
        case DeliveredOutcome():
            return None
        case RefusedOutcome(status) if 300 <= status <= 399:
            return 11215
        case RefusedOutcome(status) if 400 <= status <= 599:
            return 11217
        case RefusedOutcome():
            return 11206
        case NoAnswerOutcome(failure):
            return failure.code
        case UnknownOutcome():
            return 11200
        case _:
            assert_never(outcome)


def describe(outcome: Outcome) -> str:
    """Return a phrase that explains to people how an attempt ended.

    >>> describe(RefusedOutcome(302, "https://else.example"))
    'the receiver answered 302 Found, pointing to https://else.example; redirects are not followed'
    """
    match outcome:
        case DeliveredOutcome(status):
            return f"the receiver answered {_phrase(status)}"
        case RefusedOutcome(status, location) if 300 <= status <= 399:
            to = f", pointing to {location}" if location else ""
            return f"the receiver answered {_phrase(status)}{to}; redirects are not followed"
        case RefusedOutcome(status):
            return f"the receiver answered {_phrase(status)}"
        case NoAnswerOutcome(_, why):
            return why
        case UnknownOutcome():
            return (
                "the process stopped before the attempt's result was known; the request may"
                " have arrived"
            )
        case _:
            assert_never(outcome)


def _phrase(status: int) -> str:
    return f"{status} {_REASONS.get(status, '')}".strip()
