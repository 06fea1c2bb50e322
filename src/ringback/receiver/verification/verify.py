"""Verifies a request's signature, and explains what is wrong if it isn't a genuine callback.

Signatures are computed with the sender's own code, and compared in constant time. Checking never
raises, whatever a request contains: it returns a verdict.
"""

from collections.abc import Iterable, Sequence
from hmac import compare_digest
from typing import TYPE_CHECKING, Final

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.policy.source_policy import Source
from ringback.core.sources.signature import sign_as_kore, sign_as_twilio
from ringback.receiver.verification.body_variants import (
    HASH_PARAMETER,
    compact_forms,
    hash_of,
    hashes_in,
)
from ringback.receiver.verification.called_url import CalledUrlSpellings
from ringback.receiver.verification.received_request import (
    ReceivedRequest,
    SenderCallbackRecord,
    read_form,
)
from ringback.receiver.verification.schemes import BY_WEBHOOK_SECRET, FAMILIES
from ringback.receiver.verification.signature_candidates import ReceiverSecrets, SignatureCandidate
from ringback.receiver.verification.signature_headers import UnverifiedSignature, read_claim
from ringback.receiver.verification.verdict import Reason, Rejected, Verdict, Verified

_EMPTY: Final = (
    "KORE sends an empty signature when the account has no webhook secret,"
    " so nothing can be checked"
)
if TYPE_CHECKING:
    from ringback.receiver.verification.diagnosis import SignatureMistake

Form = list[tuple[str, str]]

_METHODS: Final = frozenset(map(str, HttpMethod))


def check(
    request: ReceivedRequest,
    *,
    urls: Sequence[str],
    secrets: ReceiverSecrets,
    sent: SenderCallbackRecord | None = None,
) -> Verdict:
    """Return Verified if the request is a genuine callback, or Rejected with the reason.

    `urls` are the URLs that the sender may have called, including their queries; at least one is
    needed. `sent` is the sender's record of the callback, which is only used to explain a wrong
    signature.
    """
    match read_claim(request):
        case UnverifiedSignature() as claim:
            called = [CalledUrlSpellings.of(url) for url in urls]
            return judge(claim, request, called, secrets, sent)
        case Rejected() as rejected:
            return rejected


def judge(
    claim: UnverifiedSignature,
    request: ReceivedRequest,
    urls: Sequence[CalledUrlSpellings],
    secrets: ReceiverSecrets,
    sent: SenderCallbackRecord | None = None,
) -> Verdict:
    """Return Verified if the claimed signature is right, or Rejected; arguments as for `check`."""
    scheme = claim.scheme
    those = secrets.by(scheme)
    if not claim.signature:
        return claim.rejected(Reason.EMPTY_SIGNATURE, _EMPTY)
    if not those:
        name = FAMILIES[claim.source].signature_header
        return claim.rejected(
            Reason.NO_SECRET,
            f"this receiver has no {scheme.signs_with}, so {name} can't be checked",
        )
    if scheme is BY_WEBHOOK_SECRET:
        is_right = _is_signed_by_kore(
            claim, request, request.body, urls, those
        ) or _is_signed_compact(claim, request, urls, those)
    else:
        form = read_form(request.body) if request.is_form else []
        if (refused := _not_covered(claim, request, urls, form)) is not None:
            return refused
        is_right = _is_right_for_twilio(claim, form, urls, those)
    if is_right:
        return _not_as_sent(claim, request) or Verified(claim.source, claim.token)
    mistake = _find_mistake(claim, request, urls, secrets, sent)
    return claim.rejected(mistake.reason, mistake.explanation)


def _is_signed_compact(
    claim: UnverifiedSignature,
    request: ReceivedRequest,
    urls: Iterable[CalledUrlSpellings],
    secrets: Iterable[str],
) -> bool:
    return request.is_json and any(
        _is_signed_by_kore(claim, request, body, urls, secrets)
        for body in compact_forms(request.body)
    )


