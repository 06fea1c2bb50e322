"""Callback infrastructures (sources): their headers, signature schemes and token formats.

The sources `twilio` and `kore` are built in; their headers are those in KORE's migration notice,
with the same order and letter case. The settings can define other sources, without code.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final, NamedTuple, Self

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.http.http_exchange import (
    Headers,
    HeadPlace,
    HeadTemplate,
    head_of,
    recorded_head,
)
from ringback.core.policy.source_policy import Source, SourceName
from ringback.core.sources.body_encoding import CONTENT_TYPES, BodyEncoding, encoded_as
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
from ringback.core.sources.signature_recipe import (
    SignatureRecipe,
    hmac_sha256_recipe,
    kore_recipe,
    standard_webhooks_recipe,
    twilio_recipe,
)

Values = Mapping[str, str | None]
"""The values of all placeholders for one request; None if the request has no such value."""

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
"""The placeholders that a header's template can have in braces.

A header is left out of a request if one of its placeholders has no value.
"""

_MOST_TEMPLATES: Final = 4096
_HEADER: Final = re.compile(r"(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+): ?(?P<value>[ -~]*)")
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")


class HeaderTemplate(NamedTuple):
    """A header that a source sends: its name, and its value with placeholders like `{token}`."""

    name: str
    template: str
    """The header's value, with placeholders such as `{token}`."""
    placeholders: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a header from the settings, such as `webhook-id: {token}`.

        Raises ValueError for a malformed header or an unknown placeholder.

        >>> HeaderTemplate.parse("webhook-id: {token}").placeholders
        ('token',)
        """
        match = _HEADER.fullmatch(text)
        if match is None:
            raise ValueError(
                f"{text!r} is not a valid header; it must be like 'User-Agent: Example/1.0'"
            )
        names = tuple(_PLACEHOLDER.findall(match["value"]))
        for name in names:
            if name not in PLACEHOLDERS:
                known = ", ".join(PLACEHOLDERS)
                raise ValueError(
                    f"{text!r}: the placeholder {{{name}}} is unknown; the placeholders are {known}"
                )
        return cls(match["name"], match["value"], names)

    def fill(self, values: Values) -> str | None:
        """Return the header's value for one request, or None if a placeholder has no value."""
        if any(values[name] is None for name in self.placeholders):
            return None
        return _PLACEHOLDER.sub(lambda found: values[found[1]] or "", self.template)

    def read(self, value: str) -> dict[str, str] | None:
        """Return the values that `fill` put into this text; None if it doesn't fit the template.

        >>> HeaderTemplate.parse("Acme: t={timestamp},v1={signature}").read("t=17,v1=abc")
        {'timestamp': '17', 'signature': 'abc'}
        """
        pattern, position = "", 0
        for found in _PLACEHOLDER.finditer(self.template):
            name = found[1]
            group = f"(?P={name})" if f"(?P<{name}>" in pattern else f"(?P<{name}>.*?)"
            pattern += re.escape(self.template[position : found.start()]) + group
            position = found.end()
        match = re.fullmatch(pattern + re.escape(self.template[position:]), value)
        return None if match is None else match.groupdict()


@dataclass(slots=True)  # not frozen, since making a frozen one takes several times as long
class SigningInput:
    """The parts of a request that a signature may cover."""

    method: str
    wire: str
    """The URL that is requested, with its query."""
    resource: str
    """The configured URL without query and fragment."""
    form: Sequence[tuple[str, str]]
    """The decoded parameters of the body; empty if the scheme signs only the body's bytes."""
    body: bytes
    token: str
    timestamp: int
    """The time of sending in seconds since 1970; 0 if the source does not need it."""


class SignatureScheme(NamedTuple):
    """The method by which a source signs requests, and the secret that it uses."""

    sign: Callable[[SigningInput, str], str]
    """The function that returns the signature of a request's parts, made with a secret."""
    recipe: Callable[[SigningInput, str | None], SignatureRecipe]
    """The function that describes the steps by which a request's signature was made.

    Before sending, a token that is not known is empty, the timestamp is 0, and the signature None.
    """
    is_by_auth_token: bool = False
    """True if the secret is the account's Auth Token, False if it is the webhook secret."""
    covers_form: bool = False
    """True if the signature covers the body's form parameters one by one instead of its bytes."""
    covers_time: bool = False
    """True if the signature covers the time at which a request is sent."""
    covers_token: bool = False
    """True if the signature covers the idempotency token."""
    covers_url: bool = False
    """True if the signature covers the URL, with or without its query."""
    covers_query: bool = False
    """True if the signature covers the URL's query."""
    is_extensible: bool = False
    """True if anybody can extend a signed body by NUL bytes and more: it is a plain hash."""


