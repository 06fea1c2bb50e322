"""Verifies a request's signature, and explains what is wrong if it isn't a genuine callback.

Signatures are computed with the sender's own code, and compared in constant time. Checking never
raises, whatever a request contains: it returns a verdict.
"""

from collections.abc import Sequence
from dataclasses import replace
from hmac import compare_digest
from itertools import chain
from typing import Final

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.policy.source_policy import Source
from ringback.core.sources.idempotency_tokens import MAX_TOKEN, is_token
from ringback.core.sources.signature import BODY_HASH, body_hash, sign_as_twilio
from ringback.receiver.verification.body_variants import compact_forms, hashes_in
from ringback.receiver.verification.called_url import METHODS, CalledUrlSpellings
from ringback.receiver.verification.received_request import (
    ReceivedRequest,
    SenderCallbackRecord,
    is_form,
    is_json,
    read_form,
)
from ringback.receiver.verification.schemes import BY_WEBHOOK_SECRET, VerificationScheme
from ringback.receiver.verification.signature_candidates import (
    ReceiverSecrets,
    SignatureCandidate,
    is_same,
)
from ringback.receiver.verification.signature_headers import (
    SignatureClaim,
    quoted,
    read_claim,
    well_formed,
)
from ringback.receiver.verification.verdict import Reason, Rejected, Verdict, Verified

EMPTY_SIGNATURE: Final = Rejected(
    Reason.EMPTY_SIGNATURE,
    "KORE sends an empty signature when the account has no webhook secret,"
    " so nothing can be checked",
)
_NOT_EXPLAINED: Final = Rejected(
    Reason.NOT_EXPLAINED,
    "wrong secret, or the URL or the body was changed on the way;"
    " the signature alone doesn't show which",
)

Form = list[tuple[str, str]]


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
    claim = read_claim(request)
    if isinstance(claim, Rejected):
        return claim
    called = [CalledUrlSpellings.of(url, secrets) for url in urls]
    fault = find_fault(claim, request.method, request.body, called)
    if fault is not None:
        return explain(fault, request, called, sent)
    scheme, _, token, _ = claim
    return Verified(scheme.source, token)


def find_fault(
    claim: SignatureClaim, method: str, body: bytes, urls: Sequence[CalledUrlSpellings]
) -> Rejected | None:
    """Return the reason why a request to one of these URLs is not genuine, or None if it is.

    The signature may be malformed: such a signature is never right. `explain` turns the reason into
    the verdict.
    """
    scheme, signature, _, content_type = claim
    fault = None
    if not signature.isascii():  # `compare_digest` would raise
        is_right = False
    elif scheme.sign is not None:
        fault = _other_method(method)
        is_right = fault is None and _is_signed_by_source(scheme, signature, method, body, urls)
    elif scheme is BY_WEBHOOK_SECRET:
        is_right = _is_signed_by_kore(signature, method, body, urls) or (
            is_json(content_type)
            and any(
                _is_signed_by_kore(signature, method, form, urls) for form in compact_forms(body)
            )
        )
    else:
        form = read_form(body) if is_form(content_type) else []
        fault = _not_covered(method, content_type, body, urls, form)
        is_right = fault is None and _is_signed_by_twilio(scheme, signature, form, urls)
    if is_right:
        may_go_on = len(urls) > 1 or not urls[0].resource.has_path
        return (
            _not_as_sent(scheme, method, content_type, body)
            or malformed_token(claim)
            or (_url_goes_on(scheme, content_type, body, urls) if may_go_on else None)
            or (malformed_form(content_type, body) if _may_be_of_a_kind(scheme, body) else None)
        )
    if not signature and scheme is BY_WEBHOOK_SECRET:
        return EMPTY_SIGNATURE
    if not urls[0].secrets.by(scheme):
        return Rejected(
            Reason.NO_SECRET,
            f"this receiver has no {scheme.signs_with}, so {scheme.signature_header} can't be"
            " checked",
        )
    return fault or _NOT_EXPLAINED


