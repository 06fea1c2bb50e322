"""The headers that each source sends, and the ways in which each source signs callbacks.

A genuine request has the headers of one family (Twilio's or KORE's) and none of the other's.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from ringback.core.policy.source_policy import Source, SourceName

SETTINGS_HEADER: Final = "X-Twilio-Webhooks-Signature-Settings"
"""Twilio's header in requests signed with a shared key; it names the algorithm."""


@dataclass(frozen=True, slots=True)
class HeaderFamily:
    """The names of the headers in the requests of one source."""

    signature_header: str
    idempotency_header: str
    signs_with: str
    """The name of the source's usual kind of secret, for messages: "Auth Token", for example."""
    more_headers: tuple[str, ...] = ()

    @property
    def headers(self) -> tuple[str, ...]:
        """The names of all headers in this family."""
        return self.signature_header, self.idempotency_header, *self.more_headers


FAMILIES: Final[Mapping[Source, HeaderFamily]] = {
    Source.TWILIO: HeaderFamily(
        signature_header="X-Twilio-Signature",
        idempotency_header="I-Twilio-Idempotency-Token",
        signs_with="Auth Token",
        more_headers=(SETTINGS_HEADER,),
    ),
    Source.KORE: HeaderFamily(
        signature_header="Kore-Signature",
        idempotency_header="Kore-Idempotency-Token",
        signs_with="webhook secret",
    ),
}


@dataclass(frozen=True, slots=True)
class VerificationScheme:
    """A way to sign: the kind of secret, the hash function and the format of the signature."""

    source: SourceName
    digest: Literal["sha1", "sha256"]
    """The hash function, by its name in `hashlib`."""
    signs_with: str
    """The name of the secret, for messages, such as "shared key"."""
    form: re.Pattern[str]
    """The pattern that a signature must match."""
    form_in_words: str
    signature_header: str
    covers_query: bool
    """True if the signature covers the URL with its query, False if it doesn't cover the query."""
    is_extensible: bool = False
    """True if anybody can append NUL bytes and more to a signed body (a length extension)."""
    sign: Callable[[str, str, bytes, str], str | None] | None = None
    """For a source of the settings: returns the signature of a method, URL and body, by a secret.

    It returns None if the body can't be signed. For the two built-in sources, it is None itself.
    """


BY_AUTH_TOKEN: Final = VerificationScheme(
    Source.TWILIO,
    "sha1",
    FAMILIES[Source.TWILIO].signs_with,
    re.compile(r"[A-Za-z0-9+/]{27}="),
    "28 characters of Base64",
    FAMILIES[Source.TWILIO].signature_header,
    covers_query=True,
)
BY_WEBHOOK_SECRET: Final = VerificationScheme(
    Source.KORE,
    "sha256",
    FAMILIES[Source.KORE].signs_with,
    # Upper case is accepted here, so that it gets its own reason (UPPER_CASE) for the rejection.
    re.compile(r"[0-9a-fA-F]{64}"),
    "64 hex digits",
    FAMILIES[Source.KORE].signature_header,
    covers_query=False,
    is_extensible=True,
)
BY_SHARED_KEY: Final[Mapping[str, VerificationScheme]] = {
    "HMAC_SHA1": replace(BY_AUTH_TOKEN, signs_with="shared key"),
    "HMAC_SHA256": replace(
        BY_AUTH_TOKEN,
        signs_with="shared key",
        digest="sha256",
        form=re.compile(r"[A-Za-z0-9+/]{43}="),
        form_in_words="44 characters of Base64",
    ),
}
"""The shared-key schemes by the algorithm that `SETTINGS_HEADER` names. (Source:
twilio.com/docs/usage/webhooks/webhooks-security; since version 9.13 the `twilio` package accepts
the name in any letter case.)"""
