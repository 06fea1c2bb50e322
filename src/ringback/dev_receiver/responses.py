"""What the listener answers, also where it fails on purpose."""

from dataclasses import dataclass
from typing import Final

from ringback.core.http.http_exchange import Headers

UNAVAILABLE: Final = 503
"""What `--fail-first` answers where `--fail` names no other status."""


@dataclass(frozen=True, slots=True)
class ListenerResponse:
    """An HTTP answer; the server adds what HTTP itself needs."""

    status: int
    headers: Headers = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class FailureMode:
    """Has requests fail on purpose: all of them, or only the first ones."""

    status: int = UNAVAILABLE
    """What they are answered with."""
    count: int | None = None
    """How many fail, before all later ones get the answer of a good receiver; None for all."""

    def fails(self, number: int) -> bool:
        """Whether the request with this number, from 1, fails.

        >>> [FailureMode(count=2).fails(number) for number in (1, 2, 3)]
        [True, True, False]
        """
        return self.count is None or number <= self.count

    def __str__(self) -> str:
        """The flags that ask for it."""
        if self.count is None:
            return f"--fail {self.status}"
        named = "" if self.status == UNAVAILABLE else f"--fail {self.status} "
        return f"{named}--fail-first {self.count}"
