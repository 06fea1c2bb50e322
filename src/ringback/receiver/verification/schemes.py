"""The headers that each source sends, and the ways in which each source signs callbacks.

A genuine request has the headers of one family (Twilio's or KORE's) and none of the other's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from ringback.core.policy.source_policy import Source

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

    source: Source
    digest: Literal["sha1", "sha256"]
    """The hash function, by its name in `hashlib`."""
    signs_with: str
    """The name of the secret, for messages, such as "shared key"."""
    form: re.Pattern[str]
    """The pattern that a signature must match."""
    form_in_words: str


BY_AUTH_TOKEN: Final = VerificationScheme(
    Source.TWILIO,
    "sha1",
    FAMILIES[Source.TWILIO].signs_with,
    re.compile(r"[A-Za-z0-9+/]{27}="),
    "28 characters of Base64",
)
BY_WEBHOOK_SECRET: Final = VerificationScheme(
    Source.KORE,
    "sha256",
    FAMILIES[Source.KORE].signs_with,
    # Upper case is accepted here, so that it gets its own reason (UPPER_CASE) for the rejection.
    re.compile(r"[0-9a-fA-F]{64}"),
    "64 hex digits",
)
BY_SHARED_KEY: Final[Mapping[str, VerificationScheme]] = {
    "HMAC_SHA1": VerificationScheme(
        Source.TWILIO, "sha1", "shared key", BY_AUTH_TOKEN.form, BY_AUTH_TOKEN.form_in_words
    ),
    "HMAC_SHA256": VerificationScheme(
        Source.TWILIO,
        "sha256",
        "shared key",
        re.compile(r"[A-Za-z0-9+/]{43}="),
        "44 characters of Base64",
    ),
}
"""The shared-key schemes by the algorithm that `SETTINGS_HEADER` names. (Source:
twilio.com/docs/usage/webhooks/webhooks-security; since version 9.13 the `twilio` package accepts
the name in any letter case.)"""
