"""Callback infrastructures (sources): their headers, signature schemes and token schemes.

Two are built in, those of KORE's notice. A platform can define others in its settings, by the same
three properties and without code.

Names, letter case and order of the built-in headers are those of the notice; both senders put Host,
User-Agent and Content-Length first and sort the rest, Twilio's ends with Accept-Encoding.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple, Self

from ringback.core.policy.source_policy import Source, SourceName
from ringback.core.sources.idempotency_tokens import (
    KORE_TOKEN,
    TWILIO_TOKEN,
    IdempotencyTokenFormat,
)
from ringback.core.sources.signature import (
    sign_as_kore,
    sign_as_standard_webhooks,
    sign_as_twilio,
    sign_by_hmac_sha256,
)

Values = Mapping[str, str | None]
"""The values of the placeholders for one request; None for those that it doesn't have."""

PLACEHOLDERS: Final = (
    "host",
    "length",
    "content_type",
    "authorization",
    "token",
    "signature",
    "date",
    "timestamp",
    "static_proxy",
)
"""The names that may be in braces in a header; a header whose value is missing is left out."""

_HEADER: Final = re.compile(r"(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+): ?(?P<value>[ -~]*)")
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")


class HeaderTemplate(NamedTuple):
    """One header of a source."""

    name: str
    template: str
    """Its value, with placeholders."""
    placeholders: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a header as it is written in the settings.

        Raises ValueError for a malformed header or an unknown placeholder.

        >>> HeaderTemplate.parse("webhook-id: {token}").placeholders
        ('token',)
        """
        match = _HEADER.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no header; it must be like 'User-Agent: Example/1.0'")
        names = tuple(_PLACEHOLDER.findall(match["value"]))
        for name in names:
            if name not in PLACEHOLDERS:
                known = ", ".join(PLACEHOLDERS)
                raise ValueError(f"{text!r}: there is no {{{name}}}; there are {known}")
        return cls(match["name"], match["value"], names)

    @property
    def key(self) -> str | None:
        """The placeholder, if the value consists of exactly one; otherwise None."""
        is_all = self.placeholders and self.template == f"{{{self.placeholders[0]}}}"
        return self.placeholders[0] if is_all else None

    def fill(self, values: Values) -> str | None:
        """Return the header's value for one request, or None if a placeholder has no value."""
        if any(values[name] is None for name in self.placeholders):
            return None
        return _PLACEHOLDER.sub(lambda found: values[found[1]] or "", self.template)


class SigningInput(NamedTuple):
    """The parts of a request that a signature may cover."""

    method: str
    wire: str
    """The URL that is called."""
    resource: str
    """The configured URL without query and fragment."""
    form: Sequence[tuple[str, str]]
    """The decoded parameters of the body; empty if the signature doesn't cover them one by one."""
    body: bytes
    token: str
    timestamp: int
    """When it is sent, in seconds since 1970; 0 if the signature doesn't cover that."""


class SignatureScheme(NamedTuple):
    """How a source signs, and with which of an account's secrets."""

    sign: Callable[[SigningInput, str], str]
    """Makes the signature of these parts with this secret."""
    is_by_auth_token: bool = False
    """Whether the secret is the account's Auth Token; otherwise it is the webhook secret."""
    covers_form: bool = False
    """Whether it covers the parameters of the body one by one, and not its bytes."""
    covers_time: bool = False
    """Whether it covers the time at which a request is sent."""


def _as_twilio(signed: SigningInput, secret: str) -> str:
    return sign_as_twilio(signed.wire, signed.form, auth_token=secret)


def _as_kore(signed: SigningInput, secret: str) -> str:
    return sign_as_kore(signed.method, signed.resource, signed.body, secret=secret)


def _as_standard_webhooks(signed: SigningInput, secret: str) -> str:
    return sign_as_standard_webhooks(signed.token, signed.timestamp, signed.body, secret=secret)


def _by_hmac(signed: SigningInput, secret: str) -> str:
    return sign_by_hmac_sha256(signed.body, secret=secret)


