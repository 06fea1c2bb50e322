"""One HTTP exchange: the request, the answer, and how long it took.

Nothing in here knows callbacks: these are the arguments and results of the HTTP client.
"""

import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.http.outcome import Outcome
from ringback.core.policy.source_policy import SourceName

Headers = tuple[tuple[str, str], ...]

_AUTHORIZATION: Final = re.compile(r"^(Authorization: )[^\r\n]*", re.MULTILINE)


class SentRequestRecord(NamedTuple):
    """A request as it left, with its secret parts hidden."""

    method: str
    url: str
    head: str
    """The request line and the headers, each line as it left."""
    body: str

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The headers in their order."""
        lines = self.head.split("\r\n")[1:]
        return [(name, value) for name, _, value in (line.partition(": ") for line in lines)]


@dataclass(slots=True)  # not frozen, since making a frozen one takes longer than signing it
class OutgoingRequest:
    """A finished request; order and letter case are part of it."""

    method: str
    url: CallbackUrl
    headers: Headers
    body: bytes
    source: SourceName | None = None
    """The source that it comes from; None for requests that are no callbacks."""
    account_sid: str = ""
    """The account on whose behalf it is sent; empty if there is none."""
    head: str = field(init=False, repr=False, compare=False)
    """The request line and the headers, as they go on the wire."""

    def __post_init__(self) -> None:
        """Build the head once, for the wire and the record."""
        lines = [f"{self.method} {self.url.target} HTTP/1.1", *map(": ".join, self.headers)]
        self.head = "\r\n".join(lines)

    def to_bytes(self) -> bytes:
        """Return the request as it goes on the wire."""
        return b"%b\r\n\r\n%b" % (self.head.encode("latin-1"), self.body)

    def recorded(self) -> SentRequestRecord:
        """Return the request for its attempt row; credentials are hidden."""
        head = self.head
        if self.url.credentials is not None:
            head = _AUTHORIZATION.sub(r"\1(hidden)", head)
        return SentRequestRecord(
            self.method, self.url.wire, head, self.body.decode(errors="replace")
        )


class ReceiverResponseRecord(NamedTuple):
    """The receiver's answer, as far as it was read and is kept."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    is_cut: bool = False
    """Whether there was more of the body than was read, or was to come."""
    headers_left_out: int = 0
    """How many more headers were read, and are not kept."""
    body_left_out: int = 0
    """How many more bytes of the body were read, and are not kept."""

    def __repr__(self) -> str:
        """Show it without its body, which may be long or secret."""
        return f"RecordedResponse(status={self.status}, headers={self.headers})"


class RequestTimings(NamedTuple):
    """How long the steps of one exchange took, in milliseconds; None for a step not taken.

    Each step is timed by itself; `first_byte` runs from the request's leaving, `total` from the
    beginning of the attempt to its end.
    """

    total: float
    look_up: float | None = None
    connect: float | None = None
    tls: float | None = None
    first_byte: float | None = None


class AttemptResult(NamedTuple):
    """Everything that is known about an attempt after it has ended."""

    outcome: Outcome
    timings: RequestTimings | None = None
    response: ReceiverResponseRecord | None = None
    local_address: str | None = None
    """The address of ours that the connection left from."""
    proxy: str | None = None
    """The proxy that it went through, without its credentials."""
    waited: float = 0.0
    """Seconds that it waited in queues of our own; not part of the timings."""
