"""The input of a signature: all that sender and receiver have to agree on."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Final

from ringback.core.policy.source_policy import Source
from ringback.core.sources.signature import sign_as_kore, sign_as_twilio
from ringback.receiver.verification.received_request import read_form
from ringback.receiver.verification.schemes import (
    BY_AUTH_TOKEN,
    BY_WEBHOOK_SECRET,
    VerificationScheme,
)

_SCHEMES: Final = {Source.TWILIO: BY_AUTH_TOKEN, Source.KORE: BY_WEBHOOK_SECRET}


# Without slots, so that what is left of the secrets is worked out once.
@dataclass(frozen=True)
class ReceiverSecrets:
    """The secrets of a receiver; several of a kind while one replaces another.

    An empty secret is ignored: anybody could sign with it.
    """

    twilio_auth_tokens: tuple[str, ...] = field(default=(), repr=False)
    kore_secrets: tuple[str, ...] = field(default=(), repr=False)
    twilio_shared_keys: tuple[str, ...] = field(default=(), repr=False)
    """For the requests whose headers say that they are signed with one."""
    pending_kore_secrets: tuple[str, ...] = field(default=(), repr=False)
    """They make nothing genuine yet, but can explain a signature."""
    not_accepted: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Names and values of further secrets of which the same is true."""

    def by(self, scheme: VerificationScheme) -> tuple[str, ...]:
        """Return the secrets by which such a signature is checked."""
        twilio, kore, shared = self._filled
        if scheme is BY_WEBHOOK_SECRET:
            return kore
        return twilio if scheme is BY_AUTH_TOKEN else shared

    def of(self, source: Source) -> tuple[str, ...]:
        """Return the secrets with which a source usually signs."""
        return self.by(_SCHEMES[source])

    def others(self) -> list[tuple[str, str]]:
        """Return the secrets that are not accepted, with their names."""
        return [(name, secret) for name, secret in self.not_accepted if secret]

    @cached_property
    def _filled(self) -> Sequence[tuple[str, ...]]:
        given = (self.twilio_auth_tokens, self.kore_secrets, self.twilio_shared_keys)
        return [tuple(filter(None, secrets)) for secrets in given]


@dataclass(frozen=True, slots=True)
class SignatureCandidate:
    """One assumption about everything that went into a signature."""

    scheme: VerificationScheme
    method: str
    url: str
    """As it is signed, so without its query where the source is KORE."""
    body: bytes
    """Empty where the signature covers it by the URL alone."""
    secret: str = field(repr=False)

    @property
    def source(self) -> Source:
        """The source that signs so."""
        return self.scheme.source

    def signature(self) -> str | None:
        """Return the signature that this gives; None for text that has no bytes to be signed."""
        try:
            if self.source is Source.KORE:
                return sign_as_kore(self.method, self.url, self.body, secret=self.secret)
            form, digest = _form_of(self.body), self.scheme.digest
            return sign_as_twilio(self.url, form, auth_token=self.secret, digest=digest)
        except UnicodeEncodeError:  # lone surrogates
            return None


@lru_cache(maxsize=16)  # a hundred assumptions are made about a URL, and few about a body
def _form_of(body: bytes) -> Sequence[tuple[str, str]]:
    return tuple(read_form(body))


def is_same(given: str, computed: str | None) -> bool:
    """Compare signatures in constant time, so that a guess can't be improved by timing.

    The given one is a claim's, so its form was checked and all of it is ASCII.
    """
    if computed is None:
        return False
    return hmac.compare_digest(given, computed)
