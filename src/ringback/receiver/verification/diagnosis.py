"""Finds out why a signature is wrong, by trying the usual mistakes one after the other.

A mistake is reported only if it leads to exactly the signature that was received. So a reported
mistake is certain, and the order of trying does not matter.
"""

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, product
from typing import Final
from urllib.parse import quote, urlencode

from ringback.core.events.payload import PARAMETERS
from ringback.core.form_encoding import encode
from ringback.core.policy.source_policy import Source
from ringback.receiver.verification.body_diff import describe_change
from ringback.receiver.verification.called_url import DEFAULT_PORTS, SplitUrl, without_port
from ringback.receiver.verification.received_request import (
    ReceivedRequest,
    SenderCallbackRecord,
    read_form,
)
from ringback.receiver.verification.schemes import BY_WEBHOOK_SECRET, FAMILIES
from ringback.receiver.verification.signature_candidates import (
    ReceiverSecrets,
    SignatureCandidate,
    is_same,
)
from ringback.receiver.verification.verdict import Reason, Rejected

_LONGEST_BODY: Final = 8 * 1024
"""Longest body to diagnose, in bytes; callbacks are shorter.

Without this limit, a forged request could make the receiver compute signatures for seconds.
"""

_MOST_PARAMETERS: Final = 100
"""Most parameters to diagnose, since they are sorted to compute each of Twilio's signatures."""

_FRAGMENTS: Final = ("#cbs=kore", "#cbs=twilio")


_PENDING: Final = Rejected(
    Reason.PENDING_SECRET,
    "it was signed with the pending webhook secret, which this receiver doesn't accept yet:"
    " its sender has activated it",
)

_Guess = tuple[str | None, Rejected]
"""A signature that the request may have, and the mistake that would lead to it."""


def find_mistake(
    signature: str,
    candidates: Sequence[SignatureCandidate],
    *,
    request: ReceivedRequest,
    urls: Sequence[SplitUrl],
    secrets: ReceiverSecrets,
) -> Rejected | None:
    """Return the mistake that leads to this wrong signature, or None if no usual mistake does.

    `candidates` are the signatures that the receiver has computed and compared already, without a
    match. `urls` are their URLs.
    """
    if len(request.body) > _LONGEST_BODY or request.body.count(b"&") >= _MOST_PARAMETERS:
        return None
    guesses = chain.from_iterable(
        chain(
            _other_secret(candidate, secrets),
            _other_body(candidate),
            _other_method(candidate),
            _other_hash(candidate),
        )
        for candidate in candidates
    )
    # `_other_url` replaces the candidate's URL, so one candidate for each secret is enough.
    first_ones = {candidate.secret: candidate for candidate in reversed(candidates)}.values()
    guesses = chain(guesses, *(_other_url(candidate, urls, request) for candidate in first_ones))
    return next((mistake for guess, mistake in guesses if is_same(signature, guess)), None)


def compare_with_sent(
    signature: str, candidates: Sequence[SignatureCandidate], sent: SenderCallbackRecord
) -> Rejected:
    """Return why a signature is wrong, by comparing the request with the sender's record of it."""
    url = SplitUrl.of(sent.url).signed_by(candidates[0].scheme)
    as_sent = [
        replace(candidate, method=sent.method, url=url, body=sent.body) for candidate in candidates
    ]
    if not any(is_same(signature, candidate.signature()) for candidate in as_sent):
        return Rejected(
            Reason.WRONG_SECRET,
            f"it was signed with another {candidates[0].scheme.signs_with} than"
            " this receiver's: with this receiver's, even the request as the"
            " sender recorded it has another signature",
        )
    if url not in {candidate.url for candidate in candidates}:
        return _url_differs(url, candidates[0].url)
    if sent.body != candidates[0].body:
        return _body_changed(describe_change(sent.body, candidates[0].body))
    return _method_changed(sent.method, candidates[0].method)


def _url_differs(signed: str, used: str) -> Rejected:
    return Rejected(
        Reason.URL_DIFFERS, f"it was signed for {signed}, but this receiver checks it for {used}"
    )


def _body_changed(how: str) -> Rejected:
    return Rejected(Reason.BODY_CHANGED, f"the body is not the one that was signed: {how}")


def _method_changed(signed: str, used: str) -> Rejected:
    return Rejected(Reason.METHOD_CHANGED, f"it was signed as {signed}, but arrived as {used}")


def _other_secret(candidate: SignatureCandidate, secrets: ReceiverSecrets) -> Iterator[_Guess]:
    for source in set(Source) - {candidate.source}:
        theirs = FAMILIES[source].signs_with
        mistake = Rejected(
            Reason.OTHER_FAMILYS_SECRET,
            f"it was signed with the {theirs}; {candidate.scheme.signature_header} needs the"
            f" {candidate.scheme.signs_with}",
        )
        for secret in secrets.of(source):
            yield replace(candidate, secret=secret).signature(), mistake
    if candidate.source is Source.KORE:
        for secret in secrets.pending_kore_secrets:
            yield replace(candidate, secret=secret).signature(), _PENDING
    for name, secret in secrets.others():
        mistake = Rejected(
            Reason.WRONG_SECRET,
            f"it was signed with {name}, not with the {candidate.scheme.signs_with} of this"
            " receiver",
        )
        yield replace(candidate, secret=secret).signature(), mistake


