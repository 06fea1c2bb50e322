"""Is this request a genuine callback, and if not, why not?

Laws of this file. The signature is checked with the code that makes it, and compared in constant
time. Whatever a request holds, checking it returns a verdict and never raises.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ringback.core.source import Source
from ringback.core.tokens import is_token
from ringback.receiver.checking.basis import Basis, Secrets, is_same
from ringback.receiver.checking.families import FAMILIES
from ringback.receiver.checking.mistakes import NOT_EXPLAINED, compare_with_sent, find_mistake
from ringback.receiver.checking.request import ReceivedRequest, Sent
from ringback.receiver.checking.urls import SplitUrl
from ringback.receiver.checking.verdict import Genuine, Reason, Rejected, Verdict

_SHOWN: Final = 80


def check(
    request: ReceivedRequest, *, urls: Sequence[str], secrets: Secrets, sent: Sent | None = None
) -> Verdict:
    """Say whether a request is a genuine callback.

    The URLs are those under which the receiver may have been called, at least one; each with its
    query, as a Twilio signature covers it. What the sender's record says that it sent explains
    a wrong signature for certain; it never makes a request genuine.
    """
    match read_claim(request):
        case Claim() as claim:
            return _judge(claim, request, [SplitUrl.of(url) for url in urls], secrets, sent)
        case Rejected() as refused:
            return refused


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says of itself, in the headers of one family."""

    source: Source
    token: str | None
    signature: str

    def refused(self, reason: Reason, explanation: str) -> Rejected:
        """Return the verdict that does not believe it."""
        return Rejected(reason, explanation, self.source, self.token)


def read_claim(request: ReceivedRequest) -> Claim | Rejected:
    """Return what a request claims to be, or why it claims nothing that could be checked."""
    sources = [source for source in Source if _has_headers_of(source, request)]
    match sources:
        case []:
            names = " nor ".join(family.signature_header for family in FAMILIES.values())
            return Rejected(Reason.NO_SIGNATURE, f"there is neither {names}")
        case [source]:
            return _read_family(source, request)
        case _:
            found = [name for source in sources for name in _headers_of(source, request)]
            return Rejected(
                Reason.BOTH_FAMILIES,
                f"it has headers of both families ({', '.join(found)}); a sender uses one",
            )


def _headers_of(source: Source, request: ReceivedRequest) -> list[str]:
    return [name for name in FAMILIES[source].headers if request.values(name)]


def _has_headers_of(source: Source, request: ReceivedRequest) -> bool:
    return bool(_headers_of(source, request))


def _read_family(source: Source, request: ReceivedRequest) -> Claim | Rejected:
    family = FAMILIES[source]
    name = family.signature_header
    token = _read_token(source, request)
    match request.values(name):
        case []:
            return Rejected(Reason.NO_SIGNATURE, f"there is no {name}", source, token)
        case [""] if source is Source.KORE:
            return Rejected(
                Reason.EMPTY_SIGNATURE,
                "KORE sends an empty signature when the account has no webhook secret,"
                " so nothing can be checked",
                source,
                token,
            )
        case [signature] if family.signature_form.fullmatch(signature):
            return Claim(source, token, signature)
        case given:
            return Rejected(
                Reason.MALFORMED_SIGNATURE,
                f"{name} is {_quoted(given)}; it must be {family.form_in_words}, once",
                source,
                token,
            )


def _read_token(source: Source, request: ReceivedRequest) -> str | None:
    match request.values(FAMILIES[source].idempotency_header):
        case [token] if is_token(source, token):
            return token
        case _:
            return None


def _quoted(values: Sequence[str]) -> str:
    text = " and ".join(repr(value) for value in values)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _judge(
    claim: Claim,
    request: ReceivedRequest,
    urls: Sequence[SplitUrl],
    secrets: Secrets,
    sent: Sent | None,
) -> Verdict:
    family = FAMILIES[claim.source]
    if not secrets.of(claim.source):
        return claim.refused(
            Reason.NO_SECRET,
            f"no {family.signs_with} is known here, so {family.signature_header} can't be checked",
        )
    bases = _bases(claim.source, request, urls, secrets)
    if any(is_same(claim.signature, basis.signature()) for basis in bases):
        return Genuine(claim.source, claim.token)
    mistake = find_mistake(claim.signature, bases, request=request, urls=urls, secrets=secrets)
    if mistake is None and sent is not None:
        mistake = compare_with_sent(claim.signature, bases, sent)
    mistake = mistake or NOT_EXPLAINED
    return claim.refused(mistake.reason, mistake.explanation)


def _bases(
    source: Source, request: ReceivedRequest, urls: Sequence[SplitUrl], secrets: Secrets
) -> list[Basis]:
    """Return every way in which the signature would be right."""
    spelled = [url for given in urls for url in _spellings(given, request)]
    return [
        Basis(source, request.method, url.signed_by(source), request.body, secret)
        for url in spelled
        for secret in secrets.of(source)
    ]


def _spellings(url: SplitUrl, request: ReceivedRequest) -> Sequence[SplitUrl]:
    return url.spellings() if request.path == "/" else [url]
