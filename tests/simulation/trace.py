"""What happened in a run, in its order; equal runs have equal traces."""

from hashlib import blake2b
from typing import Any


class Trace:
    """Notes events with their virtual time."""

    def __init__(self) -> None:
        self._events = list[tuple[float, str, tuple[Any, ...]]]()

    def note(self, now: float, what: str, *details: Any) -> None:
        """Note an event; its details are put into words only if somebody reads them."""
        self._events.append((now, what, details))

    def lines(self) -> list[str]:
        """Return the events in words."""
        return [
            f"{now:12.6f}  {what:<13} {' '.join(map(str, details))}".rstrip()
            for now, what, details in self._events
        ]

    def kinds(self) -> set[str]:
        """Return what has happened at all."""
        return {what for _, what, _ in self._events}

    def digest(self) -> str:
        """Return a hash of all events."""
        return blake2b("\n".join(self.lines()).encode(), digest_size=16).hexdigest()