def _as_twilio(signed: SigningInput, secret: str) -> str:
    return sign_as_twilio(signed.wire, signed.form, auth_token=secret)


def _as_kore(signed: SigningInput, secret: str) -> str:
    return sign_as_kore(signed.method, signed.resource, signed.body, secret=secret)


def _as_standard_webhooks(signed: SigningInput, secret: str) -> str:
    return sign_as_standard_webhooks(signed.token, signed.timestamp, signed.body, secret=secret)


def _by_hmac(signed: SigningInput, secret: str) -> str:
    return sign_by_hmac_sha256(signed.body, secret=secret)


def _twilio_recipe(signed: SigningInput, signature: str | None) -> SignatureRecipe:
    return twilio_recipe(signed.wire, signed.form, signature)


def _kore_recipe(signed: SigningInput, signature: str | None) -> SignatureRecipe:
    return kore_recipe(signed.method, signed.resource, signed.body.decode(), signature)


def _standard_webhooks_recipe(signed: SigningInput, signature: str | None) -> SignatureRecipe:
    token, timestamp = signed.token or None, signed.timestamp or None
    return standard_webhooks_recipe(token, timestamp, signed.body.decode(), signature)


def _hmac_recipe(signed: SigningInput, signature: str | None) -> SignatureRecipe:
    return hmac_sha256_recipe(signed.body.decode(), signature)


SIGNATURE_SCHEMES: Final[Mapping[str, SignatureScheme]] = {
    "twilio": SignatureScheme(
        _as_twilio,
        _twilio_recipe,
        is_by_auth_token=True,
        covers_form=True,
        covers_url=True,
        covers_query=True,
    ),
    "kore": SignatureScheme(_as_kore, _kore_recipe, covers_url=True, is_extensible=True),
    "standard-webhooks": SignatureScheme(
        _as_standard_webhooks, _standard_webhooks_recipe, covers_time=True, covers_token=True
    ),
    "hmac-sha256": SignatureScheme(_by_hmac, _hmac_recipe),
}
"""The signature schemes, by the names that a source's settings use."""


_OF_STREAMS: Final = "application/json"
"""The Content-Type header of the batches of event streams, from every source."""


