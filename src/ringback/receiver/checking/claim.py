"""What a request says of itself, before anything is believed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ringback.core.source import Source
from ringback.core.tokens import is_token
from ringback.receiver.checking.families import (
    BY_AUTH_TOKEN,
    BY_SHARED_KEY,
    BY_WEBHOOK_SECRET,
    FAMILIES,
    SETTINGS_HEADER,
    Scheme,
)
from ringback.receiver.checking.request import Headers
from ringback.receiver.checking.verdict import Reason, Rejected

_SHOWN: Final = 80
_SOURCES: Final = {
    name.lower(): source for source, family in FAMILIES.items() for name in family.headers
}
_SETTINGS: Final = SETTINGS_HEADER.lower()


@dataclass(slots=True)  # not frozen: see ReceivedRequest
class Claim:
    """What a request says of itself, in the headers of one family."""

    source: Source
    token: str | None
    signature: str
    scheme: Scheme

    def rejected(self, reason: Reason, explanation: str) -> Rejected:
        """Return the verdict that does not believe it."""
        return Rejected(reason, explanation, self.source, self.token)


def read_claim(headers: Headers) -> Claim | Rejected:
    """Return what a request claims to be, or why it claims nothing that could be checked.

    Where a signature of KORE's is empty, so is the claim's.
    """
    found: dict[str, list[str]] = {}
    source, is_mixed = None, False
    for name, value in headers:
        its = _SOURCES.get(lowered := name.lower())
        if its is not None:
            found.setdefault(lowered, []).append(value)
            is_mixed = is_mixed or source not in (None, its)
            source = its
    if source is None:
        names = " nor ".join(family.signature_header for family in FAMILIES.values())
        return Rejected(Reason.NO_SIGNATURE, f"there is neither {names}")
    if is_mixed:
        return _mixed(found)
    return _read_family(source, found)


def _mixed(found: dict[str, list[str]]) -> Rejected:
    names = [name for family in FAMILIES.values() for name in family.headers]
    listed = ", ".join(name for name in names if name.lower() in found)
    return Rejected(
        Reason.BOTH_FAMILIES, f"it has headers of both families ({listed}); a sender uses one"
    )


def _read_family(source: Source, found: dict[str, list[str]]) -> Claim | Rejected:
    family = FAMILIES[source]
    token = _read_token(source, found.get(family.idempotency_header.lower()))
    scheme = _read_scheme(source, found.get(_SETTINGS))
    if isinstance(scheme, str):
        return Rejected(Reason.UNKNOWN_ALGORITHM, scheme, source, token)
    match found.get(family.signature_header.lower()):
        case None:
            explanation = f"there is no {family.signature_header}"
            return Rejected(Reason.NO_SIGNATURE, explanation, source, token)
        case [signature] if scheme.form.fullmatch(signature):
            return Claim(source, token, signature, scheme)
        case [""] if source is Source.KORE:
            return Claim(source, token, "", scheme)
        case given:
            explanation = (
                f"{family.signature_header} is {_quoted(given)};"
                f" it must be {scheme.form_in_words}, once"
            )
            return Rejected(Reason.MALFORMED_SIGNATURE, explanation, source, token)


def _read_token(source: Source, given: list[str] | None) -> str | None:
    if given is None or len(given) > 1 or not is_token(source, given[0]):
        return None
    return given[0]


def _read_scheme(source: Source, settings: list[str] | None) -> Scheme | str:
    """Return how it was signed, or why that can't be told."""
    if source is Source.KORE:
        return BY_WEBHOOK_SECRET
    if settings is None:
        return BY_AUTH_TOKEN
    named = [name for text in settings for name in _algorithms(text)]
    if not named:
        return BY_AUTH_TOKEN
    if len(named) == 1 and (scheme := BY_SHARED_KEY.get(named[0].upper())):
        return scheme
    known = " or ".join(BY_SHARED_KEY)
    return f"{SETTINGS_HEADER} names the algorithm {_quoted(named)}; this receiver knows {known}"


def _algorithms(settings: str) -> list[str]:
    """Return the algorithms that a header names, of which there should be one.

    >>> _algorithms("key=webhooks_sharedkey_1,algorithm=HMAC_SHA256")
    ['HMAC_SHA256']
    """
    pairs = (part.partition("=") for part in settings.split(","))
    return [value.strip() for name, _, value in pairs if name.strip() == "algorithm" and value]


def _quoted(values: Sequence[str]) -> str:
    text = " and ".join(repr(value) for value in values)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