def _other_url(
    candidate: SignatureCandidate, urls: Sequence[SplitUrl], request: ReceivedRequest
) -> Iterator[_Guess]:
    rebuilt = (str(each) for url in urls for each in _rebuilt(url, request))
    for url in dict.fromkeys(chain(rebuilt, _with_fragments(urls))):
        yield replace(candidate, url=url).signature(), _url_differs(url, candidate.url)


def _rebuilt(url: SplitUrl, request: ReceivedRequest) -> Iterator[SplitUrl]:
    """Yield variants of `url` that the sender may have signed instead.

    Each variant is yielded with and without the query, since only Twilio's signature covers it.
    """
    schemes = {"http", "https", url.scheme}
    hosts = {url.authority, *_first(request, "Host"), *_first(request, "X-Forwarded-Host")}
    paths = {path for given in (url.path, request.path) for path in (given, _toggle_slash(given))}
    queries = {"", url.query, request.target.removeprefix(request.path)}
    for scheme, host, path, query in product(schemes, hosts, paths, queries):
        for authority in _with_ports(scheme, host, request):
            yield SplitUrl(scheme, authority, path, query)


def _with_fragments(urls: Sequence[SplitUrl]) -> Iterator[str]:
    """Yield the URLs with their fragments, which a sender may have signed by mistake."""
    for url, fragment in product(urls, _FRAGMENTS):
        yield f"{url}{url.fragment or fragment}"
        yield f"{url.signed_by(BY_WEBHOOK_SECRET)}{url.fragment or fragment}"


def _first(request: ReceivedRequest, name: str) -> list[str]:
    """Return a list with a header's first value, which the proxy nearest to the sender has set.

    Further values are ignored, since a request with a thousand values would cost too much time. The
    list is empty if there is no such header.
    """
    return [value.partition(",")[0].strip() for value in request.values(name)[:1]]


def _toggle_slash(path: str) -> str:
    return path.removesuffix("/") if path.endswith("/") else f"{path}/"


def _with_ports(scheme: str, host: str, request: ReceivedRequest) -> set[str]:
    bare = without_port(host)
    ports = {DEFAULT_PORTS.get(scheme, ""), *_first(request, "X-Forwarded-Port")}
    return {host, bare, *(f"{bare}:{port}" for port in ports)}


def _other_body(candidate: SignatureCandidate) -> Iterator[_Guess]:
    for body, how in _bodies(candidate.body):
        yield replace(candidate, body=body).signature(), _body_changed(how)


def _bodies(body: bytes) -> Iterator[tuple[bytes, str]]:
    """Yield bodies that may have been signed instead, each with what changed it on the way."""
    form = read_form(body)
    valued = [(name, value) for name, value in form if value]
    rewritten = "the form was parsed and written again"
    yield encode(form).encode(), rewritten
    yield urlencode(form, quote_via=quote).encode(), rewritten
    yield body.replace(b"%20", b"+"), "a space arrived as %20 and was signed as +"
    yield body.replace(b"+", b"%20"), "a space arrived as + and was signed as %20"
    yield encode(valued).encode(), "parameters without a value were added"
    yield body.rstrip(b"\r\n"), "a line break was added at its end"
    yield body + b"\n", "the line break at its end was removed"
    yield body + b"\r\n", "the line break at its end was removed"
    yield b"", "an empty body was signed"
    for names in PARAMETERS.values():
        order = {name: index for index, (name, _) in enumerate(names)}
        as_sent = sorted(form, key=lambda pair: order.get(pair[0], len(order)))
        yield encode(as_sent).encode(), "its parameters were put in another order"


def _other_method(candidate: SignatureCandidate) -> Iterator[_Guess]:
    for method in ("POST", "GET"):
        yield (
            replace(candidate, method=method).signature(),
            _method_changed(method, candidate.method),
        )


def _other_hash(candidate: SignatureCandidate) -> Iterator[_Guess]:
    if candidate.source is Source.KORE:
        yield (
            (candidate.signature() or "").upper(),
            Rejected(
                Reason.UPPER_CASE,
                "the signature is right except for its letter case: KORE sends hex in lower case",
            ),
        )
        yield (
            _hmac(candidate),
            Rejected(
                Reason.HMAC,
                "the signature is an HMAC, but KORE's is the plain SHA-256 of secret,"
                " method, URL and body",
            ),
        )


def _hmac(candidate: SignatureCandidate) -> str:
    signed = f"{candidate.method}{candidate.url}".encode("utf-8", "replace") + candidate.body
    key = candidate.secret.encode("utf-8", "replace")
    return hmac.new(key, signed, hashlib.sha256).hexdigest()
