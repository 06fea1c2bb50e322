"""The listener's answers, including deliberate failures."""

from dataclasses import dataclass
from typing import Final

from ringback.core.http.http_exchange import Headers

UNAVAILABLE: Final = 503
"""The HTTP status of the failures by `--fail-first`, unless `--fail` gives another status."""


@dataclass(frozen=True, slots=True)
class ListenerResponse:
    """An HTTP answer; the server adds Content-Length and Connection."""

    status: int
    headers: Headers = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class FailureMode:
    """Makes requests fail deliberately: all of them, or only the first ones."""

    status: int = UNAVAILABLE
    """The status with which failing requests are answered."""
    count: int | None = None
    """The number of requests that fail before all others succeed; None if all fail."""

    def fails(self, number: int) -> bool:
        """Return True if the request with this number (the first is 1) fails.

        >>> [FailureMode(count=2).fails(number) for number in (1, 2, 3)]
        [True, True, False]
        """
        return self.count is None or number <= self.count

    def __str__(self) -> str:
        """Return this mode as command-line flags of `ringback listen`."""
        if self.count is None:
            return f"--fail {self.status}"
        named = "" if self.status == UNAVAILABLE else f"--fail {self.status} "
        return f"{named}--fail-first {self.count}"