def malformed_token(claim: SignatureClaim) -> Rejected | None:
    """Return Rejected if the claim has a token that can't be a key; None if it has none.

    Without this, a repeat of the request would be accepted as new.
    """
    token = claim[2]
    if token is None or is_token(token):
        return None
    return Rejected(
        Reason.MALFORMED_TOKEN,
        f"its idempotency token is {quoted(token)}, which has {len(token)} characters; a token has"
        f" 1 to {MAX_TOKEN}, all of them printable",
    )


def malformed_form(content_type: str | None, body: bytes) -> Rejected | None:
    """Return Rejected if the body is a form without the names that its kind of callback has.

    None if the body is not a form, or of no known kind.
    """
    if not is_form(content_type):
        return None
    from ringback.core.events.form_names import find_form_fault  # noqa: PLC0415 (it imports all events)

    fault = find_form_fault(read_form(body))
    if fault is None:
        return None
    return Rejected(
        Reason.MALFORMED_FORM,
        f"{fault}: a signature may be right for a form that was split into other names",
    )


def explain(
    fault: Rejected,
    request: ReceivedRequest,
    urls: Sequence[CalledUrlSpellings] = (),
    sent: SenderCallbackRecord | None = None,
    *,
    claim: SignatureClaim | None = None,
) -> Rejected:
    """Return the verdict on a request that has this fault.

    A malformed signature is reported before any other fault. If the signature is wrong, the mistake
    that leads to it is searched for. `claim` is the request's claim if it is known already, as for
    a source of the settings.
    """
    found = claim or read_claim(request)
    if isinstance(found, Rejected):
        return found
    if fault is _NOT_EXPLAINED:
        fault = _find_mistake(found, request, urls, sent) or fault
    scheme, _, token, _ = found
    return replace(fault, source=scheme.source, token=well_formed(token))


def _is_signed_by_kore(
    signature: str, method: str, body: bytes, urls: Sequence[CalledUrlSpellings]
) -> bool:
    for called in urls:
        for before_body in called.resource.kore_hashes[method]:
            signed = before_body.copy()
            signed.update(body)
            if compare_digest(signature, signed.hexdigest()):
                return True
    return False


def _is_signed_by_twilio(
    scheme: VerificationScheme, signature: str, form: Form, urls: Sequence[CalledUrlSpellings]
) -> bool:
    digest = scheme.digest
    for called in urls:
        for url in called.by_twilio:
            for secret in called.secrets.by(scheme):
                try:
                    computed = sign_as_twilio(url, form, auth_token=secret, digest=digest)
                    if compare_digest(signature, computed):
                        return True
                except UnicodeEncodeError:  # lone surrogates can't be encoded
                    continue
    return False


def _is_signed_by_source(
    scheme: VerificationScheme,
    signature: str,
    method: str,
    body: bytes,
    urls: Sequence[CalledUrlSpellings],
) -> bool:
    """Return True if one of the signatures, with spaces between, is by a source of the settings."""
    candidates = (
        SignatureCandidate(scheme, method, url, body, secret).signature()
        for called in urls
        for url in called.signed_by(scheme)
        for secret in called.secrets.by(scheme)
    )
    given = signature.split(" ")
    return any(is_same(one, computed) for computed in candidates for one in given)


def _other_method(method: str) -> Rejected | None:
    if method in METHODS:
        return None
    return Rejected(
        Reason.METHOD_CHANGED,
        f"callbacks are sent as {' or '.join(HttpMethod)}, but this arrived as {method}",
    )


def _not_covered(
    method: str,
    content_type: str | None,
    body: bytes,
    urls: Sequence[CalledUrlSpellings],
    form: Form,
) -> Rejected | None:
    """Return Rejected if a Twilio signature does not cover this method or body, or else None."""
    if (changed := _other_method(method)) is not None:
        return changed
    if form:
        return None
    covers = f"{BODY_HASH}={body_hash(body)}"
    if body and all(called.query.endswith(covers) for called in urls):
        return None
    hashes = [given for called in urls for given in hashes_in(called.query[1:])]
    if not hashes and body and not is_form(content_type):
        return Rejected(
            Reason.BODY_NOT_SIGNED,
            f"its body is not a form, and its URL has no {BODY_HASH}, so the signature doesn't"
            " cover the body",
        )
    # This also rejects a request whose body was removed.
    if hashes and set(hashes) != {body_hash(body)}:
        return Rejected(Reason.BODY_CHANGED, f"the {BODY_HASH} in its URL does not match its body")
    return None


