"""Says to all loops of a process whether they may send, or have to wait until an operator resumes.

While the gate is closed, work is accepted and stored, but nothing leaves: no callback, no shadow
copy, and no request to a carrier. What had begun before may still end.
"""

from collections.abc import Callable

from ringback.ports import SendingPause


class SendingGate:
    """A gate in front of everything that is sent; loops look at `is_open` before they begin."""

    def __init__(self) -> None:
        """Begin open."""
        self._pause: SendingPause | None = None
        self.is_open = True
        """True if work may begin. May be asked in any thread."""
        self._listeners = list[Callable[[], None]]()

    @property
    def pause(self) -> SendingPause | None:
        """Why nothing is sent; None while the gate is open."""
        return self._pause

    def listen(self, opened: Callable[[], None]) -> None:
        """Call `opened` in the event loop whenever the gate opens again."""
        self._listeners.append(opened)

    def use(self, pause: SendingPause | None) -> None:
        """Close the gate for this pause, or open it if there is none."""
        was_open, self._pause, self.is_open = self.is_open, pause, pause is None
        if self.is_open and not was_open:
            for opened in self._listeners:
                opened()
