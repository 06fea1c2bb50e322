"""The events of a run, in their order; equal runs have equal traces."""

from hashlib import blake2b
from typing import Any


class Trace:
    """Records events with their virtual time."""

    def __init__(self) -> None:
        self._events = list[tuple[float, str, tuple[Any, ...]]]()

    def note(self, now: float, what: str, *details: Any) -> None:
        """Record an event; its details become text only when somebody reads them."""
        self._events.append((now, what, details))

    def lines(self) -> list[str]:
        """Return the events as text."""
        return [
            f"{now:12.6f}  {what:<13} {' '.join(map(str, details))}".rstrip()
            for now, what, details in self._events
        ]

    def kinds(self) -> set[str]:
        """Return the kinds of events that happened."""
        return {what for _, what, _ in self._events}

    def digest(self) -> str:
        """Return a hash of all events."""
        return blake2b("\n".join(self.lines()).encode(), digest_size=16).hexdigest()
