"""One HTTP exchange: the request, the answer and the timings.

These are the arguments and results of the HTTP client; they do not depend on callbacks.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from operator import itemgetter
from typing import Final, NamedTuple, Self

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.http.connection_profile import NO_PROFILE, ConnectionProfile
from ringback.core.http.outcome import Outcome
from ringback.core.policy.source_policy import SourceName

Headers = tuple[tuple[str, str], ...]

# Up to this second, `timestamp` is exact; many requests have the date of the same second.
_EXACT_UNTIL: Final = 2**32
_NEVER: Final = datetime(1, 1, 1, tzinfo=UTC)


class HeadPlace(StrEnum):
    """The places of a `HeadTemplate`, as its text has them: no URL or header has such characters.

    Templates are stored, so a character keeps its meaning.
    """

    TARGET = "\x01"
    LENGTH = "\x02"
    TOKEN = "\x03"  # noqa: S105 (a place, not a secret)
    SIGNATURE = "\x04"
    DATE = "\x05"
    TIMESTAMP = "\x06"


_PLACES: Final = list(HeadPlace)
_PLACE: Final = re.compile(f"([{''.join(HeadPlace)}])")


class HeadTemplate:
    """The request line and headers that callbacks to one URL share, with places for the rest.

    Templates with the same text are equal.
    """

    __slots__ = ("_has_date", "_has_timestamp", "_in_order", "_literals", "recorded", "text")

    def __init__(self, text: str, *, recorded: str | None = None) -> None:
        """Prepare a template; `recorded` is its text for records, if that hides values."""
        self.text = text
        self.recorded: HeadTemplate = self
        """The template for records: with secret values hidden, or this one if it has none."""
        if recorded is not None and recorded != text:
            self.recorded = HeadTemplate(recorded)
        parts = _PLACE.split(text)
        self._literals = parts[::2]
        # `fill_with` has the values of all places and the literals in one tuple: this is the order
        # in which it takes them out.
        order = [len(_PLACES)]
        for number, place in enumerate(parts[1::2], len(_PLACES) + 1):
            order += (_PLACES.index(HeadPlace(place)), number)
        self._in_order = itemgetter(*order)
        self._has_date = HeadPlace.DATE in text
        self._has_timestamp = HeadPlace.TIMESTAMP in text

    def __eq__(self, other: object) -> bool:
        """Return True if the other template has the same text."""
        return isinstance(other, HeadTemplate) and other.text == self.text

    def __hash__(self) -> int:
        """Return the hash of the text."""
        return hash(self.text)

    def fill(self, target: str, length: int, token: str, signature: str, sent_at: datetime) -> str:
        """Return the head of one request; values that it does not have are ignored."""
        date = date_of(sent_at) if self._has_date else ""
        timestamp = str(timestamp_of(sent_at)) if self._has_timestamp else ""
        # As `fill_with` does, without the time that its call takes.
        values = (target, str(length), token, signature, date, timestamp, *self._literals)
        return "".join(self._in_order(values))

    def fill_with(self, *values: str) -> str:
        """Return the head with these texts for all places, in the order of `HeadPlace`."""
        return "".join(self._in_order((*values, *self._literals)))


def head_of(method: str, target: str, headers: Iterable[tuple[str, str]]) -> str:
    """Return the request line and the headers as one text, without the empty line at the end."""
    return "\r\n".join([f"{method} {target} HTTP/1.1", *map(": ".join, headers)])


def recorded_head(head: str, url: CallbackUrl, extra: Headers) -> str:
    """Return the head of a request for records, with secret values replaced by `(hidden)`.

    These are the URL's credentials, and the values of the extra headers, which come from a profile.
    """
    names = [re.escape(name) for name, _ in extra]
    if url.credentials is not None:
        names.append("Authorization")
    if not names:
        return head
    return re.sub(f"^({'|'.join(names)}): [^\r\n]*", r"\1: (hidden)", head, flags=re.MULTILINE)


def date_of(sent_at: datetime) -> str:
    """Return the time in UTC as the Date header has it, in whole seconds."""
    second = int(sent_at.timestamp())
    return _date_of(second) if 0 < second < _EXACT_UNTIL else f"{sent_at.isoformat()[:19]}Z"


@lru_cache(maxsize=2)
def _date_of(second: int) -> str:
    return f"{datetime.fromtimestamp(second, UTC).isoformat()[:19]}Z"


def timestamp_of(sent_at: datetime) -> int:
    """Return the time in whole seconds since 1970."""
    return int(sent_at.timestamp())


def _headers_of(head: str) -> list[tuple[str, str]]:
    lines = head.split("\r\n")[1:]
    return [(name, value) for name, _, value in (line.partition(": ") for line in lines)]


class SentRequestRecord(NamedTuple):
    """A record of a request: the request as it was sent, but with its secret values hidden."""

    method: str
    url: str
    head: str
    """The request line and the headers, as they were sent."""
    body: str

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The names and values of the headers, in the order in which they were sent."""
        return _headers_of(self.head)


@dataclass(slots=True)  # not frozen, since making a frozen one takes longer than signing it
class OutgoingRequest:
    """A request that is ready to be sent; its headers keep their order and letter case."""

    method: str
    url: CallbackUrl
    head: str
    """The request line and the headers, as they are sent."""
    body: bytes
    source: SourceName | None = None
    """The source that sends the request; None for requests that are not callbacks."""
    account_sid: str = ""
    """The SID of the account that the request is sent for; empty if there is none."""
    template: HeadTemplate | None = field(default=None, repr=False, compare=False)
    """The template of a callback's head; None for requests that are not callbacks.

    `fill` of the template's `recorded` gives the head in the record of the request.
    """
    signature: str = field(default="", repr=False, compare=False)
    """The signature in the template's place; empty if there is none."""
    sent_at: datetime = field(default=_NEVER, repr=False, compare=False)
    """The time in the template's places."""
    profile: ConnectionProfile = field(default=NO_PROFILE, repr=False)
    """The destination's own ways; its headers are already part of the head."""
    stream_sid: str = field(default="", compare=False)
    """The SID of the subscription or sink of an event stream that it is for; empty if none."""

    @classmethod
    def with_headers(
        cls,
        method: str,
        url: CallbackUrl,
        headers: Headers,
        body: bytes,
        source: SourceName | None = None,
    ) -> Self:
        """Return a request with these headers, without a template."""
        return cls(method, url, head_of(method, url.target, headers), body, source)

    @property
    def headers(self) -> Headers:
        """The names and values of the headers, in order."""
        return tuple(_headers_of(self.head))

    def having(
        self,
        *,
        url: CallbackUrl | None = None,
        headers: Headers | None = None,
        body: bytes | None = None,
    ) -> Self:
        """Return a copy with another URL, other headers or another body, without a template."""
        url = url or self.url
        head = head_of(self.method, url.target, self.headers if headers is None else headers)
        body = self.body if body is None else body
        return type(self)(
            self.method, url, head, body, self.source, self.account_sid, profile=self.profile
        )

    def to_bytes(self) -> bytes:
        """Return the whole request as the bytes that are sent."""
        return f"{self.head}\r\n\r\n".encode("latin-1") + self.body

    def recorded(self) -> SentRequestRecord:
        """Return the request as stored with its attempt, with secret values hidden."""
        head = recorded_head(self.head, self.url, self.profile.headers)
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
