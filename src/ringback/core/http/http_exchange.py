"""One HTTP exchange: the request, the answer and the timings.

These are the arguments and results of the HTTP client; they do not depend on callbacks.
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
    """A record of a request: the request as it was sent, but with its credentials hidden."""

    method: str
    url: str
    head: str
    """The request line and the headers, as they were sent."""
    body: str

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The names and values of the headers, in the order in which they were sent."""
        lines = self.head.split("\r\n")[1:]
        return [(name, value) for name, _, value in (line.partition(": ") for line in lines)]


@dataclass(slots=True)  # not frozen, since making a frozen one takes longer than signing it
class OutgoingRequest:
    """A request that is ready to be sent; its headers keep their order and letter case."""

    method: str
    url: CallbackUrl
    headers: Headers
    body: bytes
    source: SourceName | None = None
    """The source that sends the request; None for requests that are not callbacks."""
    account_sid: str = ""
    """The SID of the account that the request is sent for; empty if there is none."""
    head: str = field(init=False, repr=False, compare=False)
    """The request line and the headers, as they are sent."""

    def __post_init__(self) -> None:
        """Build the request line and headers once, to be sent and to be stored."""
        lines = [f"{self.method} {self.url.target} HTTP/1.1", *map(": ".join, self.headers)]
        self.head = "\r\n".join(lines)

    def to_bytes(self) -> bytes:
        """Return the whole request as the bytes that are sent."""
        return b"%b\r\n\r\n%b" % (self.head.encode("latin-1"), self.body)

    def recorded(self) -> SentRequestRecord:
        """Return the request as stored with its attempt, with credentials hidden."""
        head = self.head
        if self.url.credentials is not None:
            head = _AUTHORIZATION.sub(r"\1(hidden)", head)
        return SentRequestRecord(
            self.method, self.url.wire, head, self.body.decode(errors="replace")
        )


class ReceiverResponseRecord(NamedTuple):
    """The part of the receiver's answer that was read and is stored."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    is_cut: bool = False
    """True if the body was not read to its end."""
    headers_left_out: int = 0
    """The number of headers that were read but are not stored."""
    body_left_out: int = 0
    """The number of bytes of the body that were read but are not stored."""

    def __repr__(self) -> str:
        """Return the answer as text without its body, which may be long or secret."""
        return f"RecordedResponse(status={self.status}, headers={self.headers})"


class RequestTimings(NamedTuple):
    """The duration of each step of one exchange in milliseconds; None if there was no such step.

    Each step is timed separately. `first_byte` is the time from sending the request to the first
    byte of the answer; `total` is the time of the whole attempt.
    """

    total: float
    look_up: float | None = None
    connect: float | None = None
    tls: float | None = None
    first_byte: float | None = None


class AttemptResult(NamedTuple):
    """The result of an attempt: its outcome, timings, the receiver's answer and the route."""

    outcome: Outcome
    timings: RequestTimings | None = None
    response: ReceiverResponseRecord | None = None
    local_address: str | None = None
    """The local address that the connection was made from."""
    proxy: str | None = None
    """The URL of the proxy that was used, without its credentials; None if none was."""
    waited: float = 0.0
    """The seconds that the attempt waited in Ringback's own queues; the timings exclude them."""