def _is_signed_by_kore(
    claim: UnverifiedSignature,
    request: ReceivedRequest,
    body: bytes,
    urls: Iterable[CalledUrlSpellings],
    secrets: Iterable[str],
) -> bool:
    given, method = claim.signature, request.method
    for called in urls:
        for url in called.resource.by_kore:
            for secret in secrets:
                try:
                    if compare_digest(given, sign_as_kore(method, url, body, secret=secret)):
                        return True
                except UnicodeEncodeError:  # lone surrogates can't be encoded
                    continue
    return False


def _is_right_for_twilio(
    claim: UnverifiedSignature,
    form: Form,
    urls: Iterable[CalledUrlSpellings],
    secrets: Iterable[str],
) -> bool:
    given, digest = claim.signature, claim.scheme.digest
    for called in urls:
        for url in called.by_twilio:
            for secret in secrets:
                try:
                    signature = sign_as_twilio(url, form, auth_token=secret, digest=digest)
                    if compare_digest(given, signature):
                        return True
                except UnicodeEncodeError:
                    continue
    return False


def _not_covered(
    claim: UnverifiedSignature,
    request: ReceivedRequest,
    urls: Sequence[CalledUrlSpellings],
    form: Form,
) -> Rejected | None:
    """Return Rejected if a Twilio signature does not cover this method or body, or else None."""
    if request.method not in _METHODS:
        return claim.rejected(
            Reason.METHOD_CHANGED,
            f"callbacks are sent as {' or '.join(HttpMethod)}, but this arrived as"
            f" {request.method}",
        )
    if form:
        return None
    body, covers = request.body, f"{HASH_PARAMETER}={hash_of(request.body)}"
    if body and all(called.query.endswith(covers) for called in urls):
        return None
    hashes = [given for called in urls for given in hashes_in(called.query[1:])]
    if not hashes and body and not request.is_form:
        return claim.rejected(
            Reason.BODY_NOT_SIGNED,
            f"its body is not a form, and its URL has no {HASH_PARAMETER}, so the signature doesn't"
            " cover the body",
        )
    # This also rejects a request whose body was removed.
    if hashes and set(hashes) != {hash_of(body)}:
        return claim.rejected(
            Reason.BODY_CHANGED, f"the {HASH_PARAMETER} in its URL does not match its body"
        )
    return None


def _not_as_sent(claim: UnverifiedSignature, request: ReceivedRequest) -> Rejected | None:
    """Return Rejected if the body was changed in a way that leaves the signature right.

    A GET with a body is rejected: no signature marks where the URL ends and the body begins, and
    Twilio's does not cover the method.

    A body with a NUL byte is rejected if KORE signed it. KORE's signature is not an HMAC, so
    anybody can append to a signed body (a length-extension attack). This always adds NUL bytes,
    which no form or JSON contains.
    """
    if request.body and request.method == "GET":
        return claim.rejected(
            Reason.BODY_CHANGED, "it is a GET with a body, but a callback by GET has no body"
        )
    if claim.scheme is BY_WEBHOOK_SECRET and b"\0" in request.body:
        return claim.rejected(
            Reason.BODY_CHANGED,
            "its body has a NUL byte, which no form or JSON contains: somebody"
            " has extended the body",
        )
    return None


def _find_mistake(
    claim: UnverifiedSignature,
    request: ReceivedRequest,
    urls: Sequence[CalledUrlSpellings],
    secrets: ReceiverSecrets,
    sent: SenderCallbackRecord | None,
) -> "SignatureMistake":
    # Imported only when needed, since it imports all events: most receivers never see a mistake.
    from ringback.receiver.verification.diagnosis import (  # noqa: PLC0415
        NOT_EXPLAINED,
        compare_with_sent,
        find_mistake,
    )

    # Of a body that is not a form, Twilio signs only the hash in the URL.
    body = request.body if claim.source is Source.KORE or request.is_form else b""
    candidates = [
        SignatureCandidate(claim.scheme, request.method, url, body, secret)
        for called in urls
        for url in called.signed_by(claim.source)
        for secret in secrets.by(claim.scheme)
    ]
    splits = [called.split for called in urls]
    mistake = find_mistake(
        claim.signature, candidates, request=request, urls=splits, secrets=secrets
    )
    if mistake is None and sent is not None:
        mistake = compare_with_sent(claim.signature, candidates, sent)
    return mistake or NOT_EXPLAINED
