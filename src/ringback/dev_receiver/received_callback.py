"""A request that the listener received, with all that was found out about it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from ringback.dev_receiver.forwarder import ForwardingResult
from ringback.dev_receiver.responses import FailureMode
from ringback.dev_receiver.seen_tokens import SeenTokenCount
from ringback.receiver.verification import ReceivedRequest, Verdict


@dataclass(frozen=True, slots=True)
class CheckedRequest:
    """A request, the verdict on it, and its answer."""

    at: datetime
    request: ReceivedRequest
    verdict: Verdict
    seen: SeenTokenCount | None
    """None where the request has no token."""
    answered: int
    after: timedelta = timedelta(0)
    on_purpose: FailureMode | None = None
    """The mode that asked for this answer, where it is a failure on purpose."""
    forwarded: ForwardingResult | None = None
