"""Events about destinations, of which an account or the operator can get callbacks."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from ringback.core.calendar import iso

QUIET: Final = timedelta(minutes=10)
"""For how long no other event of the same kind is sent about a destination."""


class DestinationEventKind(StrEnum):
    """The kinds of events about a destination."""

    FAILING = "destination.failing"
    """The share of its failed requests is that at which a breaker opens."""
    OPENED = "destination.opened"
    """Its breaker has opened: nothing is sent but probes."""
    RECOVERED = "destination.recovered"
    """A probe was answered, so its breaker has closed."""
    PAUSED = "destination.paused"
    """The account, or the operator, has paused it."""
    DISABLED = "destination.disabled"
    """It gets nothing any more until somebody resumes it."""
    EXHAUSTED = "callback.exhausted"
    """A callback to it has failed: it is not sent again unless somebody replays it."""


class DestinationEvent(NamedTuple):
    """An event about a destination."""

    kind: DestinationEventKind
    account_sid: str
    destination: str
    at: datetime
    reason: str
    """Why, in words."""
    callback_sid: str | None = None
    """The callback that the event is about; None if it is not about one."""

    def parameters(self) -> list[tuple[str, str]]:
        """Return the event as the parameters of a callback.

        >>> kind, at = DestinationEventKind.OPENED, datetime(2026, 11, 29, 10, 0)
        >>> DestinationEvent(kind, "AC1", "https://a.example:443", at, "why").parameters()[0]
        ('EventType', 'destination.opened')
        """
        pairs = [
            ("EventType", self.kind.value),
            ("AccountSid", self.account_sid),
            ("Destination", self.destination),
            ("Timestamp", iso(self.at)),
            ("Reason", self.reason),
        ]
        if self.callback_sid is not None:
            pairs.append(("CallbackSid", self.callback_sid))
        return pairs
