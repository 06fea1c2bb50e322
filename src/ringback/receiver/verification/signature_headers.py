"""Reads a request's signature headers: the source, token and signature that it claims."""

from collections.abc import Mapping
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

# Both are plain tuples, since creating a record takes a twentieth of a whole check.
SignatureClaim = tuple[VerificationScheme, str, str | None, str | None]
"""The scheme, signature, token and Content-Type that a request claims to have; not verified yet.

The token is None if it is missing or empty; otherwise it may be malformed.
"""
_HeaderNames = tuple[VerificationScheme, str, str | None, str | None, str | None]
"""A scheme, and the names of the headers with the signature, the token, the Content-Type and
Twilio's settings, spelled as a sender spells them."""


def find_claim(headers: Mapping[str, str]) -> SignatureClaim | None:
    """Return the claim of a request with these headers; its signature may be malformed.

    Returns None if the request claims nothing that can be verified, or if the names of two headers
    differ only in letter case. `read_claim` then finds out more.
    """
    names = _names_among(tuple(headers))
    if names is None:
        return None
    scheme, signature, token, content_type, settings = names
    if settings is not None and (scheme := _scheme_named_in(headers[settings])) is None:
        return None
    token = (token and headers[token]) or None
    return scheme, headers[signature], token, content_type and headers[content_type]


@lru_cache(maxsize=16)  # a sender always sends the same names; strangers may send long ones
def _names_among(names: tuple[str, ...]) -> _HeaderNames | None:
    spelled = {name.lower(): name for name in names}
    sources = _sources_among(spelled)
    if len(spelled) < len(names) or len(sources) != 1:
        return None
    family = FAMILIES[sources[0]]
    signature = spelled.get(family.signature_header.lower())
    if signature is None:
        return None
    return (
        BY_WEBHOOK_SECRET if sources == [Source.KORE] else BY_AUTH_TOKEN,
        signature,
        spelled.get(family.idempotency_header.lower()),
        spelled.get("content-type"),
        spelled.get(_SETTINGS),
    )


def read_claim(request: ReceivedRequest) -> SignatureClaim | Rejected:
    """Return the claim of a request, or Rejected if its signature is missing or malformed.

    The claimed signature can be empty, since KORE may send an empty one.
    """
    claim = find_claim(request.fields)
    if claim is None:
        return _why_nothing_is_claimed(request.fields)
    scheme, signature, token, _ = claim
    token = well_formed(token)
    if scheme.form.fullmatch(signature) or (scheme is BY_WEBHOOK_SECRET and not signature):
        return claim
    explanation = (
        f"{scheme.signature_header} is {quoted(signature)}; it must be {scheme.form_in_words}, once"
    )
    return Rejected(Reason.MALFORMED_SIGNATURE, explanation, scheme.source, token)


def _why_nothing_is_claimed(fields: Mapping[str, str]) -> Rejected:
    match _sources_among(fields):
        case []:
            names = " nor ".join(family.signature_header for family in FAMILIES.values())
            return Rejected(Reason.NO_SIGNATURE, f"there is neither {names}")
        case [source]:
            token = well_formed(fields.get(FAMILIES[source].idempotency_header.lower()))
        case _:
            listed = ", ".join(name for name in _NAMES if name.lower() in fields)
            return Rejected(
                Reason.BOTH_FAMILIES,
                f"it has headers of both Twilio and KORE ({listed}); a sender uses only one of the"
                " two",
            )
    if _scheme_named_in(fields.get(_SETTINGS, "")) is None:
        return Rejected(Reason.UNKNOWN_ALGORITHM, _unknown_algorithm(fields), source, token)
    explanation = f"there is no {FAMILIES[source].signature_header}"
    return Rejected(Reason.NO_SIGNATURE, explanation, source, token)


def well_formed(token: str | None) -> str | None:
    """Return the token; None if it is missing or malformed."""
    return token if token is not None and is_token(token) else None


def _sources_among(fields: Mapping[str, str]) -> list[Source]:
    """Return the sources that have headers among these; `fields` are by name in lower case."""
    return [
        source
        for source, family in FAMILIES.items()
        if any(name.lower() in fields for name in family.headers)
    ]


@lru_cache(maxsize=64)  # a sender always sends the same value
def _scheme_named_in(settings: str) -> VerificationScheme | None:
    """Return the scheme that Twilio's settings header names, or None if its algorithm is unknown.

    A header that names no algorithm means that the request is signed with the Auth Token.

    >>> _scheme_named_in("key=webhooks_sharedkey_1,algorithm=HMAC_SHA256").digest
    'sha256'
    """
    pairs = (part.partition("=") for part in settings.split(","))
    named = [value.strip() for name, _, value in pairs if name.strip() == "algorithm"]
    # Several algorithms, joined by commas, are not the name of any scheme.
    algorithm = ", ".join(filter(None, named)).upper()
    return BY_SHARED_KEY.get(algorithm) if algorithm else BY_AUTH_TOKEN


def _unknown_algorithm(fields: Mapping[str, str]) -> str:
    known = " or ".join(BY_SHARED_KEY)
    return f"{SETTINGS_HEADER} is {quoted(fields[_SETTINGS])}; this receiver supports only {known}"


def quoted(value: str) -> str:
    """Return a header's value for an explanation: in quotes, and no longer than 80 characters."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
