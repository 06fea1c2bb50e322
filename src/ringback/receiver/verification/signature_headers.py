"""Reads a request's signature headers: the source, token and signature that it claims."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ringback.core.policy.source_policy import Source
from ringback.core.sources.idempotency_tokens import is_token
from ringback.receiver.verification.received_request import ReceivedRequest
from ringback.receiver.verification.schemes import (
    BY_AUTH_TOKEN,
    BY_SHARED_KEY,
    BY_WEBHOOK_SECRET,
    FAMILIES,
    SETTINGS_HEADER,
    VerificationScheme,
)
from ringback.receiver.verification.verdict import Reason, Rejected

_SHOWN: Final = 80
_NAMES: Final = [name for family in FAMILIES.values() for name in family.headers]
_SETTINGS: Final = SETTINGS_HEADER.lower()


class _Family:
    """The header names of one source's requests in lower case, prepared once for all requests."""

    def __init__(self, source: Source) -> None:
        family = FAMILIES[source]
        self.source = source
        self.names = frozenset(name.lower() for name in family.headers)
        self.signature = family.signature_header.lower()
        self.token = family.idempotency_header.lower()


_TWILIO: Final = _Family(Source.TWILIO)
_KORE: Final = _Family(Source.KORE)


@dataclass(slots=True)  # not frozen: see ReceivedRequest
class UnverifiedSignature:
    """The source, token and signature that a request claims to have; not verified yet."""

    source: Source
    token: str | None
    signature: str
    scheme: VerificationScheme

    def rejected(self, reason: Reason, explanation: str) -> Rejected:
        """Return a Rejected verdict, with the source and the token that the request claims."""
        return Rejected(reason, explanation, self.source, self.token)


def read_claim(request: ReceivedRequest) -> UnverifiedSignature | Rejected:
    """Return a request's claimed source, token and signature; Rejected if it has no signature.

    The claimed signature can be empty, since KORE may send an empty one.
    """
    fields = request.fields
    is_of_twilio = not _TWILIO.names.isdisjoint(fields)
    is_of_kore = not _KORE.names.isdisjoint(fields)
    if is_of_twilio and is_of_kore:
        listed = ", ".join(name for name in _NAMES if name.lower() in fields)
        return Rejected(
            Reason.BOTH_FAMILIES,
            f"it has headers of both Twilio and KORE ({listed}); a sender uses only one of the two",
        )
    if is_of_kore:
        return _read_family(_KORE, fields)
    if is_of_twilio:
        return _read_family(_TWILIO, fields)
    names = " nor ".join(family.signature_header for family in FAMILIES.values())
    return Rejected(Reason.NO_SIGNATURE, f"there is neither {names}")


def _read_family(family: _Family, fields: Mapping[str, str]) -> UnverifiedSignature | Rejected:
    source, signature, token = family.source, fields.get(family.signature), fields.get(family.token)
    if token is not None and not is_token(token):
        token = None
    scheme = BY_WEBHOOK_SECRET if family is _KORE else _scheme_of_twilio(fields)
    if scheme is None:
        return Rejected(Reason.UNKNOWN_ALGORITHM, _unknown_algorithm(fields), source, token)
    if signature is None:
        explanation = f"there is no {FAMILIES[source].signature_header}"
        return Rejected(Reason.NO_SIGNATURE, explanation, source, token)
    if scheme.form.fullmatch(signature) or (family is _KORE and not signature):
        return UnverifiedSignature(source, token, signature, scheme)
    explanation = (
        f"{FAMILIES[source].signature_header} is {_quoted(signature)};"
        f" it must be {scheme.form_in_words}, once"
    )
    return Rejected(Reason.MALFORMED_SIGNATURE, explanation, source, token)


def _scheme_of_twilio(fields: Mapping[str, str]) -> VerificationScheme | None:
    """Return the scheme that Twilio's headers name, or None if its algorithm is unknown."""
    settings = fields.get(_SETTINGS)
    named = None if settings is None else _algorithm_of(settings)
    return BY_AUTH_TOKEN if named is None else BY_SHARED_KEY.get(named.upper())


@lru_cache(maxsize=64)  # a sender always sends the same value
def _algorithm_of(settings: str) -> str | None:
    """Return the algorithm named in Twilio's settings header.

    Returns None if the header names none; the request is then signed with the Auth Token. If the
    header names several algorithms, they are returned joined by commas, which is not the name of
    any scheme.

    >>> _algorithm_of("key=webhooks_sharedkey_1,algorithm=HMAC_SHA256")
    'HMAC_SHA256'
    """
    pairs = (part.partition("=") for part in settings.split(","))
    named = [value.strip() for name, _, value in pairs if name.strip() == "algorithm"]
    return ", ".join(filter(None, named)) or None


def _unknown_algorithm(fields: Mapping[str, str]) -> str:
    known = " or ".join(BY_SHARED_KEY)
    return f"{SETTINGS_HEADER} is {_quoted(fields[_SETTINGS])}; this receiver supports only {known}"


def _quoted(value: str) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
