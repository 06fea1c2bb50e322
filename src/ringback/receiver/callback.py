"""A genuine callback, as the application gets it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from ringback.core.policy.source_policy import Source
from ringback.receiver.verification.body_variants import HASH_PARAMETER, compacted
from ringback.receiver.verification.received_request import ReceivedRequest

if TYPE_CHECKING:
    from ringback.receiver.events import Event

_ISO: Final = "%Y-%m-%dT%H:%M:%SZ"


# Without slots: most applications read a part of this, and it is worked out when they do.
@dataclass(frozen=True)
class Callback:
    """A callback whose signature is right."""

    source: Source
    token: str | None
    """The idempotency token of its source. It is not signed; None where there is none."""
    url: str
    """The receiver's URL at which it came in, without fragment and credentials."""
    request: ReceivedRequest
    is_retry: bool = False
    """Whether its work was begun before and not finished; False where nobody remembers."""
    is_signed: bool = True
    """False for an account without a webhook secret, whose callbacks the receiver takes."""
    url_values: Mapping[str, str] = field(default_factory=dict[str, str])
    """The values of the placeholders in the receiver's URL, such as the tenant."""

    @property
    def parameters_are_signed(self) -> bool:
        """Whether the signature covers the parameters.

        KORE does not sign the query, so whoever has seen one GET can send others.
        """
        is_covered = self.source is Source.TWILIO or self.request.method == "POST"
        return self.is_signed and is_covered

    @cached_property
    def event(self) -> "Event":
        """The event as a record of its kind; an UnknownEvent says why it can't be one."""
        from ringback.receiver.events import read_event  # noqa: PLC0415 (not all need the records)

        return read_event(self.request)

    @cached_property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """All parameters in their order, those of a GET behind the URL's own; none of JSON."""
        if self.request.method != "GET" and not self.request.is_form:
            return ()
        return tuple(self.request.parameters)

    @cached_property
    def parameters(self) -> Mapping[str, str]:
        """The parameters by name; of one that comes twice the last, which is the sender's."""
        return dict(self.pairs)

    @property
    def body(self) -> bytes:
        """The body as it came; empty for a GET."""
        return self.request.body

    @cached_property
    def sent_at(self) -> datetime | None:
        """When this attempt left, by its Date; None where it says nothing. It is not signed."""
        return read_date(self.request)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of URL, method and content: equal for the same event from the other source."""
        pairs = sorted(pair for pair in self.pairs if pair[0] != HASH_PARAMETER)
        body = b"" if pairs else compacted(self.request.body)
        parts = (self.request.method, self.url, *(part for pair in pairs for part in pair))
        text = "".join(f"{len(part)}:{part}" for part in parts)
        return sha256(text.encode("utf-8", "replace") + body).hexdigest()


def read_date(request: ReceivedRequest) -> datetime | None:
    """Return the time that a request's Date names, in UTC, or None.

    KORE writes it in ISO 8601 (docs.korewireless.com/developers/webhooks), all others as HTTP
    has it.
    """
    match request.values("date"):
        case [text]:
            return _read_iso(text) or _read_http(text)
        case _:
            return None


def _read_iso(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, _ISO).replace(tzinfo=UTC)
    except ValueError:
        return None


def _read_http(text: str) -> datetime | None:
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 (it takes sockets along)

    try:
        at = parsedate_to_datetime(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
