"""The signatures that a genuine request may have: one for each possible URL, body and secret."""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Final

from ringback.core.policy.source_policy import Source, SourceName
from ringback.core.sources.signature import sign_as_kore, sign_as_twilio
from ringback.receiver.verification.received_request import read_form
from ringback.receiver.verification.schemes import (
    BY_AUTH_TOKEN,
    BY_WEBHOOK_SECRET,
    VerificationScheme,
)

_SCHEMES: Final = {Source.TWILIO: BY_AUTH_TOKEN, Source.KORE: BY_WEBHOOK_SECRET}


# Without slots, so that `_filled` is cached.
@dataclass(frozen=True)
class ReceiverSecrets:
    """The secrets of a receiver; there can be several of a kind while one replaces another.

    An empty secret is ignored, since anybody could sign with it.
    """

    twilio_auth_tokens: tuple[str, ...] = field(default=(), repr=False)
    kore_secrets: tuple[str, ...] = field(default=(), repr=False)
    twilio_shared_keys: tuple[str, ...] = field(default=(), repr=False)
    """Keys for requests whose headers say that Twilio signed them with a shared key."""
    pending_kore_secrets: tuple[str, ...] = field(default=(), repr=False)
    """KORE secrets that are not active yet: they verify nothing, but can explain a rejection."""
    of_other_sources: Mapping[SourceName, tuple[str, ...]] = field(
        default_factory=dict[SourceName, tuple[str, ...]], repr=False
    )
    """The secrets of sources of the settings."""
    not_accepted: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Names and values of further secrets that verify nothing, but can explain a rejection."""

    def by(self, scheme: VerificationScheme) -> tuple[str, ...]:
        """Return the secrets that verify signatures of this scheme."""
        if scheme.sign is not None:
            return self.of_other_sources.get(scheme.source, ())
        twilio, kore, shared = self._filled
        if scheme is BY_WEBHOOK_SECRET:
            return kore
        return twilio if scheme is BY_AUTH_TOKEN else shared

    def of(self, source: Source) -> tuple[str, ...]:
        """Return the secrets that the source usually signs with: Auth Tokens or KORE secrets."""
        return self.by(_SCHEMES[source])

    def others(self) -> list[tuple[str, str]]:
        """Return `not_accepted` without empty secrets, to explain why a signature is wrong."""
        return [(name, secret) for name, secret in self.not_accepted if secret]

    @cached_property
    def _filled(self) -> Sequence[tuple[str, ...]]:
        given = (self.twilio_auth_tokens, self.kore_secrets, self.twilio_shared_keys)
        return [tuple(filter(None, secrets)) for secrets in given]


@dataclass(frozen=True, slots=True)
class SignatureCandidate:
    """A scheme, method, URL, body and secret from which the sender may have made the signature."""

    scheme: VerificationScheme
    method: str
    url: str
    """The URL as the source signs it, which is without the query for KORE."""
    body: bytes
    """The signed body; empty if only the hash of the body in the URL is signed."""
    secret: str = field(repr=False)

    @property
    def source(self) -> SourceName:
        """The source that signs with this scheme."""
        return self.scheme.source

    def signature(self) -> str | None:
        """Return the signature made from this method, URL, body and secret.

        Returns None if the URL or the body's form can't be encoded as UTF-8.
        """
        try:
            if self.scheme.sign is not None:
                return self.scheme.sign(self.method, self.url, self.body, self.secret)
            if self.scheme is BY_WEBHOOK_SECRET:
                return sign_as_kore(self.method, self.url, self.body, secret=self.secret)
            form, digest = _form_of(self.body), self.scheme.digest
            return sign_as_twilio(self.url, form, auth_token=self.secret, digest=digest)
        except UnicodeEncodeError:  # lone surrogates
            return None


@lru_cache(maxsize=16)  # a diagnosis tries a hundred URLs, but only a few bodies
def _form_of(body: bytes) -> Sequence[tuple[str, str]]:
    return tuple(read_form(body))


def is_same(given: str, computed: str | None) -> bool:
    """Return True if the signatures are equal, compared in constant time to prevent timing attacks.

    `given` must be ASCII.
    """
    if computed is None:
        return False
    return hmac.compare_digest(given, computed)
