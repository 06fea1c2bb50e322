"""Make forged requests from genuine callbacks, to check that the receiver refuses them."""

import hmac
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.http.http_exchange import OutgoingRequest
from ringback.core.policy.source_policy import Source
from ringback.core.sources.signature import sign_as_kore
from ringback.probe.probe_cases import Forgery
from ringback.probe.request_factory import MORE, ProbeRequestFactory
from ringback.receiver.verification.schemes import FAMILIES, HeaderFamily


def forge(
    make: ProbeRequestFactory, forgery: Forgery, source: Source, method: HttpMethod
) -> OutgoingRequest:
    """Return a request that looks like this source's request by this method, but is forged.

    `forgery` is the way to forge it.
    """
    callback = make.callback(source, method)
    genuine = _Genuine(make, callback, make.rendered(callback), FAMILIES[source])
    return _FORGERS[forgery](genuine)


def without(request: OutgoingRequest, names: Collection[str]) -> OutgoingRequest:
    """Return a copy of the request without the headers with these names."""
    return request.having(headers=tuple(pair for pair in request.headers if pair[0] not in names))


class _Genuine(NamedTuple):
    """The genuine callback from which a forgery is made, its request, and its source's headers."""

    make: ProbeRequestFactory
    callback: CallbackRecord
    request: OutgoingRequest
    family: HeaderFamily

    @property
    def signature(self) -> str:
        return dict(self.request.headers)[self.family.signature_header]

    def with_signature(self, signature: str) -> OutgoingRequest:
        """Return the request with this signature instead of its own."""
        changed = self.family.signature_header
        headers = tuple(
            (name, signature if name == changed else value) for name, value in self.request.headers
        )
        return self.request.having(headers=headers)

    def signed_for(self, other: CallbackUrl) -> OutgoingRequest:
        """Return a request to the receiver with the signature for another URL."""
        return self.make.rendered(self.callback._replace(url=other)).having(url=self.make.url)


def _changed_body(genuine: _Genuine) -> OutgoingRequest:
    request, url = genuine.request, genuine.request.url
    if genuine.callback.method is HttpMethod.GET:
        return request.having(url=replace(url, query=_changed(url.query or "")))
    return request.having(body=_changed(request.body.decode()).encode())


def _changed(form: str) -> str:
    # The new text has the same length, so Content-Length stays right: only the signature is wrong.
    return form.replace("SimStatus=active", "SimStatus=hacked")


def _changed_path(genuine: _Genuine) -> OutgoingRequest:
    url = genuine.make.url
    return genuine.signed_for(replace(url, path=f"{url.path.rstrip('/')}/other"))


def _added_query(genuine: _Genuine) -> OutgoingRequest:
    return genuine.request.having(url=genuine.request.url.with_parameters(MORE))


def _hmac(genuine: _Genuine) -> OutgoingRequest:
    request, secret = genuine.request, genuine.make.account.kore_secret
    text = f"{request.method}{request.url.resource}".encode() + request.body
    return genuine.with_signature(hmac.digest(secret.encode(), text, "sha256").hex())


def _auth_token(genuine: _Genuine) -> OutgoingRequest:
    request, secret = genuine.request, genuine.make.account.auth_token
    signature = sign_as_kore(request.method, request.url.resource, request.body, secret=secret)
    return genuine.with_signature(signature)


def _as_twilio(genuine: _Genuine) -> OutgoingRequest:
    """Return the request by which Twilio's source would send the same callback."""
    token = genuine.make.token(Source.TWILIO)
    callback = genuine.callback._replace(source=Source.TWILIO, idempotency_token=token)
    return genuine.make.rendered(callback)


def _twilio_signature(genuine: _Genuine) -> OutgoingRequest:
    request, twilio = _as_twilio(genuine), FAMILIES[Source.TWILIO]
    renamed = {
        twilio.signature_header: genuine.family.signature_header,
        twilio.idempotency_header: genuine.family.idempotency_header,
    }
    headers = tuple((renamed.get(name, name), value) for name, value in request.headers)
    return request.having(headers=headers)


def _both_families(genuine: _Genuine) -> OutgoingRequest:
    names = FAMILIES[Source.TWILIO].headers
    added = (pair for pair in _as_twilio(genuine).headers if pair[0] in names)
    return genuine.request.having(headers=(*genuine.request.headers, *added))


def _unsigned(genuine: _Genuine) -> OutgoingRequest:
    of_sources = {name for family in FAMILIES.values() for name in family.headers}
    # A stranger doesn't send a source's User-Agent either, and some receivers check that.
    return without(genuine.request, of_sources | {"User-Agent"})


_FORGERS: Final[Mapping[Forgery, Callable[[_Genuine], OutgoingRequest]]] = {
    Forgery.WRONG_SECRET: lambda of: of.make.rendered(of.callback, of.make.stranger()),
    Forgery.CHANGED_BODY: _changed_body,
    Forgery.CHANGED_PATH: _changed_path,
    Forgery.CHANGED_QUERY: lambda of: of.signed_for(of.make.url.with_parameters(MORE)),
    Forgery.ADDED_QUERY: _added_query,
    Forgery.MISSING_SIGNATURE: lambda of: without(of.request, (of.family.signature_header,)),
    Forgery.EMPTY_SIGNATURE: lambda of: of.with_signature(""),
    Forgery.EMPTY_KORE_SIGNATURE: lambda of: of.with_signature(""),
    Forgery.MALFORMED_SIGNATURE: lambda of: of.with_signature("!"),
    Forgery.UPPER_CASE: lambda of: of.with_signature(of.signature.upper()),
    Forgery.HMAC: _hmac,
    Forgery.AUTH_TOKEN: _auth_token,
    Forgery.TWILIO_SIGNATURE: _twilio_signature,
    Forgery.BOTH_FAMILIES: _both_families,
    Forgery.UNSIGNED: _unsigned,
}