def _not_as_sent(
    scheme: VerificationScheme, method: str, content_type: str | None, body: bytes
) -> Rejected | None:
    """Return Rejected if the body was changed in a way that leaves the signature right.

    A GET with a body is rejected: no signature marks where the URL ends and the body begins, and
    Twilio's does not cover the method. Only a GET of an event stream has a body, which is a JSON
    array or object: no URL ends like one, and Twilio signs its hash in the query. (No capture shows
    a GET of a stream, so this is a guess.)

    A body with a NUL byte is rejected if KORE signed it. KORE's signature is not an HMAC, so
    anybody can append to a signed body (a length-extension attack). This always adds NUL bytes,
    which no form or JSON contains.
    """
    if body and method == "GET":
        is_of_stream = scheme.sign is None and is_json(content_type) and body[:1] in (b"[", b"{")
        if not is_of_stream:
            return Rejected(
                Reason.BODY_CHANGED, "it is a GET with a body, but a callback by GET has no body"
            )
    if scheme.is_extensible and b"\0" in body:
        return Rejected(
            Reason.BODY_CHANGED,
            "its body has a NUL byte, which no form or JSON contains: somebody"
            " has extended the body",
        )
    return None


def _may_be_of_a_kind(scheme: VerificationScheme, body: bytes) -> bool:
    """Return False if a body is certainly no form of a known kind, without decoding it.

    Each name by which a kind is known has the letters `Si`. Only a signature of the decoded names
    stays the same if they are escaped. A source of the settings may have kinds of its own.
    """
    if body.rfind(b"Si") < 0 and (scheme is BY_WEBHOOK_SECRET or b"%" not in body):
        return False
    return scheme.sign is None


def _url_goes_on(
    scheme: VerificationScheme,
    content_type: str | None,
    body: bytes,
    urls: Sequence[CalledUrlSpellings],
) -> Rejected | None:
    """Return Rejected if a part of the URL was moved to the body, or else None.

    A URL without a path may be signed with a slash or without it, and by Twilio with a port or
    without it. The body follows without anything between, so it could take these over.
    """
    for called in urls:
        if not (called.resource.has_path or (scheme.covers_query and called.query)):
            break
    else:
        return None
    if scheme.is_extensible:
        begin, ends = body.lstrip()[:1], (b"/",)
    elif scheme.covers_query and is_form(content_type):
        joined = "".join(chain.from_iterable(sorted(set(read_form(body)))))
        begin, ends = joined[:1].encode("utf-8", "replace"), (b"/", b":")
    else:
        return None
    if begin not in ends:
        return None
    return Rejected(
        Reason.BODY_CHANGED,
        f"its body begins with {begin.decode()!r}, which the signature covers as the end of the"
        " URL",
    )


def _find_mistake(
    claim: SignatureClaim,
    request: ReceivedRequest,
    urls: Sequence[CalledUrlSpellings],
    sent: SenderCallbackRecord | None,
) -> Rejected | None:
    # Imported only when needed, since it imports all events: most receivers never see a mistake.
    from ringback.receiver.verification.diagnosis import compare_with_sent, find_mistake  # noqa: PLC0415 (see above)

    scheme, signature, _, _ = claim
    secrets = urls[0].secrets
    # Of a body that is not a form, Twilio signs only the hash in the URL.
    is_hashed = scheme.source is Source.TWILIO and not request.is_form
    body = b"" if is_hashed else request.body
    candidates = [
        SignatureCandidate(scheme, request.method, url, body, secret)
        for called in urls
        for url in called.signed_by(scheme)
        for secret in secrets.by(scheme)
    ]
    splits = [called.split for called in urls]
    mistake = find_mistake(signature, candidates, request=request, urls=splits, secrets=secrets)
    if mistake is None and sent is not None:
        mistake = compare_with_sent(signature, candidates, sent)
    return mistake
