"""Genuine requests, as each source renders them, and what forgers make of them.

Pure but for the chance and the time that it is given.
"""

import hmac
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from ringback.core.account import Account
from ringback.core.callback import Callback, Progress
from ringback.core.callback_url import CallbackUrl
from ringback.core.form import encode
from ringback.core.infrastructure import BUILT_IN
from ringback.core.method import Method
from ringback.core.rendering import Headers, OutgoingRequest, render
from ringback.core.signature import sign_as_kore
from ringback.core.source import Source
from ringback.core.test_event import TEST_EVENT_BYTES, write_test_event
from ringback.core.tokens import TOKEN_BYTES
from ringback.core.webhook_secret import WebhookSecret, WebhookSecrets
from ringback.ports import Chance
from ringback.probe.cases import Forgery, Good
from ringback.probe.payloads import About, Payload, told
from ringback.receiver.checking.families import FAMILIES

_SID: Final = "CB" + "0" * 32
_MARK_BYTES: Final = 6
_MORE: Final = "ringback=probe"
"""The parameter that is put into the URL's query where one is wanted."""


def account_of(
    sid: str, *, auth_token: str | None, kore_secret: str | None, at: datetime
) -> Account:
    """Return an account that signs with these secrets."""
    active = WebhookSecret("whs_probe", "probe", kore_secret, at) if kore_secret else None
    return Account(
        sid=sid,
        name="probe",
        auth_token=auth_token or "",
        uses_static_proxy=False,
        date_created=at,
        webhook_secrets=WebhookSecrets(active=active),
    )


@dataclass(frozen=True, slots=True)
class Requests:
    """Makes the requests of one receiver's sources."""

    url: CallbackUrl
    account: Account
    sim_sid: str
    chance: Chance
    now: Callable[[], datetime]

    def good(self, good: Good) -> OutgoingRequest:
        """Return a genuine request."""
        adds = good.adds_query and not self.url.query
        url = self.url.with_parameters(_MORE) if adds else self.url
        return self.request(good.source, good.method, good.payload, url=url)

    def request(
        self,
        source: Source,
        method: Method = Method.POST,
        payload: Payload = Payload.SIM_UPDATE,
        *,
        url: CallbackUrl | None = None,
        token: str | None = None,
        mark: str | None = None,
    ) -> OutgoingRequest:
        """Return a request as this source renders it, of a new callback.

        Token and mark are new, unless they are given.
        """
        callback = self.callback(source, method, payload, url=url, token=token, mark=mark)
        return self.rendered(callback)

    def callback(
        self,
        source: Source,
        method: Method = Method.POST,
        payload: Payload = Payload.SIM_UPDATE,
        *,
        url: CallbackUrl | None = None,
        token: str | None = None,
        mark: str | None = None,
    ) -> Callback:
        """Return a callback that tells what no other does."""
        at = self.now()
        return Callback(
            sid=_SID,
            account_sid=self.account.sid,
            url=url or self.url,
            method=method,
            body=self._body(payload, method, at, mark or self.mark()),
            source=source,
            source_asked=None,
            source_reason="the probe sends as this source",
            idempotency_token=token or self.token(source),
            date_created=at,
            progress=Progress(at),
            is_test=payload is Payload.TEST_EVENT,
        )

    def rendered(self, callback: Callback, account: Account | None = None) -> OutgoingRequest:
        """Return the request of a callback, signed by the account's secrets or by another's."""
        return render(callback, account=account or self.account, at=self.now())

    def token(self, source: Source) -> str:
        """Return a new idempotency token."""
        return BUILT_IN[source].token.make(self.chance.bytes(TOKEN_BYTES))

    def forged(self, forgery: Forgery, source: Source, method: Method) -> OutgoingRequest:
        """Return a request that no sender sends."""
        return _FORGERS[forgery](self, source, method)

    def stranger(self) -> Account:
        """Return an account like this one that signs with other secrets."""
        secret = self.chance.bytes(TOKEN_BYTES).hex()
        return account_of(
            self.account.sid, auth_token=secret, kore_secret=secret, at=self.account.date_created
        )

    def mark(self) -> str:
        """Return what one callback alone tells."""
        return self.chance.bytes(_MARK_BYTES).hex()

    def _body(self, payload: Payload, method: Method, at: datetime, mark: str) -> str:
        if payload is Payload.TEST_EVENT:
            return write_test_event(self.chance.bytes(TEST_EVENT_BYTES), at=at)
        return encode(told(payload, About(self.account.sid, self.sim_sid, mark), method))


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


