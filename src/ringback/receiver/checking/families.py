"""The two families of headers, by which a receiver knows what a request claims to be.

A request carries the headers of one family and none of the other's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ringback.core.source import Source


@dataclass(frozen=True, slots=True)
class Family:
    """What marks the requests of one source."""

    signature_header: str
    idempotency_header: str
    signs_with: str
    """What the secret is called, for people."""
    signature_form: re.Pattern[str]
    form_in_words: str

    @property
    def headers(self) -> tuple[str, str]:
        """The names of both headers."""
        return self.signature_header, self.idempotency_header


FAMILIES: Final[Mapping[Source, Family]] = {
    Source.TWILIO: Family(
        signature_header="X-Twilio-Signature",
        idempotency_header="I-Twilio-Idempotency-Token",
        signs_with="Auth Token",
        signature_form=re.compile(r"[A-Za-z0-9+/]{27}="),
        form_in_words="28 characters of Base64",
    ),
    Source.KORE: Family(
        signature_header="Kore-Signature",
        idempotency_header="Kore-Idempotency-Token",
        signs_with="webhook secret",
        # Upper case is let through, so that it can be told apart from a signature that is wrong.
        signature_form=re.compile(r"[0-9a-fA-F]{64}"),
        form_in_words="64 hex digits",
    ),
}
