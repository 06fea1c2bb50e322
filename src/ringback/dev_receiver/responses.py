"""What the listener answers, also where it fails on purpose."""

from dataclasses import dataclass
from typing import Final, assert_never

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
class AnswerNormally:
    """Answer as a good receiver."""


@dataclass(frozen=True, slots=True)
class FailAlways:
    """Answer every request with this status."""

    status: int

    def __str__(self) -> str:
        """The flags that ask for it."""
        return f"--fail {self.status}"


@dataclass(frozen=True, slots=True)
class FailFirst:
    """Answer the first requests with this status, and all later ones as a good receiver."""

    count: int
    status: int = UNAVAILABLE

    def __str__(self) -> str:
        """The flags that ask for it."""
        named = "" if self.status == UNAVAILABLE else f"--fail {self.status} "
        return f"{named}--fail-first {self.count}"


FailureMode = AnswerNormally | FailAlways | FailFirst


def failure_of(failure_mode: FailureMode, number: int) -> int | None:
    """Return the status that the request with this number, from 1, fails with; None if it doesn't.

    >>> [failure_of(FailFirst(2), number) for number in (1, 2, 3)]
    [503, 503, None]
    """
    match failure_mode:
        case AnswerNormally():
            return None
        case FailAlways(status):
            return status
        case FailFirst(count, status):
            return status if number <= count else None
        case _:
            assert_never(failure_mode)
