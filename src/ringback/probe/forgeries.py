"""What forgers make of genuine requests. Pure but for what the genuine ones are made with."""

import hmac
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Final

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.http.http_exchange import Headers, OutgoingRequest
from ringback.core.policy.source_policy import Source
from ringback.core.sources.signature import sign_as_kore
from ringback.probe.probe_cases import Forgery
from ringback.probe.request_factory import MORE, RequestFactory
from ringback.receiver.verification.schemes import FAMILIES


def forge(
    make: RequestFactory, forgery: Forgery, source: Source, method: HttpMethod
) -> OutgoingRequest:
    """Return a request that no sender sends."""
    return _FORGERS[forgery](make, source, method)


def header_of(request: OutgoingRequest, name: str) -> str:
    """Return the value of a header that a request has."""
    return dict(request.headers)[name]


def without(request: OutgoingRequest, names: Collection[str]) -> OutgoingRequest:
    """Return a request without the headers of these names."""
    return _with(request, tuple(pair for pair in request.headers if pair[0] not in names))


def _with(
    request: OutgoingRequest,
    headers: Headers,
    *,
    url: CallbackUrl | None = None,
    body: bytes | None = None,
) -> OutgoingRequest:
    return OutgoingRequest(
        request.method,
        url or request.url,
        headers,
        request.body if body is None else body,
        request.source,
    )


def _signed(request: OutgoingRequest, source: Source, signature: str) -> OutgoingRequest:
    """Return a request with this in place of its signature."""
    changed = FAMILIES[source].signature_header
    return _with(
        request,
        tuple((name, signature if name == changed else value) for name, value in request.headers),
    )


def _wrong_secret(make: RequestFactory, source: Source, method: HttpMethod) -> OutgoingRequest:
    return make.rendered(make.callback(source, method), make.stranger())


def _changed_body(make: RequestFactory, source: Source, method: HttpMethod) -> OutgoingRequest:
    request = make.request(source, method)
    if method is HttpMethod.GET:
        url = replace(request.url, query=_changed(request.url.query or ""))
        return _with(request, request.headers, url=url)
    return _with(request, request.headers, body=_changed(request.body.decode()).encode())


def _changed(form: str) -> str:
    # As long as before, so that Content-Length stays right.
    return form.replace("SimStatus=active", "SimStatus=hacked")


def _changed_path(make: RequestFactory, source: Source, method: HttpMethod) -> OutgoingRequest:
    other = replace(make.url, path=f"{make.url.path.rstrip('/')}/other")
    return _signed_for(make, source, method, other)


def _changed_query(make: RequestFactory, source: Source, method: HttpMethod) -> OutgoingRequest:
    return _signed_for(make, source, method, make.url.with_parameters(MORE))


def _signed_for(
    make: RequestFactory, source: Source, method: HttpMethod, other: CallbackUrl
) -> OutgoingRequest:
    request = make.request(source, method, url=other)
    return _with(request, request.headers, url=make.url)


def _added_query(make: RequestFactory, source: Source, method: HttpMethod) -> OutgoingRequest:
    request = make.request(source, method)
    return _with(request, request.headers, url=request.url.with_parameters(MORE))


def _missing(make: RequestFactory, source: Source, method: HttpMethod) -> OutgoingRequest:
    return without(make.request(source, method), (FAMILIES[source].signature_header,))


def _empty(make: RequestFactory, source: Source, method: HttpMethod) -> OutgoingRequest:
    return _signed(make.request(source, method), source, "")


def _malformed(make: RequestFactory, source: Source, method: HttpMethod) -> OutgoingRequest:
    return _signed(make.request(source, method), source, "!")


def _upper_case(make: RequestFactory, source: Source, method: HttpMethod) -> OutgoingRequest:
    request = make.request(source, method)
    right = header_of(request, FAMILIES[source].signature_header)
    return _signed(request, source, right.upper())


def _hmac(make: RequestFactory, source: Source, method: HttpMethod) -> OutgoingRequest:
    request = make.request(source, method)
    text = f"{method}{request.url.resource}".encode() + request.body
    return _signed(
        request, source, hmac.digest(make.account.kore_secret.encode(), text, "sha256").hex()
    )


def _auth_token(make: RequestFactory, source: Source, method: HttpMethod) -> OutgoingRequest:
    request = make.request(source, method)
    signature = sign_as_kore(
        method, request.url.resource, request.body, secret=make.account.auth_token
    )
    return _signed(request, source, signature)


def _twilio_signature(make: RequestFactory, source: Source, method: HttpMethod) -> OutgoingRequest:
    twilio = make.request(Source.TWILIO, method)
    renamed = {
        getattr(FAMILIES[Source.TWILIO], name): getattr(FAMILIES[source], name)
        for name in ("signature_header", "idempotency_header")
    }
    headers = tuple((renamed.get(name, name), value) for name, value in twilio.headers)
    return _with(twilio, headers)


def _both_families(make: RequestFactory, source: Source, method: HttpMethod) -> OutgoingRequest:
    callback = make.callback(source, method)
    of_twilio = callback._replace(source=Source.TWILIO, idempotency_token=make.token(Source.TWILIO))
    request, twilio = make.rendered(callback), make.rendered(of_twilio)
    names = FAMILIES[Source.TWILIO].headers
    added = tuple(pair for pair in twilio.headers if pair[0] in names)
    return _with(request, (*request.headers, *added))


def _unsigned(make: RequestFactory, source: Source, method: HttpMethod) -> OutgoingRequest:
    request = make.request(source, method)
    of_sources = {name for family in FAMILIES.values() for name in family.headers}
    return without(request, of_sources | {"User-Agent"})


_Forger = Callable[[RequestFactory, Source, HttpMethod], OutgoingRequest]

_FORGERS: Final[Mapping[Forgery, _Forger]] = {
    Forgery.WRONG_SECRET: _wrong_secret,
    Forgery.CHANGED_BODY: _changed_body,
    Forgery.CHANGED_PATH: _changed_path,
    Forgery.CHANGED_QUERY: _changed_query,
    Forgery.ADDED_QUERY: _added_query,
    Forgery.MISSING_SIGNATURE: _missing,
    Forgery.EMPTY_SIGNATURE: _empty,
    Forgery.MALFORMED_SIGNATURE: _malformed,
    Forgery.UPPER_CASE: _upper_case,
    Forgery.HMAC: _hmac,
    Forgery.AUTH_TOKEN: _auth_token,
    Forgery.TWILIO_SIGNATURE: _twilio_signature,
    Forgery.BOTH_FAMILIES: _both_families,
    Forgery.UNSIGNED: _unsigned,
}
