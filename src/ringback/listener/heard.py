"""A request that the listener heard, with all that was found out about it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from ringback.listener.answers import Manners
from ringback.listener.forwarding import Forwarded
from ringback.listener.seen import Seen
from ringback.receiver.checking import ReceivedRequest, Verdict


@dataclass(frozen=True, slots=True)
class Heard:
    """A request, what it was taken for, and what it is answered."""

    at: datetime
    request: ReceivedRequest
    verdict: Verdict
    seen: Seen | None
    """None where it has no token to be recognised by."""
    answered: int
    after: timedelta = timedelta(0)
    on_purpose: Manners | None = None
    """What asked for this answer, where it is a failure on purpose."""
    forwarded: Forwarded | None = None