SIGNATURE_SCHEMES: Final[Mapping[str, SignatureScheme]] = {
    "twilio": SignatureScheme(_as_twilio, is_by_auth_token=True, covers_form=True),
    "kore": SignatureScheme(_as_kore),
    "standard-webhooks": SignatureScheme(_as_standard_webhooks, covers_time=True),
    "hmac-sha256": SignatureScheme(_by_hmac),
}
"""By their names in the settings of a source."""


# Without slots, so that values derived from the headers are cached for all requests.
@dataclass(frozen=True)
class CallbackSourceDefinition:
    """A source of callbacks."""

    headers: tuple[HeaderTemplate, ...]
    """In the order in which they are sent."""
    signature: SignatureScheme
    token: IdempotencyTokenFormat
    content_type: str = "application/x-www-form-urlencoded; charset=utf-8"
    """Of a POST."""

    @cached_property
    def needs_time(self) -> bool:
        """Whether a header or the signature has the time of sending in seconds since 1970."""
        return self.signature.covers_time or "timestamp" in self._placeholders

    @cached_property
    def needs_date(self) -> bool:
        """Whether a header has the date."""
        return "date" in self._placeholders

    def fill(self, values: Values) -> tuple[tuple[str, str], ...]:
        """Return the headers of one request, without those that it has no value for."""
        found = list[tuple[str, str]]()
        for as_it_stands, name, key, header in self._lines:
            if as_it_stands is not None:
                found.append(as_it_stands)
                continue
            value = values[key] if key is not None else header.fill(values)
            if value is not None:
                found.append((name, value))
        return tuple(found)

    @cached_property
    def _placeholders(self) -> frozenset[str]:
        return frozenset(name for header in self.headers for name in header.placeholders)

    @cached_property
    def _lines(self) -> Sequence["_Line"]:
        return [
            (
                None if header.placeholders else (header.name, header.template),
                header.name,
                header.key,
                header,
            )
            for header in self.headers
        ]


_Line = tuple[tuple[str, str] | None, str, str | None, HeaderTemplate]
"""The whole header, if nothing has to be filled in; else its name, and how to fill it."""

Sources = Mapping[SourceName, CallbackSourceDefinition]
"""All sources, by their names in `#cbs=`."""


def other_than(source: SourceName, sources: Sources) -> SourceName:
    """Return what "the other source" means: the first one that is not this source.

    >>> other_than(Source.TWILIO, BUILT_IN)
    <Source.KORE: 'kore'>
    """
    return next(name for name in sources if name != source)


def _headers(*lines: str) -> tuple[HeaderTemplate, ...]:
    return tuple(map(HeaderTemplate.parse, lines))


FIRST: Final = _headers("Host: {host}")
"""Headers that are put before those of a source whose settings leave them out."""
LAST: Final = _headers(
    "Content-Length: {length}", "Content-Type: {content_type}", "Authorization: {authorization}"
)
"""Headers that are put after them, likewise."""

BUILT_IN: Final[Sources] = {
    Source.TWILIO: CallbackSourceDefinition(
        headers=_headers(
            "Host: {host}",
            "User-Agent: TwilioProxy/1.1",
            "Content-Length: {length}",
            "Accept: */*",
            "Authorization: {authorization}",
            "Content-Type: {content_type}",
            "I-Twilio-Idempotency-Token: {token}",
            "X-Home-Region: us1",
            "X-Twilio-Signature: {signature}",
            "X-Use-Static-Proxy: {static_proxy}",
            "Accept-Encoding: gzip",
        ),
        signature=SIGNATURE_SCHEMES["twilio"],
        token=TWILIO_TOKEN,
        content_type="application/x-www-form-urlencoded; charset=UTF-8",
    ),
    Source.KORE: CallbackSourceDefinition(
        headers=_headers(
            "Host: {host}",
            "User-Agent: KoreProxy/1.1",
            "Content-Length: {length}",
            "Accept: */*",
            "Accept-Encoding: gzip, deflate",
            "Authorization: {authorization}",
            "Content-Type: {content_type}",
            "Date: {date}",
            "Kore-Idempotency-Token: {token}",
            "Kore-Signature: {signature}",
        ),
        signature=SIGNATURE_SCHEMES["kore"],
        token=KORE_TOKEN,
    ),
}
