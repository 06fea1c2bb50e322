"""What a signature is computed from: all that sender and receiver have to agree on."""

import hmac
from dataclasses import dataclass, field
from typing import assert_never

from ringback.core.signature import sign_as_kore, sign_as_twilio
from ringback.core.source import Source
from ringback.receiver.checking.request import read_form


@dataclass(frozen=True, slots=True)
class Secrets:
    """What a receiver checks signatures with; several of a kind while one replaces another."""

    twilio_auth_tokens: tuple[str, ...] = field(default=(), repr=False)
    kore_secrets: tuple[str, ...] = field(default=(), repr=False)
    not_accepted: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Names and values of secrets that make nothing genuine, but can explain a signature."""

    def of(self, source: Source) -> list[str]:
        """Return the secrets for one source. An empty one is none: anybody could sign with it."""
        match source:
            case Source.TWILIO:
                secrets = self.twilio_auth_tokens
            case Source.KORE:
                secrets = self.kore_secrets
            case _:
                assert_never(source)
        return [secret for secret in secrets if secret]

    def others(self) -> list[tuple[str, str]]:
        """Return the secrets that are not accepted, with their names; again no empty one."""
        return [(name, secret) for name, secret in self.not_accepted if secret]


@dataclass(frozen=True, slots=True)
class Basis:
    """One assumption about everything that went into a signature."""

    source: Source
    method: str
    url: str
    """As it is signed, so without its query where the source is KORE."""
    body: bytes
    secret: str = field(repr=False)

    def signature(self) -> str | None:
        """Return the signature that this gives; None for text that has no bytes to be signed."""
        try:
            return self._sign()
        except UnicodeEncodeError:  # lone surrogates
            return None

    def _sign(self) -> str:
        match self.source:
            case Source.TWILIO:
                return sign_as_twilio(self.url, read_form(self.body), auth_token=self.secret)
            case Source.KORE:
                return sign_as_kore(self.method, self.url, self.body, secret=self.secret)
            case _:
                assert_never(self.source)


def is_same(given: str, computed: str | None) -> bool:
    """Compare signatures, in a time that does not tell how much of one is right."""
    if computed is None:
        return False
    # As bytes, since compare_digest takes only text that is all ASCII.
    return hmac.compare_digest(given.encode("utf-8", "replace"), computed.encode())