# Without slots, so that values derived from the headers are cached for all requests.
@dataclass(frozen=True)
class CallbackSourceDefinition:
    """A source of callbacks: its headers, signature scheme and token format."""

    headers: tuple[HeaderTemplate, ...]
    """The templates of the headers, in the order in which they are sent."""
    signature: SignatureScheme
    token: IdempotencyTokenFormat
    content_type: str = CONTENT_TYPES[BodyEncoding.FORM]
    """The Content-Type header of a POST, for a body in the source's encoding."""
    body_encoding: BodyEncoding = BodyEncoding.FORM
    """How the body of a new POST is encoded."""

    def body_of(self, body: str, method: HttpMethod) -> str:
        """Return a callback's body as this source encodes it.

        The parameters of a GET are in its query, and always encoded as a form.
        """
        is_post = method is HttpMethod.POST
        return encoded_as(self.body_encoding if is_post else BodyEncoding.FORM, body)

    @cached_property
    def needs_time(self) -> bool:
        """True if a header or the signature needs the time of sending in seconds since 1970."""
        return self.signature.covers_time or "timestamp" in self._placeholders

    @cached_property
    def needs_date(self) -> bool:
        """True if a header contains the date."""
        return "date" in self._placeholders

    @cached_property
    def template_for(self) -> Callable[[CallbackUrl, bool, bool, bool], HeadTemplate]:
        """The function that returns the template of a callback's head; it caches the newest ones.

        Its arguments are the callback's URL, and three times True or False: whether the method is
        POST, the body is JSON, and the account's callbacks use the static proxy.
        """
        return lru_cache(_MOST_TEMPLATES)(self._template_for)

    @cached_property
    def template_with(self) -> Callable[[CallbackUrl, bool, bool, bool, Headers], HeadTemplate]:
        """Like `template_for`; the last argument has headers to add after the source's own.

        If the source itself sends a header of the same name, only the source's own is sent.
        """
        return lru_cache(_MOST_TEMPLATES)(self._template_for)

    @cached_property
    def stream_template(self) -> Callable[[CallbackUrl, HttpMethod, bool, Headers], HeadTemplate]:
        """The function that returns the template of the head of a stream's batches.

        Its arguments are the URL, the method, whether the account's callbacks use the static proxy,
        and the headers to add after the source's own.
        """
        return lru_cache(_MOST_TEMPLATES)(self._stream_template)

    def fill(self, values: Values) -> Headers:
        """Return a request's headers with these values; headers that lack a value are left out."""
        filled = [(header.name, header.fill(values)) for header in self.headers]
        return tuple([(name, value) for name, value in filled if value is not None])

    @cached_property
    def _placeholders(self) -> frozenset[str]:
        return frozenset(name for header in self.headers for name in header.placeholders)

    def _template_for(
        self,
        url: CallbackUrl,
        is_post: bool,  # noqa: FBT001 (an `lru_cache` is faster without names)
        is_json: bool,  # noqa: FBT001 (likewise)
        uses_static_proxy: bool,  # noqa: FBT001 (likewise)
        extra: Headers = (),
    ) -> HeadTemplate:
        method = HttpMethod.POST if is_post else HttpMethod.GET
        encoding = BodyEncoding.JSON if is_json else BodyEncoding.FORM
        # The target of a GET has the callback's parameters in it, as a form. Only a test event is
        # JSON then, and its content is not sent.
        target = url.target if is_post or is_json else HeadPlace.TARGET
        # A test event has another encoding, and so has a callback from before the settings changed.
        is_own = encoding is self.body_encoding
        content_type = self.content_type if is_own else CONTENT_TYPES[encoding]
        return self._template(
            *(url, method, target, content_type if is_post else None),
            uses_static_proxy=uses_static_proxy,
            extra=extra,
        )

    def _stream_template(
        self,
        url: CallbackUrl,
        method: HttpMethod,
        uses_static_proxy: bool,  # noqa: FBT001 (likewise)
        extra: Headers,
    ) -> HeadTemplate:
        # The target may have a hash of the body in it. A GET has a body, too.
        return self._template(
            *(url, method, HeadPlace.TARGET, _OF_STREAMS),
            uses_static_proxy=uses_static_proxy,
            extra=extra,
        )

    def _template(
        self,
        url: CallbackUrl,
        method: HttpMethod,
        target: str,
        content_type: str | None,
        *,
        uses_static_proxy: bool,
        extra: Headers,
    ) -> HeadTemplate:
        """Return the template of a head; `content_type` is that of the body, None without one."""
        headers = self.fill(
            {
                "host": url.authority,
                "length": None if content_type is None else HeadPlace.LENGTH,
                "content_type": content_type,
                "authorization": url.authorization,
                "token": HeadPlace.TOKEN,
                "signature": HeadPlace.SIGNATURE,
                "date": HeadPlace.DATE,
                "timestamp": HeadPlace.TIMESTAMP,
                "static_proxy": "true" if uses_static_proxy else None,
            }
        )
        own = {name.lower() for name, _ in headers}
        added = tuple([header for header in extra if header[0].lower() not in own])
        head = head_of(method, target, headers + added)
        return HeadTemplate(head, recorded=recorded_head(head, url, extra))


Sources = Mapping[SourceName, CallbackSourceDefinition]
"""All sources, by the names that URLs use in `#cbs=`."""


def other_than(source: SourceName, sources: Sources) -> SourceName:
    """Return the first source that is not this one, to be used as "the other source".

    >>> other_than(Source.TWILIO, BUILT_IN)
    <Source.KORE: 'kore'>
    """
    return next(name for name in sources if name != source)


def header_names(sources: Sources) -> frozenset[str]:
    """Return the names, in lower case, of the headers that these and the built-in sources send.

    `Authorization` is only among them if a source sends it for URLs without credentials, too.
    """
    return frozenset(
        header.name.lower()
        for source in (*BUILT_IN.values(), *sources.values())
        for header in source.headers
        if "authorization" not in header.placeholders
    )


def _headers(*lines: str) -> tuple[HeaderTemplate, ...]:
    return tuple(map(HeaderTemplate.parse, lines))


FIRST: Final = _headers("Host: {host}")
"""Headers that are added before a source's own headers if its settings do not have them."""
LAST: Final = _headers(
    "Content-Length: {length}", "Content-Type: {content_type}", "Authorization: {authorization}"
)
"""Headers that are added after a source's own headers if its settings do not have them."""

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
