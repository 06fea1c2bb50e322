"""A verified callback, as the application gets it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from ringback.core.policy.source_policy import Source, SourceName
from ringback.core.sources.signature import BODY_HASH
from ringback.receiver.verification.body_variants import compacted
from ringback.receiver.verification.received_request import ReceivedRequest

if TYPE_CHECKING:
    from ringback.receiver.events import CloudEvent, Event

_ISO: Final = "%Y-%m-%dT%H:%M:%SZ"


# Without slots, since cached properties need a `__dict__`: most applications read few of them.
@dataclass(frozen=True)
class Callback:
    """A verified callback: where it came from, its parameters and its event."""

    source: SourceName
    """A member of `Source`, or the name of a source of the settings."""
    token: str | None
    """The idempotency token from its header; None if there is none.

    Twilio and KORE don't sign it.
    """
    url: str
    """The receiver's URL that the callback was sent to, without fragment and credentials."""
    request: ReceivedRequest
    is_retry: bool = False
    """True if an earlier delivery began this callback's work but did not finish it."""
    is_signed: bool = True
    """False for an unsigned KORE callback, accepted because of `accept_unsigned_kore`."""
    url_values: Mapping[str, str] = field(default_factory=dict[str, str])
    """The values of the placeholders in the receiver's URL, such as the tenant."""
    cloud_event: "CloudEvent | None" = None
    """The event of a stream's batch that this is about; None for a whole request.

    Token, body and `request` are those of the whole batch.
    """

    @property
    def parameters_are_signed(self) -> bool:
        """True if the signature covers the parameters.

        KORE does not sign the query, so anybody with a copy of one GET can forge others. For a GET
        from a source of the settings, this is False, too.
        """
        is_covered = self.source is Source.TWILIO or self.request.method == "POST"
        return self.is_signed and is_covered

    @cached_property
    def event(self) -> "Event":
        """The event as a record such as SimUpdated; an UnknownEvent if it can't be read as one.

        An event of a batch is a ConnectionEvent, a TestEvent or a CloudEvent.
        """
        from ringback.receiver.events import read_event, typed_event  # noqa: PLC0415 (not every receiver uses it)

        return (
            read_event(self.request) if self.cloud_event is None else typed_event(self.cloud_event)
        )

    @cached_property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """All parameters as (name, value) pairs, in their order.

        They are read from a form, or from a JSON object whose values are all strings; any other
        body has none. For a GET, the parameters in the receiver's own URL come first.
        """
        if self.request.method != "GET" and not (self.request.is_form or self.request.is_json):
            return ()
        return tuple(self.request.parameters)

    @cached_property
    def parameters(self) -> Mapping[str, str]:
        """The parameters by name; if a name repeats, its last value, which the sender added."""
        return dict(self.pairs)

    @cached_property
    def unknown_names(self) -> tuple[str, ...]:
        """The names in a form that no callback of its kind has, in their order.

        A source may have added them, or somebody may have split a signed form at other places.
        Empty for a form of no known kind, whose `event` is an UnknownEvent, and for a GET.
        """
        from ringback.receiver.events import unknown_names_in  # noqa: PLC0415 (as in `event`)

        return unknown_names_in(self.request)

    @property
    def body(self) -> bytes:
        """The body exactly as received; empty for a GET, unless it is of an event stream."""
        return self.request.body

    @cached_property
    def sent_at(self) -> datetime | None:
        """The time in the unsigned Date header of this delivery; None without a valid header."""
        return read_date(self.request)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of method, URL and content: the same for both sources' callbacks of one event."""
        pairs = sorted(pair for pair in self.pairs if pair[0] != BODY_HASH)
        body = b"" if pairs else compacted(self.request.body)
        parts = (self.request.method, self.url, *(part for pair in pairs for part in pair))
        text = "".join(f"{len(part)}:{part}" for part in parts)
        return sha256(text.encode("utf-8", "replace") + body).hexdigest()


def read_date(request: ReceivedRequest) -> datetime | None:
    """Return the time in the request's Date header, in UTC; None if missing, repeated or invalid.

    KORE writes the time in ISO 8601 (docs.korewireless.com/developers/webhooks). Other senders use
    the HTTP date format.
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
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 (it imports socket)

    try:
        at = parsedate_to_datetime(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