# ---- the forgeries --------------------------------------------------------------------------


def _wrong_secret(make: Requests, source: Source, method: Method) -> OutgoingRequest:
    return make.rendered(make.callback(source, method), make.stranger())


def _changed_body(make: Requests, source: Source, method: Method) -> OutgoingRequest:
    request = make.request(source, method)
    if method is Method.GET:
        url = replace(request.url, query=_changed(request.url.query or ""))
        return _with(request, request.headers, url=url)
    return _with(request, request.headers, body=_changed(request.body.decode()).encode())


def _changed(form: str) -> str:
    # As long as before, so that Content-Length stays right.
    return form.replace("SimStatus=active", "SimStatus=hacked")


def _changed_path(make: Requests, source: Source, method: Method) -> OutgoingRequest:
    other = replace(make.url, path=f"{make.url.path.rstrip('/')}/other")
    return _signed_for(make, source, method, other)


def _changed_query(make: Requests, source: Source, method: Method) -> OutgoingRequest:
    return _signed_for(make, source, method, make.url.with_parameters(_MORE))


def _signed_for(
    make: Requests, source: Source, method: Method, other: CallbackUrl
) -> OutgoingRequest:
    request = make.request(source, method, url=other)
    return _with(request, request.headers, url=make.url)


def _added_query(make: Requests, source: Source, method: Method) -> OutgoingRequest:
    request = make.request(source, method)
    return _with(request, request.headers, url=request.url.with_parameters(_MORE))


def _missing(make: Requests, source: Source, method: Method) -> OutgoingRequest:
    return without(make.request(source, method), (FAMILIES[source].signature_header,))


def _empty(make: Requests, source: Source, method: Method) -> OutgoingRequest:
    return _signed(make.request(source, method), source, "")


def _malformed(make: Requests, source: Source, method: Method) -> OutgoingRequest:
    return _signed(make.request(source, method), source, "!")


def _upper_case(make: Requests, source: Source, method: Method) -> OutgoingRequest:
    request = make.request(source, method)
    right = header_of(request, FAMILIES[source].signature_header)
    return _signed(request, source, right.upper())


def _hmac(make: Requests, source: Source, method: Method) -> OutgoingRequest:
    request = make.request(source, method)
    text = f"{method}{request.url.resource}".encode() + request.body
    return _signed(
        request, source, hmac.digest(make.account.kore_secret.encode(), text, "sha256").hex()
    )


def _auth_token(make: Requests, source: Source, method: Method) -> OutgoingRequest:
    request = make.request(source, method)
    signature = sign_as_kore(
        method, request.url.resource, request.body, secret=make.account.auth_token
    )
    return _signed(request, source, signature)


def _twilio_signature(make: Requests, source: Source, method: Method) -> OutgoingRequest:
    twilio = make.request(Source.TWILIO, method)
    renamed = {
        getattr(FAMILIES[Source.TWILIO], name): getattr(FAMILIES[source], name)
        for name in ("signature_header", "idempotency_header")
    }
    headers = tuple((renamed.get(name, name), value) for name, value in twilio.headers)
    return _with(twilio, headers)


def _both_families(make: Requests, source: Source, method: Method) -> OutgoingRequest:
    callback = make.callback(source, method)
    of_twilio = callback._replace(source=Source.TWILIO, idempotency_token=make.token(Source.TWILIO))
    request, twilio = make.rendered(callback), make.rendered(of_twilio)
    names = FAMILIES[Source.TWILIO].headers
    added = tuple(pair for pair in twilio.headers if pair[0] in names)
    return _with(request, (*request.headers, *added))


def _unsigned(make: Requests, source: Source, method: Method) -> OutgoingRequest:
    request = make.request(source, method)
    of_sources = {name for family in FAMILIES.values() for name in family.headers}
    return without(request, of_sources | {"User-Agent"})


_Forger = Callable[[Requests, Source, Method], OutgoingRequest]

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
