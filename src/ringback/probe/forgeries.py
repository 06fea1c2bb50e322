"""Make forged requests from genuine callbacks, to check that the receiver refuses them."""

import hmac
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final, NamedTuple

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.http.http_exchange import OutgoingRequest
from ringback.core.policy.source_policy import Source, SourceName
from ringback.core.sources.signature import sign_as_kore
from ringback.probe.case_kinds import OF_EVENTS, Forgery
from ringback.probe.payloads import ProbeCallbackKind
from ringback.probe.request_factory import MORE, ProbeRequestFactory
from ringback.receiver.verification.schemes import FAMILIES

_AGE: Final = timedelta(hours=1)
"""The age of a request with an old timestamp; Standard Webhooks recommends to allow minutes."""
_OF_ANYBODY: Final = frozenset(
    {"Host", "Content-Length", "Content-Type", "Accept", "Accept-Encoding", "Authorization"}
)
"""The headers of a request that imitates no source; some receivers check the User-Agent."""


def forge(
    make: ProbeRequestFactory,
    forgery: Forgery,
    source: SourceName,
    method: HttpMethod,
    *,
    of_stream: bool = False,
) -> OutgoingRequest:
    """Return a request that looks like this source's request by this method, but is forged.

    `forgery` is the way to forge it. With `of_stream`, it imitates a batch of an event stream.
    """
    kind = ProbeCallbackKind.EVENTS if forgery in OF_EVENTS else ProbeCallbackKind.SIM_UPDATE
    kind = ProbeCallbackKind.BATCH if of_stream else kind
    callback = make.callback(source, method, kind)
    return _FORGERS[forgery](_Genuine(make, callback, make.rendered(callback)))


def without(request: OutgoingRequest, names: Collection[str]) -> OutgoingRequest:
    """Return a copy of the request without the headers with these names."""
    return request.having(headers=tuple(pair for pair in request.headers if pair[0] not in names))


class _Genuine(NamedTuple):
    """The genuine callback from which a forgery is made, and its request."""

    make: ProbeRequestFactory
    callback: CallbackRecord
    request: OutgoingRequest

    def having(self, signature: str) -> OutgoingRequest:
        """Return the request with this signature instead of its own."""
        template, request = self.request.template, self.request
        if template is None:
            raise AssertionError("each rendered callback has a template")
        token, length = self.callback.idempotency_token, len(request.body)
        head = template.fill(request.url.target, length, token, signature, request.sent_at)
        return replace(request, head=head)

    def unsigned(self) -> OutgoingRequest:
        """Return the request without the headers that contain its signature."""
        return without(self.request, self.make.signature_headers(self.callback.source))

    def signed_for(self, other: CallbackUrl) -> OutgoingRequest:
        """Return the request with the signature for another URL instead of its own."""
        return self.make.rendered(self.callback._replace(url=other)).having(url=self.request.url)


def _by_stranger(genuine: _Genuine) -> OutgoingRequest:
    return genuine.make.rendered(genuine.callback, genuine.make.stranger())


def _changed_body(genuine: _Genuine) -> OutgoingRequest:
    request, url = genuine.request, genuine.request.url
    if genuine.callback.method is HttpMethod.GET:
        return request.having(url=replace(url, query=_changed(url.query or "")))
    return request.having(body=_changed(request.body.decode()).encode())


def _changed(payload: str) -> str:
    # The new text has the same length, so Content-Length stays right: only the signature is wrong.
    return payload.replace("active", "hacked").replace('"apn":"super"', '"apn":"hyper"')


def _changed_path(genuine: _Genuine) -> OutgoingRequest:
    url = genuine.make.url
    return genuine.signed_for(replace(url, path=f"{url.path.rstrip('/')}/other"))


def _added_query(genuine: _Genuine) -> OutgoingRequest:
    return genuine.request.having(url=genuine.request.url.with_parameters(MORE))


def _hmac(genuine: _Genuine) -> OutgoingRequest:
    request, secret = genuine.request, genuine.make.account.kore_secret
    text = f"{request.method}{request.url.resource}".encode() + request.body
    return genuine.having(hmac.digest(secret.encode(), text, "sha256").hex())


def _auth_token(genuine: _Genuine) -> OutgoingRequest:
    request, secret = genuine.request, genuine.make.account.auth_token
    signature = sign_as_kore(request.method, request.url.resource, request.body, secret=secret)
    return genuine.having(signature)


def _as_twilio(genuine: _Genuine) -> OutgoingRequest:
    """Return the request by which Twilio's source would send the same callback."""
    token = genuine.make.token(Source.TWILIO)
    callback = genuine.callback._replace(source=Source.TWILIO, idempotency_token=token)
    return genuine.make.rendered(callback)


def _twilio_signature(genuine: _Genuine) -> OutgoingRequest:
    request = _as_twilio(genuine)
    twilio, kore = FAMILIES[Source.TWILIO], FAMILIES[Source.KORE]
    renamed = {
        twilio.signature_header: kore.signature_header,
        twilio.idempotency_header: kore.idempotency_header,
    }
    headers = tuple((renamed.get(name, name), value) for name, value in request.headers)
    return request.having(headers=headers)


def _both_families(genuine: _Genuine) -> OutgoingRequest:
    names, request = FAMILIES[Source.TWILIO].headers, _as_twilio(genuine)
    added = (pair for pair in request.headers if pair[0] in names)
    # KORE doesn't sign the query, so its signature is right for Twilio's URL, too.
    return genuine.request.having(url=request.url, headers=(*genuine.request.headers, *added))


def _of_a_stranger(genuine: _Genuine) -> OutgoingRequest:
    headers = genuine.request.headers
    return genuine.request.having(headers=tuple(pair for pair in headers if pair[0] in _OF_ANYBODY))


def _old(genuine: _Genuine) -> OutgoingRequest:
    make = genuine.make
    return make.rendered(genuine.callback, at=make.now() - _AGE)


_FORGERS: Final[Mapping[Forgery, Callable[[_Genuine], OutgoingRequest]]] = {
    Forgery.WRONG_SECRET: _by_stranger,
    Forgery.CHANGED_BODY: _changed_body,
    Forgery.CHANGED_PATH: _changed_path,
    Forgery.CHANGED_QUERY: lambda of: of.signed_for(of.make.url.with_parameters(MORE)),
    Forgery.ADDED_QUERY: _added_query,
    Forgery.MISSING_SIGNATURE: _Genuine.unsigned,
    Forgery.EMPTY_SIGNATURE: lambda of: of.having(""),
    Forgery.EMPTY_KORE_SIGNATURE: lambda of: of.having(""),
    Forgery.MALFORMED_SIGNATURE: lambda of: of.having("!"),
    Forgery.UPPER_CASE: lambda of: of.having(of.request.signature.upper()),
    Forgery.HMAC: _hmac,
    Forgery.AUTH_TOKEN: _auth_token,
    Forgery.TWILIO_SIGNATURE: _twilio_signature,
    Forgery.BOTH_FAMILIES: _both_families,
    Forgery.OLD_TIMESTAMP: _old,
    Forgery.EVENTS_WRONG_SECRET: _by_stranger,
    Forgery.EVENTS_CHANGED_BODY: _changed_body,
    Forgery.EVENTS_MISSING_SIGNATURE: _Genuine.unsigned,
    Forgery.UNSIGNED: _of_a_stranger,
}
