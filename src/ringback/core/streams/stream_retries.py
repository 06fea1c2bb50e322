"""How each source retries a batch, and the error codes of attempts that failed.

Twilio: 5 s for an answer; 429, 5xx and no answer are retried with longer and longer waits, until
four hours after the first attempt; any other 4xx ends it
(twilio.com/docs/events/event-delivery-and-duplication). What Twilio does with a 3xx is not
documented; we retry it. KORE: 5 s, and three further attempts with longer and longer waits
(docs.korewireless.com); for which answers, and how long the waits are, is not documented.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from ringback.core.callback_urls.connection_overrides import ConnectionOverrides
from ringback.core.http.outcome import (
    AttemptFailure,
    NoAnswerOutcome,
    Outcome,
    RefusedOutcome,
    code_of,
)
from ringback.core.policy.source_policy import Source, SourceName

_LIMIT: Final = 5000
"""The time limit of an attempt, in milliseconds."""
_WINDOW: Final = timedelta(hours=4)
_TOO_MANY_REQUESTS: Final = 429
_JITTER: Final = 0.2


@dataclass(frozen=True)
class StreamRetries:
    """How one source sends a batch, and sends it again."""

    connection: ConnectionOverrides
    """The timeouts of an attempt; the total timeout is that of all attempts together."""
    waits: tuple[timedelta, ...]
    """The waits before the second and each later attempt; the last one is repeated if `is_open`."""
    is_open: bool
    """True if only the total timeout ends the attempts."""

    def wait_after(self, attempts: int, *, jitter: float) -> timedelta | None:
        """Return the wait after this many attempts, or None if that was the last one.

        `jitter` is a random number from 0 to 1.

        >>> STREAM_RETRIES[Source.KORE].wait_after(2, jitter=0.5)
        datetime.timedelta(seconds=10)
        """
        if self.is_open:
            return self.waits[min(attempts, len(self.waits)) - 1] * jitter
        if attempts > len(self.waits):
            return None
        return self.waits[attempts - 1] * (1 + _JITTER * (2 * jitter - 1))

    def why_ended(self, outcome: RefusedOutcome | NoAnswerOutcome) -> str | None:
        """Return why a failed batch is not sent again; None if it is.

        Twilio discards events for a Kinesis stream that does not exist (93104). What KORE does then
        is not documented; we do the same.
        """
        if (
            isinstance(outcome, NoAnswerOutcome)
            and outcome.failure is AttemptFailure.KINESIS_STREAM
        ):
            return "not tried again, since the name or the region in the stream's ARN is wrong"
        if not self.is_open or not isinstance(outcome, RefusedOutcome):
            return None
        if 400 <= outcome.status <= 499 and outcome.status != _TOO_MANY_REQUESTS:
            return "not tried again, since Twilio does not retry events after a 4xx but 429"
        return None


STREAM_RETRIES: Final[Mapping[SourceName, StreamRetries]] = {
    Source.TWILIO: StreamRetries(
        ConnectionOverrides(
            connect_timeout_ms=_LIMIT,
            read_timeout_ms=_LIMIT,
            total_timeout_ms=_WINDOW // timedelta(milliseconds=1),
            attempt_timeout_ms=_LIMIT,
        ),
        (*(timedelta(seconds=2**doubling) for doubling in range(10)), timedelta(minutes=10)),
        is_open=True,
    ),
    # All attempts and waits take at most 95 s; the total timeout is only a limit beyond that.
    Source.KORE: StreamRetries(
        ConnectionOverrides(
            connect_timeout_ms=_LIMIT,
            read_timeout_ms=_LIMIT,
            total_timeout_ms=120_000,
            attempt_timeout_ms=_LIMIT,
        ),
        tuple(timedelta(seconds=seconds) for seconds in (2, 10, 50)),
        is_open=False,
    ),
}
"""How each source sends batches."""

_TIMEOUTS: Final = frozenset({AttemptFailure.READ_TIMEOUT, AttemptFailure.TOTAL_TIMEOUT})
_OF_KINESIS: Final = range(93101, 93105)


def stream_code_of(outcome: Outcome) -> int | None:
    """Return the error code of an attempt to send a batch; None if it was delivered.

    The codes are Twilio's for Event Streams (twilio.com/docs/api/errors).

    >>> stream_code_of(RefusedOutcome(404)), stream_code_of(RefusedOutcome(503))
    (91305, 91306)
    """
    code = code_of(outcome)
    if code is None or code in _OF_KINESIS:
        return code
    match outcome:
        case RefusedOutcome(status) if 400 <= status <= 499:
            return 91305
        case RefusedOutcome(status) if status >= 500:
            return 91306
        case NoAnswerOutcome(failure) if failure in _TIMEOUTS:
            return 91308
        case NoAnswerOutcome():
            return 91307
        case _:
            return 91300
