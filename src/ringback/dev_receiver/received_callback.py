"""A request that the listener received, with its verification and its answer."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from ringback.dev_receiver.forwarder import ForwardingResult
from ringback.dev_receiver.responses import FailureMode
from ringback.dev_receiver.seen_tokens import SeenTokenCount
from ringback.receiver.events import TypedEvent
from ringback.receiver.verification import ReceivedRequest, Verdict


@dataclass(frozen=True, slots=True)
class CountedEvent:
    """An event of an event stream, and how often it has come."""

    event: TypedEvent
    seen: SeenTokenCount | None
    """How often this event has come, from either source; None for a test event."""


@dataclass(frozen=True, slots=True)
class CheckedRequest:
    """A received request, the verdict on its signature, and the HTTP status of the answer."""

    at: datetime
    request: ReceivedRequest
    verdict: Verdict
    seen: SeenTokenCount | None
    """How often this callback has come; None if the request has no idempotency token."""
    answered: int
    after: timedelta = timedelta(0)
    on_purpose: FailureMode | None = None
    """The failure mode if the listener failed this request deliberately, else None."""
    forwarded: ForwardingResult | None = None
    events: tuple[CountedEvent, ...] = ()
    """The events of an event stream, in order; empty for any other request."""
