"""The two families of headers, by which a receiver knows what a request claims to be.

A request carries the headers of one family and none of the other's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from ringback.core.policy.source_policy import Source

SETTINGS_HEADER: Final = "X-Twilio-Webhooks-Signature-Settings"
"""Says that Twilio has signed with a shared key, and by which algorithm."""


@dataclass(frozen=True, slots=True)
class HeaderFamily:
    """The headers that mark the requests of one source."""

    signature_header: str
    idempotency_header: str
    signs_with: str
    """What the secret is called, for people."""
    more_headers: tuple[str, ...] = ()

    @property
    def headers(self) -> tuple[str, ...]:
        """The names of all of its headers."""
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
    """A way in which a source signs."""

    source: Source
    digest: Literal["sha1", "sha256"]
    """The name of the hash that it is built on, as `hashlib` has it."""
    signs_with: str
    """What the secret is called, for people."""
    form: re.Pattern[str]
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
    # Upper case is let through, so that it can be told apart from a signature that is wrong.
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
"""By the algorithm that `SETTINGS_HEADER` names. (twilio.com/docs/usage/webhooks/webhooks-security;
the `twilio` package reads the name in any letter case, from 9.13 on.)"""
