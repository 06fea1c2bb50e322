"""Callback + secrets + time -> the exact request, down to its bytes.

What comes out of here is what is signed, what is sent, what is recorded and what tests capture.
Header names, their letter case and their order are those of KORE's notice; both senders put Host,
User-Agent and Content-Length first and sort the rest, Twilio's ends with Accept-Encoding.
"""

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never
from urllib.parse import unquote_to_bytes

from ringback.core.account import Account
from ringback.core.callback import Callback, Method, RecordedRequest
from ringback.core.callback_url import CallbackUrl
from ringback.core.signature import sign_as_kore, sign_as_twilio
from ringback.core.source import Source

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class OutgoingRequest:
    """A finished request; order and letter case are part of it."""

    method: str
    url: CallbackUrl
    headers: Headers
    body: bytes

    @property
    def target(self) -> str:
        """What stands in the request line: the path, `/` where there is none, and the query."""
        query = "" if self.url.query is None else f"?{self.url.query}"
        return (self.url.path or "/") + query

    def to_bytes(self) -> bytes:
        """Return the request as it goes on the wire."""
        lines = [f"{self.method} {self.target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body

    def recorded(self) -> RecordedRequest:
        """Return the request for its attempt row; credentials are hidden."""
        hidden = tuple(
            (name, "(hidden)" if name == "Authorization" else value) for name, value in self.headers
        )
        return RecordedRequest(
            self.method, self.url.wire, hidden, self.body.decode(errors="replace")
        )


def render(callback: Callback, *, account: Account, at: datetime) -> OutgoingRequest:
    """Return the request of an attempt that leaves at this time, signed with today's secrets."""
    match callback.method:
        case Method.POST:
            url, body = callback.url, callback.body.encode()
        case Method.GET:
            url, body = callback.url.with_parameters(callback.body), b""
        case _:
            assert_never(callback.method)
    match callback.source:
        case Source.TWILIO:
            headers = _twilio_headers(callback, url, body, account)
        case Source.KORE:
            headers = _kore_headers(callback, url, body, account, at)
        case _:
            assert_never(callback.source)
    return OutgoingRequest(callback.method, url, headers, body)


def _twilio_headers(callback: Callback, url: CallbackUrl, body: bytes, account: Account) -> Headers:
    form = callback.parameters if callback.method is Method.POST else []
    signature = sign_as_twilio(url.wire, form, auth_token=account.auth_token)
    return (
        ("Host", url.authority),
        ("User-Agent", "TwilioProxy/1.1"),
        *_content_length(callback, body),
        ("Accept", "*/*"),
        *_authorization(url),
        *_content_type(callback, "application/x-www-form-urlencoded; charset=UTF-8"),
        ("I-Twilio-Idempotency-Token", callback.idempotency_token),
        ("X-Home-Region", "us1"),
        ("X-Twilio-Signature", signature),
        *((("X-Use-Static-Proxy", "true"),) if account.uses_static_proxy else ()),
        ("Accept-Encoding", "gzip"),
    )


def _kore_headers(
    callback: Callback, url: CallbackUrl, body: bytes, account: Account, at: datetime
) -> Headers:
    signature = sign_as_kore(callback.method, url.resource, body, secret=account.kore_secret)
    return (
        ("Host", url.authority),
        ("User-Agent", "KoreProxy/1.1"),
        *_content_length(callback, body),
        ("Accept", "*/*"),
        ("Accept-Encoding", "gzip, deflate"),
        *_authorization(url),
        *_content_type(callback, "application/x-www-form-urlencoded; charset=utf-8"),
        ("Date", f"{at:%Y-%m-%dT%H:%M:%SZ}"),
        ("Kore-Idempotency-Token", callback.idempotency_token),
        ("Kore-Signature", signature),
    )


def _content_length(callback: Callback, body: bytes) -> Headers:
    return (("Content-Length", str(len(body))),) if callback.method is Method.POST else ()


def _content_type(callback: Callback, value: str) -> Headers:
    return (("Content-Type", value),) if callback.method is Method.POST else ()


def _authorization(url: CallbackUrl) -> Headers:
    if url.credentials is None:
        return ()
    user, _, password = url.credentials.partition(":")
    plain = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
    return (("Authorization", f"Basic {base64.b64encode(plain).decode()}"),)
