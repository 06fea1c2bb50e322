"""A request that the listener heard, with all that was found out about it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from ringback.dev_receiver.forwarder import ForwardingResult
from ringback.dev_receiver.responses import FailureMode
from ringback.dev_receiver.seen_tokens import TokenSighting
from ringback.receiver.verification import ReceivedRequest, Verdict


@dataclass(frozen=True, slots=True)
class CheckedRequest:
    """A request, what it was taken for, and what it is answered."""

    at: datetime
    request: ReceivedRequest
    verdict: Verdict
    seen: TokenSighting | None
    """None where it has no token to be recognised by."""
    answered: int
    after: timedelta = timedelta(0)
    on_purpose: FailureMode | None = None
    """What asked for this answer, where it is a failure on purpose."""
    forwarded: ForwardingResult | None = None
