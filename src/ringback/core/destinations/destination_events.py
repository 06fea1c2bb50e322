"""Events about destinations, of which an account or the operator can get callbacks."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from ringback.core.calendar import iso
from ringback.core.events.event_kinds import DestinationEventKind

QUIET: Final = timedelta(minutes=10)
"""For how long no other event of the same kind is sent about a destination."""


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
